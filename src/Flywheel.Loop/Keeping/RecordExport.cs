using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;
using Parquet;
using Parquet.Schema;

namespace Flywheel.Loop.Keeping;

/// <summary>Which answers are exported; what is null is not asked for.</summary>
public sealed record ExportFilter
{
    public string? App { get; init; }

    /// <summary>As requests name them, or as the user of a key.</summary>
    public string? Person { get; init; }

    public DateTimeOffset? Since { get; init; }

    /// <summary>Before this moment.</summary>
    public DateTimeOffset? Until { get; init; }
}

/// <summary>
/// The record as a file: one row for each answer, oldest first, with what was said about it. Read and written piece by piece, so that a
/// large record takes no more memory than a small one.
/// </summary>
public static class RecordExport
{
    public const string JsonLines = "jsonl", Parquet = "parquet";

    private const int Batch = 500;

    /// <summary>A row group of Parquet ends at so many rows, or characters of text.</summary>
    private const int GroupRows = 2000, GroupCharacters = 4 << 20;

    private static readonly JsonSerializerOptions s_text = new(JsonText.Compact) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>A column: its field of Parquet, its value in a row, and how many such values are written.</summary>
    private sealed record Column(DataField Field, Func<Generation, IReadOnlyList<Feedback>, object?> Value,
        Func<ParquetRowGroupWriter, DataField, IEnumerable<object?>, Task> WriteAsync);

    private static readonly Column[] s_columns =
    [
        Text("id", row => row.Id.ToString()), Text("request", row => row.Group.ToString()), Number<int>("choice", row => row.Choice),
        new(new DateTimeDataField("time", DateTimeFormat.Timestamp, isAdjustedToUTC: true, DateTimeTimeUnit.Millis, isNullable: false),
            (row, _) => row.Time.UtcDateTime, NumbersAsync<DateTime>),
        Text("app", row => row.App), Text("user", row => row.User), Text("owner", row => row.Owner),
        Text("workspace", row => row.Workspace),
        Text("consent", row => Name(row.Consent)), Text("store", row => Name(row.Store)), Text("model", row => row.ModelHash),
        Perhaps("adapter", row => row.AdapterHash), Perhaps("upstream", row => row.Upstream), Perhaps("origin", row => row.Origin),
        Perhaps("variant", row => row.Variant),
        Text("finish_reason", row => Name(row.FinishReason)), Number<int>("prompt_tokens", row => row.NumPromptTokens),
        Number<int>("completion_tokens", row => row.NumTokens),
        Number<double>("first_token_ms", row => row.FirstTokenMs), Number<double>("latency_ms", row => row.LatencyMs),
        new(new DataField("cost", typeof(double), isNullable: true), (row, _) => row.Cost,
            async (group, field, values) => await group.WriteAsync<double>(field, values.Select(value => (double?)value).ToArray())),
        Perhaps("conversation", row => row.Payload?.Conversation?.ToJson().ToJsonString(s_text)), Perhaps("text", row => row.Payload?.Text),
        new(new DataField("feedback", typeof(string), isNullable: false), (_, said) => FeedbackJson(said).ToJsonString(s_text), TextsAsync),
    ];

    /// <summary>Columns of Parquet, and fields of JSON lines, in their order.</summary>
    public static IReadOnlyList<string> Columns => [.. s_columns.Select(column => column.Field.Name)];

    /// <summary>The columns that hold JSON: in Parquet as text, in JSON lines as it is.</summary>
    public static IReadOnlyList<string> JsonColumns { get; } = ["conversation", "feedback"];

    /// <exception cref="FlywheelException">There is no such format.</exception>
    public static string FormatOf(string name, string field) => name is JsonLines or Parquet ? name
        : throw new FlywheelException($"{field} is '{name}', expected {JsonLines} or {Parquet}");

    /// <summary>A date (its first moment) or a time, in UTC where it does not say; null when it is neither.</summary>
    public static DateTimeOffset? TimeOf(string text) =>
        DateTimeOffset.TryParseExact(text, ["yyyy-MM-dd", "yyyy-MM-ddTHH:mm:ssK", "yyyy-MM-ddTHH:mm:ss.fffK"],
        System.Globalization.CultureInfo.InvariantCulture, System.Globalization.DateTimeStyles.AssumeUniversal, out DateTimeOffset time)
        ? time : null;

    /// <returns>How many answers were written.</returns>
    public static Task<long> WriteAsync(FlywheelStore store, ExportFilter filter, string format, Stream stream,
        CancellationToken cancellation = default) =>
        format == Parquet ? WriteParquetAsync(store, filter, stream, cancellation) : WriteLinesAsync(store, filter, stream, cancellation);

    /// <summary>The same to a file, which appears whole or not at all.</summary>
    public static long WriteFile(FlywheelStore store, ExportFilter filter, string format, string path,
        CancellationToken cancellation = default)
    {
        long count = 0;
        // Its own thread waits for the database; nothing else hangs on this one.
        AtomicFile.Write(path, stream => count = WriteAsync(store, filter, format, stream, cancellation).GetAwaiter().GetResult());
        return count;
    }

    private static async Task<long> WriteLinesAsync(FlywheelStore store, ExportFilter filter, Stream stream, CancellationToken cancellation)
    {
        long count = 0;
        await using var writer = new StreamWriter(stream, bufferSize: 1 << 16, leaveOpen: true) { NewLine = "\n" };
        await foreach ((Generation row, IReadOnlyList<Feedback> said) in RowsAsync(store, filter, cancellation))
        {
            var line = new JsonObject();
            foreach (Column column in s_columns) line[column.Field.Name] = Node(column, row, said);
            await writer.WriteLineAsync(line.ToJsonString(s_text).AsMemory(), cancellation);
            count++;
        }
        return count;
    }

