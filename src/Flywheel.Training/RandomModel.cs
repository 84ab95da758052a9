using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>A model that has learnt nothing yet, as a folder: where games begin, of which there are none before there is a
/// player.</summary>
public static class RandomModel
{
    /// <param name="models">Folder of models; the new one appears in it.</param>
    /// <param name="config">Shape.</param>
    /// <param name="tokenizer">Its vocabulary.</param>
    /// <param name="seed">The same seed gives the same weights.</param>
    /// <param name="manifest">Name and origin.</param>
    public static ModelFolder Create(string models, ModelConfig config, Tokenizer tokenizer, int seed, ModelManifest manifest)
    {
        TorchLibrary.Load(1);
        using DecoderModel model = DecoderModel.CreateRandom(config, seed);
        return ModelFolder.Create(models, config, tokenizer, TensorType.F32, model.Read, manifest);
    }
}
