using System.Diagnostics;
using System.Numerics;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Engine.Grammars;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

/// <summary>What is written under a schema fits it, as others judge: the schema standard's own suite, and the validator Ajv.</summary>
public class JsonSchemaTests
{
    private static readonly Tokenizer Tokens =
        Tokenizer.Train(["{\"name\": \"Ada\", \"age\": 36, \"tags\": [\"a\", \"b\"]}, null, true, false, 3.25e1",
            "Räder, 轮子, 😀 2026-11-24T10:00:00Z"], 330);

    public static TheoryData<string, string, string> Schemas => new()
    {
        // schema, texts that fit (by tabs), texts that do not
        { """{"type":"integer","minimum":-3,"maximum":120}""", "-3\t0\t7\t99\t120", "-4\t121\t1.0\t00\t-0\t1e1" },
        { """{"type":"integer","exclusiveMinimum":10,"exclusiveMaximum":12}""", "11", "10\t12" },
        { """{"type":"integer","minimum":0}""", "0\t999999999999999\t9999999999999999999", "-1" },
        { """{"type":"integer"}""", "2512292042121000001\t-9223372036854775808\t0", "25122920421210000012\t01" },
        { """{"type":"integer","minimum":1600000000000000}""", "1600000000000000\t1600000000000001\t9223372036854775807",
            "1599999999999999\t0\t160000000000000" },
        { """{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}""",
            "9223372036854775807\t-9223372036854775808\t0", "9223372036854775808\t-9223372036854775809" },
        { """{"type":"integer","exclusiveMinimum":9007199254740992,"exclusiveMaximum":9007199254740995}""",
            "9007199254740993\t9007199254740994", "9007199254740992\t9007199254740995" },
        { """{"type":"integer","minimum":1e25,"maximum":10000000000000000000000007}""",
            "10000000000000000000000000\t10000000000000000000000007", "10000000000000000000000008\t9999999999999999999999999\t1e25" },
        { """{"type":"integer","maximum":1e300,"minimum":-1e300}""", "0\t-5\t9999999999999999999", "1.5" },
        { """{"allOf":[{"minimum":9007199254740992},{"minimum":9007199254740993}],"type":"integer"}""", "9007199254740993",
            "9007199254740992" },
        { """{"type":"number","minimum":1600000000000000}""", "1600000000000000\t1600000000000001", "1599999999999999\t0.5" },
        { """{"type":"number","exclusiveMinimum":0.12345678901234567890123456789,"maximum":1}""",
            "0.123456789012345678901234567891\t0.2\t1", "0.12345678901234567890123456789\t0.1" },
        // multiples
        { """{"type":"integer","multipleOf":5,"minimum":-12,"maximum":23}""", "-10\t-5\t0\t5\t20", "-15\t-12\t23\t3\t25\t-0\t05" },
        { """{"type":"integer","multipleOf":7}""", "0\t7\t49\t-14\t1000000000000000013", "1\t8\t1000000000000000014" },
        { """{"type":"number","multipleOf":0.01}""", "0.07\t12\t12.50\t-3.99\t0", "0.001\t00.07\t.5\t1.5" },
        { """{"type":"number","multipleOf":0.25,"minimum":0.5,"exclusiveMaximum":1.5}""", "0.50\t0.75\t1\t1.00\t1.25", "0.25\t1.50\t0.60" },
        { """{"allOf":[{"type":"integer","multipleOf":4},{"multipleOf":6}],"maximum":30}""", "12\t24\t0", "4\t6\t36\t8" },
        { """{"type":"integer","multipleOf":0.5}""", "3\t4", "0.5" },
        { """{"type":"integer","multipleOf":1000}""", "1000\t-52000\t0", "1\t1500" },
        // listed values beside other keywords: those that fit
        { """{"type":"string","enum":["a","bb","ccc"],"maxLength":2}""", "\"a\"\t\"bb\"", "\"ccc\"" },
        { """{"type":"integer","enum":[1,2,3],"minimum":2}""", "2\t3", "1" },
        { """{"type":"string","enum":["a","b\n"],"pattern":"^(a|b\\n)$"}""", "\"a\"\t\"b\\n\"", "\"b\"" },
        { """{"type":"integer","const":3,"minimum":1}""", "3", "1" },
        { """{"enum":[{"a":1},{"a":"x","b":2},[1,1],[1,2]],"properties":{"a":{"type":"integer"}},"uniqueItems":true}""",
            """{"a":1}	[1,2]""", """{"a":"x","b":2}	[1,1]""" },
        { """{"enum":["x","y",7],"not":{"const":"y"},"type":["string","integer"]}""", "\"x\"\t7", "\"y\"" },
        { """{"anyOf":[{"maxLength":1},{"minLength":3}],"enum":["a","bb","ccc"]}""", "\"a\"\t\"ccc\"", "\"bb\"" },
        { """{"enum":[0.1234567890123456789,5],"minimum":0.1234567890123456788}""", "0.1234567890123456789\t5", "0" },
        // annotations pass: unknown keywords, formats that are not known or stand beside lengths and patterns
        { """{"type":"string","x-order":1,"format":"iri","examples":["a"],"deprecated":true,"ui:widget":"text"}""", "\"any\"", "1" },
        { """{"type":"integer","format":"int64"}""", "5", "\"5\"" },
        { """{"type":"string","format":"uri","minLength":1,"maxLength":2083}""", "\"https://a.org/b\"", "\"\"" },
        { """{"type":"string","format":"date","pattern":"^2026"}""", "\"2026-01-01\"", "\"2025-01-01\"" },
        { """{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"unknown":{"type":"text"}}""", """{"a":1}""", "{}" },
        // different items of listed values
        { """{"type":"array","uniqueItems":true,"items":{"enum":["a","b","c"]},"minItems":1,"maxItems":2}""",
            """["a"]	["c","a"]	["b","c"]""", """[]	["a","a"]	["a","b","c"]""" },
        { """{"type":"array","uniqueItems":true,"items":{"type":"boolean"}}""", "[]\t[true]\t[false,true]",
            "[true,true]\t[true,false,true]" },
        { """{"type":"array","uniqueItems":true,"items":{"enum":[1,2,3,4,5,6,7,8,9,10,1.0]},"minItems":2}""", "[1,3]\t[2,9,10]",
            "[1]\t[3,3]\t[]" },
        // names by pattern
        { """{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"],"patternProperties":{"^x-":{"type":"string"},"^n_":{"type":"integer"}},"additionalProperties":false}""", """{"id":1}	{"id":1,"x-a":"b","n_c":3}""", """{"id":1,"x-a":1}	{"id":1,"n_c":"3"}	{"id":1,"y":1}	{"x-a":"b"}""" },
        { """{"type":"object","patternProperties":{"^[a-z]+$":{"type":"integer"}}}""", """{}	{"a":1,"bc":2}""", """{"A":1}	{"a":"x"}""" },
        { """{"type":"object","required":["x-id"],"patternProperties":{"^y-":{}, "^x-i":{"type":"integer"}},"maxProperties":3,"properties":{"a":{}}}""".Replace(",\"properties\":{\"a\":{}}", "").Replace("^x-i\":", "^z-i\":"), """{"x-id":[1]}	{"x-id":2,"y-":3}""", """{}	{"x-id":1,"q":1}""" },
        // what must not be
        { """{"type":"string","not":{"enum":["a","ab"]}}""", "\"b\"\t\"\"\t\"abc\"", "\"a\"\t\"ab\"\t1" },
        { """{"type":"integer","not":{"const":5},"minimum":3,"maximum":6}""", "3\t4\t6", "5\t7" },
        { """{"type":["string","null","integer"],"not":{"type":"string"}}""", "null\t3", "\"a\"" },
        { """{"type":"object","properties":{"a":{},"b":{}},"not":{"required":["a","b"]}}""", """{}	{"a":1}	{"b":1}""",
            """{"a":1,"b":1}""" },
        { """{"type":"object","not":{"required":["a"]}}""", """{}	{"b":1}""", """{"a":1}""" },
        { """{"type":"string","maxLength":4,"not":{"maxLength":2}}""", "\"abc\"\t\"abcd\"", "\"ab\"\t\"abcde\"" },
        { """{"type":"string","not":{"not":{"enum":["a"]}}}""", "\"a\"", "\"b\"" },
        { """{"type":"object","properties":{"kind":{"enum":["a","b"]},"x":{"type":"integer"}},"required":["kind"],"if":{"properties":{"kind":{"const":"a"}}},"then":{"required":["x"]}}""", """{"kind":"a","x":1}	{"kind":"b"}	{"kind":"b","x":2}""", """{"kind":"a"}	{"kind":"c"}""" },
        { """{"type":"integer","if":{"minimum":10},"then":{"multipleOf":10},"else":{"maximum":3}}""", "0\t3\t10\t20", "4\t9\t11" },
        { """{"type":"object","properties":{"a":{},"b":{},"c":{}},"dependentRequired":{"a":["b"]},"dependentSchemas":{"c":{"required":["a"]}}}""", """{}	{"b":1}	{"a":1,"b":1}	{"a":1,"b":1,"c":1}""", """{"a":1}	{"c":1}	{"b":1,"c":1}	{"a":1,"c":1}""" },
        { """{"type":"object","properties":{}}""", "{}", """{"a":1}""" },
        { """{"type":"number","minimum":0,"maximum":1}""", "0\t0.5\t1\t1.0\t0.000001", "-0.1\t1.01\t2\t1e-1" },
        { """{"type":"number","exclusiveMinimum":-0.25,"maximum":1.5}""", "-0.2\t-0.24999\t0\t1\t1.5\t1.49", "-0.25\t-0.3\t1.51\t2" },
        { """{"type":"number","minimum":2.5,"exclusiveMaximum":2.75}""", "2.5\t2.6\t2.74\t2.7", "2.75\t2.4\t2\t3" },
        { """{"type":"string","pattern":"^[a-z]{2,4}-\\d+$"}""", "\"ab-1\"\t\"abcd-42\"", "\"a-1\"\t\"ab-\"\t\"ab-1x\"" },
        { """{"type":"string","pattern":"b+"}""", "\"abba\"\t\"b\"", "\"aa\"\t\"\"" },
        { """{"type":"string","pattern":"^(?:a|\\\"|\\n)*$"}""", "\"\"\t\"a\\\"\\na\"", "\"b\"" },
        { """{"type":"string","pattern":"^x|y$"}""", "\"xa\"\t\"ay\"", "\"ax\"\t\"ya\"" },
        { """{"type":"string","pattern":"^[A-Z]+$","minLength":2,"maxLength":3}""", "\"AB\"\t\"ABC\"", "\"A\"\t\"ABCD\"" },
        { """{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"string"}},"required":["b"]}]}""", """{"a":1,"b":"x"}""", """{"a":1}	{"b":"x"}""" },
        { """{"allOf":[{"type":"integer","minimum":3},{"maximum":5}]}""", "3\t5", "2\t6" },
        { """{"$ref":"#/$defs/x","maximum":4,"$defs":{"x":{"type":"integer","minimum":2}}}""", "2\t4", "1\t5" },
        { """{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false,"minItems":2}""", """[1,"a"]""",
            """[1]	[1,"a",2]	["a",1]""" },
        { """{"type":"array","prefixItems":[{"type":"integer"}],"items":{"type":"boolean"}}""", "[]\t[1]\t[1,true,false]",
            "[true]\t[1,1]" },
        { """{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"}}""",
            """{}	{"a":1}	{"a":1,"b":"x"}	{"b":"x","ab":"y"}	{"":"z"}""", """{"a":"x"}	{"b":1}	{"b":"x","a":"y"}	{"\u0061":"x"}""" },
        { """{"type":"object","properties":{"a":{},"b":{},"c":{}},"minProperties":2}""", """{"a":1,"c":2}	{"a":1,"b":1,"c":1}""",
            """{}	{"b":1}""" },
        { """{"type":"object","properties":{"a":{},"b":{},"c":{}},"maxProperties":1}""", """{}	{"b":1}""", """{"a":1,"b":1}""" },
        { """{"type":"object","required":["id"]}""", """{"id":[1]}	{"id":null,"x":2}""", "{}" },
        { """{"type":"object","additionalProperties":{"type":"integer"},"propertyNames":{"pattern":"^k[0-9]$"}}""", """{"k1":1,"k2":2}""",
            """{"x":1}""" },
        { """{"oneOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind"]},{"type":"object","properties":{"kind":{"const":"b"}},"required":["kind"]}]}""", """{"kind":"a","x":1}	{"kind":"b"}""", """{"kind":"c"}""" },
        { """{"type":["string","null"],"enum":["a",null,3]}""", "\"a\"\tnull", "3" },
        { """{"type":"string","nullable":true}""", "null\t\"a\"", "1" },
        { """{"const":{"a":[1,"x"]}}""", """{"a":[1,"x"]}""", """{"a":[1]}""" },
        { """{"type":"string","format":"date"}""", "\"2024-02-29\"\t\"2000-02-29\"", "\"2023-02-29\"\t\"1900-02-29\"\t\"2023-04-31\"" },
        { """{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["next"]}""",
            """{"next":{"next":null}}""", """{"next":1}""" },
        { """{"items":{"$anchor":"x","type":"integer"},"contains":null}""".Replace(",\"contains\":null", ""), "[1,2]", "[\"a\"]" },
        { """{"type":"array","items":{"type":"integer"},"maxItems":50000}""", "[]\t[1,2,3]", "[1,]" },
    };

