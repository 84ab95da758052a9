using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Flywheel.Loop.Runs;
using Flywheel.Model;

namespace Flywheel.EndToEnd.Tests;

/// <summary>A sweep whose process is killed goes on with the runs that it has.</summary>
public sealed class SweepKillTests
{
    private static readonly string[] s_over = ["--over", "train.learning_rate=1e-3,3e-3,1e-2,3e-2", "--budget", "0.15"];

    [Fact]
    public async Task Sweep_KilledTwice_FinishesTheRunsItBeganAndNoOthers()
    {
        using var training = new TinyTraining(steps: 60, numTexts: 300);
        string runs = Path.Combine(training.Home("sweep"), "runs");
        Dictionary<string, DateTime> finished = [];
        foreach (int wanted in new[] { 1, 3 })
        {
            var output = new StringBuilder();
            using Process killed = training.Launch("sweep", output, ["sweep", training.Recipe, .. s_over]);
            for (long started = Stopwatch.GetTimestamp(); Results().Length < wanted; await Task.Delay(5,
                TestContext.Current.CancellationToken))
                Assert.True(!killed.HasExited && Stopwatch.GetElapsedTime(started).TotalMinutes < 3, $"waited in vain\n{output}");
            killed.Kill();
            await killed.WaitForExitAsync(TestContext.Current.CancellationToken);
            foreach (string result in Results()) finished.TryAdd(result, File.GetLastWriteTimeUtc(result));
        }
        var last = new StringBuilder();
        using Process whole = training.Launch("sweep", last, ["sweep", training.Recipe, .. s_over]);
        await whole.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(whole.ExitCode == 0, last.ToString());
        Assert.Contains("resuming the sweep", last.ToString(), StringComparison.Ordinal);
        Assert.All(finished, result => Assert.Equal(result.Value, File.GetLastWriteTimeUtc(result.Key))); // used again, not run again
        SweepResult sweep =
            JsonSerializer.Deserialize<SweepResult>(
                await File.ReadAllTextAsync(Assert.Single(Directory.GetFiles(runs, "sweep.json", SearchOption.AllDirectories)),
                    TestContext.Current.CancellationToken), JsonText.Compact)!;
        Assert.Equal(sweep.Tries.Select(attempt => attempt.Run).Order(),
            Directory.GetDirectories(runs).Select(Path.GetFileName).Where(name => name!.StartsWith("tiny-", StringComparison.Ordinal))
                .Order());
        Assert.Equal((2, 6), (sweep.NumRungs, sweep.Tries.Count)); // 4, then the best 2

        string[] Results() => Directory.Exists(runs) ? Directory.GetFiles(runs, "result.json", SearchOption.AllDirectories) : [];
    }
}
