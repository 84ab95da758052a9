namespace Flywheel.Model;

/// <summary>Models and adapters in the layouts of other tools. Whole or not at all; nothing that is there is overwritten.</summary>
public static class ModelExport
{
    /// <summary>A GGUF file that llama.cpp loads.</summary>
    /// <param name="model">What to write.</param>
    /// <param name="path">The file to write.</param>
    /// <param name="type">Which types its tensors get; null keeps those that they have.</param>
    /// <exception cref="FlywheelException">The path is taken or cannot be written, or something in the model cannot be said in
    /// GGUF.</exception>
    public static void ToGguf(ModelFolder model, string path, ExportType? type) => Writing(path, () => GgufExport.Write(path, model, type));

    /// <summary>A folder that Hugging Face transformers loads; also one of our model folders.</summary>
    /// <param name="model">What to write.</param>
    /// <param name="path">The folder to write.</param>
    /// <param name="type">F32, F16 or BF16; null keeps plain types, and takes F16 where they are blocks.</param>
    /// <param name="created">The time that the manifest records when the content differs from the model's.</param>
    /// <param name="maxShardBytes">Larger models are cut into files of at most this size.</param>
    /// <exception cref="FlywheelException">The path is taken or cannot be written.</exception>
    public static void ToHuggingFace(ModelFolder model, string path, TensorType? type, DateTimeOffset created,
        long maxShardBytes = SafetensorsWriter.MaxShardBytes) => Writing(path, () =>
    {
        using IWeightFile weights = model.OpenWeights();
        TensorType Target(TensorInfo tensor) => type ?? (tensor.Type.IsQuantized() ? TensorType.F16 : tensor.Type);
        ModelConfig config = model.Config;
        TensorInfo embedding = weights.Tensors["model.embed_tokens.weight"];
        bool same = weights.Tensors.Values.All(tensor => Target(tensor) == tensor.Type);
        ModelManifest manifest = same ? model.Manifest : (model.Manifest with { Source = null, Created = created }).MadeFrom(model);
        ModelFolder.Assemble(Path.GetDirectoryName(Path.GetFullPath(path))!, config, Target(embedding),
            target => AtomicFile.Copy(Path.Combine(model.Path, "tokenizer.json"), target), folder =>
        {
            SafetensorsWriter.WriteModel(folder,
                [.. config.Tensors().Select(tensor => (tensor.Name, Target(weights.Tensors[tensor.Name]), tensor.Shape,
                (Action<Stream>)(stream =>
                    GgufExport.WriteTensor(weights, weights.Tensors[tensor.Name], Target(weights.Tensors[tensor.Name]), 0, stream))))],
                    maxShardBytes);
            ModelCompanions.Copy(model.Path, folder);
            ModelCompanions.Complete(folder, config, ModelCompanions.ReadTokenNames(folder), null);
            ModelCompanions.RepeatTemplate(folder);
        }, manifest, Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))));
    });

    /// <summary>An adapter in PEFT's layout: its folder as it is.</summary>
    /// <exception cref="FlywheelException">The path is taken or cannot be written.</exception>
    public static void ToPeft(AdapterFolder adapter, string path) => Writing(path, () => AtomicFile.WriteFolder(path, folder =>
    {
        foreach (string file in Directory.EnumerateFiles(adapter.Path)) AtomicFile.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
    }));

    /// <summary>A GGUF adapter for llama.cpp's <c>--lora</c> (ggml-org/llama.cpp, convert_lora_to_gguf.py).</summary>
    /// <param name="adapter">What to write.</param>
    /// <param name="config">The base model's: names and row order follow from it.</param>
    /// <param name="path">The file to write.</param>
    /// <exception cref="FlywheelException">The adapter is for another shape of model, or the path is taken or cannot be
    /// written.</exception>
    public static void ToGgufAdapter(AdapterFolder adapter, ModelConfig config, string path) => Writing(path, () =>
    {
        adapter.CheckFits(config, "the base model");
        var metadata = new GgufMetadata(path)
        {
            { "general.architecture", GgufConfig.Architecture(config) },
            { "general.type", "adapter" },
            { "general.name", adapter.Manifest.Name },
            { "general.file_type", 0u },
            { "adapter.type", "lora" },
            { "adapter.lora.alpha", adapter.Config.Scale * adapter.Config.Rank }, // llama.cpp divides by the rank again
        };
        bool interleaved = GgufConfig.Architecture(config) == "llama";
        List<(string, TensorType, long[], Action<Stream>)> tensors = [];
        foreach (string module in adapter.Modules)
        {
            int rank = adapter.Config.Rank;
            if (!adapter.TryRead(module, out float[]? a, out float[]? b))
                throw new InvalidOperationException($"the adapter lists '{module}' and lacks it");
            if (interleaved && (module.EndsWith("q_proj", StringComparison.Ordinal) || module.EndsWith("k_proj", StringComparison.Ordinal)))
            {
                float[] rows = new float[b.Length];
                for (int row = 0; row < b.Length / rank; row++)
                    b.AsSpan((int)GgufFile.Deinterleave(row, config.HeadDim) * rank, rank).CopyTo(rows.AsSpan(row * rank));
                b = rows;
            }
            string name = GgufNames.ToGguf(module + ".weight");
            tensors.Add((name + ".lora_a", TensorType.F32, [rank, a.Length / rank],
                stream => SafetensorsWriter.WriteFloats(stream, a, TensorType.F32)));
            tensors.Add((name + ".lora_b", TensorType.F32, [b.Length / rank, rank],
                stream => SafetensorsWriter.WriteFloats(stream, b, TensorType.F32)));
        }
        GgufWriter.Write(path, metadata, tensors);
    });

    private static void Writing(string path, Action write)
    {
        if (Path.Exists(path)) throw new FlywheelException($"{path}: is already there; name another with --output");
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FlywheelException($"{path}: cannot be written: {e.Message}", e);
        }
    }
}
