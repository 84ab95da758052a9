using System.Text;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// The literal text of a <see cref="ToolCallForm"/> as a grammar and as a regular expression. White space may be there or not, and in a
/// form of JSON it may stand between any two signs: models are not strict about it.
/// </summary>
internal static partial class ToolLiterals
{
    /// <summary>Letters and digits of a call's id, as Mistral's templates take it.</summary>
    private const int IdLength = 9;

    /// <summary>As GBNF; needs the rule <c>ws</c>.</summary>
    public static string Write(string literal, bool json)
    {
        var parts = new List<string>();
        bool wasSpace = false;
        foreach (string sign in Signs(literal, json))
        {
            bool isSpace = string.IsNullOrWhiteSpace(sign);
            // A model may write less white space than its template, but what the template itself writes must fit.
            if (isSpace && !IsShort(sign)) parts.Add($"(ws | {JsonSchemaGrammar.Literal(sign)})");
            else if (isSpace ? !wasSpace : json && !wasSpace) parts.Add("ws");
            if (!isSpace)
                parts.Add(
                    string.Join(' ',
                        sign.Split(ToolCallForm.Id)
                            .Select((text, i) =>
                                $"{(i > 0 ? $"[a-zA-Z0-9]{{{IdLength}}} " : "")}{(text.Length > 0 ? JsonSchemaGrammar.Literal(text) : "")}")));
            wasSpace = isSpace;
        }
        if (json && !wasSpace) parts.Add("ws");
        return string.Join(' ', parts);
    }

    /// <summary>The rule <c>ws</c> has it.</summary>
    private static bool IsShort(string space) =>
        space is " " or "\n" || space.Length <= 20 && space[0] == '\n' && space.AsSpan(1).IndexOfAnyExcept(' ', '\t') < 0;

    /// <summary>As a pattern.</summary>
    public static string Pattern(string literal, bool json)
    {
        var pattern = new StringBuilder();
        foreach (string sign in Signs(literal, json))
        {
            if (string.IsNullOrWhiteSpace(sign)) pattern.Append(@"\s*");
            else pattern.Append(json ? @"\s*" : "").Append(string.Join("[A-Za-z0-9_-]*", sign.Split(ToolCallForm.Id).Select(Regex.Escape)));
        }
        return pattern.Append(json ? @"\s*" : "").ToString();
    }

    private static IEnumerable<string> Signs(string literal, bool json) =>
        (json ? JsonSigns() : PlainSigns()).Matches(literal).Select(match => match.Value);

    [GeneratedRegex("\\s+|[{}\\[\\],:]|\"[^\"]*\"|[^\\s{}\\[\\],:\"]+|\"")]
    private static partial Regex JsonSigns();

    [GeneratedRegex(@"\s+|\S+")]
    private static partial Regex PlainSigns();
}
