using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public class TokenizerJsonTests
{
    private static readonly string s_valid = Valid();

    private static string Valid()
    {
        using var folder = new TempFolder();
        Tokenizer.Train(["the lamp the lamp"], 262).Save(folder["tokenizer.json"]);
        return File.ReadAllText(folder["tokenizer.json"]);
    }

    private static string Error(Action<JsonObject> edit)
    {
        JsonObject json = JsonNode.Parse(s_valid)!.AsObject();
        edit(json);
        return Assert.Throws<FlywheelException>(() => Tokenizer.Parse(Encoding.UTF8.GetBytes(json.ToJsonString()), "x/tokenizer.json")).Message;
    }

    private static void Set(JsonObject json, string path, JsonNode? value)
    {
        string[] names = path.Split('.');
        JsonNode node = json;
        foreach (string name in names[..^1]) node = int.TryParse(name, out int index) ? node[index]! : node[name]!;
        node[names[^1]] = value;
    }

    [Theory]
    [InlineData("model.type", "\"WordPiece\"", "model.type is \"WordPiece\", expected 'BPE'")]
    [InlineData("model", "null", "field 'type' is missing")]
    [InlineData("model.ignore_merges", "true", "model.ignore_merges is true")]
    [InlineData("model.byte_fallback", "true", "pre_tokenizer is")]
    [InlineData("model.end_of_word_suffix", "\"</w>\"", "model.end_of_word_suffix")]
    [InlineData("normalizer", "{\"type\": \"NFC\"}", "normalizer is")]
    [InlineData("pre_tokenizer", "null", "pre_tokenizer is null")]
    [InlineData("pre_tokenizer", "{\"type\": \"ByteLevel\"}", "pre_tokenizer.type is \"ByteLevel\", expected 'Sequence'")]
    [InlineData("pre_tokenizer.pretokenizers.0.pattern.Regex", "\"\\\\w+\"", "pre_tokenizer.pretokenizers[0].pattern.Regex")]
    [InlineData("pre_tokenizer.pretokenizers.1.use_regex", "true", "pre_tokenizer.pretokenizers[1].use_regex is true, expected false")]
    [InlineData("model.vocab", "[]", "model.vocab is []")]
    [InlineData("model.vocab.!", "null", "model.vocab['!'] is null, expected a number")]
    [InlineData("model.vocab.!", "-1", "model.vocab['!'] is -1")]
    [InlineData("model.vocab.!", "99999999999", "model.vocab['!'] is 99999999999")]
    [InlineData("model.vocab.!", "5", "gives id 5 twice")]
    [InlineData("model.vocab.日", "400", "not in the byte alphabet")]
    [InlineData("model.merges", "{}", "model.merges is {}, expected an array")]
    [InlineData("model.merges", "[\"a\"]", "model.merges[0] is \"a\", expected two tokens")]
    [InlineData("model.merges", "[\"a z\"]", "model.merges[0] needs 'az'")]
    [InlineData("model.merges", "[\"qq a\"]", "model.merges[0] needs 'qq'")]
    [InlineData("model.merges", "[[\"a\", \"m\", \"p\"]]", "expected two tokens")]
    [InlineData("model.merges", "[5]", "malformed")]
    [InlineData("added_tokens.0.id", "\"zero\"", "added_tokens '<|endoftext|>'")]
    [InlineData("added_tokens.0.id", "7", "has id 7 in added_tokens and 0 in model.vocab")]
    [InlineData("added_tokens.0.content", "\"\"", "empty token")]
    public void Parse_FieldWrong_NamesItAndWhatWasExpected(string path, string value, string expected) =>
        Assert.Contains(expected, Error(json => Set(json, path, JsonNode.Parse(value))));

    [Fact]
    public void Parse_ByteWithoutToken_NamesIt() => Assert.Contains("no token for byte 33", Error(json => json["model"]!["vocab"]!.AsObject().Remove("!")));

    [Fact]
    public void Parse_MergeGivenTwice_NamesIt() => Assert.Contains("not yet in the list", Error(json =>
    {
        JsonArray merges = json["model"]!["merges"]!.AsArray();
        merges.Add(merges[0]!.DeepClone());
    }));

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    public void Parse_NoJsonObject_NamesTheFile(string text) =>
        Assert.Contains("x/tokenizer.json", Assert.Throws<FlywheelException>(() => Tokenizer.Parse(Encoding.UTF8.GetBytes(text), "x/tokenizer.json")).Message);

    [Fact]
    public void Parse_MergesAsPairs_GivesTheSameTokenizer()
    {
        JsonObject json = JsonNode.Parse(s_valid)!.AsObject();
        json["model"]!["merges"] = new JsonArray([.. json["model"]!["merges"]!.AsArray().Select(merge => new JsonArray([.. merge!.GetValue<string>().Split(' ').Select(part => JsonValue.Create(part))]))]);
        Tokenizer pairs = Tokenizer.Parse(Encoding.UTF8.GetBytes(json.ToJsonString()), "pairs");
        Assert.Equal(Tokenizer.Parse(Encoding.UTF8.GetBytes(s_valid), "strings").Encode("the lamp the tham"), pairs.Encode("the lamp the tham"));
    }

    [Fact]
    public void Parse_MutatedFile_FailsOnlyWithAFlywheelException() =>
        Gen.Select(Gen.Int[0, s_valid.Length - 1], Gen.Char["{}[]\",:\\u0dn 5éĠ-"]).Array[1, 6].Sample(changes =>
        {
            char[] text = s_valid.ToCharArray();
            foreach ((int at, char with) in changes) text[at] = with;
            try
            {
                Tokenizer.Parse(Encoding.UTF8.GetBytes(text), "fuzzed").Encode("the lamp");
            }
            catch (FlywheelException)
            {
            }
        }, iter: 1000);
}
