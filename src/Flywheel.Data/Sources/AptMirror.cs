using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>The mirror of a release that this machine is configured for (sources.list(5), both formats).</summary>
/// <param name="Options">As in a one-line entry, such as <c>signed-by=/usr/share/keyrings/archive.gpg</c>.</param>
internal sealed partial record AptMirror(string Uri, string Suite, IReadOnlyList<string> Options)
{
    public string ToSourceLine() => $"deb {(Options.Count > 0 ? $"[{string.Join(' ', Options)}] " : "")}{Uri} {Suite} main\n";

    /// <exception cref="FlywheelException">No entry offers component main of that release.</exception>
    public static AptMirror Find(string aptFolder, string codename)
    {
        IEnumerable<string> files = [Path.Combine(aptFolder, "sources.list")];
        string parts = Path.Combine(aptFolder, "sources.list.d");
        if (Directory.Exists(parts)) files = files.Concat(Directory.EnumerateFiles(parts).Order(StringComparer.Ordinal));
        return files.Where(File.Exists)
            .SelectMany(file => file.EndsWith(".sources", StringComparison.Ordinal)
                ? FromStanzas(file, codename) : FromLines(file, codename))
            .FirstOrDefault()
            ?? throw new FlywheelException(
                $"{aptFolder}: no entry for '{codename}' with component main; add the archive of this release to apt's sources");
    }

    private static IEnumerable<AptMirror> FromLines(string file, string codename) =>
        from line in File.ReadLines(file)
        let entry = OneLine().Match(line)
        where entry.Success && entry.Groups["suite"].Value == codename && entry.Groups["components"].Value.Split(' ').Contains("main")
        select new AptMirror(entry.Groups["uri"].Value, codename,
            entry.Groups["options"].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    private static IEnumerable<AptMirror> FromStanzas(string file, string codename)
    {
        using StreamReader reader = File.OpenText(file);
        foreach (IReadOnlyDictionary<string, string> stanza in ControlFile.Read(reader))
        {
            string[] Words(string field) => stanza.GetValueOrDefault(field, "").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (!Words("Types").Contains("deb") || !Words("Suites").Contains(codename) || !Words("Components").Contains("main")
                || Words("Enabled") is ["no"]) continue;
            if (Words("URIs") is not [string uri, ..]) continue;
            string[] key = Words("Signed-By"); // an embedded key has many words and cannot be said on one line
            yield return new AptMirror(uri, codename, key.Length == 1 ? ["signed-by=" + key[0]] : []);
        }
    }

    [GeneratedRegex(@"^deb\s+(\[(?<options>[^\]]*)\]\s+)?(?<uri>\S+)\s+(?<suite>\S+)\s+(?<components>.*)$")]
    private static partial Regex OneLine();
}
