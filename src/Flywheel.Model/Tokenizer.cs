using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using System.Text.Unicode;

namespace Flywheel.Model;

/// <summary>
/// Byte-level BPE: text is cut into words, a word's UTF-8 bytes are merged into the tokens of the vocabulary. Every
/// text, and every string of bytes, has ids and comes back exactly. Safe for concurrent use.
/// </summary>
/// <remarks>
/// Vocabularies of SentencePiece with byte fallback (Llama 2) are read too: a space is put before the text, which is one
/// word; merging starts from characters, and from bytes for characters that the vocabulary lacks (Kudo 2018, arXiv
/// 1808.06226).
/// </remarks>
public sealed class Tokenizer
{
    /// <summary>Ends a pretraining document; id 0 of a vocabulary that is learnt here.</summary>
    public const string EndOfText = "<|endoftext|>";

    /// <summary>Opens a chat message; id 1.</summary>
    public const string MessageStart = "<|im_start|>";

    /// <summary>Ends a chat message; id 2.</summary>
    public const string MessageEnd = "<|im_end|>";

    /// <summary>Smallest vocabulary: the special tokens and one token a byte.</summary>
    public const int MinVocabSize = 3 + 256;

    private const int MaxCachedWords = 1 << 16, MaxCachedWordLength = 64;

    private readonly byte[] _json;
    private readonly byte[][] _bytes;
    private readonly int[] _byteIds;
    private readonly Dictionary<Rune, int>? _characterIds; // only SentencePiece's
    private readonly BytePairMerger _merger;
    private readonly Dictionary<string, int> _specialTokens;
    private readonly Regex? _specialPattern;
    private readonly ConcurrentDictionary<string, int[]> _cache = new(StringComparer.Ordinal);
    private int _numCached;

    internal Tokenizer(TokenizerJson parts, byte[] json)
    {
        _json = json;
        _bytes = parts.Bytes;
        _byteIds = parts.ByteIds;
        _characterIds = parts.CharacterIds;
        _merger = new BytePairMerger(parts.Merges);
        _specialTokens = parts.SpecialTokens;
        Hash = Convert.ToHexStringLower(SHA256.HashData(json));
        if (_specialTokens.Count > 0)
            _specialPattern = new Regex(string.Join('|', _specialTokens.Keys.OrderByDescending(token => token.Length).Select(Regex.Escape)), RegexOptions.CultureInvariant);
    }

    /// <summary>Number of ids, special tokens included.</summary>
    public int VocabSize => _bytes.Length;

    /// <summary>SHA-256 of the saved tokenizer.json, lower-case hex.</summary>
    public string Hash { get; }

    /// <summary>Special tokens and their ids, such as <c>&lt;|im_end|&gt;</c>.</summary>
    public IReadOnlyDictionary<string, int> SpecialTokens => _specialTokens;