    [Theory]
    [MemberData(nameof(Schemas))]
    public void Schema_Texts_AcceptedAsTheyFit(string schema, string good, string bad)
    {
        Grammar grammar = Grammar.FromJsonSchema(JsonNode.Parse(schema)!);
        foreach (string text in good.Split('\t')) Assert.True(GrammarReader.Accepts(grammar, text), $"{text} should fit {schema}");
        foreach (string text in bad.Split('\t')) Assert.False(GrammarReader.Accepts(grammar, text), $"{text} should not fit {schema}");
    }

    [Theory]
    [InlineData("""{"type":"string","pattern":"(?=a)b"}""", "#/pattern is '(?=a)b', at character 3: looking around")]
    [InlineData("""{"type":"string","pattern":"(a)\\1"}""", "'\\1' is not supported")]
    [InlineData("""{"type":"string","pattern":"^(ab|c)+$","maxLength":4}""", "#/pattern: matches have 1 to any number of characters")]
    [InlineData("""{"not":{}}""", "nothing fits")]
    [InlineData("""{"type":"object","properties":{"x":{"not":{"pattern":"a"}}}}""",
        "#/properties/x/not: keyword 'pattern' inside 'not' or 'if' is not supported")]
    [InlineData("""{"type":"number","not":{"type":"integer"}}""", "#/not: the type integer inside 'not'")]
    [InlineData("""{"type":"string","not":{"enum":["a"]},"minLength":1}""",
        "keyword 'minLength' is not supported beside texts that are excluded")]
    [InlineData("""{"type":"object","properties":{"ab":{}},"patternProperties":{"^a":{}}}""",
        "#/patternProperties: the declared property 'ab' matches '^a'")]
    [InlineData("""{"type":"object","patternProperties":{"a":{},"b":{}}}""", "a name could match 'a' and 'b' at once")]
    [InlineData("""{"type":"object","patternProperties":{"^a":{}},"additionalProperties":true}""",
        "supported only without 'additionalProperties'")]
    [InlineData("""{"type":"integer","multipleOf":9973}""", "#/multipleOf: multiples of so large a number")]
    [InlineData("""{"type":"number","multipleOf":0}""", "#/multipleOf is 0, expected a number above 0")]
    [InlineData("""{"type":"integer","minimum":1e300}""", "#/minimum is 1e300: numbers of more than 100 digits")]
    [InlineData("""{"type":"array","uniqueItems":true}""", "keyword 'uniqueItems'")]
    [InlineData("""{"type":"array","items":{"type":"string"},"uniqueItems":true}""",
        "keyword 'uniqueItems' is supported only for items of listed values")]
    [InlineData("""{"type":"array","contains":{"const":1}}""", "#: keyword 'contains' is not supported")]
    [InlineData("""{"type":"string","enum":["abc"],"maxLength":2}""", "nothing fits")]
    [InlineData("""{"oneOf":[{"type":"integer"},{"type":"number"}]}""", "#/oneOf: a value could fit options 0 and 1 at once")]
    [InlineData("""{"type":"text"}""", "#/type is 'text'")]
    [InlineData("""{"$ref":"#/$defs/none"}""", "leads nowhere")]
    [InlineData("""{"$ref":"other.json"}""", "expected one within the schema")]
    [InlineData("""{"$ref":"#"}""", "in a circle")]
    [InlineData("""{"type":"object","properties":{"next":{"$ref":"#"}},"required":["next"]}""",
        "nothing fits the schema, or nothing that ends")]
    [InlineData("""{"allOf":[{"type":"string"},{"type":"integer"}]}""", "nothing fits")]
    [InlineData("false", "nothing fits")]
    [InlineData("""{"type":"string","minLength":-1}""", "#/minLength is -1")]
    [InlineData("""{"type":"integer","minimum":"3"}""", "#/minimum is \"3\", expected a number")]
    public void Schema_NotSupported_NamesWhat(string schema, string message) =>
        Assert.Contains(message, Assert.Throws<FlywheelException>(() => Grammar.FromJsonSchema(JsonNode.Parse(schema)!)).Message,
            StringComparison.Ordinal);

