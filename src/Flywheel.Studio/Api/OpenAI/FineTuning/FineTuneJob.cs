using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Data;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Training;

namespace Flywheel.Studio.OpenAI;

/// <summary>
/// Trains an adapter from an uploaded file, beside the requests. Ended by a crash, it goes on from the run's checkpoint. Its folder in
/// the home, <c>fine-tuning/ID</c>, has the events and, while it trains, the data.
/// </summary>
internal sealed class FineTuneJob(FlywheelStore store, JobQueue queue, UploadedFiles files, FineTunedAdapters adapters, TimeProvider time)
{
    public const string Kind = "fine-tuning";

    /// <summary>Fewer teach nothing that would hold for others; as at OpenAI.</summary>
    public const int MinExamples = 10;

    /// <summary>Adapters take about ten times the rate of whole weights (Schulman 2025, "LoRA without regret"); DPO a tenth of
    /// that.</summary>
    private const double SupervisedRate = 5e-4, DpoRate = 5e-5;

    private const int MinMicroTokens = 1024, MaxMetricEvents = 1000;

    public Task<JobRow> EnqueueAsync(FineTuneInput input, string user) =>
        queue.EnqueueAsync(Kind, JsonSerializer.Serialize(input, JsonText.Compact), user);

    public static string IdOf(JobRow job) => $"ftjob-{job.Id:N}";

    public static FineTuneInput InputOf(JobRow job) => JsonSerializer.Deserialize<FineTuneInput>(job.Payload!.Input, JsonText.Compact)!;

    public static FineTuneState StateOf(JobRow job) =>
        (job.Payload!.Result ?? job.Payload.Checkpoint) is { } known
            ? JsonSerializer.Deserialize<FineTuneState>(known, JsonText.Compact)! : new();

    public FineTuneEvents EventsOf(Guid job) => new(FolderOf(job), time);

    private string FolderOf(Guid job) => Path.Combine(store.Home.Path, "fine-tuning", $"ftjob-{job:N}");

    public async Task<string?> RunAsync(JobContext job, CancellationToken cancellation)
    {
        FineTuneInput input = JsonSerializer.Deserialize<FineTuneInput>(job.Input, JsonText.Compact)!;
        string folder = FolderOf(job.Id), data = Path.Combine(folder, "data");
        FineTuneEvents events = EventsOf(job.Id);
        var state = new FineTuneState();
        try
        {
            events.Say(job.Attempt == 1 && job.Checkpoint is null ? "Validating the files" : "Going on with the job");
            ModelFolder model = new ModelCatalog(store.Home).FindModel(input.Base);
            Directory.CreateDirectory(data);
            FileSize size = await TakeAsync("training_file", input.TrainingFile, Path.Combine(data, "train.jsonl"), model);
            if (input.ValidationFile is { } held) await TakeAsync("validation_file", held, Path.Combine(data, "heldout.jsonl"), model);
            state = Decide(input, size);
            await job.ReportAsync(0, "", JsonSerializer.Serialize(state, JsonText.Compact));
            events.Say($"{size.Examples:N0} examples, {state.Epochs} epochs, {state.BatchSize} examples a step");

            FinishedRun run = await TrainAsync(Recipe(input, state, size, model), folder, job, events, cancellation);
            await store.RecordRunAsync(run, CancellationToken.None);
            TrainingResult result = TrainingResult.Read(run.RunFolder)!;
            state = state with
            {
                Adapter = run.Result.Adapter!.Hash, TrainedTokens = result.Tokens, Steps = result.Steps, Loss = result.Loss,
                ValidationLoss = result.ValidationLoss,
                ResultFile = (await KeepResultsAsync(run.RunFolder, job.User)).Id,
            };
            events.Say(await adapters.LoadAsync(input, state) is { } why
                ? $"The adapter {input.Name} is made, and not served: {why}" : $"{input.Name} is served");
            events.Say("The job has successfully completed");
            Directory.Delete(data, recursive: true);
            return JsonSerializer.Serialize(state, JsonText.Compact);
        }
        catch (FlywheelException e)
        {
            events.Say(e.Message, "error");
            throw;
        }

        // A file may be deleted while the job waits or trains: the job has its own.
        async Task<FileSize> TakeAsync(string field, string id, string path, ModelFolder model)
        {
            state = state with { FaultIn = field };
            try
            {
                UploadedFile file = files.Find(id) ?? throw new FlywheelException($"the file {id} was deleted before the job began");
                if (!File.Exists(path)) AtomicFile.Write(path, stream =>
                {
                    using FileStream content = File.OpenRead(files.PathOf(file));
                    content.CopyTo(stream);
                });
                FileSize measured = FileSize.Measure(path, file.Name, input.Method, model);
                if (measured.TooLong > 0)
                    events.Say(
                        $"{file.Name}: {measured.TooLong:N0} examples are longer than the context of {model.Config.MaxPositions:N0} tokens and are left out", "warn");
                if (field == "training_file" && measured.Examples < MinExamples)
                    throw new FlywheelException(
                        $"{file.Name}: has {measured.Examples} examples that fit into the context of {model.Config.MaxPositions} tokens, expected at least {MinExamples}");
                state = state with { FaultIn = null };
                return measured;
            }
            catch (FlywheelException)
            {
                File.Delete(path); // what is wrong is not kept; a next try reads the file anew
                await job.ReportAsync(0, null, JsonSerializer.Serialize(state, JsonText.Compact));
                throw;
            }
        }
    }

