using System.Diagnostics.CodeAnalysis;
using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>
/// How weights are held. A file of ggml's blocks (GGUF) is taken as it is, whatever is asked for; other files are rounded
/// when they are loaded, as <c>llama-quantize</c> would.
/// </summary>
[SuppressMessage("Naming", "CA1707", Justification = "ggml's own names")]
public enum WeightFormat
{
    /// <summary>Four bytes a weight.</summary>
    Fp32,

    /// <summary>Two bytes; exact for models that were trained in it.</summary>
    Bf16,

    F16,

    /// <summary>Blocks of 32 weights in int8 with an fp16 scale: 8.5 bits a weight. Activations are rounded the same way, as for all that
    /// follow.</summary>
    Q8_0,

    /// <summary>6.6 bits a weight.</summary>
    Q6_K,

    /// <summary>4.9 bits a weight and more: most in Q4_K, the output and half of the value and down projections in Q6_K. For models of
    /// hundreds of millions of weights.</summary>
    Q4_K_M,

    /// <summary>4.5 bits a weight, the output in Q6_K. The fastest, and the least exact.</summary>
    Q4_0,
}

/// <summary>The type of each matrix: the mixtures of llama.cpp's quantiser.</summary>
public static class WeightMixture
{
    /// <summary>The kind of GGUF file that holds a model in this format.</summary>
    public static ExportType ExportTypeOf(WeightFormat format) => ExportType.Parse(format == WeightFormat.Fp32 ? "f32" : format.ToString());

    /// <param name="format">What the whole model is to be held in.</param>
    /// <param name="config">Its shape.</param>
    /// <param name="name">A matrix, by Hugging Face's name.</param>
    /// <param name="shape">Its shape.</param>
    public static TensorType TypeOf(WeightFormat format, ModelConfig config, string name, long[] shape)
    {
        ExportType kind = ExportTypeOf(format);
        TensorType type = kind.Choose(config, name, shape);
        // Where a file must fall back to fp16 for rows of odd length, panels are padded.
        return kind.Matrix.IsQuantized() && type == TensorType.F16 ? TensorType.Q8_0 : type;
    }
}
