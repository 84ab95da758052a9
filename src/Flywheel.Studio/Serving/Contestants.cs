using System.Collections.Concurrent;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Serving;

/// <summary>Something that can be talked to here.</summary>
/// <param name="Id">The model's hash, <c>adapter:NAME</c> or <c>upstream:NAME</c>.</param>
/// <param name="Name">What people call it.</param>
/// <param name="Hash">Of the weights; null of somebody else's.</param>
/// <param name="AdapterHash">Null without an adapter.</param>
/// <param name="IsReady">It answers at once; else it is loaded first.</param>
internal sealed record Contestant(string Id, string Name, string? Hash, string? AdapterHash, bool IsReady)
{
    public const string AdapterPrefix = "adapter:";

    /// <summary>Name and the beginning of the hash, which tells two of one name apart.</summary>
    public string Label =>
        (AdapterHash ?? Hash) is { } hash && !Name.StartsWith(hash[..12], StringComparison.Ordinal) ? $"{Name} · {hash[..12]}" : Name;
}

/// <summary>
/// Everything that can be asked beside the model that serves: adapters on it, upstreams, and the home's other models, of which two at most
/// are kept in memory, until ten minutes after their last answer.
/// </summary>
internal sealed class Contestants : IAsyncDisposable
{
    private const int MaxLoaded = 2;

    private static readonly TimeSpan KeepFor = TimeSpan.FromMinutes(10);

    private readonly ModelHost _host;
    private readonly ModelSwitch _models;
    private readonly RolloutHost _rollouts;
    private readonly FlywheelStore _store;
    private readonly TimeProvider _time;
    private readonly ILogger<Contestants> _log;
    private readonly SemaphoreSlim _loading = new(1, 1);
    private readonly List<(ServedModel Model, DateTimeOffset Used)> _loaded = [];
    private readonly ConcurrentDictionary<string, bool> _talks = [];
    private readonly ITimer _timer;
    private bool _gone;

    public Contestants(ModelHost host, ModelSwitch models, RolloutHost rollouts, FlywheelStore store, TimeProvider time,
        ILogger<Contestants> log)
    {
        (_host, _models, _rollouts, _store, _time, _log) = (host, models, rollouts, store, time, log);
        _timer = time.CreateTimer(_ => _ = TidyAsync(), null, KeepFor / 10, KeepFor / 10);
    }

    /// <summary>Who can be asked; what answers at once comes first. Models that only continue texts are left out.</summary>
    public async Task<IReadOnlyList<Contestant>> ListAsync()
    {
        ServedModel current = _host.Current;
        var all = new List<Contestant>();
        foreach (ServedModel model in new[] { current, _host.Second }.OfType<ServedModel>().Concat(Loaded()))
            if (model.HasTemplate && all.All(known => known.Hash != model.Hash))
                all.Add(new(model.Hash, model.Name, model.Hash, null, true));
        if (current.HasTemplate)
            all.AddRange(current.Adapters.OrderBy(adapter => adapter.Key, StringComparer.Ordinal)
                .Select(adapter => new Contestant(Contestant.AdapterPrefix + adapter.Key, adapter.Key, current.Hash, adapter.Value, true)));
        all.AddRange(_rollouts.Upstreams.All.Select(upstream => new Contestant(upstream.Reference, upstream.Name, null, null, true)));
        IReadOnlyDictionary<string, string> own = await _store.OwnModelsAsync();
        foreach (CatalogEntry entry in await Task.Run(() => new ModelCatalog(_store.Home).List()))
            if (!entry.IsAdapter && own.GetValueOrDefault(entry.Manifest.Hash, Actor.Here) == Actor.Here
                && all.All(known => known.Hash != entry.Manifest.Hash || known.AdapterHash is not null) && await TalksAsync(entry))
                all.Add(new(entry.Manifest.Hash, entry.Name.Length > 0 ? entry.Name : entry.ShortHash, entry.Manifest.Hash, null, false));
        return all;
    }

    /// <summary>Those named, by id, name or the beginning of a hash.</summary>
    /// <exception cref="FlywheelException">One is not known, or means two.</exception>
    public static Contestant Find(IReadOnlyList<Contestant> all, string wanted)
    {
        if (all.FirstOrDefault(one => one.Id == wanted) is { } exact) return exact;
        Contestant[] found = [.. all.Where(one => one.Name == wanted)];
        if (found.Length == 0 && wanted.Length >= 4)
            found = [
                .. all.Where(one => one.AdapterHash is null && one.Hash?.StartsWith(wanted, StringComparison.OrdinalIgnoreCase) == true)];
        return found switch
        {
            [var one] => one,
            [] => throw new FlywheelException(
                $"no model '{wanted}' can be asked here; these can: {string.Join(", ", all.Select(one => one.Name))}"),
            _ => throw new FlywheelException(
                $"'{wanted}' means {found.Length} models; name one by its id: {string.Join(", ", found.Select(one => one.Id))}"),
        };
    }

