using Flywheel.Model;
using Flywheel.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training.Tests;

[Collection(Alone.Name)]
public sealed class LoraTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>x = (1, 2), W = ((1, 0), (0, 1)), A = (3, 1), B = (2, -1), scale 0.5: y = x + 0.5 * 5 * (2, -1).</summary>
    [Fact]
    public void Projection_WithAnAdapterOnTwoNumbers_EqualsTheHandComputedValue()
    {
        TorchLibrary.Load(2);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor x = tensor(new[] { 1f, 2f }).view(1, 2), a = tensor(new[] { 3f, 1f }).view(1, 2).requires_grad_(true),
            b = tensor(new[] { 2f, -1f }).view(2, 1).requires_grad_(true);
        var projection = new Projection(eye(2), null, [new LoraPart("x", a, b, 0)], 0.5f);
        Assert.Equal([6f, -0.5f], projection.Forward(x).data<float>().ToArray());
        Tensor g = tensor(new[] { 1f, 10f }).view(1, 2);
        projection.Learn(x, g);
        Assert.Equal([2.5f, 25f], b.grad!.data<float>().ToArray()); // scale * (A x) g
        Assert.Equal([-4f, -8f], a.grad!.data<float>().ToArray()); // scale * (B . g) x = 0.5 * -8 * x
        Assert.Equal([-11f, 6f], projection.InputGradient(g).data<float>().ToArray()); // g + scale * (B . g) A
    }

    /// <summary>The plain implementation has no adapters: it computes with W + scale B A, and differences of that.</summary>
    [Theory]
    [InlineData(false, null)]
    [InlineData(true, "q_proj,v_proj,down_proj")]
    public void LossAndGradient_OfAnAdaptedModel_EqualThePlainImplementation(bool rsLora, string? targets)
    {
        var lora = new LoraRecipe { Rank = 3, Alpha = 4, Rslora = rsLora };
        if (targets is not null) lora = lora with { Targets = targets.Split(',') };
        double scale = rsLora ? 4 / Math.Sqrt(3) : 4 / 3.0;
        using DecoderModel model = TestModels.RandomLora(_folder["models"], 6, lora);
        using TokenDataset data = TokenDataset.Open(TestModels.Dataset(_folder.Path, model.Config.VocabSize, "none", [6, 3, 11], 8));
        Batch batch = TestModels.Batch(data, everyToken: true, 0, 1, 2);
        PlainDecoder plain = PlainDecoder.Copy(model);
        Dictionary<string, double[]> frozen = plain.Weights.ToDictionary(pair => pair.Key, pair => (double[])pair.Value.Clone());
        Dictionary<string, double[]> factors = model.Parameters.ToDictionary(parameter => parameter.Name,
            parameter => Array.ConvertAll(parameter.Tensor.data<float>().ToArray(), value => (double)value));
        Assert.Equal(2 * 2 * lora.Targets.Count, factors.Count);
        double Loss()
        {
            foreach ((string name, double[] a) in factors.Where(pair => pair.Key.EndsWith("lora_A.weight", StringComparison.Ordinal)))
            {
                string module = name[..^".lora_A.weight".Length];
                (double[] w, double[] w0, double[] b) = (plain.Weights[module + ".weight"], frozen[module + ".weight"],
                    factors[module + ".lora_B.weight"]);
                int inputs = a.Length / 3;
                for (int i = 0; i < w.Length; i++)
                    w[i] = w0[i] + scale * Enumerable.Range(0, 3).Sum(r => b[i / inputs * 3 + r] * a[r * inputs + i % inputs]);
            }
            return -0.25 * Enumerable.Range(0, 3).Sum(document =>
            {
                long[] tokens = new long[data.Length(document)];
                data.ReadTokens(document, 0, tokens);
                return plain.LogProbs(tokens).Sum();
            });
        }
        Assert.Equal(Loss(), model.Learn(batch, TestModels.Weights(batch, 0.25)), 2e-4);
        var random = new SeededRandom(1, 1);
        double largest = model.Parameters.Max(parameter => parameter.Tensor.grad!.abs().max().item<float>());
        foreach (Parameter parameter in model.Parameters)
        {
            (double[] values, float[] gradient) = (factors[parameter.Name], parameter.Tensor.grad!.data<float>().ToArray());
            for (int sample = 0; sample < 3; sample++)
            {
                int i = random.Next(values.Length);
                (double kept, double step) = (values[i], 1e-5);
                values[i] = kept + step;
                double above = Loss();
                values[i] = kept - step;
                double expected = (above - Loss()) / (2 * step);
                values[i] = kept;
                Assert.True(Math.Abs(expected - gradient[i]) < 2e-4 * Math.Max(Math.Abs(expected), 0.02 * largest),
                    $"{parameter.Name}[{i}]: expected {expected:g6}, got {gradient[i]:g6}");
            }
        }
    }

    /// <summary>B is zero: nothing is different yet. The base has no gradients, and its weights never change.</summary>
    [Fact]
    public void Load_WithAdapters_StartsAsTheBaseAndTrainsOnlyThem()
    {
        ModelFolder folder = TinyModel.Create(_folder["models"]);
        using DecoderModel whole = DecoderModel.Load(folder),
            adapted = DecoderModel.Load(folder, new TrainRecipe { Objective = "next-token", Lora = new LoraRecipe { Rank = 4 } }, 3);
        using TokenDataset data = TokenDataset.Open(TestModels.Dataset(_folder.Path, folder.Config.VocabSize, "none", [16, 30], 8));
        Batch batch = TestModels.Batch(data, everyToken: true, 0, 1);
        Assert.Equal(whole.LogProbs(batch), adapted.LogProbs(batch));
        Assert.All(adapted.Parameters, parameter => Assert.Contains(".lora_", parameter.Name, StringComparison.Ordinal));
        Assert.All(adapted.Adapters(), part => Assert.All(part.B, value => Assert.Equal(0, value)));
        Assert.All(adapted.Adapters(),
            part => Assert.InRange(part.A.Max(Math.Abs), 0.5 / Math.Sqrt(part.A.Length / 4.0), 1 / Math.Sqrt(part.A.Length / 4.0)));
        long before = Tensor.TotalCount;
        using (var gradients = new GradientExchange(adapted.Parameters, new SingleRank()))
        using (var optimizer = new Optimizer(gradients.Owned, new TrainRecipe { Objective = "next-token", LearningRate = 0.01 }))
        {
            // two moments each, none of the base
            Assert.Equal(3 * adapted.Parameters.Count, optimizer.State.Count() + adapted.Parameters.Count);
            var objective = new StepLearner(new TrainRecipe { Objective = "next-token" }, null);
            Segment[] all = [new(0, 0, 16), new(1, 0, 30)];
            double first = objective.Evaluate(adapted, data, [all]).Loss;
            for (int step = 1; step <= 10; step++)
            {
                gradients.Begin(1);
                objective.Accumulate(adapted, data, [all], gradients.Add);
                optimizer.Step(step, 1, gradients.Sum());
            }
            Assert.True(objective.Evaluate(adapted, data, [all]).Loss < first - 0.1);
        }
        foreach ((string name, _) in folder.Config.Tensors()) Assert.Equal(whole.Read(name), adapted.Read(name));
    }
}
