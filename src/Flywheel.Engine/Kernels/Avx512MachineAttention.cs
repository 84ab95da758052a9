using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static Flywheel.Engine.Kernels.Gpr;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// Attention's inner loops with AVX-512. The products are assembled at start, for every type of cache and number of lines that
/// fits the registers, where all sums stay: .NET does not offer the instruction that adds two products of 16 bits.
/// </summary>
internal unsafe struct Avx512MachineAttention : ITileKernels
{
    private const int Size = KvTile.Size, Vector = 64;

    /// <summary>Two sums a line, a row of the tile and scales fit the 32 registers; of integers two more.</summary>
    private const int MaxLines = 12, MaxIntLines = 6;

    /// <summary>Into the second cache: the first has too few lines under way to fill the time that memory takes.</summary>
    private const int FetchLevel = 2;

    /// <summary>[type, keys or values, lines]</summary>
    private static readonly nint[] Code = OperatingSystem.IsLinux() && Avx512BW.IsSupported ? AssembleAll() : [];

    public static bool IsSupported => Code.Length > 0 && Code.All(function => function != 0);

    public static void Multiply(AttentionJob* job, TileProduct* product, bool isKey) =>
        product->Run(job->NumLines, Code.AsSpan(Index(job->Type, isKey, 0), 1 + (job->Type == KvType.Fp32 ? MaxLines : MaxIntLines)));

