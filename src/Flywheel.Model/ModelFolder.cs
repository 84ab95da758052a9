using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>Where a model came from and how good it is; <c>flywheel.json</c> in its folder. Not part of its hash.</summary>
public sealed record ModelManifest
{
    public string Hash { get; init; } = "";

    public string Name { get; init; } = "";

    /// <summary>Hash of the model that it was trained from.</summary>
    public string? Parent { get; init; }

    public string? Run { get; init; }

    /// <summary>Hash of the tokenised dataset.</summary>
    public string? Dataset { get; init; }

    public DateTimeOffset Created { get; init; }

    public long NumParameters { get; init; }

    /// <summary>Figures such as validation loss.</summary>
    public IReadOnlyDictionary<string, double> Evaluation { get; init; } = new Dictionary<string, double>();
}

/// <summary>
/// A model on disk in Hugging Face's layout: config.json, model.safetensors, tokenizer.json, tokenizer_config.json,
/// generation_config.json, chat_template.jinja, and our flywheel.json. Named by the hash of weights, config and tokenizer.
/// </summary>
public sealed class ModelFolder
{
    private const string ConfigFile = "config.json", WeightsFile = "model.safetensors", TokenizerFile = "tokenizer.json", ManifestFile = "flywheel.json";

    private readonly Lazy<Tokenizer> _tokenizer;

    private ModelFolder(string path, ModelConfig config)
    {
        Path = path;
        Config = config;
        Hash = HashOf(path);
        _tokenizer = new Lazy<Tokenizer>(() => Tokenizer.Load(System.IO.Path.Combine(path, TokenizerFile)));
        string manifest = System.IO.Path.Combine(path, ManifestFile);
        Manifest = File.Exists(manifest) ? ReadManifest(manifest) : new ModelManifest { Name = System.IO.Path.GetFileName(path), NumParameters = config.NumParameters };
        Manifest = Manifest with { Hash = Hash };
    }

    public string Path { get; }

    /// <summary>SHA-256 over the content, lower-case hex; the first 12 digits are the short name.</summary>
    public string Hash { get; }

    public string ShortHash => Hash[..12];

    public ModelConfig Config { get; }

    /// <summary>Read on first use, so that a model can be run on ids alone.</summary>
    public Tokenizer Tokenizer => _tokenizer.Value;

    public ModelManifest Manifest { get; }

    /// <exception cref="FlywheelException">A file is missing or malformed, or a tensor is missing or of the wrong shape.</exception>
    public static ModelFolder Open(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        if (!Directory.Exists(path)) throw new FlywheelException($"{path}: no such folder; expected a model folder");
        foreach (string name in new[] { ConfigFile, WeightsFile, TokenizerFile })
            if (!File.Exists(System.IO.Path.Combine(path, name))) throw new FlywheelException($"{path}: {name} is missing; a model folder holds {ConfigFile}, {WeightsFile} and {TokenizerFile}");
        ModelConfig config = ModelConfig.Load(System.IO.Path.Combine(path, ConfigFile));
        OpenWeights(path, config).Dispose();
        return new ModelFolder(path, config);
    }

    /// <summary>Opens the weights; the caller disposes. Every tensor has been checked against the config.</summary>
    public SafetensorsFile OpenWeights() => OpenWeights(Path, Config);

