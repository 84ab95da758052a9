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
        if (options.Model is not null) return (IntoHome(store.Home, ModelFolder.Open(options.Model)), "named at the start of the server");
        if (await store.ChampionAsync(cancellation) is { } champion) return (ModelFolder.Open(store.FolderOf(champion)), "the champion");
        if (options.StarterModel is not null) return (IntoHome(store.Home, ModelFolder.Open(options.StarterModel)), "the starter model of a new home");
        throw new FlywheelException($"{store.Home.Path} has no model yet and there is no starter model; train one with `flywheel train`, or name a model folder with --model");
    }

    /// <summary>
    /// A model from elsewhere is copied to the home's models before it is released: what was served and what the next turn
    /// starts from must be there when the other folder has changed or gone.
    /// </summary>
    public static ModelFolder IntoHome(FlywheelHome home, ModelFolder model)
    {
        if (model.Path.StartsWith(home.Path + Path.DirectorySeparatorChar, StringComparison.Ordinal)) return model;
        string path = Path.Combine(home.Models, model.ShortHash);
        AtomicFile.WriteFolder(path, folder =>
        {
            foreach (string file in Directory.EnumerateFiles(model.Path))
            {
                // Not File.Copy: that would copy a read-only mode too.
                using FileStream from = File.OpenRead(file), to = File.Create(Path.Combine(folder, Path.GetFileName(file)));
                from.CopyTo(to);
            }
        });
        ModelFolder copy = ModelFolder.Open(path);
        return copy.Hash == model.Hash ? copy : throw new FlywheelException($"{path} holds model {copy.ShortHash}, expected {model.ShortHash}; it was changed after it was written: remove it");
    }
}
