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
    private static readonly Tokenizer Tokens =
        Tokenizer.Train(["{\"name\": \"Ada\", \"age\": 36, \"tags\": [\"a\", \"b\"]}, null, true, false, 3.25e1", "Räder, 轮子, 😀"], 320);

    [Theory]
    [InlineData("root ::= \"ab\" | \"cd\"", "^(ab|cd)$", "ab cd ac abc a")]
    [InlineData("root ::= [a-c]+ \"-\" x?\nx ::= \"x\" | \"y\" # a comment\n", "^[a-c]+-[xy]?$", "abc- a-x -x a-xy")]
    [InlineData("root ::= (\"a\" |\n  \"b\"\n){2,3}", "^[ab]{2,3}$", "ab aba a abab")]
    [InlineData("root ::= [^a\\n] . \"\\u00e9\"", "^[^a\\n].é$", "bcé aaé bcd 轮子é")]
    [InlineData("root ::= \"(\" root \")\" | \"\"", "^(\\(\\)|\\(\\(\\)\\)|)$", "() (()) (() )")]
    public void Parse_Grammar_AcceptsWhatItsPatternDoes(string gbnf, string pattern, string samples)
    {
        foreach (string text in samples.Split(' ').Append(""))
            Assert.Equal(Regex.IsMatch(text, pattern), GrammarReader.Accepts(Grammar.Parse(gbnf), text));
    }

    // llama.cpp's grammars/README.md: spaces inside braces, tokens by number or spelling.
    [Theory]
    [InlineData("root ::= \"a\"{2, 3} \"b\"{ 4 }", "aabbbb aaabbbb", "aabbb abbbb aaaabbbb")]
    [InlineData("root ::= \"a\"{ 1 , } \"b\"{0,\t1}", "a aab", "b abb")]
    public void Parse_RepetitionWithSpaces_IsRead(string gbnf, string good, string bad)
    {
        foreach (string text in good.Split(' ')) Assert.True(GrammarReader.Accepts(Grammar.Parse(gbnf), text), text);
        foreach (string text in bad.Split(' ')) Assert.False(GrammarReader.Accepts(Grammar.Parse(gbnf), text), text);
    }

    [Fact]
    public void Masks_TokensByNumberAndName_AllowThoseAlone()
    {
        int end = Tokens.SpecialTokens[Tokenizer.EndOfText], start = Tokens.SpecialTokens[Tokenizer.MessageStart],
            stop = Tokens.SpecialTokens[Tokenizer.MessageEnd], a = Tokens.Encode("a")[0], b = Tokens.Encode("b")[0];
        int[] all = [.. Enumerable.Range(0, Tokens.VocabSize)];
        GrammarMasks Masks(string gbnf) => new(Grammar.Parse(gbnf), new TokenTrie(new(Tokens), Tokens.VocabSize), [end]);
        GrammarState Next(GrammarMasks masks, GrammarState state, int id) => masks.Advance(state, id, Tokens.Bytes(id));
        int[] Allowed(GrammarMasks masks, GrammarState state) => [.. all.Where(masks.Mask(state).Allows)];

        GrammarMasks numbers = Masks($"root ::= <[{start}]> !<[{a}]> \"a\"");
        Assert.Equal([start], Allowed(numbers, numbers.Start));
        GrammarState second = Next(numbers, numbers.Start, start);
        Assert.Equal(all.Except([a, end]), Allowed(numbers, second)); // what ends an answer is none of the others
        Assert.Equal([a], Allowed(numbers, Next(numbers, second, b)));
        Assert.Equal([a], Allowed(numbers, Next(numbers, second, stop)));
        Assert.Equal([end], Allowed(numbers, Next(numbers, Next(numbers, second, b), a)));
        Assert.True(Next(numbers, second, a).IsDead);

        GrammarMasks named =
            Masks("root ::= (<|im_start|> | \"b\") x\nx ::= !<|im_end|>* <|im_end|>".Replace("(<|im_start|>", "( <|im_start|>",
                StringComparison.Ordinal));
        Assert.Equal([start, b], Allowed(named, named.Start).Where(id => id == start || id == b || id == a).Order());
        GrammarState inside = Next(named, Next(named, named.Start, start), a);
        Assert.Contains(stop, Allowed(named, inside));
        Assert.Equal([end], Allowed(named, Next(named, inside, stop)));

        Assert.Contains("no token <nothing like it>", Assert.Throws<FlywheelException>(() => Masks("root ::= <nothing like it>")).Message);
        Assert.Contains("no token <[99999]>", Assert.Throws<FlywheelException>(() => Masks("root ::= <[99999]>")).Message);
    }

    /// <summary>Of any group: its tokens from the first on, then they or the end, and never a token of text.</summary>
    [Theory]
    [InlineData("phone")]
    [InlineData("structure")]
    [InlineData("speech-in")]
    public void OfSymbols_Group_AllowsItsTokensAndTheEnd(string group)
    {
        Tokenizer tokens = Tokenizer.Train(["the cat sat on the mat"], 280,
            [.. ReservedTokens.Groups["phone"], .. ReservedTokens.Groups["structure"], .. ReservedTokens.Groups["speech-in"]]);
        int end = tokens.SpecialTokens[Tokenizer.MessageEnd];
        int[] range = [.. ReservedTokens.Groups[group].Select(name => tokens.SpecialTokens[name])];
        var masks = new GrammarMasks(Grammar.OfSymbols(group), new TokenTrie(new(tokens), tokens.VocabSize), [end]);
        int[] Allowed(GrammarState state) => [.. Enumerable.Range(0, tokens.VocabSize).Where(masks.Mask(state).Allows)];
        GrammarState state = masks.Start;
        Assert.Equal(range, Allowed(state));
        foreach (int id in new[] { range[0], range[^1], range[0] })
        {
            state = masks.Advance(state, id, tokens.Bytes(id));
            Assert.Equal([end, .. range], Allowed(state));
        }
    }

    [Theory]
    [InlineData("root ::= \"a", "line 1: '\"' is missing")]
    [InlineData("root ::= x", "'x' is not defined")]
    [InlineData("root ::= \"a\"\nroot ::= \"b\"", "line 2: rule 'root' is defined twice")]
    [InlineData("root ::= root \"a\" | \"b\"", "'root' can begin with itself")]
    [InlineData("root ::= \"a\"{2000000}", "missing or above 1000000")]
    [InlineData("root ::= (\"a\"?){2000}", "what may be empty is repeated up to 2000 times")]
    [InlineData("root ::= \"a\" root", "'root' never ends")]
    [InlineData("root ::= x\nx ::= y x | x2\ny ::= \"\"\nx2 ::= \"b\"", "'x' can begin with itself")]
    [InlineData("root ::= +", "repeats nothing")]
    [InlineData("root ::= <[x]>", "'<[x]>' is no token")]
    [InlineData("root ::= !\"a\"", "'!' stands before no token")]
    [InlineData("root ::= <a", "'>' is missing")]
    [InlineData("x ::= \"a\"", "'root' is not defined")]
    [InlineData("root ::= [z-a]", "ends before it begins")]
    [InlineData("root ::= \"\\q\"", "no escape")]
    public void Parse_Fault_NamesIt(string gbnf, string message) =>
        Assert.Contains(message, Assert.Throws<FlywheelException>(() => Grammar.Parse(gbnf)).Message);

    [Fact]
    public void Parse_AnyText_ThrowsNothingElse()
    {
        Gen.Int[0, 15].Select(i => new[] { "root", " ::= ", "\"a\"", "[a-z]", "(", ")", "*", "{2,3}", "|", "\n", "x", ".", "[^", "]", "\\",
            "<[1]>" }[i]).Array[0, 20].Sample(parts =>
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

    // What grammars look like, changed a little: read or refused, and then followed without a hang.
    [Fact]
    public void Parse_MutatedGrammar_IsReadAndFollowedOrRefused()
    {
        string good =
            JsonSchemaGrammar.Convert(new JsonObject { ["type"] = "array",
                ["items"] = new JsonObject { ["type"] = "number", ["minimum"] = 1 } });
        string[] pieces = ["*", "+", "?", "{0,9}", "{3}", "(", ")", "|", "\n", "\"", "[", "]", "^", "\\", "::=", "value", "root", "# x",
            "\0", "\U0001F600", " "];
        var random = new Random(11);
        for (int i = 0; i < 3000; i++)
        {
            var text = new StringBuilder(good);
            for (int change = random.Next(1, 6); change > 0; change--)
            {
                int at = random.Next(text.Length);
                if (random.Next(2) == 0) text.Insert(at, pieces[random.Next(pieces.Length)]);
                else text.Remove(at, Math.Min(random.Next(1, 9), text.Length - at));
            }
            try
            {
                var automaton = new GrammarAutomaton(Grammar.Parse(text.ToString()));
                automaton.Advance(automaton.Start, "[1, 23, 4.5e1"u8);
            }
            catch (FlywheelException)
            {
                // the only way to fail
            }
        }
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
                int matches =
                    parts.Count(part => part.Length == bytes.Length
                        && part.Zip(bytes).All(pair => pair.Second >= pair.First.Low && pair.Second <= pair.First.High));
                Assert.Equal(character >= low && character <= high ? 1 : 0, matches);
            }
        }, iter: 2000);
    }

    public static TheoryData<string, string, string> Schemas => new()
    {
        { "{}", """[1,-2.5e3,"a\u00e9\n",null,true,{"b":{}},[]]""", "[1,]|{a:1}|01|'a'|nul|\"\t\"|\"\\ud800\"" },
        { """{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}""", """{"name": "Ada", "age": 36}""", """{"name":"Ada"}|{"age":1,"name":"a"}|{"name":"a","age":1.5}|{"name":"a","age":1,"x":2}""" },
        { """{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"boolean"},"c":{"const":7}},"required":["b"]}""",
            """{"b":true,"c":7}""", """{"a":null}|{"b":true,}|{"c":7,"b":true}|{"b":1}""" },
        { """{"type":"array","items":{"type":"string","minLength":1,"maxLength":3},"minItems":1,"maxItems":2}""", """["a", "轮子😀"]""",
            """[]|["abcd"]|["a","b","c"]|[""]""" },
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
        Assert.True(GrammarReader.Accepts(grammar, good), $"{good} should fit");
        foreach (string text in bad.Split('|')) Assert.False(GrammarReader.Accepts(grammar, text), $"{text} should not fit");
    }

    // A random model under a schema: whatever it draws, the answer fits; with many streams and guesses in one batch.
    [Fact]
    public async Task Submit_WithSchema_EveryAnswerFits()
    {
        JsonNode schema =
            JsonNode.Parse(
                """{"type":"object","properties":{"tag":{"enum":["x","y"]},"n":{"type":"integer"},"list":{"type":"array","items":{"type":"string","maxLength":4},"maxItems":3}},"required":["tag","list"]}""")!;
        using var folder = new TempFolder();
        ModelConfig config = TestEngine.Config() with { VocabSize = Tokens.VocabSize,
            EosTokenIds = [Tokens.SpecialTokens[Tokenizer.MessageEnd]] };
        await using InferenceEngine engine = TestEngine.Open(config, new EngineOptions { Threads = 2 }, tokenizer: Tokens);
        Grammar grammar = Grammar.FromJsonSchema(schema);
        await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            GenerationStream stream =
                engine.Submit(new GenerationRequest { PromptTokens = [i + 1, 2], MaxTokens = 500,
                    Sampler = new() { Seed = (ulong)i, Temperature = 1 + i % 2, Grammar = grammar.Source } });
            string text = string.Concat((await stream.Tokens.ToListAsync()).Select(token => token.Text));
            Assert.Equal(FinishReason.Stop, stream.FinishReason);
            JsonNode answer = JsonNode.Parse(text)!;
            Assert.Contains((string)answer["tag"]!, new[] { "x", "y" });
            Assert.True(answer["list"]!.AsArray().Count <= 3);
            foreach (JsonNode? entry in answer["list"]!.AsArray()) Assert.InRange(((string)entry!).EnumerateRunes().Count(), 0, 4);
            Assert.True(answer["n"] is null || answer["n"]!.GetValueKind() == JsonValueKind.Number);
        }));
    }

    // Masks are made from what is near and mended by what is far; the oracle tries every token alone.
    [Theory]
    [InlineData("""{"name": [1, "Rä轮", -2.5e1, {"x": null}], "é\n": true}""", null)]
    [InlineData("""{"a": {"a": {"a": {"b": "xyz"}}}}""",
        """{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"a":{"$ref":"#/$defs/n"},"b":{"type":"string","maxLength":40}}}}}""")]
    [InlineData("""{"id": "AB-1234", "n": [-17, 20], "when": "2024-02-29"}""",
        """{"type":"object","properties":{"id":{"type":"string","pattern":"^[A-Z]+-\\d{2,6}$"},"n":{"type":"array","items":{"type":"integer","minimum":-20,"maximum":20},"maxItems":9},"when":{"type":"string","format":"date"}},"required":["id","n","when"]}""")]
    public unsafe void Mask_AnyPrefix_AllowsExactlyTheTokensThatFit(string text, string? schema)
    {
        int end = Tokens.SpecialTokens[Tokenizer.MessageEnd];
        Grammar grammar = schema is null ? Grammar.Json : Grammar.FromJsonSchema(JsonNode.Parse(schema)!);
        var masks = new GrammarMasks(grammar, new TokenTrie(new(Tokens), Tokens.VocabSize), [end]);
        float[] logits = new float[Tokens.VocabSize];
        GrammarState state = masks.Start;
        foreach (byte b in Encoding.UTF8.GetBytes(text).Append((byte)' '))
        {
            Array.Clear(logits);
            TokenMask mask = masks.Mask(state);
            fixed (float* values = logits) mask.Apply(values, Tokens.VocabSize);
            for (int id = 0; id < Tokens.VocabSize; id++)
            {
                bool fits = id == end ? state.Accepts : Tokens.Bytes(id).Length > 0 && !masks.Advance(state, Tokens.Bytes(id)).IsDead;
                Assert.Equal(fits, mask.Allows(id));
                Assert.Equal(fits, logits[id] == 0);
            }
            if (state.Accepts) return;
            state = masks.Advance(state, [b]);
        }
        Assert.Fail("the text was never complete");
    }

    // Counts that no token can exhaust share a mask: a long bounded text costs no more than an unbounded one.
    [Fact]
    public void Mask_LongBoundedText_IsMadeAFewTimes()
    {
        Grammar grammar = Grammar.FromJsonSchema(JsonNode.Parse("""{"type":"string","maxLength":2000}""")!);
        var masks = new GrammarMasks(grammar, new TokenTrie(new(Tokens), Tokens.VocabSize), []);
        GrammarState state = masks.Advance(masks.Start, "\""u8);
        for (int i = 0; i < 1900; i++)
        {
            masks.Mask(state);
            state = masks.Advance(state, "a"u8);
        }
        Assert.InRange(masks.NumWalks, 1, 40);
    }

    [Fact]
    public void Advance_ReadingsThatDouble_EndsInAnError()
    {
        var automaton = new GrammarAutomaton(Grammar.Parse("root ::= s\ns ::= \"(\" s \")\" | \"(\" s \"]\" | \"\""));
        FlywheelException e =
            Assert.Throws<FlywheelException>(() => automaton.Advance(automaton.Start, Encoding.UTF8.GetBytes(new string('(', 100))));
        Assert.Contains("less ambiguous", e.Message, StringComparison.Ordinal);
    }

    // What would cost seconds is refused when the grammar is handed in, not found out while others wait.
    [Fact]
    public void Mask_MoreWorkThanAllowed_EndsInAnError()
    {
        var trie = new TokenTrie(new(Tokens), Tokens.VocabSize);
        Assert.Contains("too ambiguous",
            Assert.Throws<FlywheelException>(() => new GrammarMasks(Grammar.Json, trie, [], maxWork: 5)).Message, StringComparison.Ordinal);
    }

    // A chain of rules as long as the size allows must not be a recursion as deep.
    [Fact]
    public void Parse_LongChainsOfRules_AreRead()
    {
        var text = new StringBuilder("root ::= r0\n");
        for (int i = 0; i < 40_000; i++) text.Append(System.Globalization.CultureInfo.InvariantCulture, $"r{i} ::= r{i + 1}\n");
        text.Append("r40000 ::= \"x\"");
        Assert.True(GrammarReader.Accepts(Grammar.Parse(text.ToString()), "x"));
        Assert.Throws<FlywheelException>(() => Grammar.Parse("root ::= " + new string('(', 100_000)));
        Assert.Throws<FlywheelException>(() => Grammar.Parse("root ::= " + string.Concat(Enumerable.Repeat("\"abc\" ", 200_000))));
    }

    [Fact]
    public void Grammar_WithAlternativesThatNeverEnd_DropsThem()
    {
        Grammar grammar = Grammar.Parse("root ::= \"a\" | \"b\" x | \"c\" x*\nx ::= \"d\" x");
        var automaton = new GrammarAutomaton(grammar);
        Assert.True(automaton.Advance(automaton.Start, "b"u8).IsDead);
        Assert.True(automaton.Advance(automaton.Start, "c"u8).Accepts);
        Assert.True(automaton.Advance(automaton.Start, "cd"u8).IsDead);
    }
}
