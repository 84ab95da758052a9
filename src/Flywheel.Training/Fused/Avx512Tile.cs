// A [rows, K], B [K, 64] packed, C [rows, 64].
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Flywheel.Training;

/// <summary>Six rows by 64 columns in 24 of 32 registers: 24 products for 10 loads, so that the multipliers never wait for
/// memory.</summary>
internal static unsafe class Avx512Tile
{
    public static MatrixTile Tile { get; } = new(64, &Multiply);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply(TileJob* job)
    {
        (int rows, nint rowStep, nint depthStep, nint cStep) = (job->Rows, job->ARow, job->ADepth, job->CRow);
        // Rows that are not there are computed from the first one and not stored.
        float* a0 = job->A, a1 = a0 + (rows > 1 ? rowStep : 0), a2 = a0 + (rows > 2 ? 2 * rowStep : 0),
            a3 = a0 + (rows > 3 ? 3 * rowStep : 0), a4 = a0 + (rows > 4 ? 4 * rowStep : 0), a5 = a0 + (rows > 5 ? 5 * rowStep : 0);
        Vector512<float> c00 = default, c01 = default, c02 = default, c03 = default;
        Vector512<float> c10 = default, c11 = default, c12 = default, c13 = default;
        Vector512<float> c20 = default, c21 = default, c22 = default, c23 = default;
        Vector512<float> c30 = default, c31 = default, c32 = default, c33 = default;
        Vector512<float> c40 = default, c41 = default, c42 = default, c43 = default;
        Vector512<float> c50 = default, c51 = default, c52 = default, c53 = default;
        // C is far away: by the time that it is written, it is here.
        for (int r = 0; r < rows; r++)
        {
            Sse.Prefetch0(job->C + r * cStep);
            Sse.Prefetch0(job->C + r * cStep + 16);
            Sse.Prefetch0(job->C + r * cStep + 32);
            Sse.Prefetch0(job->C + r * cStep + 48);
        }
        float* b = job->B, end = b + (nint)job->Depth * 64;
        for (nint k = 0; b < end; b += 64, k += depthStep)
        {
            Vector512<float> b0 = Vector512.Load(b), b1 = Vector512.Load(b + 16), b2 = Vector512.Load(b + 32), b3 = Vector512.Load(b + 48),
                x;
            x = Vector512.Create(a0[k]);
            c00 = Avx512F.FusedMultiplyAdd(x, b0, c00); c01 = Avx512F.FusedMultiplyAdd(x, b1, c01); c02 =
                Avx512F.FusedMultiplyAdd(x, b2, c02); c03 = Avx512F.FusedMultiplyAdd(x, b3, c03);
            x = Vector512.Create(a1[k]);
            c10 = Avx512F.FusedMultiplyAdd(x, b0, c10); c11 = Avx512F.FusedMultiplyAdd(x, b1, c11); c12 =
                Avx512F.FusedMultiplyAdd(x, b2, c12); c13 = Avx512F.FusedMultiplyAdd(x, b3, c13);
            x = Vector512.Create(a2[k]);
            c20 = Avx512F.FusedMultiplyAdd(x, b0, c20); c21 = Avx512F.FusedMultiplyAdd(x, b1, c21); c22 =
                Avx512F.FusedMultiplyAdd(x, b2, c22); c23 = Avx512F.FusedMultiplyAdd(x, b3, c23);
            x = Vector512.Create(a3[k]);
            c30 = Avx512F.FusedMultiplyAdd(x, b0, c30); c31 = Avx512F.FusedMultiplyAdd(x, b1, c31); c32 =
                Avx512F.FusedMultiplyAdd(x, b2, c32); c33 = Avx512F.FusedMultiplyAdd(x, b3, c33);
            x = Vector512.Create(a4[k]);
            c40 = Avx512F.FusedMultiplyAdd(x, b0, c40); c41 = Avx512F.FusedMultiplyAdd(x, b1, c41); c42 =
                Avx512F.FusedMultiplyAdd(x, b2, c42); c43 = Avx512F.FusedMultiplyAdd(x, b3, c43);
            x = Vector512.Create(a5[k]);
            c50 = Avx512F.FusedMultiplyAdd(x, b0, c50); c51 = Avx512F.FusedMultiplyAdd(x, b1, c51); c52 =
                Avx512F.FusedMultiplyAdd(x, b2, c52); c53 = Avx512F.FusedMultiplyAdd(x, b3, c53);
        }
        float* c = job->C, start = job->Start;
        Store(c, start, c00, c01, c02, c03);
        if (rows == 1) return;
        c += cStep;
        if (start is not null) start += job->StartRow;
        Store(c, start, c10, c11, c12, c13);
        if (rows == 2) return;
        c += cStep;
        if (start is not null) start += job->StartRow;
        Store(c, start, c20, c21, c22, c23);
        if (rows == 3) return;
        c += cStep;
        if (start is not null) start += job->StartRow;
        Store(c, start, c30, c31, c32, c33);
        if (rows == 4) return;
        c += cStep;
        if (start is not null) start += job->StartRow;
        Store(c, start, c40, c41, c42, c43);
        if (rows == 5) return;
        c += cStep;
        if (start is not null) start += job->StartRow;
        Store(c, start, c50, c51, c52, c53);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, float* start, Vector512<float> v0, Vector512<float> v1, Vector512<float> v2, Vector512<float> v3)
    {
        if (start is not null)
        {
            v0 += Vector512.Load(start);
            v1 += Vector512.Load(start + 16);
            v2 += Vector512.Load(start + 32);
            v3 += Vector512.Load(start + 48);
        }
        v0.Store(c);
        v1.Store(c + 16);
        v2.Store(c + 32);
        v3.Store(c + 48);
    }
}
