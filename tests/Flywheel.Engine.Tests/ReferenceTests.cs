using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

/// <summary>Against log-probabilities and greedy texts of an fp64 oracle and of llama.cpp (../shared/models).</summary>
public class ReferenceTests
{
    public static TheoryData<string, string> Models
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (string model in new[] { "tiny-qwen3", "stories260K" })
                foreach (string kernels in TestEngine.Kernels) data.Add(model, kernels);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public async Task Fp32_ReferencePrompts_LogprobsWithin1e4AndGreedyEqual(string model, string kernels)
    {
        await using InferenceEngine engine = Open(model, WeightFormat.Fp32, kernels);
        foreach (Prompt prompt in Prompts(model))
        {
            float[] logprobs = await engine.ScoreAsync(prompt.Tokens);
            for (int i = 1; i < logprobs.Length; i++) Assert.Equal(prompt.Logprobs[i - 1], logprobs[i], 1e-4);
            float[] logits = await engine.LogitsAsync(prompt.Tokens);
            double normalizer = TestEngine.LogSumExp(logits);
            foreach ((int id, double logprob) in prompt.Top) Assert.Equal(logprob, logits[id] - normalizer, 1e-4);
            GenerationStream stream =
                engine.Submit(new GenerationRequest { PromptTokens = prompt.Tokens, MaxTokens = 48, Sampler = new() { Temperature = 0 } });
            List<SampledToken> tokens = await stream.Tokens.ToListAsync();
            Assert.Equal(prompt.Greedy, tokens.Select(token => token.Id));
            Assert.Equal(FinishReason.Length, stream.FinishReason);
        }
    }

    [Theory]
    [InlineData("tiny-qwen3", WeightFormat.Q8_0, 0.01)]
    [InlineData("stories260K", WeightFormat.Q8_0, 0.01)]
    [InlineData("stories260K", WeightFormat.Q4_0, 0.5)]
    public async Task Quantized_ReferencePrompts_CloseToFp32(string model, WeightFormat format, double bound)
    {
        await using InferenceEngine exact = Open(model, WeightFormat.Fp32), rounded = Open(model, format);
        var divergences = new List<double>();
        foreach (Prompt prompt in Prompts(model))
            divergences.Add(TestEngine.Divergence(await exact.LogitsAsync(prompt.Tokens), await rounded.LogitsAsync(prompt.Tokens)));
        Assert.True(divergences.Average() < bound,
            $"mean KL of {model}: {divergences.Average():G3}, each {string.Join(" ", divergences.Select(kl => kl.ToString("G3")))}");
    }

    private static InferenceEngine Open(string model, WeightFormat format, string? kernels = null)
    {
        string folder = TestFiles.Shared("models", model);
        ModelConfig config = ModelConfig.Load(Path.Combine(folder, "config.json")) with { EosTokenIds = [] };
        using SafetensorsFile weights = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        return InferenceEngine.Load(weights, config, null, new EngineOptions { Weights = format, Threads = 2 }, kernels: kernels);
    }

    private sealed record Prompt(int[] Tokens, double[] Logprobs, (int Id, double Logprob)[] Top, int[] Greedy);

    private static IEnumerable<Prompt> Prompts(string model) =>
        JsonNode.Parse(File.ReadAllText(TestFiles.Shared("models", model, "reference.json")))!["prompts"]!.AsArray()
            .Select(prompt => new Prompt(
            [.. prompt!["token_ids"]!.AsArray().Select(id => (int)id!)],
            [.. prompt["token_logprobs"]!.AsArray().Select(value => (double)(value is JsonObject o ? o["logprob"]! : value!))],
            [.. prompt["next_token_top20"]!.AsArray().Select(entry => ((int)entry!["id"]!, (double)entry["logprob"]!))],
            [.. prompt["greedy_48"]!.AsArray().Select(id => (int)id!)]));
}
