using System.Text.RegularExpressions;

namespace Flywheel.Loop.Translation;

/// <summary>
/// What stands in a text and is no language: marks of Markdown, tags, placeholders of programs, entities, addresses. An engine does not
/// translate them, and a translation must have them all.
/// </summary>
public static partial class ProtectedParts
{
    public static IReadOnlyList<(int Start, int Length)> Find(string text) =>
        [.. Pattern().Matches(text).Where(match => match.Length > 0).Select(match => (match.Index, match.Length))];

    /// <summary>The parts themselves, in their order.</summary>
    public static IReadOnlyList<string> Of(string text) => [.. Find(text).Select(part => text.Substring(part.Start, part.Length))];

    /// <summary>The text without them.</summary>
    public static string Without(string text) => Pattern().Replace(text, " ");

    // In this order: code, the ends and beginnings of a link, tags, placeholders in braces, printf's, entities, addresses, emphasis.
    [GeneratedRegex("""
        `[^`\n]+`
        |\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)?\)
        |!?\[(?=[^\[\]\n]*\]\()
        |</?[A-Za-z0-9][^<>\n]*>
        |\{\{[^{}\n]*\}\}|\$?\{[^{}\s]*\}
        |(?<![\w%])%(?:[0-9]+\$)?[-+#0]*[0-9]*(?:\.[0-9]+)?[sdiufgxXc@](?!\w)
        |&(?:[a-zA-Z][a-zA-Z0-9]*|\#[0-9]+|\#x[0-9a-fA-F]+);
        |https?://[^\s<>()"]*[^\s<>()".,;:!?]
        |[\w.+-]+@[\w-]+(?:\.[\w-]+)+
        |\*\*|__|~~
        |(?<![\w*\\])\*(?=[^\s*])|(?<=[^\s*\\])\*(?![\w*])
        """, RegexOptions.IgnorePatternWhitespace | RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
