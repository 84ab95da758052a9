using System.Diagnostics;
using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>Everything that one run needs; the same job in the same folder goes on where it stopped.</summary>
public sealed record TrainingJob
{
    public required Recipe Recipe { get; init; }

    /// <summary>Takes log, checkpoints, curve and result; created when missing.</summary>
    public required string RunFolder { get; init; }

    /// <summary>What to start from; null starts from random weights of <see cref="Config"/>.</summary>
    public ModelFolder? Base { get; init; }

    /// <summary>Shape and tokenizer of a model from random weights.</summary>
    public ModelConfig? Config { get; init; }

    public Tokenizer? Tokenizer { get; init; }

    /// <summary>Folder of a tokenised dataset.</summary>
    public required string TrainData { get; init; }

    public string? ValidationData { get; init; }

    /// <summary>The finished model appears here.</summary>
    public required string ModelsFolder { get; init; }

    /// <summary>Threads of a new run; a run that goes on keeps its own, since results depend on them.</summary>
    public int NumThreads { get; init; } = Math.Max(1, Environment.ProcessorCount);

    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>What a run tells while it goes.</summary>
/// <param name="Line">The newest line of the log.</param>
/// <param name="NumSteps">Optimiser steps in all.</param>
/// <param name="Remaining">Expected time to the end.</param>
/// <param name="Note">Something to say in words, such as a damaged checkpoint.</param>
public sealed record TrainingProgress(LogLine? Line, int NumSteps, TimeSpan? Remaining, string? Note = null);

/// <summary>How a finished run ended; result.json in its folder.</summary>
public sealed record TrainingResult
{
    public required string Model { get; init; }

    public required string ModelPath { get; init; }

    public required int Steps { get; init; }

    public required long Tokens { get; init; }

    public required double Seconds { get; init; }

    /// <summary>Of the last step.</summary>
    public required double Loss { get; init; }

    public double? ValidationLoss { get; init; }

    public double? ValidationAccuracy { get; init; }

    /// <summary>The result of a finished run, or null.</summary>
    public static TrainingResult? Read(string runFolder)
    {
        string path = Path.Combine(runFolder, "result.json");
        return File.Exists(path) ? JsonSerializer.Deserialize<TrainingResult>(File.ReadAllText(path), JsonText.Compact) : null;
    }
}

/// <summary>What decides a run's bits; run.json in its folder. A folder with another identity is refused.</summary>
internal sealed record RunIdentity
{
    public string? Base { get; init; }

    public required string Tokenizer { get; init; }

    public required string Dataset { get; init; }

    public required string Recipe { get; init; }

    public required int NumThreads { get; init; }

    public static RunIdentity? Read(string runFolder)
    {
        string path = Path.Combine(runFolder, "run.json");
        return File.Exists(path) ? JsonSerializer.Deserialize<RunIdentity>(File.ReadAllText(path), JsonText.Compact) : null;
    }
}

/// <summary>
/// Trains a model. Killed at any moment and started again, it ends with the same bits: the state is in checkpoints, and
/// data order, schedule and initial weights are functions of the recipe's seed and the step.
/// </summary>
public sealed class TrainingRun
{
    /// <summary>Tokens of the validation split that are looked at during the run; at its end all of them are.</summary>
    internal const long EvaluationTokens = 32_768;

    private const double LockSeconds = 30;

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
        _tokenizer = job.Base?.Tokenizer ?? job.Tokenizer ?? throw new ArgumentException("neither a base nor a tokenizer is given", nameof(job));
    }

    /// <exception cref="FlywheelException">The data does not fit the model, the folder holds another run, the loss is no longer finite, or the disk is full.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; a checkpoint was written, and the same call goes on from it.</exception>
    public static TrainedModel Run(TrainingJob job, Action<TrainingProgress>? progress = null, CancellationToken cancellation = default)
    {
        using var alone = new SingleRank();
        return Run(job, alone, progress, cancellation);
    }

    /// <summary>The same, shared with other ranks, each of which calls this with the same job.</summary>
    public static TrainedModel Run(TrainingJob job, ICollectives world, Action<TrainingProgress>? progress = null, CancellationToken cancellation = default)
    {
        bool done = world.FromFirst(TrainingResult.Read(job.RunFolder) is { } result && Directory.Exists(result.ModelPath));
        if (!done) new TrainingRun(job, world, progress ?? (_ => { }), cancellation).Run();
        return TrainedModel.Open(TrainingResult.Read(job.RunFolder)!.ModelPath);
    }

    private void Run()
    {
        Directory.CreateDirectory(_job.RunFolder);
        try
        {
            using FileStream? claim = _world.Rank == 0 ? Lock() : null;
            using (_train = OpenData(_job.TrainData))
            using (_validation = _job.ValidationData is { } path ? OpenData(path) : null)
            {
                RequireMemory();
                TorchLibrary.Load(Claim());
                Train();
            }
        }
        catch (IOException e) when (e.HResult == TrainingLogWriter.DiskFull)
        {
            throw new FlywheelException($"{_job.RunFolder}: the disk is full; the last whole checkpoint is kept, make room and run the same command again", e);
        }
    }

