using System.Diagnostics;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>What a run will take on this machine, found by running its first steps and forgetting them.</summary>
public sealed record TrainingForecast
{
    private const int LeastSteps = 3, FewestStepsWorthIt = 20;
    private const double PilotSeconds = 8;

    /// <summary>Part of a training step that a pass without gradients takes.</summary>
    private const double ForwardShare = 1.0 / 3;

    public required int Steps { get; init; }

    /// <summary>Input tokens of all steps.</summary>
    public required long Tokens { get; init; }

    public required double TokensPerSecond { get; init; }

    /// <summary>Steps and evaluations.</summary>
    public required double Seconds { get; init; }

    /// <summary>Most memory that the process holds.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>False of a run so short that finding out would take about as long.</summary>
    public static bool IsWorthIt(TrainingJob job) => Size(job).Steps >= FewestStepsWorthIt;

    /// <exception cref="FlywheelException">As <see cref="TrainingRun.Run"/>; or there are fewer than two steps.</exception>
    public static TrainingForecast Measure(TrainingJob job, CancellationToken cancellation = default)
    {
        (int steps, long tokens, long evaluated) = Size(job);
        if (steps < 2) throw new FlywheelException($"recipe '{job.Recipe.Name}': a run of one step cannot be forecast");
        string folder = Directory.CreateTempSubdirectory("flywheel-forecast-").FullName;
        long before = ProcessMemory.ResetPeak();
        LogLine? first = null, last = null;
        double seconds = 0;
        long begun = 0;
        try
        {
            TrainingRun.Run(job with { RunFolder = folder }, progress =>
            {
                if (progress.Line is not { Loss: not null } line) return;
                if (first is null) (first, begun) = (line, Stopwatch.GetTimestamp()); // it warmed up
                else
                {
                    (last, seconds) = (line, Stopwatch.GetElapsedTime(begun).TotalSeconds);
                    if (line.Step >= LeastSteps && seconds >= PilotSeconds || line.Step >= Math.Max(2, steps / 2)) throw new Enough();
                }
            }, cancellation);
        }
        catch (Enough)
        {
            // measured
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        double rate = (last!.Tokens - first!.Tokens) / seconds;
        return new TrainingForecast
        {
            Steps = steps, Tokens = tokens, TokensPerSecond = rate, MemoryBytes = Math.Max(before, ProcessMemory.Peak),
            Seconds = (tokens + ForwardShare * evaluated) / rate,
        };
    }

    /// <summary>Steps, their tokens (from some of them), and tokens of all evaluations.</summary>
    private static (int Steps, long Tokens, long Evaluated) Size(TrainingJob job)
    {
        const int looked = 64;
        int context = (job.Base?.Config ?? job.Config)!.MaxPositions;
        using TokenDataset train = TokenDataset.Open(job.TrainData);
        var order = new DataOrder(train, job.Recipe.Train, job.Recipe.Seed, context);
        int[] steps = [.. Enumerable.Range(0, Math.Min(looked, order.NumSteps)).Select(i => (int)((long)i * order.NumSteps / Math.Min(looked, order.NumSteps)))];
        double each = steps.Average(step => order.Step(step).Sum(micro => micro.Sum(segment => (long)segment.NumInputs)));
        long evaluated = 0;
        if (job.ValidationData is { } path)
        {
            using TokenDataset validation = TokenDataset.Open(path);
            long whole = validation.Manifest.NumTokens;
            evaluated = whole + (order.NumSteps - 1) / job.Recipe.Train.EvaluateEvery * Math.Min(whole, TrainingRun.EvaluationTokens);
        }
        return (order.NumSteps, (long)(each * order.NumSteps), evaluated);
    }

    private sealed class Enough : Exception;
}

/// <summary>Most memory that this process has held, from Linux; 0 elsewhere.</summary>
public static class ProcessMemory
{
    private const string Status = "/proc/self/status", Forget = "/proc/self/clear_refs";

    /// <summary>Resident bytes at their highest since the start or the last <see cref="ResetPeak"/>.</summary>
    public static long Peak => Read("VmHWM:");

    /// <summary>Forgets the peak; returns the bytes that are resident now.</summary>
    public static long ResetPeak()
    {
        const string ResetHighWater = "5"; // proc(5)
        if (File.Exists(Forget)) File.WriteAllText(Forget, ResetHighWater);
        return Read("VmRSS:");
    }

    private static long Read(string field)
    {
        if (!File.Exists(Status)) return 0;
        string? line = File.ReadLines(Status).FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line.AsSpan(field.Length).Trim().ToString().Split(' ')[0]) * 1024;
    }
}
