using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// What an answer must look like. Written in llama.cpp's GBNF or made from a JSON schema; over bytes, so that every
/// tokenizer fits. Immutable.
/// </summary>
public sealed class Grammar
{
    private Grammar(string source, GrammarElement[] elements, int[][] rules, GrammarToken[] tokens)
    {
        (Source, Elements, Rules, Tokens) = (source, elements, rules, tokens);
    }

    /// <summary>Any JSON value.</summary>
    public static Grammar Json { get; } = FromJsonSchema(new JsonObject());

    /// <summary>The grammar as GBNF, as <see cref="SamplerOptions.Grammar"/> takes it.</summary>
    public string Source { get; }

    /// <summary>All alternatives of all rules one after the other, each closed by an end.</summary>
    internal GrammarElement[] Elements { get; }

    /// <summary>Where each rule's alternatives begin; rule 0 is the root.</summary>
    internal int[][] Rules { get; }

    /// <summary>Tokens that elements speak of.</summary>
    internal GrammarToken[] Tokens { get; }

    /// <summary>
    /// At least one token of a group of <see cref="ReservedTokens"/> and nothing else: an answer that is phones, moves or residues, however
    /// the model was trained. The end tokens may follow, as after every grammar.
    /// </summary>
    public static Grammar OfSymbols(string group) => Parse($"root ::= ({string.Join(" | ", ReservedTokens.Groups[group])})+");

    /// <summary>Reads GBNF (llama.cpp, grammars/README.md); the rule <c>root</c> is the answer.</summary>
    /// <exception cref="FlywheelException">A fault of the text, whose line is named, or a rule that never ends.</exception>
    public static Grammar Parse(string gbnf) => Parse(gbnf, "grammar: 'root' never ends, whatever is written");

    private static Grammar Parse(string gbnf, string whenNothingEnds)
    {
        var parser = new GbnfParser(gbnf);
        List<GrammarElement[]>[] rules = GrammarChecks.Checked(parser.Parse(), parser.NameOf, whenNothingEnds);
        var elements = new List<GrammarElement>();
        var starts = new int[rules.Length][];
        for (int rule = 0; rule < rules.Length; rule++)
        {
            starts[rule] = new int[rules[rule].Count];
            for (int i = 0; i < starts[rule].Length; i++)
            {
                starts[rule][i] = elements.Count;
                elements.AddRange(rules[rule][i]);
                elements.Add(new GrammarElement(ElementKind.End));
            }
        }
        return new Grammar(gbnf, [.. elements], starts, [.. parser.Tokens]);
    }

    /// <summary>Text, tool calls as a model writes them, or what a schema wants instead of text.</summary>
    /// <param name="form">How the model writes calls: its chat template's.</param>
    /// <param name="tools">Functions that may be called; at least one.</param>
    /// <param name="use">Whether text will do.</param>
    /// <param name="parallel">Several calls may stand in one answer.</param>
    /// <param name="content">Schema of an answer without calls; null allows any text.</param>
    /// <exception cref="FlywheelException">A schema that must be kept is malformed or not supported.</exception>
    public static Grammar OfTools(ToolCallForm form, IReadOnlyList<ToolDefinition> tools, ToolUse use, bool parallel,
        JsonNode? content = null) =>
        Parse(ToolGrammar.Write(form, tools, use, parallel, content));

    /// <summary>JSON that fits a schema; see <see cref="JsonSchemaGrammar"/> for what of JSON Schema there is.</summary>
    /// <exception cref="FlywheelException">A keyword is malformed or not supported; its path is named.</exception>
    public static Grammar FromJsonSchema(JsonNode schema)
    {
        try
        {
            return Parse(JsonSchemaGrammar.Convert(schema), "nothing fits the schema, or nothing that ends");
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            // JsonNode finds out late that a field is given twice, or that a text has half a surrogate pair.
            throw new FlywheelException($"the schema is malformed: {e.Message}", e);
        }
    }
}

internal enum ElementKind { End, Bytes, Rule, Repeat, Token }

/// <summary>A token by its number, or by its spelling where that is negative; or every token but it.</summary>
internal readonly record struct GrammarToken(int Id, string Name, bool Negated);

/// <summary>A step of an alternative: one byte of a range, another rule, another rule several times, or a whole token.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Rule">The number of the rule or of the token.</param>
/// <param name="Low">Lowest byte.</param>
/// <param name="High">Highest byte.</param>
/// <param name="Least">Fewest times.</param>
/// <param name="Most">Most times.</param>
internal readonly record struct GrammarElement(ElementKind Kind, int Rule = 0, byte Low = 0, byte High = 0, int Least = 0, int Most = 0)
{
    public const int Unbounded = int.MaxValue;

    /// <summary>Something is written for it; it leads to no other rule.</summary>
    public bool IsWritten => Kind is ElementKind.Bytes or ElementKind.Token;
}
