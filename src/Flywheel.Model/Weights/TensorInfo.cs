using System.Diagnostics.CodeAnalysis;

namespace Flywheel.Model;

/// <summary>
/// How a tensor's numbers are stored. From Q8_0 on they are ggml's blocks: a run of a row's numbers as small integers
/// with shared scales (<see cref="Quantization"/>).
/// </summary>
[SuppressMessage("Naming", "CA1707", Justification = "ggml's own names")]
public enum TensorType { F32, F16, BF16, I32, I64, U8, I8, Q8_0, Q4_0, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K }

public static class TensorTypes
{
    /// <summary>Numbers in one block; 1 for plain types.</summary>
    public static int BlockSize(this TensorType type) => type switch
    {
        TensorType.Q8_0 or TensorType.Q4_0 or TensorType.Q5_0 or TensorType.Q5_1 => 32,
        TensorType.Q4_K or TensorType.Q5_K or TensorType.Q6_K => 256,
        _ => 1,
    };

    /// <summary>Bytes of one block; of one number for plain types.</summary>
    public static int BlockBytes(this TensorType type) => type switch
    {
        TensorType.F32 or TensorType.I32 => 4,
        TensorType.F16 or TensorType.BF16 => 2,
        TensorType.I64 => 8,
        TensorType.Q8_0 => 2 + 32,
        TensorType.Q4_0 => 2 + 16,
        TensorType.Q5_0 => 2 + 4 + 16,
        TensorType.Q5_1 => 4 + 4 + 16,
        TensorType.Q4_K => 4 + 12 + 128,
        TensorType.Q5_K => 4 + 12 + 32 + 128,
        TensorType.Q6_K => 128 + 64 + 16 + 2,
        _ => 1,
    };

    public static bool IsQuantized(this TensorType type) => type >= TensorType.Q8_0;

    /// <summary>Real numbers, plain or in blocks.</summary>
    public static bool IsReal(this TensorType type) => type is TensorType.F32 or TensorType.F16 or TensorType.BF16 || type.IsQuantized();

    /// <summary>Bytes of so many numbers, whole blocks.</summary>
    public static long NumBytes(this TensorType type, long elements) => elements / type.BlockSize() * type.BlockBytes();
}

/// <summary>One tensor of a file: its type, shape and place, in bytes from the start of the file.</summary>
public sealed record TensorInfo(string Name, TensorType Type, long[] Shape, long Offset, long NumBytes)
{
    /// <summary>Which file of a sharded set.</summary>
    public int Shard { get; init; }

    public long NumElements => Shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>Length of a row: the last dimension.</summary>
    public long NumColumns => Shape.Length == 0 ? 1 : Shape[^1];

    public long RowBytes => Type.NumBytes(NumColumns);

    public string ShapeText => $"[{string.Join(", ", Shape)}]";
}
