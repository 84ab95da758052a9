using System.Globalization;
using System.Text.Json.Nodes;
using Flywheel.Engine.Grammars;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

/// <summary>
/// Everything at once for a while: long and short prompts of common stems, adapters that are loaded anew, grammars, users,
/// priorities, cancellations, embeddings and scores, in a cache that is too small. FLYWHEEL_SOAK=50 runs fifty times as long.
/// </summary>
[Collection(Alone.Name)]
public sealed class SoakTests(ITestOutputHelper output)
{
    private const int Clients = 24, Requests = 600, Kinds = 40;

    private static readonly Tokenizer Tokens =
        Tokenizer.Train(["{\"name\": \"Ada\", \"age\": 36, \"tags\": [\"a\", \"b\"]}, null, true, false"], 300);

    private readonly ModelConfig _config = TestEngine.Config() with { VocabSize = Tokens.VocabSize,
        EosTokenIds = [Tokens.SpecialTokens[Tokenizer.MessageEnd]] };

    [Theory]
    [InlineData(1, KvType.Int16)]
    [InlineData(2, KvType.Int8)]
    public async Task Run_RandomLoad_AnswersAreThoseAloneAndNothingStays(int seed, KvType kv)
    {
        int length = int.Parse(Environment.GetEnvironmentVariable("FLYWHEEL_SOAK") ?? "1", CultureInfo.InvariantCulture);
        using var folder = new TempFolder();
        AdapterFolder[] adapters = [TestEngine.Adapter(folder["a"], _config, 5, 4, ["q_proj", "up_proj"]),
            TestEngine.Adapter(folder["b"], _config, 6, 9, ["v_proj", "down_proj"])];
        var random = new Random(seed);
        GenerationRequest[] kinds = [.. Enumerable.Range(0, Kinds).Select(i => Kind(i, random))];
        var alone = new List<List<SampledToken>>();
        float[] embedding, score;
        await using (InferenceEngine single = Open(new EngineOptions { Threads = 1, MaxBatch = 1, Speculate = false, Kv = kv }))
        {
            foreach (GenerationRequest kind in kinds) alone.Add(await single.Submit(kind).Tokens.ToListAsync());
            embedding = await single.EmbedAsync(kinds[0].PromptTokens, Pooling.Mean);
            score = await single.ScoreAsync(kinds[1].PromptTokens);
        }

        await using InferenceEngine engine =
            Open(new EngineOptions { Threads = 2, MaxBatch = 8, MaxQueue = 12, Kv = kv, CacheBytes = 120L * 16 * 1024 });
        int refused = 0, cancelled = 0, answered = 0;
        await RunAsync(Requests * length, seed); // everything has been as large as it gets
        long before = GC.GetTotalMemory(forceFullCollection: true);
        await RunAsync(Requests * length, seed + 100);
        long growth = GC.GetTotalMemory(forceFullCollection: true) - before;

        while (engine.NumLive > 0) await Task.Yield();
        output.WriteLine(
            $"{answered} answered, {cancelled} cancelled, {refused} refused, {engine.Loop.NumPostponed} postponed, {engine.Loop.NumSharedPages} pages and {engine.Loop.NumCopiedTokens} tokens shared, managed memory grew by {growth} bytes");
        Assert.Equal(0, engine.NumPagesInUse);
        Assert.Equal(0, engine.Loop.NumAccounts);
        Assert.InRange(growth, long.MinValue, 2 << 20);
        Assert.True(answered > Requests && cancelled > 20 && refused > 0 && engine.Loop.NumPostponed > 0,
            "the load was too light to show anything");

        InferenceEngine Open(EngineOptions options)
        {
            InferenceEngine opened = TestEngine.Open(_config, options, tokenizer: Tokens);
            for (int i = 0; i < adapters.Length; i++) opened.LoadAdapter($"{i}", adapters[i]);
            return opened;
        }

        Task RunAsync(int count, int first)
        {
            int left = count;
            return Task.WhenAll(Enumerable.Range(0, Clients).Select(client => Task.Run(async () =>
            {
                var chance = new Random(first * 1000 + client);
                while (Interlocked.Decrement(ref left) >= 0)
                {
                    try
                    {
                        await AskAsync(chance);
                    }
                    catch (QueueFullException)
                    {
                        Interlocked.Increment(ref refused);
                        Interlocked.Increment(ref left);
                        await Task.Delay(chance.Next(1, 20), TestContext.Current.CancellationToken);
                    }
                }
            })));
        }

        async Task AskAsync(Random chance)
        {
            switch (chance.Next(20))
            {
                case 0:
                    Assert.Equal(embedding, await engine.EmbedAsync(kinds[0].PromptTokens, Pooling.Mean));
                    return;
                case 1:
                    Assert.Equal(score, await engine.ScoreAsync(kinds[1].PromptTokens));
                    return;
                case 2:
                    int changed = chance.Next(adapters.Length);
                    engine.LoadAdapter($"{changed}", adapters[changed]); // those that run end on the one that they began with
                    return;
            }
            int kind = chance.Next(Kinds), until = chance.Next(4) == 0 ? chance.Next(0, 30) : int.MaxValue;
            using var cancel = new CancellationTokenSource();
            GenerationStream stream = engine.Submit(kinds[kind] with { User = $"{chance.Next(4)}", Priority = (Priority)chance.Next(3) },
                cancel.Token);
            var tokens = new List<SampledToken>();
            if (until == 0) await cancel.CancelAsync();
            await foreach (SampledToken token in stream.Tokens)
            {
                tokens.Add(token);
                if (tokens.Count == until) await cancel.CancelAsync();
            }
            if (stream.FinishReason == FinishReason.Cancelled)
            {
                TestEngine.AssertSame(alone[kind][..tokens.Count], tokens);
                Interlocked.Increment(ref cancelled);
                return;
            }
            TestEngine.AssertSame(alone[kind], tokens);
            Interlocked.Increment(ref answered);
        }
    }

    private GenerationRequest Kind(int i, Random random)
    {
        int stem = random.Next(3), stemLength = random.Next(5) == 0 ? 400 : random.Next(20, 90);
        return new GenerationRequest
        {
            PromptTokens = [.. Enumerable.Range(0, stemLength).Select(t => (t * (stem + 3) + stem) % 261),
                .. Enumerable.Range(0, random.Next(1, 60)).Select(t => i % 4 == 0 ? t % 9 : random.Next(261))],
            MaxTokens = i % 5 == 0 ? 200 : random.Next(1, 60),
            TopLogprobs = i % 3 == 0 ? 2 : 0,
            Adapter = i % 4 == 1 ? $"{random.Next(2)}" : null,
            Stop = i % 7 == 0 ? ["a"] : [],
            Sampler = new()
            {
                Seed = (ulong)i,
                Temperature = i % 3 * 0.5f,
                RepetitionPenalty = i % 6 == 5 ? 1.1f : 1,
                Grammar = i % 6 == 3
                    ? Grammar.FromJsonSchema(
                        JsonNode.Parse(
                            """{"type":"object","properties":{"tag":{"enum":["x","y"]},"n":{"type":"integer"}},"required":["tag","n"]}""")!).Source : null,
            },
        };
    }
}
