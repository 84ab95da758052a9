using System.Diagnostics;
using System.Runtime.InteropServices;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>Ranks that die again and again: nothing in the recipe, but a machine that another one may replace.</summary>
public sealed class RanksLostException(string message) : FlywheelException(message);

/// <summary>
/// Trains with several ranks and outlives them. MPI ends all ranks when one dies; the supervisor, which is none of them,
/// then starts the world again from the newest good checkpoint and says what the loss cost.
/// </summary>
public sealed class Supervisor
{
    /// <summary>Losses without a new checkpoint in between after which it is no accident.</summary>
    private const int MaxLossesWithoutProgress = 3;

    /// <summary>Lines of the ranks' errors that are shown when giving up.</summary>
    private const int MaxErrorLines = 20;

    /// <summary>For the ranks to write a checkpoint after they were asked to stop.</summary>
    private static readonly TimeSpan s_stopTime = TimeSpan.FromSeconds(25);

    /// <summary>What starts several processes, such as <c>mpirun -n 4</c>; empty starts one.</summary>
    public required IReadOnlyList<string> Launcher { get; init; }

    /// <summary>What each rank runs; the job's file is appended.</summary>
    public required IReadOnlyList<string> RankCommand { get; init; }

    /// <exception cref="FlywheelException">The ranks met an error that no restart mends, or die again and again without progress.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the ranks wrote a checkpoint, and the same call goes on from it.</exception>
    public TrainedModel Run(TrainingJob job, Action<TrainingProgress> progress, CancellationToken cancellation)
    {
        if (TrainingResult.Read(job.RunFolder) is { } done && Directory.Exists(done.ModelPath)) return TrainedModel.Open(done.ModelPath);
        string jobFile = TrainingJobFile.Save(job);
        int restarts = 0, withoutProgress = 0;
        double lost = 0;
        while (true)
        {
            int before = Checkpoint.NewestOf(job.RunFolder)?.Manifest.Step ?? 0;
            Attempt attempt = Start(jobFile, progress, cancellation);
            if (attempt.Error is { } error) throw new FlywheelException(error);
            if (attempt.ExitCode == 0 && TrainingResult.Read(job.RunFolder) is { } result)
            {
                if (restarts > 0) Note($"{restarts} {(restarts == 1 ? "restart" : "restarts")}, {lost:F1} s of work lost in all");
                return TrainedModel.Open(result.ModelPath);
            }
            cancellation.ThrowIfCancellationRequested();
            if (attempt.ExitCode == 0) throw new OperationCanceledException("the ranks were asked to stop"); // by a scheduler, not through us

            CheckpointManifest? checkpoint = Checkpoint.NewestOf(job.RunFolder)?.Manifest;
            withoutProgress = (checkpoint?.Step ?? 0) > before ? 0 : withoutProgress + 1;
            double seconds = attempt.LastLine is { } line ? Math.Max(0, line.Seconds + attempt.SecondsSinceLastLine - (checkpoint?.Seconds ?? 0)) : 0;
            lost += seconds;
            string what = $"ranks were lost (exit code {attempt.ExitCode}) after step {attempt.LastLine?.Step ?? before}";
            if (withoutProgress >= MaxLossesWithoutProgress)
                throw new RanksLostException($"{what}, {MaxLossesWithoutProgress} times without a new checkpoint; giving up. The last that they wrote:\n{string.Join('\n', attempt.LastErrors)}");
            restarts++;
            Note($"{what}: {seconds:F1} s of work lost; starting again {(checkpoint is null ? "from the first step" : $"from the checkpoint of step {checkpoint.Step}")} (restart {restarts})");
            cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(withoutProgress)); // a machine that is going down needs a moment
        }

        void Note(string text) => progress(new TrainingProgress(null, 0, null, text));
    }

    private sealed record Attempt(int ExitCode, LogLine? LastLine, double SecondsSinceLastLine, string? Error, IReadOnlyCollection<string> LastErrors);

    private Attempt Start(string jobFile, Action<TrainingProgress> progress, CancellationToken cancellation)
    {
        // A session of their own: the terminal's Ctrl-C reaches us, not the launcher, which would kill ranks that can stop in order.
        string[] command = [.. RankLauncher.Find("setsid") is { } setsid ? [setsid] : Array.Empty<string>(), .. Launcher, .. RankCommand, jobFile];
        using Process process = new()
        {
            StartInfo = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true },
        };
        Queue<string> errors = [];
        process.ErrorDataReceived += (_, e) =>
        {
            lock (errors)
            {
                if (!string.IsNullOrWhiteSpace(e.Data)) errors.Enqueue(e.Data);
                if (errors.Count > MaxErrorLines) errors.Dequeue();
            }
        };
        process.Start();
        process.BeginErrorReadLine();
        // The end of their input asks the ranks to stop; it also comes when we are killed, so that no ranks are left behind.
        using CancellationTokenRegistration stop = cancellation.Register(() =>
        {
            process.StandardInput.Close();
            _ = Task.Delay(s_stopTime, CancellationToken.None).ContinueWith(_ => Kill(process), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        });
        LogLine? last = null;
        long lastAt = Stopwatch.GetTimestamp();
        string? error = null;
        while (process.StandardOutput.ReadLine() is { } text)
        {
            RankMessage? message = RankMessage.Parse(text);
            error ??= message?.Error;
            if (message?.Progress is not { } told) continue;
            if (told.Line is { } line) (last, lastAt) = (line, Stopwatch.GetTimestamp());
            progress(told);
        }
        process.WaitForExit();
        lock (errors) return new Attempt(process.ExitCode, last, Stopwatch.GetElapsedTime(lastAt).TotalSeconds, error, [.. errors]);
    }

    /// <summary>For ranks that do not stop when asked: with everything that the launcher has started.</summary>
    private static void Kill(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has ended in the meantime.
        }
    }
}
