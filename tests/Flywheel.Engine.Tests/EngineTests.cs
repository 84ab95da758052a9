using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

public class EngineTests
{
    public static TheoryData<string, bool, WeightFormat> Variants => new()
    {
        { "qwen3", true, WeightFormat.Q8_0 }, { "qwen3", false, WeightFormat.Fp32 }, { "llama", true, WeightFormat.Fp32 },
        { "qwen2", true, WeightFormat.Q8_0 }, { "qwen3", false, WeightFormat.Q4_0 },
    };

    // Alone, one after the other, against all at once in a small batch, submitted at random times, some cancelled.
    [Theory]
    [MemberData(nameof(Variants))]
    public async Task Generations_AnyBatch_SameTokensAndSameBits(string type, bool tied, WeightFormat format)
    {
        ModelConfig config = TestEngine.Config(type, tied);
        await using InferenceEngine engine = TestEngine.Open(config, new EngineOptions { Threads = 2, Weights = format, MaxBatch = 5 });
        await using InferenceEngine single = TestEngine.Open(config,
            new EngineOptions { Threads = 1, Weights = format, MaxBatch = 1, Speculate = false });
        var random = new Random(7);
        GenerationRequest[] requests = [.. Enumerable.Range(0, 14).Select(i => new GenerationRequest
        {
            PromptTokens =
                [.. Enumerable.Range(0, i % 4 == 0 ? random.Next(130, 400) : random.Next(1, 20))
                    .Select(_ => random.Next(config.VocabSize))],
            MaxTokens = random.Next(1, 40),
            TopLogprobs = i % 3,
            Sampler = new() { Temperature = i % 5 == 0 ? 0 : 1, TopP = i % 2 == 0 ? 1 : 0.9f, Seed = (ulong)i,
                RepetitionPenalty = i % 4 == 1 ? 1.2f : 1 },
        })];
        var alone = new List<List<SampledToken>>();
        foreach (GenerationRequest request in requests) alone.Add(await single.Submit(request).Tokens.ToListAsync());
        for (int round = 0; round < 2; round++)
        {
            var running = new List<(int, Task<List<SampledToken>>)>();
            foreach (int i in Enumerable.Range(0, requests.Length).OrderBy(_ => random.Next()))
            {
                running.Add((i, engine.Submit(requests[i]).Tokens.ToListAsync().AsTask()));
                if (random.Next(3) == 0)
                {
                    using var cancel = new CancellationTokenSource();
                    GenerationStream stream = engine.Submit(requests[random.Next(requests.Length)], cancel.Token);
                    await cancel.CancelAsync();
                    await stream.Tokens.ToListAsync();
                }
                if (random.Next(2) == 0) await running[random.Next(running.Count)].Item2;
            }
            foreach ((int i, Task<List<SampledToken>> task) in running) TestEngine.AssertSame(alone[i], await task);
        }
    }

    [Fact]
    public async Task Logits_LongPrompt_EqualThoseOfDecodingStepByStep()
    {
        await using InferenceEngine engine = TestEngine.Open(options: new EngineOptions { Weights = WeightFormat.Q8_0, Threads = 2 });
        int[] prompt = [.. Enumerable.Range(0, 290).Select(i => i * 7 % 261)];
        List<SampledToken> answer =
            await engine.Submit(new() { PromptTokens = prompt, MaxTokens = 30, Sampler = new() { Temperature = 0 } }).Tokens.ToListAsync();
        float[] scores = await engine.ScoreAsync([.. prompt, .. answer.Select(token => token.Id)]);
        Assert.Equal(answer.Select(token => token.Logprob), scores[prompt.Length..]);
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public async Task Logits_EveryKernelTable_Equal(string kernels)
    {
        int[] prompt = [.. Enumerable.Range(0, 50)];
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            await using InferenceEngine engine = TestEngine.Open(options: new EngineOptions { Weights = format, Threads = 2 },
                kernels: kernels);
            await using InferenceEngine scalar = TestEngine.Open(options: new EngineOptions { Weights = format, Threads = 1 },
                kernels: "scalar");
            float[] a = await engine.LogitsAsync(prompt), b = await scalar.LogitsAsync(prompt);
            if (Engine.Kernels.KernelTable.IsExact) Assert.Equal(b, a);
            else Assert.True(TestEngine.Divergence(a, b) < 1e-3);
        }
    }

