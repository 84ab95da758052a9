using System.Diagnostics;
using System.Text;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Testing;
using Flywheel.Training;

namespace Flywheel.EndToEnd.Tests;

/// <summary>A recipe of seconds, trained by the program as people run it, and the processes that take part.</summary>
internal sealed class TinyTraining : IDisposable
{
    private readonly TempFolder _folder = new();

    /// <param name="steps">Optimiser steps.</param>
    /// <param name="more">Further lines of <c>train</c>.</param>
    /// <param name="numTexts">Of 60 words each; some hundred leave a part to be held out.</param>
    public TinyTraining(int steps, string more = "", int numTexts = 60)
    {
        string texts = Directory.CreateDirectory(_folder["texts"]).FullName;
        string[] words =
            "the quick brown fox jumps over a lazy dog while one small model learns words slowly and then all at once".Split(' ');
        var random = new Random(1);
        for (int i = 0; i < numTexts; i++)
            File.WriteAllText(Path.Combine(texts, $"{i}.txt"),
                string.Join(' ', Enumerable.Range(0, 60).Select(_ => words[random.Next(words.Length)])) + ".\n");
        File.WriteAllText(Recipe, $"""
            name: tiny
            seed: 3
            tokenizer:
              vocab: 300
            model:
              hidden: 32
              intermediate: 64
              layers: 2
              heads: 2
              kv_heads: 1
              head_dim: 16
              context: 64
            data:
              - source: text
                path: texts
            train:
              objective: next-token
              steps: {steps}
              batch_tokens: 512
              micro_tokens: 128
              learning_rate: 5e-3
              evaluate_every: 20
              checkpoint_seconds: 0.05
            """ + "\n" + more);
    }

    public string Recipe => _folder["tiny.yaml"];

    public string Home(string name) => _folder[name];

    /// <summary>The run's folder, once there is one.</summary>
    public string? Run(string home) =>
        Directory.Exists(Path.Combine(Home(home), "runs"))
            ? Directory.GetDirectories(Path.Combine(Home(home), "runs")).SingleOrDefault() : null;

    public TrainingResult Result(string home) => TrainingResult.Read(Run(home)!)!;

    /// <summary>Loss and validation loss of every line, in order: nothing missing, nothing twice.</summary>
    public IEnumerable<(int Step, double? Loss, double? Validation)> Curve(string home) =>
        TrainingLog.Read(Run(home)!).Select(line => (line.Step, line.Loss, line.ValidationLoss));

    public int LoggedSteps(string home)
    {
        string? run = Run(home);
        return run is not null && TrainingLog.Read(run) is { Count: > 0 } lines ? lines[^1].Step : 0;
    }

    /// <summary>The program's <c>train</c> with this recipe; each rank has one thread.</summary>
    public Process Start(string home, StringBuilder output, params IEnumerable<string> arguments) =>
        Launch(home, output, ["train", Recipe, "--threads", "1", .. arguments]);

    /// <summary>Any verb of the program.</summary>
    public Process Launch(string home, StringBuilder output, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo("env", [.. ServerProcess.Interruptible, ServerProcess.Program, .. arguments])
        {
            RedirectStandardOutput = true, RedirectStandardError = true, Environment = { ["FLYWHEEL_HOME"] = Home(home) },
        };
        Process process = Process.Start(start)!;
        void Read(string? line)
        {
            lock (output) output.AppendLine(line);
        }
        process.OutputDataReceived += (_, e) => Read(e.Data);
        process.ErrorDataReceived += (_, e) => Read(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    /// <summary>What the undisturbed run trained, in another folder.</summary>
    public TrainingJob Job(string name)
    {
        Experiment experiment = Experiment.Read(Run("undisturbed")!)!;
        ModelFolder model = ModelFolder.Open(Result("undisturbed").ModelPath);
        string datasets = Path.Combine(Home("undisturbed"), "datasets");
        return new TrainingJob
        {
            Recipe = RecipeFile.Load(Recipe), RunFolder = Home(name), Config = model.Config, Tokenizer = model.Tokenizer, NumThreads = 1,
            ModelsFolder = Home(name + "-models"),
            TrainData = Path.Combine(datasets, experiment.Dataset),
            ValidationData = experiment.ValidationDataset is { } held ? Path.Combine(datasets, held) : null,
        };
    }

    /// <summary>Trained to the end by one process that nobody disturbs.</summary>
    public async Task<TrainingResult> UndisturbedAsync()
    {
        var output = new StringBuilder();
        using Process process = Start("undisturbed", output);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, output.ToString());
        return Result("undisturbed");
    }

    /// <summary>Processes of this training whose command line has all of some words.</summary>
    public int[] Processes(params string[] words)
    {
        List<int> found = [];
        foreach (string folder in Directory.GetDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), out int id)) continue;
            try
            {
                string[] line = File.ReadAllText(Path.Combine(folder, "cmdline")).Split('\0');
                if (line.Any(word => word.StartsWith(_folder.Path, StringComparison.Ordinal)) && words.All(line.Contains)) found.Add(id);
            }
            catch (IOException)
            {
                // It has ended in the meantime.
            }
        }
        return [.. found];
    }

    /// <summary>The ranks, without the launcher, whose command line holds theirs.</summary>
    public int[] RankProcesses() => [.. Processes("rank").Where(id => CommandName(id) is "dotnet" or "flywheel" or ".NET Long Runni")];

    private static string CommandName(int id)
    {
        try
        {
            return File.ReadAllText($"/proc/{id}/comm").Trim();
        }
        catch (IOException)
        {
            return "";
        }
    }

    public void Dispose() => _folder.Dispose();
}
