// How ggml's blocks lie in a panel of P outputs. Of every 32 inputs, P outputs' numbers are stored together: "groups" of four
// neighbouring inputs of each output, [P, 4], are what one instruction multiplies.
//   Q8_0        [8 groups][P, 4] bytes
//   Q4_0, Q4_K  [4 groups][P, 4] nibbles: low ones are inputs 0 to 15, high ones 16 to 31
//   Q5_0, Q5_K  the same, then the fifth bits [8 groups][P, 4]
//   Q6_K        [2 halves][3 groups][P, 4] bytes: a number in the lower six bits, and in the upper two bits 2g and 2g + 1
//               of the number of the half's fourth group: one instruction takes out a number, seven every fourth
// Scales: an fp16 a block, [K / 32][P]; of K-quants, for every 256 inputs, d [P] (fp16), of Q4_K and Q5_K dmin [P] (fp16),
// then for every block scale [P] and minimum [P] (bytes), of Q6_K scales [2 halves][P] (signed bytes).
// The numbers are those of the file, bit for bit.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Flywheel.Model;

namespace Flywheel.Engine.Kernels;

/// <summary>Sizes of a type's panels, and single values put in and taken out.</summary>
internal static unsafe class PanelLayout
{
    /// <summary>Inputs that one step of a kernel takes.</summary>
    public const int Block = 32;

    /// <summary>Blocks of a K-quant's super-block.</summary>
    public const int SuperBlocks = 8;

    private const int Group = 4, HalfBlock = Block / 2;

    /// <summary>Groups of half a block of Q6_K that have bytes of their own.</summary>
    private const int SixGroups = 3;

    public static bool IsPlain(TensorType type) => !type.IsQuantized();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool HasSuperBlocks(TensorType type) => type.BlockSize() > Block;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool HasMinimum(TensorType type) => type is TensorType.Q4_K or TensorType.Q5_K;

    /// <summary>What the stored number is too large by.</summary>
    public static int Bias(TensorType type, int int8Bias) => type switch
    {
        TensorType.Q8_0 => int8Bias,
        TensorType.Q4_0 => 8,
        TensorType.Q5_0 => 16,
        TensorType.Q6_K => 32,
        _ => 0,
    };

    /// <summary>A stored number as the file means it, without its scale.</summary>
    public static int Signed(TensorType type, byte number, int int8Bias) =>
        type == TensorType.Q8_0 && int8Bias == 0 ? (sbyte)number : number - Bias(type, int8Bias);

    /// <summary>A plain number; fp16 and bf16 convert exactly.</summary>
    public static float PlainValue(TensorType type, byte* numbers, long index) => type switch
    {
        TensorType.F32 => ((float*)numbers)[index],
        TensorType.F16 => (float)((Half*)numbers)[index],
        _ => BitConverter.Int32BitsToSingle(((ushort*)numbers)[index] << 16),
    };

    /// <summary>Bytes that 32 inputs of one output take, without scales.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int BlockBytes(TensorType type) => type switch
    {
        TensorType.F32 => 128,
        TensorType.F16 or TensorType.BF16 => 64,
        TensorType.Q8_0 => 32,
        TensorType.Q6_K => 24,
        TensorType.Q5_0 or TensorType.Q5_K => 20,
        _ => 16,
    };

    /// <summary>Bytes of the scales of one output.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long ScaleBytes(TensorType type, long blocks) => type switch
    {
        _ when IsPlain(type) => 0,
        TensorType.Q6_K => blocks / SuperBlocks * (2 + 2 * SuperBlocks),
        _ when HasMinimum(type) => blocks / SuperBlocks * (4 + 2 * SuperBlocks),
        _ => blocks * 2,
    };

    /// <summary>What a stored number of a block's half stands for, in units of the output.</summary>
    public static float Scale(TensorType type, byte* scales, int panel, int output, int block, int half)
    {
        if (!HasSuperBlocks(type)) return HalfAt(scales, block * panel + output);
        byte* super = SuperBlock(type, scales, panel, block);
        float d = HalfAt(super, output);
        byte* small = super + SmallOffset(type, panel) + block % SuperBlocks * 2 * panel;
        return type == TensorType.Q6_K ? d * ((sbyte*)small)[half * panel + output] : d * small[output];
    }

    /// <summary>What Q4_K and Q5_K take off every number of a block.</summary>
    public static float Minimum(TensorType type, byte* scales, int panel, int output, int block)
    {
        byte* super = SuperBlock(type, scales, panel, block);
        return HalfAt(super, panel + output) * super[SmallOffset(type, panel) + block % SuperBlocks * 2 * panel + panel + output];
    }

