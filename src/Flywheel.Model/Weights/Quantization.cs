// ggml's block formats (ggml-org/llama.cpp, ggml/src/ggml-common.h), little endian. q is a small integer, d and m fp16.
//   Q8_0  32 numbers   d, int8 q[32]                          x = d q
//   Q4_0  32           d, 4-bit q[32]                         x = d (q - 8)
//   Q5_0  32           d, fifth bits (32), 4-bit q[32]        x = d (q - 16)
//   Q5_1  32           d, m, fifth bits (32), 4-bit q[32]     x = d q + m
// In all 4-bit parts byte i holds number i in its low half and number i + 16 in its high half. Q4_K, Q5_K, Q6_K: KQuants.
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Flywheel.Model;

/// <summary>
/// Rows of numbers to and from their stored form: plain fp16 and bfloat16, and ggml's blocks. Reading is bit for bit
/// what ggml's reference does; writing makes the same blocks as <c>llama-quantize</c> without an importance matrix.
/// </summary>
public static class Quantization
{
    /// <param name="type">F32, F16, BF16 or a block type.</param>
    /// <param name="row">Whole blocks of finite numbers.</param>
    /// <param name="blocks">Exactly as many bytes as the blocks take.</param>
    public static void Quantize(TensorType type, ReadOnlySpan<float> row, Span<byte> blocks)
    {
        CheckSizes(type, row.Length, blocks.Length);
        switch (type)
        {
            case TensorType.F32:
                MemoryMarshal.AsBytes(row).CopyTo(blocks);
                return;
            case TensorType.F16:
                for (int i = 0; i < row.Length; i++) WriteHalf(blocks[(2 * i)..], row[i]);
                return;
            case TensorType.BF16:
                Span<ushort> rounded = MemoryMarshal.Cast<byte, ushort>(blocks);
                for (int i = 0; i < row.Length; i++) rounded[i] = ToBFloat16(row[i]);
                return;
        }
        int size = type.BlockSize(), bytes = type.BlockBytes();
        for (int block = 0; block * size < row.Length; block++)
        {
            ReadOnlySpan<float> x = row.Slice(block * size, size);
            Span<byte> y = blocks.Slice(block * bytes, bytes);
            switch (type)
            {
                case TensorType.Q8_0: QuantizeQ8_0(x, y); break;
                case TensorType.Q4_0: QuantizeFromFurthest(x, y, -8, 15); break;
                case TensorType.Q5_0: QuantizeFromFurthest(x, y, -16, 31); break;
                case TensorType.Q5_1: QuantizeQ5_1(x, y); break;
                case TensorType.Q4_K: KQuants.QuantizeQ4_K(x, y); break;
                case TensorType.Q5_K: KQuants.QuantizeQ5_K(x, y); break;
                default: KQuants.QuantizeQ6_K(x, y); break;
            }
        }
    }

    /// <param name="type">F32, F16, BF16 or a block type.</param>
    /// <param name="blocks">Whole blocks.</param>
    /// <param name="row">Exactly as many numbers as the blocks hold.</param>
    public static void Dequantize(TensorType type, ReadOnlySpan<byte> blocks, Span<float> row)
    {
        CheckSizes(type, row.Length, blocks.Length);
        switch (type)
        {
            case TensorType.F32:
                blocks.CopyTo(MemoryMarshal.AsBytes(row));
                return;
            case TensorType.F16:
                for (int i = 0; i < row.Length; i++) row[i] = ReadHalf(blocks[(2 * i)..]);
                return;
            case TensorType.BF16:
                ReadOnlySpan<ushort> halves = MemoryMarshal.Cast<byte, ushort>(blocks);
                for (int i = 0; i < row.Length; i++) row[i] = BitConverter.UInt32BitsToSingle((uint)halves[i] << 16);
                return;
        }
        int size = type.BlockSize(), bytes = type.BlockBytes();
        for (int block = 0; block * size < row.Length; block++)
        {
            ReadOnlySpan<byte> x = blocks.Slice(block * bytes, bytes);
            Span<float> y = row.Slice(block * size, size);
            switch (type)
            {
                case TensorType.Q8_0: DequantizeQ8_0(x, y); break;
                case TensorType.Q4_0: DequantizeNibbles(ReadHalf(x), offset: -8, min: -0f, fifthBits: 0, x[2..], y); break;
                case TensorType.Q5_0: DequantizeNibbles(ReadHalf(x), offset: -16, min: -0f, BinaryPrimitives.ReadUInt32LittleEndian(x[2..]),
                    x[6..], y); break;
                case TensorType.Q5_1: DequantizeNibbles(ReadHalf(x), offset: 0, min: ReadHalf(x[2..]),
                    BinaryPrimitives.ReadUInt32LittleEndian(x[4..]), x[8..], y); break;
                case TensorType.Q4_K: KQuants.DequantizeQ4_K(x, y); break;
                case TensorType.Q5_K: KQuants.DequantizeQ5_K(x, y); break;
                default: KQuants.DequantizeQ6_K(x, y); break;
            }
        }
    }

