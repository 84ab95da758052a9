using System.Text;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>The sounds that a voice has, by their IPA.</summary>
/// <param name="phones">IPA to the engine's name.</param>
internal sealed class IpaTable(IReadOnlyDictionary<string, string> phones)
{
    private readonly int _longest = phones.Count == 0 ? 0 : phones.Keys.Max(ipa => ipa.Length);

    public IEnumerable<string> Known => phones.Keys;

    /// <summary>Sounds in order, the longest known one at each place.</summary>
    /// <param name="ipa">With stress marks before the syllable; dots, ties, spaces and slashes around are left out.</param>
    /// <param name="voice">For the message.</param>
    /// <returns>The engine's names; stress 1 or 2 where a stressed syllable begins.</returns>
    /// <exception cref="FlywheelException">The voice does not have a sound.</exception>
    public IReadOnlyList<(string Phone, int Stress)> Map(string ipa, string voice)
    {
        string text = Normalize(ipa);
        var sounds = new List<(string Phone, int Stress)>();
        int stress = 0;
        for (int at = 0; at < text.Length;)
        {
            if (text[at] is 'ˈ' or 'ˌ' or '\'' or ',')
            {
                stress = text[at++] is 'ˈ' or '\'' ? 1 : 2;
                continue;
            }
            int length = Math.Min(_longest, text.Length - at);
            while (length > 0 && !phones.ContainsKey(text.Substring(at, length))) length--;
            if (length == 0)
                throw new FlywheelException(
                    $"pronunciation '{ipa}': the voice {voice} has no sound '{Symbol(text, at)}'; it has {string.Join(' ', phones.Keys.Order(StringComparer.Ordinal))}");
            sounds.Add((phones[text.Substring(at, length)], stress));
            stress = 0;
            at += length;
        }
        return sounds.Count > 0 ? sounds : throw new FlywheelException($"pronunciation '{ipa}': has no sound in it, expected IPA");
    }

    /// <summary>One spelling of what can be written in several ways.</summary>
    public static string Normalize(string ipa)
    {
        var text = new StringBuilder();
        foreach (char letter in UnicodeNormalizer.Normalize(ipa, compatible: false, compose: true))
            _ = letter switch
            {
                'g' => text.Append('ɡ'),
                ':' => text.Append('ː'),
                '/' or '[' or ']' or '.' or '‿' or '͡' or '͜' or ' ' or '\u200D' or '-' => text,
                _ => text.Append(letter),
            };
        return text.ToString();
    }

    /// <summary>A letter with the marks on it.</summary>
    private static string Symbol(string text, int at)
    {
        int end = at + 1;
        while (end < text.Length
            && (char.GetUnicodeCategory(text[end]) is System.Globalization.UnicodeCategory.NonSpacingMark
                or System.Globalization.UnicodeCategory.ModifierLetter)
            && text[end] is not ('ˈ' or 'ˌ')) end++;
        return text[at..end];
    }
}
