using System.Diagnostics;
using Flywheel.Data;
using Flywheel.Engine;
using Flywheel.Jinja;
using Flywheel.Model;

namespace Flywheel.Loop.Tasks;

/// <summary>Has a model do a task on items that were held out, and a baseline beside it, and measures both.</summary>
public static class TaskExam
{
    private const int AtOnce = 24, NumSamples = 20;

    /// <param name="task">The task.</param>
    /// <param name="model">Who is examined.</param>
    /// <param name="home">Where data sets lie.</param>
    /// <param name="limit">At most so many items; which ones does not depend on it.</param>
    /// <param name="now">For the record.</param>
    /// <param name="withBaseline">Measure the baseline, too.</param>
    /// <param name="progress">Told how many items of how many are answered.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">The task has nothing to measure by or on, or the model cannot be asked.</exception>
    public static async Task<TaskEvaluation> TakeAsync(TaskFolder task, ModelFolder model, FlywheelHome home, int limit, DateTimeOffset now,
        bool withBaseline = true, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        TaskDescription about = task.Description;
        if (about.Metrics.Count == 0)
            throw new FlywheelException(
                $"{Path.Combine(task.Path, TaskFolder.FileName)}: field 'metrics' is missing, expected what the task is measured by");
        IReadOnlyList<TaskItem> heldOut = TaskItems.HeldOut(task, home);
        TaskItem[] items = Chosen(heldOut, limit);
        IReadOnlyList<string> outputs = await AnswerAsync(task, model, items, new EngineOptions(), progress, cancellation);
        IReadOnlyList<string>? baseline = about.Baseline is null || !withBaseline ? null : Baseline(task, items, home);
        return new TaskEvaluation
        {
            Task = task.Name,
            Model = model.Hash,
            ModelName = model.Manifest.Name,
            Time = now,
            NumItems = items.Length,
            NumHeldOut = heldOut.Count,
            Scores = [.. about.Metrics.Select(TaskMetric.Named).Select(metric =>
            {
                Interval own = Measured(metric, outputs);
                Interval? theirs = baseline is null ? null : Measured(metric, baseline);
                return new TaskScore(metric.Name, metric.HigherIsBetter, own.Estimate, own.Low, own.High, theirs?.Estimate, theirs?.Low,
                    theirs?.High);
            })],
            Samples = [.. items.Take(NumSamples).Select((item, i) => new TaskSample(item.Fields, item.Answer, outputs[i], baseline?[i]))],
        };

        Interval Measured(TaskMetric metric, IReadOnlyList<string> said) =>
            metric.Measure([.. items.Select((item, i) => metric.Count(item, said[i]))], seed: 1);
    }

    /// <summary>At most so many of the items; which ones depends on the items alone.</summary>
    internal static TaskItem[] Chosen(IEnumerable<TaskItem> items, int limit) =>
        [.. items.OrderBy(item => StableHash.Of(item.Id)).Take(limit)];

