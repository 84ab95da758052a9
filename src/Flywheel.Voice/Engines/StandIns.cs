using System.Text;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// Engines that learn pronunciations by a lexicon get, for each pronounced word of a text, a word that no language has, and its entry: so a
/// word can have two pronunciations in one text.
/// </summary>
internal static class StandIns
{
    // Open syllables: what cannot be a word is spelled out letter by letter.
    private static readonly string[] Syllables = ["ba", "di", "po", "lu", "me", "ta", "no", "ki"];

    public static (string Text, IReadOnlyList<(string Word, string Ipa)> Words) Write(IReadOnlyList<SpeechPart> parts)
    {
        string all = string.Concat(parts.Select(part => part.Text));
        var text = new StringBuilder();
        var words = new List<(string, string)>();
        int number = 0;
        foreach (SpeechPart part in parts)
        {
            if (part.Ipa is null)
            {
                text.Append(part.Text);
                continue;
            }
            string word;
            do word = Word(number++);
            while (all.Contains(word, StringComparison.OrdinalIgnoreCase));
            words.Add((word, part.Ipa));
            text.Append(word);
        }
        return (text.ToString(), words);
    }

    private static string Word(int number)
    {
        var word = new StringBuilder("zo");
        for (int i = 0; i < 3 || number > 0; i++, number /= Syllables.Length) word.Append(Syllables[number % Syllables.Length]);
        return word.ToString();
    }
}

/// <summary>Typographic signs as the older engines know them.</summary>
internal static class PlainLetters
{
    public static string Of(string text)
    {
        var plain = new StringBuilder(text.Length);
        foreach (char letter in UnicodeNormalizer.Normalize(text, compatible: false, compose: true))
            _ = letter switch
            {
                '‘' or '’' or '‚' or 'ʼ' => plain.Append('\''),
                '“' or '”' or '„' or '«' or '»' => plain.Append('"'),
                '–' or '—' or '−' => plain.Append(" - "),
                '…' => plain.Append("..."),
                '\u00A0' or '\u202F' or '\u2009' => plain.Append(' '),
                '\u00AD' or '\u200B' or '\uFEFF' => plain,
                _ => plain.Append(letter),
            };
        return plain.ToString();
    }
}

/// <summary>A folder for the files of one call.</summary>
internal sealed class WorkFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("flywheel-voice-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (IOException)
        {
            // A program that was just ended may still hold a file; the system clears its temporary folder.
        }
    }
}
