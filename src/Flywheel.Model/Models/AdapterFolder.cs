// A [r, in], B [out, r], W [out, in].
using System.Diagnostics.CodeAnalysis;
using System.Numerics.Tensors;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Flywheel.Model;

/// <summary>
/// A low-rank adapter on disk in PEFT's layout: adapter_config.json, adapter_model.safetensors with a pair of tensors
/// <c>base_model.model.MODULE.lora_A.weight</c> and <c>lora_B</c> for every adapted matrix, and our flywheel.json with its
/// origin. Named by the hash of config and weights.
/// </summary>
public sealed class AdapterFolder
{
    private const string ConfigFile = "adapter_config.json", WeightsFile = "adapter_model.safetensors", ManifestFile = "flywheel.json",
        Prefix = "base_model.model.";

    private AdapterFolder(string path, string hash, AdapterConfig config, ModelManifest manifest, IReadOnlyList<string> modules) =>
        (Path, Hash, Config, Manifest, Modules) = (path, hash, config, manifest, modules);

    public string Path { get; }

    /// <summary>SHA-256 over the content, lower-case hex; the first 12 digits are the short name.</summary>
    public string Hash { get; }

    public string ShortHash => Hash[..12];

    public AdapterConfig Config { get; }

    /// <summary>Its parent is the base that it was trained on.</summary>
    public ModelManifest Manifest { get; }

    /// <summary>Every adapted matrix, such as <c>model.layers.3.self_attn.q_proj</c>.</summary>
    public IReadOnlyList<string> Modules { get; }

    /// <summary>Whether a folder holds an adapter and not a model.</summary>
    public static bool IsAdapter(string path) => File.Exists(System.IO.Path.Combine(path, ConfigFile));

    /// <exception cref="FlywheelException">A file is missing or malformed, a tensor is unknown, alone or of the wrong shape, or the content
    /// is not what flywheel.json says.</exception>
    public static AdapterFolder Open(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        string configFile = System.IO.Path.Combine(path, ConfigFile), weightsFile = System.IO.Path.Combine(path, WeightsFile);
        if (!File.Exists(configFile))
            throw new FlywheelException($"{configFile}: no such file; expected an adapter folder with {ConfigFile} and {WeightsFile}");
        AdapterConfig config = AdapterConfig.Parse(Utf8File.ReadText(configFile), configFile);
        string[] modules;
        using (SafetensorsFile weights = SafetensorsFile.Open(weightsFile)) modules = CheckTensors(weights, config);
        string hash = ContentHash(path);
        string manifestFile = System.IO.Path.Combine(path, ManifestFile);
        var manifest = new ModelManifest { Hash = hash, Name = System.IO.Path.GetFileName(path), Parent = config.BaseHash };
        if (File.Exists(manifestFile))
        {
            manifest = ModelManifest.Read(manifestFile);
            if (manifest.Hash != hash)
                throw new FlywheelException(
                    $"{path}: the content has hash {hash}, but {ManifestFile} says {manifest.Hash}; a file was changed or damaged");
        }
        return new AdapterFolder(path, hash, config, manifest, modules);
    }

