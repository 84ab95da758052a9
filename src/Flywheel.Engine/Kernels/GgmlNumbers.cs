using System.Buffers.Binary;
using Flywheel.Model;

namespace Flywheel.Engine.Kernels;

/// <summary>The small integers in ggml's blocks (layouts of ggml-common.h), in the order of their inputs, as unsigned bytes.</summary>
internal static class GgmlNumbers
{
    /// <summary>Bytes from the start of a Q6_K block to its scales.</summary>
    public const int Q6ScalesAt = 192;

    private const int KScales = 4, KBits = 16, Chunk = 64, Half = 32;

    /// <param name="type">Any block type that the engine has a panel for.</param>
    /// <param name="block">One block.</param>
    /// <param name="numbers">At least as many as the block has.</param>
    /// <param name="int8Bias">Added to the signed numbers of Q8_0.</param>
    public static void Read(TensorType type, ReadOnlySpan<byte> block, Span<byte> numbers, int int8Bias)
    {
        switch (type)
        {
            case TensorType.Q8_0:
                for (int i = 0; i < 32; i++) numbers[i] = (byte)(block[2 + i] + int8Bias);
                break;
            case TensorType.Q4_0:
                Nibbles(block.Slice(2, 16), numbers);
                break;
            case TensorType.Q5_0:
                Nibbles(block.Slice(6, 16), numbers);
                uint bits = BinaryPrimitives.ReadUInt32LittleEndian(block[2..]);
                for (int i = 0; i < 32; i++) numbers[i] |= (byte)((bits >> i & 1) << 4);
                break;
            case TensorType.Q4_K:
                for (int chunk = 0; chunk < 4; chunk++) Nibbles(block.Slice(KBits + chunk * Half, Half), numbers[(chunk * Chunk)..]);
                break;
            case TensorType.Q5_K:
                for (int chunk = 0; chunk < 4; chunk++)
                {
                    Span<byte> part = numbers.Slice(chunk * Chunk, Chunk);
                    Nibbles(block.Slice(KBits + Half + chunk * Half, Half), part);
                    for (int i = 0; i < Chunk; i++) part[i] |= (byte)((block[KBits + i % Half] >> 2 * chunk + i / Half & 1) << 4);
                }
                break;
            case TensorType.Q6_K:
                for (int i = 0; i < 256; i++)
                {
                    int part = i / 128, quarter = i % 128 / 32, at = i % 32;
                    int low = block[part * 64 + quarter % 2 * 32 + at] >> quarter / 2 * 4 & 15;
                    numbers[i] = (byte)(low | (block[128 + part * 32 + at] >> quarter * 2 & 3) << 4);
                }
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "no panel for this type");
        }
    }

    /// <summary>Scale and minimum of one of the eight blocks in Q4_K and Q5_K: six bits each, packed in 12 bytes.</summary>
    public static (byte Scale, byte Minimum) ScaleAndMinimum(ReadOnlySpan<byte> packed, int block) => block < KScales
        ? ((byte)(packed[block] & 63), (byte)(packed[block + 4] & 63))
        : ((byte)(packed[block + 4] & 15 | packed[block - 4] >> 6 << 4), (byte)(packed[block + 4] >> 4 | packed[block] >> 6 << 4));

    /// <summary>First all low nibbles, then all high ones.</summary>
    private static void Nibbles(ReadOnlySpan<byte> pairs, Span<byte> numbers)
    {
        for (int i = 0; i < pairs.Length; i++) (numbers[i], numbers[i + pairs.Length]) = ((byte)(pairs[i] & 15), (byte)(pairs[i] >> 4));
    }
}