    /// <summary>
    /// JSON Schema's own suite (github.com/json-schema-org/JSON-Schema-Test-Suite): whatever it calls invalid is not
    /// accepted; schemas that we do not support are refused.
    /// </summary>
    [Fact]
    public void Suite_OfTheStandard_NothingInvalidIsAccepted()
    {
        string folder = TestFiles.Shared("data", "json-schema-test-suite", "tests", "draft2020-12");
        int supported = 0, refused = 0, valid = 0, accepted = 0, invalid = 0;
        foreach (string file in Directory.EnumerateFiles(folder, "*.json")
            .Concat(Directory.EnumerateFiles(Path.Combine(folder, "optional", "format"), "*.json")))
            foreach (JsonNode? group in JsonNode.Parse(File.ReadAllText(file))!.AsArray())
            {
                // A format that no grammar is made of is an annotation, and so is one in the suite's required part.
                if (group!["schema"] is JsonObject fields && fields["format"] is { } format
                    && !JsonFormats.Patterns.ContainsKey((string)format!)) continue;
                Grammar grammar;
                try
                {
                    grammar = Grammar.FromJsonSchema(group["schema"]!);
                    supported++;
                }
                catch (FlywheelException)
                {
                    refused++;
                    continue;
                }
                foreach (JsonNode? test in group["tests"]!.AsArray())
                {
                    string text = test!["data"]?.ToJsonString(JsonText.Compact) ?? "null";
                    bool accepts = GrammarReader.Accepts(grammar, text);
                    if ((bool)test["valid"]!)
                    {
                        valid++;
                        if (accepts) accepted++;
                        continue;
                    }
                    invalid++;
                    Assert.False(accepts,
                        $"{Path.GetFileName(file)}: {group["schema"]!.ToJsonString()} accepts {text}, which is invalid: {test["description"]}");
                }
            }
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{supported} schemas supported, {refused} refused; {accepted} of {valid} valid texts accepted, none of {invalid} invalid ones");
        Assert.True(supported > 200 && accepted > 300, $"{supported} schemas, {accepted} texts");
    }

