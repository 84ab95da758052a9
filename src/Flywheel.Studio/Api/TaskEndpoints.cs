using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Studio.Apps.Tasks;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio;

/// <summary>
/// <c>GET /v1/tasks</c>, <c>GET /v1/tasks/NAME</c> and <c>POST /v1/tasks/NAME</c>: every task that is described by a file, without code of
/// its own.
/// </summary>
internal static class TaskEndpoints
{
    public static async Task ListAsync(HttpContext http, TaskDesk desk, ModelHost host) =>
        await Answers.Json(http, new() { ["object"] = "list",
            ["data"] = new JsonArray([.. desk.Catalog.List().Select(task => Summary(task, host.Current))]) });

    public static async Task OneAsync(HttpContext http, string name, TaskDesk desk, ModelHost host)
    {
        TaskFolder task = Find(desk, name);
        ServedModel model = host.Current;
        TaskDescription description = task.Description;
        JsonObject answer = Summary(task, model);
        answer["licence"] = description.Licence;
        answer["fields"] = new JsonArray([.. description.Fields.Select(FieldJson)]);
        answer["output"] = new JsonObject { ["modality"] = description.Output.Modality, ["widget"] = description.Output.WidgetOrDefault };
        answer["metrics"] = new JsonArray([.. description.Metrics.Select(metric => JsonValue.Create(metric))]);
        answer["baseline"] = description.Baseline?.Name.En;
        answer["examples"] = new JsonArray([.. description.Examples.Select(example => new JsonObject
        {
            ["fields"] = new JsonObject(example.Fields.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))),
            ["answer"] = example.Answer.Length > 0 ? example.Answer : null,
        })]);
        answer["evaluation"] = desk.EvaluationOf(task, model) is { } evaluation
            ? JsonSerializer.SerializeToNode(evaluation with { Samples = [] }, JsonText.Compact) : null;
        await Answers.Json(http, answer);
    }

    public static async Task AskAsync(HttpContext http, string name, TaskDesk desk, ModelHost host)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        TaskFolder task = Find(desk, name);
        GenerationFields.RefuseUnknownBut(body, "fields", "model", "user", "seed", "temperature", "store");
        JsonObject fields = body.Object("fields")
            ?? throw ApiException.BadField("fields", "field 'fields' is missing, expected an object with the fields of the task",
                "missing_required_parameter");
        IReadOnlyDictionary<string, string> values = Read(task, fields, host.Current.Folder);
        await using GenerationGroup group = desk.Start(task, values, UpstreamFields.UnitOf(body), (model, order) => order with
        {
            Adapter = body["model"] is null ? order.Adapter : GenerationFields.Adapter(body, model),
            User = body.Text("user", maxLength: 200) ?? "",
            Owner = body.Owner,
            Store = body.Flag("store") ?? true,
            Sampler = order.Sampler with
            {
                Temperature = (float?)body.Number("temperature", 0, 2) ?? order.Sampler.Temperature,
                Seed = body.Integer("seed", long.MinValue, long.MaxValue) is { } seed ? unchecked((ulong)seed) : order.Sampler.Seed,
            },
        }, http.RequestAborted);
        await foreach (ChoiceEvent _ in group.Events) { } // ends recorded
        http.RequestAborted.ThrowIfCancellationRequested();
        Choice choice = group.Choices[0];
        if (choice.FinishReason == Engine.FinishReason.Cancelled) throw Answers.Stopping();
        string said = choice.Text.Trim();
        var answer = new JsonObject
        {
            ["object"] = "task.answer",
            ["task"] = task.Name,
            ["created"] = group.Arrived.ToUnixTimeSeconds(),
            ["model"] = group.Adapter ?? group.Model.Name,
            ["model_hash"] = group.Model.Hash,
            ["trained"] = TaskAsk.IsTrained(task, group.Model.Folder),
            ["generation_id"] = choice.Id.ToString(),
            ["answer"] = said,
            ["output"] = task.Output(said),
            ["modality"] = task.Description.Output.Modality,
            ["finish_reason"] = choice.FinishReason == Engine.FinishReason.Length ? "length" : "stop",
            ["usage"] = new JsonObject
            {
                ["prompt_tokens"] = group.NumPromptTokens, ["completion_tokens"] = group.NumTokens,
                ["total_tokens"] = group.NumPromptTokens + group.NumTokens,
            },
        };
        if (group.AdapterHash is { } adapter) answer["adapter_hash"] = adapter;
        await Answers.Json(http, answer);
    }

    private static TaskFolder Find(TaskDesk desk, string name)
    {
        try
        {
            return desk.Catalog.Find(name);
        }
        catch (UnknownTaskException e)
        {
            throw new ApiException(404, e.Message, "name", "task_not_found");
        }
        catch (FlywheelException e)
        {
            throw new ApiException(500, $"the task '{name}' is not usable: {e.Message}", code: "task_invalid", type: "server_error");
        }
    }

    /// <summary>A fault of a field is told with the field's place in the request.</summary>
    private static IReadOnlyDictionary<string, string> Read(TaskFolder task, JsonObject fields, ModelFolder model)
    {
        const string begins = "field '";
        try
        {
            return task.Read(PictureReader.Fields(task, fields, model));
        }
        catch (FlywheelException e) when (e.Message.StartsWith(begins, StringComparison.Ordinal))
        {
            throw new FlywheelException($"{begins}fields.{e.Message[begins.Length..]}", e);
        }
    }

    private static JsonObject Summary(TaskFolder task, ServedModel model) => new()
    {
        ["id"] = task.Name,
        ["object"] = "task",
        ["title"] = Words(task.Description.Title),
        ["about"] = Words(task.Description.About),
        ["trained"] = TaskAsk.IsTrained(task, model.Folder),
        ["fault"] = TaskAsk.Fault(task, model.Folder),
    };

    private static JsonObject Words(Phrase phrase) => new() { ["en"] = phrase.En, ["zh-CN"] = phrase.ZhCn };

    private static JsonObject FieldJson(TaskField field)
    {
        var json = new JsonObject
        {
            ["name"] = field.Name,
            ["label"] = Words(field.Label),
            ["modality"] = field.Modality,
            ["widget"] = field.WidgetOrDefault,
            ["required"] = field.Required,
            ["many"] = field.Many,
            ["max_length"] = field.MaxLength,
        };
        if (field.Choices.Count > 0) json["choices"] = new JsonArray([.. field.Choices.Select(choice => JsonValue.Create(choice))]);
        if (field.Many) json["max_items"] = field.MaxItems;
        if (field.Min is { } min) json["min"] = min;
        if (field.Max is { } max) json["max"] = max;
        return json;
    }
}
