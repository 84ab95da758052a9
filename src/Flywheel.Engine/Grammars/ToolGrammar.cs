using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>What an answer may be when functions are declared.</summary>
public enum ToolUse
{
    /// <summary>Text, or text and then calls: as the model likes.</summary>
    Auto,

    /// <summary>At least one call and nothing else.</summary>
    Required,
}

/// <summary>
/// Writes the grammar of answers with tool calls: free text in which what opens a call can occur only to begin one, and
/// calls whose arguments fit their schemas.
/// </summary>
internal static class ToolGrammar
{
    /// <param name="form">How the model writes calls.</param>
    /// <param name="tools">Functions that may be called; at least one.</param>
    /// <param name="use">Whether text will do.</param>
    /// <param name="parallel">Several calls may stand in one answer.</param>
    /// <param name="content">What an answer without calls must be; null allows any text.</param>
    /// <exception cref="FlywheelException">A schema that must be kept is malformed or not supported.</exception>
    public static string Write(ToolCallForm form, IReadOnlyList<ToolDefinition> tools, ToolUse use, bool parallel, JsonNode? content)
    {
        var schemas = new JsonSchemaGrammar();
        string Literal(string text) => ToolLiterals.Write(text, form.IsJson);
        string Call(ToolDefinition tool) =>
            $"{JsonSchemaGrammar.Literal(form.IsJson ? JsonSchemaGrammar.Compact(JsonValue.Create(tool.Name)) : tool.Name)} {Literal(form.Between)} {Arguments(schemas, tool, use)}";
        string call = $"({string.Join(" | ", tools.Select(Call))}) {Literal(form.After)}";
        string more = parallel && form.IsParallel ? $"({Literal(form.Separator)} {Literal(form.Before)} call)*" : "";
        string afterTag = $"{Literal(form.AfterTag)} call {more} {Literal(form.End)}";
        string? answer = content is null ? null : schemas.Add(content);
        var text =
            new StringBuilder(
                $"root ::= {(use == ToolUse.Required ? "calls" : answer is not null ? $"{answer} | calls" : form.Tag.Length > 0 ? "text0" : "bare")}\n");
        text.Append($"calls ::= {(form.Tag.Length > 0 ? JsonSchemaGrammar.Literal(form.Tag) : "")} {afterTag}\ncall ::= {call}\n");
        if (use == ToolUse.Auto && answer is null)
        {
            if (form.Tag.Length > 0) AppendText(text, form.Tag, afterTag);
            // Where calls are bare, an answer that begins as they do is one.
            else text.Append(
                $"bare ::= \"\" | [ \\t\\n\\r] bare | calls | [^ \\t\\n\\r{Opening(form)}] any\nany ::= \"\" | [^\\x00] any\n");
        }
        return text.Append(schemas.Rules).ToString();
    }

    /// <summary>The first character of a bare call, inside a class.</summary>
    private static string Opening(ToolCallForm form) => Class(form.AfterTag.TrimStart()[0]);

    private static string Class(char letter) => letter is '[' or ']' or '\\' or '^' or '-' ? $"\\x{(int)letter:X2}" : $"{letter}";

    private static string Arguments(JsonSchemaGrammar schemas, ToolDefinition tool, ToolUse use)
    {
        JsonNode parameters = JsonNode.Parse(tool.Parameters)!;
        try
        {
            Grammar.FromJsonSchema(parameters); // alone, so that what is wrong with it is said of it
        }
        catch (FlywheelException e) when (use == ToolUse.Required || tool.Strict)
        {
            throw new FlywheelException($"parameters of function '{tool.Name}': {e.Message}", e);
        }
        catch (FlywheelException)
        {
            return "object"; // nobody was promised more, as with OpenAI's own
        }
        return schemas.Add(parameters, asObject: true);
    }

    /// <summary>
    /// Text as rules, one for each length of the tag's beginning that the text ends with (Knuth, Morris and Pratt 1977);
    /// after the whole tag comes what must follow it.
    /// </summary>
    private static void AppendText(StringBuilder rules, string tag, string follows)
    {
        char[] letters = [.. tag.Distinct()];
        for (int matched = 0; matched < tag.Length; matched++)
        {
            rules.Append($"text{matched} ::= \"\"");
            foreach (char c in letters)
            {
                string seen = tag[..matched] + c;
                int next = Enumerable.Range(0, seen.Length + 1).Last(length => tag.StartsWith(seen[^length..], StringComparison.Ordinal));
                rules.Append($" | \"{c}\" {(next == tag.Length ? follows : $"text{next}")}");
            }
            rules.Append($" | [^{string.Concat(letters.Select(Class))}] text0\n");
        }
    }
}
