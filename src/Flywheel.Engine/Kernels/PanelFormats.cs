using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Flywheel.Model;

namespace Flywheel.Engine.Kernels;

/// <summary>A block type in panels of 16 outputs, as the generic products see it; everything folds to constants and a few
/// instructions.</summary>
internal unsafe interface IPanelFormat
{
    static abstract TensorType Type { get; }

    /// <summary>Largest stored number; 127 stands for signed bytes.</summary>
    static abstract int Largest { get; }

    /// <summary>Four neighbouring inputs of the outputs of a half of the panel, as bytes: group 0 to 7 of a block, of which 4 to 7 are the
    /// upper ones.</summary>
    static abstract Vector256<byte> Group(byte* block, int group, int half, bool isUpper);
}

internal readonly unsafe struct Q8Format : IPanelFormat
{
    public static TensorType Type => TensorType.Q8_0;

    public static int Largest => 127;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group, int half, bool isUpper) => Vector256.Load(block + 64 * group + 32 * half);
}

internal readonly unsafe struct Q4Format : IPanelFormat
{
    public static TensorType Type => TensorType.Q4_0;

    public static int Largest => 15;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group, int half, bool isUpper) => Nibbles.Group(block, group, half, isUpper);
}

internal readonly unsafe struct Q4KFormat : IPanelFormat
{
    public static TensorType Type => TensorType.Q4_K;

    public static int Largest => 15;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group, int half, bool isUpper) => Nibbles.Group(block, group, half, isUpper);
}

internal readonly unsafe struct Q5Format : IPanelFormat
{
    public static TensorType Type => TensorType.Q5_0;

    public static int Largest => 31;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group, int half, bool isUpper) =>
    Nibbles.Group(block, group, half, isUpper) | Nibbles.FifthBits(block, group, half);
}

internal readonly unsafe struct Q5KFormat : IPanelFormat
{
    public static TensorType Type => TensorType.Q5_K;

    public static int Largest => 31;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group, int half, bool isUpper) =>
    Nibbles.Group(block, group, half, isUpper) | Nibbles.FifthBits(block, group, half);
}

internal readonly unsafe struct Q6KFormat : IPanelFormat
{
    public static TensorType Type => TensorType.Q6_K;

    public static int Largest => 63;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group, int half, bool isUpper)
    {
        byte* packed = block + (isUpper ? 192 : 0) + half * 32;
        int number = isUpper ? group - 4 : group;
        if (number < 3) return Vector256.Load(packed + 64 * number) & Vector256.Create((byte)63);
        return UpperTwo(packed, 6, 3) | UpperTwo(packed + 64, 4, 12) | UpperTwo(packed + 128, 2, 48);
    }

    /// <summary>Whole words shift, the mask takes off what crosses.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> UpperTwo(byte* packed, int shift, byte mask) =>
        Vector256.ShiftRightLogical(Vector256.Load(packed).AsUInt16(), shift).AsByte() & Vector256.Create(mask);
}

internal static unsafe class Nibbles
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group, int half, bool isUpper)
    {
        Vector256<byte> pairs = Vector256.Load(block + (isUpper ? group - 4 : group) * 64 + half * 32);
        if (isUpper) pairs = Vector256.ShiftRightLogical(pairs.AsUInt16(), 4).AsByte();
        return pairs & Vector256.Create((byte)15);
    }

    /// <summary>16 where the bit of a number is set.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> FifthBits(byte* block, int group, int half)
    {
        Vector128<byte> bits = Vector128.Create(*(uint*)(block + 256 + group * 8 + half * 4)).AsByte();
        Vector256<byte> spread = Vector256.Create(
            Vector128.Shuffle(bits, Vector128.Create((byte)0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)),
            Vector128.Shuffle(bits, Vector128.Create((byte)2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3)));
        Vector256<byte> own = Vector256.Create(0x8040201008040201ul).AsByte();
        return Vector256.Equals(spread & own, own) & Vector256.Create((byte)16);
    }
}
