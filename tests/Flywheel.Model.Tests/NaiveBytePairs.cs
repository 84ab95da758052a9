using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Flywheel.Model.Tests;

/// <summary>
/// Byte-level BPE as the papers tell it, with no thought for speed: the oracle of the tokenizer's tests. It shares no
/// code with the tokenizer; of tokenizer.json it takes the vocabulary and the list of merges.
/// </summary>
internal sealed class NaiveBytePairs
{
    private readonly Dictionary<string, int> _vocab;
    private readonly List<(string Left, string Right)> _merges;

    public NaiveBytePairs(string tokenizerJson)
    {
        using JsonDocument document = JsonDocument.Parse(tokenizerJson);
        JsonElement model = document.RootElement.GetProperty("model");
        _vocab = model.GetProperty("vocab").EnumerateObject().ToDictionary(entry => entry.Name, entry => entry.Value.GetInt32());
        _merges =
            [.. model.GetProperty("merges").EnumerateArray().Select(merge => merge.GetString()!.Split(' '))
                .Select(pair => (pair[0], pair[1]))];
    }

    /// <summary>GPT-2's bytes_to_unicode, written as in its source.</summary>
    public static string Alphabet { get; } = MakeAlphabet();

    public int[] Encode(string text)
    {
        var ids = new List<int>();
        // Only for texts of the basic plane, where code points are UTF-16 units.
        foreach (Match word in Regex.Matches(text,
            @"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"))
            ids.AddRange(EncodeWord(Encoding.UTF8.GetBytes(word.Value)));
        return [.. ids];
    }

    public int[] EncodeWord(byte[] word)
    {
        var symbols = word.Select(value => Alphabet[value].ToString()).ToList();
        while (true)
        {
            int best =
                _merges.FindIndex(merge =>
                    Enumerable.Range(0, Math.Max(0, symbols.Count - 1))
                        .Any(i => symbols[i] == merge.Left && symbols[i + 1] == merge.Right));
            if (best < 0) return [.. symbols.Select(symbol => _vocab[symbol])];
            (string left, string right) = _merges[best];
            int at = Enumerable.Range(0, symbols.Count - 1).First(i => symbols[i] == left && symbols[i + 1] == right);
            symbols[at] = left + right;
            symbols.RemoveAt(at + 1);
        }
    }

    /// <summary>Merges learnt by counting every pair of every word again after each merge.</summary>
    public static List<string> Learn(IEnumerable<string> texts, int numMerges)
    {
        var words =
            texts.SelectMany(text =>
                Regex.Matches(text,
                    @"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
                    .Select(match => match.Value))
            .Select(word => Encoding.UTF8.GetBytes(word).Select(value => (int)value).ToList()).ToList();
        var tokens = Enumerable.Range(0, 256).Select(value => Alphabet[value].ToString()).ToList();
        var merges = new List<string>();
        while (merges.Count < numMerges)
        {
            var best = words.SelectMany(word => word.Zip(word.Skip(1))).GroupBy(pair => pair)
                .OrderByDescending(group => group.Count()).ThenBy(group => group.Key.First).ThenBy(group => group.Key.Second)
                .FirstOrDefault();
            if (best is null || best.Count() < 2) break;
            (int left, int right) = best.Key;
            merges.Add($"{tokens[left]} {tokens[right]}");
            tokens.Add(tokens[left] + tokens[right]);
            foreach (List<int> word in words)
                for (int i = 0; i + 1 < word.Count; i++)
                    if (word[i] == left && word[i + 1] == right)
                    {
                        word[i] = tokens.Count - 1;
                        word.RemoveAt(i + 1);
                    }
        }
        return merges;
    }

    private static string MakeAlphabet()
    {
        var values = Enumerable.Range('!', '~' - '!' + 1).Concat(Enumerable.Range('¡', '¬' - '¡' + 1))
            .Concat(Enumerable.Range('®', 'ÿ' - '®' + 1)).ToList();
        var characters = values.ToDictionary(value => value, value => (char)value);
        int n = 0;
        for (int value = 0; value < 256; value++)
            if (!characters.ContainsKey(value)) characters[value] = (char)(256 + n++);
        return string.Concat(Enumerable.Range(0, 256).Select(value => characters[value]));
    }
}
