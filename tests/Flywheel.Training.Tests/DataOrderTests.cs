using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Training.Tests;

public sealed class DataOrderTests
{
    private static readonly Gen<(int[] Lengths, int BatchTokens, int MicroTokens, int Seed, bool Split)> Cases =
        Gen.Select(Gen.Int[2, 60].Array[1, 40], Gen.Int[8, 200], Gen.Int[8, 100], Gen.Int[0, 1000], Gen.Bool);

    /// <summary>Over whole epochs every token after the first of each document is predicted exactly once an epoch.</summary>
    [Fact]
    public void Steps_OverWholeEpochs_SeeEveryTokenExactlyOnceAnEpoch() => Cases.Sample(test =>
    {
        using var folder = new TempFolder();
        using TokenDataset data = TokenDataset.Open(TestModels.Dataset(folder.Path, 300, "none", test.Lengths, 1));
        int context = test.Split ? 16 : 64;
        var recipe = new TrainRecipe { Objective = test.Split ? "next-token" : "supervised", Epochs = 2, BatchTokens = test.BatchTokens,
            MicroTokens = test.MicroTokens };
        var order = new DataOrder(data, recipe, test.Seed, context);
        var seen = new Dictionary<(long, int), int>();
        for (int step = 0; step < order.NumSteps; step++)
        {
            List<List<Segment>> micros = order.Step(step);
            Assert.NotEmpty(micros);
            Assert.True(micros.Sum(micro => micro.Count) == 1
                || micros.Sum(micro => micro.Sum(segment => segment.NumInputs)) <= test.BatchTokens);
            foreach (List<Segment> micro in micros)
            {
                Assert.True(micro.Count == 1 || micro.Sum(segment => segment.NumInputs) <= test.MicroTokens);
                foreach (Segment segment in micro)
                {
                    Assert.InRange(segment.NumInputs, 1, context);
                    for (int i = 1; i < segment.Length; i++)
                        seen[(segment.Document, segment.Start + i)] = seen.GetValueOrDefault((segment.Document, segment.Start + i)) + 1;
                }
            }
        }
        Assert.Equal(test.Lengths.Sum(length => length - 1), seen.Count);
        Assert.All(seen.Values, count => Assert.Equal(2, count));
    }, iter: 60);

    [Fact]
    public void Step_AskedInAnyOrder_IsTheSame()
    {
        using var folder = new TempFolder();
        using TokenDataset data = TokenDataset.Open(TestModels.Dataset(folder.Path, 300, "none", Enumerable.Range(2, 40), 1));
        var recipe = new TrainRecipe { Objective = "supervised", Steps = 30, BatchTokens = 150, MicroTokens = 70 };
        var forward = new DataOrder(data, recipe, 9, 64);
        string[] expected = [.. Enumerable.Range(0, 30).Select(step => Text(forward.Step(step)))];
        var backward = new DataOrder(data, recipe, 9, 64);
        for (int step = 29; step >= 0; step--) Assert.Equal(expected[step], Text(backward.Step(step)));
        Assert.NotEqual(expected[0], Text(new DataOrder(data, recipe, 10, 64).Step(0)));
        Assert.Equal(30, forward.NumSteps);

        static string Text(List<List<Segment>> micros) => string.Join(" | ", micros.Select(micro => string.Join(", ", micro)));
    }

    [Fact]
    public void Step_OfPairs_KeepsPreferredAndRejectedTogether()
    {
        using var folder = new TempFolder();
        using TokenDataset data = TokenDataset.Open(TestModels.Dataset(folder.Path, 300, "none", Enumerable.Range(2, 40), 1, pairs: true));
        var order = new DataOrder(data, new TrainRecipe { Objective = "preference", Epochs = 3, BatchTokens = 200, MicroTokens = 90 }, 1,
            64);
        for (int step = 0; step < order.NumSteps; step++)
            foreach (List<Segment> micro in order.Step(step))
                for (int i = 0; i < micro.Count; i += 2)
                    Assert.Equal((0, micro[i].Document + 1), (micro[i].Document % 2, micro[i + 1].Document));
    }

    [Fact]
    public void Constructor_DocumentLongerThanContextInFineTuning_NamesIt()
    {
        using var folder = new TempFolder();
        using TokenDataset data = TokenDataset.Open(TestModels.Dataset(folder.Path, 300, "none", [5, 70], 1));
        var error =
            Assert.Throws<FlywheelException>(() => new DataOrder(data, new TrainRecipe { Objective = "supervised", Steps = 1 }, 1, 64));
        Assert.Contains("document 1 has 70 tokens", error.Message, StringComparison.Ordinal);
    }
}
