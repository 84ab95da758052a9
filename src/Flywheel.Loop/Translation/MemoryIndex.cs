using System.Runtime.Intrinsics;

namespace Flywheel.Loop.Translation;

/// <summary>A unit of the memory that is like a text.</summary>
/// <param name="Unit">What was translated, and how.</param>
/// <param name="Score">1 where the source is the same, else 1 - distance / the longer length, at least
/// <see cref="MemoryIndex.MinScore"/>.</param>
/// <param name="SameContext">The text before it is the same, too.</param>
public sealed record MemoryMatch(TranslationUnit Unit, double Score, bool SameContext);

/// <summary>
/// Units of one pair of languages, found by what they are like. Candidates are those whose length and whose pairs of neighbouring
/// characters leave the score possible: one edit changes at most two pairs (Ukkonen 1992), which are counted in 64 buckets.
/// </summary>
public sealed class MemoryIndex
{
    /// <summary>Least likeness that helps more than it distracts; the customary threshold of translators' tools.</summary>
    public const double MinScore = 0.7;

    private readonly Lock _lock = new();
    private readonly Dictionary<Guid, Entry> _byId = [];
    private readonly Dictionary<string, List<Entry>> _bySource = new(StringComparer.Ordinal);
    private readonly Dictionary<int, List<Entry>> _byLength = [];

    public int Count => _byId.Count;

    /// <summary>Adds a unit, or puts it in the place of the one with its id.</summary>
    public void Put(TranslationUnit unit)
    {
        var entry = new Entry(unit, Plain(unit.Source));
        lock (_lock)
        {
            Take(unit.Id);
            _byId[unit.Id] = entry;
            ListOf(_bySource, entry.Source).Add(entry);
            ListOf(_byLength, entry.Source.Length).Add(entry);
        }
    }

    public void Remove(Guid id)
    {
        lock (_lock) Take(id);
    }

    /// <summary>The likest units: those of the same source first, of them those with the same text before, then the latest.</summary>
    /// <param name="source">What is to be translated.</param>
    /// <param name="context">The text before it.</param>
    /// <param name="count">How many, at most.</param>
    /// <param name="exactOnly">Only units of the same source.</param>
    /// <param name="may">Which units may be shown.</param>
    public IReadOnlyList<MemoryMatch> Find(string source, string context, int count, bool exactOnly, Func<TranslationUnit, bool> may)
    {
        string text = Plain(source), before = Plain(context);
        if (text.Length == 0) return [];
        List<MemoryMatch> found = [];
        lock (_lock)
        {
            foreach (Entry entry in _bySource.GetValueOrDefault(text) ?? [])
                if (may(entry.Unit)) found.Add(new(entry.Unit, 1, Plain(entry.Unit.Context) == before));
            if (!exactOnly) found.AddRange(Like(text, count, may));
        }
        return [.. found.OrderByDescending(match => match.Score).ThenByDescending(match => match.SameContext)
            .ThenByDescending(match => match.Unit.Updated).ThenBy(match => match.Unit.Id)
            .DistinctBy(match => (Plain(match.Unit.Source), match.Unit.Target)).Take(count)];
    }

    private List<MemoryMatch> Like(string text, int count, Func<TranslationUnit, bool> may)
    {
        var distance = new EditDistance(text);
        Pairs pairs = Pairs.Of(text);
        List<MemoryMatch> found = [];
        // The best so far; what cannot be among them need not be compared to its end. Some more than asked for, because of equal ones.
        var best = new PriorityQueue<double, double>();
        double least = MinScore;
        int shortest = (int)Math.Ceiling(text.Length * MinScore - 1e-9), longest = (int)(text.Length / MinScore + 1e-9);
        // Texts of nearly its length first: they are the likest.
        foreach (int length in Enumerable.Range(shortest, longest - shortest + 1).OrderBy(length => Math.Abs(length - text.Length)))
        {
            if (!_byLength.TryGetValue(length, out List<Entry>? entries)) continue;
            int longer = Math.Max(length, text.Length);
            foreach (Entry entry in entries)
            {
                int limit = (int)(longer * (1 - least) + 1e-9);
                if (Math.Abs(length - text.Length) > limit) break;
                if (pairs.LeastEdits(entry.Pairs) > limit) continue;
                int edits = distance.To(entry.Source, limit);
                if (edits == 0 || edits > limit || !may(entry.Unit)) continue;
                double score = 1 - (double)edits / longer;
                found.Add(new(entry.Unit, score, SameContext: false));
                best.Enqueue(score, score);
                if (best.Count > 4 * count) best.Dequeue();
                if (best.Count == 4 * count) least = Math.Max(least, best.Peek());
            }
        }
        return found;
    }

    /// <summary>Blanks as single ones: how many there are is no difference.</summary>
    public static string Plain(string text) => string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    private void Take(Guid id)
    {
        if (!_byId.Remove(id, out Entry? entry)) return;
        _bySource[entry.Source].Remove(entry);
        if (_bySource[entry.Source].Count == 0) _bySource.Remove(entry.Source);
        _byLength[entry.Source.Length].Remove(entry);
    }

    private static List<Entry> ListOf<TKey>(Dictionary<TKey, List<Entry>> lists, TKey key) where TKey : notnull
    {
        if (!lists.TryGetValue(key, out List<Entry>? list)) lists[key] = list = [];
        return list;
    }

    private sealed class Entry(TranslationUnit unit, string source)
    {
        public TranslationUnit Unit => unit;

        public string Source => source;

        public readonly Pairs Pairs = Pairs.Of(source);
    }

    /// <summary>How often each bucket's pairs of characters occur, at most 255.</summary>
    internal readonly struct Pairs(Vector256<byte> low, Vector256<byte> high)
    {
        private readonly Vector256<byte> _low = low, _high = high;

        public static Pairs Of(string text)
        {
            Span<byte> counts = stackalloc byte[64];
            counts.Clear();
            for (int i = 1; i < text.Length; i++)
            {
                ref byte count = ref counts[(int)((uint)(text[i - 1] * 31 + text[i]) * 2654435761u >> 26)];
                if (count < 255) count++;
            }
            return new(Vector256.Create<byte>(counts[..32]), Vector256.Create<byte>(counts[32..]));
        }

        /// <summary>No fewer edits than that lead from one text to the other.</summary>
        public int LeastEdits(in Pairs other)
        {
            int missing = Excess(_low, other._low) + Excess(_high, other._high),
                added = Excess(other._low, _low) + Excess(other._high, _high);
            return (Math.Max(missing, added) + 1) / 2;
        }

        private static int Excess(Vector256<byte> a, Vector256<byte> b)
        {
            (Vector256<ushort> first, Vector256<ushort> second) = Vector256.Widen(Vector256.Max(a, b) - b);
            return Vector256.Sum(first + second);
        }
    }
}
