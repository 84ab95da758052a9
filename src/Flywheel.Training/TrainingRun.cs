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

    private readonly TrainingJob _job;
    private readonly TrainRecipe _recipe;
    private readonly Action<TrainingProgress> _progress;
    private readonly CancellationToken _cancellation;
    private readonly ModelConfig _config;
    private readonly Tokenizer _tokenizer;
    private readonly ICollectives _world;
    private TokenDataset _train = null!;
    private TokenDataset? _validation;

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
        if (TrainingResult.Read(job.RunFolder) is { } done && Directory.Exists(done.ModelPath)) return TrainedModel.Open(done.ModelPath);
        return new TrainingRun(job, world, progress ?? (_ => { }), cancellation).Run();
    }

    private TrainedModel Run()
    {
        Directory.CreateDirectory(_job.RunFolder);
        try
        {
            using (_train = OpenData(_job.TrainData))
            using (_validation = _job.ValidationData is { } path ? OpenData(path) : null)
            {
                TorchLibrary.Load(Claim().NumThreads);
                return Train();
            }
        }
        catch (IOException e) when (e.HResult == DiskFull)
        {
            throw new FlywheelException($"{_job.RunFolder}: the disk is full; the last whole checkpoint is kept, make room and run the same command again", e);
        }
    }

    /// <summary>ENOSPC as .NET reports it on Unix.</summary>
    private const int DiskFull = 28;

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
    private RunIdentity Claim()
    {
        RunIdentity? found = RunIdentity.Read(_job.RunFolder);
        var identity = new RunIdentity
        {
            Base = _job.Base?.Hash,
            Tokenizer = _tokenizer.Hash,
            Dataset = _train.Manifest.Hash,
            Recipe = RecipeFile.ToYaml(_job.Recipe),
            NumThreads = found?.NumThreads ?? _job.NumThreads,
        };
        if (found is not null && found != identity) throw new FlywheelException($"{_job.RunFolder}: holds another run (its base, data or recipe differ); give another folder or remove it");
        if (found is null)
        {
            AtomicFile.WriteText(Path.Combine(_job.RunFolder, "recipe.yaml"), identity.Recipe);
            AtomicFile.WriteText(Path.Combine(_job.RunFolder, "run.json"), JsonSerializer.Serialize(identity, JsonText.Indented));
        }
        return identity;
    }

    private TrainedModel Train()
    {
        using DecoderModel model = _job.Base is { } folder ? DecoderModel.Load(folder, _recipe, _job.Recipe.Seed) : DecoderModel.CreateRandom(_config, _job.Recipe.Seed, _recipe);
        var order = new DataOrder(_train, _recipe, _job.Recipe.Seed, _config.MaxPositions);
        var objective = new Objective(_recipe, Reference(model, _train, "reference.bin"));
        Objective? validation = _validation is null ? null : new Objective(_recipe, Reference(model, _validation, "reference-validation.bin"));
        using var gradients = new GradientExchange(model.Parameters, _world);
        using var optimizer = new Optimizer(gradients.Owned, _recipe);

        CheckpointManifest? restored = Checkpoint.Restore(_job.RunFolder, model, optimizer, note => Report(null, order.NumSteps, null, note));
        int step = restored?.Step ?? 0;
        long tokens = restored?.Tokens ?? 0;
        double before = restored?.Seconds ?? 0;
        if (TrainingLog.Read(_job.RunFolder).Count > 0) Report(null, order.NumSteps, null, restored is null ? "starting again from the first step" : $"going on after step {step}");
        TrainingLog.TruncateAfter(_job.RunFolder, step);
        LogLine? last = TrainingLog.Read(_job.RunFolder).LastOrDefault(line => line.Loss is not null);

        long started = Stopwatch.GetTimestamp(), checkpointed = started;
        double Elapsed() => before + Stopwatch.GetElapsedTime(started).TotalSeconds;
        void Save()
        {
            Checkpoint.Write(_job.RunFolder, model, optimizer, step, tokens, Elapsed());
            TrainingLog.Draw(_job.RunFolder, _job.Recipe.Name);
            checkpointed = Stopwatch.GetTimestamp();
        }
        while (step < order.NumSteps)
        {
            if (_cancellation.IsCancellationRequested)
            {
                Save();
                _cancellation.ThrowIfCancellationRequested();
            }
            long stepStarted = Stopwatch.GetTimestamp();
            List<List<Segment>> micros = order.Step(step);
            double factor = Schedule.Factor(_recipe, step, order.NumSteps);
            gradients.Begin(micros.Count);
            Score score = objective.Accumulate(model, _train, micros, gradients.Add);
            if (!double.IsFinite(score.Loss)) throw Diverged("loss", score.Loss, step);
            double norm = gradients.Sum();
            if (!double.IsFinite(norm)) throw Diverged("gradient's norm", norm, step);
            optimizer.Step(step + 1, factor, norm);
            gradients.ShareParameters();
            step++;
            long stepTokens = micros.Sum(micro => micro.Sum(segment => (long)segment.NumInputs));
            tokens += stepTokens;
            double stepSeconds = Stopwatch.GetElapsedTime(stepStarted).TotalSeconds;
            last = new LogLine
            {
                Step = step, Loss = score.Loss, Accuracy = score.Accuracy, LearningRate = factor * _recipe.LearningRate, GradientNorm = norm,
                Tokens = tokens, TokensPerSecond = stepTokens / stepSeconds, Seconds = Elapsed(),
            };
            TrainingLog.Append(_job.RunFolder, last);
            double perStep = Stopwatch.GetElapsedTime(started).TotalSeconds / (step - (restored?.Step ?? 0));
            Report(last, order.NumSteps, TimeSpan.FromSeconds(perStep * (order.NumSteps - step)));
            if (validation is not null && step % _recipe.EvaluateEvery == 0 && step < order.NumSteps) Evaluate(model, validation, step, order.NumSteps, tokens, Elapsed(), EvaluationTokens);
            if (step == order.NumSteps || Stopwatch.GetElapsedTime(checkpointed).TotalSeconds >= _recipe.CheckpointSeconds) Save();
        }
        optimizer.UseAverage();
        gradients.ShareParameters();
        Score? final = validation is null ? null : Evaluate(model, validation, step, order.NumSteps, tokens, Elapsed(), long.MaxValue);
        return Finish(model, last!, final);
    }

    private FlywheelException Diverged(string what, double value, int step)
    {
        string? checkpoint = Checkpoint.Newest(_job.RunFolder);
        return new FlywheelException($"the {what} became {value} at step {step + 1}; {(checkpoint is null ? "there is no checkpoint yet" : $"the last good checkpoint is {checkpoint}")}; "
            + $"a lower train.learning_rate (now {_recipe.LearningRate:g3}) usually helps");
    }

    private Score Evaluate(DecoderModel model, Objective objective, int step, int numSteps, long tokens, double seconds, long maxTokens)
    {
        Score score = objective.Evaluate(model, _validation!, DataOrder.Sample(_validation!, objective.EveryToken, _config.MaxPositions, _recipe.MicroTokens, maxTokens));
        var line = new LogLine { Step = step, Tokens = tokens, Seconds = seconds, ValidationLoss = score.Loss, ValidationAccuracy = score.Accuracy };
        TrainingLog.Append(_job.RunFolder, line);
        Report(line, numSteps, null);
        return score;
    }

    /// <summary>The base model's log-probabilities: computed before the first step, read afterwards.</summary>
    private double[]? Reference(DecoderModel model, TokenDataset data, string name)
    {
        if (!Objective.NeedsReference(_recipe)) return null;
        string path = Path.Combine(_job.RunFolder, name);
        if (File.Exists(path)) return System.Runtime.InteropServices.MemoryMarshal.Cast<byte, double>(File.ReadAllBytes(path)).ToArray();
        double[] values = Objective.Reference(model, data, _recipe.MicroTokens, _cancellation);
        AtomicFile.Write(path, stream => stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<double>(values)));
        return values;
    }

    private TrainedModel Finish(DecoderModel model, LogLine last, Score? validation)
    {
        var evaluation = new SortedDictionary<string, double>(StringComparer.Ordinal) { ["training_loss"] = last.Loss!.Value };
        if (validation is { } score) evaluation["validation_loss"] = score.Loss;
        if (validation?.Accuracy is { } accuracy) evaluation["validation_accuracy"] = accuracy;
        var manifest = new ModelManifest
        {
            Name = _job.Recipe.Name,
            Parent = _job.Base?.Hash,
            Run = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(_job.RunFolder))),
            Dataset = _train.Manifest.Hash,
            Created = _job.Time.GetUtcNow(),
            Evaluation = evaluation,
        };
        TrainedModel result = _recipe.Lora is { } lora
            ? new(null, AdapterFolder.Create(_job.ModelsFolder, lora.ToConfig(_job.Base!.Hash), model.Adapters(), manifest))
            : new(ModelFolder.Create(_job.ModelsFolder, _config, _tokenizer, _recipe.Save == "bfloat16" ? TensorType.BF16 : TensorType.F32, model.Read, manifest), null);
        TrainingLog.Draw(_job.RunFolder, _job.Recipe.Name);
        AtomicFile.WriteText(Path.Combine(_job.RunFolder, "result.json"), JsonSerializer.Serialize(new TrainingResult
        {
            Model = result.Hash, ModelPath = result.Path, Steps = last.Step, Tokens = last.Tokens, Seconds = last.Seconds,
            Loss = last.Loss!.Value, ValidationLoss = validation?.Loss, ValidationAccuracy = validation?.Accuracy,
        }, JsonText.Indented));
        Checkpoint.DeleteAll(_job.RunFolder);
        return result;
    }

    private void Report(LogLine? line, int numSteps, TimeSpan? remaining, string? note = null) => _progress(new TrainingProgress(line, numSteps, remaining, note));
}