    /// <summary>Writes an adapter under <paramref name="parent"/>, in a folder named by its short hash, whole or not at all.</summary>
    /// <param name="parent">Folder of models.</param>
    /// <param name="config">Rank, scale, targets and base.</param>
    /// <param name="factors">Module and its A [r, in] and B [out, r]; the order does not matter.</param>
    /// <param name="manifest">Origin and figures; hash and parameter count are filled in.</param>
    /// <exception cref="FlywheelException">A value is not finite, or the disk is full.</exception>
    public static AdapterFolder Create(string parent, AdapterConfig config, IEnumerable<(string Module, float[] A, float[] B)> factors,
        ModelManifest manifest)
    {
        config.Validate("adapter config");
        List<(string Name, TensorType Type, long[] Shape, Action<Stream> Write)> tensors = [];
        long numParameters = 0;
        foreach ((string module, float[] a, float[] b) in factors.OrderBy(factor => factor.Module, StringComparer.Ordinal))
        {
            foreach ((string kind, float[] values, long[] shape) in new[] { ("A", a, new long[] { config.Rank, a.Length / config.Rank }),
                ("B", b, [b.Length / config.Rank, config.Rank]) })
            {
                if (shape[0] * shape[1] != values.Length)
                    throw new ArgumentException($"{module}: {kind} has {values.Length} values, no multiple of rank {config.Rank}",
                        nameof(factors));
                if (!Array.TrueForAll(values, float.IsFinite))
                    throw new FlywheelException(
                        $"{module}: lora_{kind} has a value that is not finite: the training has diverged, no adapter is written");
                tensors.Add(($"{Prefix}{module}.lora_{kind}.weight", TensorType.F32, shape,
                    stream => SafetensorsWriter.WriteFloats(stream, values, TensorType.F32)));
                numParameters += values.Length;
            }
        }
        return Open(AtomicFile.WriteNamedFolder(parent, folder =>
        {
            AtomicFile.WriteText(System.IO.Path.Combine(folder, ConfigFile), config.ToJson());
            SafetensorsWriter.Write(System.IO.Path.Combine(folder, WeightsFile), tensors,
                new Dictionary<string, string> { ["format"] = "pt" });
            string hash = ContentHash(folder);
            ModelManifest complete = manifest with { Hash = hash, NumParameters = numParameters };
            AtomicFile.WriteText(System.IO.Path.Combine(folder, ManifestFile),
                JsonSerializer.Serialize(complete, JsonText.Indented) + "\n");
            AtomicFile.WriteText(System.IO.Path.Combine(folder, ModelCard.File), ModelCard.Render(complete, config));
            return hash[..12];
        }));
    }

    /// <summary>The factors of one matrix; false when it is not adapted.</summary>
    /// <param name="module">Such as <c>model.layers.3.self_attn.q_proj</c>.</param>
    /// <param name="a">[r, in].</param>
    /// <param name="b">[out, r].</param>
    public bool TryRead(string module, [NotNullWhen(true)] out float[]? a, [NotNullWhen(true)] out float[]? b)
    {
        (a, b) = (null, null);
        if (!Modules.Contains(module)) return false;
        using SafetensorsFile weights = SafetensorsFile.Open(System.IO.Path.Combine(Path, WeightsFile));
        (a, b) = (weights.ReadFloats(weights.Tensors[$"{Prefix}{module}.lora_A.weight"]),
            weights.ReadFloats(weights.Tensors[$"{Prefix}{module}.lora_B.weight"]));
        return true;
    }

    /// <summary>Refuses an adapter whose matrices are not those of a model.</summary>
    /// <exception cref="FlywheelException">The base is another model, or a matrix is missing or of another shape.</exception>
    public void CheckFits(ModelFolder model)
    {
        if (Config.BaseHash is { } hash && hash != model.Hash)
            throw new FlywheelException($"{Path}: made for the model {hash[..12]}, not for {model.ShortHash} ({model.Path})");
        CheckFits(model.Config, model.Path);
    }

    /// <summary>The same by shape alone.</summary>
    /// <param name="config">The model's.</param>
    /// <param name="source">Names the model in errors.</param>
    public void CheckFits(ModelConfig config, string source)
    {
        Dictionary<string, long[]> shapes = config.Tensors().ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        using SafetensorsFile weights = SafetensorsFile.Open(System.IO.Path.Combine(Path, WeightsFile));
        foreach (string module in Modules)
        {
            if (!shapes.TryGetValue(module + ".weight", out long[]? shape))
                throw new FlywheelException($"{Path}: adapts '{module}', which {source} does not have");
            weights.Require($"{Prefix}{module}.lora_A.weight", Config.Rank, shape[1]);
            weights.Require($"{Prefix}{module}.lora_B.weight", shape[0], Config.Rank);
        }
    }

