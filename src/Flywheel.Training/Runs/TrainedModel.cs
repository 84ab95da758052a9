using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>What a run made: a whole model, or an adapter for its base.</summary>
/// <param name="Model">The model; null when an adapter was trained.</param>
/// <param name="Adapter">The adapter; null when all weights were trained.</param>
public sealed record TrainedModel(ModelFolder? Model, AdapterFolder? Adapter)
{
    public string Hash => Model?.Hash ?? Adapter!.Hash;

    public string Path => Model?.Path ?? Adapter!.Path;

    public ModelManifest Manifest => Model?.Manifest ?? Adapter!.Manifest;

    /// <exception cref="FlywheelException">The folder holds neither, or a damaged one.</exception>
    public static TrainedModel Open(string path) =>
        AdapterFolder.IsAdapter(path) ? new(null, AdapterFolder.Open(path)) : new(ModelFolder.Open(path), null);
}
