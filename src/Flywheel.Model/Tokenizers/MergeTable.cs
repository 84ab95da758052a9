namespace Flywheel.Model;

/// <summary>Which pairs of ids merge, in which rank, into which id. An open hash table: looked up for every pair of every new
/// word.</summary>
internal sealed class MergeTable
{
    public const int NoMerge = int.MaxValue;

    private const ulong Empty = ulong.MaxValue;

    private readonly ulong[] _pairs;
    private readonly (int Rank, int Id)[] _merges;
    private readonly int _shift;

    public MergeTable(int count)
    {
        int bits = Math.Max(4, 64 - System.Numerics.BitOperations.LeadingZeroCount((ulong)count * 2));
        _pairs = new ulong[1 << bits];
        _merges = new (int, int)[1 << bits];
        _shift = 64 - bits;
        Array.Fill(_pairs, Empty);
    }

    public int Count { get; private set; }

    /// <summary>Adds the next rank; false when the pair is there already.</summary>
    public bool TryAdd(int left, int right, int id)
    {
        int slot = Slot(left, right);
        if (_pairs[slot] != Empty) return false;
        _pairs[slot] = Pair(left, right);
        _merges[slot] = (Count++, id);
        return true;
    }

    /// <summary>Rank and result of a pair; <see cref="NoMerge"/> as the rank when it does not merge.</summary>
    public (int Rank, int Id) Find(int left, int right)
    {
        int slot = Slot(left, right);
        return _pairs[slot] == Empty ? (NoMerge, -1) : _merges[slot];
    }

    private static ulong Pair(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private int Slot(int left, int right)
    {
        ulong pair = Pair(left, right);
        int slot = (int)((pair * 0x9E3779B97F4A7C15) >> _shift);
        while (_pairs[slot] != pair && _pairs[slot] != Empty) slot = (slot + 1) & (_pairs.Length - 1);
        return slot;
    }
}
