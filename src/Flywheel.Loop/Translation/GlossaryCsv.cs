using System.Globalization;
using System.Text;
using CsvHelper;
using CsvHelper.Configuration;
using Flywheel.Model;

namespace Flywheel.Loop.Translation;

/// <summary>A glossary as CSV: columns <c>source</c>, <c>target</c>, <c>forbidden</c>, <c>note</c>, the first two needed, in any
/// order.</summary>
public static class GlossaryCsv
{
    private static readonly string[] s_columns = ["source", "target", "forbidden", "note"];

    private static readonly CsvConfiguration s_writing = new(CultureInfo.InvariantCulture) { InjectionOptions = InjectionOptions.None,
        NewLine = "\r\n" };

    /// <exception cref="FlywheelException">A column is missing or a row is wrong; the message names the line.</exception>
    public static IReadOnlyList<TermInput> Read(string text)
    {
        text = text.TrimStart('\uFEFF');
        string first = text.Split('\n', 2)[0];
        var reading = new CsvConfiguration(CultureInfo.InvariantCulture)
        {
            Delimiter = first.Contains('\t', StringComparison.Ordinal) ? "\t" : first.Contains(',', StringComparison.Ordinal) ? "," : ";",
            PrepareHeaderForMatch = header => header.Header.Trim().ToLowerInvariant(), MissingFieldFound = null, BadDataFound = null,
        };
        using var csv = new CsvReader(new StringReader(text), reading);
        List<TermInput> terms = [];
        try
        {
            if (!csv.Read() || !csv.ReadHeader())
                throw new FlywheelException("the CSV file is empty, expected a line with the columns source, target, forbidden, note");
            string[] header = [.. csv.HeaderRecord!.Select(name => name.Trim().ToLowerInvariant())];
            if (!header.Contains("source") || !header.Contains("target"))
                throw new FlywheelException(
                    $"the CSV file's first line is '{Shown(first)}', expected the columns {string.Join(", ", s_columns)}");
            while (csv.Read())
            {
                string Field(string name) => header.Contains(name) ? CsvCell.Unquoted(csv.GetField(name) ?? "") : "";
                var term = new TermInput(Field("source"), Field("target"), Field("forbidden"), Field("note"));
                if (term is { Source: "", Target: "", Forbidden: "" }) continue;
                try
                {
                    terms.Add(term.Checked());
                }
                catch (FlywheelException e)
                {
                    throw new FlywheelException($"the CSV file, line {csv.Parser.RawRow}: {e.Message}", e);
                }
                if (terms.Count > Glossary.MaxTerms)
                    throw new FlywheelException($"the CSV file has more than {Glossary.MaxTerms} terms, expected at most that many");
            }
        }
        catch (CsvHelperException e)
        {
            throw new FlywheelException($"the CSV file, line {csv.Parser.RawRow}: {e.Message.Split('\n')[0].Trim()}", e);
        }
        return terms;
    }

    /// <summary>With the mark without which Excel reads another encoding.</summary>
    public static byte[] Write(IEnumerable<TermRow> terms)
    {
        using var stream = new MemoryStream();
        using (var csv = new CsvWriter(new StreamWriter(stream, new UTF8Encoding(true), leaveOpen: true), s_writing))
        {
            foreach (string column in s_columns) csv.WriteField(column);
            csv.NextRecord();
            foreach (TermRow term in terms)
            {
                foreach (string field in new[] { term.Source, term.Target, term.Forbidden, term.Note })
                    csv.WriteField(CsvCell.Harmless(field), shouldQuote: true);
                csv.NextRecord();
            }
        }
        return stream.ToArray();
    }

    private static string Shown(string line) => line.Length <= 80 ? line.Trim() : line[..77] + "...";
}