    /// <summary>Takes out 32 stored numbers of an output; <paramref name="block"/> is where the block of the panel starts.</summary>
    public static void Unpack(TensorType type, byte* block, int panel, int output, Span<byte> numbers)
    {
        for (int k = 0; k < Block; k++)
        {
            if (type == TensorType.Q8_0)
            {
                numbers[k] = block[k / Group * Group * panel + output * Group + k % Group];
                continue;
            }
            int column = output * Group + k % Group, plane = Group * panel;
            if (type == TensorType.Q6_K)
            {
                byte* six = block + k / HalfBlock * SixGroups * plane + column;
                int group = k % HalfBlock / Group;
                numbers[k] =
                    (byte)(group < SixGroups ? six[group * plane] & 63 : six[0] >> 6 | six[plane] >> 6 << 2 | six[2 * plane] >> 6 << 4);
                continue;
            }
            int value = block[k % HalfBlock / Group * plane + column] >> (k < HalfBlock ? 0 : 4) & 15;
            byte* more = block + HalfBlock * panel;
            if (type is TensorType.Q5_0 or TensorType.Q5_K) value |= (more[k / Group * panel / 2 + column / 8] >> column % 8 & 1) << 4;
            numbers[k] = (byte)value;
        }
    }

    /// <summary>Puts in 32 numbers of an output. The memory was zero.</summary>
    public static void Pack(TensorType type, byte* block, int panel, int output, ReadOnlySpan<byte> numbers)
    {
        for (int k = 0; k < Block; k++)
        {
            byte value = numbers[k];
            if (type == TensorType.Q8_0)
            {
                block[k / Group * Group * panel + output * Group + k % Group] = value;
                continue;
            }
            int column = output * Group + k % Group, plane = Group * panel;
            if (type == TensorType.Q6_K)
            {
                byte* six = block + k / HalfBlock * SixGroups * plane + column;
                int group = k % HalfBlock / Group;
                if (group < SixGroups) six[group * plane] |= value;
                else for (int g = 0; g < SixGroups; g++) six[g * plane] |= (byte)(value >> 2 * g << 6);
                continue;
            }
            block[k % HalfBlock / Group * plane + column] |= (byte)((value & 15) << (k < HalfBlock ? 0 : 4));
            byte* more = block + HalfBlock * panel;
            if (type is TensorType.Q5_0 or TensorType.Q5_K) more[k / Group * panel / 2 + column / 8] |= (byte)(value >> 4 << column % 8);
        }
    }

    /// <summary>Puts in one row. The memory was zero.</summary>
    /// <param name="type">A type that has panels.</param>
    /// <param name="row">The row as files have it.</param>
    /// <param name="weights">The panel's numbers.</param>
    /// <param name="scales">The panel's scales.</param>
    /// <param name="panel">P</param>
    /// <param name="output">Which row of the panel.</param>
    /// <param name="int8Bias">Added to Q8_0's numbers.</param>
    public static void PackRow(TensorType type, ReadOnlySpan<byte> row, byte* weights, byte* scales, int panel, int output, int int8Bias)
    {
        if (IsPlain(type))
        {
            int width = type.BlockBytes();
            for (int k = 0; k * width < row.Length; k++)
                row.Slice(k * width, width).CopyTo(new Span<byte>(weights + ((long)k * panel + output) * width, width));
            return;
        }
        Span<byte> numbers = stackalloc byte[Block * SuperBlocks];
        int size = type.BlockSize(), bytes = type.BlockBytes(), parts = size / Block;
        for (int block = 0; row.Length > 0; block += parts, row = row[bytes..])
        {
            GgmlNumbers.Read(type, row, numbers, int8Bias);
            for (int part = 0; part < parts; part++)
                Pack(type, weights + (long)(block + part) * BlockBytes(type) * panel, panel, output, numbers.Slice(part * Block, Block));
            if (!HasSuperBlocks(type))
            {
                Copy(row[..2], scales + (long)block * 2 * panel, output);
                continue;
            }
            byte* super = SuperBlock(type, scales, panel, block), small = super + SmallOffset(type, panel);
            if (type == TensorType.Q6_K)
            {
                Copy(row.Slice(bytes - 2, 2), super, output);
                for (int i = 0; i < 2 * SuperBlocks; i++) small[i * panel + output] = row[GgmlNumbers.Q6ScalesAt + i];
                continue;
            }
            Copy(row[..2], super, output);
            Copy(row[2..4], super, panel + output);
            for (int i = 0; i < SuperBlocks; i++)
            {
                (byte scale, byte minimum) = GgmlNumbers.ScaleAndMinimum(row[4..], i);
                small[2 * i * panel + output] = scale;
                small[(2 * i + 1) * panel + output] = minimum;
            }
        }
    }

    public static byte* SuperBlock(TensorType type, byte* scales, int panel, int block) =>
        scales + block / SuperBlocks * ScaleBytes(type, SuperBlocks) * panel;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SmallOffset(TensorType type, int panel) => (type == TensorType.Q6_K ? 2 : 4) * panel;

    private static float HalfAt(byte* halves, int index) => (float)((Half*)halves)[index];

    private static void Copy(ReadOnlySpan<byte> half, byte* halves, int index) =>
        ((ushort*)halves)[index] = MemoryMarshal.Read<ushort>(half);
}