    [Fact]
    public async Task Schema_Random_WhatIsWrittenIsValidToAjv()
    {
        string folder = Path.Combine(TestFiles.Root, "tests", "Flywheel.Engine.Tests", "node");
        if (!Tool.Exists("node") || !Tool.Exists("npm")) Assert.Skip("node and npm are not installed (Debian: apt-get install nodejs npm)");
        if (!Directory.Exists(Path.Combine(folder, "node_modules", "ajv")))
        {
            (int installed, string log) = await Tool.RunAsync("npm", ["ci", "--no-audit", "--no-fund"], folder);
            if (installed != 0) Assert.Skip($"npm ci failed (no package registry?): {log}");
        }
        var trie = new TokenTrie(new(Tokens), Tokens.VocabSize);
        var random = new Random(20261124);
        var written = new List<(string Schema, string Text)>();
        int refused = 0, unended = 0;
        for (int i = 0; i < 300; i++)
        {
            JsonObject schema = new RandomSchema(random).Make();
            Grammar grammar;
            try
            {
                grammar = Grammar.FromJsonSchema(schema);
            }
            catch (FlywheelException e)
            {
                // the generator's own slips
                Assert.Matches("nothing fits|oneOf|together|minProperties|enum|within|several|ends", e.Message);
                refused++;
                continue;
            }
            var masks = new GrammarMasks(grammar, trie, [Tokens.SpecialTokens[Tokenizer.MessageEnd]]);
            for (int sample = 0; sample < 4; sample++)
            {
                if (GrammarReader.Write(masks, Tokens, random, patience: 60) is { } text) written.Add((schema.ToJsonString(), text));
                else unended++;
            }
        }
        Assert.True(written.Count > 600, $"{written.Count} texts, {refused} schemas refused, {unended} texts without an end");

        using Process node =
            Process.Start(new ProcessStartInfo("node", ["validate.mjs"]) { WorkingDirectory = folder, RedirectStandardInput = true,
                RedirectStandardOutput = true })!;
        Task sending = Task.Run(async () =>
        {
            foreach ((string schema, string text) in written)
                await node.StandardInput.WriteLineAsync(
                    new JsonObject { ["schema"] = JsonNode.Parse(schema), ["text"] = text }.ToJsonString());
            node.StandardInput.Close();
        });
        foreach ((string schema, string text) in written)
        {
            string? verdict = await node.StandardOutput.ReadLineAsync();
            Assert.True(verdict == "valid", $"{schema} gave {text}: {verdict}");
        }
        await sending;
    }

