using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>Packages of a Debian release: what they are from Packages, how they are described from Translation-en.</summary>
public static partial class PackageCatalog
{
    /// <summary>From every binary package to its source package, the family whose members share a split.</summary>
    public static Dictionary<string, string> Families(TextReader packages)
    {
        var families = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (IReadOnlyDictionary<string, string> stanza in ControlFile.Read(packages))
            if (stanza.TryGetValue("Package", out string? name))
                families[name] = stanza.TryGetValue("Source", out string? source) ? source.Split(' ')[0] : name;
        return families;
    }

    /// <summary>Programs first, so that shared paragraphs stay with the program and not with its data or library.</summary>
    /// <param name="packages">A Packages index.</param>
    /// <param name="translations">A Translation-en index.</param>
    /// <param name="tag">Only packages with this debtag, such as <c>role::program</c>; null takes all.</param>
    public static IReadOnlyList<Product> Read(TextReader packages, TextReader translations, string? tag = null)
    {
        var descriptions = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (IReadOnlyDictionary<string, string> stanza in ControlFile.Read(translations))
            if (stanza.TryGetValue("Package", out string? name) && stanza.TryGetValue("Description-en", out string? description))
                descriptions.TryAdd(name, description);

        List<(bool IsProgram, string Package, Product Product)> found = [];
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (IReadOnlyDictionary<string, string> stanza in ControlFile.Read(packages))
        {
            if (!stanza.TryGetValue("Package", out string? name) || !seen.Add(name)) continue;
            if (!descriptions.TryGetValue(name, out string? description) && !stanza.TryGetValue("Description", out description)) continue;
            string[] tags = stanza.GetValueOrDefault("Tag", "").Split([',', '\n', ' '], StringSplitOptions.RemoveEmptyEntries);
            if (tag is not null && !tags.Contains(tag)) continue;
            int lineEnd = description.IndexOf('\n', StringComparison.Ordinal);
            string synopsis = TextCleaner.Line(lineEnd < 0 ? description : description[..lineEnd]);
            IReadOnlyList<Block> blocks = DescriptionParser.FromControl(lineEnd < 0 ? "" : description[(lineEnd + 1)..]);
            string family = stanza.TryGetValue("Source", out string? source) ? source.Split(' ')[0] : name;
            found.Add((tags.Contains("role::program"), name, new Product(
                "packages:" + name, family, ProperName(name, blocks), synopsis, blocks,
                Section(stanza.GetValueOrDefault("Section", "")), [.. tags.Select(TagFact).OfType<string>()])));
        }
        return [.. found.OrderByDescending(entry => entry.IsProgram).ThenBy(entry => entry.Package.Length)
            .ThenBy(entry => entry.Package, StringComparer.Ordinal).Select(entry => entry.Product)];
    }

    /// <summary>The name as its own description writes it: "gimp" is "GIMP" there, "telegram-desktop" is "Telegram".</summary>
    private static string ProperName(string package, IReadOnlyList<Block> blocks)
    {
        if (blocks.Count > 0 && Introduced().Match(blocks[0].Text) is { Success: true } introduced)
        {
            string name = introduced.Groups[1].Value, plain = Letters(name), plainPackage = Letters(package);
            if (plain.Length > 2
                && (plainPackage.StartsWith(plain, StringComparison.Ordinal) || plain.StartsWith(plainPackage, StringComparison.Ordinal)))
                return name;
        }
        foreach (Block block in blocks)
            foreach (Match word in Word().Matches(block.Text))
                if (word.Value.Equals(package, StringComparison.OrdinalIgnoreCase) && char.IsUpper(word.Value[0])) return word.Value;
        return package;
    }

    private static IReadOnlyList<string> Section(string section) => section switch
    {
        "games" => ["Game"],
        "graphics" => ["Graphics"],
        "sound" => ["Audio"],
        "video" => ["Video"],
        "science" => ["Science"],
        "math" => ["Science", "Math"],
        "education" => ["Education"],
        "electronics" => ["Science", "Electronics"],
        "hamradio" => ["Amateur Radio"],
        "net" or "comm" => ["Network"],
        "web" => ["Network", "Web"],
        "mail" => ["Network", "Email"],
        "news" => ["Network", "News"],
        "httpd" => ["Network", "Server"],
        "editors" => ["Utility", "Text Editor"],
        "text" or "tex" => ["Office", "Text Tools"],
        "utils" or "misc" => ["Utility"],
        "admin" or "shells" or "otherosfs" => ["System"],
        "database" => ["Office", "Database"],
        "devel" or "interpreters" or "python" or "perl" or "ruby" or "java" or "lisp" or "ocaml" or "haskell" => ["Development"],
        "vcs" => ["Development", "Revision Control"],
        _ => [],
    };

    /// <summary>What a debtag says in words that a brief would use; null where it says nothing to a reader.</summary>
    internal static string? TagFact(string tag)
    {
        string[] parts = tag.Split("::");
        if (parts.Length != 2 || parts[1] == "TODO") return null;
        string value = parts[1].Split(':')[^1].Replace('-', ' ');
        return parts[0] switch
        {
            "use" => value is "gameplaying" ? null : "for " + value,
            "game" => value + " game",
            "works-with" => parts[1] switch
            {
                "image:raster" or "image:vector" => $"works with {value} images",
                "software:source" => "works with source code",
                _ when parts[1].Contains(':', StringComparison.Ordinal) => null,
                "pim" => "works with contacts and calendars",
                "audio" or "video" or "text" or "mail" or "music" => "works with " + value,
                "db" => "works with databases",
                _ => value.EndsWith('y') ? $"works with {value[..^1]}ies" : $"works with {value}s",
            },
            "works-with-format" => value switch
            {
                "plaintext" => "reads plain text",
                "oggvorbis" => "reads Ogg Vorbis",
                _ => value.Length <= 4 ? $"reads {value.ToUpperInvariant()}" : null,
            },
            "interface" => value switch
            {
                "graphical" => "graphical interface",
                "commandline" => "runs on the command line",
                "text mode" => "runs in the terminal",
                "daemon" => "runs in the background",
                "web" => "web interface",
                "3d" => "3D graphics",
                _ => null,
            },
            "network" => value is "client" or "server" ? "network " + value : null,
            "protocol" => value.Length <= 5 ? "speaks " + value.ToUpperInvariant() : null,
            "security" or "field" => value,
            _ => null,
        };
    }

    private static string Letters(string name) => string.Concat(name.Where(char.IsLetterOrDigit)).ToLowerInvariant();

    [GeneratedRegex(@"^([A-Z][\w.+-]*( [A-Z][\w.+-]*)?) is (a|an|the)\b")]
    private static partial Regex Introduced();

    [GeneratedRegex(@"[\w.+-]*\w")]
    private static partial Regex Word();
}
