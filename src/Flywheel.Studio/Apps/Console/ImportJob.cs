using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Console;

/// <summary>Brings open weights in beside the requests. Ended by a crash, it goes on with what was fetched.</summary>
internal sealed class ImportJob(FlywheelStore store, JobQueue queue, TimeProvider time)
{
    public const string Kind = "import";

    /// <param name="from">A folder or a GGUF file of this machine, or <c>hf:owner/name</c>.</param>
    /// <param name="name">What to call it; as it calls itself when empty.</param>
    /// <param name="user">Who asked.</param>
    public Task<JobRow> EnqueueAsync(string from, string name, string user)
    {
        Actor.Demand(Scopes.Admin);
        return queue.EnqueueAsync(Kind,
            new JsonObject { ["from"] = from, ["name"] = name.Length > 0 ? name : null }.ToJsonString(JsonText.Compact), user: user);
    }

    public async Task<string?> RunAsync(JobContext job, CancellationToken cancellation)
    {
        JsonNode input = JsonNode.Parse(job.Input)!;
        string from = (string)input["from"]!;
        await job.ReportAsync(0, from);
        var progress = new Latest();
        Task<ModelFolder> bringing = ModelImport.BringAsync(from, store.Home, time.GetUtcNow(), (string?)input["name"], progress,
            cancellation);
        ModelFolder model = await job.ReportWhileAsync(bringing,
            () => progress.Value is not { } now ? null : (now.Total > 0 ? Math.Min(1, (double)now.Done / now.Total) : 0,
            string.Create(CultureInfo.InvariantCulture,
                $"{now.File}, {now.Done / 1e6:N1}{(now.Total > 0 ? $" of {now.Total / 1e6:N1}" : "")} MB"), null), time);
        await store.RegisterModelAsync(model, cancellation: cancellation);
        await job.ReportAsync(1, $"{model.Manifest.Name} {model.ShortHash}");
        return JsonSerializer.Serialize(new { hash = model.Hash }, JsonText.Compact);
    }

    /// <summary>Files are told of by the thousand; only the last counts.</summary>
    private sealed class Latest : IProgress<HubProgress>
    {
        private HubProgress? _value;

        public HubProgress? Value => Volatile.Read(ref _value);

        public void Report(HubProgress value) => Volatile.Write(ref _value, value);
    }
}
