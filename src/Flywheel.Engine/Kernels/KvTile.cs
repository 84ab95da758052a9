using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// 32 x 32 numbers of the key/value cache, row by row. Keys: rows are dimensions, columns are tokens; values: rows are
/// tokens, columns are dimensions. So both products of attention are [lines, 32] x [32, 32]. In int8 a tile is followed
/// by the scales of its tokens, fp32 [32].
/// </summary>
internal static unsafe class KvTile
{
    public const int Size = 32;

    private const int Numbers = Size * Size;

    public static int Bytes(KvType type) => type switch
    {
        KvType.Fp32 => Numbers * sizeof(float),
        KvType.Fp16 => Numbers * sizeof(ushort),
        _ => Numbers + Size * sizeof(float),
    };

    /// <summary>Writes one token's numbers, [n], as a column of key tiles or a row of value tiles.</summary>
    public static void Write(KvType type, byte* tiles, int token, float* x, int n, bool isKey)
    {
        (int first, int step) = isKey ? (token, Size) : (token * Size, 1);
        ushort* halves = stackalloc ushort[Size];
        for (int start = 0; start < n; start += Size, tiles += Bytes(type))
        {
            int count = Math.Min(Size, n - start);
            switch (type)
            {
                case KvType.Fp32:
                    for (int i = 0; i < count; i++) ((float*)tiles)[first + i * step] = x[start + i];
                    break;
                case KvType.Fp16:
                    for (int i = 0; i < count; i += 8) Narrow(Vector256.Load(x + start + i)).Store(halves + i); // n is a multiple of 8
                    for (int i = 0; i < count; i++) ((ushort*)tiles)[first + i * step] = halves[i];
                    break;
                default:
                    float largest = 0;
                    for (int i = 0; i < count; i++) largest = MathF.Max(largest, MathF.Abs(x[start + i]));
                    float inverse = largest > 1e-36f ? 127f / largest : 0; // as ScalarKernels.Quantize
                    ((float*)(tiles + Numbers))[token] = largest / 127f;
                    for (int i = 0; i < count; i++) ((sbyte*)tiles)[first + i * step] = (sbyte)MathF.Round(x[start + i] * inverse);
                    break;
            }
        }
    }

    /// <summary>One number: what the vector kernels' conversions are tested against.</summary>
    public static float Read(KvType type, byte* tile, int row, int column, bool isKey)
    {
        int at = row * Size + column;
        return type switch
        {
            KvType.Fp32 => ((float*)tile)[at],
            KvType.Fp16 => (float)((Half*)tile)[at],
            _ => ((sbyte*)tile)[at] * ((float*)(tile + Numbers))[isKey ? column : row],
        };
    }

    /// <summary>A whole tile in fp32.</summary>
    [MethodImpl(VectorKernels.Hot)]
    public static void Widen(KvType type, byte* tile, float* wide, bool isKey)
    {
        if (type == KvType.Fp16)
        {
            for (int i = 0; i < Numbers; i += 8) VectorKernels.Widen((ushort*)tile + i).Store(wide + i);
            return;
        }
        float* scales = (float*)(tile + Numbers);
        for (int row = 0; row < Size; row++)
            for (int column = 0; column < Size; column += 8)
            {
                Vector128<short> bytes = Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(long*)tile).AsSByte());
                V numbers = Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(bytes), Vector128.WidenUpper(bytes)));
                (numbers * (isKey ? Vector256.Load(scales + column) : Vector256.Create(scales[row]))).Store(wide);
                tile += 8;
                wide += 8;
            }
    }

    /// <summary>Eight fp32 to fp16, to nearest, ties to even, saturating; NaN stays NaN. After F. Giesen's float_to_half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector128<ushort> Narrow(V x)
    {
        Vector256<uint> bits = x.AsUInt32(), sign = bits & Vector256.Create(0x8000_0000u);
        V size = Vector256.Min((bits ^ sign).AsSingle(), Vector256.Create(65504f));
        // Normal: rebias the exponent and round what is shifted out. Subnormal: beside 0.5 the last bit is 2^-24, so the addition rounds.
        Vector256<uint> normal = size.AsUInt32();
        normal = Vector256.ShiftRightLogical(normal + Vector256.Create(unchecked((uint)((15 - 127) << 23) + 0xFFF)) + (Vector256.ShiftRightLogical(normal, 13) & Vector256<uint>.One), 13);
        Vector256<uint> subnormal = (size + Vector256.Create(0.5f)).AsUInt32() - Vector256.Create(0.5f).AsUInt32();
        Vector256<uint> half = Vector256.ConditionalSelect(Vector256.LessThan(size, Vector256.Create(6.103515625e-05f)).AsUInt32(), subnormal, normal); // 2^-14
        half |= Vector256.ShiftRightLogical(sign, 16);
        half = Vector256.ConditionalSelect(Vector256.Equals(x, x).AsUInt32(), half, Vector256.Create(0x7E00u));
        return Vector128.Narrow(half.GetLower(), half.GetUpper());
    }
}
