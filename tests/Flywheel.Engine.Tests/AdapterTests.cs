using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

public sealed class AdapterTests : IDisposable
{
    private static readonly string[] All = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string, int, string[]> Variants => new()
    {
        { "qwen3", 4, All }, { "llama", 1, All }, { "qwen2", 20, ["q_proj", "v_proj"] }, { "qwen3", 3, ["k_proj", "down_proj"] },
        { "llama", 9, ["up_proj", "o_proj"] },
    };

    // The oracle is another path to the same numbers: factors multiplied out and added to the base, loaded as a plain model.
    [Theory]
    [MemberData(nameof(Variants))]
    public async Task Logits_Adapter_EqualThoseOfMergedWeights(string type, int rank, string[] targets)
    {
        ModelConfig config = TestEngine.Config(type);
        AdapterFolder adapter = Adapter(config, seed: 5, rank, targets);
        int[] prompt = [.. Enumerable.Range(0, 70).Select(i => i * 11 % 261)];
        await using InferenceEngine engine = TestEngine.Open(config, new EngineOptions { Weights = WeightFormat.Fp32, Threads = 2 });
        await using InferenceEngine merged = OpenMerged(config, adapter);
        engine.LoadAdapter("one", adapter);
        float[] expected = await merged.LogitsAsync(prompt), actual = await engine.LogitsAsync(prompt, "one"),
            without = await engine.LogitsAsync(prompt);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 1e-4f);
        Assert.True(TestEngine.Divergence(without, actual) > 1e-3, "the adapter changes nothing");
    }

    // Every request alone on a fresh engine against all together, with pages shared, guesses, preemption, and none, one or another adapter.
    [Theory]
    [InlineData(WeightFormat.Q8_0)]
    [InlineData(WeightFormat.Fp32)]
    [InlineData(WeightFormat.Q4_0)]
    public async Task Generations_AdaptersMixed_SameBitsAsAlone(WeightFormat format)
    {
        ModelConfig config = TestEngine.Config();
        AdapterFolder[] adapters = [Adapter(config, 5, 4, All), Adapter(config, 6, 20, ["q_proj", "up_proj"]),
            Adapter(config, 7, 1, ["down_proj"])];
        var random = new Random(4);
        GenerationRequest[] requests = [.. Enumerable.Range(0, 24).Select(i => new GenerationRequest
        {
            PromptTokens = [.. Enumerable.Range(0, 70).Select(t => t * 5 % 261),
                .. Enumerable.Range(0, random.Next(1, 90)).Select(t => i % 3 == 0 ? t % 7 : random.Next(261))],
            MaxTokens = random.Next(5, 50),
            TopLogprobs = 2,
            Adapter = i % 4 == 0 ? null : $"adapter {i % 4 - 1}",
            User = $"user {i % 2}",
            Priority = (Priority)(i % 3),
            Sampler = new() { Seed = (ulong)i, Temperature = i % 2 * 0.7f },
        })];
        var alone = new List<List<SampledToken>>();
        await using (InferenceEngine single = Open(threads: 1, batch: 1, speculate: false))
            foreach (GenerationRequest request in requests) alone.Add(await single.Submit(request).Tokens.ToListAsync());
        // none was ever loaded
        await using (InferenceEngine plain = TestEngine.Open(config, new EngineOptions { Weights = format, Threads = 1, MaxBatch = 1 }))
            for (int i = 0; i < requests.Length; i += 4)
                TestEngine.AssertSame(alone[i], await plain.Submit(requests[i]).Tokens.ToListAsync());
        await using InferenceEngine engine = Open(threads: 2, batch: 9, speculate: true);
        for (int round = 0; round < 2; round++)
        {
            GenerationStream[] streams = [.. requests.Select(request => engine.Submit(request))];
            for (int i = 0; i < streams.Length; i++)
            {
                TestEngine.AssertSame(alone[i], await streams[i].Tokens.ToListAsync());
                Assert.Equal(i % 4 == 0 ? null : adapters[i % 4 - 1].Hash, streams[i].AdapterHash);
            }
        }
        Assert.True(engine.Loop.NumSharedPages > 20, "no pages were shared");

        InferenceEngine Open(int threads, int batch, bool speculate)
        {
            InferenceEngine opened = TestEngine.Open(config,
                new EngineOptions { Weights = format, Threads = threads, MaxBatch = batch, Speculate = speculate });
            for (int i = 0; i < adapters.Length; i++) opened.LoadAdapter($"adapter {i}", adapters[i]);
            return opened;
        }
    }

    [Fact]
    public async Task Unload_WhileItAnswers_TheAnswerEndsAndNewOnesAreRefused()
    {
        ModelConfig config = TestEngine.Config();
        await using InferenceEngine engine = TestEngine.Open(config);
        engine.LoadAdapter("tone", Adapter(config, 5, 4, All));
        var request = new GenerationRequest { PromptTokens = [1, 2, 3], MaxTokens = 300, Adapter = "tone",
            Sampler = new() { Temperature = 0 } };
        List<SampledToken> before = await engine.Submit(request).Tokens.ToListAsync();
        GenerationStream running = engine.Submit(request);
        Assert.True(engine.UnloadAdapter("tone"));
        Assert.False(engine.UnloadAdapter("tone"));
        Assert.Contains("'tone', expected none", Assert.Throws<FlywheelException>(() => engine.Submit(request)).Message);
        TestEngine.AssertSame(before, await running.Tokens.ToListAsync());

        // Another one under the same name: nothing of the first is remembered.
        engine.LoadAdapter("tone", Adapter(config, 6, 4, All));
        engine.LoadAdapter("second", Adapter(config, 5, 4, All));
        List<SampledToken> other = await engine.Submit(request).Tokens.ToListAsync();
        Assert.NotEqual(before.Select(token => token.Id), other.Select(token => token.Id));
        TestEngine.AssertSame(before, await engine.Submit(request with { Adapter = "second" }).Tokens.ToListAsync());
    }

    [Fact]
    public async Task Load_OfAnotherShape_NamesTheMatrix()
    {
        await using InferenceEngine engine = TestEngine.Open();
        AdapterFolder wide = Adapter(TestEngine.Config() with { HiddenSize = 48 }, 1, 2, ["q_proj"]);
        Assert.Contains("q_proj", Assert.Throws<FlywheelException>(() => engine.LoadAdapter("wide", wide)).Message);
        Assert.Empty(engine.Adapters);
    }

    [Fact]
    public async Task Steps_WithAdapters_AllocateNothing()
    {
        ModelConfig config = TestEngine.Config();
        // 40 pages of fp16: soon full
        await using InferenceEngine engine = TestEngine.Open(config,
            new EngineOptions { Threads = 2, MaxBatch = 4, CacheBytes = 40 * 8192 });
        for (int i = 0; i < 2; i++) engine.LoadAdapter($"{i}", Adapter(config, i, 4, All));
        long least = long.MaxValue; // of runs: a table that grows once is no allocation a token
        for (int run = 0; run < 9; run++)
        {
            long before = engine.Loop.StepAllocatedBytes;
            await Task.WhenAll(Enumerable.Range(0, 6).Select(i => engine.Submit(new GenerationRequest
            {
                PromptTokens = [.. Enumerable.Range(0, 100).Select(t => (t + run) % 261)],
                MaxTokens = 100,
                Adapter = i < 2 ? $"{i}" : null,
                User = $"{i % 3}",
            }).Tokens.ToListAsync().AsTask()));
            if (run >= 6) least = Math.Min(least, engine.Loop.StepAllocatedBytes - before);
        }
        Assert.Equal(0, least);
    }

    private AdapterFolder Adapter(ModelConfig config, int seed, int rank, string[] targets) =>
        TestEngine.Adapter(_folder[$"{seed} {rank}"], config, seed, rank, targets);

    private InferenceEngine OpenMerged(ModelConfig config, AdapterFolder adapter)
    {
        string basePath = _folder["base.safetensors"], path = _folder["merged.safetensors"];
        TestEngine.WriteWeights(basePath, config, 1);
        using (SafetensorsFile weights = SafetensorsFile.Open(basePath))
            SafetensorsWriter.Write(path,
                [.. config.Tensors().Select(tensor => (tensor.Name, TensorType.F32, tensor.Shape, (Action<Stream>)(stream =>
            {
                float[] values = weights.ReadFloats(weights.Tensors[tensor.Name]);
                adapter.AddTo(tensor.Name, values);
                SafetensorsWriter.WriteFloats(stream, values, TensorType.F32);
            })))]);
        using SafetensorsFile merged = SafetensorsFile.Open(path);
        return InferenceEngine.Load(merged, config, null, new EngineOptions { Weights = WeightFormat.Fp32, Threads = 1 });
    }
}
