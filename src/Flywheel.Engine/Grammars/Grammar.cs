using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// What an answer must look like. Written in llama.cpp's GBNF or made from a JSON schema; over bytes, so that every
/// tokenizer fits. Immutable.
/// </summary>
public sealed class Grammar
{
    private Grammar(string source, GrammarElement[] elements, int[][] rules)
    {
        (Source, Elements, Rules) = (source, elements, rules);
    }

    /// <summary>Any JSON value.</summary>
    public static Grammar Json { get; } = FromJsonSchema(new JsonObject());

    /// <summary>The grammar as GBNF, as <see cref="SamplerOptions.Grammar"/> takes it.</summary>
    public string Source { get; }

    /// <summary>All alternatives of all rules one after the other, each closed by an end.</summary>
    internal GrammarElement[] Elements { get; }

    /// <summary>Where each rule's alternatives begin; rule 0 is the root.</summary>
    internal int[][] Rules { get; }

    /// <summary>Reads GBNF (llama.cpp, grammars/README.md); the rule <c>root</c> is the answer.</summary>
    /// <exception cref="FlywheelException">A fault of the text; its line is named.</exception>
    public static Grammar Parse(string gbnf)
    {
        (GrammarElement[] elements, int[][] rules) = new GbnfParser(gbnf).Parse();
        return new Grammar(gbnf, elements, rules);
    }

    /// <summary>JSON that fits a schema (the part of JSON Schema that OpenAI's structured outputs use, and more).</summary>
    /// <exception cref="FlywheelException">A keyword is malformed or not supported; its path is named.</exception>
    public static Grammar FromJsonSchema(JsonNode schema) => Parse(JsonSchemaGrammar.Convert(schema));
}

internal enum ElementKind { End, Bytes, Rule }

/// <summary>A step of an alternative: one byte of a range, or another rule.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Rule">The rule's number.</param>
/// <param name="Low">Lowest byte.</param>
/// <param name="High">Highest byte.</param>
internal readonly record struct GrammarElement(ElementKind Kind, int Rule = 0, byte Low = 0, byte High = 0);