    /// <summary>Two distributions of one sequence are those of two readings; others in the batch change no bit.</summary>
    [Fact]
    public async Task Weigh_ManyAtOnce_EqualsTheLogitsOfEachAlone()
    {
        await using InferenceEngine engine = TestEngine.Open(options: new EngineOptions { Threads = 2, MaxBatch = 6 });
        int[] choices = [7, 40, 41, 200], then = [3, 4, 5];
        int[][] prompts =
            [.. Enumerable.Range(0, 40).Select(i => Enumerable.Range(0, 3 + i % 17).Select(j => (i * 31 + j * 7) % 250).ToArray())];
        WeighedTokens[] weighed = await Task.WhenAll(prompts.Select(prompt => engine.WeighAsync(prompt, choices, then)));
        foreach ((int[] prompt, WeighedTokens found) in prompts.Zip(weighed))
        {
            float[] first = await engine.LogitsAsync(prompt), second = await engine.LogitsAsync([.. prompt, choices[found.Taken]]);
            Assert.Equal(choices.MaxBy(id => first[id]), choices[found.Taken]);
            Assert.Equal(Array.IndexOf(first, first.Max()), found.Likeliest);
            Assert.All(choices.Zip(found.Choices), pair => Assert.Equal(first[pair.First] - LogSum(first), pair.Second, 1e-4f));
            Assert.All(then.Zip(found.Then), pair => Assert.Equal(second[pair.First] - LogSum(second), pair.Second, 1e-4f));
            WeighedTokens alone = await engine.WeighAsync(prompt, choices, then);
            Assert.Equal(alone.Choices, found.Choices);
            Assert.Equal(alone.Then, found.Then);
        }
        Assert.Equal(0, engine.NumPagesInUse);
        await Assert.ThrowsAsync<FlywheelException>(() => engine.WeighAsync([1], [9999], then));

        static float LogSum(float[] logits) => MathF.Log(logits.Sum(logit => MathF.Exp(logit - logits.Max()))) + logits.Max();
    }

    public static TheoryData<string> Kernels => [.. TestEngine.Kernels];

    [Fact]
    public async Task Int8_RandomModel_CloseToFp32()
    {
        await using InferenceEngine exact = TestEngine.Open(options: new EngineOptions { Weights = WeightFormat.Fp32, Threads = 1 });
        await using InferenceEngine rounded = TestEngine.Open(options: new EngineOptions { Weights = WeightFormat.Q8_0, Threads = 1 });
        int[] prompt = [.. Enumerable.Range(0, 40)];
        double divergence = TestEngine.Divergence(await exact.LogitsAsync(prompt), await rounded.LogitsAsync(prompt));
        Assert.True(divergence < 0.02, $"KL {divergence:G3}");
    }

    [Fact]
    public async Task Submit_HalfPrecisionWeights_Run()
    {
        using var folder = new TempFolder();
        TestEngine.WriteWeights(folder["model.safetensors"], TestEngine.Config(), 3, TensorType.BF16);
        using SafetensorsFile file = SafetensorsFile.Open(folder["model.safetensors"]);
        await using InferenceEngine engine = InferenceEngine.Load(file, TestEngine.Config(), null, new EngineOptions { Threads = 1 });
        Assert.All(await engine.LogitsAsync([1, 2, 3]), logit => Assert.True(float.IsFinite(logit)));
    }

