using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio;

/// <summary>What the loop and the administrator ask of the server: with the home's secret, or a key with the scope admin.</summary>
internal static class AdminEndpoints
{
    /// <summary><c>POST /admin/promote {"model": hash, name or folder, "reason"?}</c>: answered when new requests go to that
    /// model.</summary>
    public static async Task PromoteAsync(HttpContext http, ModelSwitch models, ModelHost host, FlywheelStore store)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        string wanted = body.RequiredText("model");
        string reason = body.Text("reason", 1000) ?? "promoted by hand";
        try
        {
            await models.ServeAsync(wanted, reason);
        }
        catch (FlywheelException e)
        {
            throw new ApiException(400, $"'{wanted}' was not promoted, {host.Current.Name} goes on serving: {e.Message}", "model",
                "promotion_failed");
        }
        await StatusAsync(http, host, store);
    }

    /// <summary><c>POST /admin/adapters {"folder": hash, name or folder, "name"?}</c>: requests may then give the name as their
    /// <c>model</c>.</summary>
    public static async Task LoadAdapterAsync(HttpContext http, ModelHost host, FlywheelStore store)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        string path = body.RequiredText("folder");
        ServedModel model = host.Acquire();
        try
        {
            await FirstModel.LoadAdapterAsync(store, model, path, body.Text("name", 200));
        }
        catch (FlywheelException e)
        {
            throw ApiException.BadField("folder", $"the adapter was not loaded: {e.Message}");
        }
        finally
        {
            model.Release();
        }
        await AdaptersAsync(http, host);
    }

    /// <summary><c>DELETE /admin/adapters/NAME</c>: what runs with it ends with it.</summary>
    public static async Task UnloadAdapterAsync(HttpContext http, string name, ModelHost host)
    {
        ServedModel model = host.Current;
        if (!model.Adapters.ContainsKey(name) || !model.Engine.UnloadAdapter(name))
            throw ApiException.ModelNotFound(name, [.. model.Adapters.Keys]);
        await AdaptersAsync(http, host);
    }

    /// <summary><c>GET /admin/adapters</c></summary>
    public static Task AdaptersAsync(HttpContext http, ModelHost host) =>
        Answers.Json(http,
            new() { ["adapters"] =
                new JsonArray(
                    [.. host.Current.Adapters.Select(adapter =>
                        new JsonObject { ["name"] = adapter.Key, ["adapter_hash"] = adapter.Value })]) });

    public static async Task StatusAsync(HttpContext http, ModelHost host, FlywheelStore store)
    {
        StoreCounts counts = await store.CountAsync(http.RequestAborted);
        ServedModel model = host.Current;
        await Answers.Json(http, new()
        {
            ["model"] = model.Name,
            ["model_hash"] = model.Hash,
            ["model_folder"] = model.Folder.Path,
            ["num_parameters"] = model.Folder.Config.NumParameters,
            ["running"] = model.NumRunning,
            ["live_generations"] = model.Engine.NumLive,
            ["cache_pages_in_use"] = model.Engine.NumPagesInUse,
            ["generations"] = counts.Generations,
            ["feedback"] = counts.Feedback,
            ["turns"] = counts.Turns,
            ["home"] = store.Home.Path,
            ["pid"] = Environment.ProcessId,
        });
    }

}
