using Flywheel.Model;
using Flywheel.Testing;
using static TorchSharp.torch;

namespace Flywheel.Training.Tests;

/// <summary>Small models and data, and one load of libtorch with a fixed number of threads.</summary>
internal static class TestModels
{
    static TestModels() => TorchLibrary.Load(2);

    /// <summary>What is computed on 1, 2, 3 and 8 threads differs in no bit.</summary>
    public static void AssertThreadsChangeNothing(Func<Tensor[]> compute)
    {
        Tensor[][] results = [.. new[] { 1, 2, 3, 8 }.Select(threads =>
        {
            Rows.NumThreads = threads;
            return compute();
        })];
        Rows.NumThreads = 2;
        foreach (Tensor[] other in results[1..])
            for (int i = 0; i < other.Length; i++) Assert.True(results[0][i].Equals(other[i]), $"result {i}");
    }

    /// <summary>Grouped heads, a head width that is not hidden / heads, more than one layer.</summary>
    public static ModelConfig Tiny { get; } = new()
    {
        HiddenSize = 24, IntermediateSize = 40, NumLayers = 2, NumHeads = 4, NumKvHeads = 2, HeadDim = 8, VocabSize = 300,
        MaxPositions = 64,
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

    /// <summary>A frozen tiny model with adapters of rank 3 on all projections, away from their start.</summary>
    public static DecoderModel RandomLora(string folder, int seed, LoraRecipe? lora = null)
    {
        ModelFolder model = TinyModel.Create(folder, seed);
        DecoderModel adapted = DecoderModel.Load(model,
            new TrainRecipe { Objective = "supervised", Lora = lora ?? new LoraRecipe { Rank = 3, Alpha = 4 } }, seed);
        using var noGrad = no_grad();
        ulong stream = 50;
        foreach (Parameter parameter in adapted.Parameters)
        {
            var random = new SeededRandom((ulong)seed, stream++);
            parameter.Tensor.copy_(
                tensor(Enumerable.Range(0, (int)parameter.Tensor.numel()).Select(_ => 0.2f * (float)random.NextNormal()).ToArray())
                    .view(parameter.Tensor.shape));
        }
        return adapted;
    }

    /// <summary>A dataset of documents of random tokens; about half of them marked as targets.</summary>
    public static string Dataset(string parent, int vocabSize, string tokenizerHash, IEnumerable<int> lengths, int seed, bool pairs = false,
        bool labels = false, bool logProbs = false)
    {
        var random = new SeededRandom((ulong)seed, 99);
        int document = 0;
        using var writer = new TokenDatasetWriter(parent,
            new DatasetManifest { TokenizerHash = tokenizerHash, VocabSize = vocabSize, Pairs = pairs, Labels = labels,
                LogProbs = logProbs });
        foreach (int length in lengths)
        {
            int[] tokens = new int[length];
            byte[] marks = new byte[length];
            for (int i = 0; i < length; i++) (tokens[i], marks[i]) = (random.Next(vocabSize), (byte)(i > 0 ? random.Next(2) : 0));
            marks[^1] = 1;
            // Judged answers in turn liked and not, two documents each.
            float? label = !labels ? null : document++ / (pairs ? 2 : 1) % 2 == 0 ? 1 : -1;
            writer.Add(tokens, marks, label, logProbs
                ? [.. marks.Select(mark => mark * -3f * (float)random.NextUniform() - mark * 4)] : default(ReadOnlySpan<float>));
        }
        return writer.Complete();
    }

    /// <summary>A recipe of one objective, and data that suits it.</summary>
    public static (TrainRecipe, TokenDataset) Of(string objective, string parent, int vocabSize = 300, params int[] lengths) => (
        new TrainRecipe { Objective = objective, DpoBeta = 0.05, DpoSupervised = 0.1, ImportanceCap = 1.5 },
        TokenDataset.Open(Dataset(parent, vocabSize, "none", lengths, 3, objective is "preference" or "kto",
            objective is "kto" or "policy" or "soft-targets", objective is "policy" or "soft-targets")));

    /// <summary>One batch per document list, every token a target.</summary>
    public static Batch Batch(TokenDataset data, bool everyToken, params long[] documents) =>
        Training.Batch.Read(data, [.. documents.Select(document => new Segment(document, 0, data.Length(document)))], everyToken);

    public static float[] Weights(Batch batch, double each) => [.. Enumerable.Repeat((float)each, batch.Targets.Length)];
}
