using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Flywheel.Model;

/// <summary>
/// tokenizer.json's model: a vocabulary and merges. A word starts as bytes (byte-level) or as characters, which fall back to
/// bytes, or to the unknown token, where the vocabulary lacks them.
/// </summary>
internal sealed class BytePairModel
{
    /// <summary>No published vocabulary comes near; a larger id would only waste memory.</summary>
    public const int MaxVocabSize = 1 << 22;

    private readonly Dictionary<string, int> _vocab = new(StringComparer.Ordinal);
    private readonly Dictionary<Rune, int> _characterIds = [];
    private readonly int[] _byteIds = new int[256];
    private readonly BytePairMerger _merger;
    private readonly int _unknown = -1;
    private readonly bool _byteLevel, _byteFallback, _fuseUnknown, _ignoreMerges;

    /// <exception cref="FlywheelException">Another kind of model, or one that contradicts itself; names the field.</exception>
    public BytePairModel(JsonField field, bool byteLevel)
    {
        if (field["type"].Text() != "BPE") throw field["type"].Wrong("'BPE'");
        foreach (string name in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
            if (field.Find(name) is { } affix && affix.Text().Length > 0) throw affix.Wrong("none");
        if (field.Find("dropout") is { } dropout && dropout.Value.GetDouble() != 0) throw dropout.Wrong("none");
        _byteLevel = byteLevel;
        _byteFallback = field.Flag("byte_fallback");
        _fuseUnknown = field.Flag("fuse_unk");
        _ignoreMerges = field.Flag("ignore_merges");
        ReadVocab(field["vocab"]);
        if (field.Find("unk_token") is { } unknown && !_vocab.TryGetValue(unknown.Text(), out _unknown))
            throw unknown.Wrong("a token of model.vocab");
        MergeTable merges = ReadMerges(field["merges"], out bool spacesBegin);
        _merger = new BytePairMerger(merges);
        SpacesBeginWords = !byteLevel && !_ignoreMerges && spacesBegin;

        Array.Fill(_byteIds, -1);
        foreach ((string token, int id) in _vocab)
        {
            if (byteLevel && ByteAlphabet.ToBytes(token) is [byte letter]) _byteIds[letter] = id;
            else if (_byteFallback && TryByte(token, out byte value)) _byteIds[value] = id;
            if (Rune.TryGetRuneAt(token, 0, out Rune character) && character.Utf16SequenceLength == token.Length)
                _characterIds[character] = id;
        }
    }

    public IReadOnlyDictionary<string, int> Vocab => _vocab;

    /// <summary>
    /// Whether U+2581 never follows another character inside a merged token. Then no merge reaches across the place before
    /// it, and a text may be cut there without changing its ids.
    /// </summary>
    public bool SpacesBeginWords { get; }

    /// <summary>Whether a token is written as a byte, such as <c>&lt;0x0A&gt;</c>.</summary>
    public static bool TryByte(string token, out byte value)
    {
        value = 0;
        return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
            && !token.AsSpan(3, 2).ContainsAnyInRange('a', 'f')
            && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>The ids of a word.</summary>
    public int[] Encode(ReadOnlySpan<char> word)
    {
        if (_byteLevel)
        {
            byte[] bytes = new byte[Encoding.UTF8.GetByteCount(word)];
            Encoding.UTF8.GetBytes(word, bytes);
            return _ignoreMerges && _vocab.TryGetValue(ByteAlphabet.FromBytes(bytes), out int whole) ? [whole] : Encode(bytes);
        }
        if (_ignoreMerges && _vocab.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out int id)) return [id];
        var symbols = new SymbolList(word.Length, _fuseUnknown);
        Span<byte> utf8 = stackalloc byte[4];
        foreach (Rune character in word.EnumerateRunes())
        {
            if (_characterIds.TryGetValue(character, out int known))
            {
                symbols.EndUnknown();
                symbols.Add(known);
            }
            else if (_byteFallback && All(utf8[..character.EncodeToUtf8(utf8)]) is { } bytes)
                foreach (int each in bytes) symbols.Add(each); // before an unknown that has not ended, as Hugging Face's library does
            else if (_unknown >= 0) symbols.AddUnknown(_unknown);
        }
        return Merge(symbols);
    }

    /// <summary>The ids of bytes that need not be UTF-8.</summary>
    public int[] Encode(ReadOnlySpan<byte> bytes)
    {
        var symbols = new SymbolList(bytes.Length, _fuseUnknown);
        foreach (byte value in bytes)
        {
            if (_byteIds[value] >= 0)
            {
                symbols.EndUnknown();
                symbols.Add(_byteIds[value]);
            }
            else if (_unknown >= 0) symbols.AddUnknown(_unknown);
        }
        return Merge(symbols);
    }

    private int[] Merge(SymbolList symbols)
    {
        symbols.EndUnknown();
        Span<int> ids = CollectionsMarshal.AsSpan(symbols.Ids);
        return [.. ids[.._merger.Merge(ids)]];
    }

    private int[]? All(ReadOnlySpan<byte> bytes)
    {
        int[] ids = new int[bytes.Length];
        for (int i = 0; i < bytes.Length; i++)
            if ((ids[i] = _byteIds[bytes[i]]) < 0) return null;
        return ids;
    }

    private void ReadVocab(JsonField field)
    {
        if (field.Value.ValueKind != JsonValueKind.Object) throw field.Wrong("an object of tokens and ids");
        var ids = new HashSet<int>();
        foreach (JsonProperty entry in field.Value.EnumerateObject())
        {
            // The way to an entry is spelt out only when it is wrong: there are hundreds of thousands.
            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out int id) || id is < 0 or >= MaxVocabSize)
                throw field.Entry(entry).Wrong($"a number from 0 to {MaxVocabSize - 1}");
            if (!_vocab.TryAdd(entry.Name, id)) throw field.Entry(entry).Wrong("each token once");
            if (!ids.Add(id)) throw field.Entry(entry).Wrong("each id once");
        }
    }

    private MergeTable ReadMerges(JsonField field, out bool spacesBegin)
    {
        if (field.Value.ValueKind != JsonValueKind.Array) throw field.Wrong("an array of pairs of tokens");
        var merges = new MergeTable(field.Value.GetArrayLength());
        spacesBegin = true;
        var vocab = _vocab.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (JsonElement merge in field.Value.EnumerateArray())
        {
            int leftLength;
            string result; // both tokens in one
            if (merge.ValueKind == JsonValueKind.String)
            {
                result = merge.GetString()!;
                leftLength = result.IndexOf(' ');
                if (leftLength < 0 || result.LastIndexOf(' ') != leftLength) throw Wrong("two tokens");
                result = result.Remove(leftLength, 1);
            }
            else
            {
                if (merge.ValueKind != JsonValueKind.Array || merge.GetArrayLength() != 2 || merge[0].ValueKind != JsonValueKind.String
                    || merge[1].ValueKind != JsonValueKind.String) throw Wrong("two tokens");
                string first = merge[0].GetString()!;
                leftLength = first.Length;
                result = first + merge[1].GetString();
            }
            ReadOnlySpan<char> left = result.AsSpan(0, leftLength), right = result.AsSpan(leftLength);
            if (!merges.TryAdd(Id(left), Id(right), Id(result))) throw Wrong("a pair that is not yet in the list");
            if (right.StartsWith('\u2581') && !left.EndsWith('\u2581')) spacesBegin = false;

            int Id(ReadOnlySpan<char> token) =>
                vocab.TryGetValue(token, out int id) ? id : throw Wrong($"a pair whose tokens are in model.vocab; '{token}' is not");

            FlywheelException Wrong(string expected) => field.At(merge, merges.Count).Wrong(expected);
        }
        return merges;
    }

    /// <summary>Symbols that a word starts as; neighbouring unknown ones become one where the model says so.</summary>
    private sealed class SymbolList(int capacity, bool fuse)
    {
        private int _unknown = -1;

        public List<int> Ids { get; } = new(capacity);

        public void Add(int id) => Ids.Add(id);

        public void AddUnknown(int id)
        {
            if (!fuse) EndUnknown();
            _unknown = id;
        }

        public void EndUnknown()
        {
            if (_unknown >= 0) Ids.Add(_unknown);
            _unknown = -1;
        }
    }
}
