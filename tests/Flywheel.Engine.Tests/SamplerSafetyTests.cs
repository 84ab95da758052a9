using CsCheck;
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Sampling;
using Flywheel.Model;

namespace Flywheel.Engine.Tests;

/// <summary>Whatever finite numbers a request holds, a token of the tokenizer is sampled and nothing else is touched.</summary>
public class SamplerSafetyTests
{
    private static readonly KernelTable Kernels = KernelTable.Select(null);

    private static readonly Gen<float> Extreme = Gen.OneOf(
        OneOf<float>(0, float.Epsilon, 1e-40f, 2.9e-39f, 2.95e-39f, 1.1754944e-38f, 1e-20f, 1e-6f, 0.5f, 1, 2, 100, 1e20f, 3.4e38f,
            float.MaxValue),
        Gen.Int.Select(BitConverter.Int32BitsToSingle).Where(float.IsFinite));

    private static readonly Gen<float> Positive = Extreme.Select(MathF.Abs);

    private static readonly Gen<float> Fraction = Gen.OneOf(Positive.Where(value => value <= 1), Gen.Float[0, 1]);

    private static readonly Gen<SamplerOptions> Options =
        from temperature in Positive
        from topK in Gen.OneOf(Gen.Const(0), Gen.Int[0, int.MaxValue], Gen.Int[1, 5])
        from topP in Fraction
        from minP in Fraction
        from repetition in Positive.Where(value => value > 0)
        from presence in Extreme
        from frequency in Extreme
        from bias in Gen.Select(Gen.Int[0, 39], Extreme).Array[0, 40]
        from seed in Gen.ULong
        select new SamplerOptions
        {
            Temperature = temperature, TopK = topK, TopP = topP, MinP = minP, RepetitionPenalty = repetition, PresencePenalty = presence,
            FrequencyPenalty = frequency,
            LogitBias = bias.DistinctBy(pair => pair.Item1).ToDictionary(pair => pair.Item1, pair => pair.Item2), Seed = seed,
        };

    [Fact]
    public unsafe void Next_AnyFiniteOptions_SamplesATokenWithFiniteLogprobsAndTouchesNothingElse()
    {
        const int size = 40, guard = 64;
        Gen.Select(Options, Gen.Float[-50, 50].Array[size]).Sample((options, logits) =>
        {
            var ids = new TokenIds(size);
            options.Validate(ids);
            using var arena = new NativeArena();
            var buffer = new Span<float>(arena.Allocate<float>(guard + size + guard), guard + size + guard);
            buffer.Fill(12345);
            logits.CopyTo(buffer[guard..]);
            var scratch = new SamplerScratch(arena, size);
            var sampler = new Sampler(options, [0, 1, 39]);
            for (int position = 0; position < 6; position++)
            {
                fixed (float* first = buffer) AssertSane(sampler.Next(Kernels, first + guard, ids, position, scratch), ids);
                Assert.Equal(logits, buffer.Slice(guard, size).ToArray());
                Assert.False(buffer[..guard].ContainsAnyExcept(12345) || buffer[(guard + size)..].ContainsAnyExcept(12345));
            }
        }, iter: 2000);
    }

    [Theory]
    [InlineData(1e-40f)]
    [InlineData(float.Epsilon)]
    [InlineData(2.9e-39f)]
    public void Next_TemperatureWithoutReciprocal_IsGreedy(float temperature)
    {
        float[] logits = [1, 3, 2, 3];
        foreach (SamplerOptions options in new SamplerOptions[] { new() { Temperature = temperature },
            new() { Temperature = temperature, TopK = 2, TopP = 0.9f } })
            Assert.Equal((1, 0), (Draw(logits, options, new TokenIds(4)).Id, Draw(logits, options, new TokenIds(4)).SamplerLogprob));
    }

    [Fact]
    public void Next_PaddedVocabulary_NeverSamplesThePadding()
    {
        float[] logits = new float[300];
        Array.Fill(logits, 50f, 259, 41); // the padding is what the model likes best
        TokenIds ids = Padded(300);
        foreach (SamplerOptions options in new SamplerOptions[] { new() { Temperature = 0 }, new() { Temperature = 1e30f },
            new() { TopP = 0.5f }, new() { RepetitionPenalty = 2, PresencePenalty = 1 } })
            for (ulong seed = 0; seed < 50; seed++) AssertSane(Draw(logits, options with { Seed = seed }, ids), ids);
    }

