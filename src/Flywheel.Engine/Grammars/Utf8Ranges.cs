using System.Text;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Splits a range of characters into sequences of byte ranges that match their UTF-8 and nothing else (after R. Cox's
/// and RE2's construction).
/// </summary>
internal static class Utf8Ranges
{
    private const int LastCharacter = 0x10FFFF, FirstSurrogate = 0xD800, LastSurrogate = 0xDFFF;

    public static IEnumerable<(byte Low, byte High)[]> Split(int low, int high)
    {
        high = Math.Min(high, LastCharacter);
        if (low > high) yield break;
        // Surrogates are no characters, and lengths of encodings end at these.
        (int, int)[] cuts = [(FirstSurrogate - 1, LastSurrogate + 1), (0x7F, 0x80), (0x7FF, 0x800), (0xFFFF, 0x10000)];
        foreach ((int end, int next) in cuts)
        {
            if (low > end || high < end + 1) continue;
            foreach (var part in Split(low, end).Concat(Split(next, high))) yield return part;
            yield break;
        }
        if (low >= FirstSurrogate && low <= LastSurrogate)
        {
            foreach (var part in Split(LastSurrogate + 1, high)) yield return part;
            yield break;
        }
        // All characters of one length: cut where a shared prefix ends, until every later byte spans its whole range.
        for (int bits = 6; bits <= 18; bits += 6)
        {
            int mask = (1 << bits) - 1;
            if (low >> bits == high >> bits) continue;
            if ((low & mask) != 0)
            {
                foreach (var part in Split(low, low | mask).Concat(Split((low | mask) + 1, high))) yield return part;
                yield break;
            }
            if ((high & mask) != mask)
            {
                foreach (var part in Split(low, (high & ~mask) - 1).Concat(Split(high & ~mask, high))) yield return part;
                yield break;
            }
        }
        byte[] first = Encoding.UTF8.GetBytes(char.ConvertFromUtf32(low)), last = Encoding.UTF8.GetBytes(char.ConvertFromUtf32(high));
        yield return [.. first.Zip(last)];
    }
}
