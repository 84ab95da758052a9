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
        Score score = new StepLearner(recipe, reference).Evaluate(model, data, [Units(data, 0, 1, 2, 3)]);
        Assert.Equal(expected, score.Loss, 1e-4 * Math.Max(1, expected));
        Assert.Equal(won / 2.0, score.Accuracy!.Value);
    }

    /// <summary>
    /// Another objective is another file and its registration: no other source says one by name. (The loop names folders of examples
    /// "supervised" and "preference", after kinds of examples.)
    /// </summary>
    [Fact]
    public void Names_OfObjectives_AreSaidInTheirOwnFilesOnly()
    {
        string source = Path.Combine(TestFiles.Root, "src"), own = Path.Combine(source, "Flywheel.Model", "Objectives");
        var said = from file in Directory.EnumerateFiles(source, "*.cs", SearchOption.AllDirectories)
                   where !file.StartsWith(own, StringComparison.Ordinal)
                   from line in File.ReadLines(file)
                   where !line.TrimStart().StartsWith("//", StringComparison.Ordinal)
                   from name in Objective.Names
                   where line.Contains($"\"{name}\"", StringComparison.Ordinal)
                       && !(file.Contains("Flywheel.Loop", StringComparison.Ordinal) && name is Supervised.Id or Preference.Id)
                   select $"{Path.GetRelativePath(source, file)}: {line.Trim()}";
        Assert.Empty(said);
    }

    /// <summary>
    /// Nudging weights along the gradient must change the loss by its square: a finite difference through all tensors at once.
    /// What counts as a constant is made one: KTO's drift is 0 where others became less likely, policy weights are at their cap.
    /// </summary>
    [Theory]
    [InlineData("preference", false)]
    [InlineData("supervised", false)]
    [InlineData("next-token", false)]
    [InlineData("kto", false)]
    [InlineData("policy", false)]
    [InlineData("soft-targets", false)]
    [InlineData("supervised", true)]
    [InlineData("preference", true)]
    [InlineData("kto", true)]
    public void Gradient_OfEachObjective_PredictsTheChangeOfItsLoss(string name, bool lora)
    {
        using DecoderModel model = lora ? TestModels.RandomLora(_folder["base"], 4) : TestModels.Random(TestModels.Tiny, 4);
        (TrainRecipe recipe, TokenDataset data) = TestModels.Of(name, _folder.Path, model.Config.VocabSize, 9, 12, 20, 7);
        recipe = recipe with { DpoBeta = 0.01, ImportanceCap = 1e-6 };
        using TokenDataset owned = data;
        double[] reference = StepLearner.Reference(model, data, 64, CancellationToken.None);
        for (int i = 1; i < 4; i += 2) reference[i] += name == "kto" ? 10 : 0;
        var objective = new StepLearner(recipe, reference);
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

    /// <summary>Loss and accuracy by the paper's formula, from the log-probabilities of the plain implementation.</summary>
    [Fact]
    public void Kto_OfTwoAnswers_EqualsThePapersFormula()
    {
        using DecoderModel model = TestModels.Random(TestModels.Tiny, 4);
        (TrainRecipe recipe, TokenDataset data) = TestModels.Of("kto", _folder.Path, 300, 9, 12, 20, 7);
        using TokenDataset owned = data;
        recipe = recipe with { DpoBeta = 0.2, KtoDesirable = 1.2, KtoUndesirable = 0.7 };
        PlainDecoder plain = PlainDecoder.Copy(model);
        double[] reference = [-20, -200, -44, -203]; // others became likelier, so that there is a drift
        double[] gains = [.. Enumerable.Range(0, 4).Select(document => Marked(plain, data, document).Sum() - reference[document])];
        double drift = (gains[1] + gains[3]) / 2;
        Assert.True(drift > 1);
        double liked = 1.2 * (1 - 1 / (1 + Math.Exp(-0.2 * (gains[0] - drift)))),
            not = 0.7 * (1 - 1 / (1 + Math.Exp(-0.2 * (drift - gains[2]))));
        double right = ((gains[0] > drift ? 1 : 0) + (gains[2] < drift ? 1 : 0)) / 2.0;
        Score together = new StepLearner(recipe, reference).Evaluate(model, data, [Units(data, 0, 1, 2, 3)]);
        Score cut = new StepLearner(recipe, reference).Evaluate(model, data, [Units(data, 2, 3), Units(data, 0, 1)]);
        Assert.Equal((liked + not) / 2, together.Loss, 1e-5);
        Assert.Equal(together.Loss, cut.Loss, 1e-6); // the drift is the whole step's
        Assert.Equal(right, together.Accuracy!.Value);
    }

    [Fact]
    public void Policy_OfSampledAnswers_EqualsTheEstimator()
    {
        using DecoderModel model = TestModels.Random(TestModels.Tiny, 4);
        (TrainRecipe recipe, TokenDataset data) = TestModels.Of("policy", _folder.Path, 300, 9, 12, 20, 7);
        using TokenDataset owned = data;
        PlainDecoder plain = PlainDecoder.Copy(model);
        List<double> ratios = [];
        double expected = 0;
        int count = 0;
        for (int document = 0; document < 4; document++)
        {
            float[] sampled = new float[data.Length(document)];
            byte[] marks = new byte[sampled.Length];
            data.ReadLogProbs(document, 0, sampled);
            data.ReadTargets(document, 0, marks);
            double[] logProbs = Marked(plain, data, document),
                at = [.. sampled.Where((_, i) => marks[i] == 1).Select(value => (double)value)];
            for (int i = 0; i < at.Length; i++)
            {
                ratios.Add(Math.Exp(logProbs[i] - at[i]));
                expected -= (document % 2 == 0 ? 1 : -1) * Math.Min(1.5, ratios[^1]) * logProbs[i];
                count++;
            }
        }
        Assert.Contains(ratios, ratio => ratio > 1.5);
        Assert.Contains(ratios, ratio => ratio < 1.5);
        Assert.Equal(expected / count, new StepLearner(recipe, null).Evaluate(model, data, [Units(data, 0, 1), Units(data, 2, 3)]).Loss,
            1e-4);
    }

    /// <summary>Packed into one micro-batch or one document at a time: the same loss to 1e-6 and the same gradient.</summary>
    [Theory]
    [InlineData("next-token", false)]
    [InlineData("supervised", false)]
    [InlineData("preference", false)]
    [InlineData("kto", false)]
    [InlineData("policy", false)]
    [InlineData("soft-targets", false)]
    [InlineData("supervised", true)]
    [InlineData("preference", true)]
    [InlineData("kto", true)]
    public void Loss_Packed_EqualsUnpackedTo1e6(string name, bool lora)
    {
        using DecoderModel model = lora ? TestModels.RandomLora(_folder["base"], 7) : TestModels.Random(TestModels.Tiny, 7);
        (TrainRecipe recipe, TokenDataset data) = TestModels.Of(name, _folder.Path, model.Config.VocabSize, 9, 33, 3, 60, 12, 21);
        using TokenDataset owned = data;
        double[] reference = StepLearner.Reference(model, data, 64, CancellationToken.None);
        for (int i = 0; i < reference.Length; i++) reference[i] += i % 3 - 1;
        var objective = new StepLearner(recipe with { ZLoss = 0.01 }, reference);
        int unit = name is "preference" or "kto" ? 2 : 1;
        long[] all = [0, 1, 2, 3, 4, 5];
        (double together, float[][] packed) = LossAndGradient(objective, model, data, [Units(data, all)]);
        (double apart, float[][] unpacked) = LossAndGradient(objective, model, data,
            [.. all.Chunk(unit).Select(documents => Units(data, documents))]);
        Assert.Equal(apart, together, 1e-6 * Math.Max(1, Math.Abs(apart)));
        for (int i = 0; i < packed.Length; i++)
            for (int j = 0; j < packed[i].Length; j++)
                Assert.Equal(unpacked[i][j], packed[i][j], 1e-5f * Math.Max(1, Math.Abs(unpacked[i][j])));
    }

    private static (double, float[][]) LossAndGradient(StepLearner objective, DecoderModel model, TokenDataset data, List<Segment>[] micros)
    {
        foreach ((_, Tensor parameter) in model.Parameters) parameter.grad = null;
        double loss = objective.Accumulate(model, data, micros).Loss;
        return (loss, [.. model.Parameters.Select(parameter => parameter.Tensor.grad!.data<float>().ToArray())]);
    }

    /// <summary>At the start the policy is the reference: loss log 2 for every pair.</summary>
    [Fact]
    public void Preference_AgainstItsOwnReference_IsLogTwo()
    {
        using DecoderModel model = TestModels.Random(TestModels.Tiny, 4);
        using TokenDataset data = Pairs(9, 12, 20, 7, 30, 31);
        var objective = new StepLearner(new TrainRecipe { Objective = "preference" },
            StepLearner.Reference(model, data, 40, CancellationToken.None));
        Assert.Equal(Math.Log(2), objective.Evaluate(model, data, [Units(data, 0, 1, 2, 3, 4, 5)]).Loss, 1e-5);
    }

    [Fact]
    public void Accumulate_CutDifferently_GivesTheSameGradient()
    {
        using DecoderModel model = TestModels.Random(TestModels.Tiny, 4);
        using TokenDataset data = Pairs(9, 12, 20, 7);
        var objective = new StepLearner(new TrainRecipe { Objective = "supervised" }, null);
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

    private TokenDataset Pairs(params int[] lengths) =>
        TokenDataset.Open(TestModels.Dataset(_folder.Path, 300, "none", lengths, 3, pairs: true));

    private static List<Segment> Units(TokenDataset data, params long[] documents) =>
        [.. documents.Select(document => new Segment(document, 0, data.Length(document)))];

    private static double[] Marked(PlainDecoder plain, TokenDataset data, long document)
    {
        long[] tokens = new long[data.Length(document)];
        byte[] marks = new byte[tokens.Length];
        data.ReadTokens(document, 0, tokens);
        data.ReadTargets(document, 0, marks);
        return [.. plain.LogProbs(tokens).Where((_, i) => marks[i + 1] == 1)];
    }
}
