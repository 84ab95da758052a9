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
/// Writes the grammar of answers with tool calls: free text in which the opening tag can occur only to begin a call, and
/// calls whose arguments fit their schemas.
/// </summary>
internal static class ToolGrammar
{
    /// <param name="tools">Functions that may be called; at least one.</param>
    /// <param name="use">Whether text will do.</param>
    /// <param name="parallel">Several calls may stand in one answer.</param>
    /// <param name="content">What an answer without calls must be; null allows any text.</param>
    /// <exception cref="FlywheelException">A schema that must be kept is malformed or not supported.</exception>
    public static string Write(IReadOnlyList<ToolDefinition> tools, ToolUse use, bool parallel, JsonNode? content)
    {
        var schemas = new JsonSchemaGrammar();
        var calls = new List<string>();
        foreach (ToolDefinition tool in tools) calls.Add($"{JsonSchemaGrammar.Literal(JsonSchemaGrammar.Compact(JsonValue.Create(tool.Name)))} ws \",\" ws \"\\\"arguments\\\"\" ws \":\" ws {Arguments(schemas, tool, use)}");
        string? answer = content is null ? null : schemas.Add(content);
        string one = $"\"{ToolText.CallStart}\" ws \"{{\" ws \"\\\"name\\\"\" ws \":\" ws ({string.Join(" | ", calls)}) ws \"}}\" ws \"{ToolText.CallEnd}\"";
        var text = new StringBuilder($"root ::= {(use == ToolUse.Required ? "calls" : answer is null ? "text0" : $"{answer} | calls")}\n");
        text.Append($"calls ::= call{(parallel ? " (ws call)*" : "")}\ncall ::= {one}\n");
        if (use == ToolUse.Auto && answer is null) AppendText(text, ToolText.CallStart, one[(ToolText.CallStart.Length + 2)..] + (parallel ? " (ws call)*" : ""));
        return text.Append(schemas.Rules).ToString();
    }

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
            rules.Append($" | [^{string.Concat(letters)}] text0\n");
        }
    }
}
