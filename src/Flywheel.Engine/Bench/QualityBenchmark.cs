using Flywheel.Model;

namespace Flywheel.Engine.Bench;

/// <summary>What rounding of weights, or of keys and values, costs in accuracy, against fp32.</summary>
/// <param name="Format">How weights are held.</param>
/// <param name="Kv">How keys and values are held.</param>
/// <param name="Perplexity">exp of the mean negative log-probability of the texts' tokens.</param>
/// <param name="Divergence">Mean Kullback-Leibler divergence from fp32's distribution of the next token, nats.</param>
/// <param name="SameBest">Part of the positions where the most likely token is fp32's.</param>
/// <param name="Theirs">Perplexity and divergence that llama.cpp finds with the same blocks on the same tokens, where it was asked.</param>
public sealed record QualityFigures(WeightFormat Format, KvType Kv, double Perplexity, double Divergence, double SameBest, (double Perplexity, double Divergence)? Theirs);

/// <summary>Measures quality instead of assuming it.</summary>
public static class QualityBenchmark
{
    /// <param name="model">Model folder.</param>
    /// <param name="text">Cut into pieces that fit the model.</param>
    /// <param name="versus">Build folder of llama.cpp to compare with.</param>
    /// <param name="positions">Positions at which whole distributions are compared, spread over the text.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">The text is too short.</exception>
    public static async Task<IReadOnlyList<QualityFigures>> RunAsync(ModelFolder model, string text, string? versus = null, int positions = 200, CancellationToken cancellation = default)
    {
        const int least = 3;
        int[] tokens = model.Tokenizer.EncodeWhole(text);
        if (tokens.Length < least) throw new FlywheelException($"the text has {tokens.Length} tokens, expected at least {least}");
        int length = Math.Min(512, model.Config.MaxPositions);
        // As llama.cpp has it: whole pieces, of which the second half is scored, because the first lacks context. A short text counts as it is.
        bool isLong = tokens.Length >= 2 * length;
        int[][] pieces = [.. tokens.Chunk(length).Where(piece => piece.Length >= (isLong ? length : least))];
        int firstScored = isLong ? length / 2 + 1 : 1;
        if (versus is not null && !isLong) throw new FlywheelException($"the text has {tokens.Length} tokens, llama.cpp wants at least {2 * length}");
        using LlamaPerplexity? llama = versus is null ? null : new LlamaPerplexity(versus, model, text, length);
        // The same places for every format; each sees at least one token before it.
        int[] places = [.. Enumerable.Range(0, positions).Select(i => 2 + (int)((long)i * (tokens.Length - 2) / positions)).Distinct()];
        int[][] prefixes = [.. places.Select(place => tokens[(place / length * length)..place]).Where(prefix => prefix.Length > 0)];

        var figures = new List<QualityFigures>();
        float[][] exact = [];
        EngineOptions[] variants =
        [
            .. Enum.GetValues<WeightFormat>().Select(format => new EngineOptions { Weights = format, Kv = KvType.Fp32 }),
            new() { Weights = WeightFormat.Fp32, Kv = KvType.Fp16 },
            new() { Weights = WeightFormat.Fp32, Kv = KvType.Int8 },
            new(), // what is served
        ];
        foreach (EngineOptions options in variants)
        {
            await using InferenceEngine engine = InferenceEngine.Load(model, options);
            double sum = 0;
            foreach (int[] piece in pieces) sum -= (await engine.ScoreAsync(piece, cancellation)).Skip(firstScored).Sum(logprob => (double)logprob);
            var logits = new float[prefixes.Length][];
            for (int i = 0; i < prefixes.Length; i++) logits[i] = await engine.LogitsAsync(prefixes[i], cancellation);
            if (figures.Count == 0) exact = logits;
            figures.Add(new QualityFigures(options.Weights, options.KvType, Math.Exp(sum / pieces.Sum(piece => piece.Length - firstScored)),
                exact.Zip(logits, Divergence).Average(), exact.Zip(logits, (a, b) => Best(a) == Best(b) ? 1.0 : 0).Average(),
                llama is null || options.Kv != KvType.Fp32 ? null : await llama.RunAsync(options.Weights)));
        }
        return figures;
    }

    private static double Divergence(float[] logits, float[] others)
    {
        double a = Normalizer(logits), b = Normalizer(others), sum = 0;
        for (int i = 0; i < logits.Length; i++) sum += Math.Exp(logits[i] - a) * (logits[i] - a - (others[i] - b));
        return sum;
    }

    private static double Normalizer(float[] logits)
    {
        double largest = logits.Max();
        return largest + Math.Log(logits.Sum(logit => Math.Exp(logit - largest)));
    }

    private static int Best(float[] logits) => Array.IndexOf(logits, logits.Max());
}
