using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

/// <summary>The forms in which others publish models: sets of files, bare decoders, terms in a file of their own.</summary>
public sealed class ImportFormTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly ModelFolder _model;

    public ImportFormTests() => _model = TinyModel.Create(_folder["made"], tokenizer: TokenizerTests.Small);

    public void Dispose() => _folder.Dispose();

    private ModelFolder Import(string path, string? name = null) =>
        ModelImport.Import(path, _folder["models"], DateTimeOffset.UnixEpoch, name: name);

    private string ImportError(string path) => Assert.Throws<FlywheelException>(() => Import(path)).Message;

    private string Copy()
    {
        string folder = _folder[$"copy-{Guid.NewGuid():N}"];
        Directory.CreateDirectory(folder);
        foreach (string file in Directory.EnumerateFiles(_model.Path))
            if (Path.GetFileName(file) is not ("flywheel.json" or "README.md"))
                File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        return folder;
    }

    private static void SameWeights(ModelFolder wanted, ModelFolder got)
    {
        using IWeightFile a = wanted.OpenWeights(), b = got.OpenWeights();
        foreach ((string name,
            long[] shape) in wanted.Config.Tensors()) Assert.Equal(a.ReadFloats(a.Require(name, shape)),
                b.ReadFloats(b.Require(name, shape)));
    }

    /// <summary>As gguf-split does: metadata in the first file, each with split.no and split.count, offsets from each file's own
    /// data.</summary>
    private string[] SplitGguf(int count, bool fourDimensions = false)
    {
        string whole = _folder["whole.gguf"];
        ModelExport.ToGguf(_model, whole, null);
        byte[] bytes = File.ReadAllBytes(whole);
        using FileStream stream = File.OpenRead(whole);
        GgufHeader header = GgufHeader.Read(whole, stream);
        string[] files = [.. Enumerable.Range(1, count).Select(number => _folder[$"set/tiny-{number:00000}-of-{count:00000}.gguf"])];
        Directory.CreateDirectory(_folder["set"]);
        for (int part = 0; part < count; part++)
        {
            var metadata = new GgufMetadata(files[part]);
            if (part == 0)
                foreach ((string key, object value) in header.Metadata) metadata.Add(key, value);
            metadata.Add("split.no", (ushort)part);
            metadata.Add("split.count", (ushort)count);
            metadata.Add("split.tensors.count", header.Tensors.Count);
            GgufWriter.Write(files[part], metadata,
                [.. header.Tensors.Where((_, i) => i % count == part).Select(tensor => (tensor.Name, tensor.Type,
                fourDimensions ? [.. Enumerable.Repeat(1L, 4 - tensor.Dimensions.Length),
                    .. tensor.Dimensions.Reverse()] : tensor.Dimensions.Reverse().ToArray(),
                (Action<Stream>)(output => output.Write(bytes, (int)tensor.Offset, (int)tensor.NumBytes))))]);
        }
        return files;
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(3, false)]
    [InlineData(2, true)]
    public void Import_GgufInSeveralFiles_IsTheModel(int count, bool fourDimensions)
    {
        string[] files = SplitGguf(count, fourDimensions);
        ModelFolder byFile = Import(files[^1]);
        SameWeights(_model, byFile);
        Assert.Equal(byFile.Hash, Import(Path.GetDirectoryName(files[0])!).Hash);
        Assert.Equal(_model.Tokenizer.Encode("The wheel turns"), byFile.Tokenizer.Encode("The wheel turns"));
        Assert.DoesNotContain(GgufFile.Open(Path.Combine(byFile.Path, "model.gguf")).Metadata,
            pair => pair.Key.StartsWith("split.", StringComparison.Ordinal));
    }

    [Fact]
    public void Import_GgufSetThatLacksAFile_NamesIt()
    {
        string[] files = SplitGguf(3);
        File.Move(files[2], files[2] + ".away");
        Assert.Contains("00003-of-00003.gguf: no such file", ImportError(files[0]), StringComparison.Ordinal);
        File.Copy(files[1], files[2]);
        Assert.Contains("split.no is 1, expected 2", ImportError(files[0]), StringComparison.Ordinal);
    }

    [Fact]
    public void Import_BareDecoder_IsTheModel()
    {
        string folder = Copy(), file = Path.Combine(folder, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(file);
        int length = (int)BitConverter.ToInt64(bytes);
        byte[] header =
            Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(bytes, 8, length).Replace("\"model.", "\"", StringComparison.Ordinal));
        Assert.NotEqual(length, header.Length);
        File.WriteAllBytes(file, [.. BitConverter.GetBytes((long)header.Length), .. header, .. bytes[(8 + length)..]]);
        ModelFolder imported = Import(folder);
        SameWeights(_model, imported);
        SameWeights(_model, ModelFolder.Open(folder)); // also without an import
    }

    [Fact]
    public void Import_Named_IsCalledSo()
    {
        string folder = Copy();
        ModelFolder first = Import(folder);
        Assert.Equal(Path.GetFileName(folder), first.Manifest.Name);
        ModelFolder named = Import(folder, "my model");
        Assert.Equal(("my model", first.Hash), (named.Manifest.Name, named.Hash));
        Assert.Contains("# my model", File.ReadAllText(Path.Combine(named.Path, "README.md")), StringComparison.Ordinal);
        foreach (string wrong in new[] { "", " a", "a\nb", new string('a', 97) })
            Assert.Contains("1 to 96 characters", Assert.Throws<FlywheelException>(() => Import(folder, wrong)).Message,
                StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("LICENSE", "                                 Apache License\n                           Version 2.0, January 2004",
        "apache-2.0")]
    [InlineData("Licence.txt", "MIT License\n\nCopyright (c)", "mit")]
    [InlineData("COPYING", "Terms of our own", null)]
    public void Import_FileWithTheTerms_GoesAlongAndIsNamedOnTheCard(string name, string text, string? licence)
    {
        string folder = Copy();
        File.WriteAllText(Path.Combine(folder, name), text);
        File.WriteAllText(Path.Combine(folder, "NOTICE.txt"), "by us");
        ModelFolder model = Import(folder);
        Assert.Equal(licence, model.Manifest.Licence);
        Assert.Equal((text, "by us"), (File.ReadAllText(Path.Combine(model.Path, name)),
            File.ReadAllText(Path.Combine(model.Path, "NOTICE.txt"))));
        string card = File.ReadAllText(Path.Combine(model.Path, "README.md"));
        Assert.Contains($"[{name}]({name})", card, StringComparison.Ordinal);
        Assert.Contains(licence is null ? $"license: other\nlicense_link: {name}\n" : $"license: {licence}\n", card,
            StringComparison.Ordinal);
    }

    private const string Plain =
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";

    [Fact]
    public void Import_TemplateWithoutAnEndToken_IsToldAndNotTrained()
    {
        string folder = Copy();
        File.WriteAllText(Path.Combine(folder, "chat_template.jinja"), Plain);
        ModelFolder model = Import(folder);
        Assert.Null(model.FindChatFault());
        Assert.Contains("no special token, expected one that ends generation (<|im_end|>", model.FindEndFault(), StringComparison.Ordinal);
        Assert.Contains("{{ eos_token }}", model.FindEndFault(), StringComparison.Ordinal);
    }

    /// <summary>A base model whose config names only the end of a text, with ChatML beside it.</summary>
    [Fact]
    public void Import_EndOfATurnThatOnlyTheTemplateNames_EndsGeneration()
    {
        string folder = Copy(), config = Path.Combine(folder, "config.json");
        int text = _model.Tokenizer.SpecialTokens[Tokenizer.EndOfText], turn = _model.Tokenizer.SpecialTokens[Tokenizer.MessageEnd];
        JsonObject fields = JsonNode.Parse(File.ReadAllText(config))!.AsObject();
        fields["eos_token_id"] = text;
        File.WriteAllText(config, fields.ToJsonString());
        File.Delete(Path.Combine(folder, "generation_config.json"));
        Assert.Equal([text], ModelConfig.Load(config).EosTokenIds);
        ModelFolder model = Import(folder);
        Assert.Equal([text, turn], model.Config.EosTokenIds);
        Assert.Null(model.FindEndFault());
    }

    [Theory]
    [InlineData("{% for m in messages %}{{ m.role }", "line 1")]
    [InlineData("{{ messages | frobnicate }}", "the filter 'frobnicate' is not supported")]
    [InlineData("{{ raise_exception('no') }}", "no")]
    public void Import_TemplateThatCannotBeRead_SaysWhyAndContinuesTexts(string template, string expected)
    {
        string folder = Copy();
        File.WriteAllText(Path.Combine(folder, "chat_template.jinja"), template);
        ModelFolder model = Import(folder);
        Assert.Contains(expected, model.FindChatFault(), StringComparison.Ordinal);
        Assert.DoesNotContain(model.Path, model.FindChatFault(), StringComparison.Ordinal);
        Assert.NotEmpty(model.Tokenizer.EncodeWhole("The wheel"));
    }

    /// <summary>A byte that is no UTF-8 in any text file of a model is refused with file and line, and nothing is written.</summary>
    [Theory]
    [InlineData("config.json")]
    [InlineData("tokenizer.json")]
    [InlineData("tokenizer_config.json")]
    [InlineData("generation_config.json")]
    [InlineData("chat_template.jinja")]
    [InlineData("README.md")]
    public void Import_TextThatIsNotUtf8_IsRefusedWithFileAndLine(string name)
    {
        string folder = Copy(), file = Path.Combine(folder, name);
        byte[] bytes = name == "README.md" ? "---\nlicense: mit\n---\nA card.\n"u8.ToArray() : File.ReadAllBytes(file);
        int at = name.EndsWith(".json", StringComparison.Ordinal) ? bytes.AsSpan().LastIndexOf((byte)'"') : bytes.Length / 2,
            line = 1 + bytes.AsSpan(0, at).Count((byte)'\n');
        File.WriteAllBytes(file, [.. bytes[..at], 0xE9, .. bytes[at..]]);
        Assert.Contains($"{file}:{line}: is not UTF-8", ImportError(folder), StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["models"]) && Directory.EnumerateFileSystemEntries(_folder["models"]).Any());
    }

    [Fact]
    public void Import_GgufTextThatIsNotUtf8_IsRefused()
    {
        string file = _folder["a.gguf"];
        ModelExport.ToGguf(_model, file, null);
        byte[] bytes = File.ReadAllBytes(file);
        int at = bytes.AsSpan().IndexOf("<|im_end|>"u8);
        bytes[at + 3] = 0xE9;
        File.WriteAllBytes(file, bytes);
        Assert.Contains("is not UTF-8", ImportError(file), StringComparison.Ordinal);
    }
}
