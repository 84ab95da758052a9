using System.Text.RegularExpressions;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary>What is written for people leads where it says.</summary>
public sealed partial class DocumentTests
{
    [Fact]
    public void Links_OfEveryPage_LeadToAFileAndItsHeading()
    {
        string[] pages = [.. Directory.GetFiles(TestFiles.Root, "*.md"), .. new[] { "docs", "models", "recipes", "bench", "tasks" }
            .Select(folder => Path.Combine(TestFiles.Root, folder)).Where(Directory.Exists)
            .SelectMany(folder => Directory.GetFiles(folder, "*.md", SearchOption.AllDirectories))];
        var broken = from page in pages
                     from Match link in Link().Matches(Code().Replace(File.ReadAllText(page), ""))
                     let target = link.Groups["path"].Value is { Length: > 0 } path
                         ? Path.Combine(Path.GetDirectoryName(page)!, path) : page
                     let heading = link.Groups["heading"].Value
                     where !Path.Exists(target) || heading.Length > 0 && target.EndsWith(".md", StringComparison.Ordinal)
                         && !Headings(target).Contains(heading)
                     select $"{Path.GetRelativePath(TestFiles.Root, page)}: {link.Value}";
        Assert.Empty(broken);
    }

    // As GitHub names them.
    private static IEnumerable<string> Headings(string page) => Heading().Matches(File.ReadAllText(page))
        .Select(heading => NotInNames().Replace(heading.Groups[1].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-'));

    [GeneratedRegex(@"\]\((?![a-z]+:)(?<path>[^)#\s]*)(#(?<heading>[^)\s]+))?\)")]
    private static partial Regex Link();

    [GeneratedRegex("^```.*?^```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Code();

    [GeneratedRegex("^#+ (.+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NotInNames();
}