    /// <summary>Integers and multiples of any size against arithmetic: what is written fits, and numbers near the bounds are read as they
    /// fit.</summary>
    [Fact]
    public void Integers_AnyBounds_AreThoseThatFit()
    {
        Gen<BigInteger> any = Gen.Select(Gen.Int[0, 25], Gen.ULong, Gen.Bool)
            .Select((digits, value, negative) =>
                new BigInteger(value) * BigInteger.Pow(10, 6) % BigInteger.Pow(10, digits) * (negative ? -1 : 1));
        Gen.Select(any, Gen.OneOf(any, Gen.Int[0, 300].Select(n => new BigInteger(n))), Gen.OneOf(Gen.Const(1), Gen.Int[1, 120]), any)
            .Sample((low, width, step, other) =>
        {
            BigInteger high = low + BigInteger.Abs(width);
            Grammar grammar;
            try
            {
                grammar =
                    Grammar.FromJsonSchema(
                        JsonNode.Parse($$"""{"type":"integer","minimum":{{low}},"maximum":{{high}},"multipleOf":{{step}}}""")!);
            }
            catch (FlywheelException e) when (e.Message.Contains("nothing fits", StringComparison.Ordinal))
            {
                Assert.True(BigInteger.DivRem(high, step, out _) * step < low || high.Sign < 0
                    || (low.Sign > 0 && (low + step - 1) / step * step > high), $"{low} to {high} by {step}");
                return;
            }
            foreach (BigInteger near in new[] { low, high, other, 0, low / step * step, high / step * step,
                (low + high) / 2 / step * step })
                for (int around = -1; around <= 1; around++)
                {
                    BigInteger value = near + around;
                    Assert.True(GrammarReader.Accepts(grammar, $"{value}") == (value >= low && value <= high && (value % step).IsZero),
                        $"{value} of {low} to {high} by {step}");
                }
        }, iter: 400);
    }

