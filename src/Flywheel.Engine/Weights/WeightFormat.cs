using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Flywheel.Engine.Kernels;
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

    /// <summary>Blocks of 32 weights in int8 with an fp16 scale: 8.5 bits a weight. Activations are rounded the same way, as for all that follow.</summary>
    Q8_0,

    /// <summary>6.6 bits a weight.</summary>
    Q6_K,

    /// <summary>4.9 bits a weight and more: most in Q4_K, the output and half of the value and down projections in Q6_K. For models of hundreds of millions of weights.</summary>
    Q4_K_M,

    /// <summary>4.5 bits a weight, the output in Q6_K. The fastest, and the least exact.</summary>
    Q4_0,
}

/// <summary>The type of each matrix: the mixtures of llama.cpp's quantiser.</summary>
public static class WeightMixture
{
    private const string LayerPrefix = "model.layers.";

    /// <param name="format">What the whole model is to be held in.</param>
    /// <param name="config">Its shape.</param>
    /// <param name="name">A matrix, by Hugging Face's name.</param>
    /// <param name="columns">Its inputs.</param>
    public static TensorType TypeOf(WeightFormat format, ModelConfig config, string name, long columns)
    {
        // Errors of the output reach every token.
        bool isOutput = name == (config.TieEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight");
        TensorType type = format switch
        {
            WeightFormat.Fp32 => TensorType.F32,
            WeightFormat.Bf16 => TensorType.BF16,
            WeightFormat.F16 => TensorType.F16,
            WeightFormat.Q8_0 => TensorType.Q8_0,
            _ when format == WeightFormat.Q6_K || isOutput || (format == WeightFormat.Q4_K_M && HasMoreBits(name, config.NumLayers)) => TensorType.Q6_K,
            WeightFormat.Q4_0 => TensorType.Q4_0,
            _ => TensorType.Q4_K,
        };
        if (!PanelLayout.HasSuperBlocks(type) || columns % type.BlockSize() == 0) return type;
        return type == TensorType.Q6_K ? TensorType.Q8_0 : TensorType.Q5_0;
    }

    /// <summary>Values and down projections of the first and last eighth of the layers and of every third between.</summary>
    private static bool HasMoreBits(string name, int numLayers)
    {
        if (!name.EndsWith(".v_proj.weight", StringComparison.Ordinal) && !name.EndsWith(".down_proj.weight", StringComparison.Ordinal)) return false;
        int layer = int.Parse(name.AsSpan(LayerPrefix.Length, name.IndexOf('.', LayerPrefix.Length) - LayerPrefix.Length), CultureInfo.InvariantCulture);
        return layer < numLayers / 8 || layer >= 7 * numLayers / 8 || (layer - numLayers / 8) % 3 == 2;
    }
}
