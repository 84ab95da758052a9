// N rows, F width of the branch.
using System.Numerics.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>silu(gate) * up on the halves of each row (Shazeer 2020, arXiv 2002.05202): [N, 2F] to [N, F].</summary>
internal sealed unsafe class SwiGlu : autograd.SingleTensorFunction<SwiGlu>
{
    public override string Name => nameof(SwiGlu);

    /// <param name="gateUp">[N, 2F]: gate first, then up.</param>
    public static Tensor Apply(Tensor gateUp) => apply(gateUp);

    public override Tensor forward(autograd.AutogradContext context, params object[] arguments)
    {
        var x = (Tensor)arguments[0];
        context.save_for_backward([x]);
        int width = (int)x.shape[1] / 2;
        Tensor y = empty(x.shape[0], width);
        (nint xs, nint ys) = ((nint)Rows.Floats(x), (nint)Rows.Floats(y));
        Rows.ForEach(x.shape[0], 2 * width, (_, first, end) =>
        {
            for (int row = first; row < end; row++)
            {
                float* gate = (float*)xs + (long)row * 2 * width;
                var output = new Span<float>((float*)ys + (long)row * width, width);
                TensorPrimitives.Sigmoid(new ReadOnlySpan<float>(gate, width), output);
                TensorPrimitives.Multiply(output, new ReadOnlySpan<float>(gate, width), output);
                TensorPrimitives.Multiply(output, new ReadOnlySpan<float>(gate + width, width), output);
            }
        });
        return y;
    }

    /// <summary>With s = sigmoid(gate): dup = g * gate * s, dgate = g * up * s * (1 + gate * (1 - s)).</summary>
    public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
    {
        Tensor x = context.get_saved_variables()[0], g = gradient.contiguous(), dx = empty_like(x);
        int width = (int)x.shape[1] / 2;
        (nint xs, nint gs, nint dxs) = ((nint)Rows.Floats(x), (nint)Rows.Floats(g), (nint)Rows.Floats(dx));
        Rows.ForEach(x.shape[0], 4 * width, (_, first, end) =>
        {
            Span<float> sigmoid = new float[width];
            for (int row = first; row < end; row++)
            {
                float* start = (float*)xs + (long)row * 2 * width, out0 = (float*)dxs + (long)row * 2 * width;
                var gate = new ReadOnlySpan<float>(start, width);
                var up = new ReadOnlySpan<float>(start + width, width);
                var output = new ReadOnlySpan<float>((float*)gs + (long)row * width, width);
                Span<float> dGate = new(out0, width), dUp = new(out0 + width, width);
                TensorPrimitives.Sigmoid(gate, sigmoid);
                TensorPrimitives.Multiply(gate, sigmoid, dUp); // silu
                TensorPrimitives.Subtract(1f, sigmoid, dGate);
                TensorPrimitives.MultiplyAdd(dUp, dGate, sigmoid, dGate); // s + silu (1 - s) = silu's derivative
                TensorPrimitives.Multiply(dGate, up, dGate);
                TensorPrimitives.Multiply(dGate, output, dGate);
                TensorPrimitives.Multiply(dUp, output, dUp);
            }
        });
        return [dx];
    }
}
