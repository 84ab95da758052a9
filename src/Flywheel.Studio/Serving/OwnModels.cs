using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Serving;

/// <summary>
/// Serves each workspace what it has learnt for itself, as the record says: a turn of its own promotes there, from the page, the command
/// line or another server, and what is promoted is an adapter on the model that serves. When another model is promoted, those made for the
/// one before answer no longer.
/// </summary>
internal sealed class OwnModels(FlywheelStore store, ModelHost host, TimeProvider time, ILogger<OwnModels> log) : BackgroundService
{
    private static readonly TimeSpan s_poll = TimeSpan.FromSeconds(2);

    private readonly SemaphoreSlim _following = new(1, 1);
    private readonly Dictionary<string, string> _faults = [];

    /// <summary>Another model answers in some workspace.</summary>
    public event Action? Changed;

    /// <summary>Takes over what the record says; returns when new requests go there.</summary>
    public async Task FollowAsync(CancellationToken cancellation = default)
    {
        await _following.WaitAsync(cancellation);
        ServedModel model = host.Acquire();
        try
        {
            bool changed = false;
            foreach (WorkspaceReleaseRow row in await store.LastInWorkspacesAsync(cancellation)) changed |= await ServeAsync(model, row);
            if (changed) Changed?.Invoke();
        }
        finally
        {
            model.Release();
            _following.Release();
        }
    }

    private async Task<bool> ServeAsync(ServedModel model, WorkspaceReleaseRow row)
    {
        string? before = model.OwnIn(row.Workspace)?.Whole.Hash;
        if (before == row.ModelHash || _faults.GetValueOrDefault(row.Workspace) == $"{model.Hash} {row.ModelHash}") return false;
        try
        {
            model.ServeIn(row.Workspace, await OpenAsync(model, row));
        }
        catch (Exception e) when (e is FlywheelException or IOException or UnauthorizedAccessException)
        {
            _faults[row.Workspace] = $"{model.Hash} {row.ModelHash}"; // said once
            log.LogWarning("What the workspace {Workspace} has learnt is not served: {Message}", row.Workspace, e.Message);
        }
        return model.OwnIn(row.Workspace)?.Whole.Hash != before;
    }

    /// <summary>Null where it is the model that all share, or an adapter on another than that of now.</summary>
    private async Task<OwnModel?> OpenAsync(ServedModel model, WorkspaceReleaseRow row)
    {
        if (row.ModelHash is not { } hash || await store.FindModelAsync(hash) is not { } known || known.Parent != model.Hash) return null;
        ModelFolder whole = await Task.Run(() => ModelFolder.Open(store.FolderOf(known)));
        AdapterFolder adapter = new ModelCatalog(store.Home).FindAdapter(whole.Manifest.Adapter
            ?? throw new FlywheelException($"{whole.Path} does not say of which adapter it was made"));
        string name = OwnModel.NameOf(row.Workspace, adapter);
        if (!model.Engine.Adapters.ContainsKey(name)) await Task.Run(() => model.Engine.LoadAdapter(name, adapter));
        await store.RegisterAdapterAsync(adapter);
        return new(name, whole);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_poll, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                try
                {
                    await FollowAsync(stoppingToken);
                }
                catch (Exception e) when (!stoppingToken.IsCancellationRequested)
                {
                    log.LogError(e, "What workspaces have learnt could not be looked up; it is again in a moment");
                }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The server stops.
        }
    }

    public override void Dispose()
    {
        _following.Dispose();
        base.Dispose();
    }
}
