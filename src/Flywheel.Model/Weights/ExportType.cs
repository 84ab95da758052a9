namespace Flywheel.Model;

/// <summary>
/// A kind of GGUF file: which type each tensor gets. The choices are llama-quantize's (ggml-org/llama.cpp,
/// src/llama-quant.cpp), so that a file of ours holds what a file of theirs would.
/// </summary>
/// <param name="Name">As it is asked for, such as <c>q4_k_m</c>.</param>
/// <param name="FileType">general.file_type.</param>
/// <param name="Matrix">What matrices are unless something else is said.</param>
/// <param name="Medium">The mixture that spends more bits on the matrices that matter most.</param>
public sealed record ExportType(string Name, uint FileType, TensorType Matrix, bool Medium = false)
{
    public static IReadOnlyList<ExportType> All { get; } =
    [
        new("f32", 0, TensorType.F32), new("f16", 1, TensorType.F16), new("bf16", 32, TensorType.BF16), new("q8_0", 7, TensorType.Q8_0),
        new("q4_0", 2, TensorType.Q4_0),
        new("q4_k", 14, TensorType.Q4_K), new("q4_k_m", 15, TensorType.Q4_K, Medium: true), new("q5_k", 16, TensorType.Q5_K),
        new("q5_k_m", 17, TensorType.Q5_K, Medium: true), new("q6_k", 18, TensorType.Q6_K),
    ];

    /// <exception cref="FlywheelException">There is no such type.</exception>
    public static ExportType Parse(string name) => All.FirstOrDefault(type => type.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
        ?? throw new FlywheelException($"--type is '{name}'{NearestName.Hint(name, [.. All.Select(type => type.Name)])}");

    /// <param name="config">The model's.</param>
    /// <param name="name">Hugging Face's name of a tensor.</param>
    /// <param name="shape">Its shape.</param>
    public TensorType Choose(ModelConfig config, string name, long[] shape)
    {
        if (shape.Length < 2) return TensorType.F32; // norms and biases
        if (!Matrix.IsQuantized()) return Matrix;
        long columns = shape[^1];
        TensorType type = Matrix;
        if (name == (config.TieEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"))
            type = Matrix == TensorType.Q8_0 || columns % Matrix.BlockSize() != 0 ? TensorType.Q8_0 : TensorType.Q6_K;
        else if (ModelConfig.LayerOf(name) is { } layer)
        {
            int layers = config.NumLayers;
            bool value = name.EndsWith("v_proj.weight", StringComparison.Ordinal),
                down = name.EndsWith("down_proj.weight", StringComparison.Ordinal);
            bool edge = layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
            if (Medium && edge && (value || down)) type = TensorType.Q6_K;
            else if (Name == "q4_k" && (value && layer < 4 || down && layer < layers / 8)) type = TensorType.Q5_K;
        }
        if (columns % type.BlockSize() != 0)
            type = type switch { TensorType.Q4_K => TensorType.Q5_0, TensorType.Q5_K => TensorType.Q5_1, _ => TensorType.Q8_0 };
        return columns % type.BlockSize() == 0 ? type : TensorType.F16;
    }
}
