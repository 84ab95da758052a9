using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// Briefs to test a model by, a JSON object a line: <c>{"id", "name", "categories": [...], "facts": [...], "audience", "tone"}</c>. They
/// say nothing of the kind of text, which is asked for with each.
/// </summary>
public static class BriefFile
{
    /// <exception cref="FlywheelException">A line has another form; names file, line and field.</exception>
    public static IReadOnlyList<(string Id, Brief Brief)> Read(string path)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected briefs, a JSON object a line");
        List<(string, Brief)> briefs = [];
        foreach ((JsonObject row, string where) in SourceFiles.Rows(path))
        {
            string id = SourceFiles.Text(row, "id", where), name = SourceFiles.Text(row, "name", where);
            if (name.Length == 0) throw new FlywheelException($"{where}: field 'name' is empty, expected what the text is about");
            briefs.Add((id, new Brief(name, Brief.Description, SourceFiles.Texts(row, "facts", where),
                SourceFiles.Texts(row, "categories", where), SourceFiles.Text(row, "audience", where),
                SourceFiles.Text(row, "tone", where))));
        }
        return briefs.Count > 0 ? briefs : throw new FlywheelException($"{path}: holds no brief");
    }
}
