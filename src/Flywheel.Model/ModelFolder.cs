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
    public string Path => throw new NotImplementedException();

    /// <summary>SHA-256 over the content, lower-case hex; the first 12 digits are the short name.</summary>
    public string Hash => throw new NotImplementedException();

    public string ShortHash => Hash[..12];

    public ModelConfig Config => throw new NotImplementedException();

    public Tokenizer Tokenizer => throw new NotImplementedException();

    public ModelManifest Manifest => throw new NotImplementedException();

    /// <exception cref="FlywheelException">A file is missing or malformed, or a tensor is missing or of the wrong shape.</exception>
    public static ModelFolder Open(string path) => throw new NotImplementedException();

    /// <summary>Opens the weights; the caller disposes. Every tensor has been checked against the config.</summary>
    public SafetensorsFile OpenWeights() => throw new NotImplementedException();

    /// <summary>
    /// Writes a model under <paramref name="parent"/>, in a folder named by its short hash, whole or not at all.
    /// </summary>
    /// <param name="readTensor">fp32 values of a tensor by Hugging Face name, in the order of <see cref="ModelConfig.Tensors"/>.</param>
    public static ModelFolder Create(string parent, ModelConfig config, Tokenizer tokenizer, DType dtype, Func<string, float[]> readTensor, ModelManifest manifest) => throw new NotImplementedException();
}
