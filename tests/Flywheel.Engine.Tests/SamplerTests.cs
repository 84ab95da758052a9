using CsCheck;
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Sampling;
using Flywheel.Model;

namespace Flywheel.Engine.Tests;

public unsafe class SamplerTests
{
    private static readonly KernelTable Kernels = KernelTable.Select(null);

    // Known answers of the authors' library (Random123, kat_vectors).
    [Fact]
    public void Philox_KnownAnswers_Equal()
    {
        Assert.Equal((0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u), Philox.Block((0, 0, 0, 0), (0, 0)));
        Assert.Equal((0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu), Philox.Block((~0u, ~0u, ~0u, ~0u), (~0u, ~0u)));
        Assert.Equal((0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u),
            Philox.Block((0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344), (0xa4093822, 0x299f31d0)));
    }

    public static TheoryData<float, int, float, float> Settings => new()
    {
        { 1, 0, 1, 0 }, { 0.7f, 0, 1, 0 }, { 1.5f, 0, 1, 0 }, { 1, 5, 1, 0 }, { 1, 0, 0.8f, 0 }, { 1, 0, 1, 0.2f },
        { 0.9f, 8, 0.9f, 0.05f },
    };

    [Theory]
    [MemberData(nameof(Settings))]
    public void Draws_ManySeeds_FollowTheDistribution(float temperature, int topK, float topP, float minP)
    {
        var random = new Random(11);
        float[] logits = [.. Enumerable.Range(0, 40).Select(_ => (float)(2 * TestEngine.Normal(random)))];
        var options = new SamplerOptions { Temperature = temperature, TopK = topK, TopP = topP, MinP = minP };
        double[] expected = Naive(logits, options);
        const int draws = 20_000;
        int[] counts = new int[logits.Length];
        for (int i = 0; i < draws; i++) counts[Next(logits, options with { Seed = (ulong)(i / 100) }, i % 100).Id]++;
        double chiSquare = 0;
        int cells = 0;
        for (int id = 0; id < counts.Length; id++)
        {
            if (expected[id] == 0) Assert.Equal(0, counts[id]);
            if (expected[id] * draws < 5) continue;
            chiSquare += Math.Pow(counts[id] - expected[id] * draws, 2) / (expected[id] * draws);
            cells++;
        }
        // 99.9% of the chi-square distribution, by Wilson and Hilferty's approximation.
        int freedom = Math.Max(1, cells - 1);
        double limit = freedom * Math.Pow(1 - 2.0 / (9 * freedom) + 3.09 * Math.Sqrt(2.0 / (9 * freedom)), 3);
        Assert.True(chiSquare < limit, $"chi-square {chiSquare:F1} with {freedom} degrees of freedom, expected below {limit:F1}");
    }

    [Fact]
    public void Kept_RandomOptions_EqualsNaiveReference()
    {
        Gen.Select(Gen.Int[2, 300], Gen.Int[0, 1_000_000]).Sample((size, seed) =>
        {
            var random = new Random(seed);
            float spread = (float)(random.NextDouble() * 6);
            float[] logits = [.. Enumerable.Range(0, size).Select(_ => (float)(spread * TestEngine.Normal(random)))];
            var options = new SamplerOptions
            {
                Temperature = (float)(0.2 + 2 * random.NextDouble()),
                TopK = random.Next(3) == 0 ? 0 : random.Next(size + 5),
                TopP = random.Next(3) == 0 ? 1 : (float)(0.05 + 0.95 * random.NextDouble()),
                MinP = random.Next(3) == 0 ? 0 : (float)random.NextDouble(),
                RepetitionPenalty = random.Next(3) == 0 ? 1 : 1.3f,
                PresencePenalty = random.Next(3) == 0 ? 0 : 0.5f,
                FrequencyPenalty = random.Next(3) == 0 ? 0 : 0.25f,
                LogitBias = random.Next(3) == 0 ? null : new Dictionary<int, float> { [random.Next(size)] = 2,
                    [size / 2] = float.NegativeInfinity },
                Seed = (ulong)seed,
            };
            int[] prompt = [random.Next(size), random.Next(size)];
            var sampler = new Sampler(options, prompt);
            var answer = new List<int>();
            using var arena = new NativeArena();
            float* buffer = arena.Allocate<float>(size);
            var scratch = new SamplerScratch(arena, size);
            for (int position = 0; position < 8; position++)
            {
                logits.CopyTo(new Span<float>(buffer, size));
                Draw draw = sampler.Next(Kernels, buffer, new TokenIds(size), position, scratch);
                double[] expected = Naive(Penalise(logits, options, prompt, answer), options);
                Assert.True(expected[draw.Id] > 0, $"token {draw.Id} should have been cut");
                Assert.Equal(Math.Log(expected[draw.Id]), draw.SamplerLogprob, 1e-4);
                Assert.Equal(logits[draw.Id] - TestEngine.LogSumExp(logits), draw.Logprob, 1e-4);
                answer.Add(draw.Id);
            }
        }, iter: 300);
    }

