using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// A line that a rank writes to its standard output for the supervisor; the launcher carries it from any machine.
/// </summary>
/// <param name="Progress">How far the run is, or a note.</param>
/// <param name="Error">What the person outside can mend; no restart would.</param>
/// <param name="Beat">A sign of life.</param>
/// <param name="Forecast">What a pilot found.</param>
public sealed record RankMessage(TrainingProgress? Progress = null, string? Error = null, RankBeat? Beat = null,
    TrainingForecast? Forecast = null)
{
    public void Write(TextWriter output)
    {
        // One write, so that lines of several ranks do not mix.
        output.Write(JsonSerializer.Serialize(this, JsonText.Compact) + "\n");
        output.Flush();
    }

    /// <summary>Null for a line of somebody else, such as the launcher.</summary>
    public static RankMessage? Parse(string line)
    {
        if (!line.StartsWith('{')) return null;
        try
        {
            return JsonSerializer.Deserialize<RankMessage>(line, JsonText.Compact);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>
/// What a thread of each rank says every two seconds: that the process runs, and how much it has computed. A process that was
/// stopped, or whose machine has gone, says nothing; one that waits for a file system says that it computes nothing.
/// </summary>
/// <param name="Rank">Which rank.</param>
/// <param name="Size">Of how many: those that are never heard are missed, too.</param>
/// <param name="ProcessorSeconds">Processor time that it has used since it started.</param>
public sealed record RankBeat(int Rank, int Size, double ProcessorSeconds)
{
    internal static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    /// <summary>Beats until the process ends.</summary>
    public static void Start(int rank, int size, TextWriter output) => new Thread(() =>
    {
        for (; ; Thread.Sleep(Interval))
            new RankMessage(Beat: new RankBeat(rank, size, Environment.CpuUsage.TotalTime.TotalSeconds)).Write(output);
    }) { IsBackground = true, Name = "heartbeat" }.Start();
}
