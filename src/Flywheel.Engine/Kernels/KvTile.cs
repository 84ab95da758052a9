using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// 32 x 32 numbers of the key/value cache. Keys: rows are dimensions, columns are tokens; values: rows are tokens, columns
/// are dimensions. So both products of attention are [lines, 32] x [32, 32]. In fp32 they lie row by row. Integers of two
/// neighbouring rows lie together, [16, 32, 2], as the instructions want them that add two products; the scales of the
/// tokens follow, fp32 [32]: a key has one a tile, a value one for the whole head, in each of its tiles.
/// </summary>
internal static unsafe class KvTile
{
    public const int Size = 32;

    /// <summary>Integers of queries, of weights, and the largest of the cache: 32 products of two of them fit 32 bits.</summary>
    public const int MostInt = 8191;

    private const int Numbers = Size * Size;

    /// <summary>Below it, numbers are nothing: scales stay finite and not zero.</summary>
    private const float Least = 1e-30f;

    public static int Bytes(KvType type) => type == KvType.Fp32 ? Numbers * sizeof(float) : ScalesOffset(type) + Size * sizeof(float);

    public static int ScalesOffset(KvType type) => Numbers * (type == KvType.Int8 ? 1 : sizeof(short));

    public static float* Scales(KvType type, byte* tile) => (float*)(tile + ScalesOffset(type));

    /// <summary>Scale of integers up to <paramref name="most"/> for numbers up to <paramref name="largest"/>.</summary>
    public static float Scale(float largest, int most) => MathF.Max(largest, Least) * (1f / most);

    /// <summary>What numbers are multiplied with to become such integers.</summary>
    public static float Inverse(float largest, int most) => most / MathF.Max(largest, Least);

    /// <summary>Writes one token's numbers, [n], as a column of key tiles or a row of value tiles.</summary>
    public static void Write(KvType type, byte* tiles, int token, float* x, int n, bool isKey)
    {
        int most = type == KvType.Int8 ? 127 : MostInt;
        float largest = isKey ? 0 : Largest(x, n);
        int* ints = stackalloc int[Size];
        for (int start = 0; start < n; start += Size, tiles += Bytes(type))
        {
            int count = Math.Min(Size, n - start);
            if (type == KvType.Fp32)
            {
                (int first, int step) = isKey ? (token, Size) : (token * Size, 1);
                for (int i = 0; i < count; i++) ((float*)tiles)[first + i * step] = x[start + i];
                continue;
            }
            if (isKey) largest = Largest(x + start, count);
            Scales(type, tiles)[token] = Scale(largest, most);
            Round(x + start, ints, count, Inverse(largest, most));
            int at = isKey ? Place(0, token) : Place(token, 0), next = isKey ? 1 : 2, pair = isKey ? Place(2, 0) : 4;
            for (int i = 0; i < count; i += 2, at += pair)
            {
                if (type == KvType.Int8) (((sbyte*)tiles)[at], ((sbyte*)tiles)[at + next]) = ((sbyte)ints[i], (sbyte)ints[i + 1]);
                else (((short*)tiles)[at], ((short*)tiles)[at + next]) = ((short)ints[i], (short)ints[i + 1]);
            }
        }
    }

    /// <summary>One number: what the vector kernels are tested against.</summary>
    public static float Read(KvType type, byte* tile, int row, int column, bool isKey) =>
        type == KvType.Fp32
            ? ((float*)tile)[row * Size + column] : ReadInt(type, tile, row, column) * Scales(type, tile)[isKey ? column : row];

    public static int ReadInt(KvType type, byte* tile, int row, int column) =>
        type == KvType.Int8 ? ((sbyte*)tile)[Place(row, column)] : ((short*)tile)[Place(row, column)];

    /// <summary>x [n], a multiple of 8, to the nearest integers of x * inverse.</summary>
    public static void Round(float* x, int* ints, int n, float inverse)
    {
        for (int i = 0; i < n; i += 8)
            Vector256.ConvertToInt32(Vector256.Round(Vector256.Load(x + i) * Vector256.Create(inverse))).Store(ints + i);
    }

    /// <summary>The largest size of x [n], a multiple of 8.</summary>
    public static float Largest(float* x, int n)
    {
        Vector256<float> most = Vector256<float>.Zero;
        for (int i = 0; i < n; i += 8) most = Vector256.Max(most, Vector256.Abs(Vector256.Load(x + i)));
        return VectorKernels.Largest(most);
    }

    /// <summary>The integers of an int8 tile in 16 bits, in their order.</summary>
    [MethodImpl(VectorKernels.Hot)]
    public static void Widen(byte* tile, short* wide)
    {
        for (int i = 0; i < Numbers; i += 16)
        {
            Vector128<sbyte> bytes = Vector128.Load((sbyte*)tile + i);
            Vector256.Create(Vector128.WidenLower(bytes), Vector128.WidenUpper(bytes)).Store(wide + i);
        }
    }

    private static int Place(int row, int column) => row / 2 * (2 * Size) + 2 * column + row % 2;
}