    internal static float ReadHalf(ReadOnlySpan<byte> bytes) => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes);

    internal static void WriteHalf(Span<byte> bytes, float value) => BinaryPrimitives.WriteHalfLittleEndian(bytes, (Half)value);

    /// <summary>Round to nearest even; NaN stays NaN.</summary>
    internal static ushort ToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)0x7FC0 : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static void CheckSizes(TensorType type, int elements, int bytes)
    {
        if (!type.IsReal()) throw new ArgumentException($"{type} holds no real numbers", nameof(type));
        if (elements % type.BlockSize() != 0)
            throw new ArgumentException($"{elements} numbers are no whole blocks of {type}", nameof(elements));
        if (bytes != type.NumBytes(elements))
            throw new ArgumentException($"{elements} numbers of {type} take {type.NumBytes(elements)} bytes, not {bytes}", nameof(bytes));
    }

    private static void QuantizeQ8_0(ReadOnlySpan<float> x, Span<byte> block)
    {
        float furthest = 0;
        foreach (float value in x) furthest = MathF.Max(furthest, MathF.Abs(value));
        float scale = furthest / 127, inverse = scale != 0 ? 1 / scale : 0;
        WriteHalf(block, scale);
        for (int i = 0; i < x.Length; i++) block[2 + i] = (byte)(sbyte)MathF.Round(x[i] * inverse, MidpointRounding.AwayFromZero);
    }

    private static void DequantizeQ8_0(ReadOnlySpan<byte> block, Span<float> y)
    {
        float scale = ReadHalf(block);
        for (int i = 0; i < y.Length; i++) y[i] = (sbyte)block[2 + i] * scale;
    }

    /// <summary>Q4_0 and Q5_0: the number furthest from zero becomes the lowest value, for the range is not symmetric.</summary>
    private static void QuantizeFromFurthest(ReadOnlySpan<float> x, Span<byte> block, int lowest, int largest)
    {
        float furthest = 0;
        foreach (float value in x)
            if (MathF.Abs(value) > MathF.Abs(furthest)) furthest = value;
        float scale = furthest / lowest, inverse = scale != 0 ? 1 / scale : 0;
        WriteHalf(block, scale);
        Span<byte> q = stackalloc byte[32];
        for (int i = 0; i < q.Length; i++) q[i] = (byte)Math.Min(largest, (int)(x[i] * inverse + (0.5f - lowest)));
        WriteNibbles(q, largest > 15 ? block[2..6] : [], block[^16..]);
    }

    private static void QuantizeQ5_1(ReadOnlySpan<float> x, Span<byte> block)
    {
        float min = float.MaxValue, max = -float.MaxValue;
        foreach (float value in x)
        {
            if (value < min) min = value;
            if (value > max) max = value;
        }
        float scale = (max - min) / 31, inverse = scale != 0 ? 1 / scale : 0;
        WriteHalf(block, scale);
        WriteHalf(block[2..], min);
        Span<byte> q = stackalloc byte[32];
        for (int i = 0; i < q.Length; i++) q[i] = (byte)((x[i] - min) * inverse + 0.5f);
        WriteNibbles(q, block[4..8], block[8..]);
    }

    private static void WriteNibbles(ReadOnlySpan<byte> q, Span<byte> fifthBits, Span<byte> nibbles)
    {
        uint high = 0;
        for (int i = 0; i < 16; i++)
        {
            nibbles[i] = (byte)(q[i] & 15 | (q[i + 16] & 15) << 4);
            high |= (uint)(q[i] >> 4) << i | (uint)(q[i + 16] >> 4) << (i + 16);
        }
        if (fifthBits.Length > 0) BinaryPrimitives.WriteUInt32LittleEndian(fifthBits, high);
    }

    /// <param name="min">Negative zero for formats without it, which adds nothing, not even to a zero's sign.</param>
    private static void DequantizeNibbles(float scale, int offset, float min, uint fifthBits, ReadOnlySpan<byte> nibbles, Span<float> y)
    {
        for (int i = 0; i < 16; i++)
        {
            y[i] = ((nibbles[i] & 15 | Fifth(i)) + offset) * scale + min;
            y[i + 16] = ((nibbles[i] >> 4 | Fifth(i + 16)) + offset) * scale + min;
        }

        int Fifth(int i) => (int)(fifthBits >> i & 1) << 4;
    }
}
