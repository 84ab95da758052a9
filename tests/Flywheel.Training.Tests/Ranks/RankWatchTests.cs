namespace Flywheel.Training.Tests;

/// <summary>When ranks that live are taken for lost. Seconds are the test's own.</summary>
public sealed class RankWatchTests
{
    private readonly Clock _clock = new();
    private readonly RankWatch _watch;

    public RankWatchTests() => _watch = new RankWatch(TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(300), _clock);

    /// <summary>A step of an hour: nothing is said but that both compute.</summary>
    [Fact]
    public void Fault_LongStep_IsNone()
    {
        for (int second = 0; second < 3600; second += 2) Assert.Null(After(2, (0, 0.9 * second), (1, 1.8 * second)));
    }

    /// <summary>One computes and the other waits: the last micro-batch is uneven.</summary>
    [Fact]
    public void Fault_OneWaitsForTheOther_IsNone()
    {
        for (int second = 0; second < 3600; second += 2) Assert.Null(After(2, (0, 3.0), (1, second)));
    }

    [Fact]
    public void Fault_OneIsSilent_IsNamed()
    {
        for (int second = 0; second < 60; second += 2) Assert.Null(After(2, (0, second), (1, second)));
        for (int second = 60; second < 90; second += 2) Assert.Null(After(2, (0, second)));
        Assert.Equal("rank 1 has not been heard for 32 s", After(2, (0, 90)));
    }

    /// <summary>A disk that hangs: everyone lives, nobody computes; waiting costs a little.</summary>
    /// <summary>It was stopped before it could say anything, or what it said was lost.</summary>
    [Fact]
    public void Fault_OneIsNeverHeard_IsNamed()
    {
        string? fault = null;
        for (int second = 0; fault is null && second < 60; second += 2) fault = After(2, (1, second));
        Assert.Matches(@"rank 0 has not been heard for 3\d s", fault);
    }

    [Fact]
    public void Fault_NobodyComputes_IsNoticed()
    {
        for (int second = 0; second < 60; second += 2) Assert.Null(After(2, (0, second), (1, second)));
        string? fault = null;
        int seconds = 60;
        for (; fault is null && seconds < 1000; seconds += 2) fault = After(2, (0, 60 + 0.05 * seconds), (1, 60 + 0.02 * seconds));
        Assert.Matches(@"no rank has computed anything for 30\d s", fault);
        Assert.InRange(seconds, 360, 380);
    }

    /// <summary>Steps that wait for something else, such as data from far away, are steps.</summary>
    [Fact]
    public void Fault_StepsWithoutMuchWork_IsNone()
    {
        for (int second = 0; second < 3600; second += 100)
        {
            _watch.Hear(new RankMessage(new TrainingProgress(new LogLine { Step = 1, Tokens = 1, Seconds = second }, 9, null)));
            for (int i = 0; i < 100; i += 2) Assert.Null(After(2, (0, 0.01 * second), (1, 0.01 * second)));
        }
    }

    [Fact]
    public void Fault_NothingIsEverHeard_IsNoticed()
    {
        string? fault = null;
        for (int second = 0; fault is null && second < 400; second += 2) fault = After(2);
        Assert.Matches("no rank has computed anything for 30[0-9] s", fault);
    }

    /// <summary>The whole machine slept, supervisor and ranks: nobody is to blame.</summary>
    [Fact]
    public void Fault_SupervisorWasStoppedItself_IsNone()
    {
        for (int second = 0; second < 60; second += 2) Assert.Null(After(2, (0, second), (1, second)));
        Assert.Null(After(10_000));
        Assert.Null(After(2, (0, 62), (1, 62)));
    }

    /// <summary>Time goes on, ranks are heard, the question is asked.</summary>
    private string? After(double seconds, params (int Rank, double Worked)[] beats)
    {
        _clock.Now += (long)(seconds * TimeSpan.TicksPerSecond);
        foreach ((int rank, double worked) in beats) _watch.Hear(new RankMessage(Beat: new RankBeat(rank, 2, worked)));
        return _watch.Fault();
    }

    private sealed class Clock : TimeProvider
    {
        public long Now { get; set; } = 1;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now;
    }
}
