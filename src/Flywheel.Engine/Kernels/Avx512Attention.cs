using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static Flywheel.Engine.Kernels.Gpr;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// Attention's inner loops with AVX-512. The product is assembled at start, for every type of cache and up to 12 lines:
/// its sums stay in registers, and half precision is widened by the instruction that .NET does not offer.
/// </summary>
internal unsafe struct Avx512Attention : ITileKernels
{
    private const int Size = KvTile.Size, LineBytes = Size * sizeof(float), Vector = 64;

    /// <summary>Two sums a line, a row of the tile and scales fit the 32 registers.</summary>
    private const int MaxLines = 12;

    private const int FetchLevel = VnniProduct.FetchLevel;

    /// <summary>[type, keys or values, lines]</summary>
    private static readonly nint[] Code = OperatingSystem.IsLinux() && Avx512BW.IsSupported ? AssembleAll() : [];

    public static bool IsSupported => Code.Length > 0 && Code.All(function => function != 0);

    public static void Multiply(AttentionJob* job, TileProduct* product, bool isKey)
    {
        int lines = job->NumLines, first = Index(job->Type, isKey, 0);
        TileProduct part = *product;
        for (int parts = (lines + MaxLines - 1) / MaxLines; parts > 0; parts--)
        {
            int count = (lines + parts - 1) / parts;
            ((delegate* unmanaged[SuppressGCTransition]<TileProduct*, void>)Code[first + count])(&part);
            lines -= count;
            part.A += count * Size;
            part.C += count * Size;
        }
    }

    [MethodImpl(VectorKernels.Hot)]
    public static void Softmax(float* scores, long stride, int count, float* largest, float* total)
    {
        int numPages = (count + Size - 1) / Size;
        V most = Vector512.Create(float.NegativeInfinity);
        for (int page = 0; page < numPages; page++)
        {
            float* s = scores + page * stride;
            most = Vector512.Max(most, Vector512.Max(Vector512.Load(s), Vector512.Load(s + 16)));
        }
        *largest = VectorKernels.Largest(Vector256.Max(most.GetLower(), most.GetUpper()));
        most = Vector512.Create(*largest);
        V sum = V.Zero;
        for (int page = 0; page < numPages; page++)
        {
            float* s = scores + page * stride;
            V first = Exp(Vector512.Load(s) - most), second = Exp(Vector512.Load(s + 16) - most);
            first.Store(s);
            second.Store(s + 16);
            sum += first;
            sum += second;
        }
        *total = VectorKernels.Sum(sum.GetLower() + sum.GetUpper());
    }

    /// <summary>See <see cref="ScalarKernels.Exp"/>; arguments are never above 0 here.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Exp(V x)
    {
        V inRange = Vector512.GreaterThanOrEqual(x, Vector512.Create(-87f));
        x = Vector512.Max(x, Vector512.Create(-87f));
        V n = Vector512.Round(x * Vector512.Create(1.44269504f));
        V r = Avx512F.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), x);
        r = Avx512F.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        V p = Avx512F.FusedMultiplyAdd(Vector512.Create(1.9875691500e-4f), r, Vector512.Create(1.3981999507e-3f));
        p = Avx512F.FusedMultiplyAdd(p, r, Vector512.Create(8.3334519073e-3f));
        p = Avx512F.FusedMultiplyAdd(p, r, Vector512.Create(4.1665795894e-2f));
        p = Avx512F.FusedMultiplyAdd(p, r, Vector512.Create(1.6666665459e-1f));
        p = Avx512F.FusedMultiplyAdd(p, r, Vector512.Create(5.0000001201e-1f));
        p = Avx512F.FusedMultiplyAdd(p, r * r, r + V.One);
        return p * Vector512.ShiftLeft(Avx512F.ConvertToVector512Int32(n) + Vector512.Create(127), 23).AsSingle() & inRange;
    }

    private static int Index(KvType type, bool isKey, int lines) => ((int)type * 2 + (isKey ? 1 : 0)) * (MaxLines + 1) + lines;

    private static nint[] AssembleAll()
    {
        var code = new nint[Index(KvType.Int8, true, MaxLines) + 1];
        foreach (KvType type in Enum.GetValues<KvType>())
            for (int lines = 0; lines <= MaxLines; lines++)
            {
                code[Index(type, true, lines)] = lines == 0 ? 1 : Assemble(type, true, lines); // entry 0 is not used
                code[Index(type, false, lines)] = lines == 0 || type != KvType.Int8 ? code[Index(type, true, lines)] : Assemble(type, false, lines);
            }
        return code;
    }

    private static nint Assemble(KvType type, bool isKey, int lines)
    {
        const int low = 31, high = 30, lowScales = 29, highScales = 28; // sums are 0 to 23
        const int scales = Size * Size; // of int8, after the numbers
        const Gpr product = Rdi, b = Rsi, a = Rdx, c = Rcx, tiles = R8, ahead = R9, list = R10, aStep = R11;
        int rowBytes = Size * (type == KvType.Fp32 ? 4 : type == KvType.Fp16 ? 2 : 1);
        var code = new Assembler();
        foreach ((Gpr register, string field) in new[]
        {
            (list, nameof(TileProduct.B)), (a, nameof(TileProduct.A)), (aStep, nameof(TileProduct.AStep)), (c, nameof(TileProduct.C)), (tiles, nameof(TileProduct.NumTiles)),
        }) code.Load(register, new Address(product, (int)Marshal.OffsetOf<TileProduct>(field)));
        for (int line = 0; line < 2 * lines; line++) code.Zero(line);

        int loop = code.Position;
        code.Load(b, new Address(list, 0));
        code.Load(ahead, new Address(list, TileProduct.NumAhead * sizeof(long)));
        if (type == KvType.Int8) for (int at = scales; at < KvTile.Bytes(type); at += Vector) code.Prefetch(new Address(ahead, at), FetchLevel);
        if (type == KvType.Int8 && isKey)
        {
            code.LoadInts(lowScales, new Address(b, scales));
            code.LoadInts(highScales, new Address(b, scales + Vector));
        }
        for (int k = 0; k < Size; k++)
        {
            var row = new Address(b, k * rowBytes);
            for (int at = k * rowBytes; at < (k + 1) * rowBytes; at++)
                if (at % Vector == 0) code.Prefetch(new Address(ahead, at), FetchLevel);
            LoadRow(low, row, lowScales, k);
            LoadRow(high, row.Plus(rowBytes / 2), highScales, k);
            for (int line = 0; line < lines; line++)
            {
                var factor = new Address(a, line * LineBytes + k * sizeof(float));
                code.MultiplyAddBroadcast(2 * line, low, factor);
                code.MultiplyAddBroadcast(2 * line + 1, high, factor);
            }
        }
        code.Add(list, sizeof(long));
        code.Add(a, aStep);
        code.Add(tiles, -1);
        code.JumpIfNotZero(loop);

        for (int line = 0; line < 2 * lines; line++) code.StoreFloats(new Address(c, line * Vector), line);
        code.Return();
        return code.Publish();

        void LoadRow(int zmm, Address source, int keyScales, int k)
        {
            switch (type)
            {
                case KvType.Fp32:
                    code.LoadInts(zmm, source);
                    break;
                case KvType.Fp16:
                    code.LoadHalves(zmm, source);
                    break;
                default:
                    code.LoadBytes(zmm, source);
                    code.ConvertToFloats(zmm, zmm);
                    if (isKey) code.Multiply(zmm, zmm, keyScales);
                    else code.MultiplyByBroadcast(zmm, zmm, new Address(b, scales + k * sizeof(float)));
                    break;
            }
        }
    }
}
