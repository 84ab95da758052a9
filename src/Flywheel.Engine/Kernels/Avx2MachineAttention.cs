using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using static Flywheel.Engine.Kernels.Gpr;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// Attention's products of integers with AVX2, assembled at start for every number of lines whose sums fit the registers, so
/// that a tile is read once for all of them; the rest is <see cref="VectorAttention"/>'s. After 4,096 tokens a model of 135m takes 18.7 ms
/// of one core of a Zen 4 for a token, and 21.8 with the compiler's products (2026-12-01; bench/README.md).
/// </summary>
internal unsafe struct Avx2MachineAttention : ITileKernels
{
    private const int Size = KvTile.Size, Vector = 32, Vectors = Size * sizeof(int) / Vector;

    /// <summary>Four vectors of sums a line, one of x and one of products; a row of int8 must be widened and takes four more.</summary>
    private const int MaxLines = 3, MaxInt8Lines = 2;

    /// <summary>[int8 or int16, keys or values, lines]</summary>
    private static readonly nint[] Code = OperatingSystem.IsLinux() && Avx2.IsSupported && Fma.IsSupported ? AssembleAll() : [];

    public static void Multiply(AttentionJob* job, TileProduct* product, bool isKey)
    {
        if (job->Type == KvType.Fp32 || Code.Length == 0)
        {
            VectorAttention.Multiply(job, product, isKey);
            return;
        }
        new Span<float>(product->C, job->NumLines * Size).Clear();
        product->Run(job->NumLines, Code.AsSpan(Index(job->Type, isKey, 0), 1 + (job->Type == KvType.Int8 ? MaxInt8Lines : MaxLines)));
    }

    public static void Softmax(AttentionJob* job, int line, int count, byte** values, float* result) =>
        VectorAttention.Softmax(job, line, count, values, result);

    private static int Index(KvType type, bool isKey, int lines) =>
        ((type == KvType.Int8 ? 2 : 0) + (isKey ? 1 : 0)) * (MaxLines + 1) + lines;

    private static nint[] AssembleAll()
    {
        var code = new nint[Index(KvType.Int8, true, MaxLines) + 1];
        foreach (KvType type in new[] { KvType.Int16, KvType.Int8 })
            foreach (bool isKey in new[] { true, false })
                for (int lines = 1; lines <= (type == KvType.Int8 ? MaxInt8Lines : MaxLines); lines++)
                    if ((code[Index(type, isKey, lines)] = Assemble(type, isKey, lines)) == 0) return [];
        return code;
    }

    private static nint Assemble(KvType type, bool isKey, int lines)
    {
        const int x = 12, products = 13, scale = 14, firstRow = 8; // sums begin at 0
        // the last that is read
        const Gpr product = Rdi, b = Rsi, a = Rdx, c = Rcx, tiles = R8, list = R10, aStep = R11, scales = Rax, scaleStep = Rdi;
        int vectorBytes = type == KvType.Int8 ? Vector / 2 : Vector, lineBytes = Size * sizeof(short);
        var code = new Assembler(Vector);
        foreach ((Gpr register, string field) in new[]
        {
            (list, nameof(TileProduct.B)), (a, nameof(TileProduct.A)), (aStep, nameof(TileProduct.AStep)), (c, nameof(TileProduct.C)),
            (tiles, nameof(TileProduct.NumTiles)),
            (scales, nameof(TileProduct.Scales)), (scaleStep, nameof(TileProduct.ScaleStep)),
        }) code.Load(register, new Address(product, (int)Marshal.OffsetOf<TileProduct>(field)));

        int loop = code.Position;
        code.Load(b, new Address(list, 0));
        for (int k = 0; k < Size / 2; k++)
        {
            if (type == KvType.Int8) for (int v = 0; v < Vectors; v++) code.LoadBytesAsWords(firstRow + v, Row(k, v));
            for (int line = 0; line < lines; line++)
            {
                code.BroadcastInt(x, new Address(a, line * lineBytes + k * sizeof(int)));
                for (int v = 0; v < Vectors; v++)
                {
                    int target = k == 0 ? line * Vectors + v : products;
                    if (type == KvType.Int8) code.MultiplyWords(target, x, firstRow + v);
                    else code.MultiplyWords(target, x, Row(k, v));
                    if (k > 0) code.AddInts(line * Vectors + v, line * Vectors + v, products);
                }
            }
        }
        for (int line = 0; line < lines; line++)
        {
            if (!isKey) code.BroadcastInt(scale, new Address(scales, line * sizeof(float)));
            for (int v = 0; v < Vectors; v++)
            {
                int sum = line * Vectors + v;
                var result = new Address(c, sum * Vector);
                if (isKey) code.LoadInts(scale, new Address(b, KvTile.ScalesOffset(type) + v * Vector));
                code.ConvertToFloats(sum, sum);
                code.LoadInts(products, result);
                code.MultiplyAdd(products, sum, scale);
                code.StoreFloats(result, products);
            }
        }
        code.Add(scales, scaleStep);
        code.Add(list, sizeof(long));
        code.Add(a, aStep);
        code.Add(tiles, -1);
        code.JumpIfNotZero(loop);
        code.Return();
        return code.Publish();

        Address Row(int k, int v) => new(b, (k * Vectors + v) * vectorBytes);
    }
}
