using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Flywheel.Model;

namespace Flywheel.Engine.Kernels;

/// <summary>A block type in panels of 8 outputs, as the generic products see it; everything folds to constants and a few instructions.</summary>
internal unsafe interface IPanelFormat
{
    static abstract TensorType Type { get; }

    /// <summary>Largest stored number; 127 stands for signed bytes.</summary>
    static abstract int Largest { get; }

    /// <summary>Four neighbouring inputs of every output, as bytes: group 0 to 7 of a block.</summary>
    static abstract Vector256<byte> Group(byte* block, int group);
}

internal readonly unsafe struct Q8Format : IPanelFormat
{
    public static TensorType Type => TensorType.Q8_0;

    public static int Largest => 127;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group) => Vector256.Load(block + 32 * group);
}

internal readonly unsafe struct Q4Format : IPanelFormat
{
    public static TensorType Type => TensorType.Q4_0;

    public static int Largest => 15;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group) => Nibbles.Group(block, group);
}

internal readonly unsafe struct Q4KFormat : IPanelFormat
{
    public static TensorType Type => TensorType.Q4_K;

    public static int Largest => 15;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group) => Nibbles.Group(block, group);
}

internal readonly unsafe struct Q5Format : IPanelFormat
{
    public static TensorType Type => TensorType.Q5_0;

    public static int Largest => 31;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group) => Nibbles.Group(block, group) | Nibbles.FifthBits(block, group);
}

internal readonly unsafe struct Q5KFormat : IPanelFormat
{
    public static TensorType Type => TensorType.Q5_K;

    public static int Largest => 31;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group) => Nibbles.Group(block, group) | Nibbles.FifthBits(block, group);
}

internal readonly unsafe struct Q6KFormat : IPanelFormat
{
    public static TensorType Type => TensorType.Q6_K;

    public static int Largest => 63;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group)
    {
        Vector256<ushort> pairs = Vector256.Load(block + 128 + group / 4 * 32).AsUInt16(); // whole words shift, the mask takes off what crosses
        Vector256<ushort> upper = (group % 4) switch { 0 => Vector256.ShiftLeft(pairs, 4), 1 => Vector256.ShiftLeft(pairs, 2), 2 => pairs, _ => Vector256.ShiftRightLogical(pairs, 2) };
        return Nibbles.Group(block, group) | upper.AsByte() & Vector256.Create((byte)0x30);
    }
}

internal static unsafe class Nibbles
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Group(byte* block, int group)
    {
        Vector256<byte> pairs = Vector256.Load(block + group % 4 * 32);
        if (group >= 4) pairs = Vector256.ShiftRightLogical(pairs.AsUInt16(), 4).AsByte();
        return pairs & Vector256.Create((byte)15);
    }

    /// <summary>16 where the bit of a number is set.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> FifthBits(byte* block, int group)
    {
        Vector128<byte> bits = Vector128.Create(*(uint*)(block + 128 + group * 4)).AsByte();
        Vector256<byte> spread = Vector256.Create(
            Vector128.Shuffle(bits, Vector128.Create((byte)0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)),
            Vector128.Shuffle(bits, Vector128.Create((byte)2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3)));
        Vector256<byte> own = Vector256.Create(0x8040201008040201ul).AsByte();
        return Vector256.Equals(spread & own, own) & Vector256.Create((byte)16);
    }
}
