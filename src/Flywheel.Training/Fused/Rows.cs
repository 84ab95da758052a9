using System.Numerics.Tensors;
using TorchSharp;

namespace Flywheel.Training;

/// <summary>
/// Runs fused kernels over the rows of a tensor. What a row gives must not depend on how the rows are divided: the number of
/// threads changes no bit, and may change at any time.
/// </summary>
internal static unsafe class Rows
{
    /// <summary>Below this many floats, waking another thread costs more than it saves.</summary>
    private const long MinFloats = 1 << 15;

    public static int NumThreads { get; set; } = 1;

    /// <summary>Calls <paramref name="body"/> with (first row, end row) of at most <see cref="NumThreads"/> parts, at the same
    /// time.</summary>
    public static void ForEach(long rows, long floatsPerRow, Action<int, int> body)
    {
        int parts = (int)Math.Clamp(rows * floatsPerRow / MinFloats, 1, Math.Min(NumThreads, Math.Max(rows, 1)));
        Team(parts, part => body((int)(rows * part / parts), (int)(rows * (part + 1) / parts)));
    }

    /// <summary>Zeros everywhere.</summary>
    public static void Clear(torch.Tensor tensor)
    {
        nint start = (nint)Floats(tensor);
        ForEach(tensor.numel(), 1, (first, end) => new Span<float>((float*)start + first, end - first).Clear());
    }

    /// <summary>Sums blocks in fp32 and these sums in double, on one thread.</summary>
    public static double SumOfSquares(ReadOnlySpan<float> values)
    {
        const int block = 4096;
        double sum = 0;
        for (; values.Length > block; values = values[block..]) sum += TensorPrimitives.SumOfSquares(values[..block]);
        return sum + TensorPrimitives.SumOfSquares(values);
    }

    /// <summary>Calls <paramref name="body"/> with each part, on as many threads.</summary>
    public static void Team(int parts, Action<int> body) => ThreadTeam.Shared.Run(parts, body);

    /// <summary>Address of a contiguous fp32 tensor's first element.</summary>
    public static float* Floats(torch.Tensor tensor)
    {
        if (tensor.dtype != torch.ScalarType.Float32 || !tensor.is_contiguous())
            throw new ArgumentException($"expected a contiguous fp32 tensor, got {tensor.dtype} [{string.Join(", ", tensor.shape)}]");
        return (float*)NativeTensor.Data(tensor.Handle);
    }

    public static long* Longs(torch.Tensor tensor)
    {
        if (tensor.dtype != torch.ScalarType.Int64 || !tensor.is_contiguous())
            throw new ArgumentException($"expected a contiguous int64 tensor, got {tensor.dtype}");
        return (long*)NativeTensor.Data(tensor.Handle);
    }
}

/// <summary>TorchSharp does not show a tensor's address; its native library does.</summary>
internal static partial class NativeTensor
{
    [System.Runtime.InteropServices.LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    public static partial nint Data(nint tensor);
}
