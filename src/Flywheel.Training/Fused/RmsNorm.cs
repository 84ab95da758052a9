// N rows, C channels.
using System.Numerics.Tensors;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv 1910.07467): y = x / sqrt(mean(x^2) + eps) * w, over the
/// last dimension, in one pass over memory forward and one backward.
/// </summary>
internal static unsafe class RmsNorm
{
    /// <param name="x">[N, C].</param>
    /// <param name="weight">[C].</param>
    /// <param name="eps">Added under the root.</param>
    public static Tensor Forward(Tensor x, Tensor weight, float eps)
    {
        int channels = (int)weight.shape[0];
        Tensor y = Arena.Empty(x.shape);
        (nint xs, nint ws, nint ys) = ((nint)Rows.Floats(x), (nint)Rows.Floats(weight), (nint)Rows.Floats(y));
        Rows.ForEach(x.shape[0], channels, (first, end) =>
        {
            var w = new ReadOnlySpan<float>((float*)ws, channels);
            for (int row = first; row < end; row++)
                Normalise(new((float*)xs + (long)row * channels, channels), w, new((float*)ys + (long)row * channels, channels), eps);
        });
        return y;
    }

    /// <summary>Rows whose weight gradients are summed together, before these sums are: how many threads there are must change no
    /// bit.</summary>
    private const int BlockRows = 64;

    /// <param name="x">What went in.</param>
    /// <param name="weight">Learns, unless it is frozen.</param>
    /// <param name="g">Gradient of what came out; overwritten.</param>
    /// <param name="dx">Gradient of <paramref name="x"/>, which this is added to.</param>
    /// <param name="eps">Added under the root.</param>
    public static void Backward(Tensor x, Tensor weight, Tensor g, Tensor dx, float eps)
    {
        int channels = (int)weight.shape[0], rows = (int)x.shape[0], blocks = (rows + BlockRows - 1) / BlockRows;
        float[] dws = new float[Math.Max(blocks, 1) * channels];
        fixed (float* pinned = dws)
        {
            (nint xs, nint ws, nint gs, nint dxs, nint dwp) = ((nint)Rows.Floats(x), (nint)Rows.Floats(weight), (nint)Rows.Floats(g),
                (nint)Rows.Floats(dx), (nint)pinned);
            Rows.ForEach(blocks, BlockRows * 2L * channels, (first, end) =>
            {
                var w = new ReadOnlySpan<float>((float*)ws, channels);
                Span<float> scratch = new float[channels];
                for (int row = first * BlockRows; row < Math.Min(end * BlockRows, rows); row++)
                {
                    long at = (long)row * channels;
                    var dw = new Span<float>((float*)dwp + (long)(row / BlockRows) * channels, channels);
                    Span<float> gradient = new((float*)gs + at, channels), sum = new((float*)dxs + at, channels);
                    NormaliseBackward(new((float*)xs + at, channels), w, gradient, gradient, dw, scratch, eps);
                    TensorPrimitives.Add(sum, gradient, sum);
                }
            });
        }
        if (!weight.requires_grad) return;
        Span<float> total = dws.AsSpan(0, channels);
        for (int block = 1; block < blocks; block++) TensorPrimitives.Add(total, dws.AsSpan(block * channels, channels), total);
        Gradient.Add(weight, total);
    }

    internal static void Normalise(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, Span<float> y, float eps)
    {
        float scale = 1 / MathF.Sqrt(TensorPrimitives.SumOfSquares(x) / x.Length + eps);
        TensorPrimitives.Multiply(x, scale, y);
        TensorPrimitives.Multiply(y, weight, y);
    }

    /// <summary>With h = x * scale: dw += g * h, dx = scale * (g * w - h * mean(g * w * h)). dx may be g or x.</summary>
    internal static void NormaliseBackward(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, ReadOnlySpan<float> g, Span<float> dx,
        Span<float> dw, Span<float> scratch, float eps)
    {
        float scale = 1 / MathF.Sqrt(TensorPrimitives.SumOfSquares(x) / x.Length + eps);
        TensorPrimitives.Multiply(x, scale, scratch); // h
        TensorPrimitives.MultiplyAdd(g, scratch, dw, dw);
        TensorPrimitives.Multiply(g, weight, dx);
        float mean = TensorPrimitives.Dot(dx, scratch) / x.Length;
        TensorPrimitives.MultiplyAdd(scratch, -mean, dx, dx);
        TensorPrimitives.Multiply(dx, scale, dx);
    }
}