    /// <summary>W += Scale B A, where the tensor is adapted.</summary>
    /// <param name="tensor">Name of a weight, such as <c>model.layers.3.self_attn.q_proj.weight</c>.</param>
    /// <param name="weights">[out, in].</param>
    public void AddTo(string tensor, Span<float> weights)
    {
        const string Suffix = ".weight";
        if (!tensor.EndsWith(Suffix, StringComparison.Ordinal) || !TryRead(tensor[..^Suffix.Length], out float[]? a, out float[]? b))
            return;
        int rank = Config.Rank, inputs = a.Length / rank, outputs = b.Length / rank;
        if (weights.Length != inputs * outputs)
            throw new ArgumentException($"'{tensor}' has {weights.Length} values, the adapter's are [{outputs}, {inputs}]",
                nameof(weights));
        for (int row = 0; row < outputs; row++)
        {
            Span<float> w = weights.Slice(row * inputs, inputs);
            for (int i = 0; i < rank; i++)
                TensorPrimitives.MultiplyAdd(a.AsSpan(i * inputs, inputs), Config.Scale * b[row * rank + i], w, w);
        }
    }

    /// <summary>Writes the model that base and adapter are together: it needs neither of them any more.</summary>
    /// <param name="model">The base.</param>
    /// <param name="parent">Folder of models.</param>
    /// <param name="type">F32 or BF16.</param>
    /// <exception cref="FlywheelException">The adapter belongs to another model.</exception>
    public ModelFolder Merge(ModelFolder model, string parent, TensorType type)
    {
        CheckFits(model);
        using var weights = model.OpenWeights();
        Dictionary<string, long[]> shapes = model.Config.Tensors().ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        return ModelFolder.Create(parent, model.Config, model.Tokenizer, type, name =>
        {
            float[] values = weights.ReadFloats(weights.Require(name, shapes[name]));
            AddTo(name, values);
            return values;
        }, (Manifest with { Adapter = Hash }).MadeFrom(model), model);
    }

    /// <summary>The adapted modules: every tensor belongs to a pair whose inner size is the rank.</summary>
    private static string[] CheckTensors(SafetensorsFile weights, AdapterConfig config)
    {
        var modules = new SortedSet<string>(StringComparer.Ordinal);
        foreach ((string name, TensorInfo tensor) in weights.Tensors)
        {
            string? suffix = new[] { ".lora_A.weight",
                ".lora_B.weight" }.FirstOrDefault(end => name.EndsWith(end, StringComparison.Ordinal));
            if (suffix is null || !name.StartsWith(Prefix, StringComparison.Ordinal))
                throw new FlywheelException(
                    $"{weights.Path}: tensor '{name}' is no part of a LoRA adapter, expected names such as {Prefix}model.layers.0.self_attn.q_proj.lora_A.weight");
            if (tensor.Type is not (TensorType.F32 or TensorType.F16 or TensorType.BF16))
                throw new FlywheelException($"{weights.Path}: tensor '{name}' is {tensor.Type}, expected F32, F16 or BF16");
            if (tensor.Shape.Length != 2 || tensor.Shape[suffix[6] == 'A' ? 0 : 1] != config.Rank)
                throw new FlywheelException(
                    $"{weights.Path}: tensor '{name}' has shape {tensor.ShapeText}, expected {(suffix[6] == 'A' ? $"[{config.Rank}, inputs]" : $"[outputs, {config.Rank}]")} for r {config.Rank}");
            string module = name[Prefix.Length..^suffix.Length],
                other = Prefix + module + (suffix[6] == 'A' ? ".lora_B.weight" : ".lora_A.weight");
            if (!weights.Tensors.ContainsKey(other))
                throw new FlywheelException($"{weights.Path}: tensor '{other}' is missing, '{name}' is there");
            if (!config.TargetModules.Any(target => module.EndsWith("." + target, StringComparison.Ordinal)))
                throw new FlywheelException(
                    $"{weights.Path}: tensor '{name}' is there, but target_modules of {ConfigFile} are {string.Join(", ", config.TargetModules)}");
            modules.Add(module);
        }
        return modules.Count > 0
            ? [.. modules] : throw new FlywheelException($"{weights.Path}: holds no tensors, expected those of an adapter");
    }

    private static string ContentHash(string folder)
    {
        using FileStream weights = File.OpenRead(System.IO.Path.Combine(folder, WeightsFile));
        string parts =
            $"adapter {Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(System.IO.Path.Combine(folder, ConfigFile))))}\nweights {Convert.ToHexStringLower(SHA256.HashData(weights))}\n";
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(parts)));
    }
}
