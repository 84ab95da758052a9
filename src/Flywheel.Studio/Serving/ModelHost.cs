using Flywheel.Engine;
using Flywheel.Model;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Serving;

/// <summary>
/// Holds the current model and swaps it while requests run: the next one is loaded and warmed first, then new requests go
/// to it; what runs ends on the old one, which is then freed. A model that does not load leaves the old one serving.
/// </summary>
internal sealed class ModelHost(ServedModel first, EngineOptions options, ILogger<ModelHost> log) : IAsyncDisposable
{
    private readonly SemaphoreSlim _promotions = new(1, 1);
    private readonly List<Task> _retired = [];
    private readonly List<ServedModel> _inMemory = [first];
    private ServedModel _current = first;
    private ServedModel? _second;

    /// <summary>The model that a new request would get. To generate, <see cref="Acquire"/> it.</summary>
    public ServedModel Current => Volatile.Read(ref _current);

    /// <summary>Another model in memory, a rollout's candidate: promoted, it is taken as it is, for a second copy of it may not fit. The
    /// rollout sets it, and holds it.</summary>
    public ServedModel? Second
    {
        get => Volatile.Read(ref _second);
        set => Volatile.Write(ref _second, value);
    }

    /// <summary>The page shows which model answers.</summary>
    public event Action? Promoted;

    /// <summary>The current model, held until the caller releases it.</summary>
    public ServedModel Acquire()
    {
        while (true)
        {
            ServedModel model = Current;
            if (model.TryAcquire()) return model;
            // It was replaced between the two lines, and the next one is there already; or the server has ended.
            ObjectDisposedException.ThrowIf(ReferenceEquals(model, Current), this);
        }
    }

    /// <summary>Makes <paramref name="folder"/> the current model. Returns when new requests go to it.</summary>
    /// <param name="folder">The next model.</param>
    /// <param name="record">Makes the release durable; called when the model has loaded, before anybody meets it.</param>
    /// <exception cref="FlywheelException">It does not load; the current model is unchanged.</exception>
    public async Task PromoteAsync(ModelFolder folder, Func<Task> record)
    {
        await _promotions.WaitAsync();
        try
        {
            if (Current.Hash == folder.Hash && Current.Engine.Defect is null) // a broken engine is replaced by another of the same model
            {
                await record();
                return;
            }
            ServedModel next = Second is { Engine.Defect: null } ready && ready.Hash == folder.Hash && ready.TryAcquire() ? ready
                : await LoadInPlaceAsync(folder);
            try
            {
                await record();
            }
            catch
            {
                next.Release();
                throw;
            }
            ServedModel previous = Interlocked.Exchange(ref _current, next);
            Retire(previous);
            log.LogInformation("Promoted {Name} ({Hash}) in place of {Previous}", next.Name, folder.ShortHash, previous.Folder.ShortHash);
            Promoted?.Invoke();
        }
        finally
        {
            _promotions.Release();
        }
    }

    /// <summary>Loads a model into what memory those that are loaded leave, their caches at their largest.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="what">What it is called where it does not fit.</param>
    /// <exception cref="FlywheelException">It does not fit, or is not whole.</exception>
    public async Task<ServedModel> LoadBesideAsync(ModelFolder folder, string what)
    {
        long free = options.AvailableBytes ?? MachineMemory.AvailableBytes(), reserved = CacheBytesToCome();
        try
        {
            return await LoadAsync(folder, options with { AvailableBytes = Math.Max(0, free - reserved) });
        }
        catch (FlywheelException e)
        {
            throw new FlywheelException(
                $"{what} does not fit beside the champion: {free >> 20} MiB are free, of which {reserved >> 20} MiB are kept for what the caches of models in memory may still take. {e.Message}", e);
        }
    }

    /// <summary>Loads the model that takes the current one's place: the caches of all others may still grow, that one's is given
    /// up.</summary>
    private async Task<ServedModel> LoadInPlaceAsync(ModelFolder folder)
    {
        long reserved = CacheBytesToCome(but: Current);
        if (reserved == 0) return await LoadAsync(folder, options);
        long free = options.AvailableBytes ?? MachineMemory.AvailableBytes();
        try
        {
            return await LoadAsync(folder, options with { AvailableBytes = Math.Max(0, free - reserved) });
        }
        catch (FlywheelException e)
        {
            throw new FlywheelException(
                $"the model does not fit: {free >> 20} MiB are free, of which {reserved >> 20} MiB are kept for what the caches of other models in memory may still take. {e.Message}", e);
        }
    }

    private async Task<ServedModel> LoadAsync(ModelFolder folder, EngineOptions given)
    {
        ServedModel loaded = await ServedModel.LoadAsync(folder, given, CancellationToken.None);
        lock (_inMemory) _inMemory.Add(loaded);
        return loaded;
    }

    /// <summary>What the caches of all models in memory may still take, bytes; of one that takes no more requests until it is
    /// unloaded.</summary>
    /// <param name="but">Leaves one out.</param>
    private long CacheBytesToCome(ServedModel? but = null)
    {
        lock (_inMemory)
        {
            _inMemory.RemoveAll(model => model.Unloaded.IsCompleted);
            return _inMemory.Where(model => model != but).Sum(model => model.Engine.CacheBytesToCome);
        }
    }

    /// <summary>Releases a model that takes no more requests. What runs on it ends, and this host does not end before.</summary>
    public void Retire(ServedModel model)
    {
        lock (_retired)
        {
            _retired.RemoveAll(unloading => unloading.IsCompletedSuccessfully);
            _retired.Add(model.Unloaded);
        }
        model.Release();
    }

    public async ValueTask DisposeAsync()
    {
        await _promotions.WaitAsync(); // a promotion under way ends first
        Current.Release();
        Task[] retired;
        lock (_retired) retired = [.. _retired];
        await Task.WhenAll([.. retired, Current.Unloaded]); // what still runs on a replaced model is recorded, too
    }
}
