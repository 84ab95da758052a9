using System.Runtime.Intrinsics.X86;
using Flywheel.Model;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// One implementation of every inner loop. All give the same bits wherever fused multiply-add is in hardware: the order
/// of additions is part of each kernel's definition (see <see cref="ScalarKernels"/>).
/// </summary>
internal sealed unsafe class KernelTable
{
    /// <summary>Outputs in a panel.</summary>
    public const int Panel = 16;

    /// <summary>Values that share a scale.</summary>
    public const int Block = PanelLayout.Block;

    /// <summary>Names the table to use; for tests and for finding a faulty kernel.</summary>
    public const string EnvironmentVariable = "FLYWHEEL_KERNELS";

    public required string Name { get; init; }

    public required bool IsSupported { get; init; }

    /// <summary>Added to Q8_0's numbers, which are stored as unsigned bytes when it is not 0.</summary>
    public int Int8Bias { get; init; }

    /// <summary>One panel times some rows.</summary>
    public required delegate*<ProductJob*, void> Multiply { get; init; }

    /// <summary>(x [n], n, values [n], blocks [n / 32])</summary>
    public required delegate*<float*, int, sbyte*, Int8Block*, void> Quantize { get; init; }

    /// <summary>(x [n], weight [n], y [n], n, count that the mean divides by, epsilon)</summary>
    public required delegate*<float*, float*, float*, int, int, float, void> RmsNorm { get; init; }

    /// <summary>(gate [n], up [n], y [n], n): y = silu(gate) * up</summary>
    public required delegate*<float*, float*, float*, int, void> SwiGlu { get; init; }

    /// <summary>(x [2 n], cos [n], sin [n], n): turns every pair (x[i], x[i + n]) by its angle.</summary>
    public required delegate*<float*, float*, float*, int, void> Rotate { get; init; }

    /// <summary>(job, span, result): attention over one span of tokens</summary>
    public required delegate*<AttentionJob*, int, float*, void> AttendSpan { get; init; }

    /// <summary>(job, result of all spans before, result of the next span): adds the second to the first</summary>
    public required delegate*<AttentionJob*, float*, float*, void> FoldSpans { get; init; }

    /// <summary>(x [n], n, result [2]): the largest value and the sum of exp(x - largest)</summary>
    public required delegate*<float*, int, float*, void> LogSumExp { get; init; }

    /// <summary>(x [n], y [n], n, largest, factor): y = exp((x - largest) * factor)</summary>
    public required delegate*<float*, float*, int, float, float, void> Exponentials { get; init; }

    /// <summary>Fastest first.</summary>
    public static IReadOnlyList<KernelTable> All { get; } = [Avx512VnniKernels.Table, Avx2Kernels.Table, NeonKernels.Table,
        VectorKernels.Table, ScalarKernels.Table];

    /// <summary>The fastest that this machine runs, or the one named by the environment.</summary>
    /// <exception cref="FlywheelException">The environment names a table that is unknown or does not run here.</exception>
    public static KernelTable Select(string? name)
    {
        if (string.IsNullOrEmpty(name)) return All.First(table => table.IsSupported);
        return All.FirstOrDefault(table => table.Name == name && table.IsSupported)
            ?? throw new FlywheelException(
                $"{EnvironmentVariable} is '{name}', expected one of {string.Join(", ", All.Where(table => table.IsSupported).Select(table => table.Name))}");
    }

    /// <summary>Whether results are the same bits in every table.</summary>
    public static bool IsExact => Fma.IsSupported || System.Runtime.Intrinsics.Arm.AdvSimd.IsSupported;
}