    [Fact]
    public void Schema_Mutated_IsReadOrRefused()
    {
        var random = new Random(7);
        JsonNode?[] odd = [null, true, 0, -1, 1e300, 1.5, "", "#", "object", new JsonArray(), new JsonArray(1, "a"), new JsonObject(),
            new JsonObject { ["$ref"] = "#" }, "\ud800"];
        string[] keywords = ["type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "properties", "required", "additionalProperties",
            "items", "prefixItems", "minItems", "maxItems", "pattern", "format", "minLength", "minimum", "exclusiveMaximum", "multipleOf",
            "minProperties", "propertyNames", "nullable", "$id", "not", "if", "then", "else", "patternProperties", "uniqueItems",
            "dependentRequired", "dependentSchemas", "x-odd"];
        for (int i = 0; i < 1200; i++)
        {
            JsonNode schema = new RandomSchema(random).Make();
            for (int change = random.Next(1, 4); change > 0; change--)
            {
                JsonObject[] all = [.. Objects(schema)];
                all[random.Next(all.Length)][keywords[random.Next(keywords.Length)]] = odd[random.Next(odd.Length)]?.DeepClone();
            }
            try
            {
                Grammar.FromJsonSchema(schema);
            }
            catch (FlywheelException)
            {
                // the only way to fail
            }
        }

        static IEnumerable<JsonObject> Objects(JsonNode? node) => node switch
        {
            JsonObject fields => fields.SelectMany(field => Objects(field.Value)).Prepend(fields),
            JsonArray items => items.SelectMany(Objects),
            _ => [],
        };
    }

