using System.Runtime.Intrinsics;
using Flywheel.Engine.Grammars;
using Flywheel.Engine.Kernels;
using Flywheel.Model;

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
/// probability (ties by id), so together they keep the shortest of three heads. Whatever the options hold, as long as
/// they are finite, the token is one of <see cref="TokenIds"/> and both log-probabilities are finite.
/// </summary>
internal sealed unsafe class Sampler(SamplerOptions options, ReadOnlySpan<int> prompt, GrammarCursor? grammar = null)
{
    private readonly TokenCounts? _counts = options is { RepetitionPenalty: 1, PresencePenalty: 0, FrequencyPenalty: 0 }
        ? null : new(prompt);
    private readonly KeyValuePair<int, float>[] _bias = [.. options.LogitBias ?? new Dictionary<int, float>()];

    // A temperature whose reciprocal is no number divides every difference into infinity: the best alone is left.
    private readonly bool _greedy = float.IsInfinity(1 / options.Temperature);

    /// <param name="kernels">Inner loops.</param>
    /// <param name="logits">[V]</param>
    /// <param name="ids">Which of the V may be sampled.</param>
    /// <param name="position">Number of the token in the answer, from 0: the counter of the random numbers.</param>
    /// <param name="scratch">The calling thread's buffers.</param>
    /// <exception cref="FlywheelException">Bias and grammar together forbid every token.</exception>
    public Draw Next(KernelTable kernels, float* logits, TokenIds ids, int position, SamplerScratch scratch)
    {
        float* summary = stackalloc float[2];
        kernels.LogSumExp(logits, ids.VocabSize, summary);
        float normalizer = summary[0] + MathF.Log(summary[1]);
        if (!float.IsFinite(normalizer)) throw new InvalidOperationException("the model's logits are not all numbers");
        float* adjusted = logits;
        if (_counts is not null || _bias.Length > 0 || grammar is not null || ids.HasGaps)
        {
            adjusted = scratch.Adjusted;
            new ReadOnlySpan<float>(logits, ids.End).CopyTo(new Span<float>(adjusted, ids.End));
            ids.ForbidGaps(adjusted);
            _counts?.Apply(options, new Span<float>(adjusted, ids.End));
            foreach ((int token, float bias) in _bias) AddBias(ref new Span<float>(adjusted, ids.End)[token], bias);
            grammar?.Apply(adjusted, ids.End);
        }
        float largest = adjusted == logits && ids.End == ids.VocabSize ? summary[0] : Largest(adjusted, ids.End);
        if (float.IsNegativeInfinity(largest))
            throw new FlywheelException("no token is left to sample: logit_bias and grammar together forbid all");
        (int id, float samplerLogprob) = _greedy
            ? (First(adjusted, ids.End, largest), 0f) : Sample(kernels, adjusted, ids.End, largest, position, scratch);
        if (!ids.Contains(id)) throw new InvalidOperationException($"token {id} was sampled, which the model does not have");
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
        float* summary = stackalloc float[2];
        kernels.LogSumExp(logits, vocabSize, summary);
        if (!float.IsFinite(summary[0] + summary[1])) return (0, float.NegativeInfinity); // no guess; the model itself decides
        if (!_greedy) return Sample(kernels, logits, vocabSize, summary[0], position, scratch);
        int best = First(logits, vocabSize, summary[0]);
        return (best, logits[best] - summary[0] - MathF.Log(summary[1]));
    }

    /// <summary>A ban stays one; everything else stays a number that differences can be taken of.</summary>
    private static void AddBias(ref float logit, float bias) =>
        logit = float.IsNegativeInfinity(bias) ? bias : TokenCounts.Bounded((double)logit + bias);

    private (int Id, float Logprob) Sample(KernelTable kernels, float* logits, int vocabSize, float largest, int position,
        SamplerScratch scratch)
    {
        float* weights = scratch.Weights;
        kernels.Exponentials(logits, weights, vocabSize, largest, 1 / options.Temperature);
        double total = Sum(weights, vocabSize), uniform = Philox.Uniform(options.Seed, (ulong)position);
        if (options is { TopK: 0, TopP: 1, MinP: 0 })
        {
            int id = Find(new ReadOnlySpan<float>(weights, vocabSize), uniform * total);
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
    private static int Find(ReadOnlySpan<float> weights, double target)
    {
        const int block = 64; // of whole blocks the sum is enough
        double passed = 0;
        int i = 0;
        fixed (float* first = weights)
            for (double sum; i + block <= weights.Length && passed + (sum = Sum(first + i, block)) <= target; i += block) passed += sum;
        for (; i < weights.Length; i++)
            if (weights[i] > 0 && (passed += weights[i]) > target) return i;
        int last = weights.LastIndexOfAnyExcept(0);
        return last >= 0 ? last : throw new InvalidOperationException("no token has a weight");
    }

    /// <summary>The first of the largest.</summary>
    private static int First(float* logits, int n, float largest) => new ReadOnlySpan<float>(logits, n).IndexOf(largest);

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
internal sealed class TokenCounts
{
    /// <summary>Far beyond every model's logits, and the difference of two is still a number.</summary>
    private const double Most = 1e30;

    private readonly Dictionary<int, int> _answer = [];

    public TokenCounts(ReadOnlySpan<int> prompt)
    {
        foreach (int id in prompt) _answer[id] = 0;
    }

    public void Add(int id) => _answer[id] = _answer.GetValueOrDefault(id) + 1;

    /// <param name="options">The penalties.</param>
    /// <param name="logits">[V]</param>
    public void Apply(SamplerOptions options, Span<float> logits)
    {
        foreach ((int id, int count) in _answer)
        {
            if (float.IsNegativeInfinity(logits[id])) continue;
            double logit = logits[id];
            logit = logit > 0 ? logit / options.RepetitionPenalty : logit * options.RepetitionPenalty;
            if (count > 0) logit -= options.PresencePenalty + (double)count * options.FrequencyPenalty;
            logits[id] = Bounded(logit);
        }
    }

    /// <summary>Penalties and biases may be any numbers; what they make of a logit stays one.</summary>
    public static float Bounded(double logit) => (float)Math.Clamp(logit, -Most, Most);
}
