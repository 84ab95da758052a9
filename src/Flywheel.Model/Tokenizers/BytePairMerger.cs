namespace Flywheel.Model;

/// <summary>
/// Applies merges to a sequence of ids: always the pair that was learnt first, leftmost first (Sennrich 2016, arXiv
/// 1508.07909). Long words take a linked list and a heap, O(n log n), so that a word of a megabyte is no attack.
/// </summary>
internal sealed class BytePairMerger(MergeTable merges)
{
    private const int MaxShort = 64;

    /// <summary>Merges in place; the result is the returned number of ids at the front of <paramref name="ids"/>.</summary>
    public int Merge(Span<int> ids) => ids.Length < 2 ? ids.Length : ids.Length <= MaxShort ? MergeShort(ids) : MergeLong(ids);

    /// <summary>Looks for the smallest rank again after every merge; only the two pairs beside a merge change.</summary>
    private int MergeShort(Span<int> ids)
    {
        Span<int> ranks = stackalloc int[MaxShort], results = stackalloc int[MaxShort];
        int count = ids.Length;
        for (int i = 0; i + 1 < count; i++) (ranks[i], results[i]) = merges.Find(ids[i], ids[i + 1]);
        while (count > 1)
        {
            int best = 0;
            for (int i = 1; i + 1 < count; i++)
                if (ranks[i] < ranks[best]) best = i;
            if (ranks[best] == MergeTable.NoMerge) break;
            ids[best] = results[best];
            ids[(best + 2)..count].CopyTo(ids[(best + 1)..]);
            ranks[(best + 1)..(count - 1)].CopyTo(ranks[best..]);
            results[(best + 1)..(count - 1)].CopyTo(results[best..]);
            count--;
            if (best + 1 < count) (ranks[best], results[best]) = merges.Find(ids[best], ids[best + 1]);
            if (best > 0) (ranks[best - 1], results[best - 1]) = merges.Find(ids[best - 1], ids[best]);
        }
        return count;
    }

    private int MergeLong(Span<int> ids)
    {
        const int Gone = -1;
        int[] next = new int[ids.Length], previous = new int[ids.Length];
        var queue = new PriorityQueue<int, (int Rank, int Position)>();
        for (int i = 0; i < ids.Length; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1;
        }
        for (int i = 0; i + 1 < ids.Length; i++) Offer(ids, i, i + 1);

        while (queue.TryDequeue(out int left, out (int Rank, int) priority))
        {
            int right = next[left];
            // An entry is stale when a neighbour was merged since it was queued.
            if (ids[left] == Gone || right >= ids.Length) continue;
            var merge = merges.Find(ids[left], ids[right]);
            if (merge.Rank != priority.Rank) continue;
            ids[left] = merge.Id;
            ids[right] = Gone;
            next[left] = next[right];
            if (next[left] < ids.Length)
            {
                previous[next[left]] = left;
                Offer(ids, left, next[left]);
            }
            if (previous[left] >= 0) Offer(ids, previous[left], left);
        }

        int count = 0;
        for (int i = 0; i < ids.Length; i = next[i]) ids[count++] = ids[i];
        return count;

        void Offer(Span<int> symbols, int left, int right)
        {
            int rank = merges.Find(symbols[left], symbols[right]).Rank;
            if (rank != MergeTable.NoMerge) queue.Enqueue(left, (rank, left));
        }
    }
}
