using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>
/// Open weights become one of our models: a Hugging Face folder's tensors are copied as they are (in one order, so that the
/// same weights get the same hash however they were sharded), a GGUF file is kept with its blocks. Copies stream: memory
/// does not grow with the model.
/// </summary>
public static class ModelImport
{
    /// <param name="path">A Hugging Face model folder, or a GGUF file.</param>
    /// <param name="models">Folder of models that gets the new one.</param>
    /// <param name="created">The time that the manifest records.</param>
    /// <param name="source">What the manifest names as its origin; the last part of the path when null, for the rest is nobody else's
    /// business.</param>
    /// <param name="name">What the model is called; as it calls itself when null.</param>
    /// <exception cref="FlywheelException">A file is missing or malformed, or the architecture, a tensor or the tokenizer is not supported;
    /// nothing is written.</exception>
    public static ModelFolder Import(string path, string models, DateTimeOffset created, string? source = null, string? name = null)
    {
        const int MaxName = 96;
        if (name is not null && (name.Length is 0 or > MaxName || name != name.Trim() || name.Any(char.IsControl)))
            throw new FlywheelException(
                $"the name is '{name}', expected 1 to {MaxName} characters on one line, without blanks at its ends");
        ModelFolder model = Import(path, models, created, source);
        return name is null ? model : model.Rename(name);
    }

    /// <summary>The same from wherever a person says: what is on a hub is fetched first, through the home's cache.</summary>
    /// <param name="from">A Hugging Face model folder, a GGUF file, or <c>hf:owner/name</c> with @revision or :file.gguf.</param>
    /// <param name="home">Gets the model.</param>
    /// <param name="created">The time that the manifest records.</param>
    /// <param name="name">What the model is called; as it calls itself when null.</param>
    /// <param name="progress">Told how far each file is that is fetched.</param>
    /// <param name="cancellation">Ends the fetching; what has come is gone on with the next time.</param>
    /// <exception cref="FlywheelException">As for <see cref="Import(string, string, DateTimeOffset, string?, string?)"/>, or the hub does
    /// not give it.</exception>
    public static async Task<ModelFolder> BringAsync(
        string from, FlywheelHome home, DateTimeOffset created, string? name, IProgress<HubProgress> progress,
        CancellationToken cancellation)
    {
        if (!HubReference.IsOne(from)) return await Task.Run(() => Import(from, home.Models, created, source: null, name), cancellation);
        using var client = new HubClient();
        (string path, string source) = await client.FetchAsync(HubReference.Parse(from), Path.Combine(home.Cache, "hub"), progress,
            cancellation);
        ModelFolder model = await Task.Run(() => Import(path, home.Models, created, source, name), cancellation);
        // the model has it all
        Directory.Delete(Path.GetDirectoryName(File.Exists(path) ? Path.GetDirectoryName(path) : path)!, recursive: true);
        return model;
    }

    private static ModelFolder Import(string path, string models, DateTimeOffset created, string? source)
    {
        path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        var manifest = new ModelManifest { Source = source ?? Path.GetFileName(path), Created = created };
        if (Directory.Exists(path))
        {
            string[] gguf = Directory.GetFiles(path, "*.gguf");
            if (File.Exists(Path.Combine(path, "config.json"))) return ImportFolder(path, models, manifest);
            return gguf.Select(file => GgufSet.NameOf(file)).Distinct().Count() == 1 ? ImportGguf(gguf[0], models, manifest)
                : throw new FlywheelException(
                    $"{path}: has no config.json{(gguf.Length > 1 ? $" and {gguf.Length} GGUF files; name one of them" : "; expected a Hugging Face model folder or a GGUF file")}");
        }
        if (!File.Exists(path))
            throw new FlywheelException(
                $"{path}: no such file or folder; expected a Hugging Face model folder, a GGUF file, or hf:owner/name");
        return path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? ImportGguf(path, models, manifest)
            : throw new FlywheelException($"{path}: expected a GGUF file (its name ends in .gguf) or a Hugging Face model folder");
    }

