using System.Diagnostics;
using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// Trains a model. Killed at any moment and started again, it ends with the same bits: the state is in checkpoints, and
/// data order, schedule and initial weights are functions of the recipe's seed and the step.
/// </summary>
public sealed class TrainingRun
{
    /// <summary>Tokens of the validation split that are looked at during the run; at its end all of them are.</summary>
    internal const long EvaluationTokens = 32_768;

    private const double LockSeconds = 30;

    /// <summary>Between two notes on how far the work before the first step is.</summary>
    private const double NoteSeconds = 10;

    private readonly TrainingJob _job;
    private readonly TrainRecipe _recipe;
    private readonly Action<TrainingProgress> _progress;
    private readonly CancellationToken _cancellation;
    private readonly ModelConfig _config;
    private readonly Tokenizer _tokenizer;
    private readonly ICollectives _world;
    private TokenDataset _train = null!;
    private TokenDataset? _validation;
    private int _numSteps;

    private TrainingRun(TrainingJob job, ICollectives world, Action<TrainingProgress> progress, CancellationToken cancellation)
    {
        _world = world;
        (_job, _recipe, _progress, _cancellation) = (job, job.Recipe.Train, progress, cancellation);
        _config = job.Base?.Config ?? job.Config ?? throw new ArgumentException("neither a base nor a config is given", nameof(job));
        _tokenizer =
            job.Base?.Tokenizer ?? job.Tokenizer ?? throw new ArgumentException("neither a base nor a tokenizer is given", nameof(job));
    }

    /// <exception cref="FlywheelException">The data does not fit the model, the folder holds another run, the loss is no longer finite, or
    /// the disk is full.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; a checkpoint was written, and the same call resumes from it.</exception>
    public static TrainedModel Run(TrainingJob job, Action<TrainingProgress>? progress = null, CancellationToken cancellation = default)
    {
        using var alone = new SingleRank();
        return Run(job, alone, progress, cancellation);
    }

    /// <summary>The same, shared with other ranks, each of which calls this with the same job.</summary>
    public static TrainedModel Run(TrainingJob job, ICollectives world, Action<TrainingProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        bool done = world.FromFirst(TrainingResult.Read(job.RunFolder) is { } result && Directory.Exists(result.ModelPath));
        if (!done) new TrainingRun(job, world, progress ?? (_ => { }), cancellation).Run();
        return TrainedModel.Open(TrainingResult.Read(job.RunFolder)!.ModelPath);
    }

    private void Run()
    {
        Directory.CreateDirectory(_job.RunFolder);
        ProcessMemory.ResetPeak();
        try
        {
            using FileStream? claim = _world.Rank == 0 ? Lock() : null;
            using (_train = OpenData(_job, _job.TrainData))
            using (_validation = _job.ValidationData is { } path ? OpenData(_job, path) : null)
            {
                RequireMemory(_job, _world);
                TorchLibrary.Load(Claim());
                Train();
            }
        }
        catch (IOException e) when (e.HResult == TrainingLogWriter.DiskFull)
        {
            throw new FlywheelException(
                $"{_job.RunFolder}: the disk is full; the last whole checkpoint is kept, make room and run the same command again", e);
        }
    }

