namespace Flywheel.Model;

/// <summary>Byte-level BPE (to be filled in).</summary>
public sealed class Tokenizer
{
    /// <summary>Number of ids, special tokens included.</summary>
    public int VocabSize => throw new NotImplementedException();

    /// <summary>SHA-256 of the saved tokenizer.json, lower-case hex.</summary>
    public string Hash => throw new NotImplementedException();

    /// <summary>Special tokens and their ids, such as <c>&lt;|im_end|&gt;</c>.</summary>
    public IReadOnlyDictionary<string, int> SpecialTokens => throw new NotImplementedException();

    /// <summary>Reads Hugging Face's tokenizer.json.</summary>
    public static Tokenizer Load(string path) => throw new NotImplementedException();

    public void Save(string path) => throw new NotImplementedException();

    /// <summary>Learns a vocabulary from texts. Deterministic.</summary>
    public static Tokenizer Train(IEnumerable<string> texts, int vocabSize) => throw new NotImplementedException();

    /// <summary>Text to ids. Text that spells a special token stays text unless <paramref name="allowSpecial"/>.</summary>
    public int[] Encode(string text, bool allowSpecial = false) => throw new NotImplementedException();

    public int[] Encode(ReadOnlySpan<byte> utf8) => throw new NotImplementedException();

    /// <summary>The bytes of one id; empty for a special token.</summary>
    public ReadOnlySpan<byte> Bytes(int id) => throw new NotImplementedException();

    /// <summary>Ids to text; bytes that are not UTF-8 become U+FFFD.</summary>
    public string Decode(ReadOnlySpan<int> ids) => throw new NotImplementedException();
}
