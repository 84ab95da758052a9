using System.Text.Json;

namespace Flywheel.Studio.Apps.Write.Bulk;

/// <summary>What the document of a table of briefs says: how its columns are read, and the job that writes.</summary>
internal sealed record BulkBody
{
    public const int MaxDrafts = 5;

    /// <summary>Document that holds the table.</summary>
    public required Guid Table { get; init; }

    public required int NumRows { get; init; }

    /// <summary>The field of a brief that each column is; empty: not used.</summary>
    public required List<string> Fields { get; init; }

    /// <summary>Of rows that do not say their own.</summary>
    public required string Kind { get; init; }

    public string Tone { get; init; } = "";

    public string Length { get; init; } = "";

    /// <summary>A row.</summary>
    public int NumDrafts { get; init; } = DraftWriter.NumDrafts;

    /// <summary>Null until it was begun; from then on nothing above changes.</summary>
    public Guid? Job { get; init; }

    /// <summary>Rows that are written, of <see cref="NumRows"/>; known once it was begun.</summary>
    public int NumGood { get; init; }

    public static BulkBody Parse(string json) => JsonSerializer.Deserialize<BulkBody>(json, CopyJson.Options)!;

    public string ToJson() => JsonSerializer.Serialize(this, CopyJson.Options);

    /// <summary>A column is a field from now on; the one that was it before is not used any more, unless both are facts.</summary>
    public BulkBody With(int column, string field) =>
        this with {
            Fields = [.. Fields.Select((known, i) => i == column ? field : known == field && field != BulkColumns.Facts ? "" : known)] };

    /// <summary>The brief that a row states.</summary>
    public BriefFields Read(BulkRow row)
    {
        var fields = new BriefFields { Kind = Kind, Tone = Tone, Length = Length };
        foreach ((int i, string field) in Fields.Index())
        {
            if (field.Length == 0 || i >= row.Cells.Count || row.Cells[i].Trim() is not { Length: > 0 } cell) continue;
            if (field == BulkColumns.Facts)
                fields = fields
                    with { Facts = string.Join('\n', new[] { fields.Facts }.Concat(FactsOf(cell)).Where(fact => fact.Length > 0)) };
            else fields =
                fields.With(field,
                    BulkColumns.Value(field, string.Join(' ', cell.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))));
        }
        return fields;
    }

    /// <summary>Why a row cannot be written, as the key of what to say and what is filled in; null when it can.</summary>
    /// <param name="row">The row.</param>
    /// <param name="columns">Columns of the table.</param>
    /// <param name="kinds">What the model can write.</param>
    public (string Message, object?[] About)? Problem(BulkRow row, int columns, IReadOnlyList<string> kinds)
    {
        if (row.Cells.Count > columns) return ("bulk.more-cells", [row.Cells.Count, columns]);
        BriefFields fields = Read(row);
        if (!kinds.Contains(fields.Kind)) return ("bulk.no-such-kind", [fields.Kind]);
        return fields.Problem() is { } problem ? (problem.Message, [problem.About]) : null;
    }

    // One a line; where there is only one line, it may list them.
    private static string[] FactsOf(string cell) =>
        cell.Split(cell.Contains('\n', StringComparison.Ordinal) ? ['\n'] : [';', '；', '|', '•'],
            StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>A row that is left out, and why.</summary>
/// <param name="Index">Among the table's rows, from 0.</param>
internal sealed record BulkProblem(int Index, int Line, string Message, object?[] About);
