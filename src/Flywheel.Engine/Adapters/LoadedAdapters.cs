using Flywheel.Engine.Weights;
using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>Adapters by the name that requests call them by. Thread-safe.</summary>
internal sealed class LoadedAdapters(EngineLoop loop)
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, AdapterWeights> _byName = new(StringComparer.Ordinal);
    private int _numLoaded;

    /// <summary>Names and content hashes.</summary>
    public IReadOnlyDictionary<string, string> Hashes
    {
        get
        {
            lock (_lock) return _byName.ToDictionary(adapter => adapter.Key, adapter => adapter.Value.Hash);
        }
    }

    public void Load(string name, AdapterFolder folder)
    {
        if (string.IsNullOrWhiteSpace(name)) throw new FlywheelException($"the adapter's name is '{name}', expected a text");
        AdapterWeights weights = loop.LoadAdapter(folder, Interlocked.Increment(ref _numLoaded));
        AdapterWeights? previous;
        lock (_lock)
        {
            _byName.TryGetValue(name, out previous);
            _byName[name] = weights;
        }
        previous?.Release();
    }

    public bool Unload(string name)
    {
        AdapterWeights? weights;
        lock (_lock)
            if (!_byName.Remove(name, out weights)) return false;
        weights.Release();
        return true;
    }

    /// <summary>An adapter for one request, which releases it; null for none.</summary>
    public AdapterWeights? Use(string? name)
    {
        if (name is null) return null;
        lock (_lock)
        {
            if (_byName.TryGetValue(name, out AdapterWeights? weights))
            {
                weights.Use();
                return weights;
            }
            throw new FlywheelException(
                $"adapter is '{name}', expected {(_byName.Count == 0 ? "none: no adapter is loaded" : $"one of those that are loaded: {string.Join(", ", _byName.Keys)}")}");
        }
    }

    public void UnloadAll()
    {
        foreach (string name in Hashes.Keys) Unload(name);
    }
}
