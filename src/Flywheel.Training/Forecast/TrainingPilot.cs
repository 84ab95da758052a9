using System.Diagnostics;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// Finds out what a run will take by running its beginning, in a folder that is thrown away. Memory is that of the largest
/// micro-batch of the whole data order, of the step with most of them, of a checkpoint's copy and of the finished model's way
/// out; time is that of some seconds of steps in their order, of a pass without gradients and of a checkpoint's stop.
/// </summary>
/// <remarks>In a process of its own, like each rank of a run, since memory that was held once stays with a process.</remarks>
public sealed class TrainingPilot
{
    private const int LeastSteps = 3, FewestSteps = 2;
    private const double PilotSeconds = 10;

    private readonly TrainingJob _job;
    private readonly ICollectives _world;
    private readonly CancellationToken _cancellation;

    private TrainingPilot(TrainingJob job, ICollectives world, CancellationToken cancellation) =>
        (_job, _world, _cancellation) = (job, world, cancellation);

    /// <param name="job">Its run folder takes nothing that is kept.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">As <see cref="TrainingRun"/>; or there are fewer than two steps.</exception>
    public static TrainingForecast Run(TrainingJob job, CancellationToken cancellation = default)
    {
        using var alone = new SingleRank();
        return Run(job, alone, cancellation);
    }

    /// <summary>The same, shared with other ranks, each of which calls this with the same job.</summary>
    public static TrainingForecast Run(TrainingJob job, ICollectives world, CancellationToken cancellation = default) =>
        new TrainingPilot(job, world, cancellation).Run();

    private TrainingForecast Run()
    {
        TrainRecipe recipe = _job.Recipe.Train;
        ProcessMemory.ResetPeak();
        long program = ProcessMemory.Resident, started = Stopwatch.GetTimestamp();
        using TokenDataset train = TrainingRun.OpenData(_job, _job.TrainData);
        using TokenDataset? validation = _job.ValidationData is { } path ? TrainingRun.OpenData(_job, path) : null;
        TrainingRun.RequireMemory(_job, _world);
        TorchLibrary.Load(_job.NumThreads);
        // The reference's values change neither time nor memory.
        using var trainer = new Trainer(_job, train, validation, _world, (_, data) => new double[data.NumDocuments]);
        if (trainer.Order.NumSteps < FewestSteps)
            throw new FlywheelException($"recipe '{_job.Recipe.Name}': a run of {trainer.Order.NumSteps} step cannot be forecast");
        using var checkpoint = new Checkpoint(_job.RunFolder, recipe.KeepCheckpoints, _world, trainer.Owned, _ => { });
        TrainingWork work = TrainingWork.Of(recipe, trainer.Order, train, validation);
        double loading = Seconds(started);

        (List<List<Segment>> largest, List<List<Segment>> longest) = Extremes(trainer.Order);
        started = Stopwatch.GetTimestamp();
        Step(0, largest);
        double warmUp = Seconds(started);
        if (longest.Count != largest.Count) Step(0, longest);

        List<(long Tokens, double Seconds)> steps = [];
        started = Stopwatch.GetTimestamp();
        for (int step = 0; step < trainer.Order.NumSteps
            && !_world.Any(step >= LeastSteps && Seconds(started) >= PilotSeconds
                || step >= Math.Max(FewestSteps, trainer.Order.NumSteps / 2)); step++)
        {
            List<List<Segment>> micros = trainer.Order.Step(step);
            long began = Stopwatch.GetTimestamp();
            Step(step, micros);
            steps.Add((Trainer.NumInputs(micros), Seconds(began)));
        }
        // The runtime compiles again what runs often: the first half is slower than all that follows.
        (List<(long Tokens, double Seconds)> early, List<(long Tokens, double Seconds)> late) = (steps[..(steps.Count / 2)],
            steps[(steps.Count / 2)..]);
        double rate = late.Sum(step => step.Tokens) / late.Sum(step => step.Seconds);
        double slower = warmUp + early.Sum(step => step.Seconds) - (Trainer.NumInputs(largest) + early.Sum(step => step.Tokens)) / rate;
        double forward = Trainer.NumInputs(largest) / Best(() => trainer.Read(largest));
        double stop = Best(() =>
        {
            checkpoint.Copy();
            if (_world.Rank == 0) TrainingLog.Draw(Sketch(), _job.Recipe.Name);
        });
        Arena.GiveBack(); // as a run does before its model's way out
        if (_world.Rank == 0)
        {
            foreach (string name in recipe.Lora is null ? trainer.Model.Config.Tensors().Select(tensor => tensor.Name) : [])
                _ = trainer.Model.Read(name);
        }

        double seconds = loading + Math.Max(0, slower) + work.Tokens / rate + work.ForwardTokens / forward;
        return new TrainingForecast
        {
            Steps = work.Steps,
            Tokens = work.Tokens,
            TokensPerSecond = rate,
            Seconds = seconds + stop * (1 + Math.Floor(seconds / recipe.CheckpointSeconds)),
            // a small run may hold less than reading its data did
            MemoryBytes = Math.Max(program, _world.Map(_world.Size, _ => ProcessMemory.Peak).Max()),
            ProgramBytes = program,
            NumRanks = _world.Size,
        };

        void Step(int step, List<List<Segment>> micros)
        {
            // Only all ranks together may leave.
            if (_world.Any(_cancellation.IsCancellationRequested)) throw new OperationCanceledException(_cancellation);
            trainer.Step(step, micros, (_, _, _) => { }); // a run that diverges says so itself, at the step where it does
        }
    }

    /// <summary>The step that holds the largest micro-batch of all, and the step with most of them.</summary>
    private static (List<List<Segment>> Largest, List<List<Segment>> Longest) Extremes(DataOrder order)
    {
        (int largest, long most, int longest, int micros) = (0, 0, 0, 0);
        for (int step = 0; step < order.NumSteps; step++)
        {
            List<List<Segment>> here = order.Step(step);
            long size = here.Max(micro => micro.Sum(segment => (long)segment.NumInputs));
            if (size > most) (largest, most) = (step, size);
            if (here.Count > micros) (longest, micros) = (step, here.Count);
        }
        return (order.Step(largest), order.Step(longest));
    }

    /// <summary>The faster of two: the first one pays for what comes once.</summary>
    private static double Best(Action action)
    {
        double best = double.PositiveInfinity;
        for (int i = 0; i < 2; i++)
        {
            long started = Stopwatch.GetTimestamp();
            action();
            best = Math.Min(best, Seconds(started));
        }
        return best;
    }

    /// <summary>A folder with the log of a run of this length, for the picture that a checkpoint draws.</summary>
    private string Sketch()
    {
        const int numLines = 200;
        using var log = new TrainingLogWriter(_job.RunFolder, 0, _ => { });
        for (int i = 0; i < numLines; i++)
            log.Append(new LogLine { Step = i + 1, Loss = numLines - i, Tokens = 1000 * (i + 1), Seconds = i });
        return _job.RunFolder;
    }

    private static double Seconds(long started) => Stopwatch.GetElapsedTime(started).TotalSeconds;
}
