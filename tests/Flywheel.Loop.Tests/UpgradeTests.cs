using System.IO.Compression;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>
/// A home whose database was made by the program of commit 0a8ea7b: people who kept, edited and discarded, a turn that was promoted,
/// feedback that came after it and before its generation.
/// </summary>
public sealed class UpgradeTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private FlywheelHome Home => new(_folder["home"]);

    public UpgradeTests()
    {
        Directory.CreateDirectory(Home.Path);
        string fixture = Path.Combine(TestFiles.Root, "tests", "Flywheel.Loop.Tests", "Fixtures", "home-of-0a8ea7b.db.gz");
        using FileStream packed = File.OpenRead(fixture);
        using var unpacked = new GZipStream(packed, CompressionMode.Decompress);
        using FileStream database = File.Create(Home.Database);
        unpacked.CopyTo(database);
    }

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Open_HomeOfAnEarlierProgram_LosesNothing()
    {
        Dictionary<string, string[]> columns = Tables().ToDictionary(
            table => table, table => Read($"SELECT name FROM pragma_table_info('{table}') ORDER BY cid").ToArray());
        string Rows(string table)
        {
            string row = string.Join(" || '|' || ", columns[table].Select(column => $"quote(\"{column}\")"));
            return string.Join('\n', Read($"SELECT {row} FROM \"{table}\"").Order(StringComparer.Ordinal));
        }
        Dictionary<string, string> before = columns.Keys.ToDictionary(table => table, Rows);
        Assert.Equal(122, before["generation"].Split('\n').Length);
        Assert.Equal(85, before["feedback"].Split('\n').Length);

        await using FlywheelStore store = await FlywheelStore.OpenAsync(Home);

        foreach (string table in columns.Keys.Where(name => name != "__EFMigrationsHistory")) Assert.Equal(before[table], Rows(table));
        Assert.Equal(["ok"], Read("SELECT * FROM pragma_integrity_check"));
        Assert.Empty(Read("SELECT \"table\" FROM pragma_foreign_key_check"));
        await using FlywheelDb db = store.Tables();
        Assert.False(db.Database.HasPendingModelChanges());
    }

    [Fact]
    public async Task Open_HomeOfAnEarlierProgram_IsReadAsIfMadeToday()
    {
        const string Unstored = "00000000-0000-7000-8000-000000000002"; // its payload is gone, as with store: false
        Read($"DELETE FROM generation_payload WHERE generation_id = '{Unstored}' RETURNING generation_id");

        await using FlywheelStore store = await FlywheelStore.OpenAsync(Home);
        await using FlywheelDb db = store.Tables();

        List<Generation> generations = await db.Generations.Include(row => row.Payload).Include(row => row.PromptExamples).ToListAsync();
        Assert.Equal(Unstored, Assert.Single(generations, row => row.Store == StoreLevel.Counts).Id.ToString());
        generations.RemoveAll(row => row.Store == StoreLevel.Counts);
        Assert.All(generations, row => Assert.Equal(
            ("", WorkspaceRow.Default, Consent.NotAsked, StoreLevel.Full, null, null, null, null, null, 0),
            (row.Owner, row.Workspace, row.Consent, row.Store, row.Variant, row.Propensity,
                row.CandidateScore, row.CandidateRank, row.NumCandidates, row.PromptExamples.Count)));
        Assert.All(generations, row => Assert.Equal(row.NumTokens, row.Payload!.Tokens.Length));
        (string, string, FeedbackSource) person = ("", WorkspaceRow.Default, FeedbackSource.Person);
        Assert.All(await db.Feedback.ToListAsync(), row => Assert.Equal(person, (row.Owner, row.Workspace, row.Source)));
        Assert.All(await db.Examples.ToListAsync(), row => Assert.Equal(person, (row.Owner, row.Workspace, row.Source)));
        (string, string)[] nobody = [("", WorkspaceRow.Default)];
        Assert.Equal(nobody, (await db.Models.ToListAsync()).Select(row => (row.Owner, row.Workspace)).Distinct());
        Assert.Equal(nobody, (await db.Runs.ToListAsync()).Select(row => (row.Owner, row.Workspace)).Distinct());
        Assert.Equal(nobody, (await db.Datasets.ToListAsync()).Select(row => (row.Owner, row.Workspace)).Distinct());
        Assert.Equal(WorkspaceRow.Default, (await db.Workspaces.SingleAsync()).Id);
        TurnRow turn = await db.Turns.SingleAsync();
        Assert.Equal(WorkspaceRow.Default, turn.Workspace);
        Assert.Equal(turn.Candidate, (await store.ChampionOfAsync(WorkspaceRow.Default))!.Hash);
        Assert.All(await db.Runs.ToListAsync(), run => Assert.Equal(turn.Id, run.TurnId));
        Assert.Equal("model", (await Lineage.TraceAsync(store, turn.Candidate!)).Kind);
        Feedback keyed = await db.Feedback.SingleAsync(row => row.IdempotencyKey == "click-1");
        var again = new FeedbackInput(keyed.GenerationId, keyed.Metric, 0.75, keyed.User, new() { ["page"] = "write" }, "click-1");
        Assert.Equal(keyed.Id, (await store.AddFeedbackAsync(again)).Id);
    }

    [Fact]
    public async Task Open_HomeOfAnEarlierProgramManyTimesAtOnce_UpgradesItOnce()
    {
        FlywheelStore[] stores = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => FlywheelStore.OpenAsync(Home))));

        await Task.WhenAll(stores.Select(store => store.RecordAsync(Given.Generation())));

        Assert.Equal(130, (await stores[0].CountAsync()).Generations);
        foreach (FlywheelStore store in stores) await store.DisposeAsync();
    }

    [Fact]
    public async Task Tables_ForWhatComes_HoldWhatIsWritten()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(Home);
        Guid id = Guid.CreateVersion7();
        await using (FlywheelDb db = store.Tables())
        {
            DateTimeOffset now = Given.Monday;
            db.Jobs.Add(new JobRow { Id = id, Kind = "import", NotBefore = now, Created = now, Updated = now,
                Payload = new() { Input = "{}" } });
            db.Keys.Add(new KeyRow { Id = id, Name = "phone", Hash = "aa", User = "ann", Scopes = "inference feedback",
                Created = Given.Monday });
            db.Secrets.Add(new SecretRow { Name = "test", Value = [1, 2], Created = Given.Monday });
            db.Documents.Add(new DocumentRow
            {
                Id = id, User = "ann", App = "write", Kind = "draft", Created = now, Updated = now, Version = 1,
                Versions = [new() { Number = 1, Time = now, Body = "# Text" }],
            });
            db.Conversations.Add(new ConversationRow
            {
                Id = id, User = "ann", App = "chat", Created = now, Updated = now,
                Messages = [new() { Id = id, Time = now, Body = """{"role":"user"}""" }],
            });
            db.TranslationUnits.Add(new TranslationUnit
            {
                Id = id, User = "ann", SourceLanguage = "en", TargetLanguage = "es", Source = "Hello.", Target = "Hola.", DocumentId = id,
                Segment = 4, Created = now, Updated = now,
            });
            db.Terms.Add(new TermRow { Id = id, User = "ann", SourceLanguage = "en", TargetLanguage = "es", Source = "wheel",
                Target = "rueda", Created = now, Updated = now });
            await db.SaveChangesAsync();
        }
        Generation shown = Given.Generation();
        shown.PromptExamples.Add(new() { Place = 0, FeedbackId = id });
        await store.RecordAsync(shown);

        await using FlywheelDb read = store.Tables();
        Assert.Equal("{}", (await read.Jobs.Include(row => row.Payload).SingleAsync()).Payload!.Input);
        Assert.Equal("ann", (await read.Keys.SingleAsync(row => row.Hash == "aa")).User);
        Assert.Equal([1, 2], (await read.Secrets.SingleAsync(row => row.Name == "test")).Value);
        Assert.Equal("# Text", (await read.Documents.Include(row => row.Versions).SingleAsync()).Versions[0].Body);
        Assert.Single((await read.Conversations.Include(row => row.Messages).SingleAsync()).Messages);
        Assert.Equal(shown.Id, await read.Set<PromptExample>().Where(row => row.FeedbackId == id).Select(row => row.GenerationId)
            .SingleAsync());
        Assert.Equal((WorkspaceRow.Default, "Hola.", 4), await read.TranslationUnits.Where(row => row.DocumentId == id)
            .Select(row => ValueTuple.Create(row.Workspace, row.Target, row.Segment!.Value)).SingleAsync());
        Assert.Equal("rueda", (await read.Terms.SingleAsync(row => row.Source == "wheel")).Target);
        read.Keys.Add(new KeyRow { Id = Guid.NewGuid(), Name = "other", Hash = "aa", Created = Given.Monday });
        await Assert.ThrowsAsync<DbUpdateException>(() => read.SaveChangesAsync()); // a hash belongs to one key
    }

    private List<string> Tables() => Read("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");

    private List<string> Read(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Home.Database}");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        using SqliteDataReader reader = command.ExecuteReader();
        List<string> values = [];
        while (reader.Read()) values.Add(reader.GetString(0));
        return values;
    }
}
