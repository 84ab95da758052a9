using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Cli.Bench;

/// <summary>
/// Shapes of well-known models filled with random weights, as GGUF files that llama.cpp runs too: speed does not depend on
/// what the weights are.
/// </summary>
public static class RandomModel
{
    private const int PoolRows = 61; // no divisor of a matrix's rows, so that neighbours differ
    private const float Deviation = 0.02f;

    public static IReadOnlyDictionary<string, ModelConfig> Shapes { get; } = new Dictionary<string, ModelConfig>
    {
        ["14m"] = new() { ModelType = "llama", VocabSize = 8192, HiddenSize = 384, NumLayers = 6, NumHeads = 6, NumKvHeads = 6,
            HeadDim = 64, IntermediateSize = 1024, MaxPositions = 16384 },
        ["135m"] = new() { ModelType = "llama", VocabSize = 49152, HiddenSize = 576, NumLayers = 30, NumHeads = 9, NumKvHeads = 3,
            HeadDim = 64, IntermediateSize = 1536, MaxPositions = 16384 },
        ["600m"] = new() { VocabSize = 151936, HiddenSize = 1024, NumLayers = 28, NumHeads = 16, NumKvHeads = 8, HeadDim = 128,
            IntermediateSize = 3072, MaxPositions = 40960, RopeTheta = 1e6f },
    };

    /// <param name="folder">Where the file is kept; it is written when it is not there.</param>
    /// <param name="shape">One of <see cref="Shapes"/>.</param>
    /// <param name="format">What llama.cpp's quantiser would make.</param>
    /// <returns>The file's path.</returns>
    /// <exception cref="FlywheelException">The shape is unknown, or llama.cpp has no such format.</exception>
    public static string Write(string folder, string shape, WeightFormat format)
    {
        if (!Shapes.TryGetValue(shape, out ModelConfig? config))
            throw new FlywheelException($"shape is '{shape}', expected one of {string.Join(", ", Shapes.Keys)}");
        string path = Path.Combine(folder, $"random-{shape}-{format}.gguf");
        if (File.Exists(path)) return path;
        string arch = config.ModelType;
        var metadata = new GgufMetadata(path)
        {
            { "general.architecture", arch },
            { "general.name", $"random {shape}" },
            { "general.quantization_version", 2u },
            { $"{arch}.vocab_size", (uint)config.VocabSize },
            { $"{arch}.block_count", (uint)config.NumLayers },
            { $"{arch}.context_length", (uint)config.MaxPositions },
            { $"{arch}.embedding_length", (uint)config.HiddenSize },
            { $"{arch}.feed_forward_length", (uint)config.IntermediateSize },
            { $"{arch}.attention.head_count", (uint)config.NumHeads },
            { $"{arch}.attention.head_count_kv", (uint)config.NumKvHeads },
            { $"{arch}.attention.key_length", (uint)config.HeadDim },
            { $"{arch}.attention.value_length", (uint)config.HeadDim },
            { $"{arch}.attention.layer_norm_rms_epsilon", config.RmsNormEps },
            { $"{arch}.rope.freq_base", config.RopeTheta },
            { $"{arch}.rope.dimension_count", (uint)config.HeadDim },
            { "tokenizer.ggml.model", "no_vocab" },
        };
        GgufWriter.Write(path, metadata, [.. config.Tensors().Select(tensor =>
        {
            bool isVector = tensor.Shape.Length == 1;
            TensorType type = isVector ? TensorType.F32 : WeightMixture.TypeOf(format, config, tensor.Name, tensor.Shape);
            return (GgufNames.ToGguf(tensor.Name), type, tensor.Shape,
                (Action<Stream>)(stream => Fill(stream, type, tensor.Shape, isVector)));
        })]);
        return path;
    }

    /// <summary>A few random rows again and again: rounding to K-quants is slow.</summary>
    private static void Fill(Stream stream, TensorType type, long[] shape, bool isNorm)
    {
        var random = new Random((int)shape[0]);
        long rows = isNorm ? 1 : shape[0], columns = shape[^1];
        byte[][] pool = [.. Enumerable.Range(0, (int)Math.Min(rows, PoolRows)).Select(_ =>
        {
            float[] values = new float[columns];
            for (int i = 0; i < columns; i++)
                values[i] = isNorm ? 1 : Deviation * (float)(random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5) * 2;
            byte[] row = new byte[type.NumBytes(columns)];
            Quantization.Quantize(type, values, row);
            return row;
        })];
        for (long row = 0; row < rows; row++) stream.Write(pool[row % pool.Length]);
    }
}
