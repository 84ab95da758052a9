using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>Files of plain text, or folders of them; each file is one item.</summary>
public static class TextSource
{
    /// <summary>Files in order of their names; in folders those that end in .txt or .md.</summary>
    /// <exception cref="FlywheelException">No such file, an empty folder, or a file that is not UTF-8: names file and line.</exception>
    public static IEnumerable<SourceItem> Read(string path)
    {
        string[] files = File.Exists(path) ? [path]
            : Directory.Exists(path)
            ? [.. Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories).Where(file => Path.GetExtension(file) is ".txt" or ".md")
                .Order(StringComparer.Ordinal)]
            : throw new FlywheelException($"{path}: no such file or folder; expected plain text");
        if (files.Length == 0) throw new FlywheelException($"{path}: holds no .txt or .md file");
        string root = File.Exists(path) ? Path.GetDirectoryName(Path.GetFullPath(path))! : path;
        foreach (string file in files)
        {
            string name = Path.GetRelativePath(root, file);
            yield return new SourceItem("text:" + name, "text:" + name,
                [new TextExample(Utf8File.ReadText(file).ReplaceLineEndings("\n").Trim())]);
        }
    }
}
