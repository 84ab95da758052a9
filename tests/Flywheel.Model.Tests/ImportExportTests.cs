using System.Text.Json.Nodes;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public sealed class ImportExportTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Small models of each family, with whatever is particular to it.</summary>
    public static TheoryData<string> Families => ["qwen3", "qwen2", "llama", "mistral", "linear", "llama3", "yarn"];

    private static ModelConfig Config(string family)
    {
        ModelConfig config = ModelFolderTests.TinyConfig with { HiddenSize = 48, IntermediateSize = 64, HeadDim = 12, RopeTheta = 50_000,
            EosTokenIds = [2, 0], BosTokenId = 1 };
        var scaling = new RopeScaling { Type = RopeScalingType.Linear, Factor = 4 };
        return family switch
        {
            "linear" => config with { ModelType = "llama", RopeScaling = scaling },
            "llama3" =>
                config with { ModelType = "llama", MaxPositions = 32_768,
                    RopeScaling = scaling with { Type = RopeScalingType.Llama3, Factor = 8, OriginalMaxPositions = 8192 } },
            "yarn" =>
                config with { MaxPositions = 16_384,
                    RopeScaling = scaling with { Type = RopeScalingType.Yarn, OriginalMaxPositions = 4096, AttentionFactor = 1.25 } },
            _ => config with { ModelType = family, TieEmbeddings = family == "qwen3" },
        };
    }

    private ModelFolder Model(ModelConfig config, TensorType type = TensorType.F32)
    {
        Dictionary<string, float[]> weights = [];
        var random = new Random(5);
        foreach ((string name, long[] shape) in config.Tensors())
            weights[name] =
                [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (product, size) => product * size))
                    .Select(_ => (random.NextSingle() - 0.5f) / 4 + (shape.Length == 1 ? 1 : 0))];
        return ModelFolder.Create(_folder["made"], config, TokenizerTests.Small, type, name => weights[name],
            new ModelManifest { Name = "tiny", Licence = "mit", Created = DateTimeOffset.UnixEpoch });
    }

    private ModelFolder Import(string path) => ModelImport.Import(path, _folder["models"], DateTimeOffset.UnixEpoch);

    private string ImportError(string path) => Assert.Throws<FlywheelException>(() => Import(path)).Message;

    private static void SameWeights(ModelFolder wanted, ModelFolder got, float tolerance = 0)
    {
        using IWeightFile a = wanted.OpenWeights(), b = got.OpenWeights();
        foreach ((string name, long[] shape) in wanted.Config.Tensors())
            foreach ((float one, float other) in a.ReadFloats(a.Require(name, shape))
                .Zip(b.ReadFloats(b.Require(name, shape)))) Assert.Equal(one, other, tolerance);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void ExportToGgufAndBack_EveryFamily_KeepsConfigWeightsAndTokenizer(string family)
    {
        ModelFolder model = Model(Config(family));
        ModelExport.ToGguf(model, _folder["out.gguf"], null);
        ModelFolder back = Import(_folder["out.gguf"]);
        SameWeights(model, back);
        ModelConfig expected = model.Config with { ModelType = family == "mistral" ? "llama" : model.Config.ModelType, EosTokenIds = [] };
        if (expected.RopeScaling is { AttentionFactor: not null } yarn)
            expected = expected with { RopeScaling = yarn with { AttentionFactor = back.Config.RopeScaling!.AttentionFactor } };
        Assert.Equal(expected, back.Config with { EosTokenIds = [] });
        Assert.Equal(RopeFrequencies.Compute(model.Config).AttentionFactor, RopeFrequencies.Compute(back.Config).AttentionFactor, 1e-6f);
        Assert.Equal(RopeFrequencies.Compute(model.Config).Inverse, RopeFrequencies.Compute(back.Config).Inverse);
        Assert.Equal(model.Config.EosTokenIds, back.Config.EosTokenIds);
        const string Text = "one two\n  three 42 naïve 試験 🎡 <|im_end|>";
        Assert.Equal(model.Tokenizer.Encode(Text, allowSpecial: true), back.Tokenizer.Encode(Text, allowSpecial: true));
        Assert.Equal(("tiny", "mit", ChatTemplate.Jinja), (back.Manifest.Name, back.Manifest.Licence, back.ReadChatTemplate()));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void ExportToHuggingFaceAndBack_EveryFamily_IsTheSameModel(string family)
    {
        ModelFolder model = Model(Config(family));
        ModelExport.ToHuggingFace(model, _folder["out"], null, DateTimeOffset.UnixEpoch);
        Assert.Equal(model.Hash, ModelFolder.Open(_folder["out"]).Hash);
        Assert.Equal(model.Hash, Import(_folder["out"]).Hash);
        Assert.Equal(char.ToUpperInvariant(model.Config.ModelType[0]) + model.Config.ModelType[1..] + "ForCausalLM",
            (string?)JsonNode.Parse(File.ReadAllText(Path.Combine(_folder["out"], "config.json")))!["architectures"]![0]);
    }

    [Fact]
    public void ExportToHuggingFace_AsBFloat16_NamesItsParent()
    {
        ModelFolder model = Model(Config("llama"));
        ModelExport.ToHuggingFace(model, _folder["out"], TensorType.BF16, DateTimeOffset.UnixEpoch);
        ModelFolder rounded = ModelFolder.Open(_folder["out"]);
        Assert.Equal(model.Hash, rounded.Manifest.Parent);
        SameWeights(model, rounded, 0.01f);
        Assert.Contains("bfloat16", File.ReadAllText(Path.Combine(_folder["out"], "config.json")));
    }

    [Fact]
    public void ExportAndImport_InShards_HasTheSameHash()
    {
        ModelFolder model = Model(Config("qwen2"));
        ModelExport.ToHuggingFace(model, _folder["shards"], null, DateTimeOffset.UnixEpoch, maxShardBytes: 20_000);
        Assert.True(Directory.GetFiles(_folder["shards"], "model-*.safetensors").Length > 2);
        Assert.Equal(model.Hash, Import(_folder["shards"]).Hash);
        SameWeights(model, ModelFolder.Open(_folder["shards"]));

        string shard = Directory.GetFiles(_folder["shards"], "model-*.safetensors").Order(StringComparer.Ordinal).First();
        File.Move(shard, shard + ".away");
        Assert.Contains(Path.GetFileName(shard), ImportError(_folder["shards"]));
        File.Copy(Directory.GetFiles(_folder["shards"], "model-00002*").Single(), shard);
        Assert.Contains("places", ImportError(_folder["shards"]));
        string index = Path.Combine(_folder["shards"], "model.safetensors.index.json");
        File.WriteAllText(index, File.ReadAllText(index).Replace("model-00001", "../model-00001", StringComparison.Ordinal));
        Assert.Contains("in the same folder", ImportError(_folder["shards"]));
    }

    [Fact]
    public void Import_TensorsThatFollowFromOthers_AreLeftOut()
    {
        ModelFolder model = Model(Config("qwen3"));
        using (IWeightFile weights = model.OpenWeights())
        {
            List<(string, TensorType, long[], Action<Stream>)> tensors =
                [.. weights.Tensors.Values.Select(tensor =>
                    (tensor.Name, tensor.Type, tensor.Shape,
                        (Action<Stream>)(stream => SafetensorsWriter.WriteFloats(stream, weights.ReadFloats(tensor), TensorType.F32))))];
            tensors.Add(("lm_head.weight", TensorType.F32, [model.Config.VocabSize, 48], tensors[0].Item4));
            tensors.Add(("model.layers.0.self_attn.rotary_emb.inv_freq", TensorType.F32, [6], stream => stream.Write(new byte[24])));
            Copy(model, "more");
            SafetensorsWriter.Write(Path.Combine(_folder["more"], "model.safetensors"), tensors);
        }
        Assert.Equal(model.Hash, Import(_folder["more"]).Hash);
    }

    private void Copy(ModelFolder model, string name)
    {
        Directory.CreateDirectory(_folder[name]);
        foreach (string file in Directory.GetFiles(model.Path))
            if (Path.GetFileName(file) != "flywheel.json") File.Copy(file, Path.Combine(_folder[name], Path.GetFileName(file)));
    }

    /// <summary>One field of config.json or one file changed, and what the error must say.</summary>
    public static TheoryData<string, string, string> Refused => new()
    {
        { "model_type", "\"gemma2\"", "model_type 'gemma2' is not supported; supported are qwen3, llama, qwen2 or mistral" },
        { "rope_scaling", """{"rope_type":"longrope","factor":4}""",
            "is of type 'longrope', which is not supported, expected linear, llama3, yarn" },
        { "rope_scaling", """{"type":"linear"}""", "rope_scaling.factor is missing" },
        { "rope_scaling", """{"type":"linear","factor":"4"}""", "rope_scaling.factor is \"4\", expected a number" },
        { "rope_scaling", """{"type":"llama3","factor":8}""", "original_max_position_embeddings" },
        { "rope_scaling", "7", "field 'rope_scaling' is 7, expected an object" },
        { "quantization_config", """{"quant_method":"gptq"}""", "quantization_config \"gptq\" is not supported" },
        { "use_sliding_window", "true", "use_sliding_window true is not supported" },
        { "attention_bias", "true", "attention_bias true is not supported" },
        { "num_hidden_layers", "3", "tensor 'model.layers.2.input_layernorm.weight' is missing" },
        { "num_hidden_layers", "1", "do not belong to a qwen3 model of 1 layers, the first is 'model.layers.1." },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void Import_WhatIsNotSupported_IsRefusedByName(string field, string value, string expected)
    {
        Copy(Model(Config("qwen3")), "bad");
        string path = Path.Combine(_folder["bad"], "config.json");
        JsonObject json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        json[field] = JsonNode.Parse(value);
        File.WriteAllText(path, json.ToJsonString());
        Assert.Contains(expected, ImportError(_folder["bad"]));
        Assert.False(Directory.Exists(_folder["models"]) && Directory.EnumerateFileSystemEntries(_folder["models"]).Any());
    }

    [Fact]
    public void Import_NoModel_SaysWhatWasExpected()
    {
        Assert.Contains("no such file or folder", ImportError(_folder["nowhere"]));
        Directory.CreateDirectory(_folder["empty"]);
        Assert.Contains("has no config.json", ImportError(_folder["empty"]));
        File.WriteAllText(_folder["text.txt"], "hello");
        Assert.Contains("expected a GGUF file", ImportError(_folder["text.txt"]));
        Copy(Model(Config("qwen3")), "pickled");
        File.Move(Path.Combine(_folder["pickled"], "model.safetensors"), Path.Combine(_folder["pickled"], "pytorch_model.bin"));
        Assert.Contains("pickled", ImportError(_folder["pickled"]));
    }

    [Fact]
    public void Import_MistralWithAWindow_HasTextsOfThatLength()
    {
        ModelFolder model = Model(Config("mistral"));
        Copy(model, "window");
        string path = Path.Combine(_folder["window"], "config.json");
        JsonObject json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        json["sliding_window"] = 20;
        File.WriteAllText(path, json.ToJsonString());
        Assert.Equal((20, 32), (Import(_folder["window"]).Config.MaxPositions, Import(model.Path).Config.MaxPositions));
    }

    [Fact]
    public void Import_SourceCard_KeepsItsLicenceAndText()
    {
        Copy(Model(Config("qwen3")), "licensed");
        File.WriteAllText(Path.Combine(_folder["licensed"], "README.md"), "---\nlanguage: en\nlicense: apache-2.0\n---\n# The source\n");
        ModelFolder model = Import(_folder["licensed"]);
        Assert.Equal("apache-2.0", model.Manifest.Licence);
        Assert.Contains("# The source", File.ReadAllText(Path.Combine(model.Path, "README.source.md")));
        Assert.Contains("license: apache-2.0", File.ReadAllText(Path.Combine(model.Path, "README.md")));
    }

    [Fact]
    public void Import_EndsOfGenerationConfig_AreAdded()
    {
        Copy(Model(Config("qwen3") with { EosTokenIds = [2] }), "ends");
        File.WriteAllText(Path.Combine(_folder["ends"], "generation_config.json"), """{"eos_token_id": [0, 2]}""");
        Assert.Equal([2, 0], Import(_folder["ends"]).Config.EosTokenIds);
    }

    /// <summary>SentencePiece: ids from the metadata of a GGUF file and from tokenizer.json, on texts with references.</summary>
    [Theory]
    [InlineData("stories260K", "stories260K-f32.gguf")]
    [InlineData("tiny-qwen3", "tiny-qwen3-f32.gguf")]
    public void Import_SentencePieceFromGguf_GivesTheReferenceIds(string model, string file)
    {
        Tokenizer fromGguf = Import(TestFiles.Shared("models", model, file)).Tokenizer,
            fromJson = Import(TestFiles.Shared("models", model)).Tokenizer;
        foreach (JsonNode? entry in JsonNode.Parse(
            File.ReadAllText(TestFiles.Shared("models", "stories260K", "tokenizer-cases.json")))!["cases"]!.AsArray())
        {
            int[] expected = [.. entry!["ids"]!.AsArray().Skip(1).Select(id => (int)id!)]; // the first is the begin of the text
            Assert.Equal(expected, fromGguf.Encode((string)entry["text"]!));
            Assert.Equal(expected, fromJson.Encode((string)entry["text"]!));
        }
    }

    /// <summary>The oracle: each tensor has the type and the bytes that llama-quantize gives it.</summary>
    [Theory]
    [InlineData("q8_0", "Q8_0")]
    [InlineData("q4_0", "Q4_0")]
    [InlineData("q4_k", "Q4_K_S")]
    [InlineData("q4_k_m", "Q4_K_M")]
    [InlineData("q5_k", "Q5_K_S")]
    [InlineData("q5_k_m", "Q5_K_M")]
    [InlineData("q6_k", "Q6_K")]
    public async Task ExportToGguf_StarterModel_HoldsWhatLlamaQuantizeMakes(string ours, string theirs)
    {
        ModelFolder model = ModelFolder.Open(Path.Combine(TestFiles.Root, "models", "first"));
        ModelExport.ToGguf(model, _folder["f32.gguf"], ExportType.Parse("f32"));
        ModelExport.ToGguf(model, _folder["ours.gguf"], ExportType.Parse(ours));
        await LlamaCpp.RunAsync("llama-quantize", _folder["f32.gguf"], _folder["theirs.gguf"], theirs);
        using GgufFile mine = GgufFile.Open(_folder["ours.gguf"]), other = GgufFile.Open(_folder["theirs.gguf"]);
        Assert.Equal(other.Metadata.Integer("general.file_type"), mine.Metadata.Integer("general.file_type"));
        foreach (TensorInfo tensor in mine.Tensors.Values)
        {
            TensorInfo wanted = other.Require(tensor.Name, tensor.Shape);
            Assert.True(wanted.Type == tensor.Type, $"{tensor.Name} is {tensor.Type}, llama-quantize makes it {wanted.Type}");
            byte[] row = new byte[tensor.RowBytes], wantedRow = new byte[tensor.RowBytes];
            for (long i = 0; i < tensor.NumElements / tensor.NumColumns; i++)
            {
                mine.ReadRow(tensor, i, row);
                other.ReadRow(wanted, i, wantedRow);
                Assert.True(row.AsSpan().SequenceEqual(wantedRow), $"{tensor.Name}, row {i}");
            }
        }
    }

    [Fact]
    public void Export_PathThatIsTaken_LeavesItAlone()
    {
        ModelFolder model = Model(Config("qwen3"));
        File.WriteAllText(_folder["taken"], "mine");
        Assert.Contains("already there", Assert.Throws<FlywheelException>(() => ModelExport.ToGguf(model, _folder["taken"], null)).Message);
        Assert.Contains("already there",
            Assert.Throws<FlywheelException>(() =>
                ModelExport.ToHuggingFace(model, _folder["taken"], null, DateTimeOffset.UnixEpoch)).Message);
        Assert.Equal("mine", File.ReadAllText(_folder["taken"]));
        Assert.Contains("cannot be written",
            Assert.Throws<FlywheelException>(() => ModelExport.ToGguf(model, Path.Combine(_folder["taken"], "x.gguf"), null)).Message);
    }

    [Fact]
    public void Export_WeightNotFinite_WritesNothing()
    {
        ModelFolder model = Model(Config("qwen3"));
        string file = Path.Combine(model.Path, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(file);
        BitConverter.TryWriteBytes(bytes.AsSpan(bytes.Length / 2 & ~3), float.NaN);
        File.WriteAllBytes(file, bytes);
        File.Delete(Path.Combine(model.Path, "flywheel.json"));
        ModelFolder damaged = ModelFolder.Open(model.Path);
        Assert.ThrowsAny<Exception>(() => ModelExport.ToGguf(damaged, _folder["out.gguf"], ExportType.Parse("q8_0")));
        Assert.False(File.Exists(_folder["out.gguf"]));
    }

    [Fact]
    public void ExportAdapterToGguf_Llama_HasItsFactorsInLlamaCppsOrder()
    {
        ModelFolder model = Model(Config("llama"));
        var random = new Random(1);
        float[] Factor(int size) => [.. Enumerable.Range(0, size).Select(_ => random.NextSingle())];
        float[] a = Factor(2 * 48), b = Factor(48 * 2), downA = Factor(2 * 64), downB = Factor(48 * 2);
        AdapterFolder adapter = AdapterFolder.Create(_folder["adapters"],
            new AdapterConfig { Rank = 2, Alpha = 8, RsLora = true, TargetModules = ["q_proj", "down_proj"], Base = model.Hash },
            [("model.layers.1.self_attn.q_proj", a, b), ("model.layers.0.mlp.down_proj", downA, downB)],
            new ModelManifest { Name = "style" });
        ModelExport.ToGgufAdapter(adapter, model.Config, _folder["adapter.gguf"]);
        using FileStream stream = File.OpenRead(_folder["adapter.gguf"]);
        GgufHeader header = GgufHeader.Read("adapter.gguf", stream);
        Assert.Equal(("adapter", "lora", "llama"),
            (header.Metadata.Text("general.type"), header.Metadata.Text("adapter.type"), header.Metadata.Text("general.architecture")));
        Assert.Equal(8 * MathF.Sqrt(2), header.Metadata.Number("adapter.lora.alpha")!.Value, 1e-5f);
        Assert.Equal(["blk.0.ffn_down.weight.lora_a", "blk.0.ffn_down.weight.lora_b", "blk.1.attn_q.weight.lora_a",
            "blk.1.attn_q.weight.lora_b"], header.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        Assert.Equal(a, Read("blk.1.attn_q.weight.lora_a", 48, 2));
        Assert.Equal(downB, Read("blk.0.ffn_down.weight.lora_b", 2, 48));
        float[] rows = Read("blk.1.attn_q.weight.lora_b", 2, 48);
        for (int row = 0; row < 48; row++)
            Assert.Equal(b[(row * 2)..(row * 2 + 2)],
                rows[((int)GgufFile.Interleave(row, 12) * 2)..((int)GgufFile.Interleave(row, 12) * 2 + 2)]);

        float[] Read(string name, params long[] dimensions)
        {
            GgufTensor tensor = header.Tensors.Single(tensor => tensor.Name == name);
            Assert.Equal(dimensions, tensor.Dimensions);
            byte[] bytes = new byte[tensor.NumBytes];
            stream.Position = tensor.Offset;
            stream.ReadExactly(bytes);
            float[] values = new float[bytes.Length / 4];
            Quantization.Dequantize(TensorType.F32, bytes, values);
            return values;
        }
    }

    /// <summary>The oracle: llama-export-lora merges our GGUF adapter into our GGUF base as we merge the adapter itself.</summary>
    [Theory]
    [InlineData("llama")]
    [InlineData("qwen3")]
    public async Task ExportAdapterToGguf_MergedByLlamaCpp_GivesOurMergedWeights(string family)
    {
        ModelFolder model = Model(Config(family));
        var random = new Random(2);
        float[] Factor(int size) => [.. Enumerable.Range(0, size).Select(_ => (random.NextSingle() - 0.5f) / 2)];
        List<(string, float[], float[])> factors = [];
        foreach ((string name, long[] shape) in model.Config.Tensors())
            if (name.EndsWith("_proj.weight", StringComparison.Ordinal))
                factors.Add((name[..^".weight".Length], Factor(2 * (int)shape[1]), Factor((int)shape[0] * 2)));
        AdapterFolder adapter = AdapterFolder.Create(_folder["adapters"],
            new AdapterConfig { Rank = 2, Alpha = 3, TargetModules = AdapterConfig.Modules, Base = model.Hash }, factors,
            new ModelManifest { Name = "style" });
        ModelExport.ToGguf(model, _folder["base.gguf"], ExportType.Parse("f32"));
        ModelExport.ToGgufAdapter(adapter, model.Config, _folder["adapter.gguf"]);
        await LlamaCpp.RunAsync("llama-export-lora", "-m", _folder["base.gguf"], "--lora", _folder["adapter.gguf"], "-o",
            _folder["merged.gguf"]);
        using GgufFile merged = GgufFile.Open(_folder["merged.gguf"]);
        using IWeightFile ours = adapter.Merge(model, _folder["ours"], TensorType.F32).OpenWeights();
        foreach ((string name, long[] shape) in model.Config.Tensors())
            // it writes fp16
            foreach ((float wanted, float got) in ours.ReadFloats(ours.Require(name, shape))
                .Zip(merged.ReadFloats(merged.Require(name, shape)))) Assert.Equal(wanted, got, 1e-3f);
    }

    [Fact]
    public void Interleave_EveryRow_IsUndone()
    {
        for (int row = 0; row < 96; row++) Assert.Equal(row, GgufFile.Deinterleave(GgufFile.Interleave(row, 12), 12));
    }
}
