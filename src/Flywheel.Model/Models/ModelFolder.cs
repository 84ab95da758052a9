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

    /// <summary>What it was imported from: the name of a folder or file, or <c>hf:owner/name@revision</c>.</summary>
    public string? Source { get; init; }

    /// <summary>Of a model that was made from an imported one, however many steps back: that one's source.</summary>
    public string? Origin { get; init; }

    /// <summary>Hash of the adapter that was merged into its parent.</summary>
    public string? Adapter { get; init; }

    /// <summary>Licence of the weights: as the recipe says, else as the model that they come from states it.</summary>
    public string? Licence { get; init; }

    /// <summary>Licence of the model that it was made from, which what is made from it stays under.</summary>
    public string? BaseLicence { get; init; }

    /// <summary>What the model is for, as its makers say it.</summary>
    public string? IntendedUse { get; init; }

    /// <summary>Ids that are set aside for what is not text, by <see cref="ReservedTokens.Groups"/>' names; null where there are
    /// none.</summary>
    public IReadOnlyDictionary<string, TokenRange>? Ranges { get; init; }

    /// <summary>Tasks that it, or a model that it was made from, was trained for; null where it is not known.</summary>
    public IReadOnlyList<string>? Tasks { get; init; }

    /// <summary>
    /// Words that people's copy taught it, or a model that it was made from, beside those of the task's list: its drafts may say them (see
    /// Flywheel.Loop's DraftWords); null where there are none.
    /// </summary>
    public IReadOnlyList<string>? Words { get; init; }

    /// <summary>Figures such as validation loss.</summary>
    public IReadOnlyDictionary<string, double> Evaluation { get; init; } = new Dictionary<string, double>();

    /// <exception cref="FlywheelException">The file is no manifest.</exception>
    internal static ModelManifest Read(string path)
    {
        try
        {
            ModelManifest manifest = JsonSerializer.Deserialize<ModelManifest>(Utf8File.ReadText(path), JsonText.Compact)
                ?? throw new FlywheelException($"{path}: is null, expected an object");
            return manifest.Hash is { Length: 64 } && manifest.Name is not null && manifest.Evaluation is not null ? manifest
                : throw new FlywheelException($"{path}: hash is '{manifest.Hash}', expected 64 digits, beside it a name and an evaluation");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the second: half a surrogate pair
        {
            throw new FlywheelException($"{path}: {e.Message}", e);
        }
    }

    /// <summary>This manifest as one of something made from a model, whose origin and terms go along.</summary>
    public ModelManifest MadeFrom(ModelFolder model) => this with
    {
        Parent = model.Hash,
        Origin = model.Manifest.Source ?? model.Manifest.Origin,
        Licence = Licence ?? model.Manifest.Licence,
        BaseLicence = model.Manifest.BaseLicence ?? model.Manifest.Licence,
        Tasks = Tasks is null ? model.Manifest.Tasks : [.. Tasks.Union(model.Manifest.Tasks ?? [])],
        Words = Words is null ? model.Manifest.Words : [.. Words.Union(model.Manifest.Words ?? [])],
    };
}

/// <summary>
/// A model on disk in Hugging Face's layout: config.json, model.safetensors (or a sharded set with its index, or
/// model.gguf with the same tensors in ggml's blocks), tokenizer.json, tokenizer_config.json, generation_config.json,
/// chat_template.jinja, and our flywheel.json. Named by the hash of weights, config, tokenizer and chat template.
/// </summary>
public sealed class ModelFolder
{
    private const string ConfigFile = "config.json", WeightsFile = "model.safetensors", IndexFile = "model.safetensors.index.json",
        GgufWeightsFile = "model.gguf", TokenizerFile = "tokenizer.json", ManifestFile = "flywheel.json";

    private readonly Lazy<Tokenizer> _tokenizer;
    private readonly Lazy<ChatTemplate> _chatTemplate;

