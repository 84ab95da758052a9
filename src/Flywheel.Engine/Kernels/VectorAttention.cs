using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Flywheel.Engine.Kernels;

/// <summary>Attention's inner loops with vectors of eight, whatever the machine makes of them.</summary>
internal unsafe struct VectorAttention : ITileKernels
{
    private const int Size = KvTile.Size;

    public static void Multiply(AttentionJob* job, TileProduct* product, bool isKey)
    {
        if (job->Type != KvType.Fp32)
        {
            MultiplyInts(job, *product, isKey);
            return;
        }
        float* a = (float*)product->A, c = product->C;
        for (int n = 0; n < product->NumTiles; n++, a += product->AStep / sizeof(float))
        {
            float* b = (float*)product->B[n];
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

    private static void MultiplyInts(AttentionJob* job, TileProduct product, bool isKey)
    {
        short* a = (short*)product.A;
        float* scales = product.Scales;
        new Span<float>(product.C, (int)job->BlockFloats).Clear();
        for (int n = 0; n < product.NumTiles; n++, a += product.AStep / sizeof(short), scales += product.ScaleStep / sizeof(float))
        {
            short* b = (short*)product.B[n];
            if (job->Type == KvType.Int8) KvTile.Widen(product.B[n], b = job->Wide);
            float* keyScales = KvTile.Scales(job->Type, product.B[n]);
            for (int line = 0; line < job->NumLines;)
            {
                int count = job->NumLines - line >= 4 ? 4 : 1;
                for (int column = 0; column < Size; column += 16)
                {
                    float* c = product.C + line * Size + column;
                    if (count == 4) Lines4(a + line * Size, b + 2 * column, c, isKey ? keyScales + column : null, scales + line);
                    else Line(a + line * Size, b + 2 * column, c, isKey ? keyScales + column : null, scales + line);
                }
                line += count;
            }
        }
    }

    /// <summary>16 columns of four lines.</summary>
    [MethodImpl(VectorKernels.Hot)]
    private static void Lines4(short* a, short* b, float* c, float* keyScales, float* scales)
    {
        Vector256<int> p0 = default, p1 = p0, q0 = p0, q1 = p0, r0 = p0, r1 = p0, s0 = p0, s1 = p0;
        for (int k = 0; k < Size; k += 2, a += 2, b += 2 * Size)
        {
            Vector256<short> b0 = Vector256.Load(b), b1 = Vector256.Load(b + 16), x = Pair(a);
            p0 = AddPairs(x, b0, p0);
            p1 = AddPairs(x, b1, p1);
            x = Pair(a + Size);
            q0 = AddPairs(x, b0, q0);
            q1 = AddPairs(x, b1, q1);
            x = Pair(a + 2 * Size);
            r0 = AddPairs(x, b0, r0);
            r1 = AddPairs(x, b1, r1);
            x = Pair(a + 3 * Size);
            s0 = AddPairs(x, b0, s0);
            s1 = AddPairs(x, b1, s1);
        }
        AddScaled(p0, p1, c, keyScales, scales);
        AddScaled(q0, q1, c + Size, keyScales, scales + 1);
        AddScaled(r0, r1, c + 2 * Size, keyScales, scales + 2);
        AddScaled(s0, s1, c + 3 * Size, keyScales, scales + 3);
    }

    [MethodImpl(VectorKernels.Hot)]
    private static void Line(short* a, short* b, float* c, float* keyScales, float* scales)
    {
        Vector256<int> even0 = default, even1 = even0, odd0 = even0, odd1 = even0;
        for (int k = 0; k < Size; k += 4, a += 4, b += 4 * Size)
        {
            Vector256<short> x = Pair(a), y = Pair(a + 2);
            even0 = AddPairs(x, Vector256.Load(b), even0);
            even1 = AddPairs(x, Vector256.Load(b + 16), even1);
            odd0 = AddPairs(y, Vector256.Load(b + 2 * Size), odd0);
            odd1 = AddPairs(y, Vector256.Load(b + 2 * Size + 16), odd1);
        }
        AddScaled(even0 + odd0, even1 + odd1, c, keyScales, scales);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> Pair(short* a) => Vector256.Create(*(int*)a).AsInt16();

    /// <summary>sums + the products of a and b, neighbours added.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> AddPairs(Vector256<short> a, Vector256<short> b, Vector256<int> sums)
    {
        if (Avx2.IsSupported) return sums + Avx2.MultiplyAddAdjacent(a, b);
        return sums + Low(a) * Low(b) + High(a) * High(b);

        static Vector256<int> Low(Vector256<short> pairs) => Vector256.ShiftRightArithmetic(Vector256.ShiftLeft(pairs.AsInt32(), 16), 16);
        static Vector256<int> High(Vector256<short> pairs) => Vector256.ShiftRightArithmetic(pairs.AsInt32(), 16);
    }

    /// <summary>16 columns of c += sums times the scale of each column's key, or of the line's weights.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddScaled(Vector256<int> low, Vector256<int> high, float* c, float* keyScales, float* scale)
    {
        V lowScale = keyScales == null ? Vector256.Create(*scale) : Vector256.Load(keyScales),
            highScale = keyScales == null ? lowScale : Vector256.Load(keyScales + 8);
        VectorKernels.Add(Vector256.ConvertToSingle(low), lowScale, Vector256.Load(c)).Store(c);
        VectorKernels.Add(Vector256.ConvertToSingle(high), highScale, Vector256.Load(c + 8)).Store(c + 8);
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
            (q0, q1, q2, q3) = (Vector256.Load(c + Size), Vector256.Load(c + Size + 8), Vector256.Load(c + Size + 16),
                Vector256.Load(c + Size + 24));
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
    public static void Softmax(AttentionJob* job, int line, int count, byte** values, float* result)
    {
        int numPages = (count + Size - 1) / Size;
        bool isFloat = job->Type == KvType.Fp32;
        float* scores = job->Scores + line * Size;
        V most = Vector256.Create(float.NegativeInfinity), factor = Vector256.Create(job->Factor(line));
        for (int page = 0; page < numPages; page++)
        {
            float* s = scores + page * job->BlockFloats;
            most = Vector256.Max(most,
                Vector256.Max(Vector256.Max(Vector256.Load(s), Vector256.Load(s + 8)),
                    Vector256.Max(Vector256.Load(s + 16), Vector256.Load(s + 24))));
        }
        most = Vector256.Create(VectorKernels.Largest(most)) * factor;
        V low = V.Zero, high = V.Zero;
        for (int page = 0; page < numPages; page++)
        {
            float* s = scores + page * job->BlockFloats;
            V w0 = Weight(s), w1 = Weight(s + 8), w2 = Weight(s + 16), w3 = Weight(s + 24);
            low += w0;
            high += w1;
            low += w2;
            high += w3;
            if (isFloat)
            {
                w0.Store(s);
                w1.Store(s + 8);
                w2.Store(s + 16);
                w3.Store(s + 24);
                continue;
            }
            float* scales = KvTile.Scales(job->Type, values[page]);
            w0 *= Vector256.Load(scales);
            w1 *= Vector256.Load(scales + 8);
            w2 *= Vector256.Load(scales + 16);
            w3 *= Vector256.Load(scales + 24);
            float largest = VectorKernels.Largest(Vector256.Max(Vector256.Max(w0, w1), Vector256.Max(w2, w3)));
            job->WeightScales[page * job->NumLines + line] = KvTile.Scale(largest, KvTile.MostInt);
            V inverse = Vector256.Create(KvTile.Inverse(largest, KvTile.MostInt));
            short* weights = job->Weights + page * job->BlockFloats + line * Size;
            Vector256.Narrow(Integers(w0 * inverse), Integers(w1 * inverse)).Store(weights);
            Vector256.Narrow(Integers(w2 * inverse), Integers(w3 * inverse)).Store(weights + 16);
        }
        job->Largest(result)[line] = most[0];
        job->Total(result)[line] = VectorKernels.Sum(low + high);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        V Weight(float* s) => VectorKernels.Exp(Vector256.Load(s) * factor - most);

        static Vector256<int> Integers(V v) => Vector256.ConvertToInt32(Vector256.Round(v));
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
                for (int i = 0; i < Size; i += 8)
                    VectorKernels.Add(Vector256.Load(term + i), weight, Vector256.Load(sum + i) * times).Store(sum + i);
            }
        }
    }
}
