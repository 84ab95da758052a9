using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CsCheck;
using Flywheel.Engine.Grammars;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

public class GrammarTests
{
    private static readonly Tokenizer Tokens = Tokenizer.Train(["{\"name\": \"Ada\", \"age\": 36, \"tags\": [\"a\", \"b\"]}, null, true, false, 3.25e1", "Räder, 轮子, 😀"], 320);

    [Theory]
    [InlineData("root ::= \"ab\" | \"cd\"", "^(ab|cd)$", "ab cd ac abc a")]
    [InlineData("root ::= [a-c]+ \"-\" x?\nx ::= \"x\" | \"y\" # a comment\n", "^[a-c]+-[xy]?$", "abc- a-x -x a-xy")]
    [InlineData("root ::= (\"a\" |\n  \"b\"\n){2,3}", "^[ab]{2,3}$", "ab aba a abab")]
    [InlineData("root ::= [^a\\n] . \"\\u00e9\"", "^[^a\\n].é$", "bcé aaé bcd 轮子é")]
    [InlineData("root ::= \"(\" root \")\" | \"\"", "^(\\(\\)|\\(\\(\\)\\)|)$", "() (()) (() )")]
    public void Parse_Grammar_AcceptsWhatItsPatternDoes(string gbnf, string pattern, string samples)
    {
        foreach (string text in samples.Split(' ').Append("")) Assert.Equal(Regex.IsMatch(text, pattern), Accepts(gbnf, text));
    }

    [Theory]
    [InlineData("root ::= \"a", "line 1: '\"' is missing")]
    [InlineData("root ::= x", "'x' is not defined")]
    [InlineData("root ::= \"a\"\nroot ::= \"b\"", "line 2: rule 'root' is defined twice")]
    [InlineData("root ::= root \"a\" | \"b\"", "'root' can begin with itself")]
    [InlineData("root ::= (\"a\"?)*", "can begin with itself")]
    [InlineData("root ::= \"a\"{100000}", "more than 5000")]
    [InlineData("x ::= \"a\"", "'root' is not defined")]
    [InlineData("root ::= [z-a]", "ends before it begins")]
    [InlineData("root ::= \"\\q\"", "no escape")]
    public void Parse_Fault_NamesIt(string gbnf, string message) =>
        Assert.Contains(message, Assert.Throws<FlywheelException>(() => Grammar.Parse(gbnf)).Message);

    [Fact]
    public void Parse_AnyText_ThrowsNothingElse()
    {
        Gen.Int[0, 15].Select(i => new[] { "root", " ::= ", "\"a\"", "[a-z]", "(", ")", "*", "{2,3}", "|", "\n", "x", ".", "[^", "]", "\\", "\"" }[i]).Array[0, 20].Sample(parts =>
        {
            try
            {
                Grammar.Parse(string.Concat(parts));
            }
            catch (FlywheelException)
            {
                // the only way to fail
            }
        }, iter: 2000);
    }

    [Fact]
    public void Split_AnyRange_MatchesExactlyItsCharacters()
    {
        Gen.Select(Gen.Int[0, 0x10FFFF], Gen.Int[0, 0x10FFFF], Gen.Int[0, 0x10FFFF]).Sample((a, b, c) =>
        {
            (int low, int high) = (Math.Min(a, b), Math.Max(a, b));
            var parts = Utf8Ranges.Split(low, high).ToList();
            foreach (int character in new[] { low, high, c, low - 1, high + 1 })
            {
                if (!Rune.IsValid(character)) continue;
                byte[] bytes = Encoding.UTF8.GetBytes(char.ConvertFromUtf32(character));
                int matches = parts.Count(part => part.Length == bytes.Length && part.Zip(bytes).All(pair => pair.Second >= pair.First.Low && pair.Second <= pair.First.High));
                Assert.Equal(character >= low && character <= high ? 1 : 0, matches);
            }
        }, iter: 2000);
    }

    public static TheoryData<string, string, string> Schemas => new()
    {
        { "{}", """[1,-2.5e3,"a\u00e9\n",null,true,{"b":{}},[]]""", "[1,]|{a:1}|01|'a'|nul|\"\t\"|\"\\ud800\"" },
        { """{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}""", """{"name": "Ada", "age": 36}""", """{"name":"Ada"}|{"age":1,"name":"a"}|{"name":"a","age":1.5}|{"name":"a","age":1,"x":2}""" },
        { """{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"boolean"},"c":{"const":7}},"required":["b"]}""", """{"b":true,"c":7}""", """{"a":null}|{"b":true,}|{"c":7,"b":true}|{"b":1}""" },
        { """{"type":"array","items":{"type":"string","minLength":1,"maxLength":3},"minItems":1,"maxItems":2}""", """["a", "轮子😀"]""", """[]|["abcd"]|["a","b","c"]|[""]""" },
        { """{"enum":["red",3,null,{"k":"v\"w"}]}""", """{"k":"v\"w"}""", "\"blue\"|4" },
        { """{"anyOf":[{"type":"integer"},{"type":["string","null"],"maxLength":2}]}""", "\"ab\"", "true|\"abc\"|1.5" },
        { """{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"v":{"type":"number"},"kids":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["v"]}}}""", """{"v":1,"kids":[{"v":2},{"v":3,"kids":[]}]}""", """{"kids":[]}|{"v":1,"kids":[{}]}""" },
        { """{"type":"string","format":"date"}""", "\"2026-11-23\"", "\"2026-13-01\"|\"x\"" },
        { """{"type":"object","additionalProperties":{"type":"integer"}}""", """{"x":1,"y":2}""", """{"x":"1"}""" },
    };

