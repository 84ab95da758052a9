using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Studio;

/// <summary>Which model a server starts with.</summary>
internal static class FirstModel
{
    /// <summary>
    /// The one asked for, else the home's champion, else the starter; and why, for the record: the server releases what
    /// it starts with, so that it and the next turn agree on the champion.
    /// </summary>
    /// <exception cref="FlywheelException">There is none, or its folder is not a whole model.</exception>
    public static async Task<(ModelFolder Folder, string Reason)> FindAsync(FlywheelStore store, StudioOptions options, CancellationToken cancellation)
    {
        if (options.Model is not null) return (ModelFolder.Open(options.Model), "named at the start of the server");
        if (await store.ChampionAsync(cancellation) is { } champion) return (ModelFolder.Open(store.FolderOf(champion)), "the champion");
        if (options.StarterModel is not null) return (ModelFolder.Open(options.StarterModel), "the starter model of a new home");
        throw new FlywheelException($"{store.Home.Path} has no model yet and there is no starter model; train one with `flywheel train`, or name a model folder with --model");
    }
}
