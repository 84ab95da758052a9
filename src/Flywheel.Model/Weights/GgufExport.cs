namespace Flywheel.Model;

/// <summary>Writes models as GGUF files that llama.cpp loads.</summary>
public static class GgufExport
{
    /// <summary>Numbers of a tensor that are in memory at a time.</summary>
    private const int ChunkSize = 1 << 20;

    /// <param name="path">The file to write.</param>
    /// <param name="model">What to write.</param>
    /// <param name="type">Which type each tensor gets; null keeps what they have.</param>
    /// <exception cref="FlywheelException">Something in the model cannot be said in GGUF, or the disk is full; nothing is
    /// written.</exception>
    public static void Write(string path, ModelFolder model, ExportType? type)
    {
        var metadata = new GgufMetadata(path)
        {
            { "general.architecture", GgufConfig.Architecture(model.Config) },
            { "general.type", "model" },
            { "general.name", model.Manifest.Name },
        };
        if (model.Manifest.Licence is { } licence) metadata.Add("general.license", licence);
        using IWeightFile weights = model.OpenWeights();
        metadata.Add("general.file_type", type?.FileType ?? KeptFileType(weights));
        metadata.Add("general.quantization_version", 2u);
        GgufConfig.Write(model.Config, metadata);
        GgufTokenizer.Write(model, metadata);
        Write(path, model.Config, metadata, weights, type);
    }

    /// <summary>The same from bare weights, with whatever metadata.</summary>
    public static void Write(string path, ModelConfig config, GgufMetadata metadata, IWeightFile weights, ExportType? type)
    {
        bool interleaved = GgufConfig.Architecture(config) == "llama";
        List<(string, TensorType, long[], Action<Stream>)> tensors = [];
        foreach ((string name, long[] shape) in config.Tensors())
        {
            TensorInfo source = weights.Require(name, shape);
            TensorType target = type?.Choose(config, name, shape) ?? (shape.Length < 2 ? TensorType.F32 : source.Type);
            int headDim =
                interleaved && (name.Contains("q_proj", StringComparison.Ordinal) || name.Contains("k_proj", StringComparison.Ordinal))
                    ? config.HeadDim : 0;
            tensors.Add((GgufNames.ToGguf(name), target, shape, stream => WriteTensor(weights, source, target, headDim, stream)));
        }
        if (config.RopeScaling?.Type == RopeScalingType.Llama3)
        {
            float[] factors = GgufConfig.Llama3Factors(config);
            tensors.Add((GgufConfig.RopeFactors, TensorType.F32, [factors.Length],
                stream => SafetensorsWriter.WriteFloats(stream, factors, TensorType.F32)));
        }
        GgufWriter.Write(path, metadata, tensors);
    }

    /// <summary>A source in GGUF says it; else it follows from the type of the matrices.</summary>
    private static uint KeptFileType(IWeightFile weights) =>
        (uint)((weights as GgufFile)?.Metadata.Integer("general.file_type")
            ?? (int)(ExportType.All.FirstOrDefault(type => type.Matrix == weights.Tensors["model.embed_tokens.weight"].Type)?.FileType
                ?? 0));

    /// <summary>Converts rows by the chunk, on all cores; rows that have the type already are copied.</summary>
    internal static void WriteTensor(IWeightFile weights, TensorInfo source, TensorType target, int headDim, Stream stream)
    {
        int columns = checked((int)source.NumColumns), targetBytes = (int)target.NumBytes(columns);
        long rows = source.NumElements / columns;
        int atOnce = (int)Math.Clamp(ChunkSize / columns, 1, rows);
        byte[] chunk = new byte[(long)atOnce * targetBytes];
        for (long first = 0; first < rows; first += atOnce)
        {
            int count = (int)Math.Min(atOnce, rows - first);
            Parallel.For(0, count, () => source.Type == target ? [] : new float[columns], (i, _, buffer) =>
            {
                long row = headDim == 0 ? first + i : GgufFile.Deinterleave(first + i, headDim);
                Span<byte> bytes = chunk.AsSpan(i * targetBytes, targetBytes);
                if (source.Type == target)
                {
                    weights.ReadRow(source, row, bytes);
                    return buffer;
                }
                weights.ReadFloats(source, row * columns, buffer);
                if (buffer.AsSpan().ContainsAnyExceptInRange(-float.MaxValue, float.MaxValue))
                    throw new FlywheelException($"{weights.Path}: tensor '{source.Name}' has a value in row {row} that is not finite");
                Quantization.Quantize(target, buffer, bytes);
                return buffer;
            }, _ => { });
            stream.Write(chunk.AsSpan(0, count * targetBytes));
        }
    }
}
