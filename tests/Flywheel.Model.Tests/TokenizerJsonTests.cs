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
        return Assert.Throws<FlywheelException>(() =>
            Tokenizer.Parse(Encoding.UTF8.GetBytes(json.ToJsonString(JsonText.Compact)), "x/tokenizer.json")).Message;
    }

    private static void Set(JsonObject json, string path, JsonNode? value)
    {
        string[] names = path.Split('.');
        JsonNode node = json;
        foreach (string name in names[..^1]) node = int.TryParse(name, out int index) ? node[index]! : node[name]!;
        if (node is JsonArray array) array[int.Parse(names[^1])] = value;
        else node[names[^1]] = value;
    }

    [Theory]
    [InlineData("model.type", "\"WordPiece\"", "model.type is \"WordPiece\", expected 'BPE'")]
    [InlineData("model", "null", "field 'model' is missing")]
    [InlineData("model.ignore_merges", "1", "model.ignore_merges is 1, expected true or false")]
    [InlineData("model.end_of_word_suffix", "\"</w>\"", "model.end_of_word_suffix is \"</w>\", expected none")]
    [InlineData("model.dropout", "0.1", "model.dropout is 0.1, expected none")]
    [InlineData("model.unk_token", "\"<unk>\"", "model.unk_token is \"<unk>\", expected a token of model.vocab")]
    [InlineData("normalizer", "{\"type\": \"Precompiled\"}", "normalizer.type is \"Precompiled\", expected 'Sequence', 'NFC'")]
    [InlineData("normalizer", "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, {\"type\": \"Nmt\"}]}",
        "normalizer.normalizers[1].type is \"Nmt\"")]
    [InlineData("normalizer", "{\"type\": \"Prepend\"}", "field 'normalizer.prepend' is missing")]
    [InlineData("pre_tokenizer", "5", "pre_tokenizer is 5, expected an object")]
    [InlineData("pre_tokenizer", "{\"type\": \"BertPreTokenizer\"}",
        "pre_tokenizer.type is \"BertPreTokenizer\", expected 'Sequence', 'Split'")]
    [InlineData("pre_tokenizer.pretokenizers.0.pattern.Regex", "\"\\\\w+\"",
        "pre_tokenizer.pretokenizers[0].pattern.Regex is \"\\\\w+\", expected a pattern that .NET reads as Oniguruma does; it has '\\w' at character 0")]
    [InlineData("pre_tokenizer.pretokenizers.0.pattern.Regex", "\"\\\\p{Han}\"", "'\\p{Han}', which is none of the general categories")]
    [InlineData("pre_tokenizer.pretokenizers.0.pattern.Regex", "\"(a+)+b\"", "a repetition of a repetition")]
    [InlineData("pre_tokenizer.pretokenizers.0.pattern.Regex", "\"(?i)a\"", "the group '(?i)'")]
    [InlineData("pre_tokenizer.pretokenizers.0.pattern.Regex", "\"(a\"", "an unclosed '('")]
    [InlineData("pre_tokenizer.pretokenizers.0.pattern.Regex", "\"[a&&b]\"", "'&' in a class")]
    [InlineData("pre_tokenizer.pretokenizers.0.behavior", "\"Split\"",
        "pretokenizers[0].behavior is \"Split\", expected 'Removed', 'Isolated'")]
    [InlineData("pre_tokenizer.pretokenizers.0", "{\"type\": \"ByteLevel\"}", "expected nothing after ByteLevel")]
    [InlineData("pre_tokenizer.pretokenizers.1.use_regex", "\"no\"",
        "pre_tokenizer.pretokenizers[1].use_regex is \"no\", expected true or false")]
    [InlineData("post_processor", "{\"type\": \"BertProcessing\"}",
        "post_processor.type is \"BertProcessing\", expected 'ByteLevel', 'TemplateProcessing'")]
    [InlineData("decoder", "null", "field 'decoder' is missing")]
    [InlineData("decoder", "{\"type\": \"WordPiece\"}", "decoder is {\"type\":\"WordPiece\"}, expected 'ByteLevel', 'Metaspace'")]
    [InlineData("decoder", "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"}, {\"type\": \"ByteFallback\"}]}",
        "decoder.decoders[1] is {\"type\":\"ByteFallback\"}, expected 'Strip' or nothing after 'Fuse'")]
    [InlineData("model.vocab", "[]", "model.vocab is [], expected an object")]
    [InlineData("model.vocab.!", "null", "model.vocab['!'] is null, expected a number")]
    [InlineData("model.vocab.!", "-1", "model.vocab['!'] is -1")]
    [InlineData("model.vocab.!", "99999999999", "model.vocab['!'] is 99999999999")]
    [InlineData("model.vocab.!", "5", "is 5, expected each id once")]
    [InlineData("model.merges", "{}", "model.merges is {}, expected an array")]
    [InlineData("model.merges", "[\"a\"]", "model.merges[0] is \"a\", expected two tokens")]
    [InlineData("model.merges", "[\"a z\"]", "model.merges[0] is \"a z\", expected a pair whose tokens are in model.vocab; 'az' is not")]
    [InlineData("model.merges", "[\"qq a\"]", "'qq' is not")]
    [InlineData("model.merges", "[[\"a\", \"m\", \"p\"]]", "expected two tokens")]
    [InlineData("model.merges", "[5]", "expected two tokens")]
    [InlineData("added_tokens.0.id", "\"zero\"", "added_tokens[0].id is \"zero\", expected a number")]
    [InlineData("added_tokens.0.id", "7", "added_tokens[0].id is 7, expected 0, as model.vocab has for '<|endoftext|>'")]
    [InlineData("added_tokens.0.content", "\"new\"",
        "added_tokens[0].id is 0, expected another id for 'new', model.vocab has '<|endoftext|>' there")]
    [InlineData("added_tokens.0.content", "\"\"", "added_tokens[0].content is \"\", expected a text")]
    public void Parse_FieldWrong_NamesItAndWhatWasExpected(string path, string value, string expected) =>
        Assert.Contains(expected, Error(json => Set(json, path, JsonNode.Parse(value))));

    [Fact]
    public void Parse_MergeGivenTwice_NamesIt() => Assert.Contains("a pair that is not yet in the list", Error(json =>
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
        Assert.Contains("x/tokenizer.json",
            Assert.Throws<FlywheelException>(() => Tokenizer.Parse(Encoding.UTF8.GetBytes(text), "x/tokenizer.json")).Message);

    [Fact]
    public void Parse_MergesAsPairs_GivesTheSameTokenizer()
    {
        JsonObject json = JsonNode.Parse(s_valid)!.AsObject();
        json["model"]!["merges"] =
            new JsonArray(
                [.. json["model"]!["merges"]!.AsArray()
                    .Select(merge => new JsonArray([.. merge!.GetValue<string>().Split(' ').Select(part => JsonValue.Create(part))]))]);
        Tokenizer pairs = Tokenizer.Parse(Encoding.UTF8.GetBytes(json.ToJsonString()), "pairs");
        Assert.Equal(Tokenizer.Parse(Encoding.UTF8.GetBytes(s_valid), "strings").Encode("the lamp the tham"),
            pairs.Encode("the lamp the tham"));
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
        }, iter: Fuzz.Iterations(1000));
}
