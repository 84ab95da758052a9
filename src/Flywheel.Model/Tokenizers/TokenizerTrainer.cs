using System.Runtime.InteropServices;
using System.Text;

namespace Flywheel.Model;

/// <summary>
/// Learns byte pair merges: counts words once, then takes the most frequent pair again and again, touching only the
/// words that hold it. Among pairs of equal count the one with the smaller ids wins, so the result is a function of the
/// counts alone.
/// </summary>
internal sealed class TokenizerTrainer
{
    private const int FirstMergeId = 256;

    private readonly List<int[]> _words = [];
    private readonly List<long> _counts = [];
    private readonly Dictionary<(int Left, int Right), long> _pairCounts = [];
    private readonly Dictionary<(int Left, int Right), List<int>> _pairWords = [];

    /// <returns>Merges of bytes (0 to 255) and earlier merges (256 and on), in the order learnt.</returns>
    public static List<(int Left, int Right)> Learn(IEnumerable<string> texts, int vocabSize)
    {
        var trainer = new TokenizerTrainer(CountWords(texts));
        return trainer.Merge(vocabSize - Tokenizer.MinVocabSize);
    }

    private TokenizerTrainer(Dictionary<string, long> words)
    {
        foreach ((string word, long count) in words)
        {
            int[] symbols = [.. Encoding.UTF8.GetBytes(word)];
            if (symbols.Length < 2) continue;
            for (int i = 0; i + 1 < symbols.Length; i++) Count((symbols[i], symbols[i + 1]), count, _words.Count);
            _words.Add(symbols);
            _counts.Add(count);
        }
    }

    private static Dictionary<string, long> CountWords(IEnumerable<string> texts)
    {
        var words = new Dictionary<string, long>(StringComparer.Ordinal);
        var lookup = words.GetAlternateLookup<ReadOnlySpan<char>>();
        SplitPattern pattern = SplitPattern.OfRegex(SplitPattern.Qwen);
        var matches = new List<(int Start, int End)>();
        foreach (string text in texts)
        {
            matches.Clear();
            pattern.Find(text, matches); // every character belongs to a match
            foreach ((int start,
                int end) in matches) CollectionsMarshal.GetValueRefOrAddDefault(lookup, text.AsSpan(start, end - start), out _)++;
        }
        return words;
    }

    private List<(int Left, int Right)> Merge(int limit)
    {
        var merges = new List<(int Left, int Right)>();
        var queue = new PriorityQueue<(int Left, int Right), (long NegativeCount, int Left, int Right)>();
        foreach ((var pair, long count) in _pairCounts) queue.Enqueue(pair, (-count, pair.Left, pair.Right));

        while (merges.Count < limit && queue.TryDequeue(out var pair, out var priority))
        {
            if (_pairCounts[pair] != -priority.NegativeCount) continue; // counted anew since: its new entry is in the queue
            if (_pairCounts[pair] < 2) break;
            int id = FirstMergeId + merges.Count;
            merges.Add(pair);
            var changed = new HashSet<(int Left, int Right)>();
            foreach (int word in _pairWords[pair]) _words[word] = Replace(word, pair, id, changed);
            changed.Remove(pair);
            _pairWords.Remove(pair);
            _pairCounts[pair] = 0;
            foreach (var other in changed)
                if (_pairCounts[other] > 0) queue.Enqueue(other, (-_pairCounts[other], other.Left, other.Right));
        }
        return merges;
    }

    /// <summary>The word with the pair replaced; the counts of the pairs beside it change with it.</summary>
    private int[] Replace(int word, (int Left, int Right) pair, int id, HashSet<(int Left, int Right)> changed)
    {
        int[] old = _words[word];
        var symbols = new List<int>(old.Length);
        bool found = false;
        for (int i = 0; i < old.Length; i++)
        {
            bool match = i + 1 < old.Length && (old[i], old[i + 1]) == pair;
            found |= match;
            symbols.Add(match ? id : old[i]);
            if (match) i++;
        }
        if (!found) return old; // listed twice, or an earlier merge took the pair away

        for (int i = 0; i + 1 < old.Length; i++) Change((old[i], old[i + 1]), -_counts[word]);
        for (int i = 0; i + 1 < symbols.Count; i++) Change((symbols[i], symbols[i + 1]), _counts[word]);
        return [.. symbols];

        void Change((int Left, int Right) other, long count)
        {
            // Only pairs with the new token are new to this word; the rest were listed before.
            Count(other, count, other.Left == id || other.Right == id ? word : -1);
            changed.Add(other);
        }
    }

    private void Count((int Left, int Right) pair, long count, int word)
    {
        CollectionsMarshal.GetValueRefOrAddDefault(_pairCounts, pair, out _) += count;
        if (word < 0) return;
        List<int> words = CollectionsMarshal.GetValueRefOrAddDefault(_pairWords, pair, out _) ??= [];
        if (words.Count == 0 || words[^1] != word) words.Add(word);
    }
}
