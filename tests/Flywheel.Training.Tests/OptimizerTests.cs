using Flywheel.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training.Tests;

public sealed class OptimizerTests
{
    [Fact]
    public void AdamW_SeveralSteps_EqualsThePlainFormula()
    {
        TorchLibrary.Load(2);
        random.manual_seed(3);
        var recipe = new TrainRecipe { Objective = "next-token", ClipNorm = 1, WeightDecay = 0.2, Beta1 = 0.8, Beta2 = 0.9,
            LearningRate = 0.3 };
        Parameter[] parameters = [new("matrix", randn(37, 11, requires_grad: true)), new("gain", randn(13, requires_grad: true))];
        double[][] plain =
            [.. parameters.Select(parameter => Array.ConvertAll(parameter.Tensor.data<float>().ToArray(), value => (double)value))];
        double[][] first = [.. plain.Select(values => new double[values.Length])],
            second = [.. plain.Select(values => new double[values.Length])];
        using var exchange = new GradientExchange(parameters, new SingleRank());
        using var optimizer = new Optimizer(exchange.Owned, recipe);
        for (int step = 1; step <= 6; step++)
        {
            exchange.Begin(1);
            double[][] gradients =
                [.. parameters.Select(
                    parameter => { using Tensor g =
                        randn_like(parameter.Tensor) * (step < 4 ? 0.01 : 1); parameter.Tensor.grad!.copy_(g); return Array.ConvertAll(
                            g.data<float>().ToArray(), value => (double)value); })];
            double norm = Math.Sqrt(gradients.Sum(values => values.Sum(value => value * value))), clip = Math.Min(1, 1 / norm),
                factor = 0.1 * step, rate = 0.3 * factor;
            exchange.Add(0);
            double actualNorm = exchange.Sum();
            Assert.Equal(norm, actualNorm, 1e-5 * norm);
            optimizer.Step(step, factor, actualNorm);
            for (int p = 0; p < plain.Length; p++)
            {
                for (int i = 0; i < plain[p].Length; i++)
                {
                    double g = gradients[p][i] * clip;
                    first[p][i] = 0.8 * first[p][i] + 0.2 * g;
                    second[p][i] = 0.9 * second[p][i] + 0.1 * g * g;
                    double decay = p == 0 ? rate * 0.2 * plain[p][i] : 0;
                    plain[p][i] -= decay
                        + rate * (first[p][i] / (1 - Math.Pow(0.8, step))) / (Math.Sqrt(second[p][i] / (1 - Math.Pow(0.9, step))) + 1e-8);
                }
                float[] actual = parameters[p].Tensor.data<float>().ToArray();
                for (int i = 0; i < actual.Length; i++) Assert.Equal(plain[p][i], actual[i], 2e-5);
            }
        }
    }

    [Fact]
    public void Schedule_IsATrapezoid()
    {
        var recipe = new TrainRecipe { Objective = "next-token", Warmup = 0.1, Warmdown = 0.5, FinalRate = 0.1 };
        double[] rates = [.. Enumerable.Range(0, 100).Select(step => Schedule.Factor(recipe, step, 100))];
        Assert.Equal(0.1, rates[0], 1e-12);
        Assert.Equal(1, rates[9], 1e-12);
        Assert.All(rates[9..51], rate => Assert.Equal(1, rate, 1e-12));
        Assert.Equal(0.1 + 0.9 * 25 / 50, rates[75], 1e-12);
        Assert.Equal(0.1 + 0.9 * 1 / 50, rates[99], 1e-12);
    }

    [Fact]
    public void Schedule_Cosine_RisesAndFallsToTheFinalRate()
    {
        var recipe = new TrainRecipe { Objective = "next-token", Schedule = "cosine", Warmup = 0.1, FinalRate = 0.1 };
        double[] rates = [.. Enumerable.Range(0, 101).Select(step => Schedule.Factor(recipe, step, 101))];
        Assert.Equal(0.1, rates[0], 1e-12);
        Assert.Equal(1, rates[9], 1e-12);
        for (int step = 9; step < 101; step++) Assert.Equal(0.1 + 0.9 * (1 + Math.Cos(Math.PI * (step - 9) / 91)) / 2, rates[step], 1e-12);
    }

