using System.Globalization;
using System.Text;

namespace Flywheel.Jinja;

/// <summary>How Python writes and trims.</summary>
internal static class PythonText
{
    /// <summary>Python's isspace(): also the four separators of ASCII.</summary>
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\u001C' and <= '\u001F';

    public static string StripLeft(string text)
    {
        int start = 0;
        while (start < text.Length && IsSpace(text[start])) start++;
        return text[start..];
    }

    public static string StripRight(string text)
    {
        int end = text.Length;
        while (end > 0 && IsSpace(text[end - 1])) end--;
        return text[..end];
    }

    /// <summary>Python's repr() of a float.</summary>
    public static string Float(double number)
    {
        if (double.IsNaN(number)) return "nan";
        if (double.IsInfinity(number)) return number > 0 ? "inf" : "-inf";
        string[] parts = number.ToString("E16", CultureInfo.InvariantCulture).Split('E');
        int exponent = number == 0 ? 0 : int.Parse(parts[1], CultureInfo.InvariantCulture);
        string shortest = number.ToString("R", CultureInfo.InvariantCulture);
        string digits = new([.. shortest.TakeWhile(c => c != 'E').Where(char.IsAsciiDigit).SkipWhile(c => c == '0')]);
        digits = digits.TrimEnd('0') is { Length: > 0 } trimmed ? trimmed : "0";
        string sign = number < 0 || (number == 0 && double.IsNegative(number)) ? "-" : "";
        // The decimal exponent of the shortest digits, which rounding may have moved.
        exponent = ExponentOf(shortest, exponent);
        if (exponent is < -4 or >= 16)
            return $"{sign}{digits[0]}{(digits.Length > 1 ? "." + digits[1..] : "")}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        if (exponent < 0) return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        string whole = digits.Length <= exponent + 1 ? digits.PadRight(exponent + 1, '0') : digits[..(exponent + 1)];
        return $"{sign}{whole}.{(digits.Length > exponent + 1 ? digits[(exponent + 1)..] : "0")}";
    }

    private static int ExponentOf(string shortest, int fallback)
    {
        int e = shortest.IndexOf('E');
        if (e >= 0) return int.Parse(shortest[(e + 1)..], CultureInfo.InvariantCulture);
        string digits = shortest.TrimStart('-');
        int point = digits.IndexOf('.') is var at and >= 0 ? at : digits.Length;
        int first = digits.AsSpan().IndexOfAnyInRange('1', '9');
        return first < 0 ? fallback : first < point ? point - first - 1 : point - first;
    }

    /// <summary>Python's repr() of a text.</summary>
    public static string Quote(string text)
    {
        char quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        var result = new StringBuilder().Append(quote);
        foreach (Rune c in text.EnumerateRunes())
            result.Append(c.Value switch
            {
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\\' => "\\\\",
                _ when c.Value == quote => $"\\{quote}",
                _ when c.Value < 32 || c.Value is >= 0x7F and < 0xA0 or 0xAD => $"\\x{c.Value:x2}",
                _ when Rune.GetUnicodeCategory(c) is >= UnicodeCategory.SpaceSeparator and <= UnicodeCategory.PrivateUse
                    or UnicodeCategory.OtherNotAssigned && c.Value != ' ' => c.Value < 0x10000 ? $"\\u{c.Value:x4}" : $"\\U{c.Value:x8}",
                _ => c.ToString(),
            });
        return result.Append(quote).ToString();
    }

    public static IEnumerable<string> Characters(string text)
    {
        for (int i = 0; i < text.Length; i += Width(text, i)) yield return text.Substring(i, Width(text, i));
    }

