using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

/// <summary>
/// Tokenizers in GGUF against llama.cpp: what llama-tokenize makes of hard texts with our file is what the tokenizer makes
/// of them, and what the file read back does.
/// </summary>
public sealed partial class LlamaTokenizeTests : IDisposable
{
    /// <summary>A token between texts, so that one run of llama-tokenize does for many.</summary>
    private const string Separator = "<|between|>";

    private static readonly Lazy<string> s_vocabulary = new(() => Vocabulary(HardTexts(500, seed: 7)));

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> PreTokenizers => [.. GgufPreTokenizer.Names];

    /// <summary>Every way to cut text, with a vocabulary whose merges cross all places where a text might be cut.</summary>
    [Theory]
    [MemberData(nameof(PreTokenizers))]
    public async Task Pre_EveryName_GivesLlamaCppsIds(string name)
    {
        LlamaCpp.Find("llama-tokenize");
        string[] texts = HardTexts(500, seed: 7);
        (JsonArray steps, bool ignoreMerges) = GgufPreTokenizer.Named(name, "test");
        JsonNode json = JsonNode.Parse(s_vocabulary.Value)!;
        json["pre_tokenizer"] = new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = steps.DeepClone() };
        json["model"]!["ignore_merges"] = ignoreMerges;
        await CompareAsync(json, texts, name);
    }

    [Theory]
    [MemberData(nameof(PreTokenizers))]
    public void Pre_EveryName_IsFoundAgainByItsSteps(string name)
    {
        (JsonArray steps, bool ignoreMerges) = GgufPreTokenizer.Named(name, "test");
        var json = new JsonObject { ["pre_tokenizer"] = new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = steps.DeepClone() },
            ["model"] = new JsonObject { ["ignore_merges"] = ignoreMerges } };
        (JsonArray found, bool ignores) = GgufPreTokenizer.Named(GgufPreTokenizer.NameOf(json, "test"), "test");
        Assert.Equal((steps.ToJsonString(), ignoreMerges), (found.ToJsonString(), ignores));
    }

    [Fact]
    public void Pre_UnknownName_IsRefusedByIt() =>
        Assert.StartsWith("model.gguf: tokenizer.ggml.pre is 'kimi-k2', which is not supported; supported are qwen2, ",
            Assert.Throws<FlywheelException>(() => GgufPreTokenizer.Named("kimi-k2", "model.gguf")).Message);

    /// <summary>What does not match would be lost, which no name of llama.cpp's means.</summary>
    [Fact]
    public void Pre_SplitThatRemoves_IsRefused()
    {
        JsonObject json =
            new() { ["pre_tokenizer"] = new JsonObject { ["type"] = "Sequence",
                ["pretokenizers"] = GgufPreTokenizer.Named("qwen2", "test").Steps.DeepClone() }, ["model"] = new JsonObject() };
        json["pre_tokenizer"]!["pretokenizers"]![0]!["behavior"] = "Removed";
        Assert.Contains("llama.cpp has no name for the pre_tokenizer",
            Assert.Throws<FlywheelException>(() => GgufPreTokenizer.NameOf(json, "test")).Message, StringComparison.Ordinal);
        json["pre_tokenizer"]!["pretokenizers"]![0]!["invert"] = true;
        Assert.Equal("qwen2", GgufPreTokenizer.NameOf(json, "test"));
    }

    /// <summary>
    /// Published tokenizers, of which none is kept here: FLYWHEEL_TOKENIZERS names a folder with their tokenizer.json files,
    /// and with vocabularies as GGUF.
    /// </summary>
    [Fact]
    public async Task Published_EveryTokenizer_GivesLlamaCppsIds()
    {
        LlamaCpp.Find("llama-tokenize");
        string folder = Environment.GetEnvironmentVariable("FLYWHEEL_TOKENIZERS") ?? "";
        if (folder.Length == 0) Assert.Skip("FLYWHEEL_TOKENIZERS names no folder");
        string[] texts = HardTexts(3000, seed: 11);
        var wrong = new List<string>();
        foreach (string path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Where(file => Path.GetFileName(file) == "tokenizer.json" || file.EndsWith(".gguf", StringComparison.Ordinal)).Order())
            try
            {
                if (path.EndsWith(".gguf", StringComparison.Ordinal)) await CompareAsync(path, null, texts);
                else await CompareAsync(JsonNode.Parse(File.ReadAllBytes(path))!, texts, null);
                TestContext.Current.TestOutputHelper?.WriteLine($"{path}: equal");
            }
            catch (Exception e) when (e is FlywheelException or Xunit.Sdk.IAssertionException)
            {
                wrong.Add($"{path}: {e.Message}");
            }
        Assert.True(wrong.Count == 0, string.Join("\n\n", wrong));
    }

    private static string[] HardTexts(int count, ulong seed)
    {
        var random = new PCG(1, seed);
        return [.. Enumerable.Range(0, count).Select(_ => HuggingFaceTokenizerTests.HardText.Generate(random, null, out Size _))
            .Where(text => !text.Contains('\0') && !text.Contains("</s>"))]; // llama.cpp makes a token that is spelt like an end one
    }

    /// <summary>Merges of whole texts, and tokens that no merge makes, which a word is only where merges are ignored.</summary>
    private static string Vocabulary(string[] texts)
    {
        var merges = new List<(int, int)>();
        List<List<int>> rest = [.. texts.Select(text => Encoding.UTF8.GetBytes(text).Select(value => (int)value).ToList())];
        for (int id = 256; id < 900; id++)
        {
            (int, int) best = rest.SelectMany(ids => ids.Zip(ids.Skip(1))).GroupBy(pair => pair).OrderByDescending(pairs => pairs.Count())
                .ThenBy(pairs => pairs.Key).First().Key;
            merges.Add(best);
            foreach (List<int> ids in rest)
                for (int i = 0; i + 1 < ids.Count; i++)
                    if ((ids[i], ids[i + 1]) == best)
                    {
                        ids[i] = id;
                        ids.RemoveAt(i + 1);
                    }
        }
        JsonNode json = JsonNode.Parse(TokenizerJsonWriter.Write(["<|begin|>"], merges))!;
        JsonObject vocab = json["model"]!["vocab"]!.AsObject();
        foreach (string word in new[] { "lamp", "Lamp", "LIGHT", "\u0120lamp", "345", "if" })
            if (!vocab.ContainsKey(word)) vocab[word] = vocab.Count;
        return json.ToJsonString();
    }

    private async Task CompareAsync(JsonNode json, string[] texts, string? pre)
    {
        int numIds =
            json["model"]!["vocab"]!.AsObject().Select(entry => entry.Value!.GetValue<int>())
                .Concat(json["added_tokens"]!.AsArray().Select(token => token!["id"]!.GetValue<int>())).Max() + 1;
        json["added_tokens"]!.AsArray()
            .Add(new JsonObject { ["id"] = numIds, ["content"] = Separator, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false,
                ["normalized"] = false, ["special"] = true });
        Tokenizer tokenizer = Tokenizer.Parse(Encoding.UTF8.GetBytes(json.ToJsonString()), "published");
        ModelFolder model = TinyModel.Create(_folder["models"], tokenizer: tokenizer);
        string path = _folder[$"{model.Hash}.gguf"];
        ModelExport.ToGguf(model, path, ExportType.Parse("f16"));
        using (GgufFile file = GgufFile.Open(path)) if (pre is not null)
            Assert.Equal(GgufPreTokenizer.Named(pre, "").Steps,
                GgufPreTokenizer.Named(file.Metadata.Text("tokenizer.ggml.pre")!, "").Steps);
        // GGUF cannot say that a text is normalised first.
        await CompareAsync(path, tokenizer, json["normalizer"] is null
            ? texts : [.. texts.Select(text => UnicodeNormalizer.Normalize(text, compatible: false, compose: true))]);
    }

    private async Task CompareAsync(string path, Tokenizer? original, string[] texts)
    {
        Tokenizer read;
        string? pre;
        using (GgufFile file = GgufFile.Open(path)) (read, pre) = (Tokenizer.Parse(GgufTokenizer.Read(file.Metadata), path),
            file.Metadata.Text("tokenizer.ggml.pre"));
        Regex otherwise = pre is "gpt-4o" or "llama4" or "kanana2" or "tekken" ? CaseBeyondAscii() : pre is "deepseek-v3" or "hunyuan-dense"
            ? Tilde() : LongSOrNew();
        texts = [.. texts.Where(text => !otherwise.IsMatch(text) && !LongSOrNew().IsMatch(text))];
        string separator = original is null
            ? read.SpecialTokens.Keys.First(token => !texts.Any(text => text.Contains(token, StringComparison.Ordinal))) : Separator;
        await File.WriteAllTextAsync(_folder["texts"], string.Concat(texts.Select(text => text + separator)));
        string output = await LlamaCpp.RunAsync("llama-tokenize", "-m", path, "-f", _folder["texts"], "--ids", "--no-bos", "--no-escape",
            "--log-disable");
        int[] ids = [.. output.Trim().Trim('[', ']').Split(',').Select(id => int.Parse(id, CultureInfo.InvariantCulture))];
        int start = 0, different = 0;
        string first = "";
        foreach (string text in texts)
        {
            int end = Array.IndexOf(ids, read.SpecialTokens[separator], start);
            int[] expected = ids[start..end], actual = read.Encode(text, allowSpecial: true),
                before = original?.Encode(text, allowSpecial: true) ?? actual;
            if (!expected.SequenceEqual(actual) || !expected.SequenceEqual(before))
                if (different++ < 4)
                    first += $"{System.Text.Json.JsonSerializer.Serialize(text)}\nllama.cpp {string.Join(' ', expected)}\nread      {string.Join(' ', actual)}\noriginal  {string.Join(' ', before)}\n";
            start = end + 1;
        }
        Assert.True(different == 0, $"{different} of {texts.Length} texts differ with pre '{pre}', the first: {first}");
    }

    // Where llama.cpp knowingly or not departs from the published pattern, which we follow.

    /// <summary>Its rewriting of GPT-4o's pattern takes letters with case beyond ASCII, and marks, for others than they are.</summary>
    [GeneratedRegex(@"(?![A-Za-z])[\p{Lu}\p{Ll}\p{Lt}]|\p{M}|[\uD801\uD835\uD836]")]
    private static partial Regex CaseBeyondAscii();

    /// <summary>To its table of classes ~ is no symbol.</summary>
    [GeneratedRegex("~")]
    private static partial Regex Tilde();

    /// <summary>The long s is an s where case is ignored; hieroglyphs of Unicode 16 are newer than its tables.</summary>
    [GeneratedRegex(@"'\u017F|\uD80D[\uDC60-\uDFFF]|\uD80E|\uD80F|\uD810[\uDC00-\uDFFA]")]
    private static partial Regex LongSOrNew();
}
