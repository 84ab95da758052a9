// N rows, F width of the branch.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
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
            for (int row = first; row < end; row++) Forward((float*)xs + (long)row * 2 * width, (float*)ys + (long)row * width, width);
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
            for (int row = first; row < end; row++) Backward((float*)xs + (long)row * 2 * width, (float*)gs + (long)row * width, (float*)dxs + (long)row * 2 * width, width);
        });
        return [dx];
    }

    private static Vector256<float> Sigmoid(Vector256<float> x) => Vector256<float>.One / (Vector256<float>.One + Exponential.Of(-x));

    private static void Forward(float* x, float* y, int width)
    {
        int i = 0;
        for (; i <= width - 8; i += 8)
        {
            Vector256<float> gate = Vector256.Load(x + i);
            (gate * Sigmoid(gate) * Vector256.Load(x + width + i)).Store(y + i);
        }
        for (; i < width; i++)
        {
            float gate = x[i];
            y[i] = gate * Sigmoid(Vector256.Create(gate)).ToScalar() * x[width + i];
        }
    }

    private static void Backward(float* x, float* g, float* dx, int width)
    {
        int i = 0;
        for (; i <= width - 8; i += 8)
        {
            (Vector256<float> dGate, Vector256<float> dUp) = Backward(Vector256.Load(x + i), Vector256.Load(x + width + i), Vector256.Load(g + i));
            dGate.Store(dx + i);
            dUp.Store(dx + width + i);
        }
        for (; i < width; i++)
        {
            (Vector256<float> dGate, Vector256<float> dUp) = Backward(Vector256.Create(x[i]), Vector256.Create(x[width + i]), Vector256.Create(g[i]));
            (dx[i], dx[width + i]) = (dGate.ToScalar(), dUp.ToScalar());
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> Gate, Vector256<float> Up) Backward(Vector256<float> gate, Vector256<float> up, Vector256<float> g)
    {
        Vector256<float> s = Sigmoid(gate), silu = gate * s;
        return (g * up * Vector256.FusedMultiplyAdd(silu, Vector256<float>.One - s, s), g * silu);
    }
}
