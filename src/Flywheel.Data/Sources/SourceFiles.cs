using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// Where the files of a named data set lie: the folder of that name in the mirror that FLYWHEEL_MIRROR gives, else in the home's
/// sources. What is in neither is asked of the person, with the address of its publisher.
/// </summary>
public sealed class SourceFiles(FlywheelHome home)
{
    private readonly string? _mirror = Environment.GetEnvironmentVariable("FLYWHEEL_MIRROR") is { Length: > 0 } given ? given : null;

    /// <exception cref="FlywheelException">The file is in neither place.</exception>
    public string Find(string dataSet, string file, string publisher)
    {
        return TryFind(dataSet, file)
            ?? throw new FlywheelException(
                $"{file} of the data set '{dataSet}' is not there; expected it at {string.Join(" or ", Places(dataSet, file))}. It comes from {publisher}; docs/data.md says in which form.");
    }

    /// <summary>The file, or null.</summary>
    public string? TryFind(string dataSet, string file) => Places(dataSet, file).FirstOrDefault(File.Exists);

    private IEnumerable<string> Places(string dataSet, string file) =>
        new[] { _mirror, home.Sources }.OfType<string>().Select(place => Path.Combine(place, dataSet, file));

    /// <summary>The rows of JSON lines, gzipped where the name says so.</summary>
    /// <exception cref="FlywheelException">Not UTF-8 or not a JSON object; names file and line.</exception>
    public static IEnumerable<(JsonObject Row, string Where)> Rows(string path)
    {
        int number = 0;
        foreach (string line in Lines(path))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            yield return (Parse(line, $"{path}:{number}"), $"{path}:{number}");
        }
    }

    /// <summary>A field that must be a text.</summary>
    /// <exception cref="FlywheelException">It is not.</exception>
    public static string Text(JsonObject row, string field, string where) =>
        row[field] is JsonValue value && value.TryGetValue(out string? text) ? text
            : throw new FlywheelException(
                $"{where}: field '{field}' is {row[field]?.ToJsonString(JsonText.Compact) ?? "missing"}, expected a text");

    /// <summary>A field that must be a list of texts.</summary>
    /// <exception cref="FlywheelException">It is not.</exception>
    public static IReadOnlyList<string> Texts(JsonObject row, string field, string where) =>
        row[field] is JsonArray list && list.All(item => item is JsonValue value && value.TryGetValue(out string? _))
            ? [.. list.Select(item => item!.GetValue<string>())]
            : throw new FlywheelException(
                $"{where}: field '{field}' is {(row.ContainsKey(field) ? "no list of texts" : "missing")}, expected a list of texts");

    private static JsonObject Parse(string line, string where)
    {
        try
        {
            return JsonNode.Parse(line) as JsonObject ?? throw new FlywheelException($"{where}: is not a JSON object");
        }
        catch (JsonException e)
        {
            throw new FlywheelException($"{where}: not valid JSON: {e.Message}", e);
        }
    }

    private static IEnumerable<string> Lines(string path)
    {
        if (!path.EndsWith(".gz", StringComparison.Ordinal)) return Utf8File.ReadLines(path);
        using var plain = new MemoryStream();
        try
        {
            using var zipped = new GZipStream(File.OpenRead(path), CompressionMode.Decompress);
            zipped.CopyTo(plain);
        }
        catch (InvalidDataException e)
        {
            throw new FlywheelException($"{path}: is damaged: {e.Message}; expected gzipped JSON lines", e);
        }
        plain.Position = 0;
        return Utf8File.ReadText(plain, path).Split('\n');
    }
}
