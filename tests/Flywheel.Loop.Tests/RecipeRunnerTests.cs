using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Testing;
using Flywheel.Training;

namespace Flywheel.Loop.Tests;

/// <summary>Recipes from the YAML to a model folder, on a data set of a few lines.</summary>
public sealed class RecipeRunnerTests : IDisposable
{
    private const string Pretrain = """
        name: tiny-pretrain
        tokenizer: { vocab: 300 }
        model: { hidden: 16, intermediate: 24, layers: 1, heads: 2, kv_heads: 1, head_dim: 8, context: 128 }
        data: [{ source: jsonl, path: chats.jsonl }]
        train: { objective: next-token, steps: 3, batch_tokens: 256, micro_tokens: 128 }
        """;

    private const string Tune = """
        name: tiny
        base: pretrain.yaml
        data: [{ source: jsonl, path: chats.jsonl }]
        train: { objective: supervised, steps: 2, batch_tokens: 256, micro_tokens: 128, save: bfloat16 }
        """;

    private readonly TempFolder _folder = new();
    private readonly FlywheelHome _home;

    public RecipeRunnerTests()
    {
        _home = new FlywheelHome(_folder["home"]);
        File.WriteAllText(_folder["pretrain.yaml"], Pretrain);
        File.WriteAllText(_folder["tune.yaml"], Tune);
        File.WriteAllText(_folder["circle.yaml"], Tune.Replace("pretrain.yaml", "circle.yaml", StringComparison.Ordinal));
        File.WriteAllLines(_folder["chats.jsonl"], Enumerable.Range(0, 150).Select(i =>
            new Conversation([Message.User($"Say number {i}"), Message.Assistant($"It is {i}, as you said.")]).ToString()));
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Run_BaseIsARecipe_RunsItFirstAndUsesItAgain()
    {
        List<string> trained = [];
        FinishedRun first = Run("tune.yaml", trained);
        Assert.Equal(["tiny-pretrain", "tiny"], trained.Distinct());
        ModelFolder parent =
            ModelFolder.Open(Assert.Single(Directory.GetDirectories(_home.Models),
                path => !path.EndsWith(first.Result.Hash[..12], StringComparison.Ordinal)));
        Assert.Equal(parent.Hash, first.Result.Manifest.Parent);
        Assert.Equal(parent.Tokenizer.Hash, first.Result.Model!.Tokenizer.Hash);
        Assert.Equal("tiny", first.Result.Manifest.Name);

        trained.Clear();
        Assert.Equal(first.Result.Hash, Run("tune.yaml", trained).Result.Hash);
        Assert.Empty(trained); // finished runs are used again

        FinishedRun other = Run("tune.yaml", trained, "train.learning_rate=1e-5", $"base={parent.ShortHash}");
        Assert.Equal(["tiny"], trained.Distinct());
        Assert.NotEqual(first.RunFolder, other.RunFolder);
        Assert.NotEqual(first.Result.Hash, other.Result.Hash);
        Assert.Equal(parent.Hash, other.Result.Manifest.Parent);
    }

    /// <summary>A forecast trains nothing: a base that is still to be trained is forecast too, and stood in for; one that is there is
    /// used.</summary>
    [Fact]
    public void Forecast_BaseIsARecipe_ForecastsItFirstAndTrainsNothing()
    {
        List<(string Recipe, string? Base)> measured = [];
        var runner = new RecipeRunner(_home)
        {
            NumThreads = 1, NumRanks = 2, Train = (_, _, _) => throw new InvalidOperationException("a forecast trains"),
            Pilot = (job, cancellation) =>
            {
                measured.Add((job.Recipe.Name, job.Base?.Manifest.Name));
                return TrainingPilot.Run(job, cancellation);
            },
        };
        var chain = runner.Forecast(_folder["tune.yaml"], ["train.steps=4"], TestContext.Current.CancellationToken);
        Assert.Equal([("tiny-pretrain", 3), ("tiny", 4)], chain.Select(each => (each.Recipe, each.Forecast.Steps)));
        Assert.Equal([("tiny-pretrain", null), ("tiny", "tiny-pretrain")], measured);
        Assert.Empty(Directory.GetDirectories(_home.Models));
        Assert.DoesNotContain(Directory.GetDirectories(_home.Cache).Select(path => Path.GetFileName(path)!),
            name => name.StartsWith("pilot", StringComparison.Ordinal) || name.StartsWith("stand", StringComparison.Ordinal));

        FinishedRun parent = Run("pretrain.yaml", []);
        Assert.Equal(["tiny"],
            runner.Forecast(_folder["tune.yaml"], [], TestContext.Current.CancellationToken).Select(each => each.Recipe));
        Assert.Equal(("tiny", parent.Result.Manifest.Name), measured[^1]);
        RunFolder run = RunFolder.Find(_home, "tiny-pretrain");
        Assert.Equal(("3", false), (run.Steps, run.IsRunning));
        Assert.Equal(run.Seconds / 3600 * run.Experiment!.NumThreads, run.ThreadHours, 1e-9);
    }

    /// <summary>An adapter from a recipe; used as a base it is merged, by recipe, by folder and by hash alike.</summary>
    [Fact]
    public void Run_WithLora_MakesAnAdapterThatIsABaseToo()
    {
        File.WriteAllText(_folder["adapt.yaml"],
            Tune.Replace("save: bfloat16", "lora: { rank: 2, alpha: 4, targets: [q_proj, v_proj], rslora: true }", StringComparison.Ordinal)
                .Replace("name: tiny", "name: adapted", StringComparison.Ordinal));
        File.WriteAllText(_folder["again.yaml"],
            Tune.Replace("pretrain.yaml", "adapt.yaml", StringComparison.Ordinal)
                .Replace("name: tiny", "name: again", StringComparison.Ordinal));
        FinishedRun adapted = Run("adapt.yaml", []);
        Assert.Equal(["q_proj", "v_proj"], adapted.Result.Adapter!.Config.TargetModules);
        Assert.Equal(adapted.Base!.Hash, adapted.Result.Manifest.Parent);
        FinishedRun again = Run("again.yaml", []);
        Assert.Equal(adapted.Whole(_home.Models).Hash, again.Result.Manifest.Parent);
        Assert.Equal(again.Result.Hash, Run("again.yaml", [], $"base={adapted.Result.Path}").Result.Hash);
        Assert.Equal(again.Result.Manifest.Parent, Run("again.yaml", [], $"base={adapted.Result.Hash[..8]}").Result.Manifest.Parent);
    }

    [Theory]
    [InlineData("tune.yaml", "base=elsewhere", "field 'base' is 'elsewhere'")]
    [InlineData("circle.yaml", "train.steps=3", "leads back to itself")]
    [InlineData("tune.yaml", "train.stepz=3", "stepz")]
    [InlineData("tune.yaml", "train.lora.rank=0", "field 'train.lora.rank' is 0")]
    [InlineData("tune.yaml", "train.objective=kto", "judged answers")]
    [InlineData("pretrain.yaml", "train.lora.rank=2", "because train.lora adapts a model")]
    [InlineData("pretrain.yaml", "train.objective=policy", "starts from a model")]
    [InlineData("pretrain.yaml", "train.optimizer=sgd", "field 'train.optimizer' is 'sgd'")]
    [InlineData("none.yaml", "train.steps=3", "no such file")]
    public void Run_InvalidRecipe_SaysWhatIsWrong(string recipe, string set, string expected)
    {
        var error = Assert.Throws<FlywheelException>(() => Run(recipe, [], set));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        // there the base has been trained
        if (!expected.Contains("judged", StringComparison.Ordinal)) Assert.Empty(Directory.GetDirectories(_home.Runs));
    }

    private FinishedRun Run(string recipe, List<string> trained, params string[] overrides) =>
        new RecipeRunner(_home) { NumThreads = 1, Progress = (name, _) => trained.Add(name) }.Run(_folder[recipe], overrides,
            TestContext.Current.CancellationToken);
}