    [Fact]
    public void Schema_Hostile_IsRefusedSoon()
    {
        JsonObject chain = [], wide = [];
        for (int i = 0; i < 30_000; i++) chain[$"d{i}"] = new JsonObject { ["$ref"] = $"#/$defs/d{i + 1}" };
        for (int i = 0; i < 30_000; i++) wide[$"p{i}"] = new JsonObject { ["type"] = "string", ["maxLength"] = i };
        JsonObject doubling = new() { ["d0"] = new JsonObject { ["type"] = "integer" } };
        for (int i = 1; i < 25; i++) doubling[$"d{i}"] = new JsonObject { ["allOf"] = new JsonArray(Reference(i - 1), Reference(i - 1)) };
        JsonObject options = [];
        for (int i = 0; i < 3; i++)
            options[$"o{i}"] =
                new JsonObject
                    { ["anyOf"] =
                        new JsonArray([.. Enumerable.Range(0, 100).Select(n => new JsonObject { ["minimum"] = n + (1000 * i) })]) };
        foreach (JsonObject hostile in new[]
        {
            new JsonObject { ["$ref"] = "#/$defs/d0", ["$defs"] = chain },
            new() { ["properties"] = wide, ["minProperties"] = 20_000 },
            new() { ["$ref"] = "#/$defs/d24", ["$defs"] = doubling },
            new() { ["allOf"] = new JsonArray(new JsonObject { ["$ref"] = "#/$defs/o0" }, new JsonObject { ["$ref"] = "#/$defs/o1" },
                new JsonObject { ["$ref"] = "#/$defs/o2" }), ["$defs"] = options },
            new() { ["type"] = "string", ["pattern"] = string.Concat(Enumerable.Repeat("(", 100_000)) },
            new() { ["type"] = "string", ["pattern"] = string.Concat(Enumerable.Repeat("(?:a?){9,100000}", 2)) },
        })
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Exception? e = Record.Exception(() => Grammar.FromJsonSchema(hostile));
            Assert.True(e is FlywheelException, $"{string.Concat(hostile.ToJsonString().Take(200))} gave {e?.ToString() ?? "a grammar"}");
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2L << 30);
        }

        static JsonObject Reference(int i) => new() { ["$ref"] = $"#/$defs/d{i}" };
    }

    /// <summary>Schemas of everything that is supported, nested a few levels.</summary>
    private sealed class RandomSchema(Random random)
    {
        public JsonObject Make()
        {
            JsonObject schema = Node(3);
            if (schema.ToJsonString().Contains("$ref", StringComparison.Ordinal))
                schema["$defs"] =
                    new JsonObject { ["shared"] = new JsonObject { ["type"] = "object",
                        ["properties"] = new JsonObject { ["v"] = Leaf(), ["next"] = new JsonObject { ["$ref"] = "#/$defs/shared" } } } };
            return schema;
        }

        private JsonObject Node(int depth) => depth == 0 ? Leaf() : random.Next(11) switch
        {
            0 or 1 or 2 => Object(depth),
            3 => Array(depth),
            4 => new JsonObject { ["anyOf"] = new JsonArray(Node(depth - 1), Node(depth - 1)) },
            5 => new JsonObject { ["allOf"] = new JsonArray(Object(depth), Object(depth)) },
            6 => new JsonObject { ["$ref"] = "#/$defs/shared" },
            9 => Conditional(depth),
            10 => new JsonObject { ["type"] = "object",
                ["patternProperties"] = new JsonObject { ["^x-"] = Node(depth - 1), ["^y_"] = Leaf() }, ["additionalProperties"] = false },
            7 => new JsonObject { ["oneOf"] = new JsonArray(Tagged("a", depth), Tagged("b", depth)) },
            _ => Leaf(),
        };

        private JsonObject Conditional(int depth)
        {
            JsonObject schema = Tagged("a", depth);
            schema["properties"]!["kind"] = new JsonObject { ["enum"] = new JsonArray("a", "b", 3) };
            JsonObject condition =
                new() { ["properties"] =
                    new JsonObject { ["kind"] = random.Next(2) == 0
                        ? new JsonObject { ["const"] = "a" } : new JsonObject { ["type"] = "string" } } };
            if (random.Next(2) == 0) schema["not"] = condition;
            else (schema["if"], schema["then"], schema["else"]) = (condition, new JsonObject { ["required"] = new JsonArray("a") },
                new JsonObject { ["maxProperties"] = 2 });
            return schema;
        }

        private JsonObject Tagged(string tag, int depth)
        {
            JsonObject schema = Object(depth);
            JsonObject properties = schema["properties"] as JsonObject ?? [];
            properties["kind"] = new JsonObject { ["const"] = tag };
            schema["properties"] = properties;
            schema["required"] = new JsonArray("kind");
            return schema;
        }

        private JsonObject Object(int depth)
        {
            JsonObject properties = [], schema = new() { ["type"] = "object" };
            string[] names = ["a", "b", "c\"", "ä", "long name", "a1"];
            foreach (string name in names.Where(_ => random.Next(3) == 0)) properties[name] = Node(depth - 1);
            if (properties.Count > 0) schema["properties"] = properties;
            if (properties.Count > 0)
                schema["required"] =
                    new JsonArray([.. properties.Where(_ => random.Next(2) == 0).Select(pair => JsonValue.Create(pair.Key))]);
            switch (random.Next(4))
            {
                case 0: schema["additionalProperties"] = false; break;
                case 1: schema["additionalProperties"] = Leaf(); break;
                default: break;
            }
            if (random.Next(6) == 0) schema["maxProperties"] = random.Next(1, 4);
            if (random.Next(6) == 0) schema["minProperties"] = 1;
            return schema;
        }

        private JsonObject Array(int depth)
        {
            var schema = new JsonObject { ["type"] = "array" };
            if (random.Next(2) == 0) schema["items"] = Node(depth - 1);
            if (random.Next(3) == 0) schema["prefixItems"] = new JsonArray(Leaf(), Leaf());
            if (random.Next(2) == 0) schema["minItems"] = random.Next(0, 3);
            if (random.Next(2) == 0) schema["maxItems"] = random.Next(3, 6);
            return schema;
        }

        private JsonObject Leaf()
        {
            switch (random.Next(14))
            {
                case 10: return new() { ["type"] = "integer", ["multipleOf"] = random.Next(1, 40),
                    [random.Next(2) == 0 ? "minimum" : "exclusiveMinimum"] = random.Next(-500, 500) };
                case 11: return new() { ["type"] = "string", ["enum"] = new JsonArray("a", "ab", "b", "c d"),
                    [random.Next(2) == 0 ? "maxLength" : "minLength"] = 1, ["pattern"] = random.Next(2) == 0 ? "a|c" : "^[a-d ]*$",
                    ["x-note"] = 3 };
                case 12: return new() { ["type"] = "array", ["uniqueItems"] = true,
                    ["items"] = new JsonObject { ["enum"] = new JsonArray("a", 1, null, "b") }, ["minItems"] = random.Next(0, 4) };
                case 13: return random.Next(2) == 0 ? new() { ["type"] = "string",
                    ["not"] = new JsonObject { ["enum"] = new JsonArray("a", "foo", "") } }
                    : new() { ["type"] = new JsonArray("integer", "string"),
                        ["not"] = new JsonObject { ["enum"] = new JsonArray(1, "x", 2.5) } };
                case 0: return new() { ["type"] = "boolean" };
                case 1: return new() { ["type"] = new JsonArray("null", "integer") };
                case 2: return new() { ["enum"] = new JsonArray("x", 3, null, "q\"\\\n") };
                case 3:
                    int low = random.Next(-2000, 2000);
                    return new() { ["type"] = "integer", ["minimum"] = low, ["maximum"] = low + random.Next(0, 3000) };
                case 4:
                    decimal from = random.Next(-5000, 5000) / 100m;
                    return new() { ["type"] = "number", [random.Next(2) == 0 ? "minimum" : "exclusiveMinimum"] = from,
                        [random.Next(2) == 0 ? "maximum" : "exclusiveMaximum"] = from + (random.Next(1, 900) / 100m) };
                case 5: return new() { ["type"] = "number" };
                case 6:
                    string[] patterns = ["^[a-f]{1,3}$", "^\\d{3}-\\w+$", "x|y", "^[^a-z]*$", "^(?:foo|ba[rz])?.$", "\\s"];
                    return new() { ["type"] = "string", ["pattern"] = patterns[random.Next(patterns.Length)] };
                case 7: return new() { ["type"] = "string",
                    ["format"] = JsonFormats.Patterns.Keys.ElementAt(random.Next(JsonFormats.Patterns.Count)) };
                case 8: return new() { ["type"] = "string", ["minLength"] = random.Next(0, 3), ["maxLength"] = random.Next(3, 9) };
                default: return new() { ["type"] = "string" };
            }
        }
    }
}
