namespace Flywheel.Model;

/// <summary>
/// The printable character that stands for each byte in tokenizer.json: GPT-2's alphabet (Radford 2019), in which the
/// printable bytes of Latin-1 are themselves and the others follow from U+0100.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] s_characters = Characters();
    private static readonly Dictionary<char, byte> s_bytes =
        s_characters.Select((character, value) => (character, (byte)value)).ToDictionary();

    public static string FromBytes(ReadOnlySpan<byte> bytes)
    {
        Span<char> text = bytes.Length <= 256 ? stackalloc char[bytes.Length] : new char[bytes.Length];
        for (int i = 0; i < bytes.Length; i++) text[i] = s_characters[bytes[i]];
        return new string(text);
    }

    /// <summary>Null when a character is none of the alphabet.</summary>
    public static byte[]? ToBytes(string text)
    {
        byte[] bytes = new byte[text.Length];
        for (int i = 0; i < text.Length; i++)
            if (!s_bytes.TryGetValue(text[i], out bytes[i])) return null;
        return bytes;
    }

    private static char[] Characters()
    {
        char[] characters = new char[256];
        char next = '\u0100';
        for (int value = 0; value < 256; value++)
            characters[value] = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? (char)value : next++;
        return characters;
    }
}
