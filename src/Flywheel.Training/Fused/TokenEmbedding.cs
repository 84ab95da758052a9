// N tokens, C channels, V vocabulary.
using System.Numerics.Tensors;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>Rows of the embedding by token id: [V, C] to [N, C]. Its gradient is added to its grad, token by token.</summary>
internal sealed unsafe class TokenEmbedding : autograd.SingleTensorFunction<TokenEmbedding>
{
    public override string Name => nameof(TokenEmbedding);

    public static Tensor Apply(Tensor table, long[] tokens) => apply(table, tokens);

    public override Tensor forward(autograd.AutogradContext context, params object[] arguments)
    {
        (Tensor table, long[] tokens) = ((Tensor)arguments[0], (long[])arguments[1]);
        context.save_data("tokens", tokens);
        context.save_for_backward([table]);
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
        Tensor g = gradient.contiguous(), table = context.get_saved_variables()[0];
        if (!table.requires_grad) return [null!, null!];
        float* source = Rows.Floats(g), output = Rows.Floats(Gradients.Of(table));
        for (int row = 0; row < tokens.Length; row++)
        {
            Span<float> sum = new(output + tokens[row] * channels, channels);
            TensorPrimitives.Add(sum, new ReadOnlySpan<float>(source + (long)row * channels, channels), sum);
        }
        return [null!, null!];
    }
}
