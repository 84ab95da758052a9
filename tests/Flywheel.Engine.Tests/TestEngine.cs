using Flywheel.Engine.Kernels;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

/// <summary>Small models with random weights, and what tests compute on the side.</summary>
internal static class TestEngine
{
    public static IEnumerable<string> Kernels => KernelTable.All.Where(table => table.IsSupported).Select(table => table.Name);

    /// <summary>Odd sizes on purpose: nothing is a multiple of a vector.</summary>
    public static ModelConfig Config(string type = "qwen3", bool tied = true) => new()
    {
        ModelType = type,
        HiddenSize = 44,
        IntermediateSize = 70,
        NumLayers = 2,
        NumHeads = 6,
        NumKvHeads = 2,
        HeadDim = 10,
        VocabSize = 261,
        MaxPositions = 700,
        TieEmbeddings = tied,
        RmsNormEps = 1e-5f,
    };

    /// <summary>Weights whose logits are peaked enough to be interesting.</summary>
    public static void WriteWeights(string path, ModelConfig config, int seed, TensorType dtype = TensorType.F32)
    {
        var random = new Random(seed);
        SafetensorsWriter.Write(path, [.. config.Tensors().Select(tensor => (tensor.Name, dtype, tensor.Shape, (Action<Stream>)(stream =>
        {
            float[] values = new float[tensor.Shape.Aggregate(1L, (a, b) => a * b)];
            bool norm = tensor.Name.EndsWith("norm.weight", StringComparison.Ordinal);
            double scale = tensor.Name.Contains("embed") ? 0.4 : tensor.Shape.Length == 1 ? 0.2 : 1 / Math.Sqrt(tensor.Shape[1]);
            for (int i = 0; i < values.Length; i++) values[i] = (float)((norm ? 1 : 0) + scale * Normal(random));
            SafetensorsWriter.WriteFloats(stream, values, dtype);
        })))]);
    }

    public static InferenceEngine Open(ModelConfig? config = null, EngineOptions? options = null, int seed = 1, Tokenizer? tokenizer = null,
        string? kernels = null)
    {
        using var folder = new TempFolder();
        config ??= Config();
        WriteWeights(folder["model.safetensors"], config, seed);
        using SafetensorsFile file = SafetensorsFile.Open(folder["model.safetensors"]);
        return InferenceEngine.Load(file, config, tokenizer, options ?? new EngineOptions { Threads = 2 }, kernels: kernels);
    }

    /// <summary>An adapter whose effect shows.</summary>
    public static AdapterFolder Adapter(string path, ModelConfig config, int seed, int rank, string[] targets)
    {
        var random = new Random(seed);
        float[] Random(long count, double scale) => [.. Enumerable.Range(0, (int)count).Select(_ => (float)(scale * Normal(random)))];
        return AdapterFolder.Create(path, new AdapterConfig { Rank = rank, Alpha = 2 * rank, TargetModules = targets }, config.Tensors()
            .Where(tensor => targets.Any(target => tensor.Name.EndsWith(target + ".weight", StringComparison.Ordinal)))
            .Select(tensor => (tensor.Name[..^".weight".Length], Random(rank * tensor.Shape[1], 1 / Math.Sqrt(tensor.Shape[1])),
                Random(rank * tensor.Shape[0], 0.3 / Math.Sqrt(rank)))), new ModelManifest { Name = "test" });
    }

    public static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    public static double LogSumExp(float[] logits)
    {
        double largest = logits.Max();
        return largest + Math.Log(logits.Sum(logit => Math.Exp(logit - largest)));
    }

    /// <summary>Kullback-Leibler divergence of the second distribution from the first, in nats.</summary>
    public static double Divergence(float[] logits, float[] others)
    {
        double a = LogSumExp(logits), b = LogSumExp(others);
        return logits.Zip(others, (p, q) => Math.Exp(p - a) * (p - a - (q - b))).Sum();
    }

    /// <summary>To the bit.</summary>
    public static void AssertSame(List<SampledToken> expected, List<SampledToken> actual)
    {
        Assert.Equal(expected.Select(token => token.Id), actual.Select(token => token.Id));
        Assert.Equal(expected.Select(token => token.Logprob), actual.Select(token => token.Logprob));
        Assert.Equal(expected.Select(token => token.SamplerLogprob), actual.Select(token => token.SamplerLogprob));
        Assert.Equal(expected.SelectMany(token => token.Top), actual.SelectMany(token => token.Top));
    }
}
