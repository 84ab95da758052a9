using Flywheel.Model;
using Flywheel.Testing;
using TorchSharp;

namespace Flywheel.Training.Tests;

[Collection(Alone.Name)]
public sealed class DecoderTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("qwen3", true)]
    [InlineData("llama", false)]
    [InlineData("qwen2", true)]
    public void LogProbs_OfPackedDocuments_EqualThePlainImplementation(string type, bool tied)
    {
        using DecoderModel model = TestModels.Random(TestModels.Tiny with { ModelType = type, TieEmbeddings = tied }, 5);
        using TokenDataset data = Data(2, 17, 64, 9);
        Batch batch = TestModels.Batch(data, everyToken: true, 0, 1, 2, 3);
        double[] expected = Expected(PlainDecoder.Copy(model), data, 0, 1, 2, 3);
        float[] actual = model.LogProbs(batch);
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 5e-5 * Math.Max(1, Math.Abs(expected[i])));
    }

    /// <summary>Central differences of the plain double implementation, at some coordinates of every tensor.</summary>
    [Theory]
    [InlineData("qwen3", true)]
    [InlineData("qwen2", false)]
    public void Gradient_OfPackedLoss_EqualsFiniteDifferencesOfThePlainImplementation(string type, bool tied)
    {
        using DecoderModel model =
            TestModels.Random(TestModels.Tiny with { ModelType = type, TieEmbeddings = tied, NumLayers = 1, VocabSize = 40 }, 6);
        using TokenDataset data = TokenDataset.Open(TestModels.Dataset(_folder.Path, 40, "none", [6, 3, 11], 8));
        Batch batch = TestModels.Batch(data, everyToken: true, 0, 1, 2);
        model.Learn(batch, TestModels.Weights(batch, 0.25));

        PlainDecoder plain = PlainDecoder.Copy(model);
        double Loss() => -0.25 * Expected(plain, data, 0, 1, 2).Sum();
        Dictionary<string, float[]> gradients = GradientsByName(model);
        var random = new SeededRandom(1, 1);
        double largest = gradients.Values.SelectMany(values => values).Max(Math.Abs);
        foreach ((string name, double[] values) in plain.Weights)
        {
            for (int sample = 0; sample < 6; sample++)
            {
                int i = random.Next(values.Length);
                (double kept, double step) = (values[i], 1e-5);
                values[i] = kept + step;
                double above = Loss();
                values[i] = kept - step;
                double below = Loss();
                values[i] = kept;
                double expected = (above - below) / (2 * step);
                Assert.True(Math.Abs(expected - gradients[name][i]) < 2e-4 * Math.Max(Math.Abs(expected), 0.02 * largest),
                    $"{name}[{i}]: expected {expected:g6}, got {gradients[name][i]:g6}");
            }
        }
    }

    /// <summary>A whole step with each optimiser: a training beside another that has other threads is the same training.</summary>
    [Theory]
    [InlineData("muon")]
    [InlineData("adamw")]
    public void Step_OnMoreThreads_GivesTheSameBits(string optimizer)
    {
        var config = TestModels.Tiny with { HiddenSize = 96, IntermediateSize = 200, HeadDim = 24, MaxPositions = 512 };
        using TokenDataset data = TokenDataset.Open(TestModels.Dataset(_folder.Path, config.VocabSize, "none", [301, 40, 280], 3));
        Batch batch = TestModels.Batch(data, true, 0, 1, 2);
        TestModels.AssertThreadsChangeNothing(() =>
        {
            using DecoderModel model = TestModels.Random(config, 7);
            model.Learn(batch, TestModels.Weights(batch, 0.01));
            using var update = new Optimizer(model.Parameters, new TrainRecipe { Objective = "next-token", Optimizer = optimizer });
            update.Step(1, 1, 1);
            return [.. model.Parameters.Select(parameter => parameter.Tensor.detach().clone())];
        });
    }

    /// <summary>Computing a layer again is the same computation: not one bit differs.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Gradient_WithCheckpointing_IsTheSameToTheBit(bool lora)
    {
        ModelFolder folder = TinyModel.Create(_folder["models"]);
        using TokenDataset data = TokenDataset.Open(TestModels.Dataset(_folder.Path, folder.Config.VocabSize, "none", [5, 33, 2, 60], 3));
        (double, float[][]) Run(bool checkpointing)
        {
            var recipe = new TrainRecipe { Objective = "next-token", GradientCheckpointing = checkpointing,
                Lora = lora ? new LoraRecipe { Rank = 2 } : null };
            using DecoderModel model = DecoderModel.Load(folder, recipe, 1);
            Batch batch = TestModels.Batch(data, true, 0, 1, 2, 3);
            double loss = model.Learn(batch, TestModels.Weights(batch, 0.1));
            return (loss, [.. model.Parameters.Select(parameter => parameter.Tensor.grad!.data<float>().ToArray())]);
        }
        (double plainLoss, float[][] plain) = Run(false);
        (double loss, float[][] gradients) = Run(true);
        Assert.Equal(plainLoss, loss);
        Assert.Equal(plain.Length, gradients.Length);
        for (int i = 0; i < plain.Length; i++) Assert.Equal(plain[i], gradients[i]);
        Assert.Contains(gradients, gradient => gradient.Any(value => value != 0));
    }

    /// <summary>What one document says must not reach another: changing it changes no bit of its neighbours.</summary>
    [Fact]
    public void LogProbs_OfADocument_DoNotDependOnItsNeighbours()
    {
        using DecoderModel model = TestModels.Random(TestModels.Tiny, 7);
        using TokenDataset data = Data(20, 31, 31, 14);
        float[] first = model.LogProbs(TestModels.Batch(data, true, 0, 1, 3)),
            second = model.LogProbs(TestModels.Batch(data, true, 0, 2, 3));
        Assert.NotEqual(first[19..49], second[19..49]);
        for (int i = 0; i < first.Length; i++)
            if (i is < 19 or >= 49) Assert.Equal(first[i], second[i], 1e-5f);
    }

    [Theory]
    [InlineData(false, "adamw")]
    [InlineData(true, "muon")]
    public void Tensors_OverAThousandSteps_StayFlatInNumber(bool checkpointing, string algorithm)
    {
        var recipe = new TrainRecipe { Objective = "next-token", GradientCheckpointing = checkpointing, Optimizer = algorithm };
        using DecoderModel model = DecoderModel.CreateRandom(TestModels.Tiny with { NumLayers = 1 }, 7, recipe);
        using TokenDataset data = Data(5, 7);
        using var gradients = new GradientExchange(model.Parameters, new SingleRank());
        using var optimizer = new Optimizer(gradients.Owned, recipe);
        var objective = new StepLearner(recipe, null);
        Segment[] all = [new(0, 0, 5), new(1, 0, 7)];
        long early = 0;
        for (int step = 1; step <= 1000; step++)
        {
            gradients.Begin(3);
            objective.Accumulate(model, data, [all, all, all], gradients.Add);
            optimizer.Step(step, 1, gradients.Sum());
            if (step % 250 != 10) continue;
            GC.Collect();
            GC.WaitForPendingFinalizers();
            if (step == 10) early = Tensor.TotalCount;
            Assert.InRange(Tensor.TotalCount, 0, early);
        }
    }

    private TokenDataset Data(params int[] lengths) => TokenDataset.Open(TestModels.Dataset(_folder.Path, 300, "none", lengths, 3));

    private static double[] Expected(PlainDecoder plain, TokenDataset data, params long[] documents) => [.. documents.SelectMany(document =>
    {
        long[] tokens = new long[data.Length(document)];
        data.ReadTokens(document, 0, tokens);
        return plain.LogProbs(tokens);
    })];

    /// <summary>Gradients under Hugging Face names: read through the model by swapping them in for its weights.</summary>
    private static Dictionary<string, float[]> GradientsByName(DecoderModel model)
    {
        using var noGrad = torch.no_grad();
        Tensor[] kept = [.. model.Parameters.Select(parameter => parameter.Tensor.detach().clone())];
        foreach ((_, Tensor parameter) in model.Parameters) parameter.copy_(parameter.grad!);
        var gradients = model.Config.Tensors().ToDictionary(tensor => tensor.Name, tensor => model.Read(tensor.Name));
        for (int i = 0; i < kept.Length; i++) model.Parameters[i].Tensor.copy_(kept[i]);
        return gradients;
    }
}
