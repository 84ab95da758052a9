using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Flywheel.Loop.Keeping;

/// <summary>Texts of an archive: whether two say the same, and with the ids that hold here.</summary>
internal static partial class ArchiveText
{
    /// <summary>A hash of what is said so far and then; ids and hashes in it do not count, as those may be others here.</summary>
    public static string Fold<TLine>(string before, TLine line)
    {
        string text = JsonSerializer.Serialize(line, ArchiveJson.Options);
        byte[] bytes = Encoding.UTF8.GetBytes(before + Names().Replace(text, "*"));
        return Convert.ToHexStringLower(SHA256.HashData(bytes));
    }

    /// <summary>An id that follows from whose archive it was, so that the same archive once more finds what it brought.</summary>
    public static Guid DerivedId(ArchiveTarget target, Guid id, string said, int tried) =>
        HashedId.Of($"import\0{target.Workspace}\0{target.Person}\0{id}\0{said}\0{tried}");

    /// <summary>The text with the ids and hashes that hold here.</summary>
    public static string Renamed(string text, IReadOnlyDictionary<Guid, Guid> ids, IReadOnlyDictionary<string, string> recordings) =>
        ids.Count == 0 && recordings.Count == 0 ? text
        : Names()
            .Replace(text,
                found => found.Length == 36 ? ids.TryGetValue(Guid.Parse(found.Value), out Guid id)
                    ? id.ToString() : found.Value : recordings.GetValueOrDefault(found.Value, found.Value));

    [GeneratedRegex("(?<![0-9a-f-])(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{64})(?![0-9a-f-])",
        RegexOptions.CultureInvariant)]
    private static partial Regex Names();

    /// <summary>A tag as in BCP 47.</summary>
    [GeneratedRegex(@"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}\z")]
    public static partial Regex Language();
}
