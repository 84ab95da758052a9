using System.Runtime.Intrinsics;
using Flywheel.Engine.Grammars;
using Flywheel.Engine.Kernels;

namespace Flywheel.Engine.Sampling;

/// <summary>What one draw gave; see <see cref="SampledToken"/>.</summary>
internal readonly record struct Draw(int Id, float Logprob, float SamplerLogprob);

/// <summary>Buffers of one thread that samples, for a vocabulary of a given size.</summary>
internal sealed unsafe class SamplerScratch(NativeArena arena, int vocabSize)
{
    /// <summary>[V] logits after penalties.</summary>
    public float* Adjusted { get; } = arena.Allocate<float>(vocabSize);

    /// <summary>[V] unnormalised probabilities; the best has 1.</summary>
    public float* Weights { get; } = arena.Allocate<float>(vocabSize);

    /// <summary>[V] candidates as sortable numbers: see <see cref="Sampler"/>.</summary>
    public ulong* Keys { get; } = arena.Allocate<ulong>(vocabSize);
}

/// <summary>
/// Chooses the next token of one request. Top-k, top-p and min-p each keep a head of the tokens in order of
/// probability (ties by id), so together they keep the shortest of three heads.
/// </summary>
internal sealed unsafe class Sampler(SamplerOptions options, ReadOnlySpan<int> prompt, GrammarCursor? grammar = null)
{
    private readonly TokenCounts? _counts = options is { RepetitionPenalty: 1, PresencePenalty: 0, FrequencyPenalty: 0 } ? null : new(prompt);
    private readonly KeyValuePair<int, float>[] _bias = [.. options.LogitBias ?? new Dictionary<int, float>()];

    /// <param name="kernels">Inner loops.</param>
    /// <param name="logits">[V]</param>
    /// <param name="vocabSize">V</param>
    /// <param name="position">Number of the token in the answer, from 0: the counter of the random numbers.</param>
    /// <param name="scratch">The calling thread's buffers.</param>
    public Draw Next(KernelTable kernels, float* logits, int vocabSize, int position, SamplerScratch scratch)
    {
        float* summary = stackalloc float[2];
        kernels.LogSumExp(logits, vocabSize, summary);
        float normalizer = summary[0] + MathF.Log(summary[1]);
        float* adjusted = logits;
        if (_counts is not null || _bias.Length > 0 || grammar is not null)
        {
            adjusted = scratch.Adjusted;
            new ReadOnlySpan<float>(logits, vocabSize).CopyTo(new Span<float>(adjusted, vocabSize));
            _counts?.Apply(options, adjusted);
            foreach ((int token, float bias) in _bias) adjusted[token] += bias;
            grammar?.Apply(adjusted, vocabSize);
        }
        float largest = adjusted == logits ? summary[0] : Largest(adjusted, vocabSize);
        (int id, float samplerLogprob) = options.Temperature == 0 ? (First(adjusted, vocabSize, largest), 0f) : Sample(kernels, adjusted, vocabSize, largest, position, scratch);
        _counts?.Add(id);
        grammar?.Accept(id);
        return new Draw(id, logits[id] - normalizer, samplerLogprob);
    }

    /// <summary>
    /// What would be drawn from another model's logits with the same random number, without penalties, bias and grammar.
    /// Changes nothing.
    /// </summary>
    public (int Id, float Logprob) Guess(KernelTable kernels, float* logits, int vocabSize, int position, SamplerScratch scratch)
    {
        if (options.Temperature != 0) return Sample(kernels, logits, vocabSize, Largest(logits, vocabSize), position, scratch);
        float* summary = stackalloc float[2];
        kernels.LogSumExp(logits, vocabSize, summary);
        int best = First(logits, vocabSize, summary[0]);
        return (best, logits[best] - summary[0] - MathF.Log(summary[1]));
    }

    private (int Id, float Logprob) Sample(KernelTable kernels, float* logits, int vocabSize, float largest, int position, SamplerScratch scratch)
    {
        float* weights = scratch.Weights;
        kernels.Exponentials(logits, weights, vocabSize, largest, 1 / options.Temperature);
        double total = Sum(weights, vocabSize), uniform = Philox.Uniform(options.Seed, (ulong)position);
        if (options is { TopK: 0, TopP: 1, MinP: 0 })
        {
            int id = Find(weights, vocabSize, uniform * total);
            return (id, (float)Math.Log(weights[id] / total));
        }

        ulong* keys = scratch.Keys;
        int kept = Head(weights, vocabSize, total, keys);
        double mass = 0;
        for (int i = 0; i < kept; i++) mass += Weight(keys[i]);
        double aim = uniform * mass, sum = 0;
        int chosen = 0;
        while (chosen < kept - 1 && (sum += Weight(keys[chosen])) <= aim) chosen++;
        return ((int)(uint)keys[chosen], (float)Math.Log(Weight(keys[chosen]) / mass));
    }