    private ModelFolder(string path, string hash, ModelConfig config, ModelManifest manifest, byte[] tokenizer)
    {
        Path = path;
        Hash = hash;
        Config = config;
        Manifest = manifest;
        _tokenizer = new Lazy<Tokenizer>(() => ParseTokenizer(tokenizer));
        _chatTemplate = new Lazy<ChatTemplate>(() => ChatTemplate.Open(path, Tokenizer));
    }

    public string Path { get; }

    /// <summary>SHA-256 over the content, lower-case hex; the first 12 digits are the short name.</summary>
    public string Hash { get; }

    public string ShortHash => Hash[..12];

    public ModelConfig Config { get; }

    /// <summary>Parsed on first use, so that a model with a foreign tokenizer still runs on token ids.</summary>
    /// <exception cref="FlywheelException">tokenizer.json is malformed or of another kind.</exception>
    public Tokenizer Tokenizer => _tokenizer.Value;

    /// <summary>Parsed on first use, so that a model that only continues text still runs.</summary>
    /// <exception cref="FlywheelException">The folder has no chat template, or a malformed one.</exception>
    public ChatTemplate ChatTemplate => _chatTemplate.Value;

    /// <summary>Why the model cannot be talked to: it has no chat template, or none that can be read. Null when it can.</summary>
    public string? FindChatFault()
    {
        try
        {
            ChatTemplate.Check();
            return null;
        }
        catch (FlywheelException e)
        {
            return e.Message.Replace(Path + ": ", "", StringComparison.Ordinal);
        }
    }

    /// <summary>
    /// Why answers must not be learnt in the form of the chat template: they do not end with a token that ends generation, so a model
    /// would learn to go on for ever. Null when they do.
    /// </summary>
    /// <exception cref="FlywheelException">There is no template, or it renders no answer.</exception>
    public string? FindEndFault()
    {
        int? end = ChatTemplate.FindTurnEnd();
        if (end is { } id && Config.EosTokenIds.Contains(id)) return null;
        Dictionary<int, string> names = Tokenizer.SpecialTokens.ToDictionary(token => token.Value, token => token.Key);
        string ends = string.Join(", ", Config.EosTokenIds.Select(known => names.GetValueOrDefault(known, $"{known}")));
        return $"the chat template ends an answer with {(end is { } other ? names[other] : "no special token")}, expected one that ends generation ({ends}): what is trained in this form would never stop. "
            + "Put {{ eos_token }} behind an assistant's content in chat_template.jinja of the folder that the model came from, and import it again";
    }

    public ModelManifest Manifest { get; }

    /// <exception cref="FlywheelException">
    /// A file is missing or malformed, a tensor is missing, unknown, of the wrong shape or type, or the content is not
    /// what flywheel.json says that it was.
    /// </exception>
    public static ModelFolder Open(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        if (!Directory.Exists(path)) throw new FlywheelException($"{path}: no such folder; expected a model folder");
        byte[] configBytes = ReadFile(ConfigFile), tokenizer = ReadFile(TokenizerFile);
        ModelConfig config = ModelConfig.Parse(Utf8File.Decode(configBytes, System.IO.Path.Combine(path, ConfigFile)),
            System.IO.Path.Combine(path, ConfigFile));
        string weights = FindWeights(path);
        using (IWeightFile file = OpenWeightFile(weights)) CheckTensors(file, file.Tensors, config);
        string hash = ContentHash(configBytes, tokenizer, weights);
        return new ModelFolder(path, hash, config, ReadManifest(path, hash, config), tokenizer);

        byte[] ReadFile(string name)
        {
            string file = System.IO.Path.Combine(path, name);
            return File.Exists(file)
                ? File.ReadAllBytes(file) : throw new FlywheelException(
                    $"{file}: no such file; expected a model folder with {ConfigFile}, {WeightsFile} and {TokenizerFile}");
        }
    }