    /// <summary>
    /// Writes a model under <paramref name="parent"/>, in a folder named by its short hash, whole or not at all.
    /// </summary>
    /// <param name="parent">Folder of models.</param>
    /// <param name="config">Shape; its vocabulary may be larger than the tokenizer's, not smaller.</param>
    /// <param name="tokenizer">Saved with the model.</param>
    /// <param name="dtype">F32 or BF16.</param>
    /// <param name="readTensor">fp32 values of a tensor by Hugging Face name, in the order of <see cref="ModelConfig.Tensors"/>.</param>
    /// <param name="manifest">Origin; hash and size are filled in.</param>
    public static ModelFolder Create(string parent, ModelConfig config, Tokenizer tokenizer, DType dtype, Func<string, float[]> readTensor, ModelManifest manifest)
    {
        config.Validate("config.json");
        if (tokenizer.VocabSize > config.VocabSize) throw new FlywheelException($"the tokenizer has {tokenizer.VocabSize} ids, the model's vocabulary only {config.VocabSize}");
        Directory.CreateDirectory(parent);
        string temporary = System.IO.Path.Combine(parent, $"writing-{Guid.NewGuid():N}.tmp");
        Directory.CreateDirectory(temporary);
        try
        {
            config.Save(System.IO.Path.Combine(temporary, ConfigFile), dtype == DType.BF16 ? "bfloat16" : "float32");
            tokenizer.Save(System.IO.Path.Combine(temporary, TokenizerFile));
            SafetensorsWriter.Write(System.IO.Path.Combine(temporary, WeightsFile),
                [.. config.Tensors().Select(tensor => (tensor.Name, dtype, tensor.Shape, (Action<Stream>)(stream => SafetensorsWriter.WriteFloats(stream, readTensor(tensor.Name), dtype))))],
                new Dictionary<string, string> { ["format"] = "pt" });
            WriteCompanions(temporary, config, tokenizer);
            manifest = manifest with { Hash = HashOf(temporary), NumParameters = config.NumParameters };
            AtomicFile.WriteText(System.IO.Path.Combine(temporary, ManifestFile), JsonSerializer.Serialize(manifest, JsonText.Indented) + "\n");
            string path = System.IO.Path.Combine(parent, manifest.Hash[..12]);
            if (!Directory.Exists(path)) Directory.Move(temporary, path); // else: the same content is already there
            return Open(path);
        }
        finally
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        }
    }

    /// <summary>The files that other programs ask for beside config, weights and tokenizer.</summary>
    private static void WriteCompanions(string path, ModelConfig config, Tokenizer tokenizer)
    {
        string? TextOf(int? id) => tokenizer.SpecialTokens.FirstOrDefault(pair => pair.Value == id).Key;
        string? end = config.EosTokenIds.Count > 0 ? TextOf(config.EosTokenIds[0]) : null;
        Write("tokenizer_config.json", new JsonObject
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["add_bos_token"] = false,
            ["bos_token"] = TextOf(config.BosTokenId),
            ["eos_token"] = end,
            ["pad_token"] = TextOf(tokenizer.SpecialTokens.GetValueOrDefault(Tokenizer.EndOfText)),
            ["clean_up_tokenization_spaces"] = false,
            ["model_max_length"] = config.MaxPositions,
            ["chat_template"] = ChatTemplate.Jinja,
        });
        Write("special_tokens_map.json", new JsonObject { ["eos_token"] = end, ["additional_special_tokens"] = new JsonArray([.. tokenizer.SpecialTokens.OrderBy(pair => pair.Value).Select(pair => JsonValue.Create(pair.Key))]) });
        Write("generation_config.json", new JsonObject
        {
            ["eos_token_id"] = new JsonArray([.. config.EosTokenIds.Select(id => JsonValue.Create(id))]),
            ["do_sample"] = true,
            ["temperature"] = 0.8,
            ["top_p"] = 0.95,
        });
        AtomicFile.WriteText(System.IO.Path.Combine(path, "chat_template.jinja"), ChatTemplate.Jinja);

        void Write(string name, JsonObject json) => AtomicFile.WriteText(System.IO.Path.Combine(path, name), json.ToJsonString(JsonText.Indented) + "\n");
    }

    private static SafetensorsFile OpenWeights(string path, ModelConfig config)
    {
        SafetensorsFile weights = SafetensorsFile.Open(System.IO.Path.Combine(path, WeightsFile));
        try
        {
            var expected = new HashSet<string>(StringComparer.Ordinal);
            foreach ((string name, long[] shape) in config.Tensors())
            {
                TensorInfo tensor = weights.Require(name, shape);
                if (tensor.DType is not (DType.F32 or DType.F16 or DType.BF16)) throw new FlywheelException($"{weights.Path}: tensor '{name}' is {tensor.DType}, expected F32, F16 or BF16");
                expected.Add(name);
            }
            // A tied output matrix may be stored twice; anything else unknown means that we would run a different model.
            string? unknown = weights.Tensors.Keys.FirstOrDefault(name => !expected.Contains(name) && name != "lm_head.weight");
            if (unknown is not null) throw new FlywheelException($"{weights.Path}: tensor '{unknown}' is not part of a {config.ModelType} model");
            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>One hash over the hashes of config, tokenizer and weights, by name.</summary>
    private static string HashOf(string path)
    {
        var lines = new StringBuilder();
        foreach (string name in new[] { ConfigFile, TokenizerFile, WeightsFile })
        {
            using FileStream stream = File.OpenRead(System.IO.Path.Combine(path, name));
            lines.Append(name).Append(' ').Append(Convert.ToHexStringLower(SHA256.HashData(stream))).Append('\n');
        }
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(lines.ToString())));
    }

    private static ModelManifest ReadManifest(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<ModelManifest>(File.ReadAllText(path), JsonText.Compact) ?? throw new FlywheelException($"{path}: is null, expected a manifest");
        }
        catch (JsonException e)
        {
            throw new FlywheelException($"{path}: not a manifest: {e.Message}", e);
        }
    }
}
