// N tokens, C channels, V vocabulary.
using System.Numerics.Tensors;

namespace Flywheel.Training;

/// <summary>Rows of the embedding by token id: [V, C] to [N, C]. Its gradient is summed in the order of the tokens.</summary>
internal static unsafe class TokenEmbedding
{
    public static Tensor Forward(Tensor table, long[] tokens)
    {
        int channels = (int)table.shape[1];
        Tensor x = Arena.Empty(tokens.Length, channels);
        float* source = Rows.Floats(table), output = Rows.Floats(x);
        for (int row = 0; row < tokens.Length; row++)
            new ReadOnlySpan<float>(source + tokens[row] * channels,
                channels).CopyTo(new Span<float>(output + (long)row * channels, channels));
        return x;
    }

    /// <param name="g">[N, C].</param>
    /// <param name="tokens">[N].</param>
    /// <param name="dTable">[V, C], added to.</param>
    public static void Backward(Tensor g, long[] tokens, Tensor dTable)
    {
        int channels = (int)g.shape[1];
        float* source = Rows.Floats(g), output = Rows.Floats(dTable);
        for (int row = 0; row < tokens.Length; row++)
        {
            Span<float> sum = new(output + tokens[row] * channels, channels);
            TensorPrimitives.Add(sum, new ReadOnlySpan<float>(source + (long)row * channels, channels), sum);
        }
    }
}
