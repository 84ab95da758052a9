// N tokens, C channels, V vocabulary.
using System.Numerics.Tensors;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>Rows of the embedding by token id: [V, C] to [N, C]. Its gradient is summed in the order of the tokens.</summary>
internal sealed unsafe class TokenEmbedding : autograd.SingleTensorFunction<TokenEmbedding>
{
    public override string Name => nameof(TokenEmbedding);

    public static Tensor Apply(Tensor table, long[] tokens) => apply(table, tokens);

    public override Tensor forward(autograd.AutogradContext context, params object[] arguments)
    {
        (Tensor table, long[] tokens) = ((Tensor)arguments[0], (long[])arguments[1]);
        context.save_data("tokens", tokens);
        context.save_data("vocabulary", table.shape[0]);
        int channels = (int)table.shape[1];
        Tensor x = empty(tokens.Length, channels);
        float* source = Rows.Floats(table), output = Rows.Floats(x);
        for (int row = 0; row < tokens.Length; row++)
            new ReadOnlySpan<float>(source + tokens[row] * channels, channels).CopyTo(new Span<float>(output + (long)row * channels, channels));
        return x;
    }

    public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
    {
        long[] tokens = (long[])context.get_data("tokens");
        int channels = (int)gradient.shape[1];
        Tensor g = gradient.contiguous(), dTable = zeros((long)context.get_data("vocabulary"), channels);
        float* source = Rows.Floats(g), output = Rows.Floats(dTable);
        for (int row = 0; row < tokens.Length; row++)
        {
            Span<float> sum = new(output + tokens[row] * channels, channels);
            TensorPrimitives.Add(sum, new ReadOnlySpan<float>(source + (long)row * channels, channels), sum);
        }
        return [dTable, null!];
    }
}
