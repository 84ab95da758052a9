using System.Numerics.Tensors;
using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Cli.Bench;

/// <summary>How well a text is predicted.</summary>
/// <param name="Perplexity">exp of the mean negative log-probability of the text's tokens.</param>
/// <param name="Divergence">Mean Kullback-Leibler divergence from fp32's distribution of the next token, nats.</param>
/// <param name="SameBest">Part of the tokens before which the most likely one is fp32's.</param>
public sealed record Quality(double Perplexity, double Divergence, double SameBest);

/// <summary>What rounding of weights, or of keys and values, costs in accuracy, against fp32.</summary>
/// <param name="Weights">The kind of GGUF file.</param>
/// <param name="Kv">How keys and values are held.</param>
/// <param name="Ours">This engine.</param>
/// <param name="Theirs">llama.cpp on the same file and tokens, where it was asked.</param>
public sealed record QualityFigures(ExportType Weights, KvType Kv, Quality Ours, Quality? Theirs);

/// <summary>Measures quality instead of assuming it.</summary>
public static class QualityBenchmark
{
    private const int MaxLength = 512, LeastTokens = 3;

    /// <param name="model">Model folder.</param>
    /// <param name="text">Cut into pieces that fit the model.</param>
    /// <param name="versus">Build folder of llama.cpp to compare with.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">The text is too short.</exception>
    public static async Task<IReadOnlyList<QualityFigures>> RunAsync(ModelFolder model, string text, string? versus = null,
        CancellationToken cancellation = default)
    {
        int length = Math.Min(MaxLength, model.Config.MaxPositions);
        (int[][] pieces, int firstScored) = Cut(model, text, length);
        bool isLong = firstScored > 1;
        if (versus is not null && !isLong)
            throw new FlywheelException($"the text has {pieces.Sum(piece => piece.Length)} tokens, llama.cpp wants at least {2 * length}");
        string folder = Directory.CreateTempSubdirectory("flywheel-quality-").FullName;
        InferenceEngine? exact = null;
        try
        {
            LlamaPerplexity? llama = versus is null ? null : new LlamaPerplexity(versus, folder, text, length, pieces.Length);
            var figures = new List<QualityFigures>();
            foreach (ExportType type in ExportType.All)
            {
                string path = Path.Combine(folder, type.Name + ".gguf");
                ModelExport.ToGguf(model, path, type);
                foreach (KvType kv in Caches(type))
                {
                    InferenceEngine engine = Load(path, model, type, kv);
                    exact ??= engine; // fp32, which comes first
                    Quality ours = await CompareAsync(engine, exact, pieces, firstScored, cancellation);
                    if (engine != exact) await engine.DisposeAsync();
                    figures.Add(new QualityFigures(type, kv, ours,
                        llama is null ? null : await llama.RunAsync(path, kv, model.Config.HeadDim)));
                }
                File.Delete(path);
            }
            return figures;
        }
        finally
        {
            if (exact is not null) await exact.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Weights and cache are rounded one at a time, and once both as they are served.</summary>
    private static KvType[] Caches(ExportType type) => type.Name switch
    {
        "f32" => Enum.GetValues<KvType>(),
        "q8_0" => [KvType.Fp32, KvType.Int16],
        _ => [KvType.Fp32],
    };

    /// <summary>
    /// As llama.cpp has it: whole pieces, each beginning as a text does, of which the second half is scored, because the first
    /// lacks context. A short text counts as it is.
    /// </summary>
    private static (int[][] Pieces, int FirstScored) Cut(ModelFolder model, string text, int length)
    {
        int[] tokens = model.Tokenizer.EncodeWhole(text);
        if (tokens.Length < LeastTokens)
            throw new FlywheelException($"the text has {tokens.Length} tokens, expected at least {LeastTokens}");
        bool isLong = tokens.Length >= 2 * length;
        int[][] pieces = [.. tokens.Chunk(length).Where(piece => piece.Length >= (isLong ? length : LeastTokens))];
        if (model.Tokenizer.EncodeWhole("") is [int begin, ..])
            foreach (int[] piece in pieces) piece[0] = begin;
        return (pieces, isLong ? length / 2 + 1 : 1);
    }

    private static InferenceEngine Load(string path, ModelFolder model, ExportType type, KvType kv)
    {
        using GgufFile file = GgufFile.Open(path);
        // blocks stay what they are
        WeightFormat format = type.Matrix switch { TensorType.F16 => WeightFormat.F16, TensorType.BF16 => WeightFormat.Bf16,
            _ => WeightFormat.Fp32 };
        return InferenceEngine.Load(file, model.Config, model.Tokenizer, new EngineOptions { Weights = format, Kv = kv });
    }

    private static async Task<Quality> CompareAsync(InferenceEngine engine, InferenceEngine exact, int[][] pieces, int firstScored,
        CancellationToken cancellation)
    {
        double loss = 0, divergence = 0;
        int same = 0, count = 0;
        foreach (int[] piece in pieces)
        {
            Task<float[]> found = engine.LogitsAsync(piece, firstScored - 1, cancellation),
                expected = engine == exact ? found : exact.LogitsAsync(piece, firstScored - 1, cancellation);
            float[] logits = await found, others = await expected;
            int vocabulary = logits.Length / (piece.Length - firstScored + 1);
            for (int i = firstScored, at = 0; i < piece.Length; i++, count++, at += vocabulary)
            {
                ReadOnlySpan<float> row = logits.AsSpan(at, vocabulary), reference = others.AsSpan(at, vocabulary);
                double normalizer = LogSumExp(row);
                loss += normalizer - row[piece[i]];
                divergence += Divergence(reference, row, normalizer);
                if (row.IndexOf(Max(row)) == reference.IndexOf(Max(reference))) same++;
            }
        }
        return new Quality(Math.Exp(loss / count), divergence / count, (double)same / count);
    }

    private static double Divergence(ReadOnlySpan<float> logits, ReadOnlySpan<float> others, double otherNormalizer)
    {
        double normalizer = LogSumExp(logits), sum = 0;
        for (int i = 0; i < logits.Length; i++)
            sum += Math.Exp(logits[i] - normalizer) * (logits[i] - normalizer - (others[i] - otherNormalizer));
        return sum;
    }

    private static double LogSumExp(ReadOnlySpan<float> logits)
    {
        double largest = Max(logits), sum = 0;
        foreach (float logit in logits) sum += Math.Exp(logit - largest);
        return largest + Math.Log(sum);
    }

    private static float Max(ReadOnlySpan<float> logits) => TensorPrimitives.Max(logits);
}
