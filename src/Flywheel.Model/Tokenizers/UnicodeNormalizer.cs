using System.Globalization;
using System.Text;

namespace Flywheel.Model;

/// <summary>
/// NFC, NFD, NFKC and NFKD (Unicode Standard Annex 15). .NET's own are ICU's and do nothing under
/// InvariantGlobalization, and tokenizers want those of one version: Unicode 12.0, which huggingface/tokenizers has.
/// </summary>
/// <remarks>
/// normalization.txt, made from the Unicode Character Database, a line a fact: <c>C</c> a canonical decomposition that
/// composes again, <c>D</c> one that does not, <c>K</c> a compatible one, <c>M</c> first, last and class of combining marks.
/// </remarks>
public static class UnicodeNormalizer
{
    // Hangul syllables are computed (The Unicode Standard, 3.12).
    private const int SBase = 0xAC00, LBase = 0x1100, VBase = 0x1161, TBase = 0x11A7, LCount = 19, VCount = 21, TCount = 28,
        SCount = LCount * VCount * TCount;

    private static readonly Dictionary<int, (bool Compatible, int[] Parts)> s_decompositions = [];
    private static readonly Dictionary<(int, int), int> s_compositions = [];
    private static readonly Dictionary<int, byte> s_classes = [];

    static UnicodeNormalizer()
    {
        using var lines =
            new StreamReader(typeof(UnicodeNormalizer).Assembly.GetManifestResourceStream("Flywheel.Model.normalization.txt")!);
        while (lines.ReadLine() is { } line)
        {
            int[] numbers =
                [.. line[2..].Split(' ').Select(number => int.Parse(number, NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
            if (line[0] == 'M')
                for (int mark = numbers[0]; mark <= numbers[1]; mark++) s_classes[mark] = (byte)numbers[2];
            else
            {
                s_decompositions[numbers[0]] = (line[0] == 'K', numbers[1..]);
                if (line[0] == 'C') s_compositions[(numbers[1], numbers[2])] = numbers[0];
            }
        }
    }

    /// <param name="text">Text without halves of surrogate pairs.</param>
    /// <param name="compatible">NFKC and NFKD; otherwise NFC and NFD.</param>
    /// <param name="compose">NFC and NFKC.</param>
    public static string Normalize(string text, bool compatible, bool compose)
    {
        // No character below U+00A0 changes, none below U+0300 changes under NFC; so most text is left as it is.
        if (!text.AsSpan().ContainsAnyExceptInRange('\0', compose && !compatible ? '\u02FF' : '\u009F')) return text;
        var characters = new List<int>(text.Length);
        foreach (Rune character in text.EnumerateRunes()) Decompose(character.Value, compatible, characters);
        Order(characters);
        int count = compose ? Compose(characters) : characters.Count;
        var result = new StringBuilder(text.Length);
        for (int i = 0; i < count; i++) result.Append(new Rune(characters[i]).ToString());
        return result.ToString();
    }

    private static void Decompose(int character, bool compatible, List<int> result)
    {
        if (character - SBase is >= 0 and < SCount and var syllable)
        {
            result.Add(LBase + syllable / (VCount * TCount));
            result.Add(VBase + syllable % (VCount * TCount) / TCount);
            if (syllable % TCount > 0) result.Add(TBase + syllable % TCount);
        }
        else if (s_decompositions.TryGetValue(character, out var entry) && (compatible || !entry.Compatible))
            foreach (int part in entry.Parts) Decompose(part, compatible, result);
        else result.Add(character);
    }

    /// <summary>Sorts each run of combining marks by class; marks of one class keep their order.</summary>
    private static void Order(List<int> characters)
    {
        for (int start = 0; start < characters.Count; start++)
        {
            int end = start;
            while (end < characters.Count && Class(characters[end]) > 0) end++;
            if (end - start > 1)
            {
                int[] marks = [.. characters[start..end].OrderBy(Class)];
                for (int i = 0; i < marks.Length; i++) characters[start + i] = marks[i];
            }
            start = end;
        }
    }

    /// <summary>Composes in place; the number of characters that are left.</summary>
    private static int Compose(List<int> characters)
    {
        int count = 0, starter = -1, lastClass = 0;
        for (int i = 0; i < characters.Count; i++)
        {
            int character = characters[i], mark = Class(character);
            // Blocked is what has a mark of the same or a higher class, or a starter, between the starter and itself.
            bool adjacent = starter >= 0 && starter == count - 1;
            if (starter >= 0 && (adjacent || (lastClass < mark && lastClass > 0))
                && Pair(characters[starter], character) is var composed and >= 0)
            {
                characters[starter] = composed;
                continue;
            }
            if (mark == 0) starter = count;
            lastClass = mark;
            characters[count++] = character;
        }
        return count;
    }

    private static int Pair(int first, int second)
    {
        if (first - LBase is >= 0 and < LCount and var l && second - VBase is >= 0 and < VCount and var v)
            return SBase + (l * VCount + v) * TCount;
        if (first - SBase is >= 0 and < SCount and var s && s % TCount == 0 && second - TBase is > 0 and < TCount and var t)
            return first + t;
        return s_compositions.GetValueOrDefault((first, second), -1);
    }

    private static int Class(int character) => s_classes.GetValueOrDefault(character);
}
