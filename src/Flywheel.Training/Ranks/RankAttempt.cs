using System.Diagnostics;

namespace Flywheel.Training;

/// <summary>One world of ranks from its start to its end, as seen from outside.</summary>
internal sealed record RankAttempt
{
    /// <summary>Lines of the ranks' errors that are kept.</summary>
    private const int MaxErrorLines = 20;

    /// <summary>For the ranks to write a checkpoint after they were asked to stop.</summary>
    private static readonly TimeSpan s_stopTime = TimeSpan.FromSeconds(25);

    /// <summary>For a launcher to end its ranks, also those on other machines, before what is here is killed.</summary>
    private static readonly TimeSpan s_launcherTime = TimeSpan.FromSeconds(3);

    public required int ExitCode { get; init; }

    /// <summary>As the ranks say; 0 when none was heard.</summary>
    public required int NumRanks { get; init; }

    public LogLine? LastLine { get; init; }

    public double SecondsSinceLastLine { get; init; }

    /// <summary>What no restart mends.</summary>
    public string? Error { get; init; }

    /// <summary>Why the world was ended from outside; null when it ended by itself.</summary>
    public string? Fault { get; init; }

    public TrainingForecast? Forecast { get; init; }

    /// <summary>The end of what ranks and launcher wrote to their error output, to be put behind a message; empty if nothing.</summary>
    public required string LastWords { get; init; }

    /// <param name="command">Launcher, program and arguments.</param>
    /// <param name="watch">Says when the ranks no longer get on.</param>
    /// <param name="progress">Told of each line.</param>
    /// <param name="cancellation">Asks the ranks to stop in order.</param>
    public static RankAttempt Run(IReadOnlyList<string> command, RankWatch watch, Action<TrainingProgress> progress,
        CancellationToken cancellation)
    {
        // A session of their own: the terminal's Ctrl-C reaches us, not the launcher, which would kill ranks that can stop in order.
        string[] words = [.. RankLauncher.Find("setsid") is { } setsid ? [setsid] : Array.Empty<string>(), .. command];
        using Process process = new()
        {
            StartInfo = new ProcessStartInfo(words[0], words[1..]) { RedirectStandardInput = true, RedirectStandardOutput = true,
                RedirectStandardError = true },
        };
        Queue<string> errors = [];
        process.ErrorDataReceived += (_, e) =>
        {
            lock (errors)
            {
                if (e.Data is { } line && line.Any(char.IsLetterOrDigit)) errors.Enqueue(line.Trim()); // launchers rule off what they say
                if (errors.Count > MaxErrorLines) errors.Dequeue();
            }
        };
        process.Start();
        process.BeginErrorReadLine();
        // The end of their input asks the ranks to stop; it also comes when we are killed, so that no ranks are left behind.
        using CancellationTokenRegistration stop = cancellation.Register(() =>
        {
            process.StandardInput.Close();
            _ = Task.Delay(s_stopTime, CancellationToken.None)
                .ContinueWith(_ => End(process), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        });
        string? fault = null;
        using var watching = new Timer(_ =>
        {
            if (fault is not null || cancellation.IsCancellationRequested || watch.Fault() is not { } found) return;
            fault = found;
            End(process);
        }, null, RankBeat.Interval, RankBeat.Interval);

        LogLine? last = null;
        TrainingForecast? forecast = null;
        int numRanks = 0;
        long lastAt = Stopwatch.GetTimestamp();
        string? error = null;
        while (process.StandardOutput.ReadLine() is { } text)
        {
            if (RankMessage.Parse(text) is not { } message) continue;
            watch.Hear(message);
            error ??= message.Error;
            forecast ??= message.Forecast;
            if (message.Beat is { } beat) numRanks = beat.Size;
            if (message.Progress is not { } told) continue;
            if (told.Line is { } line) (last, lastAt) = (line, Stopwatch.GetTimestamp());
            progress(told);
        }
        process.WaitForExit();
        lock (errors)
        {
            return new RankAttempt
            {
                ExitCode = process.ExitCode, NumRanks = numRanks, LastLine = last,
                SecondsSinceLastLine = Stopwatch.GetElapsedTime(lastAt).TotalSeconds,
                Error = error, Fault = fault, Forecast = forecast,
                LastWords = errors.Count == 0 ? "" : $"; the last that they wrote:\n  {string.Join("\n  ", errors)}",
            };
        }
    }

    /// <summary>
    /// For ranks that do not stop when asked. Two interrupts within a second make srun kill its tasks wherever they are, and mpirun
    /// its ranks; what is still here after that is killed.
    /// </summary>
    private static void End(Process process)
    {
        try
        {
            for (int i = 0; i < 2; i++)
            {
                using Process interrupt = Process.Start("kill", ["-INT", $"{process.Id}"]);
                interrupt.WaitForExit();
            }
            if (!process.WaitForExit(s_launcherTime)) process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has ended in the meantime.
        }
    }
}
