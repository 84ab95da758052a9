using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

public class DraftTests
{
    // A draft that is the model itself in four bits, and one of other weights and another shape: whatever they guess, the
    // answer is that of the model alone, also when pages run out and requests give way.
    [Theory]
    [InlineData(true, 0)]
    [InlineData(true, 40)]
    [InlineData(false, 0)]
    public async Task Generations_AnyDraft_SameBitsAsWithout(bool alike, int pages)
    {
        await using InferenceEngine plain = TestEngine.Open(options: new EngineOptions { Threads = 1, MaxBatch = 1, Speculate = false });
        await using InferenceEngine engine = Open(alike, new EngineOptions { Threads = 2, MaxBatch = 4, CacheBytes = pages * 16384L });
        var random = new Random(2);
        GenerationRequest[] requests = [.. Enumerable.Range(0, 16).Select(i => new GenerationRequest
        {
            PromptTokens = [.. Enumerable.Range(0, 70).Select(t => t * 5 % 261),
                .. Enumerable.Range(0, random.Next(1, 150)).Select(_ => random.Next(261))],
            MaxTokens = random.Next(1, 120),
            TopLogprobs = 2,
            User = $"{i % 3}",
            Sampler = new() { Seed = (ulong)i, Temperature = i % 3 * 0.4f, TopP = i % 2 == 0 ? 1 : 0.9f,
                RepetitionPenalty = i % 5 == 4 ? 1.2f : 1 },
        })];
        var alone = new List<List<SampledToken>>();
        foreach (GenerationRequest request in requests) alone.Add(await plain.Submit(request).Tokens.ToListAsync());
        for (int round = 0; round < 2; round++)
        {
            List<SampledToken>[] together =
                await Task.WhenAll(requests.Select(request => engine.Submit(request).Tokens.ToListAsync().AsTask()));
            for (int i = 0; i < requests.Length; i++) TestEngine.AssertSame(alone[i], together[i]);
        }
        while (engine.Loop.NumLive > 0) await Task.Yield();
        if (alike)
            Assert.True(engine.Loop.NumGuessed > 0.5 * engine.Loop.NumChecked && engine.Loop.NumGuessed > 100,
                $"{engine.Loop.NumGuessed} of {engine.Loop.NumChecked} guesses were right");
        Assert.Equal(0, plain.Loop.NumChecked);
    }

    [Fact]
    public async Task Steps_WithDraft_AllocateNothing()
    {
        // soon full
        await using InferenceEngine engine = Open(alike: true, new EngineOptions { Threads = 2, MaxBatch = 4, CacheBytes = 40 * 16384 });
        long least = long.MaxValue; // of runs: a table that grows once is no allocation a token
        for (int run = 0; run < 10; run++)
        {
            long before = engine.Loop.StepAllocatedBytes;
            await Task.WhenAll(Enumerable.Range(0, 5).Select(i => engine.Submit(new GenerationRequest
            {
                PromptTokens = [.. Enumerable.Range(0, 100).Select(t => (t + 50 * run) % 261)],
                MaxTokens = 150,
                Sampler = new() { Temperature = 0.3f * (i % 2) },
            }).Tokens.ToListAsync().AsTask()));
            if (run >= 8) least = Math.Min(least, engine.Loop.StepAllocatedBytes - before);
        }
        Assert.Equal(0, least);
    }

    [Fact]
    public void Load_DraftOfAnotherVocabulary_NamesTheDifference()
    {
        using var folder = new TempFolder();
        ModelFolder model = TinyModel.Create(folder.Path);
        Tokenizer other = Tokenizer.Train(["Something else altogether was read here, and other pairs of letters were joined."], 320),
            small = Tokenizer.Train(["abc"], 260);
        DraftSource.CheckVocabulary(model.Tokenizer, model.Tokenizer, "draft");
        Assert.Contains("token",
            Assert.Throws<FlywheelException>(() => DraftSource.CheckVocabulary(model.Tokenizer, other, "draft")).Message);
        Assert.Contains($"has {small.VocabSize} tokens, the model {model.Tokenizer.VocabSize}",
            Assert.Throws<FlywheelException>(() => DraftSource.CheckVocabulary(model.Tokenizer, small, "draft")).Message);
    }

    // Through folders, as a server loads them.
    [Fact]
    public async Task Load_DraftFolder_AnswersAreThoseOfTheModel()
    {
        using var folder = new TempFolder();
        ModelFolder model = TinyModel.Create(folder.Path), small = TinyModel.Create(folder.Path, seed: 2);
        await using InferenceEngine plain = InferenceEngine.Load(model, new EngineOptions { Threads = 1, Speculate = false });
        await using InferenceEngine engine = InferenceEngine.Load(model, new EngineOptions { Threads = 2, Draft = small });
        var request = new GenerationRequest { PromptTokens = model.Tokenizer.Encode("Write a tagline"), MaxTokens = 100,
            Sampler = new() { Temperature = 0 } };
        TestEngine.AssertSame(await plain.Submit(request).Tokens.ToListAsync(), await engine.Submit(request).Tokens.ToListAsync());
    }

    private static InferenceEngine Open(bool alike, EngineOptions options)
    {
        using var folder = new TempFolder();
        ModelConfig config = TestEngine.Config(),
            small = alike ? config : config with { NumLayers = 1, HiddenSize = 36, NumHeads = 4, MaxPositions = 150 };
        TestEngine.WriteWeights(folder["model.safetensors"], config, 1);
        TestEngine.WriteWeights(folder["draft.safetensors"], small, alike ? 1 : 2);
        using SafetensorsFile file = SafetensorsFile.Open(folder["model.safetensors"]),
            draft = SafetensorsFile.Open(folder["draft.safetensors"]);
        return InferenceEngine.Load(file, config, null, options, draft: DraftSource.Of(draft, small, WeightFormat.Q4_0));
    }
}