    [Theory]
    [MemberData(nameof(Schemas))]
    public void FromJsonSchema_Values_AcceptedAsTheyFit(string schema, string good, string bad)
    {
        Grammar grammar = Grammar.FromJsonSchema(JsonNode.Parse(schema)!);
        Assert.True(Accepts(grammar.Source, good), $"{good} should fit");
        foreach (string text in bad.Split('|')) Assert.False(Accepts(grammar.Source, text), $"{text} should not fit");
    }

    [Theory]
    [InlineData("""{"type":"string","pattern":"a+"}""", "#: keyword 'pattern' is not supported here")]
    [InlineData("""{"type":"object","properties":{"x":{"type":"integer","minimum":3}}}""", "#/properties/x: keyword 'minimum'")]
    [InlineData("""{"type":"text"}""", "#/type is 'text'")]
    [InlineData("""{"$ref":"#/$defs/none"}""", "leads nowhere")]
    [InlineData("""{"type":"object","properties":{"a":{}},"required":["b"]}""", "'b'")]
    [InlineData("""{"$ref":"#"}""", "can begin with itself")]
    [InlineData("false", "nothing fits")]
    public void FromJsonSchema_NotSupported_NamesTheKeyword(string schema, string message) =>
        Assert.Contains(message, Assert.Throws<FlywheelException>(() => Grammar.FromJsonSchema(JsonNode.Parse(schema)!)).Message);

    // A random model under a schema: whatever it draws, the answer fits; with many streams and guesses in one batch.
    [Fact]
    public async Task Submit_WithSchema_EveryAnswerFits()
    {
        JsonNode schema = JsonNode.Parse("""{"type":"object","properties":{"tag":{"enum":["x","y"]},"n":{"type":"integer"},"list":{"type":"array","items":{"type":"string","maxLength":4},"maxItems":3}},"required":["tag","list"]}""")!;
        using var folder = new TempFolder();
        ModelConfig config = TestEngine.Config() with { VocabSize = Tokens.VocabSize, EosTokenIds = [Tokens.SpecialTokens[Tokenizer.MessageEnd]] };
        await using InferenceEngine engine = TestEngine.Open(config, new EngineOptions { Threads = 2 }, tokenizer: Tokens);
        Grammar grammar = Grammar.FromJsonSchema(schema);
        await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            GenerationStream stream = engine.Submit(new GenerationRequest { PromptTokens = [i + 1, 2], MaxTokens = 500, Sampler = new() { Seed = (ulong)i, Temperature = 1 + i % 2, Grammar = grammar.Source } });
            string text = string.Concat((await stream.Tokens.ToListAsync()).Select(token => token.Text));
            Assert.Equal(FinishReason.Stop, stream.FinishReason);
            JsonNode answer = JsonNode.Parse(text)!;
            Assert.Contains((string)answer["tag"]!, new[] { "x", "y" });
            Assert.True(answer["list"]!.AsArray().Count <= 3);
            foreach (JsonNode? entry in answer["list"]!.AsArray()) Assert.InRange(((string)entry!).EnumerateRunes().Count(), 0, 4);
            Assert.True(answer["n"] is null || answer["n"]!.GetValueKind() == JsonValueKind.Number);
        }));
    }

    // The mask of a state against trying every token alone.
    [Fact]
    public unsafe void Apply_AnyPrefix_AllowsExactlyTheTokensThatFit()
    {
        var masks = new GrammarMasks(Grammar.Json, new TokenTrie(Tokens, Tokens.VocabSize));
        int end = Tokens.SpecialTokens[Tokenizer.MessageEnd];
        using var arena = new NativeArena();
        float* logits = arena.Allocate<float>(Tokens.VocabSize);
        const string text = """{"name": [1, "Rä轮", -2.5e1, {"x": null}], "é\n": true}""";
        GrammarState state = masks.Start;
        foreach (byte b in Encoding.UTF8.GetBytes(text).Append((byte)' '))
        {
            new Span<float>(logits, Tokens.VocabSize).Clear();
            masks.Apply(state, logits, Tokens.VocabSize, [end]);
            for (int id = 0; id < Tokens.VocabSize; id++)
            {
                bool fits = id == end ? state.Accepts : Tokens.Bytes(id).Length > 0 && masks.Advance(state, Tokens.Bytes(id)).Stacks.Length > 0;
                Assert.Equal(fits, logits[id] == 0);
            }
            if (state.Accepts) return;
            state = masks.Advance(state, [b]);
        }
        Assert.Fail("the text was never complete");
    }

    private static bool Accepts(string gbnf, string text)
    {
        var masks = new GrammarMasks(Grammar.Parse(gbnf), new TokenTrie(Tokens, Tokens.VocabSize));
        return masks.Advance(masks.Start, Encoding.UTF8.GetBytes(text)).Accepts;
    }
}