    /// <summary>Reads Hugging Face's tokenizer.json.</summary>
    /// <exception cref="FlywheelException">Missing, malformed, or another kind of tokenizer; the message names the field.</exception>
    public static Tokenizer Load(string path)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected a Hugging Face tokenizer.json");
        return Parse(File.ReadAllBytes(path), path);
    }

    /// <param name="json">Content of a tokenizer.json; kept, and saved again byte for byte.</param>
    /// <param name="source">Names the file in errors.</param>
    internal static Tokenizer Parse(byte[] json, string source) => new(TokenizerJson.Read(json, source), json);

    public void Save(string path) => AtomicFile.Write(path, stream => stream.Write(_json));

    /// <summary>
    /// Learns a vocabulary from texts. Deterministic, and the same in whatever order the texts come. It is smaller than
    /// asked for when the texts have no more pairs that occur twice.
    /// </summary>
    /// <exception cref="FlywheelException"><paramref name="vocabSize"/> is below <see cref="MinVocabSize"/>.</exception>
    public static Tokenizer Train(IEnumerable<string> texts, int vocabSize)
    {
        if (vocabSize < MinVocabSize)
            throw new FlywheelException($"vocabulary size is {vocabSize}, expected at least {MinVocabSize}: 3 special tokens and 256 bytes");
        byte[] json = TokenizerJson.Write([EndOfText, MessageStart, MessageEnd], TokenizerTrainer.Learn(texts, vocabSize));
        return Parse(json, "tokenizer");
    }

    /// <summary>
    /// Text to ids. Text that spells a special token stays text unless <paramref name="allowSpecial"/>. A surrogate
    /// without its partner is no character and becomes U+FFFD.
    /// </summary>
    public int[] Encode(string text, bool allowSpecial = false)
    {
        var ids = new List<int>(text.Length / 3 + 1);
        if (!allowSpecial || _specialPattern is null)
        {
            EncodeText(text, ids);
            return [.. ids];
        }
        int start = 0;
        foreach (Match special in _specialPattern.Matches(text))
        {
            EncodeText(text[start..special.Index], ids);
            ids.Add(_specialTokens[special.Value]);
            start = special.Index + special.Length;
        }
        EncodeText(text[start..], ids);
        return [.. ids];
    }

    /// <summary>Bytes to ids: like <see cref="Encode(string, bool)"/> for UTF-8; stretches that are not UTF-8 are words of their own.</summary>
    public int[] Encode(ReadOnlySpan<byte> utf8)
    {
        var ids = new List<int>(utf8.Length / 3 + 1);
        while (utf8.Length > 0)
        {
            int valid = Utf8.IsValid(utf8) ? utf8.Length : Prefix(utf8, OperationStatus.Done);
            EncodeText(Encoding.UTF8.GetString(utf8[..valid]), ids);
            utf8 = utf8[valid..];
            int invalid = Prefix(utf8, OperationStatus.InvalidData, OperationStatus.NeedMoreData);
            ids.AddRange(MergeBytes(utf8[..invalid]));
            utf8 = utf8[invalid..];
        }
        return [.. ids];

        static int Prefix(ReadOnlySpan<byte> utf8, params ReadOnlySpan<OperationStatus> statuses)
        {
            int length = 0;
            while (length < utf8.Length && statuses.Contains(Rune.DecodeFromUtf8(utf8[length..], out _, out int consumed))) length += consumed;
            return length;
        }
    }

    /// <summary>The bytes of one id; empty for a special token and for an id that the vocabulary does not have.</summary>
    public ReadOnlySpan<byte> Bytes(int id) => (uint)id < (uint)_bytes.Length ? _bytes[id] : [];

    /// <summary>Ids to text; bytes that are not UTF-8 become U+FFFD. The space that SentencePiece puts before a text is dropped.</summary>
    public string Decode(ReadOnlySpan<int> ids)
    {
        var bytes = new List<byte>(ids.Length * 4);
        foreach (int id in ids) bytes.AddRange(Bytes(id));
        string text = Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes));
        return _characterIds is not null && text.StartsWith(' ') ? text[1..] : text;
    }

    private void EncodeText(string text, List<int> ids)
    {
        if (_characterIds is not null)
        {
            if (text.Length > 0) ids.AddRange(MergeCharacters(" " + text));
            return;
        }
        int start = 0;
        foreach (int end in PreTokenizer.Ends(text))
        {
            ids.AddRange(EncodeWord(text.AsSpan(start, end - start)));
            start = end;
        }
    }

    private int[] EncodeWord(ReadOnlySpan<char> word)
    {
        if (word.Length > MaxCachedWordLength) return MergeBytes(Utf8Bytes(word));
        var cache = _cache.GetAlternateLookup<ReadOnlySpan<char>>();
        if (cache.TryGetValue(word, out int[]? ids)) return ids;
        ids = MergeBytes(Utf8Bytes(word));
        if (Interlocked.Increment(ref _numCached) > MaxCachedWords)
        {
            // Forget all: rare, and fair to whatever text comes now.
            _cache.Clear();
            Interlocked.Exchange(ref _numCached, 1);
        }
        cache[word] = ids;
        return ids;
    }

    private static byte[] Utf8Bytes(ReadOnlySpan<char> word)
    {
        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(word)];
        Encoding.UTF8.GetBytes(word, bytes);
        return bytes;
    }

    private int[] MergeBytes(ReadOnlySpan<byte> bytes)
    {
        int[] ids = new int[bytes.Length];
        for (int i = 0; i < bytes.Length; i++) ids[i] = _byteIds[bytes[i]];
        return ids[.._merger.Merge(ids)];
    }

    private int[] MergeCharacters(string text)
    {
        var symbols = new List<int>(text.Length);
        Span<byte> utf8 = stackalloc byte[4];
        foreach (Rune character in text.Replace(' ', TokenizerJson.VisibleSpace).EnumerateRunes())
        {
            if (_characterIds!.TryGetValue(character, out int id)) symbols.Add(id);
            else
                foreach (byte value in utf8[..character.EncodeToUtf8(utf8)]) symbols.Add(_byteIds[value]);
        }
        Span<int> ids = CollectionsMarshal.AsSpan(symbols);
        return [.. ids[.._merger.Merge(ids)]];
    }
}
