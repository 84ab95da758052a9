// N rows, F width of the branch.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Flywheel.Training;

/// <summary>silu(gate) * up on the halves of each row (Shazeer 2020, arXiv 2002.05202): [N, 2F] to [N, F].</summary>
internal static unsafe class SwiGlu
{
    /// <param name="gateUp">[N, 2F]: gate first, then up.</param>
    public static Tensor Forward(Tensor gateUp)
    {
        int width = (int)gateUp.shape[1] / 2;
        Tensor y = Arena.Empty(gateUp.shape[0], width);
        (nint xs, nint ys) = ((nint)Rows.Floats(gateUp), (nint)Rows.Floats(y));
        Rows.ForEach(gateUp.shape[0], 2 * width, (first, end) =>
        {
            for (int row = first; row < end; row++) Forward((float*)xs + (long)row * 2 * width, (float*)ys + (long)row * width, width);
        });
        return y;
    }

    /// <summary>With s = sigmoid(gate): dup = g * gate * s, dgate = g * up * s * (1 + gate * (1 - s)). Needs no memory of its
    /// own.</summary>
    /// <param name="gateUp">What went in; becomes its gradient.</param>
    /// <param name="gradient">Of what came out; becomes what came out, which then need not be kept.</param>
    public static void Backward(Tensor gateUp, Tensor gradient)
    {
        int width = (int)gateUp.shape[1] / 2;
        (nint xs, nint gs) = ((nint)Rows.Floats(gateUp), (nint)Rows.Floats(gradient));
        Rows.ForEach(gateUp.shape[0], 4 * width, (first, end) =>
        {
            for (int row = first; row < end; row++) Backward((float*)xs + (long)row * 2 * width, (float*)gs + (long)row * width, width);
        });
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

    private static void Backward(float* x, float* g, int width)
    {
        int i = 0;
        for (; i <= width - 8; i += 8)
        {
            (Vector256<float> dGate, Vector256<float> dUp, Vector256<float> y) =
                Backward(Vector256.Load(x + i), Vector256.Load(x + width + i), Vector256.Load(g + i));
            dGate.Store(x + i);
            dUp.Store(x + width + i);
            y.Store(g + i);
        }
        for (; i < width; i++)
        {
            (Vector256<float> dGate, Vector256<float> dUp, Vector256<float> y) =
                Backward(Vector256.Create(x[i]), Vector256.Create(x[width + i]), Vector256.Create(g[i]));
            (x[i], x[width + i], g[i]) = (dGate.ToScalar(), dUp.ToScalar(), y.ToScalar());
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> Gate, Vector256<float> Up, Vector256<float> Y) Backward(Vector256<float> gate, Vector256<float> up,
        Vector256<float> g)
    {
        Vector256<float> s = Sigmoid(gate), silu = gate * s;
        return (g * up * Vector256.FusedMultiplyAdd(silu, Vector256<float>.One - s, s), g * silu, silu * up);
    }
}
