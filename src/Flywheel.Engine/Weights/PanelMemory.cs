namespace Flywheel.Engine.Weights;

/// <summary>Where packed weights lie: fresh memory that is still to be filled, or a mapped file that holds them in the same order.</summary>
internal sealed unsafe class PanelMemory
{
    /// <summary>Panels start on cache lines.</summary>
    private const int Alignment = 64;

    private readonly NativeArena? _arena;
    private readonly byte* _mapped;
    private readonly long _mappedBytes;
    private readonly List<(nint Start, long NumBytes)> _taken = [];

    private PanelMemory(NativeArena? arena, byte* mapped, long mappedBytes)
    {
        (_arena, _mappedBytes) = (arena, mappedBytes);
        _mapped = mapped;
    }

    /// <summary>What is taken already holds its content.</summary>
    public bool IsFilled => _mapped != null;

    public long NumBytes { get; private set; }

    public static PanelMemory Fresh(NativeArena arena) => new(arena, null, 0);

    public static PanelMemory Mapped(byte* start, long numBytes) => new(null, start, numBytes);

    /// <summary>All that was taken, in order.</summary>
    public IReadOnlyList<(nint Start, long NumBytes)> Taken => _taken;

    public nint Take(long bytes)
    {
        bytes = (bytes + Alignment - 1) / Alignment * Alignment;
        if (IsFilled && bytes > _mappedBytes - NumBytes) throw new InvalidOperationException("a mapped file of packed weights is shorter than its key says");
        nint start = IsFilled ? (nint)(_mapped + NumBytes) : (nint)_arena!.Allocate<byte>(bytes);
        _taken.Add((start, bytes));
        NumBytes += bytes;
        return start;
    }
}
