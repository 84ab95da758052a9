using System.Text;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>Files of plain text, or folders of them; each file is one item.</summary>
public static class TextSource
{
    /// <summary>Files in order of their names; in folders those that end in .txt or .md.</summary>
    /// <exception cref="FlywheelException">No such file, an empty folder, or a file that is not UTF-8.</exception>
    public static IEnumerable<SourceItem> Read(string path)
    {
        string[] files = File.Exists(path) ? [path]
            : Directory.Exists(path) ? [.. Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories).Where(file => Path.GetExtension(file) is ".txt" or ".md").Order(StringComparer.Ordinal)]
            : throw new FlywheelException($"{path}: no such file or folder; expected plain text");
        if (files.Length == 0) throw new FlywheelException($"{path}: holds no .txt or .md file");
        string root = File.Exists(path) ? Path.GetDirectoryName(Path.GetFullPath(path))! : path;
        foreach (string file in files)
        {
            string name = Path.GetRelativePath(root, file);
            yield return new SourceItem("text:" + name, "text:" + name, [new TextExample(Decode(file))]);
        }
    }

    private static string Decode(string file)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(File.ReadAllBytes(file)).TrimStart('\uFEFF').ReplaceLineEndings("\n").Trim();
        }
        catch (DecoderFallbackException e)
        {
            throw new FlywheelException($"{file}: is not UTF-8 at byte {e.Index}; expected plain text", e);
        }
    }
}
