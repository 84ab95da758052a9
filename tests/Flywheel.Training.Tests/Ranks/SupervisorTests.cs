using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Training.Tests;

/// <summary>The supervisor against ranks that are a shell script: how they end is theirs to say.</summary>
public sealed class SupervisorTests : IDisposable
{
    private const string Forecast = """{"forecast":{"steps":7,"tokens":70,"tokens_per_second":1,"seconds":70,"memory_bytes":1000}}""";

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <param name="losses">Attempts that end as by kill -9; the next one says what it found.</param>
    private Supervisor Losing(int losses, List<string> notes)
    {
        File.WriteAllText(_folder["rank.sh"], $"""
            echo x >> "{_folder["attempts"]}"
            if [ "$(wc -l < "{_folder["attempts"]}")" -le {losses} ]; then echo 'the machine went down' >&2; kill -9 $$; fi
            echo '{Forecast}'
            """);
        return new Supervisor { Launcher = [], RankCommand = ["bash", _folder["rank.sh"]], Note = notes.Add };
    }

    [Fact]
    public void Forecast_RanksLostTwice_IsMadeAllTheSame()
    {
        List<string> notes = [];
        TrainingForecast forecast = Losing(2, notes)
            .Forecast(TrainingRunTests.Job(_folder.Path, "run", "next-token"), CancellationToken.None);
        Assert.Equal((7, 70L), (forecast.Steps, forecast.Tokens));
        Assert.Equal(2, notes.Count);
        Assert.All(notes,
            note => Assert.Contains(
                "the first steps were not finished (exit code 137); starting them again; the last that they wrote:\n  the machine went down", note, StringComparison.Ordinal));
    }

    /// <summary>Another machine may do: the exit code of lost ranks, not of a wrong recipe; memory is told as a fact, not as the
    /// cause.</summary>
    [Fact]
    public void Forecast_RanksLostAgainAndAgain_SaysSo()
    {
        var error =
            Assert.Throws<RanksLostException>(() =>
                Losing(9, []).Forecast(TrainingRunTests.Job(_folder.Path, "run", "next-token"), CancellationToken.None));
        Assert.Contains("not finished (exit code 137), 3 times; giving up. Memory as counted, for each of 1: weights ", error.Message,
            StringComparison.Ordinal);
        Assert.Contains("the machine went down", error.Message, StringComparison.Ordinal);
        Assert.Equal(3, File.ReadLines(_folder["attempts"]).Count());
    }
}