    /// <summary>Puts the tokens that are kept into <paramref name="keys"/>, best first, and returns how many.</summary>
    private int Head(float* weights, int vocabSize, double total, ulong* keys)
    {
        int kept = Candidates(weights, vocabSize, total, keys);
        new Span<ulong>(keys, kept).Sort();
        if (options.TopK > 0 && options.TopK < kept) kept = options.TopK;
        if (options.TopP < 1)
        {
            double mass = options.TopK > 0 ? 0 : total;
            if (options.TopK > 0) for (int i = 0; i < kept; i++) mass += Weight(keys[i]);
            double needed = options.TopP * mass, sum = 0;
            int count = 0;
            while (count < kept && sum < needed) sum += Weight(keys[count++]);
            kept = count;
        }
        while (kept > 1 && Weight(keys[kept - 1]) < options.MinP) kept--;
        return Math.Max(kept, 1);
    }

    /// <summary>
    /// Collects tokens above a threshold that is low enough to hold everything that is kept: sorting a few hundred
    /// instead of a whole vocabulary.
    /// </summary>
    private int Candidates(float* weights, int vocabSize, double total, ulong* keys)
    {
        for (float threshold = 1 / 128f; ; threshold /= 64)
        {
            if (threshold < 1e-9f) threshold = float.Epsilon;
            int count = 0;
            double mass = 0;
            for (int id = 0; id < vocabSize; id++)
            {
                if (weights[id] < threshold) continue;
                keys[count++] = Key(weights[id], id);
                mass += weights[id];
            }
            bool enough = options.TopK > 0 ? count >= options.TopK : mass >= options.TopP * total || threshold <= options.MinP;
            if (enough || threshold == float.Epsilon) return count;
        }
    }

    /// <summary>Sorts ascending as weight descending, then id ascending: bits of a float that is not negative keep its order.</summary>
    private static ulong Key(float weight, int id) => (ulong)~BitConverter.SingleToUInt32Bits(weight) << 32 | (uint)id;

    private static float Weight(ulong key) => BitConverter.UInt32BitsToSingle(~(uint)(key >> 32));

    /// <summary>Where the sum of weights passes a target; the last one with weight, should rounding let it slip past the end.</summary>
    private static int Find(float* weights, int n, double target)
    {
        const int block = 64; // of whole blocks the sum is enough
        double passed = 0;
        int i = 0;
        for (double sum; i + block <= n && passed + (sum = Sum(weights + i, block)) <= target; i += block) passed += sum;
        for (; i < n; i++)
            if (weights[i] > 0 && (passed += weights[i]) > target) return i;
        while (weights[--i] == 0) { }
        return i;
    }

    /// <summary>The first of the largest.</summary>
    private static int First(float* logits, int n, float largest) =>
        Math.Max(0, new ReadOnlySpan<float>(logits, n).IndexOf(largest)); // none when a defect has made them all NaN

    private static float Largest(float* values, int n)
    {
        Vector256<float> most = Vector256.Create(float.NegativeInfinity);
        int i = 0;
        for (; i + 8 <= n; i += 8) most = Vector256.Max(most, Vector256.Load(values + i));
        float largest = VectorKernels.Largest(most);
        for (; i < n; i++) largest = MathF.Max(largest, values[i]);
        return largest;
    }

    private static double Sum(float* weights, int n)
    {
        Vector256<double> low = Vector256<double>.Zero, high = low;
        int i = 0;
        for (; i + 8 <= n; i += 8)
        {
            (Vector256<double> a, Vector256<double> b) = Vector256.Widen(Vector256.Load(weights + i));
            low += a;
            high += b;
        }
        double sum = Vector256.Sum(low + high);
        for (; i < n; i++) sum += weights[i];
        return sum;
    }
}

/// <summary>Which tokens a request has seen, and how often its answer holds each.</summary>
internal sealed unsafe class TokenCounts
{
    private readonly Dictionary<int, int> _answer = [];

    public TokenCounts(ReadOnlySpan<int> prompt)
    {
        foreach (int id in prompt) _answer[id] = 0;
    }

    public void Add(int id) => _answer[id] = _answer.GetValueOrDefault(id) + 1;

    public void Apply(SamplerOptions options, float* logits)
    {
        foreach ((int id, int count) in _answer)
        {
            float logit = logits[id];
            logit = logit > 0 ? logit / options.RepetitionPenalty : logit * options.RepetitionPenalty;
            if (count > 0) logit -= options.PresencePenalty + count * options.FrequencyPenalty;
            logits[id] = logit;
        }
    }
}
