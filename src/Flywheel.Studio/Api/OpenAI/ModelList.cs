using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.OpenAI;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>.</summary>
internal static class ModelList
{
    public static Task AllAsync(HttpContext http, ModelHost host, RolloutHost rollouts, Transcripts transcripts)
    {
        ServedModel model = host.Current;
        return Answers.Json(http, new() { ["object"] = "list",
            ["data"] = new JsonArray([.. GenerationFields.NamesOf(model).Select(name => Entry(name, model)),
                .. model.Adapters.Select(adapter => Entry(adapter.Key, model, adapter.Value)),
                .. rollouts.Upstreams.All.Select(Entry), .. transcripts.Models.Select(Listener)]) });
    }

    public static Task OneAsync(HttpContext http, string id, ModelHost host, RolloutHost rollouts, Transcripts transcripts)
    {
        ServedModel model = host.Current;
        if (rollouts.Upstreams.Find(id) is { } upstream) return Answers.Json(http, Entry(upstream));
        if (transcripts.Models.Contains(id)) return Answers.Json(http, Listener(id));
        if (model.Adapters.TryGetValue(id, out string? adapter)) return Answers.Json(http, Entry(id, model, adapter));
        if (!GenerationFields.IsNamed(model, id))
            throw ApiException.ModelNotFound(id, [.. GenerationFields.NamesOf(model), .. model.Adapters.Keys]);
        return Answers.Json(http, Entry(id, model));
    }

    /// <summary>Somebody else's model has no hash and no known length.</summary>
    private static JsonObject Entry(Upstream upstream) => new()
    {
        ["id"] = upstream.Name, ["object"] = "model", ["created"] = 0, ["owned_by"] = "upstream",
    };

    /// <summary>A Whisper file, which writes down recordings and does nothing else.</summary>
    private static JsonObject Listener(string name) =>
        new() { ["id"] = name, ["object"] = "model", ["created"] = 0, ["owned_by"] = "whisper" };

    private static JsonObject Entry(string name, ServedModel model, string? adapterHash = null)
    {
        var entry = new JsonObject
        {
            ["id"] = name,
            ["object"] = "model",
            ["created"] = model.Folder.Manifest.Created.ToUnixTimeSeconds(),
            ["owned_by"] = "flywheel",
            ["model_hash"] = model.Hash,
            ["max_model_len"] = model.Folder.Config.MaxPositions,
        };
        if (adapterHash is not null) (entry["parent"], entry["adapter_hash"]) = (model.Name, adapterHash);
        return entry;
    }
}
