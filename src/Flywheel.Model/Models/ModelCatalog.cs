namespace Flywheel.Model;

/// <summary>A model or an adapter that lies in a home, as its manifest has it: its weights are not read.</summary>
/// <param name="Path">Its folder.</param>
/// <param name="Manifest">Name, hash, origin.</param>
public sealed record CatalogEntry(string Path, ModelManifest Manifest)
{
    public string Name => Manifest.Name;

    public string ShortHash => Manifest.Hash[..12];

    public bool IsAdapter => AdapterFolder.IsAdapter(Path);

    /// <summary>How it came here: adapter, starter, merged, imported, trained or converted.</summary>
    public string Kind => this switch
    {
        { IsAdapter: true } => "adapter",
        { Path: var path } when path == ModelCatalog.Starter => "starter",
        { Manifest.Adapter: not null } => "merged",
        { Manifest.Source: not null } => "imported",
        { Manifest.Run: not null } => "trained",
        _ => "converted",
    };

    public long NumBytes => Directory.EnumerateFiles(Path).Sum(file => new FileInfo(file).Length);
}

/// <summary>
/// The models and adapters that a person can name: those of a home, and the starter model. Every verb takes the same names: the
/// path of a folder, a hash or its beginning, or a name.
/// </summary>
public sealed class ModelCatalog(FlywheelHome home)
{
    private const int MinDigits = 4;

    /// <summary>The starter model of the project that this program was built in; null elsewhere.</summary>
    public static string? Starter { get; } = FindStarter();

    /// <summary>What a name can be, for the help of a command line.</summary>
    public static string Names => "the path of a folder, a name, or the beginning of a hash (flywheel models lists them)";

    /// <summary>Everything that can be named, newest first.</summary>
    /// <param name="problem">Told of each folder whose manifest cannot be read.</param>
    public IReadOnlyList<CatalogEntry> List(Action<string>? problem = null)
    {
        var entries = new List<CatalogEntry>();
        foreach (string folder in Directory.EnumerateDirectories(home.Models).Append(Starter).OfType<string>())
        {
            string file = System.IO.Path.Combine(folder, "flywheel.json");
            if (folder.EndsWith(".tmp", StringComparison.Ordinal)) continue; // a process that was killed left it
            try
            {
                ModelManifest manifest = ModelManifest.Read(file);
                if (entries.All(entry => entry.Manifest.Hash != manifest.Hash)) entries.Add(new CatalogEntry(folder, manifest));
            }
            catch (Exception e) when (e is FlywheelException or IOException or UnauthorizedAccessException)
            {
                problem?.Invoke(e is FlywheelException ? e.Message : $"{file}: {e.Message}");
            }
        }
        return [.. entries.OrderByDescending(entry => entry.Manifest.Created)];
    }

    /// <summary>The folder of what a person names.</summary>
    /// <exception cref="FlywheelException">There is nothing of that name, or more than one.</exception>
    public string Find(string wanted)
    {
        bool isFolder = Directory.Exists(wanted);
        if (isFolder && wanted.AsSpan().ContainsAny('/', '\\') || wanted is "." or "..") return System.IO.Path.GetFullPath(wanted);
        IReadOnlyList<CatalogEntry> all = List();
        bool digits = wanted.Length is >= MinDigits and <= 64 && wanted.All(char.IsAsciiHexDigit);
        CatalogEntry[] found = digits
            ? [.. all.Where(entry => entry.Manifest.Hash.StartsWith(wanted, StringComparison.OrdinalIgnoreCase))] : [];
        if (found.Length == 0) found = [.. all.Where(entry => entry.Name == wanted)];
        return found.Length switch
        {
            1 => found[0].Path, // also when a folder here happens to have that name
            0 when isFolder => System.IO.Path.GetFullPath(wanted),
            0 when HubReference.IsOne(wanted) =>
                throw new FlywheelException($"'{wanted}' is on a hub; bring it here first: ./flywheel import {wanted}"),
            0 when File.Exists(wanted) =>
                throw new FlywheelException($"{wanted}: is a file; bring it here first: ./flywheel import {wanted}"),
            0 => throw new FlywheelException(
                $"no model or adapter '{wanted}': there is no such folder, and nothing in {home.Models} has that name or hash{Hint(wanted, all)}"),
            _ => throw new FlywheelException(
                $"'{wanted}' names {found.Length} of the models in {home.Models}: {string.Join(", ", found.Select(Describe))}; give {(digits ? "more digits" : "the hash")}"),
        };
    }

