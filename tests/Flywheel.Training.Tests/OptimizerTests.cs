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
        var recipe = new TrainRecipe { Objective = "next-token", ClipNorm = 1, WeightDecay = 0.2, Beta1 = 0.8, Beta2 = 0.9 };
        (string, Tensor)[] parameters = [("matrix", randn(37, 11, requires_grad: true)), ("gain", randn(13, requires_grad: true))];
        double[][] plain = [.. parameters.Select(parameter => Array.ConvertAll(parameter.Item2.data<float>().ToArray(), value => (double)value))];
        double[][] first = [.. plain.Select(values => new double[values.Length])], second = [.. plain.Select(values => new double[values.Length])];
        using var exchange = new GradientExchange(parameters, new SingleRank());
        using var optimizer = new AdamW(parameters, recipe);
        for (int step = 1; step <= 6; step++)
        {
            exchange.Begin(1);
            double[][] gradients = [.. parameters.Select(parameter => { using Tensor g = randn_like(parameter.Item2) * (step < 4 ? 0.01 : 1); parameter.Item2.grad!.copy_(g); return Array.ConvertAll(g.data<float>().ToArray(), value => (double)value); })];
            double norm = Math.Sqrt(gradients.Sum(values => values.Sum(value => value * value))), clip = Math.Min(1, 1 / norm), rate = 0.03 * step;
            exchange.Add(0);
            double actualNorm = exchange.Sum();
            Assert.Equal(norm, actualNorm, 1e-5 * norm);
            optimizer.Step(step, rate, actualNorm);
            for (int p = 0; p < plain.Length; p++)
            {
                for (int i = 0; i < plain[p].Length; i++)
                {
                    double g = gradients[p][i] * clip;
                    first[p][i] = 0.8 * first[p][i] + 0.2 * g;
                    second[p][i] = 0.9 * second[p][i] + 0.1 * g * g;
                    double decay = p == 0 ? rate * 0.2 * plain[p][i] : 0;
                    plain[p][i] -= decay + rate * (first[p][i] / (1 - Math.Pow(0.8, step))) / (Math.Sqrt(second[p][i] / (1 - Math.Pow(0.9, step))) + 1e-8);
                }
                float[] actual = parameters[p].Item2.data<float>().ToArray();
                for (int i = 0; i < actual.Length; i++) Assert.Equal(plain[p][i], actual[i], 2e-5);
            }
        }
    }

    [Fact]
    public void Schedule_IsATrapezoid()
    {
        var recipe = new TrainRecipe { Objective = "next-token", LearningRate = 2, Warmup = 0.1, Warmdown = 0.5, FinalRate = 0.1 };
        double[] rates = [.. Enumerable.Range(0, 100).Select(step => Schedule.Rate(recipe, step, 100))];
        Assert.Equal(0.2, rates[0], 1e-12);
        Assert.Equal(2, rates[9], 1e-12);
        Assert.All(rates[9..51], rate => Assert.Equal(2, rate, 1e-12));
        Assert.Equal(2 * (0.1 + 0.9 * 25 / 50), rates[75], 1e-12);
        Assert.Equal(2 * (0.1 + 0.9 * 1 / 50), rates[99], 1e-12);
    }
}
