namespace Flywheel.Loop.Translation;

/// <summary>
/// Levenshtein distance from one text to many, 64 cells at a time (Myers, "A fast bit-vector algorithm for approximate string matching",
/// 1999, with the blocks of Hyyrö 2003). Not for several threads at once.
/// </summary>
public sealed class EditDistance
{
    private readonly string _pattern;
    private readonly Dictionary<char, ulong[]> _places = [];
    private readonly ulong[] _nowhere, _positive, _negative;

    /// <param name="pattern">The text that others are compared with.</param>
    public EditDistance(string pattern)
    {
        _pattern = pattern;
        int blocks = (pattern.Length + 63) / 64;
        (_nowhere, _positive, _negative) = (new ulong[blocks], new ulong[blocks], new ulong[blocks]);
        for (int i = 0; i < pattern.Length; i++)
        {
            if (!_places.TryGetValue(pattern[i], out ulong[]? places)) _places[pattern[i]] = places = new ulong[blocks];
            places[i / 64] |= 1UL << (i % 64);
        }
    }

    /// <summary>Characters to insert, delete or replace.</summary>
    /// <param name="text">The other text.</param>
    /// <param name="limit">Of more than that, some larger number is told.</param>
    public int To(string text, int limit = int.MaxValue)
    {
        if (_pattern.Length == 0) return text.Length;
        _positive.AsSpan().Fill(ulong.MaxValue);
        _negative.AsSpan().Clear();
        int distance = _pattern.Length;
        ulong last = 1UL << ((_pattern.Length - 1) % 64);
        for (int column = 0; column < text.Length; column++)
        {
            ulong[] places = _places.GetValueOrDefault(text[column], _nowhere);
            int carry = 1; // the first row counts the columns
            for (int block = 0; block < places.Length; block++)
                carry = Advance(block, places[block], carry, block == places.Length - 1 ? last : 1UL << 63);
            distance += carry;
            if (distance - (text.Length - 1 - column) > limit) return distance; // even if all that is left were equal
        }
        return distance;
    }

    /// <summary>One block of a column: takes the difference that comes in at its top, gives that at its bottom.</summary>
    private int Advance(int block, ulong equal, int carry, ulong bottom)
    {
        ulong positive = _positive[block], negative = _negative[block];
        ulong vertical = equal | negative;
        if (carry < 0) equal |= 1;
        ulong horizontal = (((equal & positive) + positive) ^ positive) | equal;
        ulong up = negative | ~(horizontal | positive), down = positive & horizontal;
        int next = (up & bottom) != 0 ? 1 : (down & bottom) != 0 ? -1 : 0;
        up <<= 1;
        down <<= 1;
        if (carry < 0) down |= 1;
        else if (carry > 0) up |= 1;
        _positive[block] = down | ~(vertical | up);
        _negative[block] = up & vertical;
        return next;
    }
}