    [Fact]
    public async Task Submit_EndToken_IsLastAndReasonIsStop()
    {
        ModelConfig config = TestEngine.Config();
        await using InferenceEngine probe = TestEngine.Open(config);
        List<SampledToken> tokens = await probe.Submit(Greedy([1, 2, 3], 20)).Tokens.ToListAsync();
        int end = tokens[6].Id;
        await using InferenceEngine engine = TestEngine.Open(config with { EosTokenIds = [end] });
        GenerationStream stream = engine.Submit(Greedy([1, 2, 3], 20));
        Assert.Equal(tokens.Select(token => token.Id).TakeWhile(id => id != end).Append(end),
            (await stream.Tokens.ToListAsync()).Select(token => token.Id));
        Assert.Equal(FinishReason.Stop, stream.FinishReason);
    }

    [Fact]
    public async Task Submit_TopLogprobs_AreTheBestOfTheModel()
    {
        await using InferenceEngine engine = TestEngine.Open();
        SampledToken token = (await engine.Submit(Greedy([4, 5], 1) with { TopLogprobs = 5 }).Tokens.ToListAsync()).Single();
        float[] logits = await engine.LogitsAsync([4, 5]);
        double normalizer = TestEngine.LogSumExp(logits);
        var best = logits.Select((logit, id) => (id, logit - normalizer)).OrderByDescending(entry => entry.Item2).Take(5).ToList();
        Assert.Equal(best.Select(entry => entry.id), token.Top.Select(top => top.Id));
        for (int i = 0; i < 5; i++) Assert.Equal(best[i].Item2, token.Top[i].Logprob, 1e-4);
    }

    [Fact]
    public async Task Submit_PromptTooLong_NamesTheLengths()
    {
        await using InferenceEngine engine = TestEngine.Open();
        var error = Assert.Throws<FlywheelException>(() => engine.Submit(Greedy(new int[700], 1)));
        Assert.Contains("700 tokens", error.Message);
        Assert.Throws<FlywheelException>(() => engine.Submit(Greedy([], 1)));
        Assert.Contains("261", Assert.Throws<FlywheelException>(() => engine.Submit(Greedy([261], 1))).Message);
    }

    [Theory]
    [InlineData("temperature", -1f)]
    [InlineData("top_p", -0.1f)]
    [InlineData("min_p", 2f)]
    [InlineData("repetition_penalty", 0f)]
    public async Task Submit_OptionOutOfRange_NamesIt(string name, float value)
    {
        await using InferenceEngine engine = TestEngine.Open();
        var options = new SamplerOptions();
        options = name switch { "temperature" => options with { Temperature = value }, "top_p" => options with { TopP = value },
            "min_p" => options with { MinP = value }, _ => options with { RepetitionPenalty = value } };
        var error = Assert.Throws<FlywheelException>(() => engine.Submit(new() { PromptTokens = [1], MaxTokens = 1, Sampler = options }));
        Assert.StartsWith($"{name} is {value}", error.Message);
    }

    [Fact]
    public async Task Submit_AnswerReachesLongestText_EndsWithLength()
    {
        await using InferenceEngine engine = TestEngine.Open();
        GenerationStream stream = engine.Submit(Greedy(new int[690], 100));
        Assert.Equal(10, (await stream.Tokens.ToListAsync()).Count);
        Assert.Equal(FinishReason.Length, stream.FinishReason);
    }

    // Long answers and pages for little more than one of them: the newest gives way, reads its text again, and goes on.
    [Theory]
    [InlineData(25)]
    [InlineData(40)]
    public async Task Submit_MoreThanFits_WaitsAndGivesTheSameResult(int pages)
    {
        await using InferenceEngine engine =
            TestEngine.Open(options: new EngineOptions { Threads = 2, MaxBatch = 6, CacheBytes = pages * 16384 });
        await using InferenceEngine single = TestEngine.Open(options: new EngineOptions { Threads = 1, MaxBatch = 1, Speculate = false });
        GenerationRequest[] requests = [.. Enumerable.Range(0, 10).Select(i => new GenerationRequest
        {
            PromptTokens = [.. Enumerable.Range(0, 40 + 37 * i).Select(t => (t * 3 + i / 3) % 261)],
            MaxTokens = 250,
            Sampler = new() { Seed = (ulong)i, Temperature = 0.8f, FrequencyPenalty = i % 2 },
        })];
        List<SampledToken>[] together =
            await Task.WhenAll(requests.Select(request => engine.Submit(request).Tokens.ToListAsync().AsTask()));
        for (int i = 0; i < requests.Length; i++) TestEngine.AssertSame(await single.Submit(requests[i]).Tokens.ToListAsync(), together[i]);
        Assert.True(engine.Loop.NumPostponed > 0, "nobody had to give way");
    }

