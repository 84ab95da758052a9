using System.Buffers.Binary;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Flywheel.Loop;

/// <summary>
/// Token ids and log-probabilities as blobs: ids in LEB128 (7 bits a byte, low first: two bytes for most ids), floats as they are,
/// little-endian, because what was recorded must compare equal to the bit.
/// </summary>
public static class TokenBlob
{
    internal static ValueConverter<int[], byte[]> OfIds { get; } = new(ids => EncodeIds(ids), blob => DecodeIds(blob));

    internal static ValueConverter<float[], byte[]> OfFloats { get; } = new(values => EncodeFloats(values), blob => DecodeFloats(blob));

    // Rows are written once and never changed, so the same array means the same value.
    internal static ValueComparer<int[]> SameIds { get; } = new((a, b) => ReferenceEquals(a, b), ids => ids.Length);

    internal static ValueComparer<float[]> SameFloats { get; } = new((a, b) => ReferenceEquals(a, b), values => values.Length);

    public static byte[] EncodeIds(ReadOnlySpan<int> ids)
    {
        byte[] buffer = new byte[ids.Length * 5];
        int length = 0;
        foreach (int id in ids)
        {
            uint rest = (uint)id;
            for (; rest >= 0x80; rest >>= 7) buffer[length++] = (byte)(rest | 0x80);
            buffer[length++] = (byte)rest;
        }
        return buffer[..length];
    }

    /// <exception cref="InvalidDataException">The blob was not made by <see cref="EncodeIds"/>.</exception>
    public static int[] DecodeIds(ReadOnlySpan<byte> blob)
    {
        var ids = new List<int>(blob.Length);
        uint id = 0;
        int shift = 0;
        foreach (byte next in blob)
        {
            if (shift > 28 || (shift == 28 && next > 0x0F))
                throw new InvalidDataException($"token id {ids.Count} of a recorded generation has more than 32 bits");
            id |= (uint)(next & 0x7F) << shift;
            if ((next & 0x80) != 0)
            {
                shift += 7;
                continue;
            }
            ids.Add((int)id);
            (id, shift) = (0, 0);
        }
        if (shift != 0) throw new InvalidDataException("the token ids of a recorded generation end in the middle of one");
        return [.. ids];
    }

    public static byte[] EncodeFloats(ReadOnlySpan<float> values)
    {
        byte[] blob = new byte[values.Length * 4];
        for (int i = 0; i < values.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(blob.AsSpan(i * 4), values[i]);
        return blob;
    }

    /// <exception cref="InvalidDataException">The length is no multiple of four.</exception>
    public static float[] DecodeFloats(ReadOnlySpan<byte> blob)
    {
        if (blob.Length % 4 != 0)
            throw new InvalidDataException($"{blob.Length} bytes of recorded log-probabilities, expected a multiple of 4");
        float[] values = new float[blob.Length / 4];
        for (int i = 0; i < values.Length; i++) values[i] = BinaryPrimitives.ReadSingleLittleEndian(blob[(i * 4)..]);
        return values;
    }
}
