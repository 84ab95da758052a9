using System.Runtime.InteropServices;
using System.Text;

namespace Flywheel.Model;

/// <summary>From tokens back to text: tokenizer.json's decoder, told a token at a time so that text can be streamed.</summary>
internal sealed class TokenDecoder
{
    private bool _byteLevel, _byteFallback, _fused;
    private Metaspace? _metaspace;
    private readonly List<(string Old, string New)> _replacements = [];
    private (char Character, int Count) _strip;

    /// <summary>Reads decoder.</summary>
    /// <exception cref="FlywheelException">A step that is not known, or in an order that cannot be streamed; named.</exception>
    public static TokenDecoder Read(JsonField field)
    {
        var decoder = new TokenDecoder();
        decoder.Add(field);
        return decoder;
    }

    private void Add(JsonField field)
    {
        string type = field["type"].Text();
        if (_byteLevel || (_metaspace is not null && type != "Fuse") || _strip.Count > 0) throw field.Wrong("no further decoder");
        if (_fused && type is not "Strip") throw field.Wrong("'Strip' or nothing after 'Fuse'");
        switch (type)
        {
            case "Sequence":
                foreach (JsonField item in field["decoders"].Items()) Add(item);
                break;
            case "ByteLevel" when _replacements.Count == 0 && !_byteFallback:
                _byteLevel = true;
                break;
            case "Metaspace":
                _metaspace = Metaspace.Read(field);
                break;
            case "Replace" when !_byteFallback && field["pattern"].Find("String") is { } old && old.Text() is [_, ..] text:
                _replacements.Add((text, field["content"].Text()));
                break;
            case "ByteFallback":
                _byteFallback = true;
                break;
            case "Fuse":
                _fused = true;
                break;
            case "Strip" when _fused && field["content"].Text() is [char content] && field["stop"].Number(0, int.MaxValue) == 0:
                _strip = (content, field["start"].Number(0, int.MaxValue));
                break;
            default:
                throw field.Wrong(
                    "'ByteLevel', 'Metaspace', or a sequence of 'Replace' (of a text), 'ByteFallback', 'Fuse' and 'Strip' (at the start)");
        }
    }

    /// <summary>The bytes that a token of the vocabulary adds to a text.</summary>
    public byte[] Bytes(string token)
    {
        if (_byteLevel) return ByteAlphabet.ToBytes(token) ?? Encoding.UTF8.GetBytes(token);
        if (_byteFallback && BytePairModel.TryByte(token, out byte value)) return [value];
        if (_metaspace is { } metaspace) token = token.Replace(metaspace.Replacement, ' ');
        foreach ((string old, string with) in _replacements) token = token.Replace(old, with, StringComparison.Ordinal);
        return Encoding.UTF8.GetBytes(token);
    }

    /// <summary>The bytes of an added token, which is never spelt in the byte alphabet.</summary>
    public byte[] AddedBytes(string content) => _byteLevel ? Encoding.UTF8.GetBytes(content) : Bytes(content);

    /// <summary>Whether a token of the vocabulary is a byte of byte fallback.</summary>
    public bool IsByte(string token) => _byteFallback && BytePairModel.TryByte(token, out _);

    /// <summary>A whole text: what was put before it when it was encoded is taken away; bytes that are not UTF-8 become U+FFFD.</summary>
    /// <param name="tokens">The bytes of each token, and whether it is a byte of byte fallback.</param>
    public string Decode(IEnumerable<(byte[] Bytes, bool IsByte)> tokens)
    {
        var bytes = new List<byte>();
        var run = new List<byte>(); // a run of fallback bytes is a text or, byte for byte, an error
        bool first = _metaspace is { Prepend: not PrependScheme.Never };
        foreach ((byte[] token, bool isByte) in tokens)
        {
            if (isByte) run.AddRange(token);
            else
            {
                EndRun();
                bytes.AddRange(first ? token.Where(value => value != ' ') : token);
            }
            first &= token.Length == 0;
        }
        EndRun();
        string text = Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes));
        int start = 0;
        while (start < _strip.Count && start < text.Length && text[start] == _strip.Character) start++;
        return text[start..];

        void EndRun()
        {
            if (System.Text.Unicode.Utf8.IsValid(CollectionsMarshal.AsSpan(run))) bytes.AddRange(run);
            else foreach (byte _ in run) bytes.AddRange("\uFFFD"u8);
            run.Clear();
        }
    }
}
