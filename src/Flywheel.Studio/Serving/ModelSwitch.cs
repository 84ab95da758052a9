using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Studio.Serving;

/// <summary>Makes another model the one that answers, from now on and after a restart.</summary>
internal sealed class ModelSwitch(ModelHost host, FlywheelStore store, TimeProvider time)
{
    /// <param name="wanted">A model's name, the beginning of its hash, or the path of its folder.</param>
    /// <param name="reason">What the record of releases says.</param>
    /// <exception cref="FlywheelException">There is no such model, or it does not load; the one before goes on.</exception>
    public Task ServeAsync(string wanted, string reason) => ServeAsync(wanted, hash => store.ReleaseAsync(hash, reason));

    /// <param name="wanted">As above.</param>
    /// <param name="release">Writes the release of the model with this hash; throws when it may not be released any more.</param>
    public async Task ServeAsync(string wanted, Func<string, Task> release)
    {
        Actor.Demand(Scopes.Admin);
        ModelFolder folder = await OpenAsync(wanted);
        // Whoever asked may have gone: half a swap is none, so it is not theirs to cancel.
        await host.PromoteAsync(folder, async () =>
        {
            await store.RegisterModelAsync(folder);
            await release(folder.Hash);
        });
    }

    /// <summary>Makes a model known without serving it.</summary>
    /// <param name="wanted">As for <see cref="ServeAsync(string, string)"/>.</param>
    /// <returns>Its hash.</returns>
    public async Task<string> RegisterAsync(string wanted)
    {
        ModelFolder folder = await OpenAsync(wanted);
        await store.RegisterModelAsync(folder);
        return folder.Hash;
    }

    private async Task<ModelFolder> OpenAsync(string wanted)
    {
        var catalog = new ModelCatalog(store.Home);
        // The record also knows models that lie elsewhere.
        ModelRow? known = await store.FindModelAsync(wanted);
        return await Task.Run(() => known is not null && Directory.Exists(store.FolderOf(known)) ? ModelFolder.Open(store.FolderOf(known))
            : catalog.Keep(catalog.FindModel(wanted), time.GetUtcNow()));
    }
}