    [Fact]
    public async Task Submit_MoreThanQueue_RefusedThenAcceptedAgain()
    {
        await using InferenceEngine engine = TestEngine.Open(options: new EngineOptions { MaxBatch = 1, MaxQueue = 2, Threads = 1 });
        using var cancel = new CancellationTokenSource();
        GenerationStream[] streams = [.. Enumerable.Range(0, 3).Select(_ => engine.Submit(Greedy([1], 600), cancel.Token))];
        Assert.Throws<QueueFullException>(() => engine.Submit(Greedy([1], 1)));
        await cancel.CancelAsync();
        foreach (GenerationStream stream in streams)
        {
            await stream.Tokens.ToListAsync();
            Assert.Equal(FinishReason.Cancelled, stream.FinishReason);
        }
        Assert.Single(await engine.Submit(Greedy([1], 1)).Tokens.ToListAsync());
    }

    [Fact]
    public async Task Tokens_LeftEarly_FreesThePlace()
    {
        await using InferenceEngine engine = TestEngine.Open(options: new EngineOptions { MaxBatch = 1, MaxQueue = 0, Threads = 1 });
        await foreach (SampledToken token in engine.Submit(Greedy([1], 600)).Tokens) break;
        while (engine.Loop.NumLive > 0) await Task.Yield();
        Assert.Single(await engine.Submit(Greedy([1], 1)).Tokens.ToListAsync());
    }

