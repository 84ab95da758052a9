using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio;

/// <summary>Which model and which adapters a server starts with.</summary>
internal static class FirstModel
{
    /// <summary>
    /// The one asked for, else the home's champion, else the starter; and why, for the record: the server releases what
    /// it starts with, so that it and the next turn agree on the champion. Null of the champion, which is released already.
    /// </summary>
    /// <exception cref="FlywheelException">There is none, or its folder is not a whole model.</exception>
    public static async Task<(ModelFolder Folder, string? Reason)> FindAsync(FlywheelStore store, StudioOptions options,
        DateTimeOffset now, CancellationToken cancellation)
    {
        var catalog = new ModelCatalog(store.Home);
        if (options.Model is not null) return (catalog.Keep(catalog.FindModel(options.Model), now), "named at the start of the server");
        if (await store.ChampionAsync(cancellation) is { } champion) return (ModelFolder.Open(store.FolderOf(champion)), null);
        if (options.StarterModel is not null)
            return (catalog.Keep(ModelFolder.Open(options.StarterModel), now), "the starter model of a new home");
        throw new FlywheelException(
            $"{store.Home.Path} has no model yet and there is no starter model; train one with `flywheel train`, or import one with `flywheel import`, and name it with --model");
    }

    /// <summary>Makes an adapter available under a name, its own if none is given. What is served with it is recorded, so it is kept and
    /// registered first.</summary>
    /// <exception cref="FlywheelException">There is none, it is another model's, or the name is taken.</exception>
    public static async Task LoadAdapterAsync(FlywheelStore store, ServedModel model, string wanted, string? name = null)
    {
        var catalog = new ModelCatalog(store.Home);
        AdapterFolder adapter = catalog.FindAdapter(wanted);
        name ??= adapter.Manifest.Name is { Length: > 0 } own ? own : adapter.ShortHash;
        if (GenerationFields.IsNamed(model, name))
            throw new FlywheelException($"the name '{name}' is the model's; give the adapter another");
        if (OwnModel.IsName(name))
            throw new FlywheelException($"the name '{name}' is kept for what a workspace has learnt; give the adapter another");
        adapter.CheckFits(model.Folder);
        adapter = catalog.Keep(adapter);
        await Task.Run(() => model.Engine.LoadAdapter(name, adapter));
        await store.RegisterAdapterAsync(adapter);
    }
}
