using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Flywheel.Loop;

/// <summary>
/// Texts as PostgreSQL can hold them. It takes no U+0000: that is kept as U+0001 and '0', and U+0001 itself as U+0001 and '1', so that
/// texts sort as they did. Half a surrogate pair is no character and becomes U+FFFD, as in SQLite.
/// </summary>
internal sealed class PostgresText() : ValueConverter<string, string>(text => Write(text), text => Read(text))
{
    private const char Mark = '\u0001';

    public static string Write(string text)
    {
        if (text.AsSpan().ContainsAnyInRange('\ud800', '\udfff')) text = Whole(text);
        return !text.AsSpan().ContainsAny('\0', Mark) ? text
            : text.Replace("\u0001", "\u00011", StringComparison.Ordinal).Replace("\0", "\u00010", StringComparison.Ordinal);
    }

    public static string Read(string text) => !text.Contains(Mark) ? text
        : text.Replace("\u00010", "\0", StringComparison.Ordinal).Replace("\u00011", "\u0001", StringComparison.Ordinal);

    private static string Whole(string text)
    {
        char[]? mended = null;
        for (int i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i])) continue;
            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1])) i++;
            else (mended ??= text.ToCharArray())[i] = '\ufffd';
        }
        return mended is null ? text : new string(mended);
    }
}
