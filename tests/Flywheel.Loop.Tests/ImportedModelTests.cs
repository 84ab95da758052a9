using Flywheel.Engine;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

/// <summary>An open model comes in, learns as an adapter, and is served as it and as merged weights.</summary>
public sealed class ImportedModelTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("stories260K")]
    [InlineData("tiny-qwen3")]
    public async Task Run_LoraOnAnImportedModel_AdapterAndMergedWeightsAnswerAlike(string name)
    {
        var home = new FlywheelHome(_folder["home"]);
        ModelFolder model = ModelImport.Import(TestFiles.Shared("models", name), home.Models, DateTimeOffset.UnixEpoch);
        string text = "Once upon a time, Tim had a red kite. He flew it on the hill every day.";
        Directory.CreateDirectory(_folder["texts"]);
        for (int i = 0; i < 60; i++) File.WriteAllText(_folder[$"texts/{i}.txt"], $"{text} That was day {i}. The wind was strong and Tim was happy.");
        File.WriteAllText(_folder["lora.yaml"], $$"""
            name: kites
            base: {{model.ShortHash}}
            data: [{ source: text, path: texts }]
            train: { objective: next-token, steps: 30, batch_tokens: 1024, micro_tokens: 512, learning_rate: 1e-2, lora: { rank: 4, targets: [q_proj, v_proj, down_proj] } }
            """);

        FinishedRun run = new RecipeRunner(home) { NumThreads = 2 }.Run(_folder["lora.yaml"], []);

        AdapterFolder adapter = run.Result.Adapter!;
        Assert.Equal(model.Hash, adapter.Manifest.Parent);
        ModelFolder merged = adapter.Merge(model, home.Models, TensorType.F32);
        var options = new EngineOptions { Weights = WeightFormat.Fp32, Threads = 2 };
        await using InferenceEngine engine = InferenceEngine.Load(model, options), whole = InferenceEngine.Load(merged, options);
        engine.LoadAdapter("kites", adapter);
        int[] tokens = model.Tokenizer.EncodeWhole(text);
        float[] expected = await whole.LogitsAsync(tokens), actual = await engine.LogitsAsync(tokens, "kites");
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 2e-4f);
        double before = (await engine.ScoreAsync(tokens)).Sum(), after = (await whole.ScoreAsync(tokens)).Sum();
        Assert.True(after > before + 10, $"the text's log-probability went from {before} to {after}: nothing was learnt");
        Assert.Equal(await Answer(whole, null), await Answer(engine, "kites"));

        async Task<int[]> Answer(InferenceEngine from, string? with)
        {
            List<int> answer = [];
            await foreach (SampledToken token in from.Submit(new GenerationRequest { PromptTokens = tokens[..8], MaxTokens = 24, Adapter = with, Sampler = new() { Temperature = 0 } }).Tokens) answer.Add(token.Id);
            return [.. answer];
        }
    }
}
