using System.Numerics.Tensors;

namespace Flywheel.Training;

/// <summary>
/// What a parameter's <c>grad</c> collects. A micro-batch's gradient of a parameter is whole before it is added to another's:
/// ranks add whole ones too, and get the same bits.
/// </summary>
internal static unsafe class Gradient
{
    public static void Add(Tensor parameter, Tensor gradient)
    {
        if (parameter.grad is { } sum)
        {
            using (sum) Add(sum, (nint)Rows.Floats(gradient));
        }
        else parameter.grad = gradient;
    }

    public static void Add(Tensor parameter, ReadOnlySpan<float> gradient)
    {
        Tensor? sum = parameter.grad;
        if (sum is null) parameter.grad = sum = Arena.Zeros(parameter.shape);
        using (sum)
            fixed (float* from = gradient) Add(sum, (nint)from);
    }

    private static void Add(Tensor sum, nint from)
    {
        nint to = (nint)Rows.Floats(sum);
        Rows.ForEach(sum.numel(), 2, (first, end) =>
        {
            var part = new Span<float>((float*)to + first, end - first);
            TensorPrimitives.Add(part, new ReadOnlySpan<float>((float*)from + first, end - first), part);
        });
    }
}