    /// <summary>Ranks on one machine share what is free there.</summary>
    private void RequireMemory()
    {
        ulong machine = BitConverter.ToUInt64(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(Environment.MachineName)));
        int numLocal = _world.Map(_world.Size, _ => machine).Count(other => other == machine);
        TrainingMemory.Estimate(_config, _recipe, _world.Size).Require(_job.Recipe.Name, TrainingMemory.Available(), numLocal);
    }

    /// <summary>One world at a time: the ranks of one whose launcher died may take a moment to follow it.</summary>
    private FileStream Lock()
    {
        string path = Path.Combine(_job.RunFolder, "lock");
        for (long started = Stopwatch.GetTimestamp(); ; Thread.Sleep(200))
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None); // held until the process ends, however it does
            }
            catch (IOException e) when (e.HResult != TrainingLogWriter.DiskFull)
            {
                if (Stopwatch.GetElapsedTime(started).TotalSeconds > LockSeconds) throw new FlywheelException($"{_job.RunFolder}: another process is training this run", e);
            }
        }
    }

    private TokenDataset OpenData(string path)
    {
        TokenDataset data = TokenDataset.Open(path);
        DatasetManifest manifest = data.Manifest;
        string? wrong = manifest.TokenizerHash != _tokenizer.Hash ? $"made with tokenizer {manifest.TokenizerHash}, the model's is {_tokenizer.Hash}"
            : !manifest.Suits(_recipe.Objective) ? $"{manifest.Content}, which does not suit the recipe's objective '{_recipe.Objective}'"
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
            if (found is not null && found != identity) throw new FlywheelException($"{_job.RunFolder}: holds another run (its base, data or recipe differ); give another folder or remove it");
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
        using DecoderModel model = _job.Base is { } folder ? DecoderModel.Load(folder, _recipe, _job.Recipe.Seed) : DecoderModel.CreateRandom(_config, _job.Recipe.Seed, _recipe);
        var order = new DataOrder(_train, _recipe, _job.Recipe.Seed, _config.MaxPositions);
        _numSteps = order.NumSteps;
        var objective = new Objective(_recipe, Reference(model, _train, "reference.bin"), _world);
        Objective? validation = _validation is null ? null : new Objective(_recipe, Reference(model, _validation, "reference-validation.bin"), _world);
        using var gradients = new GradientExchange(model.Parameters, _world);
        using var optimizer = new Optimizer(gradients.Owned, _recipe);

        using var checkpoint = new Checkpoint(_job.RunFolder, _recipe.KeepCheckpoints, _world, [.. gradients.Owned, .. optimizer.State], Note);
        bool began = TrainingLog.Read(_job.RunFolder).Count > 0;
        CheckpointManifest? restored = checkpoint.Restore([.. model.Parameters, .. optimizer.State]);
        if (began && _world.Rank == 0) Note(restored is null ? "starting again from the first step" : $"going on after step {restored.Step}");
        using TrainingLogWriter? log = _world.Rank == 0 ? new TrainingLogWriter(_job.RunFolder, restored?.LogBytes ?? 0, Note) : null;
        LogLine? last = TrainingLog.Read(_job.RunFolder).LastOrDefault(line => line.Loss is not null);
        int step = restored?.Step ?? 0;
        long tokens = restored?.Tokens ?? 0;
        double before = restored?.Seconds ?? 0;

        long started = Stopwatch.GetTimestamp(), checkpointed = started;
        double Elapsed() => before + Stopwatch.GetElapsedTime(started).TotalSeconds;
        void Save()
        {
            checkpoint.Save(new CheckpointManifest { Step = step, Tokens = tokens, Seconds = Elapsed(), LogBytes = log?.Length ?? 0 }, () => log?.Sync());
            if (log is not null) Draw();
            checkpointed = Stopwatch.GetTimestamp();
        }
        Score Evaluate(long maxTokens)
        {
            Score score = validation!.Evaluate(model, _validation!, DataOrder.Sample(_validation!, validation.EveryToken, _config.MaxPositions, _recipe.MicroTokens, maxTokens));
            Log(log, new LogLine { Step = step, Tokens = tokens, Seconds = Elapsed(), ValidationLoss = score.Loss, ValidationAccuracy = score.Accuracy });
            return score;
        }
        while (true)
        {
            Wish wish = Agree((_cancellation.IsCancellationRequested ? Wish.Stop : Wish.None) | (checkpoint.IsWriting ? Wish.Busy : Wish.None)
                | (_world.Rank == 0 && step > (restored?.Step ?? 0) && Stopwatch.GetElapsedTime(checkpointed).TotalSeconds >= _recipe.CheckpointSeconds ? Wish.Checkpoint : Wish.None));
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
            double factor = Schedule.Factor(_recipe, step, order.NumSteps);
            gradients.Begin(micros.Count);
            Score score = objective.Accumulate(model, _train, micros, gradients.Add);
            if (!double.IsFinite(score.Loss)) throw Diverged("loss", score.Loss, step, micros.Where((_, i) => !double.IsFinite(score.MicroLosses![i])), checkpoint);
            double norm = gradients.Sum();
            if (!double.IsFinite(norm)) throw Diverged("gradient's norm", norm, step, micros, checkpoint);
            optimizer.Step(step + 1, factor, norm);
            gradients.ShareParameters();
            step++;
            long stepTokens = micros.Sum(micro => micro.Sum(segment => (long)segment.NumInputs));
            tokens += stepTokens;
            last = new LogLine
            {
                Step = step, Loss = score.Loss, Accuracy = score.Accuracy, LearningRate = factor * _recipe.LearningRate, GradientNorm = norm,
                Tokens = tokens, TokensPerSecond = stepTokens / Stopwatch.GetElapsedTime(stepStarted).TotalSeconds, Seconds = Elapsed(),
            };
            double perStep = Stopwatch.GetElapsedTime(started).TotalSeconds / (step - (restored?.Step ?? 0));
            Log(log, last, TimeSpan.FromSeconds(perStep * (order.NumSteps - step)));
            if (validation is not null && step % _recipe.EvaluateEvery == 0 && step < order.NumSteps) Evaluate(EvaluationTokens);
        }
        optimizer.UseAverage();
        gradients.ShareParameters();
        Score? final = validation is null ? null : Evaluate(long.MaxValue);
        checkpoint.Wait();
        if (log is not null)
        {
            log.Sync();
            Finish(model, last!, final);
        }
        _world.Any(false); // nobody leaves before the model is there
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

    private FlywheelException Diverged(string what, double value, int step, IEnumerable<IReadOnlyList<Segment>> micros, Checkpoint checkpoint)
    {
        const int MaxDocuments = 50;
        checkpoint.Wait();
        string last = Checkpoint.NewestOf(_job.RunFolder) is { } newest ? $"the last good checkpoint is {newest.Path}" : "there is no checkpoint yet";
        long[] documents = [.. micros.SelectMany(micro => micro).Select(segment => segment.Document).Distinct().Order()];
        string batch = string.Join(", ", documents.Take(MaxDocuments)) + (documents.Length > MaxDocuments ? $", ... ({documents.Length} in all)" : "");
        return new FlywheelException($"the {what} became {value} at step {step + 1}, documents {batch} of {_job.TrainData}; {last}; "
            + $"a lower train.learning_rate (now {_recipe.LearningRate:g3}) usually helps");
    }

    /// <summary>The base model's log-probabilities: computed before the first step, read afterwards.</summary>
    private double[]? Reference(DecoderModel model, TokenDataset data, string name)
    {
        if (!Objective.NeedsReference(_recipe)) return null;
        string path = Path.Combine(_job.RunFolder, name);
        if (_world.FromFirst(File.Exists(path))) return System.Runtime.InteropServices.MemoryMarshal.Cast<byte, double>(File.ReadAllBytes(path)).ToArray();
        // One rank that leaves would let the others wait.
        double[] values = Objective.Reference(model, data, _recipe.MicroTokens, _world.Size == 1 ? _cancellation : CancellationToken.None, _world);
        if (_world.Rank == 0) AtomicFile.Write(path, stream => stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<double>(values)));
        return values;
    }

    private void Finish(DecoderModel model, LogLine last, Score? validation)
    {
        var evaluation = new SortedDictionary<string, double>(StringComparer.Ordinal) { ["training_loss"] = last.Loss!.Value };
        if (validation is { } score) evaluation["validation_loss"] = score.Loss;
        if (validation?.Accuracy is { } accuracy) evaluation["validation_accuracy"] = accuracy;
        var manifest = new ModelManifest
        {
            Name = _job.Recipe.Name,
            Licence = _job.Recipe.Licence,
            IntendedUse = _job.Recipe.IntendedUse,
            Run = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(_job.RunFolder))),
            Dataset = _train.Manifest.Hash,
            Created = _job.Time.GetUtcNow(),
            Evaluation = evaluation,
        };
        if (_job.Base is { } parent) manifest = manifest.MadeFrom(parent);
        TrainedModel result = _recipe.Lora is { } lora
            ? new(null, AdapterFolder.Create(_job.ModelsFolder, lora.ToConfig(_job.Base!.Hash), model.Adapters(), manifest))
            : new(ModelFolder.Create(_job.ModelsFolder, _config, _tokenizer, _recipe.Save == "bfloat16" ? TensorType.BF16 : TensorType.F32, model.Read, manifest, _job.Base), null);
        TrainingLog.Draw(_job.RunFolder, _job.Recipe.Name);
        AtomicFile.WriteText(Path.Combine(_job.RunFolder, "result.json"), JsonSerializer.Serialize(new TrainingResult
        {
            Model = result.Hash, ModelPath = result.Path, Steps = last.Step, Tokens = last.Tokens, Seconds = last.Seconds,
            Loss = last.Loss!.Value, ValidationLoss = validation?.Loss, ValidationAccuracy = validation?.Accuracy,
        }, JsonText.Indented));
        Checkpoint.DeleteAll(_job.RunFolder);
    }

    private void Note(string text) => _progress(new TrainingProgress(null, _numSteps, null, _world.Rank == 0 ? text : $"rank {_world.Rank}: {text}"));
}
