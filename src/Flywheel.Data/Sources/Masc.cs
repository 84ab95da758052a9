using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// MASC, the Manually Annotated Sub-Corpus of the American National Corpus (anc.org; free for any use): letters, guides, essays, fiction,
/// news, speech. Rows: <c>{"kind": "written"|"spoken", "text"}</c>, joined from tokens, so that some spaces are off.
/// </summary>
public static partial class Masc
{
    public const string Name = "masc", Publisher = "https://anc.org/data/masc/";

    /// <exception cref="FlywheelException">A row has another form; names file and line.</exception>
    public static IEnumerable<SourceItem> Read(string path)
    {
        int number = 0;
        foreach ((JsonObject row, string where) in SourceFiles.Rows(path))
        {
            string id = $"{Name}:{++number}";
            if (SourceFiles.Text(row, "kind", where) != "written") continue;
            string[] paragraphs =
                [.. SourceFiles.Text(row, "text", where).Split('\n').Select(line => Hyphen().Replace(TextCleaner.Line(line), "$1-$2"))
                    .Where(line => line.Length > 0).Chunk(6).Select(lines => string.Join(' ', lines))];
            yield return new SourceItem(id, id, [new TextExample(string.Join("\n\n", paragraphs))]);
        }
    }

    [GeneratedRegex(@"(\w)- (\w)")]
    private static partial Regex Hyphen();
}
