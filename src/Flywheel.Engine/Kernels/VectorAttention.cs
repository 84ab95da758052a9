using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Flywheel.Engine.Kernels;

/// <summary>Attention's inner loops with vectors of eight, whatever the machine makes of them.</summary>
internal unsafe struct VectorAttention : ITileKernels
{
    private const int Size = KvTile.Size;

    public static void Multiply(AttentionJob* job, TileProduct* product, bool isKey)
    {
        float* a = product->A, c = product->C;
        for (int n = 0; n < product->NumTiles; n++, a += product->AStep / sizeof(float))
        {
            float* b = (float*)product->B[n];
            if (job->Type != KvType.Fp32) KvTile.Widen(job->Type, product->B[n], b = job->Wide, isKey);
            bool adds = n > 0;
            int line = 0;
            for (; line + 4 <= job->NumLines; line += 4)
            {
                Lines4(a + line * Size, b, c + line * Size, adds);
                Lines4(a + line * Size, b + 16, c + line * Size + 16, adds);
            }
            for (; line + 2 <= job->NumLines; line += 2) Lines2(a + line * Size, b, c + line * Size, adds);
            if (line < job->NumLines) Line(a + line * Size, b, c + line * Size, adds);
        }
    }

    /// <summary>16 columns of four lines.</summary>
    [MethodImpl(VectorKernels.Hot)]
    private static void Lines4(float* a, float* b, float* c, bool adds)
    {
        V p0 = V.Zero, p1 = p0, q0 = p0, q1 = p0, r0 = p0, r1 = p0, s0 = p0, s1 = p0;
        if (adds)
        {
            (p0, p1) = (Vector256.Load(c), Vector256.Load(c + 8));
            (q0, q1) = (Vector256.Load(c + Size), Vector256.Load(c + Size + 8));
            (r0, r1) = (Vector256.Load(c + 2 * Size), Vector256.Load(c + 2 * Size + 8));
            (s0, s1) = (Vector256.Load(c + 3 * Size), Vector256.Load(c + 3 * Size + 8));
        }
        for (int k = 0; k < Size; k++, a++, b += Size)
        {
            V b0 = Vector256.Load(b), b1 = Vector256.Load(b + 8), x = Vector256.Create(*a);
            p0 = VectorKernels.Add(x, b0, p0);
            p1 = VectorKernels.Add(x, b1, p1);
            x = Vector256.Create(a[Size]);
            q0 = VectorKernels.Add(x, b0, q0);
            q1 = VectorKernels.Add(x, b1, q1);
            x = Vector256.Create(a[2 * Size]);
            r0 = VectorKernels.Add(x, b0, r0);
            r1 = VectorKernels.Add(x, b1, r1);
            x = Vector256.Create(a[3 * Size]);
            s0 = VectorKernels.Add(x, b0, s0);
            s1 = VectorKernels.Add(x, b1, s1);
        }
        p0.Store(c);
        p1.Store(c + 8);
        q0.Store(c + Size);
        q1.Store(c + Size + 8);
        r0.Store(c + 2 * Size);
        r1.Store(c + 2 * Size + 8);
        s0.Store(c + 3 * Size);
        s1.Store(c + 3 * Size + 8);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Lines2(float* a, float* b, float* c, bool adds)
    {
        V p0 = V.Zero, p1 = p0, p2 = p0, p3 = p0, q0 = p0, q1 = p0, q2 = p0, q3 = p0;
        if (adds)
        {
            (p0, p1, p2, p3) = (Vector256.Load(c), Vector256.Load(c + 8), Vector256.Load(c + 16), Vector256.Load(c + 24));
            (q0, q1, q2, q3) = (Vector256.Load(c + Size), Vector256.Load(c + Size + 8), Vector256.Load(c + Size + 16), Vector256.Load(c + Size + 24));
        }
        for (int k = 0; k < Size; k++, a++, b += Size)
        {
            V x = Vector256.Create(*a), y = Vector256.Create(a[Size]), v = Vector256.Load(b);
            p0 = VectorKernels.Add(x, v, p0);
            q0 = VectorKernels.Add(y, v, q0);
            v = Vector256.Load(b + 8);
            p1 = VectorKernels.Add(x, v, p1);
            q1 = VectorKernels.Add(y, v, q1);
            v = Vector256.Load(b + 16);
            p2 = VectorKernels.Add(x, v, p2);
            q2 = VectorKernels.Add(y, v, q2);
            v = Vector256.Load(b + 24);
            p3 = VectorKernels.Add(x, v, p3);
            q3 = VectorKernels.Add(y, v, q3);
        }
        p0.Store(c);
        p1.Store(c + 8);
        p2.Store(c + 16);
        p3.Store(c + 24);
        q0.Store(c + Size);
        q1.Store(c + Size + 8);
        q2.Store(c + Size + 16);
        q3.Store(c + Size + 24);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Line(float* a, float* b, float* c, bool adds)
    {
        V p0 = V.Zero, p1 = p0, p2 = p0, p3 = p0;
        if (adds) (p0, p1, p2, p3) = (Vector256.Load(c), Vector256.Load(c + 8), Vector256.Load(c + 16), Vector256.Load(c + 24));
        for (int k = 0; k < Size; k++, a++, b += Size)
        {
            V x = Vector256.Create(*a);
            p0 = VectorKernels.Add(x, Vector256.Load(b), p0);
            p1 = VectorKernels.Add(x, Vector256.Load(b + 8), p1);
            p2 = VectorKernels.Add(x, Vector256.Load(b + 16), p2);
            p3 = VectorKernels.Add(x, Vector256.Load(b + 24), p3);
        }
        p0.Store(c);
        p1.Store(c + 8);
        p2.Store(c + 16);
        p3.Store(c + 24);
    }

    [MethodImpl(VectorKernels.Hot)]
    public static void Softmax(float* scores, long stride, int count, float* largest, float* total)
    {
        int numPages = (count + Size - 1) / Size;
        V most = Vector256.Create(float.NegativeInfinity);
        for (int page = 0; page < numPages; page++)
        {
            float* s = scores + page * stride;
            most = Vector256.Max(most, Vector256.Max(Vector256.Max(Vector256.Load(s), Vector256.Load(s + 8)), Vector256.Max(Vector256.Load(s + 16), Vector256.Load(s + 24))));
        }
        *largest = VectorKernels.Largest(most);
        most = Vector256.Create(*largest);
        V low = V.Zero, high = V.Zero;
        for (int page = 0; page < numPages; page++)
            for (float* s = scores + page * stride, end = s + Size; s < end; s += 16)
            {
                V first = VectorKernels.Exp(Vector256.Load(s) - most), second = VectorKernels.Exp(Vector256.Load(s + 8) - most);
                first.Store(s);
                second.Store(s + 8);
                low += first;
                high += second;
            }
        *total = VectorKernels.Sum(low + high);
    }

    /// <summary>See <see cref="ScalarAttention.Fold"/>.</summary>
    [MethodImpl(VectorKernels.Hot)]
    public static void Fold(AttentionJob* job, float* result, float* next)
    {
        for (int line = 0; line < job->NumLines; line++)
        {
            float before = job->Largest(result)[line], after = job->Largest(next)[line], largest = MathF.Max(before, after);
            float a = ScalarKernels.Exp(before - largest), b = ScalarKernels.Exp(after - largest);
            job->Largest(result)[line] = largest;
            float* total = job->Total(result) + line;
            *total = MathF.FusedMultiplyAdd(job->Total(next)[line], b, *total * a);
            V times = Vector256.Create(a), weight = Vector256.Create(b);
            for (int block = 0; block < job->NumBlocks; block++)
            {
                float* sum = result + block * job->BlockFloats + line * Size, term = next + block * job->BlockFloats + line * Size;
                for (int i = 0; i < Size; i += 8) VectorKernels.Add(Vector256.Load(term + i), weight, Vector256.Load(sum + i) * times).Store(sum + i);
            }
        }
    }
}
