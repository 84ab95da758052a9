using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Testing;
using Flywheel.Training;

namespace Flywheel.Loop.Tests;

public sealed class SweepTests : IDisposable
{
    private const string Recipe = """
        name: tiny
        tokenizer: { vocab: 300 }
        model: { hidden: 16, intermediate: 24, layers: 1, heads: 2, kv_heads: 1, head_dim: 8, context: 64 }
        data: [{ source: jsonl, path: chats.jsonl }]
        train: { objective: next-token, epochs: 1, batch_tokens: 200, micro_tokens: 100 }
        """;

    private const double TokensPerSecond = 1_000;

    private readonly TempFolder _folder = new();
    private readonly string _path;

    public SweepTests() => File.WriteAllText(_path = _folder["recipe.yaml"], Recipe);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(9)]
    [InlineData(27)]
    [InlineData(100)]
    public void Run_ManyCombinations_TheBestSurvivesAndTheBudgetIsSpent(int count)
    {
        double best = count / 2;
        var sweep = new Sweep(_path, [$"seed={string.Join(',', Enumerable.Range(1, count))}"], 10);

        SweepResult result = sweep.Run(overrides => Pretend(overrides, seed => 2 + Math.Abs(seed - best)), TokensPerSecond);

        Assert.Equal([$"seed={best}"], result.Winner.Overrides);
        Assert.Equal(600, result.Tries.Sum(attempt => attempt.Seconds), 600 * 0.05);
        foreach (IGrouping<int, SweepTry> rung in result.Tries.GroupBy(attempt => attempt.Rung))
        {
            Assert.Equal(600.0 / sweep.NumRungs, rung.Sum(attempt => attempt.Seconds), 600.0 / sweep.NumRungs * 0.06);
            Assert.Single(rung.Select(attempt => attempt.Steps).Distinct()); // equally many tokens
        }
        Assert.InRange(result.Tries.Count(attempt => attempt.Rung == sweep.NumRungs - 1), 2, Sweep.Reduction);
    }

    [Fact]
    public void Run_WiderShapes_GetEquallyManyTokensAndFitTheBudget()
    {
        SweepResult result = new Sweep(_path, ["model.layers=1,2,8"], 10).Run(overrides =>
        {
            double layers = int.Parse(overrides[0].Split('=')[1]);
            return Pretend(overrides, _ => 3 - layers / 10, speed: TokensPerSecond / layers);
        }, TokensPerSecond);

        Assert.Single(result.Tries.Select(attempt => attempt.Steps).Distinct());
        // the embedding is a part of the tiny shape's cost, which the pretence ignores
        Assert.InRange(result.Tries.Sum(attempt => attempt.Seconds), 300, 1_300);
    }

    [Fact]
    public void Run_SomeRunsDiverge_AreAnsweredAndTheOthersGoOn()
    {
        SweepResult result = new Sweep(_path, ["train.learning_rate=1e-3,1e-2,1,10"], 1).Run(overrides =>
            overrides[0].EndsWith("=10", StringComparison.Ordinal)
                ? throw new FlywheelException("the loss became NaN at step 3") : Pretend(overrides, _ => overrides[0].Length),
                TokensPerSecond);

        Assert.Contains(result.Tries, attempt => attempt.Failure == "the loss became NaN at step 3" && attempt.Loss is null);
        Assert.Equal(["train.learning_rate=1"], result.Winner.Overrides);
    }

    [Fact]
    public void Run_AllFail_SaysWhy() =>
        Assert.Contains("no data",
            Assert.Throws<FlywheelException>(() =>
                new Sweep(_path, ["seed=1,2"], 1).Run(_ => throw new FlywheelException("no data"), TokensPerSecond)).Message);

    [Theory]
    [InlineData("", "--over ''")]
    [InlineData("train.learning_rate", "no field with values")]
    [InlineData("train.learning_rate=1e-3", "expected at least two")]
    [InlineData("train.learning_rate=1e-3,,1e-2", "empty value")]
    [InlineData("train.learning_rate=1e-3,1e-3", "a value twice")]
    [InlineData("train.learning_rate=fast,slow", "train.learning_rate=fast")]
    [InlineData("train.lerning_rate=1,2", "did you mean 'learning_rate'")]
    [InlineData("train.steps=1,2", "sets it from the budget")]
    [InlineData("tokenizer.vocab=300,400", "cannot be compared")]
    [InlineData("data=1,2", "cannot be compared")]
    public void Create_BadFields_NamesThem(string over, string expected) =>
        Assert.Contains(expected, Assert.Throws<FlywheelException>(() => new Sweep(_path, [over], 10)).Message);

    [Fact]
    public void Create_BadBudgetOrTooMany_IsRefused()
    {
        Assert.Contains("--budget is -1", Assert.Throws<FlywheelException>(() => new Sweep(_path, ["seed=1,2"], -1)).Message);
        Assert.Contains("300 combinations",
            Assert.Throws<FlywheelException>(() => new Sweep(_path, [$"seed={string.Join(',', Enumerable.Range(0, 300))}"], 1)).Message);
        Assert.Contains("twice", Assert.Throws<FlywheelException>(() => new Sweep(_path, ["seed=1,2", "seed=3,4"], 1)).Message);
    }

    /// <summary>A real sweep: the rates that cannot learn lose to one that can.</summary>
    [Fact]
    public void Run_RealRuns_PicksARateThatLearns()
    {
        File.WriteAllLines(_folder["chats.jsonl"], Enumerable.Range(0, 200).Select(i =>
            new Conversation([Message.User($"Say number {i}"), Message.Assistant($"It is {i}, as you said.")]).ToString()));
        var home = new FlywheelHome(_folder["home"]);
        var sweep = new Sweep(_path, ["train.learning_rate=1e-9,1e-2"], 0.05);

        SweepResult result = sweep.Run(overrides =>
        {
            FinishedRun run = new RecipeRunner(home) { NumThreads = 1 }.Run(_path, overrides);
            return (Path.GetFileName(run.RunFolder), TrainingResult.Read(run.RunFolder)!);
        }, 3_000);
        string folder = SweepFolder.Of(home, sweep);
        SweepFolder.Write(home, folder, result);

        Assert.Equal(["train.learning_rate=1e-2"], result.Winner.Overrides);
        Assert.Equal(["curves.png", "curves.svg", "report.md", "sweep.json"], Directory.GetFiles(folder).Select(Path.GetFileName).Order());
        Assert.Contains("Best: `train.learning_rate=1e-2`", File.ReadAllText(Path.Combine(folder, "report.md")));
        RunFolder[] runs = [.. RunFolder.All(home)];
        Assert.Equal(("train.learning_rate", 2), (Assert.Single(RunComparison.Differences(runs)).Field, runs.Length));
        Assert.Equal(result.Winner.Run, Assert.Single(RunComparison.Best(runs)).Name);
        Assert.All(runs, run => Assert.Equal((1, "tiny"), (run.Experiment!.Seed, run.Experiment.Recipe)));
    }

    private (string, TrainingResult) Pretend(IReadOnlyList<string> overrides, Func<int, double> loss, double speed = TokensPerSecond)
    {
        Recipe recipe = RecipeFile.Load(_path, overrides);
        long tokens = (long)recipe.Train.Steps * recipe.Train.BatchTokens;
        return ("run", new TrainingResult { Model = "", ModelPath = "", Steps = recipe.Train.Steps, Tokens = tokens,
            Seconds = tokens / speed, Loss = 1, ValidationLoss = loss(recipe.Seed) });
    }
}
