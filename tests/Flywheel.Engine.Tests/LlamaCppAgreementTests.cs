using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

/// <summary>What we export, run by llama.cpp, against our engine on the model that was exported.</summary>
public sealed partial class LlamaCppAgreementTests : IDisposable
{
    private const int Context = 128, Threads = 2;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> Models => ["first", "stories260K", "tiny-qwen3"];

    private ModelFolder Open(string model) => model == "first"
        ? ModelFolder.Open(Path.Combine(TestFiles.Root, "models", "first"))
        : ModelImport.Import(TestFiles.Shared("models", model), _folder["models"], DateTimeOffset.UnixEpoch);

    /// <summary>The most likely next tokens after prompts of several lengths: log-probabilities within 1e-3.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public async Task ExportToGguf_Fp32_GivesTheSameLogProbsInLlamaCpp(string name)
    {
        ModelFolder model = Open(name);
        ModelExport.ToGguf(model, _folder["model.gguf"], ExportType.Parse("f32"));
        await using InferenceEngine engine = InferenceEngine.Load(model,
            new EngineOptions { Weights = WeightFormat.Fp32, Threads = Threads });
        using LlamaServer server = await LlamaServer.StartAsync(_folder["model.gguf"], "--ctx-size", "512", "--threads", "1",
            "--cache-type-k", "f32", "--cache-type-v", "f32", "--flash-attn", "off");
        int[] text = model.Tokenizer.Encode(Text);
        double worst = 0;
        foreach (int length in new[] { 1, 2, 5, 33, 128, 300 })
        {
            int[] prompt = [.. model.Config.BosTokenId is { } bos ? [bos] : Array.Empty<int>(), .. text[..length]];
            float[] logits = await engine.LogitsAsync(prompt);
            double normalizer = TestEngine.LogSumExp(logits);
            foreach ((int id, double logProb) in await server.NextAsync(prompt,
                50)) worst = Math.Max(worst, Math.Abs(logProb - (logits[id] - normalizer)));
        }
        TestContext.Current.TestOutputHelper?.WriteLine($"{name}: largest difference of a log-probability {worst:G3}");
        Assert.InRange(worst, 0, 1e-3);
    }

    /// <summary>llama-perplexity on the exported file, within 0.1% of the same sum from our engine.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public async Task ExportToGguf_Fp32_HasTheSamePerplexityInLlamaCpp(string name)
    {
        ModelFolder model = Open(name);
        ModelExport.ToGguf(model, _folder["model.gguf"], ExportType.Parse("f32"));
        File.WriteAllText(_folder["text.txt"], Text);
        double theirs = await PerplexityAsync(_folder["model.gguf"]);
        await using InferenceEngine engine = InferenceEngine.Load(model,
            new EngineOptions { Weights = WeightFormat.Fp32, Threads = Threads });

        // As llama-perplexity does: chunks of the context, the second half of each counts, a begin-of-text replaces the first token.
        int? bos = JsonNode.Parse(File.ReadAllText(Path.Combine(model.Path, "tokenizer.json")))!["post_processor"]?["single"] is null
            ? null : model.Config.BosTokenId;
        int[] tokens = [.. bos is { } first ? [first] : Array.Empty<int>(), .. model.Tokenizer.Encode(Text)];
        double sum = 0;
        int count = 0;
        for (int start = 0; start + Context <= tokens.Length; start += Context)
        {
            int[] chunk = tokens[start..(start + Context)];
            if (bos is { } begin) chunk[0] = begin;
            float[] logprobs = await engine.ScoreAsync(chunk); // [i]: of token i
            for (int i = Context / 2 + 1; i < Context; i++, count++) sum -= logprobs[i];
        }
        double ours = Math.Exp(sum / count);
        TestContext.Current.TestOutputHelper?.WriteLine($"{name}: perplexity {ours:F4} here, {theirs:F4} in llama.cpp");
        Assert.InRange(ours / theirs, 0.999, 1.001);
    }

    /// <summary>Each quantised export against llama-quantize's file of the same model: perplexity within 0.5%.</summary>
    [Theory]
    [InlineData("q8_0", "Q8_0")]
    [InlineData("q4_0", "Q4_0")]
    [InlineData("q4_k", "Q4_K_S")]
    [InlineData("q4_k_m", "Q4_K_M")]
    [InlineData("q5_k", "Q5_K_S")]
    [InlineData("q6_k", "Q6_K")]
    public async Task ExportToGguf_Quantised_HasThePerplexityOfLlamaQuantize(string ours, string theirs)
    {
        ModelFolder model = Open("first");
        ModelExport.ToGguf(model, _folder["f32.gguf"], ExportType.Parse("f32"));
        ModelExport.ToGguf(model, _folder["ours.gguf"], ExportType.Parse(ours));
        await LlamaCpp.RunAsync("llama-quantize", _folder["f32.gguf"], _folder["theirs.gguf"], theirs);
        File.WriteAllText(_folder["text.txt"], Text);
        double here = await PerplexityAsync(_folder["ours.gguf"]), there = await PerplexityAsync(_folder["theirs.gguf"]);
        TestContext.Current.TestOutputHelper?.WriteLine($"{ours}: perplexity {here:F4} of our export, {there:F4} of llama-quantize's");
        Assert.InRange(here / there, 0.995, 1.005);
    }

    private async Task<double> PerplexityAsync(string file)
    {
        // Its log is written by a thread that an exit may cut short; then the last line is missing.
        for (int attempt = 1; ; attempt++)
        {
            string output = await LlamaCpp.RunAsync("llama-perplexity", "-m", file, "-f", _folder["text.txt"], "-c", $"{Context}", "-b",
                $"{Context}", "-t", "1");
            if (Estimate().Match(output) is { Success: true } match)
                return double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
            Assert.True(attempt < 10, output);
        }
    }

    /// <summary>English that does not change.</summary>
    private static string Text { get; } = File.ReadAllText(Path.Combine(TestFiles.Root, "LICENSE")).ReplaceLineEndings("\n");

    [GeneratedRegex(@"Final estimate: PPL = ([0-9.]+)")]
    private static partial Regex Estimate();
}
