using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsvHelper;
using CsvHelper.Configuration;
using Flywheel.Model;

namespace Flywheel.Loop.Reviews;

/// <summary>
/// The queue as a file for people who label elsewhere, and their answers. A line has an item's id, what it is about, and three columns to
/// fill in: <c>decision</c> (approve, correct, reject), <c>corrected</c> or <c>reason</c>, <c>label</c>. Names of people are not in it.
/// </summary>
public static class ReviewFile
{
    /// <summary>As columns of CSV and as fields of JSON lines.</summary>
    public static IReadOnlyList<string> Columns { get; } =
        ["id", "app", "did", "signals", "prompt", "original", "text", "others", "decision", "corrected", "reason", "label", "reviewer"];

    internal const int MaxNamed = 20;

    private const int MaxRows = 100_000;

    private static readonly JsonSerializerOptions s_lines = new(JsonText.Compact) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string ToJsonLines(IEnumerable<ReviewItem> items)
    {
        var text = new StringBuilder();
        foreach (ReviewItem item in items)
        {
            var line = new JsonObject
            {
                ["id"] = item.Id.ToString(), ["app"] = item.App, ["did"] = NameOf(item.Did),
                ["signals"] = new JsonArray([.. item.Signals.Select(code => JsonValue.Create(code))]),
                ["prompt"] = item.Prompt?.ToJson()["messages"]?.DeepClone(), ["original"] = item.Original, ["text"] = item.Text,
                ["others"] = new JsonArray([.. item.Others.Select(other => JsonValue.Create(other.Text))]),
                ["decision"] = "", ["corrected"] = "", ["reason"] = "", ["label"] = "", ["reviewer"] = "",
            };
            text.Append(line.ToJsonString(s_lines)).Append('\n');
        }
        return text.ToString();
    }

    /// <summary>With the mark without which Excel reads another encoding.</summary>
    public static string ToCsv(IEnumerable<ReviewItem> items)
    {
        using var text = new StringWriter { NewLine = "\r\n" };
        text.Write('\uFEFF');
        using (var csv = new CsvWriter(text, new CsvConfiguration(CultureInfo.InvariantCulture) { InjectionOptions = InjectionOptions.None,
            NewLine = "\r\n" }))
        {
            foreach (string column in Columns) csv.WriteField(column);
            csv.NextRecord();
            foreach (ReviewItem item in items)
            {
                string prompt = item.Prompt is null
                    ? "" : string.Join("\n",
                        item.Prompt.Messages.Select(message => $"{message.Role.ToString().ToLowerInvariant()}: {message.Text}"));
                string[] cells = [$"{item.Id}", item.App, NameOf(item.Did), string.Join(' ', item.Signals), prompt, item.Original,
                    item.Text,
                    string.Join("\n---\n", item.Others.Select(other => other.Text)), "", "", "", "", ""];
                foreach (string cell in cells) csv.WriteField(CsvCell.Harmless(cell), shouldQuote: true);
                csv.NextRecord();
            }
        }
        return text.ToString();
    }

    /// <summary>The name of what a person did, in the API and in files.</summary>
    public static string NameOf(ReviewedAct did) => JsonNamingPolicy.SnakeCaseLower.ConvertName(did.ToString());

    /// <summary>Reads answers; a line without a decision and without a label is one that was not answered.</summary>
    /// <param name="text">JSON lines, or CSV with a line of column names.</param>
    /// <param name="name">Of the file, for errors.</param>
    /// <param name="reviewer">Whose answers they are, where a line does not say.</param>
    /// <param name="onlyTheirs">Nobody decides for others: a line that names somebody else is wrong.</param>
    /// <exception cref="FlywheelException">Rows are wrong: each is named by its line and field, and none is taken.</exception>
    public static IReadOnlyList<ReviewInput> Read(string text, string name, string reviewer, bool onlyTheirs = false)
    {
        List<string> faults = [];
        List<ReviewInput> inputs = [];
        bool json = text.TrimStart('\uFEFF', ' ', '\t', '\r', '\n').StartsWith('{');
        int rows = 0;
        foreach ((int line, Func<string, string> field) in json ? JsonRows(text, faults) : CsvRows(text, name))
        {
            if (++rows > MaxRows) throw new FlywheelException($"{name}: more than {MaxRows} rows, expected at most that many");
            try
            {
                inputs.AddRange(Inputs(field, reviewer, onlyTheirs));
            }
            catch (FlywheelException e)
            {
                faults.Add($"line {line}: {e.Message}");
            }
        }
        if (faults.Count > 0)
            throw new FlywheelException(
                $"{name}: {faults.Count} of its rows cannot be read, and none was taken:\n  {string.Join("\n  ", faults.Take(MaxNamed))}"
                + (faults.Count > MaxNamed ? $"\n  and {faults.Count - MaxNamed} more" : ""));
        return inputs;
    }