    [MethodImpl(VectorKernels.Hot)]
    public static void Softmax(AttentionJob* job, int line, int count, byte** values, float* result)
    {
        int numPages = (count + Size - 1) / Size;
        bool isFloat = job->Type == KvType.Fp32;
        float* scores = job->Scores + line * Size;
        V most = Vector512.Create(float.NegativeInfinity), factor = Vector512.Create(job->Factor(line));
        for (int page = 0; page < numPages; page++)
        {
            float* s = scores + page * job->BlockFloats;
            most = Avx512F.Max(most, Avx512F.Max(Vector512.Load(s), Vector512.Load(s + 16)));
        }
        most = Vector512.Create(Largest(most)) * factor;
        V sum = V.Zero;
        for (int page = 0; page < numPages; page++)
        {
            float* s = scores + page * job->BlockFloats;
            // not fused: never above 0, however large
            V low = Exp(Vector512.Load(s) * factor - most), high = Exp(Vector512.Load(s + 16) * factor - most);
            sum += low;
            sum += high;
            if (isFloat)
            {
                low.Store(s);
                high.Store(s + 16);
                continue;
            }
            float* scales = KvTile.Scales(job->Type, values[page]);
            low *= Vector512.Load(scales);
            high *= Vector512.Load(scales + 16);
            float largest = Largest(Avx512F.Max(low, high));
            job->WeightScales[page * job->NumLines + line] = KvTile.Scale(largest, KvTile.MostInt);
            V inverse = Vector512.Create(KvTile.Inverse(largest, KvTile.MostInt));
            short* weights = job->Weights + page * job->BlockFloats + line * Size;
            Avx512F.ConvertToVector256Int16(Avx512F.ConvertToVector512Int32(low * inverse)).Store(weights); // to nearest
            Avx512F.ConvertToVector256Int16(Avx512F.ConvertToVector512Int32(high * inverse)).Store(weights + 16);
        }
        job->Largest(result)[line] = most[0];
        job->Total(result)[line] = VectorKernels.Sum(sum.GetLower() + sum.GetUpper());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Largest(V v)
    {
        Vector256<float> eight = Avx.Max(v.GetLower(), v.GetUpper());
        Vector128<float> four = Sse.Max(eight.GetLower(), eight.GetUpper());
        four = Sse.Max(four, Sse.MoveHighToLow(four, four));
        return Sse.MaxScalar(four, Sse.Shuffle(four, four, 1)).ToScalar();
    }

    /// <summary>See <see cref="ScalarKernels.Exp"/>; arguments are never above 0 here.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Exp(V x)
    {
        V t = Avx512F.FusedMultiplyAdd(x, Vector512.Create(1.44269504f), Vector512.Create(ScalarKernels.Rounder)),
            n = t - Vector512.Create(ScalarKernels.Rounder);
        V r = Avx512F.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), x);
        r = Avx512F.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        V p = Avx512F.FusedMultiplyAdd(Vector512.Create(1.9875691500e-4f), r, Vector512.Create(1.3981999507e-3f));
        p = Avx512F.FusedMultiplyAdd(p, r, Vector512.Create(8.3334519073e-3f));
        p = Avx512F.FusedMultiplyAdd(p, r, Vector512.Create(4.1665795894e-2f));
        p = Avx512F.FusedMultiplyAdd(p, r, Vector512.Create(1.6666665459e-1f));
        p = Avx512F.FusedMultiplyAdd(p, r, Vector512.Create(5.0000001201e-1f));
        p = Avx512F.FusedMultiplyAdd(p, r * r, r + V.One);
        p = (p.AsInt32() + Vector512.ShiftLeft(t.AsInt32(), 23)).AsSingle();
        return Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(x, Vector512.Create(-87f)), p, V.Zero);
    }

    private static int Index(KvType type, bool isKey, int lines) => ((int)type * 2 + (isKey ? 1 : 0)) * (MaxLines + 1) + lines;

    private static nint[] AssembleAll()
    {
        var code = new nint[Index(KvType.Int8, true, MaxLines) + 1];
        Array.Fill(code, 1); // what is not used
        for (int lines = 1; lines <= MaxLines; lines++)
            code[Index(KvType.Fp32, true, lines)] = code[Index(KvType.Fp32, false, lines)] = Assemble(KvType.Fp32, true, lines);
        for (int lines = 1; lines <= MaxIntLines; lines++)
        {
            foreach (KvType type in new[] { KvType.Int16, KvType.Int8 })
                foreach (bool isKey in new[] { true, false }) code[Index(type, isKey, lines)] = Assemble(type, isKey, lines);
        }
        return code;
    }

    private static nint Assemble(KvType type, bool isKey, int lines)
    {
        const int low = 31, high = 30; // sums of floats begin at 0, of integers at 12
        const int firstInt = 12, lowScales = 29, highScales = 28;
        // the last that is read
        const Gpr product = Rdi, b = Rsi, a = Rdx, c = Rcx, tiles = R8, ahead = R9, list = R10, aStep = R11, scales = Rax, scaleStep = Rdi;
        bool isFloat = type == KvType.Fp32;
        int rowBytes = type == KvType.Int8 ? Vector : 2 * Vector, numRows = isFloat ? Size : Size / 2,
            lineBytes = isFloat ? 2 * Vector : Vector;
        var code = new Assembler();
        foreach ((Gpr register, string field) in new[]
        {
            (list, nameof(TileProduct.B)), (a, nameof(TileProduct.A)), (aStep, nameof(TileProduct.AStep)), (c, nameof(TileProduct.C)),
            (tiles, nameof(TileProduct.NumTiles)),
            (scales, nameof(TileProduct.Scales)), (scaleStep, nameof(TileProduct.ScaleStep)),
        }) code.Load(register, new Address(product, (int)Marshal.OffsetOf<TileProduct>(field)));
        for (int sum = 0; sum < 2 * lines; sum++) code.Zero(sum);

        int loop = code.Position;
        code.Load(b, new Address(list, 0));
        code.Load(ahead, new Address(list, TileProduct.NumAhead * sizeof(long)));
        for (int at = numRows * rowBytes; at < KvTile.Bytes(type); at += Vector) code.Prefetch(new Address(ahead, at), FetchLevel);
        if (!isFloat) for (int sum = 0; sum < 2 * lines; sum++) code.Zero(firstInt + sum);
        for (int k = 0; k < numRows; k++)
        {
            for (int at = k * rowBytes; at < (k + 1) * rowBytes; at += Vector) code.Prefetch(new Address(ahead, at), FetchLevel);
            LoadRow(low, new Address(b, k * rowBytes));
            LoadRow(high, new Address(b, k * rowBytes + rowBytes / 2));
            for (int sum = 0; sum < 2 * lines; sum++)
            {
                var factor = new Address(a, sum / 2 * lineBytes + k * sizeof(float));
                if (isFloat) code.MultiplyAddBroadcast(sum, sum % 2 == 0 ? low : high, factor);
                else code.DotWords(firstInt + sum, sum % 2 == 0 ? low : high, factor);
            }
        }
        if (!isFloat) AddInts();
        code.Add(list, sizeof(long));
        code.Add(a, aStep);
        code.Add(tiles, -1);
        code.JumpIfNotZero(loop);

        for (int sum = 0; sum < 2 * lines; sum++) code.StoreFloats(new Address(c, sum * Vector), sum);
        code.Return();
        return code.Publish();

        void LoadRow(int zmm, Address source)
        {
            if (type == KvType.Int8) code.LoadBytesAsWords(zmm, source);
            else code.LoadInts(zmm, source);
        }

        void AddInts()
        {
            if (isKey)
            {
                code.LoadInts(lowScales, new Address(b, KvTile.ScalesOffset(type)));
                code.LoadInts(highScales, new Address(b, KvTile.ScalesOffset(type) + Vector));
            }
            for (int sum = 0; sum < 2 * lines; sum++)
            {
                code.ConvertToFloats(firstInt + sum, firstInt + sum);
                if (isKey) code.MultiplyAdd(sum, firstInt + sum, sum % 2 == 0 ? lowScales : highScales);
                else code.MultiplyAddBroadcast(sum, firstInt + sum, new Address(scales, sum / 2 * sizeof(float)));
            }
            code.Add(scales, scaleStep);
        }
    }
}
