using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Flywheel.Model;
using static Flywheel.Engine.Kernels.Gpr;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// Integer products with AVX-512 VNNI: one instruction multiplies 64 weights by 4 values of x. .NET 10 has no intrinsic
/// for it, so the loop is assembled at start, once for every block type and number of rows up to 12.
/// </summary>
internal static unsafe class Avx512VnniKernels
{
    /// <summary>Two sums a row, the weights, a scale and a product fit the 32 registers.</summary>
    private const int MaxRows = 12;

    /// <summary>[type, rows] functions; 0 where there is none.</summary>
    private static readonly nint[,] Code = IsAvailable() ? AssembleAll() : new nint[0, 0];

    public static KernelTable Table { get; } = new()
    {
        Name = "vnni",
        IsSupported = Avx512MachineAttention.IsSupported && Code.Length > 0 && Code[(int)TensorType.Q8_0, 1] != 0,
        Int8Bias = 128, // the instruction takes unsigned weights; the inputs' sums take the bias off again
        Multiply = &Multiply,
        Quantize = VectorKernels.Table.Quantize,
        RmsNorm = VectorKernels.Table.RmsNorm,
        SwiGlu = VectorKernels.Table.SwiGlu,
        Rotate = VectorKernels.Table.Rotate,
        AttendSpan = &TiledAttention<Avx512MachineAttention>.AttendSpan,
        FoldSpans = VectorKernels.Table.FoldSpans,
        LogSumExp = VectorKernels.Table.LogSumExp,
        Exponentials = VectorKernels.Table.Exponentials,
    };

    private static bool IsAvailable() =>
        OperatingSystem.IsLinux() && Avx512BW.IsSupported && (X86Base.CpuId(7, 0).Ecx >> 11 & 1) == 1;

    private static void Multiply(ProductJob* job)
    {
        if (PanelLayout.IsPlain(job->Type))
        {
            PlainProduct.Multiply(job);
            return;
        }
        sbyte* x = job->X;
        Int8Block* blocks = job->XBlocks;
        float* y = job->Y;
        for (int left = job->NumRows, rows; left > 0; left -= rows) // in place: who reads a fresh copy of the job waits for it
        {
            rows = Math.Min(MaxRows, left);
            ((delegate* unmanaged[SuppressGCTransition]<ProductJob*, void>)Code[(int)job->Type, rows])(job);
            job->X += rows * job->XStride;
            job->XBlocks = (Int8Block*)((byte*)job->XBlocks + rows * job->XBlockStride);
            job->Y = (float*)((byte*)job->Y + rows * job->YStride);
        }
        job->X = x;
        job->XBlocks = blocks;
        job->Y = y;
    }

    private static nint[,] AssembleAll()
    {
        TensorType[] types = [TensorType.Q8_0, TensorType.Q4_0, TensorType.Q5_0, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K];
        var code = new nint[(int)types.Max() + 1, MaxRows + 1];
        foreach (TensorType type in types)
            for (int rows = 1; rows <= MaxRows; rows++)
                if ((code[(int)type, rows] = new Avx512VnniMachineProduct(type, rows).Publish()) == 0) return new nint[0, 0];
        return code;
    }
}
