using System.Globalization;
using System.Text;
using System.Text.Unicode;
using CsvHelper;
using CsvHelper.Configuration;
using Flywheel.Model;
using Flywheel.Studio.Shell;

namespace Flywheel.Studio.Apps.Write.Bulk;

/// <summary>Why a table cannot be used, in words that the page has in each language.</summary>
/// <param name="key">Of the words.</param>
/// <param name="about">What is filled into them.</param>
internal sealed class BulkException(string key, params object?[] about) : FlywheelException(Strings.Of("en").Format(key, about))
{
    public string In(Strings words) => words.Format(key, about);
}

/// <summary>A file of briefs as it came: the first row names the columns, each other one is a brief.</summary>
/// <param name="Delimiter">Between cells; a table that leaves has the same.</param>
/// <param name="Columns">Names of the columns.</param>
/// <param name="Rows">In the order of the file; rows without a letter are left out.</param>
internal sealed record BulkTable(string Delimiter, IReadOnlyList<string> Columns, IReadOnlyList<BulkRow> Rows)
{
    public const int MaxBytes = 4 << 20, MaxRows = 5000, MaxColumns = 50;

    private static readonly string[] Delimiters = [",", ";", "\t", "|"];

    /// <summary>Reads CSV (RFC 4180) or TSV; commas, semicolons, tabs or bars between the cells, UTF-8 or UTF-16.</summary>
    /// <exception cref="BulkException">It is no table of text, is empty, or has more than is taken.</exception>
    public static BulkTable Read(byte[] file)
    {
        if (file.Length > MaxBytes) throw new BulkException("bulk.too-large", MaxBytes >> 20);
        return Read(Decode(file));
    }

    /// <inheritdoc cref="Read(byte[])"/>
    public static BulkTable Read(string text)
    {
        text = text.TrimStart('\uFEFF');
        if (text.IndexOf('\0', StringComparison.Ordinal) is >= 0 and int nul) throw new BulkException("bulk.not-text", LineOf(text, nul));
        // Excel writes and reads a first line that names the delimiter.
        int before = 0;
        string? named = null;
        if (text.StartsWith("sep=", StringComparison.OrdinalIgnoreCase) && text.Length > 4)
        {
            (named, before) = (text[4].ToString(), 1);
            text = text.IndexOf('\n', StringComparison.Ordinal) is >= 0 and int end ? text[(end + 1)..] : "";
        }
        string delimiter = named ?? Guess(text);
        var reading = new CsvConfiguration(CultureInfo.InvariantCulture) { Delimiter = delimiter, BadDataFound = null,
            IgnoreBlankLines = true };
        using var csv = new CsvParser(new StringReader(text), reading);
        string[]? columns = null;
        List<BulkRow> rows = [];
        (int Line, string Raw) last = (1, "");
        int count = 0;
        try
        {
            while (csv.Read())
            {
                string[] cells = csv.Record!;
                int line = before + csv.RawRow - csv.RawRecord.AsSpan().TrimEnd("\r\n").Count('\n');
                last = (before + csv.RawRow - csv.RawRecord.Count(c => c == '\n'), csv.RawRecord);
                if (cells.All(string.IsNullOrWhiteSpace)) continue;
                if (columns is null) columns = Header(cells, line);
                else if (++count <= MaxRows) rows.Add(new(line, cells));
            }
        }
        catch (CsvHelperException e)
        {
            throw new BulkException("bulk.unreadable", before + csv.RawRow, e.Message.Split('\n')[0].Trim());
        }
        if (EndsQuoted(last.Raw, delimiter[0])) throw new BulkException("bulk.open-quote", last.Line);
        if (columns is null) throw new BulkException("bulk.empty");
        if (count > MaxRows) throw new BulkException("bulk.too-many", count, MaxRows);
        return rows.Count == 0 ? throw new BulkException("bulk.only-header") : new(delimiter, columns, rows);
    }

    /// <summary>A quote that was opened swallowed the rest of the file.</summary>
    private static bool EndsQuoted(string record, char delimiter)
    {
        bool quoted = false, begins = true;
        foreach (char c in record)
        {
            if (c == '"' && (quoted || begins)) quoted = !quoted; // a doubled one closes and opens again
            begins = !quoted && (c == delimiter || c is '\n' or '"' || (begins && c is ' ' or '\r'));
        }
        return quoted;
    }

    private static string[] Header(string[] cells, int line)
    {
        if (cells.Length > MaxColumns) throw new BulkException("bulk.many-columns", cells.Length, MaxColumns);
        if (cells.FirstOrDefault(cell => cell.Length > BriefFields.MaxLine) is { } longest)
            throw new BulkException("bulk.no-header", line, longest[..40]);
        return [.. cells.Select((cell, i) => cell.Trim() is { Length: > 0 } name ? name : $"{i + 1}")];
    }

    /// <summary>What stands most often in the first line outside of quotes.</summary>
    private static string Guess(string text)
    {
        var outside = new StringBuilder();
        bool quoted = false;
        foreach (char c in text.TrimStart())
        {
            if (c == '"') quoted = !quoted;
            else if (c == '\n' && !quoted) break;
            else if (!quoted) outside.Append(c);
        }
        string line = outside.ToString();
        return Delimiters.MaxBy(delimiter => line.Count(c => c == delimiter[0]))!; // of equals the first: a comma
    }

    private static string Decode(byte[] file)
    {
        if (file is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..] || LooksWide(file))
        {
            bool big = file is [0xFE, 0xFF, ..] || (file is not [0xFF, 0xFE, ..] && file[0] == 0);
            try
            {
                return new UnicodeEncoding(big, byteOrderMark: false, throwOnInvalidBytes: true).GetString(file);
            }
            catch (ArgumentException)
            {
                throw new BulkException("bulk.not-utf16");
            }
        }
        if (Utf8.IsValid(file)) return Encoding.UTF8.GetString(file);
        // The line, because an editor shows lines.
        ReadOnlySpan<byte> rest = file;
        for (int line = 1; ; line++)
        {
            int end = rest.IndexOf((byte)'\n');
            if (end < 0 || !Utf8.IsValid(rest[..end])) throw new BulkException("bulk.not-utf8", line);
            rest = rest[(end + 1)..];
        }
    }

    /// <summary>UTF-16 that does not say so: every other byte of its first letters is zero.</summary>
    private static bool LooksWide(byte[] file) =>
        file.Length >= 8 && (Zeros(file, 0), Zeros(file, 1)) is (4, 0) or (0, 4);

    private static int Zeros(byte[] file, int from) => Enumerable.Range(0, 4).Count(i => file[2 * i + from] == 0);

    private static int LineOf(string text, int index) => 1 + text.AsSpan(0, index).Count('\n');
}

/// <param name="Line">Where it begins in the file, from 1.</param>
/// <param name="Cells">As many as the row has.</param>
internal sealed record BulkRow(int Line, IReadOnlyList<string> Cells);
