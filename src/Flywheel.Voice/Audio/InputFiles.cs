using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>Files that somebody gave us, which no output may take the place of.</summary>
public static class InputFiles
{
    /// <summary>To be asked before anything is made.</summary>
    /// <param name="inputs">Files that are read; null: none.</param>
    /// <param name="outputs">Files that are written, which need not be there; null: none.</param>
    /// <exception cref="FlywheelException">A file that is read would be written over, also by another name of it.</exception>
    public static void RefuseOverwriting(IEnumerable<string?> inputs, IEnumerable<string?> outputs)
    {
        Dictionary<string, string> read = inputs.OfType<string>().GroupBy(RealPath)
            .ToDictionary(same => same.Key, same => same.First(), StringComparer.Ordinal);
        foreach (string output in outputs.OfType<string>())
            if (read.TryGetValue(RealPath(output), out string? input))
                throw new FlywheelException(
                    $"{output}: would be written over '{input}', which is read; expected another name for the output");
    }

    /// <summary>A path without symbolic links, also where what it names does not exist yet.</summary>
    private static string RealPath(string path)
    {
        const int maxLinks = 40; // as Linux allows
        string full = Path.GetFullPath(path);
        for (int i = 0; i < maxLinks; i++)
        {
            string? next = null;
            for (string? part = full; part is not null && next is null; part = Path.GetDirectoryName(part))
                if (new FileInfo(part).LinkTarget is { } target)
                    next = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(part)!, target, Path.GetRelativePath(part, full)));
            if (next is null) return full;
            full = next;
        }
        throw new FlywheelException($"{path}: leads through more than {maxLinks} symbolic links");
    }
}
