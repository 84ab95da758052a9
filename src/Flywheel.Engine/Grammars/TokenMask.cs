namespace Flywheel.Engine.Grammars;

/// <summary>Which tokens are allowed: a bit for each, or their list where they are few. Immutable.</summary>
internal sealed class TokenMask
{
    private readonly ulong[]? _bits;
    private readonly int[]? _ids;

    private TokenMask(ulong[]? bits, int[]? ids) => (_bits, _ids) = (bits, ids);

    /// <summary>Bytes that it takes.</summary>
    public int Size => 64 + (_bits?.Length * sizeof(ulong) ?? _ids!.Length * sizeof(int));

    public static TokenMask Of(ulong[] bits)
    {
        int count = 0;
        foreach (ulong word in bits) count += System.Numerics.BitOperations.PopCount(word);
        if (count > bits.Length) return new TokenMask([.. bits], null);
        int[] ids = new int[count];
        count = 0;
        for (int word = 0; word < bits.Length; word++)
            for (ulong left = bits[word]; left != 0; left &= left - 1)
                ids[count++] = word * 64 + System.Numerics.BitOperations.TrailingZeroCount(left);
        return new TokenMask(null, ids);
    }

    public bool IsEmpty => _ids is [];

    public bool Allows(int id) => _bits is not null ? (_bits[id / 64] >> id % 64 & 1) != 0 : _ids!.AsSpan().BinarySearch(id) >= 0;

    /// <summary>Adds the allowed tokens to a set of bits.</summary>
    public void AddTo(ulong[] bits)
    {
        if (_bits is not null)
            for (int word = 0; word < bits.Length; word++) bits[word] |= _bits[word];
        else
            foreach (int id in _ids!) bits[id / 64] |= 1UL << id % 64;
    }

    /// <summary>Forbids all others; [V] logits.</summary>
    public unsafe void Apply(float* logits, int vocabSize)
    {
        if (_ids is not null)
        {
            Span<float> kept = _ids.Length <= 256 ? stackalloc float[_ids.Length] : new float[_ids.Length];
            var all = new Span<float>(logits, vocabSize); // its bounds are checked
            for (int i = 0; i < kept.Length; i++) kept[i] = all[_ids[i]];
            all.Fill(float.NegativeInfinity);
            for (int i = 0; i < kept.Length; i++) all[_ids[i]] = kept[i];
            return;
        }
        for (int word = 0; word < _bits!.Length && word * 64 < vocabSize; word++)
        {
            ulong allowed = _bits[word];
            if (allowed == ulong.MaxValue) continue;
            int first = word * 64, count = Math.Min(64, vocabSize - first);
            if (allowed == 0) new Span<float>(logits + first, count).Fill(float.NegativeInfinity);
            else
                for (int bit = 0; bit < count; bit++)
                    if ((allowed >> bit & 1) == 0) logits[first + bit] = float.NegativeInfinity;
        }
    }
}