    private static IEnumerable<ReviewInput> Inputs(Func<string, string> field, string reviewer, bool onlyTheirs)
    {
        string decision = field("decision").Trim(), label = field("label").Trim(), corrected = field("corrected"),
            reason = field("reason").Trim();
        if (decision.Length == 0 && label.Length == 0)
        {
            if (corrected.Trim().Length > 0)
                throw new FlywheelException("field 'decision' is empty beside a corrected text, expected correct");
            yield break;
        }
        if (!Guid.TryParse(field("id"), out Guid id))
            throw new FlywheelException($"field 'id' is '{field("id")}', expected the id of an item (a UUID)");
        string who = field("reviewer").Trim() is { Length: > 0 } named ? named : reviewer;
        if (who.Length == 0)
            throw new FlywheelException("field 'reviewer' is empty, expected who answered (or --reviewer NAME for the whole file)");
        if (onlyTheirs && who != reviewer)
            throw new FlywheelException(
                $"field 'reviewer' is '{who}', expected nothing or '{reviewer}', who brings these answers: nobody decides for others here");
        if (decision.Length > 0)
        {
            ReviewAct act = ReviewInput.ActOf(decision);
            if (act is not (ReviewAct.Approve or ReviewAct.Correct or ReviewAct.Reject))
                throw new FlywheelException($"field 'decision' is '{decision}', expected approve, correct or reject");
            if (act == ReviewAct.Correct && corrected.Trim().Length == 0)
                throw new FlywheelException("field 'corrected' is empty, expected the text for the decision correct");
            yield return new ReviewInput { Item = id, Act = act, Reviewer = who, Text = act == ReviewAct.Correct ? corrected : null,
                Reason = act == ReviewAct.Reject ? reason : null }.Checked();
        }
        if (label.Length > 0) yield return new ReviewInput { Item = id, Act = ReviewAct.Label, Reviewer = who, Label = label }.Checked();
    }

    private static IEnumerable<(int Line, Func<string, string> Field)> JsonRows(string text, List<string> faults)
    {
        int number = 0;
        foreach (string line in text.TrimStart('\uFEFF').Split('\n'))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            JsonObject? row = null;
            try
            {
                row = JsonNode.Parse(line) as JsonObject;
                if (row is null) faults.Add($"line {number}: {Shown(line)} is no JSON object");
                else _ = row.Count; // a field that stands twice is found when the fields are first looked at
            }
            catch (Exception e) when (e is JsonException or ArgumentException)
            {
                (row, _) = (null, 0);
                faults.Add($"line {number}: no valid JSON ({e.Message.Split('\n')[0]})");
            }
            if (row is { } read)
                yield return (number, field => read[field] switch
                {
                    null => "",
                    JsonValue value when value.TryGetValue(out string? words) => words,
                    var other =>
                        throw new FlywheelException($"field '{field}' is {Shown(other.ToJsonString(JsonText.Compact))}, expected a text"),
                });
        }
    }

    private static IEnumerable<(int Line, Func<string, string> Field)> CsvRows(string text, string name)
    {
        text = text.TrimStart('\uFEFF');
        string first = text.Split('\n', 2)[0];
        using var csv = new CsvReader(new StringReader(text), new CsvConfiguration(CultureInfo.InvariantCulture)
        {
            Delimiter = first.Contains('\t', StringComparison.Ordinal) ? "\t" : first.Contains(',', StringComparison.Ordinal) ? "," : ";",
            PrepareHeaderForMatch = header => header.Header.Trim().ToLowerInvariant(), MissingFieldFound = null, BadDataFound = null,
        });
        if (!csv.Read() || !csv.ReadHeader())
            throw new FlywheelException($"{name}: is empty, expected a line with the columns {string.Join(", ", Columns)}");
        string[] header = [.. csv.HeaderRecord!.Select(column => column.Trim().ToLowerInvariant())];
        if (!header.Contains("id") || !(header.Contains("decision") || header.Contains("label")))
            throw new FlywheelException(
                $"{name}: line 1 is {Shown(first)}, expected the columns id and decision (or label); the others are {string.Join(", ", Columns)}");
        while (true)
        {
            int line = csv.Parser.RawRow + 1;
            try
            {
                if (!csv.Read()) yield break;
            }
            catch (CsvHelperException e)
            {
                throw new FlywheelException($"{name}: line {csv.Parser.RawRow}: {e.Message.Split('\n')[0].Trim()}", e);
            }
            yield return (line, field => header.Contains(field) ? CsvCell.Unquoted(csv.GetField(field) ?? "") : "");
        }
    }

    private static string Shown(string text) => $"'{(text.Length <= 80 ? text.Trim() : text[..77] + "...")}'";
}