    /// <summary>Where to ask one. A model of ours is loaded if it must be, and held until the caller releases it.</summary>
    /// <exception cref="FlywheelException">It is gone, or does not fit into memory beside the one that serves.</exception>
    public async Task<(Destination To, string? Adapter)> AcquireAsync(Contestant one)
    {
        if (one.Hash is null)
            return (new(null,
                _rollouts.Upstreams.Find(one.Id)
                    ?? throw new FlywheelException($"the upstream '{one.Name}' is gone from {Upstreams.FileName}")), null);
        if (one.AdapterHash is null) return (new(await AcquireAsync(one.Hash, one.Name)), null);
        ServedModel model = _host.Acquire();
        if (model.Hash == one.Hash && model.Adapters.GetValueOrDefault(one.Name) == one.AdapterHash) return (new(model), one.Name);
        model.Release();
        throw new FlywheelException($"the adapter '{one.Name}' is not served any more");
    }

    private async Task<ServedModel> AcquireAsync(string hash, string name)
    {
        await _loading.WaitAsync();
        try
        {
            ServedModel current = _host.Acquire();
            if (current.Hash == hash) return current;
            current.Release();
            if (_host.Second is { } second && second.Hash == hash && second.TryAcquire()) return second;
            int at = _loaded.FindIndex(one => one.Model.Hash == hash && one.Model.Engine.Defect is null);
            if (at >= 0 && _loaded[at].Model.TryAcquire())
            {
                _loaded[at] = (_loaded[at].Model, _time.GetUtcNow());
                return _loaded[at].Model;
            }
            ObjectDisposedException.ThrowIf(_gone, this);
            while (_loaded.Count >= MaxLoaded) await UnloadAsync(_loaded.MinBy(one => one.Used).Model);
            string registered = await _models.RegisterAsync(hash);
            ModelFolder folder = ModelFolder.Open(_store.FolderOf((await _store.FindModelAsync(registered))!));
            if (folder.FindChatFault() is { } fault) throw new FlywheelException($"the model '{name}' cannot be talked to: {fault}");
            ServedModel loaded = await LoadAsync(folder, $"the model '{name}'");
            loaded.TryAcquire(); // for the caller; the first hold is this list's
            lock (_loaded) _loaded.Add((loaded, _time.GetUtcNow()));
            return loaded;
        }
        finally
        {
            _loading.Release();
        }
    }

    /// <summary>Where memory is short, what nobody asks now makes way.</summary>
    private async Task<ServedModel> LoadAsync(ModelFolder folder, string what)
    {
        while (true)
        {
            try
            {
                return await _host.LoadBesideAsync(folder, what);
            }
            catch (FlywheelException) when (_loaded.Any(one => one.Model.NumRunning == 0))
            {
                await UnloadAsync(_loaded.First(one => one.Model.NumRunning == 0).Model);
            }
        }
    }

    private async Task UnloadAsync(ServedModel model)
    {
        bool idle = model.NumRunning == 0;
        lock (_loaded) _loaded.RemoveAll(one => one.Model == model);
        _host.Retire(model);
        if (idle) await model.Unloaded; // its memory is what is needed now
    }

    private ServedModel[] Loaded()
    {
        lock (_loaded) return [.. _loaded.Select(one => one.Model)];
    }

    /// <summary>Takes what nobody asked for a while out of memory.</summary>
    private async Task TidyAsync()
    {
        if (!await _loading.WaitAsync(0)) return; // at the next stroke
        try
        {
            foreach ((ServedModel model, DateTimeOffset used) in _loaded.ToArray())
                if (model.NumRunning == 0 && (model.Engine.Defect is not null || _time.GetUtcNow() - used > KeepFor))
                    await UnloadAsync(model);
        }
        catch (Exception e)
        {
            _log.LogError(e, "A model could not be taken out of memory");
        }
        finally
        {
            _loading.Release();
        }
    }

    private async Task<bool> TalksAsync(CatalogEntry entry)
    {
        if (_talks.TryGetValue(entry.Manifest.Hash, out bool known)) return known;
        bool talks = await Task.Run(() =>
        {
            try
            {
                return ModelFolder.Open(entry.Path).FindChatFault() is null;
            }
            catch (Exception e) when (e is FlywheelException or IOException or UnauthorizedAccessException)
            {
                return false; // the console says what is wrong with it
            }
        });
        return _talks.GetOrAdd(entry.Manifest.Hash, talks);
    }

    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync();
        await _loading.WaitAsync();
        _gone = true;
        foreach (ServedModel model in Loaded()) _host.Retire(model);
        _loading.Release();
    }
}