    [Fact]
    public void TopK_Ties_KeepsTheLowestIds()
    {
        float[] logits = [1, 3, 3, 3, 0];
        var seen = Enumerable.Range(0, 200).Select(i => Next(logits, new() { TopK = 2, Seed = 3 }, i).Id).ToHashSet();
        Assert.Equal([1, 2], seen.Order());
    }

    [Fact]
    public void Greedy_WithPenalties_TakesTheBestAfterThem()
    {
        float[] logits = [2, 1.9f, -5];
        Assert.Equal(new Draw(0, Next(logits, new() { Temperature = 0 }, 0).Logprob, 0), Next(logits, new() { Temperature = 0 }, 0));
        using var arena = new NativeArena();
        float* buffer = arena.Allocate<float>(3);
        var sampler = new Sampler(new() { Temperature = 0, PresencePenalty = 1 }, []);
        int[] ids = new int[3];
        for (int i = 0; i < 3; i++)
        {
            logits.CopyTo(new Span<float>(buffer, 3));
            ids[i] = sampler.Next(Kernels, buffer, new TokenIds(3), i, new SamplerScratch(arena, 3)).Id;
        }
        Assert.Equal([0, 1, 0], ids);
    }

    private static Draw Next(float[] logits, SamplerOptions options, int position)
    {
        using var arena = new NativeArena();
        float* buffer = arena.Allocate<float>(logits.Length);
        logits.CopyTo(new Span<float>(buffer, logits.Length));
        return new Sampler(options, []).Next(Kernels, buffer, new TokenIds(logits.Length), position,
            new SamplerScratch(arena, logits.Length));
    }

    private static float[] Penalise(float[] logits, SamplerOptions options, int[] prompt, List<int> answer)
    {
        float[] result = [.. logits];
        foreach (int id in prompt.Concat(answer).Distinct())
        {
            result[id] = result[id] > 0 ? result[id] / options.RepetitionPenalty : result[id] * options.RepetitionPenalty;
            int count = answer.Count(token => token == id);
            if (count > 0) result[id] -= options.PresencePenalty + options.FrequencyPenalty * count;
        }
        foreach ((int id, float bias) in options.LogitBias ?? new Dictionary<int, float>()) result[id] += bias;
        return result;
    }

    /// <summary>The definition, with full sorts in double: probabilities of every token.</summary>
    private static double[] Naive(float[] logits, SamplerOptions options)
    {
        double largest = logits.Max();
        var kept = logits.Select((logit, id) => (Id: id, P: Math.Exp((logit - largest) / options.Temperature))).Where(entry => entry.P > 0)
            .OrderByDescending(entry => entry.P).ThenBy(entry => entry.Id).ToList();
        if (options.TopK > 0) kept = [.. kept.Take(options.TopK)];
        if (options.TopP < 1)
        {
            double total = kept.Sum(entry => entry.P), sum = 0;
            int count = 0;
            while (sum < options.TopP * total) sum += kept[count++].P;
            kept = [.. kept.Take(count)];
        }
        kept = [.. kept.Where(entry => entry.P >= options.MinP * kept[0].P)];
        double[] result = new double[logits.Length];
        foreach ((int id, double p) in kept) result[id] = p / kept.Sum(entry => entry.P);
        return result;
    }
}
