using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Training.Tests;

/// <summary>What a forecast counts, and that it leaves the run alone. How near it comes is in docs/experiments.md: time decides no
/// test.</summary>
public sealed class TrainingPilotTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("next-token")]
    [InlineData("preference")]
    [InlineData("kto")]
    public void Run_OfAJob_CountsItsStepsAndChangesNoBit(string objective)
    {
        TrainingJob job = TrainingRunTests.Job(_folder.Path, "run", objective);
        TrainingForecast forecast = TrainingPilot.Run(job with { RunFolder = Directory.CreateDirectory(_folder["pilot"]).FullName });
        Assert.False(Directory.Exists(job.RunFolder));
        Assert.Equal(["curve.png", "curve.svg", "log.jsonl"],
            Directory.GetFileSystemEntries(_folder["pilot"]).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal));
        string alone = TrainingRun.Run(TrainingRunTests.Job(_folder.Path, "whole", objective)).Hash;
        Assert.Equal(alone, TrainingRun.Run(job).Hash);

        TrainingResult result = TrainingResult.Read(job.RunFolder)!;
        // 12 steps: all of them are looked at
        Assert.Equal((result.Steps, result.Tokens, 1), (forecast.Steps, forecast.Tokens, forecast.NumRanks));
        Assert.InRange(forecast.Tokens / forecast.TokensPerSecond, 0, forecast.Seconds);
        Assert.InRange(forecast.ProgramBytes, 1, forecast.MemoryBytes);
        Assert.InRange(result.PeakMemoryBytes!.Value, 1, long.MaxValue);
        Assert.Equal(ProcessMemory.Resident, forecast.Here().ProgramBytes, 64e6);
        Assert.Equal(forecast.MemoryBytes - forecast.ProgramBytes, forecast.Here() is var here ? here.MemoryBytes - here.ProgramBytes : 0);
    }

    /// <summary>Evaluations on a part and at the end on all; with a reference, a pass over everything.</summary>
    [Theory]
    [InlineData("supervised", 0)]
    [InlineData("preference", 1)]
    [InlineData("kto", 1)]
    public void WorkOf_AJob_CountsPassesWithoutGradients(string objective, int references)
    {
        TrainingJob job = TrainingRunTests.Job(_folder.Path, "run", objective);
        using TokenDataset train = TokenDataset.Open(job.TrainData), validation = TokenDataset.Open(job.ValidationData!);
        long held = validation.Manifest.NumTokens, evaluations = 3; // after steps 5 and 10, and at the end
        Assert.Equal(evaluations * held + references * (train.Manifest.NumTokens + held), TrainingWork.Of(job).ForwardTokens);
    }

    [Fact]
    public void Run_OneStep_CannotBeForecast() =>
        Assert.Contains("a run of 1 step",
            Assert.Throws<FlywheelException>(() =>
                TrainingPilot.Run(TrainingRunTests.Job(_folder.Path, "run", "next-token", steps: 1))).Message, StringComparison.Ordinal);
}
