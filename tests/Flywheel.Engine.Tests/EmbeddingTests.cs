using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

public class EmbeddingTests
{
    // Logits are checked against llama.cpp elsewhere; they are the output matrix times the state, and 512 of them pin 96 numbers down.
    [Fact]
    public async Task LastToken_ReferenceModel_TimesOutputMatrixGivesTheLogits()
    {
        string folder = TestFiles.Shared("models", "tiny-qwen3");
        ModelConfig config = ModelConfig.Load(Path.Combine(folder, "config.json"));
        using SafetensorsFile weights = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        await using InferenceEngine engine = InferenceEngine.Load(weights, config, null,
            new EngineOptions { Weights = WeightFormat.Fp32, Threads = 2 });
        float[] head = weights.ReadFloats(weights.Tensors["lm_head.weight"]);
        int[] text = [.. Enumerable.Range(0, 200).Select(i => 259 + i * 13 % 250)];
        float[] state = await engine.EmbedAsync(text, Pooling.LastToken, normalize: false), logits = await engine.LogitsAsync(text);
        for (int id = 0; id < config.VocabSize; id++)
            Assert.Equal(logits[id], Enumerable.Range(0, state.Length).Sum(c => (double)state[c] * head[id * state.Length + c]), 1e-4);
    }

    [Fact]
    public async Task Mean_IsTheMeanOfTheLastStatesOfAllPrefixes()
    {
        await using InferenceEngine engine = TestEngine.Open();
        int[] text = [.. Enumerable.Range(0, 75).Select(i => i * 7 % 261)];
        float[][] states =
            await Task.WhenAll(Enumerable.Range(1, text.Length)
                .Select(length => engine.EmbedAsync(text[..length], Pooling.LastToken, normalize: false)));
        float[] mean = await engine.EmbedAsync(text, Pooling.Mean, normalize: false),
            direction = await engine.EmbedAsync(text, Pooling.Mean);
        double norm = Math.Sqrt(mean.Sum(value => (double)value * value));
        for (int c = 0; c < mean.Length; c++)
        {
            Assert.Equal(states.Average(state => (double)state[c]), mean[c], 1e-6);
            Assert.Equal(mean[c] / norm, direction[c], 1e-6);
        }
    }

    // Alone against among generations, scores and each other, cut into steps anyhow, with pages for little more than one text.
    [Theory]
    [InlineData(0)]
    [InlineData(30)]
    public async Task Embed_AnyBatch_SameBits(int pages)
    {
        await using InferenceEngine single = TestEngine.Open(options: new EngineOptions { Threads = 1, MaxBatch = 1 });
        await using InferenceEngine engine =
            TestEngine.Open(options: new EngineOptions { Threads = 2, MaxBatch = 7, CacheBytes = pages * 16384 });
        var random = new Random(5);
        int[][] texts =
            [.. Enumerable.Range(0, 30)
                .Select(i => Enumerable.Range(0, random.Next(1, 300)).Select(t => (t * 5 + i / 10) % 261).ToArray())];
        var alone = new List<float[]>();
        for (int i = 0; i < texts.Length; i++) alone.Add(await single.EmbedAsync(texts[i], (Pooling)(i % 2)));
        Task[] others =
            [.. texts.Take(10)
                .Select(text =>
                    engine.Submit(new GenerationRequest { PromptTokens = text, MaxTokens = 100 }).Tokens.ToListAsync().AsTask()),
                    engine.ScoreAsync(texts[0])];
        float[][] together = await Task.WhenAll(texts.Select((text, i) => engine.EmbedAsync(text, (Pooling)(i % 2), user: $"{i % 3}")));
        await Task.WhenAll(others);
        for (int i = 0; i < texts.Length; i++) Assert.Equal(alone[i], together[i]);
    }

    [Fact]
    public async Task Embed_BadText_NamesTheFault()
    {
        await using InferenceEngine engine = TestEngine.Open();
        Assert.Contains("empty", (await Assert.ThrowsAsync<FlywheelException>(() => engine.EmbedAsync([], Pooling.Mean))).Message);
        Assert.Contains("701 tokens",
            (await Assert.ThrowsAsync<FlywheelException>(() => engine.EmbedAsync(new int[701], Pooling.Mean))).Message);
        Assert.Contains("'x'",
            (await Assert.ThrowsAsync<FlywheelException>(() => engine.EmbedAsync([1], Pooling.Mean, adapter: "x"))).Message);
    }
}