    /// <summary>Ranks on one machine share what is free there.</summary>
    internal static void RequireMemory(TrainingJob job, ICollectives world)
    {
        ulong machine =
            BitConverter.ToUInt64(
                System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(Environment.MachineName)));
        int numLocal = world.Map(world.Size, _ => machine).Count(other => other == machine);
        TrainingMemory.Estimate(job.Base?.Config ?? job.Config!, job.Recipe.Train, world.Size)
            .Require(job.Recipe.Name, TrainingMemory.Available(), numLocal);
    }

    /// <summary>One world at a time: the ranks of one whose launcher died may take a moment to follow it.</summary>
    private FileStream Lock()
    {
        string path = Path.Combine(_job.RunFolder, "lock");
        for (long started = Stopwatch.GetTimestamp(); ; Thread.Sleep(200))
        {
            try
            {
                // held until the process ends, however it does
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException e) when (e.HResult != TrainingLogWriter.DiskFull)
            {
                if (Stopwatch.GetElapsedTime(started).TotalSeconds > LockSeconds)
                    throw new FlywheelException($"{_job.RunFolder}: another process is training this run", e);
            }
        }
    }

    /// <exception cref="FlywheelException">It was made for another tokenizer or objective.</exception>
    internal static TokenDataset OpenData(TrainingJob job, string path)
    {
        string tokenizer = (job.Base?.Tokenizer ?? job.Tokenizer)!.Hash, objective = job.Recipe.Train.Objective;
        TokenDataset data = TokenDataset.Open(path);
        DatasetManifest manifest = data.Manifest;
        string? wrong = manifest.TokenizerHash != tokenizer ? $"made with tokenizer {manifest.TokenizerHash}, the model's is {tokenizer}"
            : !manifest.IsOf(Objective.Named(objective).Form)
            ? $"{manifest.Content}, which does not suit the recipe's objective '{objective}'"
            : null;
        if (wrong is null) return data;
        data.Dispose();
        throw new FlywheelException($"{path}: {wrong}");
    }

    /// <summary>Writes who this run is into a new folder; in an old one, checks that it is the same run.</summary>
    /// <returns>Threads of each rank.</returns>
    private int Claim()
    {
        int numThreads = 0;
        if (_world.Rank == 0)
        {
            RunIdentity? found = RunIdentity.Read(_job.RunFolder);
            var identity = new RunIdentity
            {
                Base = _job.Base?.Hash,
                Tokenizer = _tokenizer.Hash,
                Dataset = _train.Manifest.Hash,
                Recipe = RecipeFile.ToYaml(_job.Recipe.WithoutCard()),
                NumThreads = numThreads = found?.NumThreads ?? _job.NumThreads,
            };
            if (found is not null && found != identity)
                throw new FlywheelException(
                    $"{_job.RunFolder}: holds another run (its base, data or recipe differ); give another folder or remove it");
            if (found is null)
            {
                AtomicFile.WriteText(Path.Combine(_job.RunFolder, "recipe.yaml"), RecipeFile.ToYaml(_job.Recipe));
                AtomicFile.WriteText(Path.Combine(_job.RunFolder, "run.json"), JsonSerializer.Serialize(identity, JsonText.Indented));
            }
        }
        return _world.FromFirst(numThreads);
    }

    private void Train()
    {
        long started = Stopwatch.GetTimestamp();
        using var trainer = new Trainer(_job, _train, _validation, _world, Reference);
        DataOrder order = trainer.Order;
        _numSteps = order.NumSteps;
        using var checkpoint = new Checkpoint(_job.RunFolder, _recipe.KeepCheckpoints, _world, trainer.Owned, Note);
        bool began = TrainingLog.Read(_job.RunFolder).Count > 0;
        CheckpointManifest? restored = checkpoint.Restore(trainer.Wanted);
        if (began && _world.Rank == 0)
            Note(restored is null ? "starting again from the first step" : $"resumed after step {restored.Step}");
        using TrainingLogWriter? log = _world.Rank == 0 ? new TrainingLogWriter(_job.RunFolder, restored?.LogBytes ?? 0, Note) : null;
        LogLine? last = TrainingLog.Read(_job.RunFolder).LastOrDefault(line => line.Loss is not null);
        int step = restored?.Step ?? 0;
        long tokens = restored?.Tokens ?? 0;
        double before = restored?.Seconds ?? 0;

        long looped = Stopwatch.GetTimestamp(), checkpointed = looped;
        double Elapsed() => before + Stopwatch.GetElapsedTime(started).TotalSeconds;
        void Save()
        {
            checkpoint.Save(new CheckpointManifest { Step = step, Tokens = tokens, Seconds = Elapsed(), LogBytes = log?.Length ?? 0 },
                () => log?.Sync());
            if (log is not null) Draw();
            checkpointed = Stopwatch.GetTimestamp();
        }
        Score Evaluate(long maxTokens)
        {
            Score score = trainer.Evaluate(maxTokens);
            Log(log, new LogLine { Step = step, Tokens = tokens, Seconds = Elapsed(), ValidationLoss = score.Loss,
                ValidationAccuracy = score.Accuracy });
            return score;
        }
        while (true)
        {
            Wish wish =
                Agree((_cancellation.IsCancellationRequested ? Wish.Stop : Wish.None) | (checkpoint.IsWriting ? Wish.Busy : Wish.None)
                | (_world.Rank == 0 && step > (restored?.Step ?? 0)
                    && Stopwatch.GetElapsedTime(checkpointed).TotalSeconds >= _recipe.CheckpointSeconds ? Wish.Checkpoint : Wish.None));
            if (!checkpoint.IsWriting) checkpoint.Wait(); // tells of a failure
            if (wish.HasFlag(Wish.Stop))
            {
                Save();
                checkpoint.Wait();
                _world.Any(false); // nobody leaves before all parts are written
                throw new OperationCanceledException(_cancellation);
            }
            if (step == order.NumSteps || (wish & (Wish.Checkpoint | Wish.Busy)) == Wish.Checkpoint) Save();
            if (step == order.NumSteps) break;

            long stepStarted = Stopwatch.GetTimestamp();
            List<List<Segment>> micros = order.Step(step);
            (Score score, double factor, double norm) =
                trainer.Step(step, micros, (what, value, where) => throw Diverged(what, value, step, where, checkpoint));
            step++;
            long stepTokens = Trainer.NumInputs(micros);
            tokens += stepTokens;
            last = new LogLine
            {
                Step = step, Loss = score.Loss, Accuracy = score.Accuracy, LearningRate = factor * _recipe.LearningRate,
                GradientNorm = norm, Tokens = tokens,
                TokensPerSecond = stepTokens / Stopwatch.GetElapsedTime(stepStarted).TotalSeconds, Seconds = Elapsed(),
                MemoryBytes = ProcessMemory.Resident,
            };
            double perStep = Stopwatch.GetElapsedTime(looped).TotalSeconds / (step - (restored?.Step ?? 0));
            Log(log, last, TimeSpan.FromSeconds(perStep * (order.NumSteps - step)));
            if (_validation is not null && step % _recipe.EvaluateEvery == 0 && step < order.NumSteps) Evaluate(EvaluationTokens);
        }
        trainer.Optimizer.UseAverage();
        trainer.Gradients.ShareParameters();
        Score? final = _validation is null ? null : Evaluate(long.MaxValue);
        double seconds = Elapsed();
        checkpoint.Wait();
        Arena.GiveBack(); // so that the arrays that weights leave through take no more than a step did
        TrainedModel? made = null;
        if (log is not null)
        {
            OnceThereIsRoom(log.Sync);
            OnceThereIsRoom(() => made = Make(trainer.Model, last!, final));
        }
        long memory = _world.Map(_world.Size, _ => ProcessMemory.Peak).Max();
        if (made is not null) OnceThereIsRoom(() => Finish(made, last! with { Seconds = seconds }, final, memory));
        _world.Any(false); // nobody leaves before the model is there
    }

    /// <summary>A finished run that finds the disk full waits: its weights are nowhere else, and its last checkpoint may be hours
    /// old.</summary>
    private void OnceThereIsRoom(Action write)
    {
        for (long? told = null; ;)
        {
            try
            {
                write();
                return;
            }
            catch (Exception e) when ((e as IOException ?? e.InnerException as IOException)?.HResult == TrainingLogWriter.DiskFull
                && !_cancellation.IsCancellationRequested)
            {
                // Said again, because a supervisor takes ranks that do and say nothing for lost.
                if (told is null || Stopwatch.GetElapsedTime(told.Value).TotalMinutes >= 1)
                {
                    Note($"the run is finished, but its model cannot be written: {e.Message}; make room, it waits (Ctrl-C gives up and goes back to the last checkpoint)");
                    told = Stopwatch.GetTimestamp();
                }
                _cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(2));
            }
        }
    }

    /// <summary>What ranks tell each other between steps, so that all do the same.</summary>
    [Flags]
    private enum Wish : byte
    {
        None = 0,
        Stop = 1,
        Busy = 2,
        Checkpoint = 4,
    }

    /// <summary>The wishes of all ranks.</summary>
    private Wish Agree(Wish own)
    {
        var wishes = new Wish[_world.Size];
        wishes[_world.Rank] = own;
        _world.AllGather<Wish>(wishes, [.. wishes.Select(_ => 1)], [.. Enumerable.Range(0, wishes.Length)]);
        return wishes.Aggregate((all, wish) => all | wish);
    }

    /// <summary>Rank 0 keeps the log and tells of each line.</summary>
    private void Log(TrainingLogWriter? log, LogLine line, TimeSpan? remaining = null)
    {
        if (log is null) return;
        log.Append(line);
        _progress(new TrainingProgress(line, _numSteps, remaining));
    }

    /// <summary>The curve so far: not worth stopping for when the disk is full, of which the checkpoint tells.</summary>
    private void Draw()
    {
        try
        {
            TrainingLog.Draw(_job.RunFolder, _job.Recipe.Name);
        }
        catch (FlywheelException)
        {
        }
    }

    private FlywheelException Diverged(string what, double value, int step, IEnumerable<IReadOnlyList<Segment>> micros,
        Checkpoint checkpoint)
    {
        const int MaxDocuments = 50;
        checkpoint.Wait();
        string last = Checkpoint.NewestOf(_job.RunFolder) is { } newest
            ? $"the last good checkpoint is {newest.Path}" : "there is no checkpoint yet";
        long[] documents = [.. micros.SelectMany(micro => micro).Select(segment => segment.Document).Distinct().Order()];
        string batch = string.Join(", ", documents.Take(MaxDocuments))
            + (documents.Length > MaxDocuments ? $", ... ({documents.Length} in all)" : "");
        return new FlywheelException($"the {what} became {value} at step {step + 1}, documents {batch} of {_job.TrainData}; {last}; "
            + $"a lower train.learning_rate (now {_recipe.LearningRate:g3}) usually helps");
    }

    /// <summary>The base model's log-probabilities: computed before the first step, read afterwards.</summary>
    private double[] Reference(DecoderModel model, TokenDataset data)
    {
        string path = Path.Combine(_job.RunFolder, data == _train ? "reference.bin" : "reference-validation.bin");
        if (_world.FromFirst(File.Exists(path)))
            return System.Runtime.InteropServices.MemoryMarshal.Cast<byte, double>(File.ReadAllBytes(path)).ToArray();
        // One rank that leaves would let the others wait.
        long told = Stopwatch.GetTimestamp();
        double[] values = StepLearner.Reference(model, data, _recipe.MicroTokens, _world.Size == 1 ? _cancellation : CancellationToken.None,
            _world, (done, all) =>
        {
            if (_world.Rank > 0 || Stopwatch.GetElapsedTime(told).TotalSeconds < NoteSeconds) return;
            told = Stopwatch.GetTimestamp();
            Note($"the base's log-probabilities of the {(data == _train ? "training" : "validation")} data: {done:N0} of {all:N0} micro-batches");
        });
        if (_world.Rank == 0)
            AtomicFile.Write(path, stream => stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<double>(values)));
        return values;
    }

    private TrainedModel Make(DecoderModel model, LogLine last, Score? validation)
    {
        var evaluation = new SortedDictionary<string, double>(StringComparer.Ordinal) { ["training_loss"] = last.Loss!.Value };
        if (validation is { } score) evaluation["validation_loss"] = score.Loss;
        if (validation?.Accuracy is { } accuracy) evaluation["validation_accuracy"] = accuracy;
        var manifest = new ModelManifest
        {
            Name = _job.Recipe.Name,
            Licence = _job.Recipe.Licence,
            IntendedUse = _job.Recipe.IntendedUse,
            Tasks = _job.Tasks.Count > 0 ? _job.Tasks : null,
            Words = _job.Words.Count > 0 ? _job.Words : null,
            Run = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(_job.RunFolder))),
            Dataset = _train.Manifest.Hash,
            Created = _job.Time.GetUtcNow(),
            Evaluation = evaluation,
        };
        if (_job.Base is { } parent) manifest = manifest.MadeFrom(parent);
        return _recipe.Lora is { } lora
            ? new(null, AdapterFolder.Create(_job.ModelsFolder, lora.ToConfig(_job.Base!.Hash), model.Adapters(), manifest))
            : new(ModelFolder.Create(_job.ModelsFolder, _config, _tokenizer, _recipe.Save == "bfloat16" ? TensorType.BF16 : TensorType.F32,
                model.Read, manifest, _job.Base, _job.Codec), null);
    }

    private void Finish(TrainedModel made, LogLine last, Score? validation, long memory)
    {
        TrainingLog.Draw(_job.RunFolder, _job.Recipe.Name);
        AtomicFile.WriteText(Path.Combine(_job.RunFolder, "result.json"), JsonSerializer.Serialize(new TrainingResult
        {
            Model = made.Hash, ModelPath = made.Path, Steps = last.Step, Tokens = last.Tokens, Seconds = last.Seconds,
            PeakMemoryBytes = memory,
            Loss = last.Loss!.Value, ValidationLoss = validation?.Loss, ValidationAccuracy = validation?.Accuracy,
        }, JsonText.Indented));
        Checkpoint.DeleteAll(_job.RunFolder);
    }

    private void Note(string text) =>
        _progress(new TrainingProgress(null, _numSteps, null, _world.Rank == 0 ? text : $"rank {_world.Rank}: {text}"));
}