    /// <summary>What was left to us: few examples are seen often, many in larger steps.</summary>
    private static FineTuneState Decide(FineTuneInput input, FileSize size) => new()
    {
        Epochs = input.Epochs ?? Math.Clamp((int)Math.Round(600.0 / size.Examples), 3, 25),
        BatchSize = input.BatchSize ?? Math.Clamp(size.Examples / 50, 4, 64),
        LearningRateMultiplier = input.LearningRateMultiplier ?? 1,
    };

    private static Recipe Recipe(FineTuneInput input, FineTuneState state, FileSize size, ModelFolder model)
    {
        // A step takes examples while they fit: half of one more makes it the number that was asked for.
        int batch = (int)Math.Min(1 << 20, Math.Ceiling((state.BatchSize!.Value + 0.5) * size.MeanTokens)),
            micro = Math.Max(size.MaxTokens, Math.Min(batch, MinMicroTokens));
        bool isDpo = input.Method == FineTuneInput.Dpo;
        var recipe = new Recipe
        {
            Name = input.Name,
            Base = input.Base,
            Seed = input.Seed,
            IntendedUse = $"Fine-tuned from {model.Manifest.Name} by the API.",
            Data = [new SourceRecipe { Source = "dataset", Path = "data" }],
            Train = new TrainRecipe
            {
                Objective = isDpo ? Preference.Id : Supervised.Id,
                Epochs = state.Epochs!.Value,
                BatchTokens = Math.Max(batch, micro),
                MicroTokens = micro,
                LearningRate = (isDpo ? DpoRate : SupervisedRate) * state.LearningRateMultiplier!.Value,
                WeightDecay = 0.01,
                DpoBeta = input.Beta ?? 0.1,
                Lora = new LoraRecipe(),
            },
        };
        recipe.Validate("the job");
        return recipe;
    }

    private async Task<FinishedRun> TrainAsync(Recipe recipe, string folder, JobContext job, FineTuneEvents events,
        CancellationToken cancellation)
    {
        TrainingProgress? latest = null;
        var runner = new RecipeRunner(store.Home)
        {
            Time = time,
            Progress = (_, progress) =>
            {
                if (progress.Line is not { } line) return;
                if (line.ValidationLoss is not null || line.Step % Math.Max(1, progress.NumSteps / MaxMetricEvents) == 0)
                    events.Measured(line, progress.NumSteps);
                if (line.Loss is not null) Volatile.Write(ref latest, progress);
            },
        };
        return await job.ReportWhileAsync(Task.Run(() => runner.Run(recipe, folder, cancellation), CancellationToken.None),
            () => Volatile.Read(ref latest) is not { } now ? null
            : (Math.Min(1, (double)now.Line!.Step / Math.Max(1, now.NumSteps)),
                string.Create(CultureInfo.InvariantCulture, $"step {now.Line.Step:N0} of {now.NumSteps:N0}, loss {now.Line.Loss:F3}"),
                null), time);
    }

    /// <summary>The curve as a table, as OpenAI leaves it.</summary>
    private Task<UploadedFile> KeepResultsAsync(string runFolder, string user)
    {
        var table = new StringBuilder("step,train_loss,train_accuracy,valid_loss,valid_accuracy\n");
        foreach (LogLine line in TrainingLog.Read(runFolder))
            table.Append(CultureInfo.InvariantCulture,
                $"{line.Step},{line.Loss},{line.Accuracy},{line.ValidationLoss},{line.ValidationAccuracy}\n");
        return files.AddAsync(async stream =>
        {
            await stream.WriteAsync(Encoding.UTF8.GetBytes(table.ToString()));
            return ("step_metrics.csv", UploadedFiles.FineTuneResults);
        }, user);
    }
}

/// <summary>How much a file teaches from.</summary>
/// <param name="Examples">Those that fit into the model's context.</param>
/// <param name="TooLong">Those that do not, and are left out.</param>
/// <param name="MeanTokens">Of an example that fits, as it is learnt; of a pair, both answers with the prompt of each.</param>
/// <param name="MaxTokens">Of the longest example that fits.</param>
internal sealed record FileSize(int Examples, int TooLong, double MeanTokens, int MaxTokens)
{
    /// <exception cref="FlywheelException">A line is not an example of the method: names the file as its owner does, the line and the
    /// field.</exception>
    public static FileSize Measure(string path, string name, string method, ModelFolder model)
    {
        int examples = 0, tooLong = 0, longest = 2;
        long sum = 0;
        try
        {
            foreach (SourceItem item in JsonlSource.Read(path))
                foreach (Example example in item.Examples)
                {
                    IReadOnlyList<Conversation> documents = (example, method) switch
                    {
                        (ConversationExample conversation, FineTuneInput.Supervised) => [conversation.Conversation],
                        (PairExample pair, FineTuneInput.Dpo) => [pair.Preferred, pair.Rejected],
                        _ => throw new FlywheelException(
                            $"{path}: example {examples + tooLong + 1} is no example of the method {method}, expected "
                            + (method == FineTuneInput.Dpo
                                ? "{\"input\": {\"messages\": [...]}, \"preferred_output\": [...], \"non_preferred_output\": [...]}" : "{\"messages\": [...]}")),
                    };
                    int[] lengths = [.. documents.Select(document => model.ChatTemplate.Document(document).Tokens.Length)];
                    if (lengths.Max() > model.Config.MaxPositions)
                    {
                        tooLong++;
                        continue;
                    }
                    int inputs = lengths.Sum() - lengths.Length; // the last token of a document is only learnt
                    examples++;
                    sum += inputs;
                    longest = Math.Max(longest, inputs);
                }
        }
        catch (FlywheelException e)
        {
            throw new FlywheelException(e.Message.Replace(path, name, StringComparison.Ordinal), e); // where it lies is nobody's business
        }
        return new(examples, tooLong, examples == 0 ? 0 : (double)sum / examples, longest);
    }
}
