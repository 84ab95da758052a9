using System.Text.Json.Nodes;
using Flywheel.Loop.Keeping;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;
using ParquetSharp;

namespace Flywheel.Loop.Tests;

/// <summary>How long the record keeps texts, and how it leaves as a file.</summary>
public sealed class KeepingTests
{
    private static readonly string[] Apps = ["write", "chat", "api"];

    /// <summary>Any ages, applications and rules: what stays is what the rules of the test's own say, in both databases.</summary>
    [Theory]
    [InlineData(Provider.Sqlite)]
    [InlineData(Provider.Postgres)]
    public async Task Retention_AnyRulesAndAges_RemovesWhatIsTooOldAndNothingElse(Provider provider)
    {
        using var record = new TestRecord(provider);
        var random = new Random(5);
        var clock = new Given.Clock(Given.Monday);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(await record.HomeAsync(), clock);
        List<(Guid Id, string App, int Age)> all = [];
        for (int i = 0; i < 60; i++)
        {
            (Guid id, string app, int age) = (Guid.CreateVersion7(), Apps[random.Next(3)], random.Next(0, 100));
            await AddAsync(store, id, app, Given.Monday.AddDays(-age), i);
            all.Add((id, app, age));
        }
        await store.AddFeedbackAsync(new(Guid.NewGuid(), Metrics.Keep, true)); // its answer never came, and it is new
        RetentionRule[] rules = [new() { App = "chat", Days = 20 }, new() { Days = 60 }];
        HashSet<Guid> old = [.. all.Where(row => row.Age > (row.App == "chat" ? 20 : 60)).Select(row => row.Id)];
        List<string> said = [];
        var retention = new Retention(store, clock) { InBackground = true, Say = said.Add };

        RetentionResult preview = await retention.PreviewAsync(rules);
        await using (FlywheelDb db = store.Tables()) Assert.Equal(60, await db.Set<GenerationPayload>().CountAsync()); // nothing was done
        RetentionResult done = await retention.RunAsync(rules);

        Assert.Equal((old.Count, old.Count, old.Count, 0), (preview.Answers, preview.Feedback, preview.Open, preview.StoredAnswers));
        Assert.Equal((preview.Answers, preview.Feedback), (done.Answers, done.Feedback));
        await using FlywheelDb after = store.Tables();
        Assert.Equal(60, await after.Generations.CountAsync());
        Assert.Equal(all.Select(row => row.Id).Except(old).ToHashSet(),
            (await after.Set<GenerationPayload>().Select(row => row.GenerationId).ToListAsync()).ToHashSet());
        Assert.Equal(old,
            (await after.Generations.Where(row => row.Store == StoreLevel.Counts).Select(row => row.Id).ToListAsync()).ToHashSet());
        Assert.Equal(61 - old.Count, await after.Feedback.CountAsync());
        Assert.Equal((0, 0), ((await retention.RunAsync(rules)).Answers, (await retention.PreviewAsync([])).Answers));
        clock.Now = Given.Monday.AddDays(61);
        Assert.Equal(60 - old.Count + 1, (await retention.RunAsync(rules)).Feedback); // the orphan, too
        Assert.Equal(0, await after.Feedback.CountAsync());
        Assert.Empty(said); // each hour nobody waits for tables that are rewritten
        await new Retention(store, clock) { Say = said.Add }.RunAsync(rules);
        Assert.Equal(provider == Provider.Postgres ? 1 : 0, said.Count(line => line.Contains("rewritten", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("retention: [{ app: chat, days: 0 }]", "field 'retention[0].days' is 0, expected 1 to 36500")]
    [InlineData("retention: [{ days: 3 }, { days: 4 }]", "has all applications twice")]
    [InlineData("require_review: perhaps", "settings.yaml")]
    [InlineData("keep: 90d", "settings.yaml")]
    public void Settings_Wrong_NameFileAndField(string yaml, string expected)
    {
        using var folder = new Testing.TempFolder();
        File.WriteAllText(Path.Combine(folder.Path, HomeSettings.FileName), yaml);
        Assert.Contains(expected, Assert.Throws<FlywheelException>(() => HomeSettings.Read(new FlywheelHome(folder.Path, ""))).Message);
    }

    [Fact]
    public void Settings_Written_ReadBack()
    {
        using var folder = new Testing.TempFolder();
        var home = new FlywheelHome(folder.Path, "");
        Assert.False(HomeSettings.Read(home).RequireReview);
        new HomeSettings { RequireReview = true,
            Retention = [new() { App = "tasks/translation", Days = 30 }, new() { Days = 365 }] }.Write(home);
        HomeSettings read = HomeSettings.Read(home);
        Assert.True(read.RequireReview);
        Assert.Equal([("tasks/translation", 30), ("", 365)], read.Retention.Select(rule => (rule.App, rule.Days)));
    }

    /// <summary>Apache's own reader (C++, by ParquetSharp) finds in the Parquet file what a JSON parser finds in the lines, and both what
    /// was recorded.</summary>
    [Fact]
    public async Task Export_BothFormats_HoldTheRecordForOtherReadersAndAppearWholeOrNotAtAll()
    {
        using var record = new TestRecord(Provider.Sqlite);
        var clock = new Given.Clock(Given.Monday);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(await record.HomeAsync(), clock);
        string[] words = ["plain", "\"quoted\", comma\nline", "中文 ✓ 😀", "", "=1+1", new('x', 250_000)];
        var random = new Random(3);
        await using (FlywheelDb all = store.Tables())
        {
            for (int i = 0; i < 300; i++)
            {
                string text = words[random.Next(words.Length)];
                Generation row =
                    Copy(Given.Generation(Guid.CreateVersion7(), Guid.CreateVersion7(), $"user {i % 3}", text, $"prompt {text}", seed: i),
                        Apps[random.Next(3)], Given.Monday.AddDays(-random.Next(41)));
                all.Generations.Add(row);
                for (int said = random.Next(3); said > 0; said--)
                    all.Feedback.Add(new() { Id = Guid.CreateVersion7(), Time = row.Time, GenerationId = row.Id, Metric = Metrics.Rating,
                        Value = "0.25", User = "bo", Tags = """{"a":"b"}""" });
            }
            await all.SaveChangesAsync();
        }
        var filter = new ExportFilter { App = "write", Since = Given.Monday.AddDays(-30), Until = Given.Monday.AddDays(-2) };
        string lines = record.Folder["out.jsonl"], parquet = record.Folder["out.parquet"];

        long count = RecordExport.WriteFile(store, filter, RecordExport.JsonLines, lines);
        Assert.Equal(count, RecordExport.WriteFile(store, filter, RecordExport.Parquet, parquet));

        await using FlywheelDb db = store.Tables();
        DateTimeOffset since = filter.Since!.Value, until = filter.Until!.Value;
        List<Generation> expected = await db.Generations.Include(row => row.Payload)
            .Where(row => row.App == "write" && row.Time >= since && row.Time < until).OrderBy(row => row.Time).ThenBy(row => row.Id)
            .ToListAsync();
        JsonObject[] read = [.. File.ReadLines(lines).Select(line => JsonNode.Parse(line)!.AsObject())];
        Assert.Equal(expected.Count, count);
        Assert.InRange(count, 30, 299);
        Assert.Equal(expected.Select(row => (row.Id.ToString(), row.Payload!.Text, row.NumTokens)),
            read.Select(row => ((string)row["id"]!, (string)row["text"]!, (int)row["completion_tokens"]!)));
        List<Feedback> feedback = await db.Feedback.OrderBy(row => row.Sequence).ToListAsync();
        Assert.All(read.Take(200),
            row => Assert.Equal(feedback.Where(said => said.GenerationId.ToString() == (string)row["id"]!)
                .Select(said => said.Id.ToString()), row["feedback"]!.AsArray().Select(said => (string)said!["id"]!)));

        int at = 0;
        using var file = new ParquetFileReader(parquet);
        Assert.Equal(count, file.FileMetaData.NumRows);
        Assert.True(file.FileMetaData.NumRowGroups > 1, "a large file is written piece by piece");
        for (int group = 0; group < file.FileMetaData.NumRowGroups; group++)
        {
            using RowGroupReader rows = file.RowGroup(group);
            int size = (int)rows.MetaData.NumRows;
            Dictionary<string, Array> columns = [];
            for (int i = 0; i < file.FileMetaData.NumColumns; i++)
            {
                using LogicalColumnReader column = rows.Column(i).LogicalReader();
                columns[file.FileMetaData.Schema.Column(i).Name] = column.Apply(new ReadAll(size));
            }
            for (int i = 0; i < size; i++, at++)
                foreach (string name in RecordExport.Columns)
                {
                    object? value = columns[name].GetValue(i);
                    JsonNode? other = read[at][name];
                    string? text = value switch { null => null,
                        DateTime time => time.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", System.Globalization.CultureInfo.InvariantCulture),
                        var any => Convert.ToString(any, System.Globalization.CultureInfo.InvariantCulture) };
                    string? same = RecordExport.JsonColumns.Contains(name)
                        ? JsonNode.DeepEquals(JsonNode.Parse(text!), other) ? text : other!.ToJsonString()
                        : other is null
                        ? null : Convert.ToString(other.GetValueKind() == System.Text.Json.JsonValueKind.Number
                            ? (object)(double)other : (string)other!, System.Globalization.CultureInfo.InvariantCulture);
                    Assert.Equal(same, text);
                }
        }
        Assert.Equal(count, at);
        string[] files = Directory.GetFiles(record.Folder.Path);
        Assert.ThrowsAny<OperationCanceledException>(() =>
            RecordExport.WriteFile(store, filter, RecordExport.JsonLines, lines, new CancellationToken(true)));
        Assert.Equal(count, File.ReadLines(lines).Count());
        Assert.Equal(files, Directory.GetFiles(record.Folder.Path));
        Assert.Equal(0, RecordExport.WriteFile(store, new ExportFilter { Person = "nobody" }, RecordExport.Parquet, parquet));
        using var empty = new ParquetFileReader(parquet);
        Assert.Equal(0, empty.FileMetaData.NumRows);
    }

    private static async Task AddAsync(FlywheelStore store, Guid id, string app, DateTimeOffset time, int seed)
    {
        await store.RecordAsync(Copy(Given.Generation(id, Guid.CreateVersion7(), seed: seed), app, time));
        await store.AddFeedbackAsync(new(id, Metrics.Keep, true));
    }

    private static Generation Copy(Generation row, string app, DateTimeOffset time) => new()
    {
        Id = row.Id, Group = row.Group, Time = time, App = app, User = row.User, ModelHash = row.ModelHash, FinishReason = row.FinishReason,
        NumPromptTokens = row.NumPromptTokens,
        NumTokens = row.NumTokens, FirstTokenMs = row.FirstTokenMs, LatencyMs = row.LatencyMs, Cost = row.NumTokens % 2 == 0 ? 0.125 : null,
        Payload = row.Payload,
    };

    private sealed class ReadAll(int size) : ILogicalColumnReaderVisitor<Array>
    {
        public Array OnLogicalColumnReader<TValue>(LogicalColumnReader<TValue> columnReader) => columnReader.ReadAll(size);
    }
}
