using Flywheel.Engine;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

/// <summary>An open model comes in, learns as an adapter, and is served as it and as merged weights.</summary>
public sealed class ImportedModelTests : IDisposable
{
    private const string Text = "Once upon a time, Tim had a red kite. He flew it on the hill every day.";
    private const int NumAnswer = 24;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("stories260K")]
    [InlineData("tiny-qwen3")]
    public async Task Run_LoraOnAnImportedModel_AdapterAndMergedWeightsAnswerAlike(string name)
    {
        (ModelFolder model, AdapterFolder adapter, ModelFolder merged) = Train(name);
        Assert.Equal(model.Hash, adapter.Manifest.Parent);
        var options = new EngineOptions { Weights = WeightFormat.Fp32, Threads = 2 };
        await using InferenceEngine engine = InferenceEngine.Load(model, options), whole = InferenceEngine.Load(merged, options);
        engine.LoadAdapter("kites", adapter);
        int[] tokens = model.Tokenizer.EncodeWhole(Text);
        float[] expected = await whole.LogitsAsync(tokens), actual = await engine.LogitsAsync(tokens, "kites");
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 2e-4f);
        double before = (await engine.ScoreAsync(tokens)).Sum(), after = (await whole.ScoreAsync(tokens)).Sum();
        Assert.True(after > before + 10, $"the text's log-probability went from {before} to {after}: nothing was learnt");
        Assert.Equal(await AnswerAsync(whole, tokens[..8]), await AnswerAsync(engine, tokens[..8], "kites"));
    }

    /// <summary>The same adapter in llama.cpp: in the weights that we merged, and beside the base that we exported.</summary>
    [Theory]
    [InlineData("stories260K")]
    [InlineData("tiny-qwen3")]
    public async Task Run_LoraOnAnImportedModel_LlamaCppAnswersAlike(string name)
    {
        LlamaCpp.Find("llama-server");
        (ModelFolder model, AdapterFolder adapter, ModelFolder merged) = Train(name);
        ModelExport.ToGguf(merged, _folder["merged.gguf"], ExportType.Parse("f32"));
        ModelExport.ToGguf(model, _folder["base.gguf"], ExportType.Parse("f32"));
        ModelExport.ToGgufAdapter(adapter, model.Config, _folder["adapter.gguf"]);
        await using InferenceEngine engine = InferenceEngine.Load(model, new EngineOptions { Weights = WeightFormat.Fp32, Threads = 2 });
        engine.LoadAdapter("kites", adapter);
        int[] tokens = model.Tokenizer.EncodeWhole(Text), answer = await AnswerAsync(engine, tokens[..8], "kites");
        string[] exact = ["--ctx-size", "512", "--threads", "1", "--cache-type-k", "f32", "--cache-type-v", "f32", "--flash-attn", "off"];
        foreach ((string how, string file, string[] with) in new[] { ("merged", "merged.gguf", exact),
            ("adapter", "base.gguf", [.. exact, "--lora", _folder["adapter.gguf"]]) })
        {
            using LlamaServer server = await LlamaServer.StartAsync(_folder[file], with);
            double worst = 0;
            foreach (int length in new[] { 2, 8, tokens.Length })
            {
                float[] logits = await engine.LogitsAsync(tokens[..length], "kites");
                double largest = logits.Max(), normalizer = largest + Math.Log(logits.Sum(logit => Math.Exp(logit - largest)));
                foreach ((int id, double logProb) in await server.NextAsync(tokens[..length],
                    50)) worst = Math.Max(worst, Math.Abs(logProb - (logits[id] - normalizer)));
            }
            TestContext.Current.TestOutputHelper?.WriteLine($"{name}, {how}: largest difference of a log-probability {worst:G3}");
            Assert.InRange(worst, 0, 1e-3);
            Assert.Equal(answer, (await server.GreedyAsync(tokens[..8], NumAnswer))[..answer.Length]);
        }
    }

    private static async Task<int[]> AnswerAsync(InferenceEngine engine, int[] prompt, string? adapter = null)
    {
        List<int> answer = [];
        await foreach (SampledToken token in engine.Submit(new GenerationRequest { PromptTokens = prompt, MaxTokens = NumAnswer,
            Adapter = adapter, Sampler = new() { Temperature = 0 } }).Tokens) answer.Add(token.Id);
        return [.. answer];
    }

    /// <summary>Thirty steps on one text and its like.</summary>
    private (ModelFolder Base, AdapterFolder Adapter, ModelFolder Merged) Train(string name)
    {
        var home = new FlywheelHome(_folder["home"]);
        ModelFolder model = ModelImport.Import(TestFiles.Shared("models", name), home.Models, DateTimeOffset.UnixEpoch);
        Directory.CreateDirectory(_folder["texts"]);
        for (int i = 0; i < 60; i++)
            File.WriteAllText(_folder[$"texts/{i}.txt"], $"{Text} That was day {i}. The wind was strong and Tim was happy.");
        File.WriteAllText(_folder["lora.yaml"], $$"""
            name: kites
            base: {{model.ShortHash}}
            data: [{ source: text, path: texts }]
            train: { objective: next-token, steps: 30, batch_tokens: 1024, micro_tokens: 512, learning_rate: 1e-2, lora: { rank: 4, targets: [q_proj, v_proj, down_proj] } }
            """);

        FinishedRun run = new RecipeRunner(home) { NumThreads = 2 }.Run(_folder["lora.yaml"], []);
        AdapterFolder adapter = run.Result.Adapter!;
        return (model, adapter, adapter.Merge(model, home.Models, TensorType.F32));
    }
}
