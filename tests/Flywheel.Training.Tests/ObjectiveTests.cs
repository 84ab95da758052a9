using Flywheel.Model;
using Flywheel.Testing;
using TorchSharp;

namespace Flywheel.Training.Tests;

public sealed class ObjectiveTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Loss and accuracy by the formula of the paper, from the log-probabilities of the plain implementation.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(0.3)]
    public void Preference_OfTwoPairs_EqualsThePapersFormula(double supervised)
    {
        using DecoderModel model = TestModels.Random(TestModels.Tiny, 4);
        using TokenDataset data = Pairs(9, 12, 20, 7);
        var recipe = new TrainRecipe { Objective = "preference", DpoBeta = 0.2, DpoSupervised = supervised };
        double[] reference = [-20, -31.5, -44, -18];
        PlainDecoder plain = PlainDecoder.Copy(model);
        double[][] logProbs = [.. Enumerable.Range(0, 4).Select(document => Marked(plain, data, document))];
        double expected = 0;
        int won = 0;
        for (int pair = 0; pair < 4; pair += 2)
        {
            double margin = logProbs[pair].Sum() - reference[pair] - (logProbs[pair + 1].Sum() - reference[pair + 1]);
            expected -= Math.Log(1 / (1 + Math.Exp(-0.2 * margin))) / 2;
            won += margin > 0 ? 1 : 0;
        }
        expected -= supervised * logProbs[0].Concat(logProbs[2]).Average();
        Score score = new Objective(recipe, reference).Evaluate(model, data, [Units(data, 0, 1, 2, 3)]);
        Assert.Equal(expected, score.Loss, 1e-4 * Math.Max(1, expected));
        Assert.Equal(won / 2.0, score.Accuracy!.Value);
    }

    /// <summary>Nudging weights along the gradient must change the loss by its square: a finite difference through all tensors at once.</summary>
    [Theory]
    [InlineData("preference")]
    [InlineData("supervised")]
    [InlineData("next-token")]
    public void Gradient_OfEachObjective_PredictsTheChangeOfItsLoss(string name)
    {
        using DecoderModel model = TestModels.Random(TestModels.Tiny, 4);
        using TokenDataset data = Pairs(9, 12, 20, 7);
        var recipe = new TrainRecipe { Objective = name, DpoBeta = 0.01, DpoSupervised = 0.1 };
        var objective = new Objective(recipe, Objective.Reference(model, data, 64, CancellationToken.None));
        List<Segment>[] micros = [Units(data, 0, 1), Units(data, 2, 3)];
        objective.Accumulate(model, data, micros);
        using var noGrad = torch.no_grad();
        double square = model.Parameters.Sum(parameter => parameter.Tensor.grad!.pow(2).sum().item<float>());
        double step = 2e-3 / Math.Sqrt(square);
        double Loss(double move)
        {
            foreach ((_, Tensor parameter) in model.Parameters) parameter.add_(parameter.grad!, move);
            double loss = objective.Evaluate(model, data, micros).Loss;
            foreach ((_, Tensor parameter) in model.Parameters) parameter.add_(parameter.grad!, -move);
            return loss;
        }
        double change = (Loss(step) - Loss(-step)) / (2 * step);
        Assert.Equal(square, change, 0.02 * square);
    }

    /// <summary>At the start the policy is the reference: loss log 2 for every pair.</summary>
    [Fact]
    public void Preference_AgainstItsOwnReference_IsLogTwo()
    {
        using DecoderModel model = TestModels.Random(TestModels.Tiny, 4);
        using TokenDataset data = Pairs(9, 12, 20, 7, 30, 31);
        var objective = new Objective(new TrainRecipe { Objective = "preference" }, Objective.Reference(model, data, 40, CancellationToken.None));
        Assert.Equal(Math.Log(2), objective.Evaluate(model, data, [Units(data, 0, 1, 2, 3, 4, 5)]).Loss, 1e-5);
    }

    [Fact]
    public void Accumulate_CutDifferently_GivesTheSameGradient()
    {
        using DecoderModel model = TestModels.Random(TestModels.Tiny, 4);
        using TokenDataset data = Pairs(9, 12, 20, 7);
        var objective = new Objective(new TrainRecipe { Objective = "supervised" }, null);
        float[][] Gradient(params List<Segment>[] micros)
        {
            foreach ((_, Tensor parameter) in model.Parameters) parameter.grad = null;
            objective.Accumulate(model, data, micros);
            return [.. model.Parameters.Select(parameter => parameter.Tensor.grad!.data<float>().ToArray())];
        }
        float[][] whole = Gradient(Units(data, 0, 1, 2, 3)), cut = Gradient(Units(data, 0), Units(data, 3, 1), Units(data, 2));
        for (int i = 0; i < whole.Length; i++)
            for (int j = 0; j < whole[i].Length; j++) Assert.Equal(whole[i][j], cut[i][j], 1e-5f);
    }

    private TokenDataset Pairs(params int[] lengths) => TokenDataset.Open(TestModels.Dataset(_folder.Path, 300, "none", lengths, 3, pairs: true));

    private static List<Segment> Units(TokenDataset data, params long[] documents) => [.. documents.Select(document => new Segment(document, 0, data.Length(document)))];

    private static double[] Marked(PlainDecoder plain, TokenDataset data, long document)
    {
        long[] tokens = new long[data.Length(document)];
        byte[] marks = new byte[tokens.Length];
        data.ReadTokens(document, 0, tokens);
        data.ReadTargets(document, 0, marks);
        return [.. plain.LogProbs(tokens).Where((_, i) => marks[i + 1] == 1)];
    }
}
