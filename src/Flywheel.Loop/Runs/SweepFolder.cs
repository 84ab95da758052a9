using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Loop.Runs;

/// <summary>What a sweep leaves behind: pace.json while it runs, then sweep.json, a report and its curves.</summary>
public static class SweepFolder
{
    /// <summary>The same recipe, values and budget have the same folder, so that a sweep which was stopped goes on.</summary>
    public static string Of(FlywheelHome home, Sweep sweep)
    {
        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(sweep.Identity)))[..10];
        return Path.Combine(home.Runs, $"sweep-{Path.GetFileNameWithoutExtension(sweep.Recipe)}-{hash}");
    }

    /// <param name="home">Where its runs lie.</param>
    /// <param name="folder">From <see cref="Of"/>.</param>
    /// <param name="result">Of the whole sweep.</param>
    public static void Write(FlywheelHome home, string folder, SweepResult result)
    {
        Directory.CreateDirectory(folder);
        AtomicFile.WriteText(Path.Combine(folder, "sweep.json"), JsonSerializer.Serialize(result, JsonText.Indented) + "\n");
        (string, RunFolder)[] runs =
            [.. result.Tries.Where(attempt => attempt.Run is not null).OrderByDescending(attempt => attempt.Rung)
                .ThenBy(attempt => attempt.Loss ?? double.PositiveInfinity).Take(10)
            .Select(attempt => (string.Join(' ', attempt.Overrides).Replace("train.", "", StringComparison.Ordinal),
                RunFolder.Find(home, attempt.Run!)))];
        foreach (string type in new[] { "svg", "png" })
            RunComparison.Draw(runs, Path.Combine(folder, $"curves.{type}"), $"Sweep of {result.Recipe}");
        AtomicFile.WriteText(Path.Combine(folder, "report.md"), Markdown(result));
    }

    private static string Markdown(SweepResult result)
    {
        var text =
            new StringBuilder(
                $"# Sweep of {result.Recipe}\n\nSuccessive halving, {result.NumRungs} {(result.NumRungs == 1 ? "rung" : "rungs")}, {result.Tries.Sum(attempt => attempt.Seconds) / 60:F1} of {result.BudgetMinutes:F1} minutes.\n\n");
        text.Append(
            $"Best: `{string.Join(' ', result.Winner.Overrides)}`, held-out loss {result.Winner.Loss:F4} nats a token.\n\n| rung | steps | fields | held-out loss | seconds | run |\n|---|---|---|---|---|---|\n");
        foreach (SweepTry attempt in result.Tries.OrderBy(attempt => attempt.Rung)
            .ThenBy(attempt => attempt.Loss ?? double.PositiveInfinity))
            text.Append(
                $"| {attempt.Rung + 1} | {attempt.Steps} | {string.Join(' ', attempt.Overrides)} | {(attempt.Loss is { } loss ? $"{loss:F4}" : $"failed: {attempt.FailureInShort}")} | {attempt.Seconds:F0} | {attempt.Run} |\n");
        return text.Append("\n![Held-out loss over tokens of the last runs](curves.svg)\n").ToString();
    }
}