    /// <exception cref="FlywheelException">There is nothing of that name, or more than one, or it is no whole model.</exception>
    public ModelFolder FindModel(string wanted)
    {
        string path = Find(wanted);
        return AdapterFolder.IsAdapter(path)
            ? throw new FlywheelException(
                $"'{wanted}' is an adapter, expected a model; serve it with its base (./flywheel up --model BASE --adapter {wanted}), or make both one model (./flywheel export {wanted} --merge --to hf)")
            : ModelFolder.Open(path);
    }

    /// <exception cref="FlywheelException">There is nothing of that name, or more than one, or it is no adapter.</exception>
    public AdapterFolder FindAdapter(string wanted)
    {
        string path = Find(wanted);
        return AdapterFolder.IsAdapter(path)
            ? AdapterFolder.Open(path) : throw new FlywheelException($"'{wanted}' is a model, expected an adapter");
    }

    /// <summary>The model that an adapter was made for.</summary>
    /// <exception cref="FlywheelException">The adapter does not say which, or it is not here.</exception>
    public ModelFolder BaseOf(AdapterFolder adapter) => adapter.Config.BaseHash is not { } hash
        ? throw new FlywheelException($"{adapter.Path}: calls its base '{adapter.Config.Base}', which is no hash; name the model")
        : List().FirstOrDefault(entry => entry.Manifest.Hash == hash) is { } found ? ModelFolder.Open(found.Path)
        : throw new FlywheelException($"{adapter.Path}: is an adapter for the model {hash[..12]}, which is not in {home.Models}");

    /// <summary>
    /// A model in the home's folder: what is served or trained from must be there when the other folder has changed or gone.
    /// One of ours is copied, one from elsewhere is imported.
    /// </summary>
    /// <param name="model">Any model.</param>
    /// <param name="now">The time that the manifest of an import records.</param>
    public ModelFolder Keep(ModelFolder model, DateTimeOffset now)
    {
        if (IsHere(model.Path)) return model;
        if (!File.Exists(System.IO.Path.Combine(model.Path, "flywheel.json"))) return ModelImport.Import(model.Path, home.Models, now);
        ModelFolder copy = ModelFolder.Open(Copy(model.Path, model.ShortHash));
        return copy.Hash == model.Hash ? copy : throw Changed(copy.Path, copy.ShortHash, model.ShortHash);
    }

    /// <summary>The same for an adapter.</summary>
    public AdapterFolder Keep(AdapterFolder adapter)
    {
        if (IsHere(adapter.Path)) return adapter;
        AdapterFolder copy = AdapterFolder.Open(Copy(adapter.Path, adapter.ShortHash));
        return copy.Hash == adapter.Hash ? copy : throw Changed(copy.Path, copy.ShortHash, adapter.ShortHash);
    }

    private bool IsHere(string path) => path.StartsWith(home.Path + System.IO.Path.DirectorySeparatorChar, StringComparison.Ordinal);

    private string Copy(string source, string name)
    {
        string path = System.IO.Path.Combine(home.Models, name);
        AtomicFile.WriteFolder(path, folder =>
        {
            foreach (string file in Directory.EnumerateFiles(source))
                AtomicFile.Copy(file, System.IO.Path.Combine(folder, System.IO.Path.GetFileName(file)));
        });
        return path;
    }

    private static FlywheelException Changed(string path, string found, string expected) =>
        new($"{path} holds {found}, expected {expected}; it was changed after it was written: remove it");

    private static string Describe(CatalogEntry entry) =>
        $"{entry.ShortHash} ({(entry.IsAdapter ? "adapter " : "")}{entry.Name}, {entry.Manifest.Created:yyyy-MM-dd HH:mm})";

    private static string Hint(string wanted, IReadOnlyList<CatalogEntry> all)
    {
        string[] names = [.. all.Select(entry => entry.Name).Where(name => name.Length > 0).Distinct()];
        return names.Length == 0 ? "" : names.Length <= 8 || wanted.Length == 0
            ? NearestName.Hint(wanted, names) : "; ./flywheel models lists them";
    }

    private static string? FindStarter()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string starter = System.IO.Path.Combine(folder.FullName, "models", "first");
            if (File.Exists(System.IO.Path.Combine(starter, "config.json"))) return starter;
        }
        return null;
    }
}
