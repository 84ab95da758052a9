using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Flywheel.Model;

/// <summary>
/// Text files that people hand in. They are UTF-8, with or without a byte order mark; anything else is refused with file and
/// line, since a decoder that replaces what it cannot read would have a model learn the replacements.
/// </summary>
public static class Utf8File
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: true, throwOnInvalidBytes: true);

    /// <summary>Characters before a fault that its message repeats.</summary>
    private const int Shown = 12;

    /// <summary>Marks of other encodings, longest first: UTF-32's little-endian one begins with UTF-16's.</summary>
    private static readonly (byte[] Mark, string Encoding)[] OtherMarks =
    [
        ([0xFF, 0xFE, 0, 0], "UTF-32"),
        ([0, 0, 0xFE, 0xFF], "UTF-32"),
        ([0xFF, 0xFE], "UTF-16"),
        ([0xFE, 0xFF], "UTF-16"),
    ];

    /// <exception cref="FlywheelException">The file holds something else than UTF-8 text; the message names file and line.</exception>
    public static string ReadText(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return ReadText(stream, path);
    }

    /// <param name="stream">From its start; it can seek.</param>
    /// <param name="name">Of the file, for the message.</param>
    /// <exception cref="FlywheelException">Something else than UTF-8 text; the message names file and line.</exception>
    public static string ReadText(Stream stream, string name)
    {
        using StreamReader reader = Open(stream, name);
        string text = Guard(stream, name, reader.ReadToEnd);
        int nul = text.IndexOf('\0', StringComparison.Ordinal);
        return nul < 0 ? text : throw Nul(name, 1 + CountLineEnds(text.AsSpan(0, nul), '\0'));
    }

    /// <summary>The text that bytes are.</summary>
    /// <param name="bytes">All of the file.</param>
    /// <param name="name">Of the file, for the message.</param>
    /// <exception cref="FlywheelException">Something else than UTF-8 text; the message names file and line.</exception>
    public static string Decode(byte[] bytes, string name) => ReadText(new MemoryStream(bytes), name);

    /// <summary>Refuses bytes that are no UTF-8, for readers that take bytes: what they make of them would differ.</summary>
    /// <exception cref="FlywheelException">The message names file and line.</exception>
    public static void Check(ReadOnlySpan<byte> bytes, string name)
    {
        if (!Utf8.IsValid(bytes)) Decode(bytes.ToArray(), name);
    }

    /// <summary>Lines without their ends; the first is line 1.</summary>
    /// <exception cref="FlywheelException">A line is something else than UTF-8 text; the message names file and line.</exception>
    public static IEnumerable<string> ReadLines(string path)
    {
        using FileStream stream = File.OpenRead(path);
        using StreamReader reader = Open(stream, path);
        for (int number = 1; Guard(stream, path, reader.ReadLine) is { } line; number++)
            yield return line.Contains('\0', StringComparison.Ordinal) ? throw Nul(path, number) : line;
    }

    private static StreamReader Open(Stream stream, string name)
    {
        byte[] start = new byte[4];
        int length = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        stream.Position = 0;
        foreach ((byte[] mark, string encoding) in OtherMarks)
            if (start.AsSpan(0, length).StartsWith(mark))
                throw new FlywheelException(
                    $"{name}: begins with the byte order mark of {encoding}, expected UTF-8; {Convert(encoding, name)}");
        return new StreamReader(stream, Strict, detectEncodingFromByteOrderMarks: false);
    }

    private static T Guard<T>(Stream stream, string name, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (DecoderFallbackException e)
        {
            throw Invalid(stream, name, e);
        }
    }

    /// <summary>The decoder knows a place within its own buffer only, so the file is walked again up to the fault.</summary>
    private static FlywheelException Invalid(Stream stream, string name, DecoderFallbackException cause)
    {
        stream.Position = 0;
        byte[] bytes = new byte[Math.Clamp(stream.Length, 16, 1 << 16)]; // 16: a character cut at the end moves to the front
        char[] chars = new char[bytes.Length];
        int held = 0, line = 1;
        string before = "";
        while (true)
        {
            int got = stream.Read(bytes, held, bytes.Length - held);
            int length = held + got;
            OperationStatus status = Utf8.ToUtf16(bytes.AsSpan(0, length), chars, out int read, out int written,
                replaceInvalidSequences: false, isFinalBlock: got == 0);
            line += CountLineEnds(chars.AsSpan(0, written), before.LastOrDefault());
            before = (before + new string(chars, 0, written))[^Math.Min(Shown, before.Length + written)..];
            if (status == OperationStatus.InvalidData)
            {
                string after = before[(before.LastIndexOfAny(['\n', '\r']) + 1)..];
                if (after.Length > 0 && char.IsLowSurrogate(after[0])) after = after[1..];
                string place = after.Length > 0 ? $" after '{after}'" : "";
                return new FlywheelException(
                    $"{name}:{line}: is not UTF-8 at byte 0x{bytes[read]:X2}{place}; if it is Latin-1, {Convert("ISO-8859-1", name)}",
                    cause);
            }
            if (got == 0) return new FlywheelException($"{name}: changed while it was read", cause);
            bytes.AsSpan(read, length - read).CopyTo(bytes);
            held = length - read;
        }
    }

    /// <summary>As <see cref="TextReader.ReadLine"/> ends lines: LF, CR or both.</summary>
    private static int CountLineEnds(ReadOnlySpan<char> text, char before)
    {
        int count = 0;
        foreach (char c in text)
        {
            if (c == '\r' || (c == '\n' && before != '\r')) count++;
            before = c;
        }
        return count;
    }

    private static FlywheelException Nul(string name, int line) =>
        new($"{name}:{line}: holds a NUL byte, expected text in UTF-8; if it is UTF-16, {Convert("UTF-16LE", name)}");

    private static string Convert(string encoding, string name) => $"convert it: iconv -f {encoding} -t UTF-8 '{name}'";
}
