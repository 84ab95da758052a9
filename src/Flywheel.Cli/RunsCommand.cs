using System.CommandLine;
using Flywheel.Model;
using Flywheel.Training;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel runs</c>: what was trained in this home, and how far.</summary>
internal static class RunsCommand
{
    public static Command Create()
    {
        var command = new Command("runs", "List training runs: state, steps, loss, time.\nExample: flywheel runs");
        command.SetAction(_ => List(new FlywheelHome()));
        return command;
    }

    private static void List(FlywheelHome home)
    {
        string[] folders = [.. Directory.GetDirectories(home.Runs).Where(folder => File.Exists(Path.Combine(folder, "run.json"))).OrderBy(Directory.GetCreationTimeUtc)];
        if (folders.Length == 0)
        {
            Console.WriteLine($"no runs in {home.Runs}; start one with: flywheel train recipes/starter.yaml");
            return;
        }
        Table table = new Table().AddColumns("run", "state", "steps", "loss", "validation", "time", "model");
        foreach (string folder in folders)
        {
            IReadOnlyList<LogLine> lines = TrainingLog.Read(folder);
            LogLine? last = lines.LastOrDefault(line => line.Loss is not null), evaluation = lines.LastOrDefault(line => line.ValidationLoss is not null);
            TrainingResult? result = TrainingResult.Read(folder);
            table.AddRow(Markup.Escape(Path.GetFileName(folder)), result is null ? "not finished" : "finished", $"{last?.Step ?? 0:N0}",
                last is null ? "-" : $"{last.Loss:F4}", evaluation is null ? "-" : $"{evaluation.ValidationLoss:F4}", Duration(last?.Seconds ?? 0), result?.Model[..12] ?? "-");
        }
        AnsiConsole.Write(table);
    }

    internal static string Duration(double seconds)
    {
        var time = TimeSpan.FromSeconds(Math.Max(0, seconds));
        return time.TotalHours >= 1 ? $"{(int)time.TotalHours} h {time.Minutes} min" : time.TotalMinutes >= 1 ? $"{time.Minutes} min {time.Seconds} s" : $"{time.TotalSeconds:F0} s";
    }
}