    /// <summary>Against libtorch's singular value decomposition: the same directions, every singular value near 1.</summary>
    [Theory]
    [InlineData(24, 24)]
    [InlineData(16, 40)]
    [InlineData(40, 16)]
    public void Orthogonal_OfAMatrix_KeepsItsDirectionsAndLevelsItsSingularValues(int rows, int columns)
    {
        TorchLibrary.Load(2);
        random.manual_seed(4);
        using var scope = NewDisposeScope();
        // Two orders of magnitude between the largest and the smallest singular value.
        (Tensor u, Tensor s, Tensor vt) = linalg.svd(randn(rows, columns, dtype: ScalarType.Float64), fullMatrices: false);
        Tensor spread = pow(10, linspace(0, -2, s.shape[0], dtype: ScalarType.Float64)), matrix = (u * spread).mm(vt);
        Tensor inner = u.t().mm(Muon.Orthogonal(matrix.to(float32)).to(float64)).mm(vt.t());
        double[] diagonal = inner.diagonal().data<double>().ToArray();
        Assert.All(diagonal, value => Assert.InRange(value, 0.85, 1.15));
        Assert.InRange((inner - inner.diagonal().diag()).abs().max().item<double>(), 0, 1e-3);
    }

    /// <summary>The whole step by hand: momentum with its warm-up, Nesterov, decay, one orthogonal factor a matrix, its size.</summary>
    [Fact]
    public void Muon_SeveralSteps_EqualsThePlainFormula()
    {
        TorchLibrary.Load(2);
        random.manual_seed(5);
        using var scope = NewDisposeScope();
        var recipe = new TrainRecipe { Objective = "next-token", Optimizer = "muon", ClipNorm = 1, WeightDecay = 0.5,
            MuonLearningRate = 0.1 };
        var fused = new Parameter("q_proj", randn(24 + 6, 12, requires_grad: true)) { HiddenRows = [24, 6] };
        using var optimizer = new Optimizer([fused], recipe);
        Tensor plain = fused.Tensor.detach().to(float64), momentum = zeros_like(plain);
        for (int step = 1; step <= 4; step++)
        {
            Tensor g = randn(30, 12);
            fused.Tensor.grad = g;
            double norm = g.norm().item<float>(), rate = 0.1 * 0.5 * step, kept = 0.85 + 0.1 * (step - 1) / 300;
            optimizer.Step(step, 0.5 * step, norm);
            momentum = kept * momentum + (1 - kept) * g.to(float64) / norm;
            Tensor direction = kept * momentum + (1 - kept) * g.to(float64) / norm;
            plain = plain * (1 - rate * 0.5);
            foreach ((long row, long rows, double size) in new[] { (0L, 24L, Math.Sqrt(2)), (24L, 6L, 1.0) })
                plain.narrow(0, row, rows).add_(PolarExpress(direction.narrow(0, row, rows)), -rate * size);
            Assert.InRange((plain - fused.Tensor).abs().max().item<double>(), 0, 2e-5);
        }

        // On singular values instead of matrices, in double precision.
        static Tensor PolarExpress(Tensor matrix)
        {
            (Tensor u, Tensor s, Tensor vt) = linalg.svd(matrix, fullMatrices: false);
            s = s / (s.pow(2).sum().sqrt() * 1.02 + 1e-6);
            foreach ((double a, double b, double c) in new[]
            {
                (8.156554524902461, -22.48329292557795, 15.878769915207462), (4.042929935166739, -2.808917465908714, 0.5000178451051316),
                (3.8916678022926607, -2.772484153217685, 0.5060648178503393), (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
                (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
            }) s = a * s + b * s.pow(3) + c * s.pow(5);
            return (u * s).mm(vt);
        }
    }

    [Fact]
    public void Average_OfTheWeights_TakesTheirPlace()
    {
        TorchLibrary.Load(2);
        random.manual_seed(6);
        using var scope = NewDisposeScope();
        var parameter = new Parameter("matrix", randn(5, 3, requires_grad: true));
        using var optimizer = new Optimizer([parameter], new TrainRecipe { Objective = "next-token", AverageDecay = 0.75 });
        Tensor average = zeros(5, 3);
        for (int step = 1; step <= 5; step++)
        {
            parameter.Tensor.grad = randn(5, 3);
            optimizer.Step(step, 1, 1);
            average = step == 1 ? parameter.Tensor.detach().clone() : 0.75 * average + 0.25 * parameter.Tensor.detach();
        }
        optimizer.UseAverage();
        Assert.InRange((parameter.Tensor - average).abs().max().item<float>(), 0, 1e-6);
    }
}
