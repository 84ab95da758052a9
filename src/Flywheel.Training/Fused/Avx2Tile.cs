// A [rows, K], B [K, 16] packed, C [rows, 16].
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Flywheel.Training;

/// <summary>Six rows by 16 columns in 12 of 16 registers: 12 products for 8 loads.</summary>
internal static unsafe class Avx2Tile
{
    public static MatrixTile Tile { get; } = new(16, &Multiply);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply(TileJob* job)
    {
        (int rows, nint rowStep, nint depthStep, nint cStep) = (job->Rows, job->ARow, job->ADepth, job->CRow);
        // Rows that are not there are computed from the first one and not stored.
        float* a0 = job->A, a1 = a0 + (rows > 1 ? rowStep : 0), a2 = a0 + (rows > 2 ? 2 * rowStep : 0),
            a3 = a0 + (rows > 3 ? 3 * rowStep : 0), a4 = a0 + (rows > 4 ? 4 * rowStep : 0), a5 = a0 + (rows > 5 ? 5 * rowStep : 0);
        Vector256<float> c00 = default, c01 = default;
        Vector256<float> c10 = default, c11 = default;
        Vector256<float> c20 = default, c21 = default;
        Vector256<float> c30 = default, c31 = default;
        Vector256<float> c40 = default, c41 = default;
        Vector256<float> c50 = default, c51 = default;
        // C is far away: by the time that it is written, it is here.
        for (int r = 0; r < rows; r++)
            Sse.Prefetch0(job->C + r * cStep);
        float* b = job->B, end = b + (nint)job->Depth * 16;
        for (nint k = 0; b < end; b += 16, k += depthStep)
        {
            Vector256<float> b0 = Vector256.Load(b), b1 = Vector256.Load(b + 8), x;
            x = Vector256.Create(a0[k]);
            c00 = Fma.MultiplyAdd(x, b0, c00); c01 = Fma.MultiplyAdd(x, b1, c01);
            x = Vector256.Create(a1[k]);
            c10 = Fma.MultiplyAdd(x, b0, c10); c11 = Fma.MultiplyAdd(x, b1, c11);
            x = Vector256.Create(a2[k]);
            c20 = Fma.MultiplyAdd(x, b0, c20); c21 = Fma.MultiplyAdd(x, b1, c21);
            x = Vector256.Create(a3[k]);
            c30 = Fma.MultiplyAdd(x, b0, c30); c31 = Fma.MultiplyAdd(x, b1, c31);
            x = Vector256.Create(a4[k]);
            c40 = Fma.MultiplyAdd(x, b0, c40); c41 = Fma.MultiplyAdd(x, b1, c41);
            x = Vector256.Create(a5[k]);
            c50 = Fma.MultiplyAdd(x, b0, c50); c51 = Fma.MultiplyAdd(x, b1, c51);
        }
        float* c = job->C, start = job->Start;
        Store(c, start, c00, c01);
        if (rows == 1) return;
        c += cStep;
        if (start is not null) start += job->StartRow;
        Store(c, start, c10, c11);
        if (rows == 2) return;
        c += cStep;
        if (start is not null) start += job->StartRow;
        Store(c, start, c20, c21);
        if (rows == 3) return;
        c += cStep;
        if (start is not null) start += job->StartRow;
        Store(c, start, c30, c31);
        if (rows == 4) return;
        c += cStep;
        if (start is not null) start += job->StartRow;
        Store(c, start, c40, c41);
        if (rows == 5) return;
        c += cStep;
        if (start is not null) start += job->StartRow;
        Store(c, start, c50, c51);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, float* start, Vector256<float> v0, Vector256<float> v1)
    {
        if (start is not null)
        {
            v0 += Vector256.Load(start);
            v1 += Vector256.Load(start + 8);
        }
        v0.Store(c);
        v1.Store(c + 8);
    }
}
