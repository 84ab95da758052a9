using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Loop.Runs;

/// <summary>
/// How fast this machine trained when a study began: pace.json in its folder. The lengths of the study's runs follow from it, so
/// a study that was stopped and is started again must not measure anew: its runs would be others.
/// </summary>
public static class Pace
{
    private sealed record Measured(double TokensPerSecond);

    /// <param name="folder">Of the study; made when missing.</param>
    /// <param name="measure">Tokens a second; asked the first time only.</param>
    /// <returns>The pace, and whether it was there already.</returns>
    public static (double TokensPerSecond, bool IsKept) Of(string folder, Func<double> measure)
    {
        string path = Path.Combine(Directory.CreateDirectory(folder).FullName, "pace.json");
        if (File.Exists(path))
        {
            try
            {
                if (JsonSerializer.Deserialize<Measured>(File.ReadAllText(path), JsonText.Compact) is { TokensPerSecond: > 0 } kept)
                    return (kept.TokensPerSecond, true);
            }
            catch (JsonException)
            {
                // Not ours: measured anew and written over.
            }
        }
        double pace = measure();
        AtomicFile.WriteText(path, JsonSerializer.Serialize(new Measured(pace), JsonText.Indented) + "\n");
        return (pace, false);
    }
}
