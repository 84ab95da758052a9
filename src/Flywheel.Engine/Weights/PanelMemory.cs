namespace Flywheel.Engine.Weights;

/// <summary>Where packed weights lie: fresh memory that is still to be filled, or a file's content that holds them in the same
/// order.</summary>
internal sealed unsafe class PanelMemory
{
    /// <summary>Panels start on cache lines.</summary>
    private const int Alignment = 64;

    private readonly NativeArena? _arena;
    private readonly byte* _filled;
    private readonly long _filledBytes;
    private readonly List<(nint Start, long NumBytes)> _taken = [];

    private PanelMemory(NativeArena? arena, byte* filled, long filledBytes)
    {
        (_arena, _filledBytes) = (arena, filledBytes);
        _filled = filled;
    }

    /// <summary>What is taken already holds its content.</summary>
    public bool IsFilled => _filled != null;

    public long NumBytes { get; private set; }

    public static PanelMemory Fresh(NativeArena arena) => new(arena, null, 0);

    public static PanelMemory Filled(byte* start, long numBytes) => new(null, start, numBytes);

    /// <summary>All that was taken, in order.</summary>
    public IReadOnlyList<(nint Start, long NumBytes)> Taken => _taken;

    public nint Take(long bytes)
    {
        bytes = (bytes + Alignment - 1) / Alignment * Alignment;
        if (IsFilled && bytes > _filledBytes - NumBytes)
            throw new InvalidOperationException("a file of packed weights is shorter than its key says");
        nint start = IsFilled ? (nint)(_filled + NumBytes) : (nint)_arena!.Allocate<byte>(bytes);
        _taken.Add((start, bytes));
        NumBytes += bytes;
        return start;
    }
}
