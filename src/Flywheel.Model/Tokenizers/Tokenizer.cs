using System.Buffers;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Unicode;

namespace Flywheel.Model;

/// <summary>
/// Byte pair encoding as tokenizer.json describes it: byte-level (GPT-2, Llama 3, Qwen, and what we learn), or SentencePiece's
/// with byte fallback (Llama 2, Mistral, Gemma). Every text has ids; byte-level, every string of bytes has. Safe for
/// concurrent use.
/// </summary>
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
    private readonly TokenizerJson _parts;
    private readonly byte[][] _bytes;
    private readonly bool[] _isByte, _has;
    private readonly Dictionary<string, int> _specialTokens;
    private readonly HashSet<int> _specialIds;
    private readonly AddedTokens _raw, _normalized;
    private readonly ConcurrentDictionary<string, int[]> _cache = new(StringComparer.Ordinal);
    private int _numCached;

    private Tokenizer(TokenizerJson parts, byte[] json)
    {
        _json = json;
        _parts = parts;
        Hash = Convert.ToHexStringLower(SHA256.HashData(json));
        IReadOnlyList<AddedToken> added = parts.AddedTokens;
        _specialTokens = added.Where(token => token.Special).ToDictionary(token => token.Content, token => token.Id);
        _specialIds = [.. _specialTokens.Values];
        _raw = new AddedTokens(added.Where(token => !token.Normalized).Select(token => (token.Content, token)));
        _normalized =
            new AddedTokens(added.Where(token => token.Normalized).Select(token => (parts.Normalizer.Apply(token.Content), token)));

        _bytes = new byte[parts.Model.Vocab.Values.Concat(added.Select(token => token.Id)).Append(-1).Max() + 1][];
        _isByte = new bool[_bytes.Length];
        _has = new bool[_bytes.Length];
        Array.Fill(_bytes, []);
        foreach ((string token,
            int id) in parts.Model.Vocab) (_bytes[id], _isByte[id]) = (parts.Decoder.Bytes(token), parts.Decoder.IsByte(token));
        foreach (AddedToken token in added)
            (_bytes[token.Id], _isByte[token.Id]) = (token.Special ? [] : parts.Decoder.AddedBytes(token.Content), false);
        foreach (int id in parts.Model.Vocab.Values.Concat(added.Select(token => token.Id))) _has[id] = true;
    }

    /// <summary>Number of ids, special tokens included.</summary>
    public int VocabSize => _bytes.Length;

    /// <summary>The tokenizer.json, as it is saved.</summary>
    internal ReadOnlyMemory<byte> Json => _json;

    /// <summary>SHA-256 of the saved tokenizer.json, lower-case hex.</summary>
    public string Hash { get; }

    /// <summary>Special tokens and their ids, such as <c>&lt;|im_end|&gt;</c>.</summary>
    public IReadOnlyDictionary<string, int> SpecialTokens => _specialTokens;

    /// <summary>Whether there is a token of this id; a vocabulary may leave numbers out.</summary>
    public bool Has(int id) => (uint)id < (uint)_has.Length && _has[id];

    public bool IsSpecial(int id) => _specialIds.Contains(id);

    /// <summary>Reads Hugging Face's tokenizer.json.</summary>
    /// <exception cref="FlywheelException">Missing, malformed, or another kind of tokenizer; the message names the field.</exception>
    public static Tokenizer Load(string path)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected a Hugging Face tokenizer.json");
        return Parse(File.ReadAllBytes(path), path);
    }

    /// <param name="json">Content of a tokenizer.json; kept, and saved again byte for byte.</param>
    /// <param name="source">Names the file in errors.</param>
    public static Tokenizer Parse(byte[] json, string source) => new(TokenizerJson.Read(json, source), json);

    public void Save(string path) => AtomicFile.Write(path, stream => stream.Write(_json));

    /// <summary>
    /// Learns a vocabulary from texts. Deterministic, and the same in whatever order the texts come. It is smaller than
    /// asked for when the texts have no more pairs that occur twice.
    /// </summary>
    /// <param name="texts">What is learnt from.</param>
    /// <param name="vocabSize">Ids of text: special tokens, bytes and merges.</param>
    /// <param name="reserved">Further special tokens, whose ids follow those of text.</param>
    /// <exception cref="FlywheelException"><paramref name="vocabSize"/> is below <see cref="MinVocabSize"/>.</exception>
    public static Tokenizer Train(IEnumerable<string> texts, int vocabSize, params IReadOnlyList<string> reserved)
    {
        if (vocabSize < MinVocabSize)
            throw new FlywheelException(
                $"vocabulary size is {vocabSize}, expected at least {MinVocabSize}: 3 special tokens and 256 bytes");
        byte[] json = TokenizerJsonWriter.Write([EndOfText, MessageStart, MessageEnd], TokenizerTrainer.Learn(texts, vocabSize), reserved);
        return Parse(json, "tokenizer");
    }

    /// <summary>
    /// Text to ids. Text that spells a special token stays text unless <paramref name="allowSpecial"/>. A surrogate
    /// without its partner is no character and becomes U+FFFD.
    /// </summary>
    public int[] Encode(string text, bool allowSpecial = false)
    {
        var ids = new List<int>(text.Length / 3 + 1);
        Encode(text, allowSpecial, atStart: true, ids);
        return [.. ids];
    }

    /// <summary>A text that stands by itself: with what the model expects around it, such as BOS.</summary>
    public int[] EncodeWhole(string text, bool allowSpecial = false) =>
        [.. _parts.Frame.Before, .. Encode(text, allowSpecial), .. _parts.Frame.After];

    /// <summary>Bytes to ids: like <see cref="Encode(string, bool)"/> for UTF-8; stretches that are not UTF-8 are words of their
    /// own.</summary>
    public int[] Encode(ReadOnlySpan<byte> utf8)
    {
        var ids = new List<int>(utf8.Length / 3 + 1);
        while (utf8.Length > 0)
        {
            int valid = Utf8.IsValid(utf8) ? utf8.Length : Prefix(utf8, OperationStatus.Done);
            Encode(Encoding.UTF8.GetString(utf8[..valid]), allowSpecial: false, atStart: ids.Count == 0, ids);
            utf8 = utf8[valid..];
            int invalid = Prefix(utf8, OperationStatus.InvalidData, OperationStatus.NeedMoreData);
            ids.AddRange(_parts.Model.Encode(utf8[..invalid]));
            utf8 = utf8[invalid..];
        }
        return [.. ids];

        static int Prefix(ReadOnlySpan<byte> utf8, params ReadOnlySpan<OperationStatus> statuses)
        {
            int length = 0;
            while (length < utf8.Length && statuses.Contains(Rune.DecodeFromUtf8(utf8[length..], out _, out int consumed)))
                length += consumed;
            return length;
        }
    }

    /// <summary>The bytes of one id; empty for a special token and for an id that the vocabulary does not have.</summary>
    public ReadOnlySpan<byte> Bytes(int id) => (uint)id < (uint)_bytes.Length ? _bytes[id] : [];

    /// <summary>Ids to text; bytes that are not UTF-8 become U+FFFD. The space that SentencePiece puts before a text is dropped.</summary>
    public string Decode(params ReadOnlySpan<int> ids) =>
        _parts.Decoder.Decode(ids.ToArray().Where(id => (uint)id < (uint)_bytes.Length).Select(id => (_bytes[id], _isByte[id])));

    /// <summary>
    /// A piece of a rendered conversation: its special tokens count, but not where <paramref name="guard"/> stands inside one,
    /// and the guard itself is no text. A piece that continues another gets nothing put before it.
    /// </summary>
    internal int[] EncodeRendered(string text, char guard, bool continues)
    {
        var ids = new List<int>(text.Length / 3 + 1);
        Encode(text, allowSpecial: true, atStart: !continues, ids, guard, continues);
        return [.. ids];
    }

    /// <summary>
    /// Added tokens are cut out first, those that are matched in the text as it came before those that are matched after
    /// normalisation. What is left between them is normalised, cut and encoded piece by piece.
    /// </summary>
    private void Encode(string text, bool allowSpecial, bool atStart, List<int> ids, char guard = '\0', bool continues = false)
    {
        if (text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) text = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
        _raw.Cut(text, allowSpecial, (start, end, token) =>
        {
            bool goesOn = continues && start == 0;
            if (token is not null) ids.Add(token.Id);
            else EncodeStretch(_parts.Normalizer.Apply(text[start..end], goesOn), allowSpecial, atStart && start == 0, ids, guard, goesOn);
        });
    }

    private void EncodeStretch(string text, bool allowSpecial, bool atStart, List<int> ids, char guard, bool continues) =>
        _normalized.Cut(text, allowSpecial, (start, end, token) =>
    {
        if (token is not null)
        {
            ids.Add(token.Id);
            return;
        }
        string part = text[start..end];
        if (guard != '\0') part = part.Replace(guard.ToString(), "", StringComparison.Ordinal);
        Words words = _parts.PreTokenizer.Cut(part, atStart && start == 0, continues && start == 0);
        for (int i = 0; i < words.Count; i++) EncodeWord(words[i], ids);
    });

    private void EncodeWord(ReadOnlySpan<char> word, List<int> ids)
    {
        while (_parts.Model.SpacesBeginWords && word.Length > 0)
        {
            // The characters up to the next run of spaces are a word of their own.
            int spaces = word.IndexOfAnyExcept('\u2581') is var first and >= 0 ? first : word.Length;
            int length = word[spaces..].IndexOf('\u2581') is var next and >= 0 ? spaces + next : word.Length;
            AddWord(word[..length], ids);
            word = word[length..];
        }
        if (word.Length > 0) AddWord(word, ids);
    }

    private void AddWord(ReadOnlySpan<char> word, List<int> ids)
    {
        if (word.Length > MaxCachedWordLength)
        {
            ids.AddRange(_parts.Model.Encode(word));
            return;
        }
        var cache = _cache.GetAlternateLookup<ReadOnlySpan<char>>();
        if (!cache.TryGetValue(word, out int[]? known))
        {
            known = _parts.Model.Encode(word);
            if (Interlocked.Increment(ref _numCached) > MaxCachedWords)
            {
                // Forget all: rare, and fair to whatever text comes now.
                _cache.Clear();
                Interlocked.Exchange(ref _numCached, 1);
            }
            cache[word] = known;
        }
        ids.AddRange(known);
    }
}
