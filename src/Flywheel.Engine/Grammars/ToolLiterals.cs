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

    /// <summary>Digits of a call's number.</summary>
    private const int IndexLength = 4;

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
                parts.AddRange(Runs().Matches(sign).Select(run => run.ValueSpan[0] switch
                {
                    ToolCallForm.Id => $"[a-zA-Z0-9]{{{IdLength}}}",
                    ToolCallForm.Index => $"(\"0\" | [1-9] [0-9]{{0,{IndexLength - 1}}})",
                    _ => JsonSchemaGrammar.Literal(run.Value),
                }));
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
            else pattern.Append(json ? @"\s*" : "").AppendJoin("", Runs().Matches(sign).Select(run => run.ValueSpan[0] switch
            {
                ToolCallForm.Id => "[A-Za-z0-9_-]*",
                ToolCallForm.Index => "[0-9]*",
                _ => Regex.Escape(run.Value),
            }));
        }
        return pattern.Append(json ? @"\s*" : "").ToString();
    }

    private static IEnumerable<string> Signs(string literal, bool json) =>
        (json ? JsonSigns() : PlainSigns()).Matches(literal).Select(match => match.Value);

    /// <summary>What is written as it stands, and what stands for something else.</summary>
    [GeneratedRegex("[\uE000\uE002]|[^\uE000\uE002]+")]
    private static partial Regex Runs();

    [GeneratedRegex("\\s+|[{}\\[\\],:]|\"[^\"]*\"|[^\\s{}\\[\\],:\"]+|\"")]
    private static partial Regex JsonSigns();

    [GeneratedRegex(@"\s+|\S+")]
    private static partial Regex PlainSigns();
}
