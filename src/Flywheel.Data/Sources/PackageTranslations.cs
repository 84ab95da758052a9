using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// Short descriptions of Debian's packages in English and in another language, as its translators wrote them (Translation-XX; each under
/// the
/// package's licence). Rows: <c>{"package", "english", "translation"}</c>.
/// </summary>
public static class PackageTranslations
{
    /// <exception cref="FlywheelException">The archive cannot be reached, or has no such language.</exception>
    public static IEnumerable<JsonObject> Read(FlywheelHome home, string language)
    {
        using StreamReader english = AptIndex.Open(home).Translations(), other = AptIndex.Open(home, language: language).Translations();
        return [.. Read(english, other, language)];
    }

    /// <param name="english">A Translation-en index.</param>
    /// <param name="other">One of another language.</param>
    /// <param name="language">Which, such as de.</param>
    public static IEnumerable<JsonObject> Read(TextReader english, TextReader other, string language)
    {
        // The sum is of the English text that was translated: a translation of an older text is none of this one.
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (IReadOnlyDictionary<string, string> stanza in ControlFile.Read(english))
            if (stanza.TryGetValue("Description-md5", out string? sum) && stanza.TryGetValue("Description-en", out string? text))
                texts.TryAdd(sum, FirstLine(text));
        var seen = new HashSet<(string, string)>();
        foreach (IReadOnlyDictionary<string, string> stanza in ControlFile.Read(other))
        {
            if (!stanza.TryGetValue("Package", out string? package) || !stanza.TryGetValue("Description-md5", out string? sum)) continue;
            if (!stanza.TryGetValue($"Description-{language}", out string? text) || !texts.TryGetValue(sum, out string? source)) continue;
            string translation = FirstLine(text);
            if (source.Length > 0 && translation.Length > 0 && translation != source && seen.Add((source, translation)))
                yield return new JsonObject { ["package"] = package, ["english"] = source, ["translation"] = translation };
        }
    }

    private static string FirstLine(string description) => TextCleaner.Line(description.Split('\n', 2)[0]);
}
