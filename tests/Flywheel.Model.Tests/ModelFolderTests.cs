using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public sealed class ModelFolderTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    internal static ModelConfig TinyConfig { get; } = new()
    {
        HiddenSize = 8, IntermediateSize = 12, NumLayers = 2, NumHeads = 4, NumKvHeads = 2, HeadDim = 6,
        VocabSize = TokenizerTests.Small.VocabSize, MaxPositions = 32, EosTokenIds = [2, 0],
    };

    private static float[] Values(string name)
    {
        long size = TinyConfig.Tensors().First(tensor => tensor.Name == name).Shape.Aggregate(1L, (product, length) => product * length);
        var random = new Random(name.Length);
        return [.. Enumerable.Range(0, (int)size).Select(_ => random.NextSingle() - 0.5f)];
    }

    private ModelFolder Create(TensorType dtype = TensorType.F32, Func<string, float[]>? read = null, string name = "tiny") =>
        ModelFolder.Create(_folder.Path, TinyConfig, TokenizerTests.Small, dtype, read ?? Values,
            new ModelManifest { Name = name, Parent = "abc", Created = DateTimeOffset.UnixEpoch,
                Evaluation = new Dictionary<string, double> { ["loss"] = 1.5 } });

    /// <summary>Changes a file of a folder and forgets the recorded hash, so that the change itself must be noticed.</summary>
    private static string Damage(ModelFolder model, string file, Action<string> change)
    {
        File.Delete(Path.Combine(model.Path, "flywheel.json"));
        change(Path.Combine(model.Path, file));
        return Assert.Throws<FlywheelException>(() => ModelFolder.Open(model.Path).Tokenizer.VocabSize).Message;
    }

    private static void EditJson(string path, Action<JsonObject> edit)
    {
        JsonObject json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        edit(json);
        File.WriteAllText(path, json.ToJsonString());
    }

    [Fact]
    public void Create_Float32_OpensWithTheSameContent()
    {
        ModelFolder created = Create();
        ModelFolder model = ModelFolder.Open(created.Path);
        Assert.Equal(created.Hash, model.Hash);
        Assert.Equal(model.ShortHash, Path.GetFileName(model.Path));
        Assert.Equal(TinyConfig with { EosTokenIds = [] }, model.Config with { EosTokenIds = [] });
        Assert.Equal(TinyConfig.EosTokenIds, model.Config.EosTokenIds);
        Assert.Equal(TokenizerTests.Small.Hash, model.Tokenizer.Hash);
        Assert.Equal(("tiny", "abc", 1.5, TinyConfig.NumParameters),
            (model.Manifest.Name, model.Manifest.Parent, model.Manifest.Evaluation["loss"], model.Manifest.NumParameters));
        using IWeightFile weights = model.OpenWeights();
        Assert.Equal(TinyConfig.NumParameters, weights.Tensors.Values.Sum(tensor => tensor.NumElements));
        foreach (TensorInfo tensor in weights.Tensors.Values) Assert.Equal(Values(tensor.Name), weights.ReadFloats(tensor));
    }

    [Fact]
    public void Create_LeavesWhatTransformersReads()
    {
        string path = Create().Path;
        Assert.Equal(
            ["README.md", "chat_template.jinja", "config.json", "flywheel.json", "generation_config.json", "model.safetensors",
                "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"],
            Directory.GetFiles(path).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
        foreach (string file in Directory.GetFiles(path, "*.json")) JsonDocument.Parse(File.ReadAllText(file)).Dispose();
    }

    [Fact]
    public void Create_SameContentTwice_IsOneFolder()
    {
        Assert.Equal(Create().Path, Create(name: "another name").Path);
        Assert.Single(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void Create_OtherWeights_HasAnotherHash() =>
        Assert.NotEqual(Create().Hash,
            Create(read: name => name == "model.norm.weight" ? [.. Values(name).Select(value => value + 1)] : Values(name)).Hash);

    /// <summary>How a model is prompted is part of what it is; ChatML, which every model of ours has, adds nothing.</summary>
    [Fact]
    public void Hash_ChatTemplateOrATokenThatItNames_IsPartOfIt()
    {
        string path = Create().Path;
        string Hash(string? template, string bos)
        {
            File.Delete(Path.Combine(path, "flywheel.json"));
            EditJson(Path.Combine(path, "tokenizer_config.json"), json => json["bos_token"] = bos);
            if (template is null) File.Delete(Path.Combine(path, "chat_template.jinja"));
            else File.WriteAllText(Path.Combine(path, "chat_template.jinja"), template);
            return ModelFolder.Open(path).Hash;
        }
        const string Own = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}";
        string plain = Hash(ChatTemplate.Jinja, "<s>"), own = Hash(Own, "<s>");
        Assert.Equal(plain, Hash(null, "<s>"));
        Assert.Equal(plain, Hash(ChatTemplate.Jinja, "<begin>"));
        Assert.Equal(own, Hash(Own, "<s>"));
        Assert.Equal(4, new[] { plain, own, Hash(Own, "<begin>"), Hash(Own + " ", "<s>") }.Distinct().Count());
        EditJson(Path.Combine(path, "tokenizer_config.json"), json => json["chat_template"] = Own);
        Assert.Equal(own, Hash(null, "<s>"));
    }

    [Fact]
    public void Create_FromAnotherModel_KeepsItsChatTemplateAndWhatGoesAlong()
    {
        ModelFolder origin = Create();
        foreach ((string file, string text) in new[] { ("chat_template.jinja", "{{ messages }}"),
            ("generation_config.json", """{"temperature": 0.5}"""), ("LICENSE.txt", "terms"),
            ("regression.jsonl", "") }) File.WriteAllText(Path.Combine(origin.Path, file), text);
        ModelFolder made = ModelFolder.Create(_folder["made"], TinyConfig, TokenizerTests.Small, TensorType.F32,
            name => [.. Values(name).Select(value => 2 * value)], new ModelManifest { Name = "made" }, origin);
        Assert.Equal("{{ messages }}", made.ReadChatTemplate());
        foreach (string file in new[] { "generation_config.json", "LICENSE.txt" })
            Assert.Equal(File.ReadAllText(Path.Combine(origin.Path, file)), File.ReadAllText(Path.Combine(made.Path, file)));
        Assert.False(File.Exists(Path.Combine(made.Path, "regression.jsonl")));
    }

    [Fact]
    public void Create_BFloat16_KeepsTheNearestValues()
    {
        using IWeightFile weights = Create(TensorType.BF16).OpenWeights();
        foreach (TensorInfo tensor in weights.Tensors.Values)
            foreach ((float wanted, float got) in Values(tensor.Name)
                .Zip(weights.ReadFloats(tensor))) Assert.Equal(wanted, got, MathF.Abs(wanted) / 256);
    }

    [Fact]
    public void Create_WeightNotFinite_WritesNothing()
    {
        string message =
            Assert.Throws<FlywheelException>(() =>
                Create(read: name => name == "model.norm.weight" ? [1, 2, 3, float.NaN, 5, 6, 7, 8] : Values(name))).Message;
        Assert.Contains("model.norm.weight", message);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("model.safetensors")]
    [InlineData("tokenizer.json")]
    public void Open_FileMissing_NamesIt(string file) => Assert.Contains(file, Damage(Create(), file, File.Delete));

    [Fact]
    public void Open_NoFolder_NamesIt() =>
    Assert.Contains("nowhere", Assert.Throws<FlywheelException>(() => ModelFolder.Open(_folder["nowhere"])).Message);

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    [InlineData(3000)]
    public void Open_WeightsTruncated_SaysSo(int keep) => Assert.Contains("model.safetensors", Damage(Create(), "model.safetensors", path =>
    {
        using FileStream stream = File.OpenWrite(path);
        stream.SetLength(keep);
    }));

    [Theory]
    [InlineData("hidden_size", "\"8\"")]
    [InlineData("hidden_size", "8.5")]
    [InlineData("hidden_size", "0")]
    [InlineData("hidden_size", "99999999999")]
    [InlineData("num_hidden_layers", "1000000000")]
    [InlineData("num_key_value_heads", "3")]
    [InlineData("head_dim", "5")]
    [InlineData("head_dim", "null")]
    [InlineData("model_type", "\"bert\"")]
    [InlineData("model_type", "5")]
    [InlineData("rms_norm_eps", "\"small\"")]
    [InlineData("rms_norm_eps", "-1")]
    [InlineData("rope_theta", "0")]
    [InlineData("rope_scaling", "{\"type\": \"yarn\"}")]
    [InlineData("tie_word_embeddings", "1")]
    [InlineData("eos_token_id", "[2, null]")]
    [InlineData("eos_token_id", "\"x\"")]
    [InlineData("eos_token_id", "1e9")]
    [InlineData("eos_token_id", "330")]
    [InlineData("bos_token_id", "[1]")]
    [InlineData("hidden_act", "\"gelu\"")]
    [InlineData("attention_bias", "true")]
    public void Open_ConfigFieldWrong_NamesIt(string field, string value)
    {
        string message = Damage(Create(), "config.json", path => EditJson(path, json => json[field] = JsonNode.Parse(value)));
        Assert.Contains(field == "head_dim" && value == "null" ? "self_attn.q_proj" : field == "num_hidden_layers"
            ? "model.layers.2" : field, message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{\"hidden_size\": 1, \"hidden_size\": 2}")]
    public void Open_ConfigNoJsonObject_NamesTheFile(string text) =>
    Assert.Contains("config.json", Damage(Create(), "config.json", path => File.WriteAllText(path, text)));

    [Fact]
    public void Open_TensorOfWrongShape_NamesItAndBothShapes()
    {
        string message = Damage(Create(), "config.json", path => EditJson(path, json => json["intermediate_size"] = 13));
        Assert.Contains("model.layers.0.mlp.gate_proj.weight", message);
        Assert.Contains("[12, 8]", message);
        Assert.Contains("[13, 8]", message);
    }

    [Fact]
    public void Open_TensorMissing_NamesIt() =>
        Assert.Contains("lm_head.weight",
            Damage(Create(), "config.json", path => EditJson(path, json => json["tie_word_embeddings"] = false)));

    [Fact]
    public void Open_TensorTooMany_NamesIt() =>
        Assert.Contains("model.layers.1.", Damage(Create(), "config.json", path => EditJson(path, json => json["num_hidden_layers"] = 1)));

    [Fact]
    public void Open_TensorOfIntegers_NamesItsType() => Assert.Contains("I32", Damage(Create(), "model.safetensors", path =>
        SafetensorsWriter.Write(path,
            [.. TinyConfig.Tensors()
                .Select(tensor => (tensor.Name, TensorType.I32, tensor.Shape,
                    (Action<Stream>)(stream => stream.Write(new byte[Values(tensor.Name).Length * 4]))))])));

    [Fact]
    public void Open_VocabularyLargerThanModel_SaysBothSizes()
    {
        string words = string.Join(' ', Enumerable.Range(0, 100).Select(i => $"{(char)('a' + i % 26)}{(char)('a' + i / 26)}{i}"));
        Tokenizer larger = Tokenizer.Train([words, words], 360);
        Assert.True(larger.VocabSize > TinyConfig.VocabSize);
        string message = Damage(Create(), "tokenizer.json", larger.Save);
        Assert.Contains($"{larger.VocabSize}", message);
        Assert.Contains("vocab_size is 330", message);
    }

    [Fact]
    public void Open_ContentChangedSinceCreated_IsRefused()
    {
        ModelFolder model = Create();
        string weights = Path.Combine(model.Path, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        bytes[^1] ^= 1;
        File.WriteAllBytes(weights, bytes);
        Assert.Contains("changed or damaged", Assert.Throws<FlywheelException>(() => ModelFolder.Open(model.Path)).Message);
    }

    [Fact]
    public void Open_SharedQwen3_HasConfigWeightsAndTokenizer()
    {
        ModelFolder model = ModelFolder.Open(TestFiles.Shared("models", "tiny-qwen3"));
        Assert.Equal(467_808, model.Config.NumParameters);
        Assert.Equal("tiny-qwen3", model.Manifest.Name);
        Assert.Equal([2], model.Config.EosTokenIds);
        using IWeightFile weights = model.OpenWeights();
        Assert.Equal(467_808, weights.Tensors.Values.Sum(tensor => tensor.NumElements));
        Assert.Equal(512, model.Tokenizer.VocabSize);
    }

    [Fact]
    public void Open_TokenizerOfAnotherKind_IsRefusedOnlyOnUse()
    {
        ModelFolder model = Create();
        File.Delete(Path.Combine(model.Path, "flywheel.json"));
        EditJson(Path.Combine(model.Path, "tokenizer.json"), json => json["model"]!["type"] = "Unigram");
        model = ModelFolder.Open(model.Path);
        Assert.Equal(TinyConfig.NumParameters, model.Config.NumParameters);
        Assert.Contains("model.type is \"Unigram\", expected 'BPE'", Assert.Throws<FlywheelException>(() => model.Tokenizer).Message);
    }

    [Fact]
    public void Open_SharedLlama_HasConfigAndWeights() =>
        Assert.Equal(260_032, ModelFolder.Open(TestFiles.Shared("models", "stories260K")).Config.NumParameters);

    [Fact]
    public void Folder_ConversationThroughItsTokenizerAndADataset_ComesBack()
    {
        ModelFolder model = ModelFolder.Open(Create(TensorType.BF16).Path);
        Conversation conversation = new Brief("Lamp", Brief.Tagline, ["It is bright.", "灯塔 <|im_end|>"], ["Utility"]).ToConversation();
        conversation = new([.. conversation.Messages, Message.Assistant("Light up the night 😀")]);
        (int[] tokens, byte[] targets) = new ChatTemplate(model.Tokenizer).Document(conversation);
        using var writer = new TokenDatasetWriter(_folder["datasets"],
            new DatasetManifest { TokenizerHash = model.Tokenizer.Hash, VocabSize = model.Config.VocabSize });
        writer.Add(tokens, targets);
        using TokenDataset dataset = TokenDataset.Open(writer.Complete());
        long[] ids = new long[dataset.Length(0)];
        byte[] marks = new byte[ids.Length];
        dataset.ReadTokens(0, 0, ids);
        dataset.ReadTargets(0, 0, marks);
        Assert.Equal("user\n" + conversation.Messages[0].Text + "\nassistant\nLight up the night 😀\n",
            model.Tokenizer.Decode([.. ids.Select(id => (int)id)]));
        Assert.Equal("Light up the night 😀", model.Tokenizer.Decode([.. ids.Where((_, i) => marks[i] == 1).Select(id => (int)id)]));
    }
}