    /// <summary>Takes the likeliest tokens, unless the task's file has a temperature; so the same model gives the same figures.</summary>
    internal static async Task<IReadOnlyList<string>> AnswerAsync(TaskFolder task, ModelFolder model, TaskItem[] items,
        EngineOptions options, Action<int, int>? progress, CancellationToken cancellation)
    {
        string[] outputs = new string[items.Length];
        int done = 0;
        TaskAsk[] asks = [.. items.Select(item => TaskAsk.For(task, item.Fields, model, new SamplerOptions { Temperature = 0 }))];
        await using InferenceEngine engine = InferenceEngine.Load(model, options);
        await Parallel.ForEachAsync(Enumerable.Range(0, items.Length),
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation }, async (i, stop) =>
        {
            outputs[i] = task.Output(await asks[i].AnswerAsync(engine, model.Tokenizer, (ulong)i, stop));
            progress?.Invoke(Interlocked.Increment(ref done), items.Length);
        });
        return outputs;
    }

    private static string Run(TaskFolder task, string[] command)
    {
        try
        {
            using Process process =
                Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true,
                    RedirectStandardInput = true })!;
            process.StandardInput.Close();
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string said = process.StandardOutput.ReadToEnd().Trim();
            process.WaitForExit();
            return process.ExitCode == 0
                ? said : throw new FlywheelException(
                    $"the baseline of the task '{task.Name}', {string.Join(' ', command)}, ended with {process.ExitCode}: {errors.Result.Trim()}");
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new FlywheelException(
                $"the baseline of the task '{task.Name}' needs the program {command[0]}, which is not on this machine; install it, or leave the baseline out with --no-baseline", e);
        }
    }

    /// <summary>What is said to the same items without a model, from the training side alone.</summary>
    internal static IReadOnlyList<string> Baseline(TaskFolder task, IReadOnlyList<TaskItem> items, FlywheelHome home)
    {
        TaskBaseline baseline = task.Description.Baseline!;
        if (baseline.Answer is { } answer && baseline.Kind is TaskBaseline.Template or TaskBaseline.Program)
        {
            var template = new JinjaTemplate(answer);
            JinjaTemplate[] command = [.. baseline.Command.Select(argument => new JinjaTemplate(argument))];
            return [.. items.Select(item =>
            {
                var known = new Dictionary<string, string>(item.Fields);
                if (command.Length > 0)
                    known["said"] = Run(task, [.. command.Select(argument => task.Render(argument, item.Fields, "baseline.command"))]);
                string text = task.Render(template, known, "baseline.answer");
                return task.Description.Output.Symbols is null
                    ? text : string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
            })];
        }
        TaskItem[] train = [.. TaskItems.Read(task, home).Where(item => item.Split == Data.Split.Train)];
        if (train.Length == 0)
            throw new FlywheelException($"the task '{task.Name}' has no training items for its baseline '{baseline.Kind}'");
        if (baseline.Kind == TaskBaseline.Common)
        {
            string common = train.CountBy(item => item.Answer).OrderByDescending(pair => pair.Value)
                .ThenBy(pair => pair.Key, StringComparer.Ordinal).First().Key;
            return [.. items.Select(_ => common)];
        }
        if (baseline.Kind == TaskBaseline.Window)
        {
            string sequence = task.Description.Fields[0].Name;
            var bayes = new WindowBayes(baseline.Width, train.Select(item => (item.Fields[sequence].Split(' '), item.Answer, item.Scored)));
            return [.. items.Select(item => bayes.Predict(item.Fields[sequence].Split(' ')))];
        }
        if (TaskItems.CodecFile(task, home) is { } file)
            return NearestPictures(task.Description.Fields.First(field => field.Modality == PictureCodec.Modality).Name,
                PictureCodec.Load(file), train, items);
        (string Key, string Answer)[] known = [.. train.Select(item => (KeyOf(item), item.Answer))];
        string[] nearest = new string[items.Count];
        Parallel.For(0, items.Count, i =>
        {
            string key = KeyOf(items[i]);
            int best = int.MaxValue;
            foreach ((string other, string answer) in known)
            {
                int distance = Edits.Distance<char>(key, other, best - 1);
                if (distance < best) (best, nearest[i]) = (distance, answer);
            }
        });
        return nearest;

        string KeyOf(TaskItem item) => string.Join('\n', task.Description.Fields.Select(field => item.Fields[field.Name]));
    }

    /// <summary>The answer of the training picture that is nearest, pixel by pixel, as the codec's tokens show both.</summary>
    private static string[] NearestPictures(string field, PictureCodec codec, TaskItem[] train, IReadOnlyList<TaskItem> items)
    {
        float[] distances = codec.Distances();
        int n = codec.NumCentres;
        int[][] known = [.. train.Select(item => codec.Tokens(item.Fields[field]))];
        string[] nearest = new string[items.Count];
        Parallel.For(0, items.Count, i =>
        {
            int[] asked = codec.Tokens(items[i].Fields[field]);
            float least = float.MaxValue;
            for (int other = 0; other < known.Length; other++)
            {
                float sum = 0;
                for (int k = 0; k < asked.Length && sum < least; k++) sum += distances[asked[k] * n + known[other][k]];
                if (sum < least) (least, nearest[i]) = (sum, train[other].Answer);
            }
        });
        return nearest;
    }
}