    private static ModelFolder ImportFolder(string path, string models, ModelManifest manifest)
    {
        ModelConfig config = ModelConfig.Load(Path.Combine(path, "config.json"));
        config = config
            with { EosTokenIds = [.. config.EosTokenIds.Union(ModelCompanions.ReadEnds(path)).Where(id => id < config.VocabSize)] };
        string tokenizer = Path.Combine(path, "tokenizer.json");
        if (!File.Exists(tokenizer))
            throw new FlywheelException(
                $"{tokenizer}: no such file; expected a tokenizer in Hugging Face's format{(File.Exists(Path.Combine(path, "tokenizer.model")) ? " (tokenizer.model alone is not enough: load and save the model once with transformers)" : "")}");
        if (!Directory.EnumerateFiles(path, "model*.*").Any() && Directory.EnumerateFiles(path, "pytorch_model*.bin").Any())
            throw new FlywheelException(
                $"{path}: its weights are pickled (pytorch_model.bin), which is not read because it can run code; expected model.safetensors");
        Tokenizer loaded = Tokenizer.Load(tokenizer);
        CheckTokenizer(loaded, tokenizer, config);
        ModelCompanions.Check(path);
        config = WithTurnEnd(config, () => ChatTemplate.Open(path, loaded));

        using IWeightFile weights = ModelFolder.OpenWeightFile(ModelFolder.FindWeights(path));
        Dictionary<string, TensorInfo> known = weights.Tensors.Where(tensor => !IsDerived(tensor.Key, config)).ToDictionary();
        ModelFolder.CheckTensors(weights, known, config);
        string card = Path.Combine(path, ModelCard.File);
        manifest = manifest with { Name = Path.GetFileName(path),
            Licence = (File.Exists(card) ? ModelCard.ReadLicence(Utf8File.ReadText(card)) : null) is { } stated and not "other"
                ? stated : LicenceFile.Identify(path) };
        if (File.Exists(Path.Combine(path, "flywheel.json")) && ModelFolder.Open(path).Manifest is var ours)
            manifest = ours with { Source = manifest.Source, Licence = manifest.Licence ?? ours.Licence };
        return ModelFolder.Assemble(models, config, known["model.embed_tokens.weight"].Type, target => AtomicFile.Copy(tokenizer, target),
            folder =>
        {
            if (weights is GgufFile) AtomicFile.Copy(weights.Path, Path.Combine(folder, "model.gguf"));
            else SafetensorsWriter.WriteModel(folder,
                [.. config.Tensors()
                    .Select(tensor => (tensor.Name, known[tensor.Name].Type, tensor.Shape,
                        (Action<Stream>)(stream => Copy(weights, known[tensor.Name], stream))))]);
            ModelCompanions.Copy(path, folder);
            if (File.Exists(card) && !File.Exists(Path.Combine(path, "flywheel.json")))
                AtomicFile.Copy(card, Path.Combine(folder, ModelCompanions.SourceCard));
        }, manifest);
    }

    private static ModelFolder ImportGguf(string path, string models, ModelManifest manifest)
    {
        using GgufFile file = GgufFile.Open(path);
        ModelConfig config = file.ReadConfig();
        ModelFolder.CheckTensors(file, file.Tensors, config);
        byte[] tokenizer = GgufTokenizer.Read(file.Metadata);
        Tokenizer loaded = Tokenizer.Parse(tokenizer, path);
        CheckTokenizer(loaded, path, config);
        if (file.Metadata.Text("tokenizer.chat_template") is { } template)
            config = WithTurnEnd(config,
                () => new ChatTemplate(loaded, template,
                    new([.. GgufTokenizer.SpecialTokens(file.Metadata)
                        .Select(token => KeyValuePair.Create(token.Key, (JsonNode?)token.Value))])));
        IReadOnlyList<string> files = GgufSet.FilesOf(path);
        string folder = Path.GetDirectoryName(path)!;
        manifest = manifest with
        {
            Name = file.Metadata.Text("general.name") is { Length: > 0 } name
                ? name : Path.GetFileNameWithoutExtension(GgufSet.NameOf(path)),
            Licence = file.Metadata.Text("general.license") is { Length: > 0 } stated and not "other"
                ? stated : LicenceFile.Identify(folder),
        };
        return ModelFolder.Assemble(models, config, file.Tensors["model.embed_tokens.weight"].Type,
            target => File.WriteAllBytes(target, tokenizer), made =>
        {
            string weights = Path.Combine(made, "model.gguf");
            if (file.Metadata.Contains("split.count")) GgufSet.Join(files, weights);
            else AtomicFile.Copy(path, weights);
            LicenceFile.Copy(folder, made);
            ModelCompanions.Complete(made, config, GgufTokenizer.SpecialTokens(file.Metadata),
                file.Metadata.Text("tokenizer.chat_template"));
        }, manifest);
    }

    /// <summary>
    /// The token with which the chat template ends an answer ends generation, also where only the template says so: base models bring
    /// ChatML, and name none but the end of a text.
    /// </summary>
    private static ModelConfig WithTurnEnd(ModelConfig config, Func<ChatTemplate> open)
    {
        try
        {
            return open().FindTurnEnd() is { } end && !config.EosTokenIds.Contains(end)
                ? config with { EosTokenIds = [.. config.EosTokenIds, end] } : config;
        }
        catch (FlywheelException)
        {
            return config; // a model that only continues texts; whoever wants to talk to it is told
        }
    }

    /// <summary>Tensors that some checkpoints carry and that follow from the others.</summary>
    private static bool IsDerived(string tensor, ModelConfig config) =>
        tensor.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal) || (config.TieEmbeddings && tensor == "lm_head.weight");

    private static void Copy(IWeightFile weights, TensorInfo tensor, Stream stream)
    {
        byte[] row = new byte[tensor.RowBytes];
        long rows = tensor.NumElements / tensor.NumColumns;
        for (long i = 0; i < rows; i++)
        {
            weights.ReadRow(tensor, i, row);
            stream.Write(row);
        }
    }

    private static void CheckTokenizer(Tokenizer tokenizer, string source, ModelConfig config)
    {
        if (tokenizer.VocabSize > config.VocabSize)
            throw new FlywheelException(
                $"{source}: the tokenizer has {tokenizer.VocabSize} ids, the model's vocab_size is {config.VocabSize}");
    }
}
