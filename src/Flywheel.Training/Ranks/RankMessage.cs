using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// A line that a rank writes to its standard output for the supervisor; the launcher carries it from any machine.
/// </summary>
/// <param name="Progress">How far the run is, or a note.</param>
/// <param name="Error">What the person outside can mend; no restart would.</param>
public sealed record RankMessage(TrainingProgress? Progress = null, string? Error = null)
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
