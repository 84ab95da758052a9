using System.Globalization;
using System.Reflection;
using System.Text.Json;

namespace Flywheel.Studio.Shell;

/// <summary>
/// The words of the pages in one language. They lie beside the pages that say them, as <c>NAME.en.json</c> and <c>NAME.zh-CN.json</c>:
/// a flat object from key to text, each key beginning with NAME.
/// </summary>
public sealed class Strings
{
    private static readonly Dictionary<string, Strings> All =
        Languages.ToDictionary(language => language.Tag, language => new Strings(language.Tag));

    private readonly Dictionary<string, string> _texts = [];

    private Strings(string language)
    {
        Language = language;
        Assembly assembly = typeof(Strings).Assembly;
        foreach (string name in assembly.GetManifestResourceNames()
            .Where(name => name.EndsWith($".{language}.json", StringComparison.Ordinal)))
        {
            using Stream stream = assembly.GetManifestResourceStream(name)!;
            foreach ((string key, string text) in JsonSerializer.Deserialize<Dictionary<string, string>>(stream)!) _texts.Add(key, text);
        }
    }

    /// <summary>BCP 47 tag and own name of each language, the first being what is shown where none fits.</summary>
    public static IReadOnlyList<(string Tag, string Name)> Languages => [("en", "English"), ("zh-CN", "中文")];

    public string Language { get; }

    /// <summary>Every key; the same in each language.</summary>
    internal IReadOnlyCollection<string> Keys => _texts.Keys;

    /// <summary>A text; a key that is not known shows itself, which a test of the sources forbids.</summary>
    public string this[string key] => _texts.GetValueOrDefault(key, key);

    /// <summary>Whether there is such a text: for names that come from outside, such as an application's.</summary>
    public bool Knows(string key) => _texts.ContainsKey(key);

    /// <summary>A text with its {0}, {1}, ... filled in.</summary>
    public string Format(string key, params object?[] values) => string.Format(CultureInfo.InvariantCulture, this[key], values);

    /// <summary>A text about a number of things: KEY.one where it is one and the language tells them apart.</summary>
    public string Count(string key, long number, params object?[] others) =>
        Format(number == 1 && _texts.ContainsKey($"{key}.one") ? $"{key}.one" : key, [number, .. others]);

    /// <summary>A time as a person reads it: the hour of today, the day of this year, else the date.</summary>
    public string When(DateTimeOffset time, DateTimeOffset now, TimeSpan zone)
    {
        (DateTimeOffset local, DateTimeOffset today) = (time.ToOffset(zone), now.ToOffset(zone));
        string hour = local.ToString("HH:mm", CultureInfo.InvariantCulture);
        if (local.Date == today.Date) return Format("shell.today", hour);
        if (local.Date == today.Date.AddDays(-1)) return Format("shell.yesterday", hour);
        string month = this["shell.months"].Split(' ')[local.Month - 1];
        return Format(local.Year == today.Year ? "shell.day" : "shell.date", local.Day, month, local.Year, hour);
    }

    public static Strings Of(string? language) => All.GetValueOrDefault(language ?? "", All[Languages[0].Tag]);

    /// <summary>The language that a person chose, else the first of the browser's (RFC 9110, 12.5.4) that the pages speak.</summary>
    public static Strings Choose(string? chosen, string? acceptLanguage)
    {
        if (All.TryGetValue(chosen ?? "", out Strings? strings)) return strings;
        var wanted = (acceptLanguage ?? "").Split(',').Take(32)
            .Select((part, index) => (Fields: part.Split(';'), Index: index))
            .Select(part => (Tag: part.Fields[0].Trim(), Quality: Quality(part.Fields), part.Index))
            .Where(part => part.Quality > 0).OrderByDescending(part => part.Quality).ThenBy(part => part.Index);
        foreach ((string tag, _, _) in wanted)
            foreach ((string known, _) in Languages)
                if (string.Equals(tag.Split('-')[0], known.Split('-')[0], StringComparison.OrdinalIgnoreCase)) return All[known];
        return All[Languages[0].Tag];
    }

    private static double Quality(string[] fields)
    {
        string? given = fields.Skip(1).Select(field => field.Trim())
            .FirstOrDefault(field => field.StartsWith("q=", StringComparison.OrdinalIgnoreCase));
        if (given is null) return 1;
        return double.TryParse(given.AsSpan(2), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double quality)
            ? quality : 0;
    }
}
