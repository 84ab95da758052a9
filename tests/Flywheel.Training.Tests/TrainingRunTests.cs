using System.Diagnostics;
using System.Text.Json;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Training.Tests;

public sealed class TrainingRunTests : IDisposable
{
    private const string ChildVariable = "FLYWHEEL_TEST_CHILD_RUN";

    private static readonly string[] s_texts = ["the quick brown fox jumps over the lazy dog", "a small model learns small words",
        "pack my box with five dozen jugs"];

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("next-token")]
    [InlineData("supervised")]
    [InlineData("preference")]
    public void Run_Cancelled_GoesOnToTheSameBits(string objective)
    {
        string expected = TrainingRun.Run(Job("whole", objective)).Hash;
        List<string> notes = [];
        string? finished = null;
        for (int stop = 3; finished is null; stop += 4)
        {
            using var cancellation = new CancellationTokenSource();
            try
            {
                finished = TrainingRun.Run(Job("stopped", objective), progress =>
                {
                    if (progress.Note is not null) notes.Add(progress.Note);
                    if (progress.Line?.Step == stop) cancellation.Cancel();
                }, cancellation.Token).Hash;
            }
            catch (OperationCanceledException)
            {
                Assert.Equal(stop, TrainingLog.Read(_folder["stopped"])[^1].Step);
            }
        }
        Assert.Equal(expected, finished);
        Assert.Contains("resumed after step 3", notes);
        Assert.Equal(Losses("whole"), Losses("stopped"));
        Assert.Equal(expected, TrainingRun.Run(Job("stopped", objective)).Hash); // a finished run is not run again
    }

    [Fact]
    public void Run_Finished_LeavesLogCurveRecipeAndResult()
    {
        TrainedModel model = TrainingRun.Run(Job("run", "next-token"));
        IReadOnlyList<LogLine> log = TrainingLog.Read(_folder["run"]);
        Assert.Equal(Enumerable.Range(1, 12), log.Where(line => line.Loss is not null).Select(line => line.Step));
        Assert.Equal([5, 10, 12], log.Where(line => line.ValidationLoss is not null).Select(line => line.Step));
        Assert.True(log.First(line => line.Loss is not null).Loss > log.Last(line => line.Loss is not null).Loss + 0.5);
        Assert.Equal(RecipeFile.ToYaml(Recipe("next-token")), File.ReadAllText(Path.Combine(_folder["run"], "recipe.yaml")));
        Assert.Equal("svg", System.Xml.Linq.XDocument.Load(Path.Combine(_folder["run"], "curve.svg")).Root!.Name.LocalName);
        Assert.True(new FileInfo(Path.Combine(_folder["run"], "curve.png")).Length > 5000);
        TrainingResult result = TrainingResult.Read(_folder["run"])!;
        Assert.Equal((model.Hash, 12, log[^1].ValidationLoss), (result.Model, result.Steps, result.ValidationLoss));
        Assert.Equal(result.ValidationLoss, model.Manifest.Evaluation["validation_loss"]);
        Assert.Equal(TokenDataset.Open(Job("run", "next-token").TrainData).Manifest.Hash, model.Manifest.Dataset);
    }

    /// <summary>kill -9 of a real process, again and again; the weights are those of a run that nobody touched.</summary>
    [Fact]
    public async Task Run_KilledManyTimes_EndsWithTheSameBits()
    {
        TrainingJob job = Job("killed", "next-token", steps: 60);
        string expected = TrainingRun.Run(Job("whole", "next-token", steps: 60)).Hash;
        var random = new SeededRandom(20261123, 0);
        int kills = 0;
        while (TrainingResult.Read(job.RunFolder) is null)
        {
            Assert.True(kills < 60, "the run makes no progress between kills");
            using Process child = Start();
            int before = LastStep(), wanted = kills < 4 ? before + 1 + random.Next(12) : int.MaxValue; // four deaths, then to the end
            while (!child.HasExited && LastStep() < wanted) await Task.Delay(random.Next(12), TestContext.Current.CancellationToken);
            await Task.Delay(random.Next(20), TestContext.Current.CancellationToken); // into the next step or its checkpoint
            if (!child.HasExited && wanted < int.MaxValue)
            {
                child.Kill();
                kills++;
            }
            string errors = await child.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await child.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(child.ExitCode is 0 or 137, errors);
        }
        Assert.True(kills >= 3, $"only {kills} kills");
        Assert.Equal(expected, TrainingResult.Read(job.RunFolder)!.Model);

        int LastStep() => File.Exists(TrainingLog.PathOf(job.RunFolder)) ? File.ReadLines(TrainingLog.PathOf(job.RunFolder)).Count() : 0;

        Process Start()
        {
            var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true,
                Environment = { [ChildVariable] = _folder.Path } };
            if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
                start.ArgumentList.Add(typeof(TrainingRunTests).Assembly.Location);
            foreach (string argument in new[] { "--filter-method", "*" + nameof(Run_AsTheChildOfTheKillTest) })
                start.ArgumentList.Add(argument);
            return Process.Start(start)!;
        }
    }

    [Fact]
    public void Run_AsTheChildOfTheKillTest()
    {
        string? parent = Environment.GetEnvironmentVariable(ChildVariable);
        if (parent is null) Assert.Skip("only the kill test starts this, in a process of its own");
        TrainingRun.Run(Job(parent, "killed", "next-token", steps: 60));
    }

    [Fact]
    public void Run_NewestCheckpointDamaged_NamesItAndUsesTheOneBefore()
    {
        string expected = TrainingRun.Run(Job("whole", "next-token")).Hash;
        StopAt("run", 5);
        StopAt("run", 6);
        string newest = Directory.GetFiles(Path.Combine(_folder["run"], "checkpoints"), "*.safetensors").Max()!;
        using (FileStream stream = File.OpenWrite(newest))
        {
            stream.Position = stream.Length - 100;
            stream.WriteByte(0x5A);
        }
        List<string> notes = [];
        string actual = TrainingRun.Run(Job("run", "next-token"), progress => notes.AddRange(progress.Note is { } note ? [note] : [])).Hash;
        Assert.Equal(expected, actual);
        Assert.Contains(notes,
            note => note.Contains(newest, StringComparison.Ordinal) && note.Contains("damaged", StringComparison.Ordinal));
        Assert.Contains("resumed after step 5", notes);
    }

    [Fact]
    public void Run_EveryCheckpointDamaged_StartsAgainAndEndsTheSame()
    {
        string expected = TrainingRun.Run(Job("whole", "next-token")).Hash;
        StopAt("run", 6);
        foreach (string file in Directory.GetFiles(Path.Combine(_folder["run"], "checkpoints"), "*.safetensors"))
            File.WriteAllText(file, "no");
        List<string> notes = [];
        Assert.Equal(expected,
            TrainingRun.Run(Job("run", "next-token"), progress => notes.AddRange(progress.Note is { } note ? [note] : [])).Hash);
        Assert.Contains("starting again from the first step", notes);
    }

    [Fact]
    public void Run_LossNotFinite_StopsWithStepAndCheckpoint()
    {
        TrainingJob job = Job("run", "next-token");
        job = job with { Recipe = job.Recipe with { Train = job.Recipe.Train with { LearningRate = 1e30, ClipNorm = 0 } } };
        var error = Assert.Throws<FlywheelException>(() => TrainingRun.Run(job));
        Assert.Matches(
            @"the (loss|gradient's norm) became .* at step \d+, documents \d+(, \d+)* of .*; the last good checkpoint is .*step-0000001.0-of-1.safetensors", error.Message);
        Assert.False(File.Exists(Path.Combine(_folder["run"], "result.json")));
    }

    /// <summary>A real full disk, in the middle of a run: neither log nor checkpoints find room for a while.</summary>
    [Fact]
    public void Run_DiskFullForAWhile_LosesNothing()
    {
        string expected = TrainingRun.Run(Job("whole", "next-token", steps: 40)).Hash, ballast = Path.Combine(_folder["run"], "ballast");
        using var disk = new SmallDisk(_folder["run"], 4 << 20);
        List<string> notes = [];
        TrainedModel model = TrainingRun.Run(Job("run", "next-token", steps: 40), progress =>
        {
            if (progress.Note is not null) notes.Add(progress.Note);
            if (progress.Line?.Step == 3) SmallDisk.Fill(ballast);
            if (progress.Line?.Step == 36) File.Delete(ballast);
        });
        Assert.Equal(expected, model.Hash);
        Assert.Equal(Losses("whole"), Losses("run"));
        Assert.Contains(notes,
            note => System.Text.RegularExpressions.Regex.IsMatch(note,
                @"was not written \(.*step-\d+\.0-of-1\.safetensors: the disk is full: it needs [\d,]+ bytes, [\d,]+ are free\); the last good one is .*; training goes on"));
        Assert.Contains(notes, note => note.Contains("waits in memory", StringComparison.Ordinal));
    }

    [Fact]
    public void Run_DiskFullAtTheEnd_WaitsForRoom()
    {
        string expected = TrainingRun.Run(Job("whole", "next-token")).Hash, ballast = Path.Combine(_folder["run"], "ballast");
        using var disk = new SmallDisk(_folder["run"], 4 << 20);
        List<string> notes = [];
        TrainedModel model = TrainingRun.Run(Job("run", "next-token"), progress =>
        {
            if (progress.Note is not null) notes.Add(progress.Note);
            if (progress.Line?.Step == 6) SmallDisk.Fill(ballast);
            if (progress.Note?.Contains("the run is finished", StringComparison.Ordinal) == true) File.Delete(ballast);
        });
        Assert.Equal(expected, model.Hash);
        Assert.Equal(Losses("whole"), Losses("run"));
        Assert.Single(notes, note => note.Contains("the run is finished, but its model cannot be written", StringComparison.Ordinal));
    }

    [Fact]
    public void Run_InterruptedWhileItWaitsForRoom_SaysSoAndGoesOnAfterwards()
    {
        string expected = TrainingRun.Run(Job("whole", "next-token")).Hash, ballast = Path.Combine(_folder["run"], "ballast");
        using var disk = new SmallDisk(_folder["run"], 4 << 20);
        using var interrupt = new CancellationTokenSource();
        var error = Assert.Throws<FlywheelException>(() => TrainingRun.Run(Job("run", "next-token"), progress =>
        {
            if (progress.Line?.Step == 6) SmallDisk.Fill(ballast);
            if (progress.Note?.Contains("the run is finished", StringComparison.Ordinal) == true) interrupt.Cancel();
        }, interrupt.Token));
        Assert.Matches("the disk is full|no space left on the disk", error.Message);
        File.Delete(ballast);
        List<string> notes = [];
        Assert.Equal(expected,
            TrainingRun.Run(Job("run", "next-token"), progress => notes.AddRange(progress.Note is { } note ? [note] : [])).Hash);
        Assert.Matches("resumed after step [1-6]", Assert.Single(notes));
        Assert.Equal(Losses("whole"), Losses("run"));
    }

    [Fact]
    public void Run_InTheFolderOfAnotherRun_IsRefused()
    {
        StopAt("run", 2);
        var error = Assert.Throws<FlywheelException>(() => TrainingRun.Run(Job("run", "supervised")));
        Assert.Contains("holds another run", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_DataOfAnotherTokenizerOrKind_IsRefused()
    {
        TrainingJob job = Job("run", "supervised");
        string foreign = TestModels.Dataset(_folder.Path, 280, "another", [4, 5], 1);
        Assert.Contains("made with tokenizer another",
            Assert.Throws<FlywheelException>(() => TrainingRun.Run(job with { TrainData = foreign })).Message, StringComparison.Ordinal);
        string pairs = TestModels.Dataset(_folder.Path, 280, job.Tokenizer!.Hash, [4, 5], 1, pairs: true);
        Assert.Contains("holds preference pairs, which does not suit the recipe's objective 'supervised'",
            Assert.Throws<FlywheelException>(() => TrainingRun.Run(job with { TrainData = pairs })).Message, StringComparison.Ordinal);
    }

    /// <summary>Resuming keeps the number of threads, since results depend on it.</summary>
    [Fact]
    public void Run_GoneOnWithWithOtherThreads_KeepsItsOwn()
    {
        string expected = TrainingRun.Run(Job("whole", "next-token")).Hash;
        StopAt("run", 6);
        Assert.Equal(expected, TrainingRun.Run(Job("run", "next-token") with { NumThreads = 1 }).Hash);
    }

    /// <summary>An adapter with its lineage, the same bits after a stop, and the loss of base and adapter together.</summary>
    [Theory]
    [InlineData("supervised")]
    [InlineData("preference")]
    [InlineData("kto")]
    public void Run_WithLora_MakesAnAdapterThatResumesAndMerges(string objective)
    {
        ModelFolder parent = TrainingRun.Run(Job("base", "next-token")).Model!;
        TrainingJob Adapt(string run)
        {
            TrainingJob job = Job(run, objective);
            return job with { Base = parent, Config = null, Tokenizer = null,
                Recipe = job.Recipe with { Base = "x", Train = job.Recipe.Train with { Lora = new LoraRecipe { Rank = 4, Alpha = 8 } } } };
        }
        TrainedModel expected = TrainingRun.Run(Adapt("whole"));
        AdapterFolder adapter = expected.Adapter!;
        using var cancellation = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => TrainingRun.Run(Adapt("stopped"), progress =>
        {
            if (progress.Line?.Step == 5) cancellation.Cancel();
        }, cancellation.Token));
        Assert.Equal(expected.Hash, TrainingRun.Run(Adapt("stopped")).Hash);
        Assert.Equal((parent.Hash, parent.Hash, 4, "test"),
            (adapter.Config.BaseHash, adapter.Manifest.Parent, adapter.Config.Rank, adapter.Manifest.Name));
        Assert.Equal(expected.Hash, TrainingRun.Run(Adapt("whole")).Hash); // finished: read from its folder
        if (objective != "supervised") return;
        ModelFolder merged = adapter.Merge(parent, _folder["merged"], TensorType.F32);
        using DecoderModel model = DecoderModel.Load(merged);
        using TokenDataset validation = TokenDataset.Open(Adapt("whole").ValidationData!);
        double loss = new StepLearner(Adapt("whole").Recipe.Train, null).Evaluate(model, validation,
            DataOrder.Sample(validation, false, 64, 64)).Loss;
        Assert.Equal(adapter.Manifest.Evaluation["validation_loss"], loss, 1e-4);
        Assert.True(loss < TrainingLog.Read(_folder["whole"]).First(line => line.Loss is not null).Loss);
    }

    private void StopAt(string run, int step)
    {
        using var cancellation = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => TrainingRun.Run(Job(run, "next-token"), progress =>
        {
            if (progress.Line?.Step == step) cancellation.Cancel();
        }, cancellation.Token));
    }

    private double?[] Losses(string run) => [.. TrainingLog.Read(_folder[run]).Select(line => line.Loss ?? line.ValidationLoss)];

    private static Recipe Recipe(string objective, int steps = 12) => new()
    {
        Name = "test",
        Seed = 3,
        Train = new TrainRecipe { Objective = objective, Steps = steps, BatchTokens = 160, MicroTokens = 64, LearningRate = 0.01,
            EvaluateEvery = 5, CheckpointSeconds = 0.001, DpoSupervised = 0.1 },
    };

    private TrainingJob Job(string run, string objective, int steps = 12) => Job(_folder.Path, run, objective, steps);

    internal static TrainingJob Job(string folder, string run, string objective, int steps = 12, int numDocuments = 30)
    {
        Tokenizer tokenizer = Tokenizer.Train(s_texts, 280);
        bool pairs = objective is "preference" or "kto";
        return new TrainingJob
        {
            Recipe = Recipe(objective, steps),
            RunFolder = Path.Combine(folder, run),
            Config = TestModels.Tiny with { VocabSize = tokenizer.VocabSize },
            Tokenizer = tokenizer,
            TrainData = Skewed(folder, tokenizer, numDocuments, 1, pairs, objective == "kto"),
            ValidationData = Skewed(folder, tokenizer, 6, 2, pairs, objective == "kto"),
            ModelsFolder = Path.Combine(folder, "models"),
            NumThreads = 2,
        };
    }

    /// <summary>Documents in which the next token follows from the one before, so that there is something to learn.</summary>
    private static string Skewed(string folder, Tokenizer tokenizer, int numDocuments, int seed, bool pairs, bool labels)
    {
        var random = new SeededRandom((ulong)seed, 5);
        using var writer = new TokenDatasetWriter(folder,
            new DatasetManifest { TokenizerHash = tokenizer.Hash, VocabSize = tokenizer.VocabSize, Pairs = pairs, Labels = labels });
        for (int document = 0; document < numDocuments; document++)
        {
            int[] tokens = new int[5 + random.Next(40)];
            byte[] marks = new byte[tokens.Length];
            tokens[0] = random.Next(tokenizer.VocabSize);
            for (int i = 1; i < tokens.Length; i++)
                (tokens[i], marks[i]) = (document % 2 == 1 && pairs
                    ? random.Next(tokenizer.VocabSize) : (tokens[i - 1] * 5 + random.Next(2)) % 16, (byte)(i > 2 ? 1 : 0));
            writer.Add(tokens, marks, labels ? document % 4 < 2 ? 1 : -1 : null);
        }
        return writer.Complete();
    }
}
