namespace Flywheel.Training;

/// <summary>
/// The processes ("ranks") that train one model together, and the two ways in which they exchange data. Every rank calls
/// the same operations in the same order; nothing is ever summed on the way, because the order of a sum is ours to fix.
/// </summary>
public interface ICollectives : IDisposable
{
    /// <summary>This process, from 0.</summary>
    int Rank { get; }

    /// <summary>Number of processes.</summary>
    int Size { get; }

    /// <summary>Sends each rank its part of <paramref name="send"/> and receives one part from each.</summary>
    /// <param name="send">What the other ranks get of this one.</param>
    /// <param name="sendCounts">Elements for each rank.</param>
    /// <param name="sendOffsets">Where each rank's part starts.</param>
    /// <param name="receive">Filled.</param>
    /// <param name="receiveCounts">Elements from each rank.</param>
    /// <param name="receiveOffsets">Where each rank's part goes.</param>
    void AllToAll(ReadOnlySpan<float> send, int[] sendCounts, int[] sendOffsets, Span<float> receive, int[] receiveCounts,
        int[] receiveOffsets);

    /// <summary>Each rank has filled its own part of <paramref name="buffer"/>; afterwards every rank has them all.</summary>
    /// <param name="buffer">Parts of all ranks.</param>
    /// <param name="counts">Elements of each rank.</param>
    /// <param name="offsets">Where each rank's part starts.</param>
    void AllGather<T>(Span<T> buffer, int[] counts, int[] offsets)
        where T : unmanaged;

    /// <summary>Ends every rank at once: for an error that only this one has met.</summary>
    void Abort(int exitCode);
}

/// <summary>A world of one process: nothing to exchange.</summary>
internal sealed class SingleRank : ICollectives
{
    public int Rank => 0;

    public int Size => 1;

    public void AllToAll(ReadOnlySpan<float> send, int[] sendCounts, int[] sendOffsets, Span<float> receive, int[] receiveCounts,
        int[] receiveOffsets) =>
        send.Slice(sendOffsets[0], sendCounts[0]).CopyTo(receive[receiveOffsets[0]..]);

    public void AllGather<T>(Span<T> buffer, int[] counts, int[] offsets)
        where T : unmanaged
    {
    }

    public void Abort(int exitCode)
    {
    }

    public void Dispose()
    {
    }
}

internal static class CollectivesExtensions
{
    /// <summary>The items of a list that a rank computes: contiguous, so that it can sum most of them by itself.</summary>
    public static (int First, int End) Block(int count, int rank, int size) =>
        ((int)((long)count * rank / size), (int)((long)count * (rank + 1) / size));

    /// <summary>Computes each item on one rank; every rank gets all results, in order.</summary>
    public static T[] Map<T>(this ICollectives world, int count, Func<int, T> compute)
        where T : unmanaged
    {
        var results = new T[count];
        (int first, int end) = Block(count, world.Rank, world.Size);
        for (int i = first; i < end; i++) results[i] = compute(i);
        int[] offsets = [.. Enumerable.Range(0, world.Size).Select(rank => Block(count, rank, world.Size).First)];
        int[] counts = [.. Enumerable.Range(0, world.Size).Select(rank => Block(count, rank, world.Size).End - offsets[rank])];
        world.AllGather<T>(results, counts, offsets);
        return results;
    }

    /// <summary>Rank 0's value on every rank; the others' is ignored.</summary>
    public static T FromFirst<T>(this ICollectives world, T value)
        where T : unmanaged
    {
        T[] box = [value];
        int[] counts = new int[world.Size];
        counts[0] = 1;
        world.AllGather<T>(box, counts, new int[world.Size]);
        return box[0];
    }

    /// <summary>Whether it holds on any rank: every rank learns the same answer.</summary>
    public static bool Any(this ICollectives world, bool here)
    {
        byte[] flags = new byte[world.Size];
        flags[world.Rank] = here ? (byte)1 : (byte)0;
        int[] ones = new int[world.Size];
        Array.Fill(ones, 1);
        world.AllGather<byte>(flags, ones, [.. Enumerable.Range(0, world.Size)]);
        return flags.Contains((byte)1);
    }
}
