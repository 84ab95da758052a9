using Flywheel.Model;
using Flywheel.Testing;
using static TorchSharp.torch;

namespace Flywheel.Training.Tests;

/// <summary>Small models and data, and one load of libtorch with a fixed number of threads.</summary>
internal static class TestModels
{
    static TestModels() => TorchLibrary.Load(2);

    /// <summary>Grouped heads, a head width that is not hidden / heads, more than one layer.</summary>
    public static ModelConfig Tiny { get; } = new()
    {
        HiddenSize = 24, IntermediateSize = 40, NumLayers = 2, NumHeads = 4, NumKvHeads = 2, HeadDim = 8, VocabSize = 300, MaxPositions = 64,
        EosTokenIds = [2, 0],
    };

    /// <summary>Random weights everywhere, so that no path is switched off by the zeros of a fresh model.</summary>
    public static DecoderModel Random(ModelConfig config, int seed)
    {
        DecoderModel model = DecoderModel.CreateRandom(config, seed);
        ulong stream = 0;
        foreach ((string name, long[] shape) in config.Tensors())
        {
            var random = new SeededRandom((ulong)seed, stream++);
            float[] values = model.Read(name);
            for (int i = 0; i < values.Length; i++) values[i] = (shape.Length == 1 ? 1 : 0) + 0.3f * (float)random.NextNormal();
            model.Write(name, values);
        }
        return model;
    }

    /// <summary>A dataset of documents of random tokens; about half of them marked as targets.</summary>
    public static string Dataset(string parent, int vocabSize, string tokenizerHash, IEnumerable<int> lengths, int seed, bool pairs = false)
    {
        var random = new SeededRandom((ulong)seed, 99);
        using var writer = new TokenDatasetWriter(parent, new DatasetManifest { TokenizerHash = tokenizerHash, VocabSize = vocabSize, Pairs = pairs });
        foreach (int length in lengths)
        {
            int[] tokens = new int[length];
            byte[] marks = new byte[length];
            for (int i = 0; i < length; i++) (tokens[i], marks[i]) = (random.Next(vocabSize), (byte)(i > 0 ? random.Next(2) : 0));
            marks[^1] = 1;
            writer.Add(tokens, marks);
        }
        return writer.Complete();
    }

    /// <summary>One batch per document list, every token a target.</summary>
    public static Batch Batch(TokenDataset data, bool everyToken, params long[] documents) =>
        Training.Batch.Read(data, [.. documents.Select(document => new Segment(document, 0, data.Length(document)))], everyToken);

    public static float[] Weights(Batch batch, double each) => [.. Enumerable.Repeat((float)each, batch.Targets.Length)];
}
