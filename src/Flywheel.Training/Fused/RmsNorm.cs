// N rows, C channels.
using System.Numerics.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv 1910.07467): y = x / sqrt(mean(x^2) + eps) * w, over the
/// last dimension, in one pass over memory forward and one backward.
/// </summary>
internal sealed unsafe class RmsNorm : autograd.SingleTensorFunction<RmsNorm>
{
    public override string Name => nameof(RmsNorm);

    /// <param name="x">[..., C], contiguous.</param>
    /// <param name="weight">[C].</param>
    /// <param name="eps">Added under the root.</param>
    public static Tensor Apply(Tensor x, Tensor weight, float eps) => apply(x, weight, eps);

    public override Tensor forward(autograd.AutogradContext context, params object[] arguments)
    {
        (Tensor x, Tensor weight, float eps) = ((Tensor)arguments[0], (Tensor)arguments[1], (float)arguments[2]);
        context.save_for_backward([x, weight]);
        context.save_data("eps", eps);
        Tensor y = empty_like(x);
        int channels = (int)weight.shape[0];
        (nint xs, nint ws, nint ys) = ((nint)Rows.Floats(x), (nint)Rows.Floats(weight), (nint)Rows.Floats(y));
        Rows.ForEach(x.numel() / channels, channels, (_, first, end) =>
        {
            var w = new ReadOnlySpan<float>((float*)ws, channels);
            for (int row = first; row < end; row++)
                Normalise(new((float*)xs + (long)row * channels, channels), w, new((float*)ys + (long)row * channels, channels), eps);
        });
        return y;
    }

    public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
    {
        List<Tensor> saved = context.get_saved_variables();
        (Tensor x, Tensor weight) = (saved[0], saved[1]);
        float eps = (float)context.get_data("eps");
        Tensor g = gradient.contiguous(), dx = empty_like(x);
        int channels = (int)weight.shape[0];
        Tensor dws = zeros(Rows.NumThreads, channels);
        (nint xs, nint ws, nint gs, nint dxs, nint dwp) = ((nint)Rows.Floats(x), (nint)Rows.Floats(weight), (nint)Rows.Floats(g), (nint)Rows.Floats(dx), (nint)Rows.Floats(dws));
        Rows.ForEach(x.numel() / channels, 2 * channels, (part, first, end) =>
        {
            var w = new ReadOnlySpan<float>((float*)ws, channels);
            var dw = new Span<float>((float*)dwp + part * channels, channels);
            Span<float> scratch = new float[channels];
            for (int row = first; row < end; row++)
            {
                long at = (long)row * channels;
                NormaliseBackward(new((float*)xs + at, channels), w, new((float*)gs + at, channels), new((float*)dxs + at, channels), dw, scratch, eps);
            }
        });
        return [dx, dws.sum([0L]), null!];
    }

    internal static void Normalise(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, Span<float> y, float eps)
    {
        float scale = 1 / MathF.Sqrt(TensorPrimitives.SumOfSquares(x) / x.Length + eps);
        TensorPrimitives.Multiply(x, scale, y);
        TensorPrimitives.Multiply(y, weight, y);
    }

    /// <summary>With h = x * scale: dw += g * h, dx = scale * (g * w - h * mean(g * w * h)).</summary>
    internal static void NormaliseBackward(ReadOnlySpan<float> x, ReadOnlySpan<float> weight, ReadOnlySpan<float> g, Span<float> dx, Span<float> dw, Span<float> scratch, float eps)
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