    private static JsonNode? Node(Column column, Generation row, IReadOnlyList<Feedback> said) => column.Field.Name switch
    {
        "conversation" => row.Payload?.Conversation?.ToJson(),
        "feedback" => FeedbackJson(said),
        _ => column.Value(row, said) switch
        {
            null => null,
            string text => JsonValue.Create(text),
            int number => JsonValue.Create(number),
            double number => JsonValue.Create(number),
            DateTime => JsonValue.Create(Time(row.Time)),
            var other => throw new InvalidOperationException($"column {column.Field.Name} has a {other.GetType()}"),
        },
    };

    private static async Task<long> WriteParquetAsync(FlywheelStore store, ExportFilter filter, Stream stream,
        CancellationToken cancellation)
    {
        long count = 0, characters = 0;
        List<object?[]> rows = [];
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(new ParquetSchema(s_columns.Select(column => column.Field)),
            stream,
            // On texts, the slower levels take fifteen times as long for nothing.
            new ParquetOptions { CompressionMethod = CompressionMethod.Zstd, CompressionLevel = CompressionLevel.Fastest },
            cancellationToken: cancellation);
        await foreach ((Generation row, IReadOnlyList<Feedback> said) in RowsAsync(store, filter, cancellation))
        {
            object?[] values = [.. s_columns.Select(column => column.Value(row, said))];
            rows.Add(values);
            count++;
            characters += values.Sum(value => value is string text ? text.Length : 8);
            if (rows.Count >= GroupRows || characters >= GroupCharacters) await FlushAsync();
        }
        // A file without a row group is read by few; an empty one is read by all.
        if (rows.Count > 0 || count == 0) await FlushAsync();
        return count;

        async Task FlushAsync()
        {
            using ParquetRowGroupWriter group = writer.CreateRowGroup();
            foreach ((int i, Column column) in s_columns.Index()) await column.WriteAsync(group, column.Field, rows.Select(row => row[i]));
            group.CompleteValidate();
            rows.Clear();
            characters = 0;
        }
    }

    /// <summary>Answers, oldest first, each with its feedback.</summary>
    private static async IAsyncEnumerable<(Generation Row, IReadOnlyList<Feedback> Said)> RowsAsync(FlywheelStore store,
        ExportFilter filter,
        [EnumeratorCancellation] CancellationToken cancellation)
    {
        await using FlywheelDb db = store.Tables(), beside = store.Tables();
        IQueryable<Generation> wanted = db.Generations.AsNoTracking().Include(row => row.Payload);
        if (filter.App is { } app) wanted = wanted.Where(row => row.App == app);
        if (filter.Person is { } person) wanted = wanted.Where(row => row.User == person || row.Owner == person);
        if (filter.Since is { } since) wanted = wanted.Where(row => row.Time >= since);
        if (filter.Until is { } until) wanted = wanted.Where(row => row.Time < until);
        List<Generation> batch = [];
        await foreach (Generation row in wanted.OrderBy(row => row.Time).ThenBy(row => row.Id).AsAsyncEnumerable()
            .WithCancellation(cancellation))
        {
            batch.Add(row);
            if (batch.Count < Batch) continue;
            foreach (var pair in await WithFeedbackAsync()) yield return pair;
            batch.Clear();
        }
        foreach (var pair in await WithFeedbackAsync()) yield return pair;

        async Task<IEnumerable<(Generation, IReadOnlyList<Feedback>)>> WithFeedbackAsync()
        {
            Guid[] ids = [.. batch.Select(row => row.Id)];
            ILookup<Guid, Feedback> said =
                (await beside.Feedback.AsNoTracking().Where(row => ids.Contains(row.GenerationId)).OrderBy(row => row.Sequence)
                    .ToListAsync(cancellation))
                .ToLookup(row => row.GenerationId);
            return [.. batch.Select(row => (row, (IReadOnlyList<Feedback>)[.. said[row.Id]]))];
        }
    }

    private static JsonArray FeedbackJson(IReadOnlyList<Feedback> said) => new([.. said.Select(row => new JsonObject
    {
        ["id"] = row.Id.ToString(), ["time"] = Time(row.Time), ["metric"] = row.Metric, ["value"] = JsonNode.Parse(row.Value),
        ["user"] = row.User, ["owner"] = row.Owner,
        ["source"] = Name(row.Source), ["tags"] = JsonNode.Parse(row.Tags),
    })]);

    private static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", System.Globalization.CultureInfo.InvariantCulture);

    private static string Name(Enum value) => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());

    private static Column Text(string name, Func<Generation, string> value) =>
        new(new DataField(name, typeof(string), isNullable: false), (row, _) => value(row), TextsAsync);

    private static Column Perhaps(string name, Func<Generation, string?> value) =>
        new(new DataField(name, typeof(string), isNullable: true), (row, _) => value(row), TextsAsync);

    private static Column Number<T>(string name, Func<Generation, T> value) where T : struct =>
        new(new DataField(name, typeof(T), isNullable: false), (row, _) => value(row), NumbersAsync<T>);

    private static async Task TextsAsync(ParquetRowGroupWriter group, DataField field, IEnumerable<object?> values) =>
        await group.WriteAsync(field, values.Select(value => (string?)value).ToArray()!);

    private static async Task NumbersAsync<T>(ParquetRowGroupWriter group, DataField field, IEnumerable<object?> values) where T : struct =>
        await group.WriteAsync<T>(field, values.Select(value => (T)value!).ToArray());
}
