using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Flywheel.Data;

/// <summary>Hashes and random streams that are the same on every machine and every day.</summary>
public static class StableHash
{
    public static ulong Of(string text) => BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    /// <summary>A seeded random stream that belongs to one item, whatever the order of items.</summary>
    public static Random Stream(string id, int seed) => new((int)(Of($"{seed}\n{id}") & int.MaxValue));

    /// <summary>From 0 to below 1: a share of items is those below it, and a smaller share is a part of a larger one.</summary>
    public static double ShareOf(string id) => (Of("share\n" + id) >> 11) * (1.0 / (1UL << 53));

    /// <summary>About one group in fifty is held out. Depends on the group alone, so that it stays held out for ever.</summary>
    public static Split SplitOf(string group) => Of("split\n" + group) % 50 == 0 ? Split.Validation : Split.Train;
}
