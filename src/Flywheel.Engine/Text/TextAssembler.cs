using System.Text;

namespace Flywheel.Engine.Text;

/// <summary>
/// Turns the bytes of sampled tokens into text that may be shown: bytes of an unfinished character and text that may
/// become a stop text are held back.
/// </summary>
internal sealed class TextAssembler
{
    private readonly byte[][] _stops;
    private byte[] _pending = new byte[64];
    private int _length;

    public TextAssembler(IReadOnlyList<string> stops) => _stops = [.. stops.Select(Encoding.UTF8.GetBytes)];

    /// <summary>A stop text was reached; nothing more is shown.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Adds a token's bytes; returns what may be shown now. After a stop text, what came before it.</summary>
    public string Append(ReadOnlySpan<byte> bytes)
    {
        if (_length + bytes.Length > _pending.Length) Array.Resize(ref _pending, Math.Max(2 * _pending.Length, _length + bytes.Length));
        bytes.CopyTo(_pending.AsSpan(_length));
        _length += bytes.Length;
        ReadOnlySpan<byte> pending = _pending.AsSpan(0, _length);
        int stop = FirstStop(pending);
        if (stop >= 0)
        {
            Stopped = true;
            _length = stop;
            return Flush();
        }
        return Take(WholeCharacters(pending[..(_length - HeldForStop(pending))]));
    }

    /// <summary>What was held back, at the end; bytes that are not UTF-8 become U+FFFD.</summary>
    public string Flush() => Take(_length);

    private string Take(int count)
    {
        if (count == 0) return "";
        string text = Encoding.UTF8.GetString(_pending, 0, count);
        _pending.AsSpan(count, _length - count).CopyTo(_pending);
        _length -= count;
        return text;
    }

    /// <summary>Where the earliest stop text begins, or -1.</summary>
    private int FirstStop(ReadOnlySpan<byte> pending)
    {
        int first = -1;
        foreach (byte[] stop in _stops)
        {
            int at = pending.IndexOf(stop);
            if (at >= 0 && (first < 0 || at < first)) first = at;
        }
        return first;
    }

    /// <summary>Length of the longest end of the bytes that begins a stop text.</summary>
    private int HeldForStop(ReadOnlySpan<byte> pending)
    {
        int held = 0;
        foreach (byte[] stop in _stops)
            for (int length = Math.Min(stop.Length - 1, pending.Length); length > held; length--)
                if (pending.EndsWith(stop.AsSpan(0, length))) held = length;
        return held;
    }

    /// <summary>Bytes up to the start of a character whose end has not come yet.</summary>
    private static int WholeCharacters(ReadOnlySpan<byte> bytes)
    {
        for (int back = 1; back <= Math.Min(3, bytes.Length); back++)
        {
            byte b = bytes[^back];
            if ((b & 0xC0) == 0x80) continue; // a continuation
            int needed = b switch { >= 0xF0 and < 0xF8 => 4, >= 0xE0 and < 0xF0 => 3, >= 0xC0 and < 0xE0 => 2, _ => 1 };
            return needed > back ? bytes.Length - back : bytes.Length;
        }
        return bytes.Length;
    }
}