    [Fact]
    public void Next_AllForbidden_SaysSo()
    {
        var bias = new Dictionary<int, float> { [0] = float.NegativeInfinity, [1] = float.NegativeInfinity };
        Assert.Contains("no token is left",
            Assert.Throws<FlywheelException>(() => Draw([1, 2], new() { LogitBias = bias }, new TokenIds(2))).Message);
    }

    [Fact]
    public void Next_LogitsThatAreNoNumbers_FailsInsteadOfSampling()
    {
        foreach (float bad in new[] { float.NaN, float.PositiveInfinity })
            foreach (float temperature in new[] { 0f, 1 })
                Assert.Throws<InvalidOperationException>(() =>
                    Draw([0, 1, bad, 2, 0, 0, 0, 0, 0, 0], new() { Temperature = temperature }, new TokenIds(10)));
    }

    [Fact]
    public async Task Generate_PaddedVocabularyAndAnyOptions_GivesTokensOfTheTokenizer()
    {
        Tokenizer tokenizer = Tokenizer.Train([], Tokenizer.MinVocabSize);
        ModelConfig config = TestEngine.Config() with { VocabSize = 300, EosTokenIds = [2, 299] };
        await using InferenceEngine engine = TestEngine.Open(config, tokenizer: tokenizer);
        TokenIds ids = Padded(300);
        await Gen.Select(Options, OneOf<string?>(null, "root ::= [ab]{3}", "root ::= [^x]*")).SampleAsync(async (options, grammar) =>
        {
            var request = new GenerationRequest { PromptTokens = [70, 71, 258], MaxTokens = 4, TopLogprobs = 259,
                Sampler = options with { Grammar = grammar } };
            foreach (SampledToken token in await engine.Submit(request).Tokens.ToListAsync())
            {
                AssertSane(new Draw(token.Id, token.Logprob, token.SamplerLogprob), ids);
                Assert.Equal(259, token.Top.Count);
                Assert.All(token.Top, top => Assert.True(ids.Contains(top.Id) && float.IsFinite(top.Logprob)));
            }
        }, iter: 150);
    }

    [Fact]
    public async Task Submit_IdsWithoutAToken_AreRefused()
    {
        await using InferenceEngine engine = TestEngine.Open(TestEngine.Config() with { VocabSize = 300 },
            tokenizer: Tokenizer.Train([], Tokenizer.MinVocabSize));
        var request = new GenerationRequest { PromptTokens = [1], MaxTokens = 1 };
        Assert.Contains("259", Assert.Throws<FlywheelException>(() => engine.Submit(request with { PromptTokens = [1, 259] })).Message);
        Assert.Contains("logit_bias is 299",
            Assert.Throws<FlywheelException>(() =>
                engine.Submit(request with { Sampler = new() { LogitBias = new Dictionary<int, float> { [299] = 1 } } })).Message);
        Assert.Contains("top_logprobs is 260",
            Assert.Throws<FlywheelException>(() => engine.Submit(request with { TopLogprobs = 260 })).Message);
    }

    [Fact]
    public void TokenIds_VocabularyWithGaps_HoldsNoneOfThem()
    {
        string json =
            """{"model":{"type":"BPE","vocab":{"a":0,"b":3},"merges":[]},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"}}""";
        var ids = new TokenIds(8, Tokenizer.Parse(System.Text.Encoding.UTF8.GetBytes(json), "test"));
        Assert.Equal([0, 3], Enumerable.Range(-1, 10).Where(ids.Contains));
        Assert.Equal((4, 2, true), (ids.End, ids.Count, ids.HasGaps));
        for (ulong seed = 0; seed < 40; seed++)
            AssertSane(Draw([0, 9, 9, 0, 9, 9, 9, 9], new() { Temperature = seed % 2, Seed = seed }, ids), ids);
    }

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static TokenIds Padded(int vocabSize) => new(vocabSize, Tokenizer.Train([], Tokenizer.MinVocabSize));

    private static void AssertSane(Draw draw, TokenIds ids)
    {
        Assert.True(ids.Contains(draw.Id), $"token {draw.Id}");
        Assert.True(float.IsFinite(draw.Logprob) && float.IsFinite(draw.SamplerLogprob) && draw.SamplerLogprob <= 1e-6f, $"{draw}");
    }

    private static unsafe Draw Draw(float[] logits, SamplerOptions options, TokenIds ids)
    {
        using var arena = new NativeArena();
        float* buffer = arena.Allocate<float>(logits.Length);
        logits.CopyTo(new Span<float>(buffer, logits.Length));
        return new Sampler(options, []).Next(Kernels, buffer, ids, 0, new SamplerScratch(arena, logits.Length));
    }
}
