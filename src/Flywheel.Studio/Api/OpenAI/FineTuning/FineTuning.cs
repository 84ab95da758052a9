using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.OpenAI;

/// <summary><c>/v1/fine_tuning/jobs</c>: an adapter of a model from one's own examples, by the trainer of this server.</summary>
internal static partial class FineTuning
{
    private const string Prefix = "ftjob-";

    private const int MaxEpochs = 50, MaxBatch = 256, MaxJobs = 1000;

    public static async Task CreateAsync(HttpContext http, FineTuneJob jobs, UploadedFiles files, ModelHost host, FlywheelStore store,
        JobQueue queue)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "model", "training_file", "validation_file", "method", "hyperparameters", "suffix", "seed",
            "metadata", "integrations", "user");
        if (body["integrations"] is JsonArray { Count: > 0 })
            throw ApiException.Unsupported("integrations", "leave it out; events and step metrics are read from the job");
        string suffix = body.Text("suffix", 40) ?? "";
        if (!Suffix().IsMatch(suffix)) throw RequestBody.Wrong("suffix", body["suffix"], "at most 40 letters, digits, '-', '_' and '.'");
        (string name, string hash) = Model(body.RequiredText("model", 200), host.Current, new ModelCatalog(store.Home));
        string training = Usable(http, body.RequiredText("training_file"), files, "training_file").Id;
        string? validation = body.Text("validation_file") is { } held ? Usable(http, held, files, "validation_file").Id : null;
        (string method, string at, RequestBody chosen) = Method(body);
        var input = new FineTuneInput
        {
            Model = name, Base = hash, Suffix = suffix.Length > 0 ? suffix : null, TrainingFile = training, ValidationFile = validation,
            Method = method,
            Name = $"{AsName(name)}-{(suffix.Length > 0 ? suffix : "ft")}-{Guid.NewGuid().ToString("N")[..8]}",
            Epochs = Auto(chosen, "n_epochs", at, (fields, field) => fields.Count(field, 1, MaxEpochs)),
            BatchSize = Auto(chosen, "batch_size", at, (fields, field) => fields.Count(field, 1, MaxBatch)),
            LearningRateMultiplier = Auto(chosen, "learning_rate_multiplier", at, (fields, field) => fields.Number(field, 1e-3, 100)),
            Beta = Auto(chosen, "beta", at, (fields, field) => fields.Number(field, 1e-3, 2)),
            Seed = body.Count("seed", 0, int.MaxValue) ?? Random.Shared.Next(),
            Metadata = body.Labels("metadata"),
        };
        JobRow job = await jobs.EnqueueAsync(input, body.Owner);
        jobs.EventsOf(job.Id).Say($"Created fine-tuning job: {FineTuneJob.IdOf(job)}");
        await Answers.Json(http, ToJson(await queue.FindAsync(job.Id)));
    }

    /// <summary>Newest first; the query may name <c>metadata[KEY]</c>.</summary>
    public static async Task ListAsync(HttpContext http, JobQueue queue)
    {
        var wanted = Listing.Labels(http.Request.Query);
        List<JsonObject> found = [];
        foreach (JobRow row in (await queue.ListAsync(Caller.WorkspaceOf(http.User), kind: FineTuneJob.Kind, count: MaxJobs,
            cancellation: http.RequestAborted)).Reverse())
        {
            if (!Caller.MaySee(http.User, row.User)) continue;
            JsonObject job = ToJson(await queue.FindAsync(row.Id, http.RequestAborted));
            if (wanted.All(label => (string?)job["metadata"]?[label.Key] == label.Value)) found.Add(job);
        }
        await Answers.Json(http, Listing.Of(http.Request.Query, found));
    }

    public static async Task GetAsync(HttpContext http, string id, JobQueue queue) =>
        await Answers.Json(http, ToJson(await FindAsync(http, id, queue)));

    public static async Task EventsAsync(HttpContext http, string id, JobQueue queue, FineTuneJob jobs) =>
        await Answers.Json(http, Listing.Of(http.Request.Query, jobs.EventsOf((await FindAsync(http, id, queue)).Id).Read()));

    /// <summary>The end is the only state of a training that can be served.</summary>
    public static async Task CheckpointsAsync(HttpContext http, string id, JobQueue queue)
    {
        JobRow job = await FindAsync(http, id, queue);
        FineTuneState state = FineTuneJob.StateOf(job);
        await Answers.Json(http, Listing.Of(http.Request.Query, job.State != JobState.Done ? [] :
        [
            new()
            {
                ["id"] = $"ftckpt-{job.Id:N}",
                ["object"] = "fine_tuning.job.checkpoint",
                ["created_at"] = job.Finished?.ToUnixTimeSeconds(),
                ["fine_tuned_model_checkpoint"] = FineTuneJob.InputOf(job).Name,
                ["fine_tuning_job_id"] = FineTuneJob.IdOf(job),
                ["step_number"] = state.Steps,
                ["metrics"] = new JsonObject { ["step"] = state.Steps, ["train_loss"] = state.Loss,
                    ["full_valid_loss"] = state.ValidationLoss },
            },
        ]));
    }

    public static Task CancelAsync(HttpContext http, string id, JobQueue queue) => AskAsync(http, id, queue, job => queue.CancelAsync(job));

    public static Task PauseAsync(HttpContext http, string id, JobQueue queue) => AskAsync(http, id, queue, job => queue.PauseAsync(job));

    public static Task ResumeAsync(HttpContext http, string id, JobQueue queue) => AskAsync(http, id, queue, job => queue.ResumeAsync(job));

    private static async Task AskAsync(HttpContext http, string id, JobQueue queue, Func<Guid, Task> ask)
    {
        JobRow job = await FindAsync(http, id, queue);
        try
        {
            await ask(job.Id);
        }
        catch (FlywheelException e)
        {
            throw new ApiException(400, e.Message, "fine_tuning_job_id", "invalid_job_state");
        }
        await Answers.Json(http, ToJson(await queue.FindAsync(job.Id)));
    }

    private static async Task<JobRow> FindAsync(HttpContext http, string id, JobQueue queue)
    {
        if (id.StartsWith(Prefix, StringComparison.Ordinal) && Guid.TryParseExact(id[Prefix.Length..], "N", out Guid job))
            try
            {
                JobRow row = await queue.FindAsync(job, http.RequestAborted);
                if (row.Kind == FineTuneJob.Kind && row.Workspace == Caller.WorkspaceOf(http.User) && Caller.MaySee(http.User, row.User))
                    return row;
            }
            catch (FlywheelException)
            {
                // There is none.
            }
        throw new ApiException(404, $"there is no fine-tuning job '{id}' here", "fine_tuning_job_id", "fine_tuning_job_not_found");
    }

    /// <summary>The model that serves, or one of this home by its name or the beginning of its hash.</summary>
    private static (string Name, string Hash) Model(string wanted, ServedModel served, ModelCatalog catalog)
    {
        if (GenerationFields.IsNamed(served, wanted)) return (served.Name, served.Hash);
        IReadOnlyList<CatalogEntry> all = catalog.List();
        CatalogEntry[] found =
            [.. all.Where(entry => entry.Name == wanted
                || wanted.Length >= 12 && entry.Manifest.Hash.StartsWith(wanted, StringComparison.Ordinal))];
        if (found is [{ IsAdapter: true }])
            throw ApiException.BadField("model",
                $"'{wanted}' is an adapter, expected a model; train again from its model with both files' examples in one");
        return found.Length == 1 ? (found[0].Name, found[0].Manifest.Hash)
            : throw ApiException.ModelNotFound(wanted,
                all.Where(entry => !entry.IsAdapter).Select(entry => entry.Name).Prepend(GenerationFields.AnyModel).Distinct());
    }

    private static UploadedFile Usable(HttpContext http, string id, UploadedFiles files, string field) =>
        Files.Find(http, id, files, field) is var file && file.Purpose == UploadedFiles.FineTune ? file
        : throw ApiException.BadField(field,
            $"field '{field}' names a file of the purpose '{file.Purpose}', expected '{UploadedFiles.FineTune}'");

    /// <summary>The method, the place of its hyperparameters in the request, and these; older clients give them without a method.</summary>
    private static (string Method, string At, RequestBody Fields) Method(RequestBody body)
    {
        if (body.Object("method") is not { } given)
            return (FineTuneInput.Supervised, "hyperparameters",
                Checked(body.Object("hyperparameters"), "hyperparameters", FineTuneInput.Supervised));
        if (body["hyperparameters"] is not null)
            throw ApiException.BadField("hyperparameters",
                "field 'hyperparameters' is given beside 'method', expected them within the method");
        string? type = (given["type"] as JsonValue)?.TryGetValue(out string? text) == true ? text : null;
        if (type is not (FineTuneInput.Supervised or FineTuneInput.Dpo))
            throw ApiException.BadField("method.type",
                $"field 'method.type' is {RequestBody.Shown(given["type"])}, expected supervised or dpo");
        if (given.FirstOrDefault(field => field.Key != "type" && field.Key != type && field.Value is not null).Key is { } other)
            throw ApiException.BadField($"method.{other}", $"field 'method.{other}' does not belong to the method {type}",
                "unknown_parameter");
        string at = $"method.{type}.hyperparameters";
        JsonNode? fields = given[type] switch
        {
            null => null,
            JsonObject settings => settings["hyperparameters"],
            var wrong => throw RequestBody.Wrong($"method.{type}", wrong, "an object"),
        };
        return (type, at,
            Checked(fields as JsonObject ?? (fields is null ? null : throw RequestBody.Wrong(at, fields, "an object")), at, type));

        RequestBody Checked(JsonObject? fields, string at, string method)
        {
            string[] known = method == FineTuneInput.Dpo
                ? ["n_epochs", "batch_size", "learning_rate_multiplier", "beta"] : ["n_epochs", "batch_size", "learning_rate_multiplier"];
            if (fields?.FirstOrDefault(field => !known.Contains(field.Key) && field.Value is not null).Key is { } unknown)
                throw ApiException.BadField($"{at}.{unknown}",
                    $"field '{at}.{unknown}' is not known here; known are {string.Join(", ", known)}", "unknown_parameter");
            return body.As(fields ?? []);
        }
    }

    /// <summary>A number, or null for <c>"auto"</c>.</summary>
    private static T? Auto<T>(RequestBody fields, string field, string at, Func<RequestBody, string, T?> read) where T : struct
    {
        if (fields[field] is JsonValue value && value.TryGetValue(out string? text) && text == "auto") return null;
        try
        {
            return read(fields, field);
        }
        catch (ApiException e)
        {
            throw ApiException.BadField($"{at}.{field}",
                $"{e.Message.Replace($"'{field}'", $"'{at}.{field}'", StringComparison.Ordinal)}, or \"auto\"");
        }
    }

    /// <summary>A model's name as a recipe's must be.</summary>
    private static string AsName(string name) =>
        NotInNames().Replace(name, "-").TrimStart('.') is { Length: > 0 } usable ? usable : "model";

    private static JsonObject ToJson(JobRow job)
    {
        FineTuneInput input = FineTuneJob.InputOf(job);
        FineTuneState state = FineTuneJob.StateOf(job);
        var chosen = new JsonObject
        {
            ["n_epochs"] = (state.Epochs ?? input.Epochs) is { } epochs ? epochs : "auto",
            ["batch_size"] = (state.BatchSize ?? input.BatchSize) is { } batch ? batch : "auto",
            ["learning_rate_multiplier"] = (state.LearningRateMultiplier ?? input.LearningRateMultiplier) is { } rate ? rate : "auto",
        };
        var ofMethod = (JsonObject)chosen.DeepClone();
        if (input.Method == FineTuneInput.Dpo) ofMethod["beta"] = input.Beta is { } beta ? beta : "auto";
        return new()
        {
            ["id"] = FineTuneJob.IdOf(job),
            ["object"] = "fine_tuning.job",
            ["created_at"] = job.Created.ToUnixTimeSeconds(),
            ["finished_at"] = job.Finished?.ToUnixTimeSeconds(),
            ["model"] = input.Model,
            ["model_hash"] = input.Base,
            ["fine_tuned_model"] = job.State == JobState.Done ? input.Name : null,
            ["adapter_hash"] = state.Adapter,
            ["organization_id"] = job.Workspace,
            ["status"] = job.State switch
            {
                JobState.Queued => "queued",
                JobState.Running => state.Epochs is null ? "validating_files" : "running",
                JobState.Paused => "paused",
                JobState.Done => "succeeded",
                JobState.Cancelled => "cancelled",
                _ => "failed",
            },
            ["training_file"] = input.TrainingFile,
            ["validation_file"] = input.ValidationFile,
            ["hyperparameters"] = chosen,
            ["method"] = new JsonObject { ["type"] = input.Method, [input.Method] = new JsonObject { ["hyperparameters"] = ofMethod } },
            ["result_files"] = new JsonArray([.. new[] { state.ResultFile }.OfType<string>().Select(id => (JsonNode)id)]),
            ["trained_tokens"] = state.TrainedTokens,
            ["error"] = job.State != JobState.Failed ? null : new JsonObject
            {
                ["code"] = state.FaultIn is { } field ? $"invalid_{field}" : "training_failed", ["message"] = job.Message,
                ["param"] = state.FaultIn,
            },
            ["seed"] = input.Seed,
            ["user_provided_suffix"] = input.Suffix,
            ["metadata"] = new JsonObject(input.Metadata.Select(label => KeyValuePair.Create(label.Key, (JsonNode?)label.Value))),
            ["integrations"] = new JsonArray(),
            ["progress"] = job.Progress,
        };
    }

    [GeneratedRegex("^[A-Za-z0-9._-]*$")]
    private static partial Regex Suffix();

    [GeneratedRegex("[^A-Za-z0-9._-]+")]
    private static partial Regex NotInNames();
}
