using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>Ranks that die again and again: nothing in the recipe, but a machine that another one may replace.</summary>
public sealed class RanksLostException(string message) : FlywheelException(message);

/// <summary>
/// Trains with several ranks and outlives them. MPI ends all ranks when one dies; the supervisor, which is none of them,
/// then starts the world again from the newest good checkpoint and says what the loss cost. It ends ranks itself that live
/// but no longer get on (<see cref="RankWatch"/>).
/// </summary>
public sealed class Supervisor
{
    /// <summary>Losses without a new checkpoint in between after which it is no accident.</summary>
    private const int MaxLossesWithoutProgress = 3;

    /// <summary>What starts several processes, such as <c>mpirun -n 4</c>; empty starts one.</summary>
    public required IReadOnlyList<string> Launcher { get; init; }

    /// <summary>What each rank runs; the job's file is appended.</summary>
    public required IReadOnlyList<string> RankCommand { get; init; }

    /// <summary>A rank that is not heard for so long is taken for lost.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Ranks that neither finish a step nor compute for so long are taken for lost; longer where steps are long.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Told of ranks that were lost before the run began.</summary>
    public Action<string>? Note { get; init; }

    /// <exception cref="FlywheelException">The ranks met an error that no restart mends, or die again and again without
    /// progress.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the ranks wrote a checkpoint, and the same call resumes from it.</exception>
    public TrainedModel Run(TrainingJob job, Action<TrainingProgress> progress, CancellationToken cancellation)
    {
        if (Result(job) is { } done) return done;
        string jobFile = TrainingJobFile.Save(job);
        int restarts = 0, withoutProgress = 0;
        double lost = 0;
        while (true)
        {
            int before = Checkpoint.NewestOf(job.RunFolder)?.Manifest.Step ?? 0;
            RankAttempt attempt = Start([jobFile], progress, cancellation);
            if (attempt.Error is { } error) throw new FlywheelException(error);
            // whatever the launcher's exit code: ranks that have written their model may still fall over each other's ends
            if (Result(job) is { } model)
            {
                if (restarts > 0) Say($"{restarts} {(restarts == 1 ? "restart" : "restarts")}, {lost:F1} s of work lost in all");
                return model;
            }
            cancellation.ThrowIfCancellationRequested();
            // by a scheduler, not through us
            if (attempt is { ExitCode: 0, Fault: null }) throw new OperationCanceledException("the ranks were asked to stop");

            CheckpointManifest? checkpoint = Checkpoint.NewestOf(job.RunFolder)?.Manifest;
            withoutProgress = (checkpoint?.Step ?? 0) > before ? 0 : withoutProgress + 1;
            double seconds = attempt.LastLine is { } line
                ? Math.Max(0, line.Seconds + attempt.SecondsSinceLastLine - (checkpoint?.Seconds ?? 0)) : 0;
            lost += seconds;
            string what =
                $"ranks were lost ({attempt.Fault ?? $"exit code {attempt.ExitCode}"}) after step {attempt.LastLine?.Step ?? before}";
            if (withoutProgress >= MaxLossesWithoutProgress)
                throw new RanksLostException(
                    $"{what}, {MaxLossesWithoutProgress} times without a new checkpoint; giving up{attempt.LastWords}");
            restarts++;
            Say($"{what}: {seconds:F1} s of work lost; starting again {(checkpoint is null ? "from the first step" : $"from the checkpoint of step {checkpoint.Step}")} (restart {restarts}){attempt.LastWords}");
            cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(withoutProgress)); // a machine that is going down needs a moment
        }

        void Say(string text) => progress(new TrainingProgress(null, 0, null, text));
    }

    /// <summary>What a run with these ranks will take, from its beginning in processes of their own.</summary>
    /// <param name="job">Its run folder takes nothing that is kept.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">The ranks met an error that no restart mends, or die again and again.</exception>
    public TrainingForecast Forecast(TrainingJob job, CancellationToken cancellation)
    {
        string jobFile = TrainingJobFile.Save(job);
        for (int losses = 1; ; losses++)
        {
            RankAttempt attempt = Start([jobFile, "--pilot"], _ => { }, cancellation);
            cancellation.ThrowIfCancellationRequested();
            if (attempt.Forecast is { } forecast) return forecast;
            if (attempt.Error is { } error) throw new FlywheelException(error);
            string what =
                $"recipe '{job.Recipe.Name}': the first steps were not finished ({attempt.Fault ?? $"exit code {attempt.ExitCode}"})";
            if (losses == MaxLossesWithoutProgress)
            {
                // Whether the system ended them for want of memory, or who else did, an exit code does not tell.
                int numRanks = Math.Max(1, attempt.NumRanks);
                TrainingMemory memory = TrainingMemory.Estimate(job.Base?.Config ?? job.Config!, job.Recipe.Train, numRanks);
                throw new RanksLostException(
                    $"{what}, {losses} times; giving up. Memory as counted, for each of {numRanks}: {memory}; free here: {TrainingMemory.Text(TrainingMemory.Available())}{attempt.LastWords}");
            }
            Note?.Invoke($"{what}; starting them again{attempt.LastWords}");
            cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(losses));
        }
    }

    private static TrainedModel? Result(TrainingJob job) =>
        TrainingResult.Read(job.RunFolder) is { } result && Directory.Exists(result.ModelPath) ? TrainedModel.Open(result.ModelPath) : null;

    private RankAttempt Start(IEnumerable<string> arguments, Action<TrainingProgress> progress, CancellationToken cancellation) =>
        RankAttempt.Run([.. Launcher, .. RankCommand, .. arguments], new RankWatch(Silence, Idle, TimeProvider.System), progress,
            cancellation);
}
