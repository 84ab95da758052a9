namespace Flywheel.Model;

/// <summary>
/// Applies merges to a sequence of ids: always the pair that was learnt first, leftmost first (Sennrich 2016, arXiv
/// 1508.07909). A linked list and a heap keep it O(n log n), so that a word of a megabyte is no attack.
/// </summary>
internal sealed class BytePairMerger
{
    private readonly Dictionary<(int Left, int Right), (int Rank, int Id)> _merges;

    public BytePairMerger(Dictionary<(int Left, int Right), (int Rank, int Id)> merges) => _merges = merges;

    /// <summary>Merges in place; the result is the returned number of ids at the front of <paramref name="ids"/>.</summary>
    public int Merge(Span<int> ids)
    {
        if (ids.Length < 2) return ids.Length;
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
            if (!_merges.TryGetValue((ids[left], ids[right]), out var merge) || merge.Rank != priority.Rank) continue;
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
            if (_merges.TryGetValue((symbols[left], symbols[right]), out var merge)) queue.Enqueue(left, (merge.Rank, left));
        }
    }
}