    private static int Width(string text, int at) =>
        char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]) ? 2 : 1;

    /// <summary>In characters, not in UTF-16 units.</summary>
    public static long Length(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) return text.Length;
        long count = 0;
        for (int i = 0; i < text.Length; i += Width(text, i)) count++;
        return count;
    }

    public static string Character(string text, int index) =>
        text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF') ? Characters(text).ElementAt(index) : text[index].ToString();

    /// <param name="text">What is stripped.</param>
    /// <param name="characters">Those taken away; null for white space.</param>
    /// <param name="left">At the beginning.</param>
    /// <param name="right">At the end.</param>
    public static string Strip(string text, string? characters, bool left, bool right)
    {
        if (characters is null)
        {
            if (left) text = StripLeft(text);
            return right ? StripRight(text) : text;
        }
        var set = new HashSet<Rune>(characters.EnumerateRunes());
        while (left && Rune.DecodeFromUtf16(text, out Rune first, out int width) == System.Buffers.OperationStatus.Done
            && set.Contains(first)) text = StripRun(text, set, width);
        int end = text.Length;
        while (right && Rune.DecodeLastFromUtf16(text.AsSpan(0, end), out Rune last, out int width) == System.Buffers.OperationStatus.Done
            && set.Contains(last)) end -= width;
        return text[..end];
    }

    private static string StripRun(string text, HashSet<Rune> set, int start)
    {
        while (Rune.DecodeFromUtf16(text.AsSpan(start), out Rune c, out int width) == System.Buffers.OperationStatus.Done
            && set.Contains(c)) start += width;
        return text[start..];
    }

    public static List<object?> Split(string text, string? separator, long limit)
    {
        var parts = new List<object?>();
        int start = 0;
        if (separator is not null)
        {
            while (limit < 0 || parts.Count < limit)
            {
                int at = text.IndexOf(separator, start, StringComparison.Ordinal);
                if (at < 0) break;
                parts.Add(text[start..at]);
                start = at + separator.Length;
            }
            parts.Add(text[start..]);
        }
        else
            while (true)
            {
                while (start < text.Length && IsSpace(text[start])) start++;
                if (start == text.Length) break;
                int end = start;
                while (end < text.Length && !IsSpace(text[end])) end++;
                bool last = limit >= 0 && parts.Count == limit;
                parts.Add(last ? text[start..] : text[start..end]);
                if (last) break;
                start = end;
            }
        JinjaRun.Step(parts.Count);
        JinjaRun.Make(text.Length);
        return parts;
    }

    public static List<object?> SplitFromRight(string text, string? separator, long limit)
    {
        if (limit < 0) return Split(text, separator, limit);
        var parts = new List<object?>();
        int end = text.Length;
        if (separator is not null)
        {
            while (parts.Count < limit && end >= separator.Length
                && text.LastIndexOf(separator, end - 1 < 0 ? 0 : end - 1, StringComparison.Ordinal) is var at and >= 0)
            {
                parts.Add(text[(at + separator.Length)..end]);
                end = at;
            }
            parts.Add(text[..end]);
        }
        else
            while (true)
            {
                while (end > 0 && IsSpace(text[end - 1])) end--;
                if (end == 0) break;
                int start = end;
                while (start > 0 && !IsSpace(text[start - 1])) start--;
                bool last = parts.Count == limit;
                parts.Add(last ? text[..end] : text[start..end]);
                if (last) break;
                end = start;
            }
        parts.Reverse();
        JinjaRun.Step(parts.Count);
        return parts;
    }

    public static List<object?> Lines(string text, bool keepEnds)
    {
        var lines = new List<object?>();
        int start = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] is not ('\n' or '\r' or '\v' or '\f' or (>= '\u001C' and <= '\u001E') or '\u0085' or '\u2028' or '\u2029'))
                continue;
            int next = text[i] == '\r' && i + 1 < text.Length && text[i + 1] == '\n' ? i + 2 : i + 1;
            lines.Add(text[start..(keepEnds ? next : i)]);
            start = next;
            i = next - 1;
        }
        if (start < text.Length) lines.Add(text[start..]);
        JinjaRun.Step(lines.Count);
        return lines;
    }

    public static string Replace(string text, string old, string with, long limit)
    {
        long count = old.Length == 0 ? Length(text) + 1 : text.AsSpan().Count(old);
        if (limit >= 0) count = Math.Min(count, limit);
        JinjaRun.Make(text.Length + count * with.Length);
        if (count == 0) return text;
        var result = new StringBuilder(text.Length);
        int start = 0;
        for (long i = 0; i < count; i++)
        {
            int at = old.Length == 0 ? start : text.IndexOf(old, start, StringComparison.Ordinal);
            result.Append(text, start, at - start).Append(with);
            start = at + old.Length;
            if (old.Length > 0 || start >= text.Length) continue;
            int width = Width(text, start);
            result.Append(text, start, width);
            start += width;
        }
        return result.Append(text, start, text.Length - start).ToString();
    }

    /// <summary>Pads to a width, all on one side.</summary>
    /// <param name="text">What is padded.</param>
    /// <param name="width">In characters.</param>
    /// <param name="fill">What is put beside it.</param>
    /// <param name="left">1 on the left, 0 on the right.</param>
    public static string Pad(string text, long width, char fill, int left)
    {
        long missing = width - Length(text);
        if (missing <= 0) return text;
        JinjaRun.Make(missing);
        var padding = new string(fill, (int)missing);
        return left == 1 ? padding + text : text + padding;
    }

    public static string Center(string text, long width, char fill)
    {
        long missing = width - Length(text);
        if (missing <= 0) return text;
        long left = missing / 2 + (missing & width & 1); // as CPython has it
        return Pad(Pad(text, Length(text) + left, fill, left: 1), width, fill, left: 0);
    }

    /// <summary>Also the characters whose upper case is several.</summary>
    public static string Upper(string text) =>
        string.Concat(text.Replace("ß", "SS").Replace("ŉ", "ʼN").Replace("ﬁ", "FI").Replace("ﬂ", "FL").Replace("ﬀ", "FF"))
            .ToUpperInvariant();

    public static string Lower(string text) => text.Replace("\u0130", "i\u0307").ToLowerInvariant();

    public static string Capitalize(string text) => text.Length == 0 ? text : Upper(text[..Width(text, 0)]) + Lower(text[Width(text, 0)..]);

    /// <summary>Words begin with capitals and go on without.</summary>
    public static bool IsTitle(string text)
    {
        bool inWord = false, found = false;
        foreach (Rune c in text.EnumerateRunes())
        {
            bool upper = Rune.IsUpper(c) || Rune.GetUnicodeCategory(c) == UnicodeCategory.TitlecaseLetter, lower = Rune.IsLower(c);
            if (upper && inWord || lower && !inWord) return false;
            inWord = upper || lower;
            found |= inWord;
        }
        return found;
    }

    /// <summary>Tabs become blanks up to the next column that the width divides.</summary>
    public static string ExpandTabs(string text, long width)
    {
        var result = new StringBuilder();
        long column = 0;
        foreach (string c in Characters(text))
        {
            if (c == "\t")
            {
                long blanks = width > 0 ? width - column % width : 0;
                JinjaRun.Make(blanks);
                result.Append(' ', (int)blanks);
                column += blanks;
                continue;
            }
            result.Append(c);
            column = c is "\n" or "\r" ? 0 : column + 1;
        }
        return result.ToString();
    }

    /// <summary>A capital after every character that is no letter.</summary>
    public static string Title(string text)
    {
        var result = new StringBuilder(text.Length);
        bool inWord = false;
        foreach (Rune c in text.EnumerateRunes())
        {
            result.Append(inWord ? Lower(c.ToString()) : Upper(c.ToString()));
            inWord = Rune.IsLetter(c);
        }
        return result.ToString();
    }
}