    /// <summary>Opens the weights; the caller disposes. Every tensor has been checked against the config.</summary>
    public IWeightFile OpenWeights()
    {
        IWeightFile weights = OpenWeightFile(FindWeights(Path));
        try
        {
            CheckTensors(weights, weights.Tensors, Config); // again: the file may have changed since
            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>Opens the weights of a folder whose content is not checked; the caller disposes.</summary>
    /// <exception cref="FlywheelException">There are none, or a header is malformed.</exception>
    public static IWeightFile OpenWeightsOf(string path) => OpenWeightFile(FindWeights(path));

    /// <summary>
    /// Writes a model under <paramref name="parent"/>, in a folder named by its short hash, whole or not at all. If it is
    /// already there, that one is returned.
    /// </summary>
    /// <param name="parent">Folder of models.</param>
    /// <param name="config">Has room for every id of the tokenizer.</param>
    /// <param name="tokenizer">Its vocabulary belongs to the embedding's rows.</param>
    /// <param name="dtype">F32 or BF16.</param>
    /// <param name="readTensor">fp32 values of a tensor by Hugging Face name, in the order of <see cref="ModelConfig.Tensors"/>.</param>
    /// <param name="manifest">Origin and figures; hash and parameter count are filled in.</param>
    /// <param name="origin">The model that this one was made from: its chat template and all that goes along with it stay.</param>
    /// <param name="codec">File of the codec that made its pictures tokens; null keeps the origin's.</param>
    /// <exception cref="FlywheelException">A weight is not finite, the tokenizer does not fit, or the disk is full.</exception>
    public static ModelFolder Create(string parent, ModelConfig config, Tokenizer tokenizer, TensorType dtype,
        Func<string, float[]> readTensor, ModelManifest manifest, ModelFolder? origin = null, string? codec = null)
    {
        CheckVocabulary("tokenizer", tokenizer, config);
        if (ReservedTokens.Ranges(tokenizer) is { Count: > 0 } ranges) manifest = manifest with { Ranges = ranges };
        return Assemble(parent, config, dtype, tokenizer.Save, folder =>
        {
            if (origin is not null) ModelCompanions.Copy(origin.Path, folder);
            if (codec is not null) AtomicFile.Copy(codec, System.IO.Path.Combine(folder, PictureCodec.File));
            SafetensorsWriter.WriteModel(folder,
                [.. config.Tensors().Select(tensor => (tensor.Name, dtype, tensor.Shape, WriteTensor(tensor.Name, tensor.Shape)))]);
            var special = new Dictionary<string, string>();
            if (tokenizer.SpecialTokens.ContainsKey(Tokenizer.MessageEnd)) special["eos_token"] = Tokenizer.MessageEnd;
            if (tokenizer.SpecialTokens.ContainsKey(Tokenizer.EndOfText)) special["pad_token"] = Tokenizer.EndOfText;
            ModelCompanions.Complete(folder, config, special,
                tokenizer.SpecialTokens.ContainsKey(Tokenizer.MessageStart) ? ChatTemplate.Jinja : null);
        }, manifest);

        Action<Stream> WriteTensor(string name, long[] shape) => stream =>
        {
            float[] values = readTensor(name);
            long expected = shape.Aggregate(1L, (product, size) => product * size);
            if (values.Length != expected)
                throw new ArgumentException(
                    $"tensor '{name}' has {values.Length} values, its shape [{string.Join(", ", shape)}] needs {expected}",
                    nameof(readTensor));
            if (!Array.TrueForAll(values, float.IsFinite))
                throw new FlywheelException(
                    $"tensor '{name}' has a value that is not finite: the training has diverged, no model is written");
            SafetensorsWriter.WriteFloats(stream, values, dtype);
        };
    }

    /// <summary>Puts a folder together from its parts, whole or not at all, and names it by its content.</summary>
    /// <param name="parent">Folder of models; or with <paramref name="name"/> of anything.</param>
    /// <param name="config">Written as config.json.</param>
    /// <param name="dtype">What config.json says that most weights are.</param>
    /// <param name="saveTokenizer">Writes tokenizer.json to a path.</param>
    /// <param name="fill">Writes the weights and all other files into a folder.</param>
    /// <param name="manifest">Origin and figures; hash and parameter count are filled in.</param>
    /// <param name="name">Name of the folder; its short hash when null.</param>
    internal static ModelFolder Assemble(string parent, ModelConfig config, TensorType dtype, Action<string> saveTokenizer,
        Action<string> fill, ModelManifest manifest, string? name = null)
    {
        config.Validate("model config");
        return Open(AtomicFile.WriteNamedFolder(parent, folder =>
        {
            string File(string file) => System.IO.Path.Combine(folder, file);
            config.Save(File(ConfigFile), dtype switch { TensorType.F32 => "float32", TensorType.F16 => "float16", _ => "bfloat16" });
            saveTokenizer(File(TokenizerFile));
            fill(folder);
            string hash = ContentHash(System.IO.File.ReadAllBytes(File(ConfigFile)), System.IO.File.ReadAllBytes(File(TokenizerFile)),
                FindWeights(folder));
            ModelManifest complete = manifest with { Hash = hash, NumParameters = config.NumParameters };
            AtomicFile.WriteText(File(ManifestFile), JsonSerializer.Serialize(complete, JsonText.Indented) + "\n");
            if (!System.IO.File.Exists(File(ModelCard.File)))
                AtomicFile.WriteText(File(ModelCard.File),
                    ModelCard.Render(complete, config, ModelCompanions.ReadTemplate(folder) is not null, LicenceFile.Find(folder)));
            return name ?? hash[..12];
        }));
    }

    /// <summary>The same weights with another tokenizer, of the same ids.</summary>
    /// <param name="parent">Folder of models.</param>
    /// <param name="tokenizer">Gives no id that the model has no row for.</param>
    /// <param name="name">Of the model that is made.</param>
    /// <param name="created">Now.</param>
    /// <exception cref="FlywheelException">The tokenizer does not fit, or weights are in blocks.</exception>
    public ModelFolder WithTokenizer(string parent, Tokenizer tokenizer, string name, DateTimeOffset created)
    {
        using IWeightFile weights = OpenWeights();
        TensorType[] types = [.. weights.Tensors.Values.Select(tensor => tensor.Type).Distinct()];
        if (types is not [TensorType.F32 or TensorType.BF16])
            throw new FlywheelException($"{Path}: weights are {string.Join(", ", types)}, expected all F32 or all BF16");
        Dictionary<string, long[]> shapes = Config.Tensors().ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        return Create(parent, Config, tokenizer, types[0], tensor => weights.ReadFloats(weights.Require(tensor, shapes[tensor])),
            (Manifest with { Name = name, Created = created, Source = null }).MadeFrom(this), this);
    }

    /// <summary>The same model under another name.</summary>
    internal ModelFolder Rename(string name)
    {
        if (Manifest.Name == name) return this;
        ModelManifest renamed = Manifest with { Name = name };
        AtomicFile.WriteText(System.IO.Path.Combine(Path, ManifestFile), JsonSerializer.Serialize(renamed, JsonText.Indented) + "\n");
        AtomicFile.WriteText(System.IO.Path.Combine(Path, ModelCard.File),
            ModelCard.Render(renamed, Config, ReadChatTemplate() is not null, LicenceFile.Find(Path)));
        return Open(Path);
    }

    /// <summary>How its makers want it sampled: generation_config.json; empty when there is none.</summary>
    /// <exception cref="FlywheelException">It is no JSON object.</exception>
    public JsonObject ReadGenerationConfig() => ModelCompanions.ReadObject(System.IO.Path.Combine(Path, ModelCompanions.GenerationFile));

    /// <summary>The Jinja template that the model came with; null when it has none.</summary>
    public string? ReadChatTemplate() => ModelCompanions.ReadTemplate(Path);

    /// <summary>The file of a folder's weights, or the index of a sharded set.</summary>
    internal static string FindWeights(string folder)
    {
        string[] found =
            [.. new[] { WeightsFile, IndexFile, GgufWeightsFile }.Select(name => System.IO.Path.Combine(folder, name)).Where(File.Exists)];
        return found.Length switch
        {
            1 => found[0],
            0 => throw new FlywheelException($"{folder}: has no weights, expected {WeightsFile}, {IndexFile} or {GgufWeightsFile}"),
            _ => throw new FlywheelException(
                $"{folder}: has weights twice, {System.IO.Path.GetFileName(found[0])} and {System.IO.Path.GetFileName(found[1])}; expected one of them"),
        };
    }

    internal static IWeightFile OpenWeightFile(string path) =>
        path.EndsWith(".gguf", StringComparison.Ordinal) ? GgufFile.Open(path) : SafetensorsFile.Open(path).WithWholeNames();

    /// <summary>Refuses weights that are not exactly those of a config; <paramref name="tensors"/> are those of the file that
    /// count.</summary>
    internal static void CheckTensors(IWeightFile weights, IReadOnlyDictionary<string, TensorInfo> tensors, ModelConfig config)
    {
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach ((string name, long[] shape) in config.Tensors())
        {
            TensorInfo tensor = weights.Require(name, shape);
            if (!tensor.Type.IsReal())
                throw new FlywheelException(
                    $"{weights.Path}: tensor '{name}' is {tensor.Type}, expected real numbers (F32, F16, BF16 or one of ggml's blocks)");
            known.Add(name);
        }
        string[] unknown = [.. tensors.Keys.Where(name => !known.Contains(name)).Order(StringComparer.Ordinal)];
        if (unknown.Length > 0)
            throw new FlywheelException(
                $"{weights.Path}: {unknown.Length} tensors do not belong to a {config.ModelType} model of {config.NumLayers} layers, the first is '{unknown[0]}'");
    }

    private Tokenizer ParseTokenizer(byte[] json)
    {
        string path = System.IO.Path.Combine(Path, TokenizerFile);
        Tokenizer tokenizer = Tokenizer.Parse(json, path);
        CheckVocabulary(path, tokenizer, Config);
        return tokenizer;
    }

    private static void CheckVocabulary(string source, Tokenizer tokenizer, ModelConfig config)
    {
        if (tokenizer.VocabSize > config.VocabSize)
            throw new FlywheelException(
                $"{source}: the tokenizer has {tokenizer.VocabSize} ids, the model's vocab_size is {config.VocabSize}");
    }

    private static string ContentHash(byte[] config, byte[] tokenizer, string weights)
    {
        string? template = ModelCompanions.TemplateIdentity(System.IO.Path.GetDirectoryName(weights)!);
        string[] files = System.IO.Path.GetFileName(weights) == IndexFile ? [weights, .. SafetensorsFile.ShardFiles(weights)] : [weights];
        string parts = $"config {Hash(config)}\ntokenizer {Hash(tokenizer)}\n"
            + string.Concat(files.Select(file => $"weights {HashFile(file)}\n")) + (template is null ? "" : $"template {template}\n")
            + (System.IO.Path.Combine(System.IO.Path.GetDirectoryName(weights)!, PictureCodec.File) is var codec && File.Exists(codec)
                ? $"codec {HashFile(codec)}\n" : "");
        return Hash(Encoding.UTF8.GetBytes(parts));

        static string Hash(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

        static string HashFile(string path)
        {
            using FileStream stream = File.OpenRead(path);
            return Convert.ToHexStringLower(SHA256.HashData(stream));
        }
    }

    /// <summary>A model from elsewhere has no flywheel.json; it is called by its folder's name.</summary>
    private static ModelManifest ReadManifest(string path, string hash, ModelConfig config)
    {
        string file = System.IO.Path.Combine(path, ManifestFile);
        if (!File.Exists(file))
            return new ModelManifest { Hash = hash, Name = System.IO.Path.GetFileName(path), NumParameters = config.NumParameters };
        ModelManifest manifest = ModelManifest.Read(file);
        return manifest.Hash == hash
            ? manifest : throw new FlywheelException(
                $"{path}: the content has hash {hash}, but {ManifestFile} says {manifest.Hash}; a file was changed or damaged");
    }
}