    [Fact]
    public async Task Dispose_WhileStreaming_EndsRunningAndRefusesNew()
    {
        InferenceEngine engine = TestEngine.Open(options: new EngineOptions { MaxBatch = 2, Threads = 2 });
        GenerationStream[] streams = [.. Enumerable.Range(0, 4).Select(i => engine.Submit(Greedy([i], 50)))];
        ValueTask ended = engine.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => engine.Submit(Greedy([1], 1)));
        foreach (GenerationStream stream in streams) Assert.Equal(50, (await stream.Tokens.ToListAsync()).Count);
        await ended;
        await engine.DisposeAsync();
    }

    [Fact]
    public async Task Steps_AfterWarmUp_AllocateNothing()
    {
        // 20 pages: soon full
        await using InferenceEngine engine = TestEngine.Open(options: new EngineOptions { Threads = 2, CacheBytes = 20 * 16384 });
        long least = long.MaxValue; // of runs: a table that grows once is no allocation a token
        for (int run = 0; run < 6; run++)
        {
            long before = engine.Loop.StepAllocatedBytes;
            int[] prompt = [.. Enumerable.Range(0, 150).Select(i => (i + 50 * run) % 261)];
            await engine.Submit(Greedy(prompt, 200) with { Sampler = new() { TopP = 0.9f, TopK = 40, MinP = 0.01f } }).Tokens.ToListAsync();
            if (run >= 4) least = Math.Min(least, engine.Loop.StepAllocatedBytes - before);
        }
        Assert.Equal(0, least);
    }

    // Prompts that begin alike are computed once, whether they run together or one after the other, with the same bits.
    [Fact]
    public async Task Prefix_Shared_ComputedOnceWithTheSameResult()
    {
        GenerationRequest[] requests = [.. Enumerable.Range(0, 12).Select(i => new GenerationRequest
        {
            PromptTokens = [.. Enumerable.Range(0, 300).Select(t => t * 5 % 261), .. Enumerable.Repeat(i / 2, 1 + 20 * (i % 3))],
            MaxTokens = 50,
            Sampler = new() { Seed = (ulong)i },
        })];
        var alone = new List<List<SampledToken>>();
        foreach (GenerationRequest request in requests)
        {
            await using InferenceEngine fresh = TestEngine.Open(options: new EngineOptions { Threads = 1 });
            alone.Add(await fresh.Submit(request).Tokens.ToListAsync());
        }
        await using InferenceEngine engine = TestEngine.Open(options: new EngineOptions { Threads = 2, MaxBatch = 7 });
        for (int round = 0; round < 2; round++)
        {
            List<SampledToken>[] together =
                await Task.WhenAll(requests.Select(request => engine.Submit(request).Tokens.ToListAsync().AsTask()));
            for (int i = 0; i < requests.Length; i++) TestEngine.AssertSame(alone[i], together[i]);
        }
        // 300 equal tokens are 9 pages: all but the first request take them over, in the second round all.
        Assert.True(engine.Loop.NumSharedPages >= 9 * 23, $"{engine.Loop.NumSharedPages} pages were shared");
        // the 12 beyond those pages
        Assert.True(engine.Loop.NumCopiedTokens >= 12 * 12, $"{engine.Loop.NumCopiedTokens} tokens were copied");
    }

    // Texts that part somewhere in a page, for every type of cache: what the first holds before is copied, bit for bit.
    [Theory]
    [InlineData(KvType.Fp32)]
    [InlineData(KvType.Int16)]
    [InlineData(KvType.Int8)]
    public async Task Prefix_PartsWithinAPage_BeginningIsCopiedWithTheSameResult(KvType kv)
    {
        await using InferenceEngine engine = TestEngine.Open(options: new EngineOptions { Threads = 2, Kv = kv }),
            fresh = TestEngine.Open(options: new EngineOptions { Threads = 1, Kv = kv, CacheBytes = 1, MaxBatch = 1 },
                config: TestEngine.Config() with { MaxPositions = 32 });
        int[] known = [.. Enumerable.Range(0, 32).Select(t => t * 3 % 261)];
        await engine.Submit(Greedy(known, 1)).Tokens.ToListAsync();
        long copied = 0;
        foreach (int same in new[] { 0, 1, 7, 8, 9, 20, 27 })
        {
            int[] prompt = [.. known[..same], .. Enumerable.Range(0, 28 - same).Select(t => 200 + same + t)];
            await engine.Submit(Greedy(prompt, 4)).Tokens.ToListAsync(); // leaves its page, too
            TestEngine.AssertSame(await fresh.Submit(Greedy(prompt, 4)).Tokens.ToListAsync(),
                await engine.Submit(Greedy(prompt, 4)).Tokens.ToListAsync());
            copied += same >= 8 ? same : 0;
        }
        Assert.True(engine.Loop.NumCopiedTokens >= copied, $"{engine.Loop.NumCopiedTokens} tokens were copied, expected {copied}");
    }

    // Prompts that repeat themselves, sampled cold enough to follow them: guesses come right and change nothing.
    [Theory]
    [InlineData(0, 1)]
    [InlineData(0.3, 1)]
    [InlineData(0.3, 3)]
    public async Task Guesses_RepetitiveText_SameTokensInFewerSteps(float temperature, int streams)
    {
        await using InferenceEngine engine = TestEngine.Open(options: new EngineOptions { Threads = 2 });
        await using InferenceEngine plain = TestEngine.Open(options: new EngineOptions { Threads = 1, Speculate = false });
        GenerationRequest[] requests = [.. Enumerable.Range(0, streams).Select(i => new GenerationRequest
        {
            PromptTokens = [.. Enumerable.Range(0, 90).Select(t => t % 15 + i)],
            MaxTokens = 120,
            TopLogprobs = 2,
            Sampler = new() { Temperature = temperature, RepetitionPenalty = i == 2 ? 1.01f : 1, Seed = (ulong)i },
        })];
        List<SampledToken>[] guessed = await Task.WhenAll(requests.Select(request => engine.Submit(request).Tokens.ToListAsync().AsTask()));
        for (int i = 0; i < streams; i++) TestEngine.AssertSame(await plain.Submit(requests[i]).Tokens.ToListAsync(), guessed[i]);
        while (engine.Loop.NumLive > 0) await Task.Yield();
        Assert.True(engine.Loop.NumGuessed > 10, $"{engine.Loop.NumGuessed} tokens were guessed right");
        Assert.Equal(0, plain.Loop.NumGuessed);
    }

    [Fact]
    public async Task Prefix_OwnerCancelled_OthersComputeIt()
    {
        await using InferenceEngine engine = TestEngine.Open(options: new EngineOptions { Threads = 1 });
        int[] prompt = [.. Enumerable.Range(0, 600).Select(t => t * 7 % 261)];
        for (int round = 0; round < 10; round++)
        {
            prompt[0] = round;
            using var cancel = new CancellationTokenSource();
            GenerationStream owner = engine.Submit(Greedy(prompt, 5), cancel.Token), follower = engine.Submit(Greedy(prompt, 5));
            await cancel.CancelAsync();
            await owner.Tokens.ToListAsync();
            Assert.Equal(5, (await follower.Tokens.ToListAsync()).Count);
        }
    }

    // A cache that holds three longest texts: random prompts from a few stems, cancels, evictions.
    [Fact]
    public async Task Prefix_SmallCache_EvictsAndStaysExact()
    {
        ModelConfig config = TestEngine.Config() with { MaxPositions = 200 };
        await using InferenceEngine engine = TestEngine.Open(config,
            new EngineOptions { Threads = 1, MaxBatch = 4, CacheBytes = 21 * 2 * 2 * 2 * 16 * 32 * 4 });
        await using InferenceEngine single = TestEngine.Open(config,
            new EngineOptions { Threads = 1, MaxBatch = 1, CacheBytes = 7 * 2 * 2 * 2 * 16 * 32 * 4 });
        var random = new Random(3);
        var running = new List<Task>();
        for (int i = 0; i < 60; i++)
        {
            int stem = random.Next(4), length = random.Next(1, 150);
            var request =
                new GenerationRequest { PromptTokens = [.. Enumerable.Range(0, length).Select(t => (t * (stem + 2) + stem) % 261)],
                    MaxTokens = 40, Sampler = new() { Seed = (ulong)i } };
            using var cancel = new CancellationTokenSource();
            GenerationStream stream = engine.Submit(request, cancel.Token);
            if (random.Next(4) == 0) await cancel.CancelAsync();
            running.Add(CompareAsync());
            if (random.Next(2) == 0) await running[random.Next(running.Count)];

            async Task CompareAsync()
            {
                List<SampledToken> tokens = await stream.Tokens.ToListAsync();
                if (stream.FinishReason != FinishReason.Cancelled)
                    TestEngine.AssertSame(await single.Submit(request).Tokens.ToListAsync(), tokens);
            }
        }
        await Task.WhenAll(running);
        Assert.True(engine.Loop.NumSharedPages > 0);
    }

    [Fact]
    public async Task Idle_AfterWork_UsesNoProcessor()
    {
        await using InferenceEngine engine = TestEngine.Open(options: new EngineOptions { Threads = 3 });
        await engine.Submit(Greedy([1], 5)).Tokens.ToListAsync();
        for (int i = 0; i < 500 && engine.Loop.NumAwake > 0; i++) await Task.Delay(10);
        Assert.Equal(0, engine.Loop.NumAwake);
    }

    [Fact]
    public void Load_TruncatedOrWrongWeights_NamesTheFault()
    {
        using var folder = new TempFolder();
        string path = folder["model.safetensors"];
        TestEngine.WriteWeights(path, TestEngine.Config(), 1);
        using (SafetensorsFile file = SafetensorsFile.Open(path))
            Assert.Contains("expected [262",
                Assert.Throws<FlywheelException>(() =>
                    InferenceEngine.Load(file, TestEngine.Config() with { VocabSize = 262 }, null, new())).Message);
    }

    private static GenerationRequest Greedy(int[] prompt, int count) =>
        new() { PromptTokens = prompt, MaxTokens = count, Sampler = new() { Temperature = 0 } };
}
