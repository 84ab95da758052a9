using Flywheel.Testing;

namespace Flywheel.Model.Tests;

/// <summary>Lines of code end at 140 columns; a text that cannot be cut may be longer.</summary>
public class LineLengthTests
{
    [Fact]
    public void Lines_OfCode_EndAt140Columns()
    {
        string[] folders = ["src", "tests"];
        var files = folders.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(TestFiles.Root, folder), "*.cs", SearchOption.AllDirectories))
            .Where(file => !file.Contains($"{Path.DirectorySeparatorChar}Migrations{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
            .ToArray();
        Assert.True(files.Length > 900);
        Assert.Empty(files.SelectMany(LongLines));
    }

    private static IEnumerable<string> LongLines(string file)
    {
        bool inText = false;
        foreach ((int number, string line) in File.ReadLines(file).Index())
        {
            bool wasText = inText;
            for (int at = 0; (at = line.IndexOf("\"\"\"", at, StringComparison.Ordinal)) >= 0; at += 3) inText = !inText;
            if (line.Length > 140 && !wasText && !line.Contains('"', StringComparison.Ordinal)) yield return $"{file}:{number + 1}";
        }
    }
}
