using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// The CMU Pronouncing Dictionary of North American English (BSD), in CMU's own form (<c>WORD  W ER1 D</c>) or in that of Debian's package
/// festlex-cmu (<c>("word" nil (((w er d) 1)))</c>), which has syllables with a stress and writes a weak vowel as ax. Rows: <c>{"word",
/// "phones"}</c>.
/// </summary>
public static partial class CmuDictionary
{
    public const string Name = "cmu-dictionary",
        Publisher = "http://www.speech.cs.cmu.edu/cgi-bin/cmudict, or Debian's package festlex-cmu";

    /// <summary>Where the package puts it.</summary>
    private const string Installed = "/usr/share/festival/dicts/cmu/cmudict-0.4.out";

    /// <summary>The dictionary in the mirror or the home, else the one that is installed.</summary>
    /// <exception cref="FlywheelException">There is none.</exception>
    public static string Find(SourceFiles files)
    {
        try
        {
            return files.Find(Name, "cmudict.txt", Publisher);
        }
        catch (FlywheelException) when (File.Exists(Installed))
        {
            return Installed;
        }
    }

    /// <summary>One row a word, its first pronunciation; words with anything but letters and apostrophes are left out.</summary>
    /// <exception cref="FlywheelException">An entry has another form; names file and line.</exception>
    public static IEnumerable<JsonObject> Read(string path)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        int number = 0;
        foreach (string line in Utf8File.ReadLines(path))
        {
            number++;
            string text = line.Trim();
            if (text.Length == 0 || text == "MNCL" || text.StartsWith(";;;", StringComparison.Ordinal)) continue;
            (string word, string phones) = text[0] == '(' ? Syllables(text, $"{path}:{number}") : Plain(text, $"{path}:{number}");
            word = word.ToLowerInvariant();
            if (word.All(c => char.IsAsciiLetterLower(c) || c == '\'') && word.Any(char.IsAsciiLetterLower) && seen.Add(word))
                yield return new JsonObject { ["word"] = word, ["phones"] = phones };
        }
    }

    private static (string Word, string Phones) Plain(string line, string where)
    {
        int comment = line.IndexOf(" #", StringComparison.Ordinal);
        string[] parts = (comment < 0 ? line : line[..comment]).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return parts.Length > 1 ? (Variant().Replace(parts[0], ""),
            Checked(parts.Skip(1), where)) : throw new FlywheelException($"{where}: is '{line}', expected a word and its phones");
    }

    private static (string Word, string Phones) Syllables(string line, string where)
    {
        Match entry = Entry().Match(line);
        if (!entry.Success) throw new FlywheelException($"{where}: is '{line}', expected an entry such as (\"word\" nil (((w er d) 1)))");
        IEnumerable<string> phones = Syllable().Matches(entry.Groups["syllables"].Value)
            .SelectMany(syllable => syllable.Groups["phones"].Value.Split(' ').Select(phone =>
            phone == "ax" ? "AH0" : ReservedTokens.Symbols("phone").ContainsKey(phone.ToUpperInvariant())
                ? phone.ToUpperInvariant() : phone.ToUpperInvariant() + syllable.Groups["stress"].Value));
        return (entry.Groups["word"].Value, Checked(phones, where));
    }

    private static string Checked(IEnumerable<string> phones, string where) =>
        new SymbolsPart("phone", string.Join(' ', phones), $"{where}: the entry").Text;

    [GeneratedRegex(@"\(\d+\)$")]
    private static partial Regex Variant();

    [GeneratedRegex(@"^\(""(?<word>[^""]+)"" \S+ \((?<syllables>.*)\)\)$")]
    private static partial Regex Entry();

    [GeneratedRegex(@"\(\((?<phones>[a-z ]+)\) (?<stress>[012])\)")]
    private static partial Regex Syllable();
}
