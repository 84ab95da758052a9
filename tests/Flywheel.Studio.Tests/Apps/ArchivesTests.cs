using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Loop.Reviews;
using Flywheel.Model;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Console;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Studio.Apps.Write;
using Flywheel.Testing;
using Flywheel.Voice;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests.Apps;

/// <summary>What a person took along comes in whole, changes nothing that is there, counts for nothing that was served here; what is wrong
/// is refused by its name.</summary>
public sealed partial class ArchivesTests : IAsyncLifetime
{
    private const string Ann = "ann";

    private readonly TempFolder _folder = new();
    private readonly TimeProvider _time = TimeProvider.System;
    private readonly List<FlywheelStore> _stores = [];
    private FlywheelStore _from = null!, _to = null!;

    public async ValueTask InitializeAsync() => (_from, _to) = (await OpenAsync("from"), await OpenAsync("to"));

    public async ValueTask DisposeAsync()
    {
        foreach (FlywheelStore store in _stores) await store.DisposeAsync();
        _folder.Dispose();
    }

    /// <summary>Property: out, into an empty home and out again says the same; once more brings nothing.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task ImportIntoAnEmptyHome_ExportedAgain_SaysTheSame(int seed)
    {
        await FillAsync(_from, Ann, seed);
        await FillAsync(_from, "somebody else", seed + 100); // of whom nothing may come along
        byte[] zip = await ExportAsync(_from, Ann);
        IReadOnlyList<ArchiveCount> counts = await ImportAsync(_to, zip, new ArchiveTarget(Ann) { MayTeach = true });
        Assert.All(counts, count => Assert.Equal((0, 0, 0), (count.Renamed, count.Known, count.Stayed)));
        Assert.Equal(["generations", "feedback", "documents", "chats", "translations", "terms"], counts.Select(count => count.Name));
        Assert.Equal(Lines(zip), Lines(await ExportAsync(_to, Ann)));

        byte[] before = await ExportAsync(_to, Ann);
        Assert.All(await ImportAsync(_to, zip, new ArchiveTarget(Ann)), count => Assert.Equal((0, 0), (count.Imported, count.Stayed)));
        Assert.Equal(Lines(before), Lines(await ExportAsync(_to, Ann)));

        // To another person of the same record it is a copy: ids are their own, and lead to one another.
        IReadOnlyList<ArchiveCount> copied = await ImportAsync(_to, zip, new ArchiveTarget("ben") { MayTeach = true });
        Assert.Equal(counts.Where(count => count.Name != "terms").Select(count => count.Imported),
            copied.Where(count => count.Name != "terms").Select(count => count.Renamed));
        Assert.Equal(Lines(before), Lines(await ExportAsync(_to, Ann)));
        Assert.Equal(Lines(before, ids: false).Where(line => !line.StartsWith("terms", StringComparison.Ordinal)),
            Lines(await ExportAsync(_to, "ben"), ids: false).Where(line => !line.StartsWith("terms", StringComparison.Ordinal)));
        await using FlywheelDb db = _to.AllTables();
        HashSet<Guid> bens = [.. await db.Generations.Where(row => row.User == "ben").Select(row => row.Id).ToListAsync()];
        Assert.All(await db.Feedback.Where(row => row.User == "ben").ToListAsync(), row => Assert.Contains(row.GenerationId, bens));
        string text =
            (await db.DocumentVersions.FirstAsync(row =>
                db.Documents.Any(one => one.Id == row.DocumentId && one.User == "ben" && one.Kind == Briefs.TextKind))).Body;
        Assert.Contains(KeptText.Parse(text).Generation, bens);
        Assert.All(await ImportAsync(_to, zip, new ArchiveTarget("ben")), count => Assert.Equal(0, count.Imported));
    }

    [Fact]
    public async Task Import_ServedElsewhere_CountsForNothingAndTeachesByConsentAlone()
    {
        await FillAsync(_from, Ann, 4);
        byte[] zip = await ExportAsync(_from, Ann);
        await ImportAsync(_to, zip, new ArchiveTarget(Ann));
        await using (FlywheelDb db = _to.AllTables())
        {
            Assert.All(await db.Generations.ToListAsync(),
                row => Assert.Equal((Consent.Refused, "", new string('a', 64)), (row.Consent, row.ModelHash, row.Origin)));
            Assert.True(await db.Feedback.AnyAsync());
        }
        Assert.Equal(new StoreCounts(0, 0, 0), await _to.CountAsync());
        Assert.Equal(0, (await Usage.ReadAsync(_to, DateTimeOffset.UnixEpoch, TimeSpan.Zero)).All.Texts);
        Assert.Empty(await Usage.AnswersByModelAsync(_to));
        Assert.Empty((await new ReviewQueue(_to).ListAsync(new ReviewFilter())).Items);
        Assert.Equal(AuditAct.Import, Assert.Single(await _to.AuditAsync(10, act: AuditAct.Import)).Act);

        FlywheelStore willing = await OpenAsync("willing");
        await ImportAsync(willing, zip, new ArchiveTarget(Ann) { MayTeach = true });
        Assert.NotEmpty((await new ReviewQueue(willing).ListAsync(new ReviewFilter())).Items);
        Assert.Equal(0, (await willing.CountAsync()).Generations);
    }

    /// <summary>An id that means something else here, in whatever workspace, is not touched.</summary>
    [Fact]
    public async Task Import_OfIdsThatAreTaken_LeavesWhatIsHereAndSaysSo()
    {
        await FillAsync(_from, Ann, 5);
        byte[] zip = await ExportAsync(_from, Ann);
        await new Workspaces(_to, _time).CreateAsync("acme", "Acme");
        string[] acme;
        Actor.Enter("acme");
        try
        {
            await ImportAsync(_to, zip, new ArchiveTarget(Ann, "acme"));
            acme = await RowsAsync("acme");
        }
        finally
        {
            Actor.Enter(null);
        }
        await using (FlywheelDb db = _to.AllTables())
        {
            db.Terms.Add(new TermRow { Id = Guid.NewGuid(), Workspace = WorkspaceRow.Default, User = "ben", SourceLanguage = "en",
                TargetLanguage = "fr", Source = "term 0", Target = "ours", Created = _time.GetUtcNow(), Updated = _time.GetUtcNow() });
            await db.SaveChangesAsync();
        }
        IReadOnlyList<ArchiveCount> counts = await ImportAsync(_to, zip, new ArchiveTarget(Ann));
        Assert.All(counts, count => Assert.Equal(count.Imported, count.Renamed));
        Assert.Equal(1, counts.Single(count => count.Name == "terms").Stayed);
        Assert.Equal(acme, await RowsAsync("acme"));
        await using FlywheelDb all = _to.AllTables();
        Assert.Equal("ours", (await all.Terms.SingleAsync(row => row.Workspace == WorkspaceRow.Default && row.Source == "term 0")).Target);
        HashSet<Guid> theirs = [.. await all.Generations.Where(row => row.Workspace == "acme").Select(row => row.Group).ToListAsync()];
        Assert.DoesNotContain(await all.Generations.Where(row => row.Workspace == WorkspaceRow.Default).Select(row => row.Group)
            .ToListAsync(), theirs.Contains);

        async Task<string[]> RowsAsync(string workspace)
        {
            await using FlywheelDb db = _to.AllTables();
            return [.. (await db.Generations.Where(row => row.Workspace == workspace).OrderBy(row => row.Id).ToListAsync()).Select(row =>
                $"{row.Id} {row.Group} {row.User}"),
                .. (await db.Documents.Where(row => row.Workspace == workspace).OrderBy(row => row.Id).ToListAsync()).Select(row =>
                    $"{row.Id} {row.Title} {row.User}"),
                .. (await db.Feedback.Where(row => row.Workspace == workspace).OrderBy(row => row.Id).ToListAsync()).Select(row =>
                    $"{row.Id} {row.GenerationId} {row.Value}")];
        }
    }

    /// <summary>Each as somebody would send it who means harm, or by accident. Nothing of it is in, and the entry is named.</summary>
    [Fact]
    public async Task Import_OfWhatIsWrong_IsRefusedByEntryAndLeavesNothing()
    {
        await FillAsync(_from, Ann, 6);
        byte[] good = await ExportAsync(_from, Ann);
        (byte[] Zip, string Named)[] bad =
        [
            (Encoding.UTF8.GetBytes("no zip"), "bad.zip: is no zip file"),
            (good[..(good.Length / 2)], "bad.zip: is no zip file"),
            (With(good, "../../etc/passwd", "x"), "'../../etc/passwd'"),
            (With(good, "recordings/../x.wav", "x"), "'recordings/../x.wav'"),
            (With(good, "documents.jsonl/x", "x"), "'documents.jsonl/x'"),
            (With(good, "manifest.json", null), "holds no manifest.json"),
            (With(good, "manifest.json", "[1]"), "manifest.json is no JSON object"),
            (With(good, "manifest.json", """{"flywheel_archive": 3}"""), "flywheel_archive is 3, expected 1 to 2; a newer"),
            (With(good, "manifest.json",
                """{"flywheel_archive": 2, "scope": "person", "created": "2026-11-30T00:00:00Z", "people": [{"user": "ann"}]}"""),
                "has no files"),
            (With(good, "manifest.json",
                """{"flywheel_archive": 1, "scope": "home", "created": "2026-11-30T00:00:00Z", "people": [{"user": "ann"}]}"""),
                "scope is 'home'"),
            (With(good, "feedback.jsonl", "{not JSON}"), "feedback.jsonl line 1"),
            (With(good, "terms.jsonl", """{"id": "00000000-0000-0000-0000-000000000001"}"""), "terms.jsonl line 1"),
            (Edited(good, "documents.jsonl", line => line["user"] = "ben"), "documents.jsonl line 1: user is 'ben'"),
            (Edited(good, "generations.jsonl", line => line["workspace"] = "acme"), "generations.jsonl line 1"),
            (Edited(good, "generations.jsonl", line => line["conversation"] = "{}"), "generations.jsonl line 1: conversation"),
            (Edited(good, "generations.jsonl", line => line["finish"] = 7), "generations.jsonl line 1"),
            (Edited(good, "documents.jsonl", line => line["version"] = 9), "documents.jsonl line 1: version is 9"),
            (Edited(good, "document-versions.jsonl", line => line["document"] = Guid.NewGuid()),
                "document-versions.jsonl line 1: document"),
            (Edited(good, "chat-messages.jsonl", line => line["parent"] = (string)line["id"]!), "chat-messages.jsonl line 1: parent"),
            (Edited(good, "chats.jsonl", line => line["leaf"] = Guid.NewGuid()), "chats.jsonl line 1: leaf"),
            (Edited(good, "translations.jsonl", line => line["from"] = "../en"), "translations.jsonl line 1: language"),
            (Edited(good, "terms.jsonl", line => line["source"] = "two\nlines"), "terms.jsonl line 1"),
            (Twice(good, "terms.jsonl"), "'terms.jsonl' twice"),
            (With(good, "translations.jsonl", new string(' ', 20 << 20)), "'translations.jsonl' unpacks to more"),
        ];
        foreach ((byte[] zip, string named) in bad)
        {
            Exception? refused = await Record.ExceptionAsync(() => ImportAsync(_to, zip, new ArchiveTarget(Ann)));
            Assert.True(refused is FlywheelException && refused.Message.Contains(named, StringComparison.Ordinal), $"{named}: {refused}");
            await using FlywheelDb db = _to.AllTables();
            Assert.Equal((0, 0, 0, 0), (await db.Generations.CountAsync(), await db.Documents.CountAsync(),
                await db.Conversations.CountAsync(), await db.Audit.CountAsync()));
        }
        Assert.Empty(Recordings.In(_to.Home).Names());
        await Assert.ThrowsAsync<FlywheelException>(() => ImportAsync(_to, good, new ArchiveTarget(Ann, "nowhere")));
    }

    /// <summary>What is other, missing or more than the manifest lists is noticed. That somebody changed the list as well cannot
    /// be.</summary>
    [Fact]
    public async Task Import_OfAForgedArchive_IsRefusedUnlessItsListWasForgedToo()
    {
        await FillAsync(_from, Ann, 15);
        byte[] good = await ExportAsync(_from, Ann);
        string other = $"recordings/{new string('0', 64)}.take.wav";
        Func<string, string, string?> edit = (entry, said) =>
            entry == "document-versions.jsonl" ? said.Replace("product", "prodigy", StringComparison.Ordinal) : said;
        foreach ((byte[] zip, string named) in new[]
        {
            (Rewritten(good, (entry, said) => entry == "feedback.jsonl" ? null : said, null, relists: false),
                "'feedback.jsonl' is missing, which manifest.json lists"),
            (Rewritten(good, (_, said) => said, (other, "x"), relists: false), "...', which manifest.json does not list"),
            (Rewritten(good, edit, null, relists: false), "'document-versions.jsonl' cannot be unpacked: its SHA-256 is "),
        })
        {
            FlywheelException refused = await Assert.ThrowsAsync<FlywheelException>(() => ImportAsync(_to, zip, new ArchiveTarget(Ann)));
            Assert.Contains(named, refused.Message, StringComparison.Ordinal);
            await using FlywheelDb db = _to.AllTables();
            Assert.Equal((0, 0), (await db.Generations.CountAsync(), await db.Documents.CountAsync()));
        }
        foreach (bool isListed in (bool[])[true, false])
        {
            byte[] forged = Rewritten(good, (entry, said) =>
            {
                if (entry != "manifest.json" || isListed) return edit(entry, said);
                JsonObject manifest = JsonNode.Parse(said)!.AsObject();
                manifest.Remove("files");
                manifest["flywheel_archive"] = 1;
                return manifest.ToJsonString();
            }, null);
            using (ArchiveFile file = await ArchiveFile.OpenAsync(new MemoryStream(forged), "a.zip")) Assert.Equal(isListed, file.IsListed);
            Assert.All(await ImportAsync(_to, forged, new ArchiveTarget($"{isListed}")), count => Assert.Equal(0, count.Damaged));
        }
    }

    /// <summary>A zip of which any byte was changed comes in as it was, or not at all; nothing else happens.</summary>
    [Fact]
    public async Task Import_OfADamagedZip_IsRefusedOrWhole()
    {
        await FillAsync(_from, Ann, 7);
        byte[] good = await ExportAsync(_from, Ann);
        var random = new Random(7);
        for (int i = 0; i < 60; i++)
        {
            byte[] damaged = [.. good];
            for (int n = 0; n <= i % 3; n++) damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                using ArchiveFile file = await ArchiveFile.OpenAsync(new MemoryStream(damaged), "bad.zip");
                await ImportAsync(_to, damaged, new ArchiveTarget($"w-{i}") { MayTeach = true });
                Assert.Equal(Said(good), Said(await ExportAsync(_to, $"w-{i}")));
            }
            catch (FlywheelException e)
            {
                Assert.StartsWith("bad.zip", e.Message, StringComparison.Ordinal);
                await using FlywheelDb db = _to.AllTables();
                Assert.False(await db.Documents.AnyAsync(row => row.User == $"w-{i}")
                    || await db.Generations.AnyAsync(row => row.User == $"w-{i}"));
            }
        }
    }

    private static IEnumerable<string> Said(byte[] zip) =>
        Lines(zip, ids: false).Where(line => !line.StartsWith("terms", StringComparison.Ordinal)); // of which there is one, whoever's

    /// <summary>What a game's rules said is this program's to say; what cannot be read stays behind; all else comes in.</summary>
    [Fact]
    public async Task Import_OfALineThatMeansNothingHere_TakesAllOthers()
    {
        await FillAsync(_from, Ann, 11);
        byte[] good = await ExportAsync(_from, Ann);
        IReadOnlyList<ArchiveCount> all = await ImportAsync(_to, good, new ArchiveTarget("whole"));
        foreach ((string name, string field, string value, int leftOut, int damaged) in new[]
        {
            ("feedback", "source", "referee", 1, 0), ("feedback", "value", "\"yes", 0, 1), ("document-versions", "body", "null", 0, 1),
            ("document-versions", "body", "[]", 0, 1), ("chat-messages", "body", "[]", 0, 1),
        })
        {
            string whose = name == "document-versions" ? "document" : "id",
                counted = name switch { "document-versions" => "documents", "chat-messages" => "chats", _ => name };
            byte[] zip = Rewritten(good, (entry, said) =>
            {
                if (entry != $"{name}.jsonl") return said;
                JsonObject[] lines =
                    [.. said.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!.AsObject())];
                string first = (string)lines[0][whose]!;
                foreach (JsonObject line in lines.Where(line => (string)line[whose]! == first)) line[field] = value;
                return string.Join('\n', lines.Select(line => line.ToJsonString()));
            }, null);
            IReadOnlyList<ArchiveCount> counts = await ImportAsync(_to, zip, new ArchiveTarget($"{name} {value}"));
            Assert.All(all.Zip(counts).Where(pair => pair.First.Name != "terms"), pair => // of which there is one, whoever's
                Assert.Equal(pair.First.Name == counted
                    ? (counted, pair.First.Imported - 1, leftOut, damaged) : (pair.First.Name, pair.First.Imported, 0, 0),
                    (pair.Second.Name, pair.Second.Imported, pair.Second.LeftOut, pair.Second.Damaged)));
        }
    }

    /// <summary>A person has the same term in two workspaces; a glossary has it once.</summary>
    [Fact]
    public async Task Import_OfATermOfTwoWorkspaces_TakesItOnce()
    {
        await using (FlywheelDb db = _from.AllTables())
        {
            foreach ((string workspace, string source, string target) in new[] { (WorkspaceRow.Default, "cloud", "nuage"),
                ("acme", "cloud", "nuage"), (WorkspaceRow.Default, "rain", "pluie"), ("acme", "rain", "averse") })
                db.Terms.Add(Term(workspace, source, target));
            await db.SaveChangesAsync();
        }
        byte[] zip = await ExportAsync(_from, Ann);
        Assert.Equal(new ArchiveCount("terms") { Imported = 2, Known = 1, Stayed = 1 },
            Assert.Single(await ImportAsync(_to, zip, new ArchiveTarget(Ann))));

        FlywheelStore full = await OpenAsync("full");
        await using (FlywheelDb db = full.AllTables())
        {
            db.Terms.Add(Term(WorkspaceRow.Default, "term", "mot"));
            await db.SaveChangesAsync();
            int added = await db.Database.ExecuteSqlRawAsync(
                "WITH RECURSIVE N(I) AS (SELECT 1 UNION ALL SELECT I + 1 FROM N WHERE I < 19999) INSERT INTO term "
                + "(id, workspace, user, source_language, target_language, source, target, forbidden, note, created, updated) "
                + "SELECT printf('00000000-0000-0000-0000-%012d', I), workspace, user, source_language, target_language, 'term ' || I, "
                + "target, forbidden, note, created, updated FROM N, term");
            Assert.Equal(Flywheel.Loop.Translation.Glossary.MaxTerms, added + 1);
        }
        FlywheelException refused = await Assert.ThrowsAsync<FlywheelException>(() => ImportAsync(full, zip, new ArchiveTarget(Ann)));
        Assert.Contains("terms.jsonl line 1: the glossary would have 20001 terms", refused.Message, StringComparison.Ordinal);

        TermRow Term(string workspace, string source, string target) => new()
        {
            Id = Guid.CreateVersion7(), Workspace = workspace, User = Ann, SourceLanguage = "en", TargetLanguage = "fr", Source = source,
            Target = target, Forbidden = "", Created = _time.GetUtcNow(), Updated = _time.GetUtcNow(),
        };
    }

    /// <summary>An answer alone is named as its request is: a newer archive's texts still lead to the answers that came before.</summary>
    [Fact]
    public async Task Import_OfANewerArchive_LeadsToTheAnswersThatAreHere()
    {
        await FillAsync(_from, Ann, 12);
        Guid answer, feedback;
        await using (FlywheelDb db = _from.AllTables())
        {
            await db.Generations.ExecuteUpdateAsync(set => set.SetProperty(row => row.Group, row => row.Id));
            (feedback, answer) = await db.Feedback.OrderBy(row => row.Sequence)
                .Select(row => ValueTuple.Create(row.Id, row.GenerationId)).FirstAsync();
        }
        await ImportAsync(_to, await ExportAsync(_from, Ann), new ArchiveTarget(Ann));
        var kept = new KeptText { Text = "new", Kind = "product", Name = "new", Brief = Guid.Empty, Generation = answer,
            Feedback = feedback, Asked = "new" };
        Guid fresh = Guid.CreateVersion7();
        await new Documents(_from, _time).PutAsync(fresh, Ann, Briefs.App, Briefs.TextKind, "new", kept.ToJson());
        await ImportAsync(_to, await ExportAsync(_from, Ann), new ArchiveTarget(Ann));
        await using FlywheelDb to = _to.AllTables();
        Assert.Equal(answer, KeptText.Parse((await to.DocumentVersions.SingleAsync(row => row.DocumentId == fresh)).Body).Generation);
    }

    /// <summary>Others write while an archive is read, also what decides how it comes in.</summary>
    [Fact]
    public async Task Import_WhileOthersWrite_LetsThemAndLeavesWhatTheyWrote()
    {
        await FillAsync(_from, Ann, 13);
        byte[] zip = await ExportAsync(_from, Ann);
        Guid brief;
        await using (FlywheelDb db = _from.AllTables())
            brief = (await db.Documents.SingleAsync(row => row.Kind == Briefs.BriefKind)).Id;
        bool isThere = false;
        using ArchiveFile file = await ArchiveFile.OpenAsync(new MemoryStream(zip), "a.zip");
        IReadOnlyList<ArchiveCount> counts = await new ArchiveImport(_to, _time).RunAsync(file, new ArchiveTarget(Ann), (_, _, _, _) =>
        {
            if (isThere) return new DocumentRule(IsTaken: true);
            isThere = true;
            using FlywheelDb db = _to.AllTables();
            db.Documents.Add(new DocumentRow { Id = brief, Workspace = WorkspaceRow.Default, User = "ben", App = Briefs.App,
                Kind = Briefs.BriefKind, Title = "Ben's", Created = _time.GetUtcNow(), Updated = _time.GetUtcNow() });
            db.SaveChanges();
            return new DocumentRule(IsTaken: true);
        });
        Assert.Equal(1, counts.Single(count => count.Name == "documents").Renamed);
        await using FlywheelDb to = _to.AllTables();
        DocumentRow bens = await to.Documents.SingleAsync(row => row.Id == brief);
        Assert.Equal(("ben", "Ben's"), (bens.User, bens.Title));
    }

    /// <summary>An export is of one moment: chats that begin meanwhile are in it whole, or not at all.</summary>
    [Fact]
    public async Task Export_WhileOthersWrite_ComesIn()
    {
        await FillAsync(_from, Ann, 14);
        using var zip = new Watched(() =>
        {
            using FlywheelDb db = _from.AllTables();
            Guid chat = Guid.CreateVersion7();
            db.Conversations.Add(new ConversationRow { Id = chat, Workspace = WorkspaceRow.Default, User = Ann, App = "chat", Title = "",
                Created = _time.GetUtcNow(), Updated = _time.GetUtcNow() });
            db.ConversationMessages.Add(new ConversationMessage { Id = Guid.CreateVersion7(), ConversationId = chat,
                Time = _time.GetUtcNow(), Body = "{\"role\": \"user\", \"content\": \"Hello.\"}" });
            db.SaveChanges();
        });
        await new Archives(_from, _time).ExportAsync(Ann, zip);
        Assert.True(zip.Writes > 10);
        Assert.Contains(await ImportAsync(_to, zip.ToArray(), new ArchiveTarget(Ann)), count => count is { Name: "chats", Imported: >= 2 });
    }

    /// <summary>Something happens before whatever is written.</summary>
    private sealed class Watched(Action before) : MemoryStream
    {
        public int Writes { get; private set; }

        public override void Write(byte[] buffer, int offset, int count)
        {
            Writes++;
            before();
            base.Write(buffer, offset, count);
        }

        public override void Write(ReadOnlySpan<byte> buffer) => Write(buffer.ToArray(), 0, buffer.Length);

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        {
            Write(buffer, offset, count);
            return Task.CompletedTask;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Write(buffer.Span);
            return ValueTask.CompletedTask;
        }
    }

    /// <summary>A voice project comes with its takes, to whoever it then is.</summary>
    [Fact]
    public async Task Import_OfAVoiceProject_BringsItsTakes()
    {
        var clip = new Clip([.. Enumerable.Range(0, 8000).Select(i => (float)Math.Sin(i * .2) / 2)], 16_000);
        string take = Recordings.In(_from.Home).AddTake(clip, Ann),
            foreign = Recordings.In(_from.Home).AddTake(clip with { Rate = 8000 }, "ben");
        var project = new VoiceProject
        {
            Name = "Trailer",
            Lines = [new VoiceLine { Id = "1", Text = "Hello.", Take = take,
                Takes = [new VoiceTake(take, .5, "Hello.", new VoiceSettings()) { IsRecorded = true, Pieces = [take] }] },
                new VoiceLine { Id = "2", Text = foreign }],
        };
        await new Documents(_from, _time).PutAsync(Guid.NewGuid(), Ann, VoiceProjects.App, VoiceProjects.Kind, "Trailer", project.ToJson());
        byte[] zip = await ExportAsync(_from, Ann);
        using (var read = new ZipArchive(new MemoryStream(zip))) Assert.Equal([$"recordings/{take}.take.wav"],
            read.Entries.Select(entry => entry.FullName).Where(name => name.StartsWith("recordings/", StringComparison.Ordinal)));

        Assert.Contains(await ImportAsync(_to, zip, new ArchiveTarget("carol")), count => count is { Name: "recordings", Imported: 1 });
        Document document = Assert.Single(await new Documents(_to, _time).ListAsync("carol", VoiceProjects.App, VoiceProjects.Kind));
        string here = VoiceProject.Parse(document.Body, "project").Lines[0].Take!;
        var there = Recordings.In(_to.Home);
        Assert.True(there.IsOf(here, "carol") && !there.Contains(foreign));
        Assert.Equal(clip.Samples.Length, there.Find(here, 16_000)!.Samples.Length);
        Assert.Contains(await ImportAsync(_to, zip, new ArchiveTarget("carol")),
            count => count is { Name: "recordings", Imported: 0, Known: 1 });

        // What cannot be imported leaves no sound behind; what no project holds does not come in.
        FlywheelStore third = await OpenAsync("third");
        string sound = $"recordings/{take}.take.wav", other = $"recordings/{new string('0', 64)}.take.wav";
        FlywheelException noise = await Assert.ThrowsAsync<FlywheelException>(() =>
            ImportAsync(third, NoSound(zip, sound), new ArchiveTarget(Ann)));
        Assert.Contains(sound, noise.Message, StringComparison.Ordinal);
        Assert.Contains(await ImportAsync(_to, With(zip, other, "no sound"), new ArchiveTarget("carol")),
            count => count is { Name: "recordings", Imported: 0, Known: 1, LeftOut: 1 });
        await Assert.ThrowsAsync<FlywheelException>(() => ImportAsync(third, With(zip, "terms.jsonl", "{}"), new ArchiveTarget(Ann)));
        Assert.Empty(Recordings.In(third.Home).Names());
    }

    /// <summary>Each person's takes stay theirs; a dictionary that no page could read stays behind.</summary>
    [Fact]
    public async Task Workspace_WithVoiceProjectsOfSeveral_GivesEachTheirTakes()
    {
        foreach (string person in (string[])[Ann, "ben"])
        {
            string take = Recordings.In(_from.Home).AddTake(
                new Clip([.. Enumerable.Range(0, 4000).Select(i => (float)Math.Sin(i * (person == Ann ? .2 : .3)) / 2)], 16_000), person);
            var project = new VoiceProject
            {
                Name = person,
                Lines = [new VoiceLine { Id = "1", Text = "Hello.", Take = take,
                    Takes = [new VoiceTake(take, .25, "Hello.", new VoiceSettings()) { IsRecorded = true, Pieces = [take] }] }],
            };
            await new Documents(_from, _time).PutAsync(Guid.NewGuid(), person, VoiceProjects.App, VoiceProjects.Kind, person,
                project.ToJson());
        }
        await new Documents(_from, _time).PutAsync(VoiceDictionaries.TeamId, VoiceDictionaries.Team, VoiceProjects.App,
            VoiceDictionaries.Kind, "", "[null]");
        using var zip = new MemoryStream();
        await new Archives(_from, _time).ExportWorkspaceAsync(WorkspaceRow.Default, zip);
        IReadOnlyList<ArchiveCount> counts = await ImportAsync(_to, zip.ToArray(),
            new ArchiveTarget("carol") { People = new Dictionary<string, string> { ["ben"] = "ben.ito" } });
        Assert.Equal([new ArchiveCount("documents") { Imported = 2, Damaged = 1 }, new ArchiveCount("recordings") { Imported = 2 }],
            counts);
        foreach (string person in (string[])["carol", "ben.ito"])
        {
            Document document = Assert.Single(await new Documents(_to, _time).ListAsync(person, VoiceProjects.App, VoiceProjects.Kind));
            VoiceProject project = VoiceProject.Parse(document.Body, "project");
            Assert.Single(Recordings.In(_to.Home).Own(project, person).Lines[0].Takes);
            Assert.True(Recordings.In(_to.Home).IsOf(project.Lines[0].Take!, person));
        }
    }

    [Fact]
    public async Task Workspace_ExportedAndImported_BecomesWhoseIsSaid()
    {
        await FillAsync(_from, Ann, 8);
        await FillAsync(_from, "ben", 9);
        using var zip = new MemoryStream();
        await new Archives(_from, _time).ExportWorkspaceAsync(WorkspaceRow.Default, zip);
        await new Workspaces(_to, _time).CreateAsync("acme", "Acme");
        IReadOnlyList<ArchiveCount> counts = await ImportAsync(_to, zip.ToArray(),
            new ArchiveTarget("carol", "acme") { People = new Dictionary<string, string> { ["ben"] = "dan" } });
        Assert.All(counts, count => Assert.True(count.Imported > 0));
        await using FlywheelDb db = _to.AllTables();
        Assert.Equal(["carol", "dan"], (await db.Documents.Select(row => row.User).Distinct().ToListAsync()).Order());
        Assert.Equal(["acme"], await db.Documents.Select(row => row.Workspace).Distinct().ToListAsync());
        FlywheelException foreign =
            await Assert.ThrowsAsync<FlywheelException>(() =>
                ImportAsync(_to, Edited(zip.ToArray(), "feedback.jsonl", line => line["user"] = "eve"),
                    new ArchiveTarget("carol", "acme")));
        Assert.Contains("feedback.jsonl line 1: user is 'eve', expected one of the people", foreign.Message, StringComparison.Ordinal);
    }

    private async Task<FlywheelStore> OpenAsync(string name)
    {
        FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder[name]), _time);
        _stores.Add(store);
        return store;
    }

    private async Task<byte[]> ExportAsync(FlywheelStore store, string person)
    {
        using var zip = new MemoryStream();
        await new Archives(store, _time).ExportAsync(person, zip);
        return zip.ToArray();
    }

    private async Task<IReadOnlyList<ArchiveCount>> ImportAsync(FlywheelStore store, byte[] zip, ArchiveTarget target) =>
        await new Archives(store, _time).ImportAsync(new MemoryStream(zip), "bad.zip", target);

    /// <summary>What an archive says of what is imported, a line each.</summary>
    private static string[] Lines(byte[] zip, bool ids = true)
    {
        using var read = new ZipArchive(new MemoryStream(zip));
        string[] kinds = ["generations", "feedback", "documents", "document-versions", "chats", "chat-messages", "translations", "terms"];
        IEnumerable<string> lines =
            kinds.SelectMany(kind =>
                new StreamReader(read.GetEntry($"{kind}.jsonl")!.Open()).ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)
                    .Select(line => $"{kind} {line}"));
        return ids
            ? [.. lines.Order(StringComparer.Ordinal)] : [.. lines.Select(line => Id().Replace(line, "*")).Order(StringComparer.Ordinal)];
    }

    private static byte[] NoSound(byte[] zip, string name)
    {
        using var changed = new MemoryStream();
        changed.Write(zip);
        using (var archive = new ZipArchive(changed, ZipArchiveMode.Update, leaveOpen: true))
        {
            archive.GetEntry(name)!.Delete();
            using Stream to = archive.CreateEntry(name).Open();
            to.Write("no sound"u8);
        }
        return Relisted(changed.ToArray());
    }

    /// <summary>As whoever forges an archive does it: the list says what is in it, whatever that is.</summary>
    private static byte[] Relisted(byte[] zip)
    {
        using var made = new MemoryStream();
        using (var read = new ZipArchive(new MemoryStream(zip)))
        using (var write = new ZipArchive(made, ZipArchiveMode.Create, leaveOpen: true))
        {
            var files = new JsonObject();
            foreach (ZipArchiveEntry entry in read.Entries.OrderBy(entry => entry.FullName == "manifest.json"))
            {
                using var bytes = new MemoryStream();
                using (Stream from = entry.Open()) from.CopyTo(bytes);
                if (entry.FullName != "manifest.json")
                    files[entry.FullName] = Convert.ToHexStringLower(SHA256.HashData(bytes.ToArray()));
                else if (JsonNode.Parse(bytes.ToArray()) is JsonObject manifest && manifest.Remove("files"))
                {
                    manifest["files"] = files;
                    bytes.SetLength(0);
                    bytes.Write(Encoding.UTF8.GetBytes(manifest.ToJsonString()));
                }
                using Stream to = write.CreateEntry(entry.FullName).Open();
                to.Write(bytes.ToArray());
            }
        }
        return made.ToArray();
    }

    private static byte[] With(byte[] zip, string name, string? text) =>
        Rewritten(zip, (entry, said) => entry == name ? null : said, text is null ? null : (name, text));

    private static byte[] Edited(byte[] zip, string name, Action<JsonObject> change) => Rewritten(zip, (entry, said) =>
    {
        if (entry != name) return said;
        string[] lines = said.Split('\n');
        JsonObject first = JsonNode.Parse(lines[0])!.AsObject();
        change(first);
        return string.Join('\n', [first.ToJsonString(), .. lines[1..]]);
    }, null);

    private static byte[] Twice(byte[] zip, string name) => Rewritten(zip, (_, said) => said, (name, ""));

    private static byte[] Rewritten(byte[] zip, Func<string, string, string?> change, (string Name, string Text)? more,
        bool relists = true)
    {
        using var made = new MemoryStream();
        using (var read = new ZipArchive(new MemoryStream(zip)))
        using (var write = new ZipArchive(made, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (ZipArchiveEntry entry in read.Entries)
            {
                using var bytes = new MemoryStream();
                using (Stream from = entry.Open()) from.CopyTo(bytes);
                bool isSound = entry.FullName.EndsWith(".wav", StringComparison.Ordinal);
                string? said = isSound ? "" : change(entry.FullName, Encoding.UTF8.GetString(bytes.ToArray()));
                if (said is null) continue;
                using Stream to = write.CreateEntry(entry.FullName).Open();
                to.Write(isSound ? bytes.ToArray() : Encoding.UTF8.GetBytes(said));
            }
            if (more is { } one)
            {
                using Stream to = write.CreateEntry(one.Name).Open();
                to.Write(Encoding.UTF8.GetBytes(one.Text));
            }
        }
        return relists ? Relisted(made.ToArray()) : made.ToArray();
    }

    /// <summary>Something of each kind, as the pages leave it: drafts that were kept, edited and taken back, texts with versions, a chat
    /// with branches, pairs and terms.</summary>
    private async Task FillAsync(FlywheelStore store, string person, int seed)
    {
        var random = new Random(seed);
        string Words() =>
            string.Join(' ',
                Enumerable.Range(0, random.Next(1, 9)).Select(_ => (string[])["word", "слово", "词", "a\"b\\c", "<i>", "\u2028", "🎈"])
                    .Select(words => words[random.Next(7)]));
        Guid Id() => new([.. Enumerable.Range(0, 16).Select(_ => (byte)random.Next(256))]);
        DateTimeOffset Moment() => _time.GetUtcNow().AddMilliseconds(-random.Next(1_000_000));
        await using FlywheelDb db = store.AllTables();
        for (int i = 0; i < 3 + random.Next(4); i++)
        {
            Guid group = Id();
            for (int choice = 0; choice < 2; choice++)
            {
                Guid id = Id();
                db.Generations.Add(new Generation
                {
                    Id = id, Group = group, Choice = choice, Time = Moment(), App = Briefs.App, User = person,
                    ModelHash = new string('a', 64), FinishReason = random.Next(2) == 0 ? FinishReason.Stop : FinishReason.Length,
                    NumPromptTokens = 7, NumTokens = 3,
                    Payload = new GenerationPayload { GenerationId = id, Conversation = new Conversation([Message.User(Words())]),
                        Text = Words(), PromptTokens = [1, 2], Tokens = [3], Logprobs = [-1], SamplerLogprobs = [-1],
                        Sampler = new SamplerOptions() },
                });
                await db.SaveChangesAsync();
                FeedbackReceipt said =
                    await store.AddFeedbackAsync(new FeedbackInput(id, choice == 0 ? Metrics.Keep : Metrics.Demonstration,
                        choice == 0 ? true : Words(), person, new JsonObject { ["of"] = id.ToString() }));
                if (random.Next(3) == 0) await store.AddFeedbackAsync(new FeedbackInput(id, Metrics.Retract, said.Id.ToString(), person));
                var kept = new KeptText { Text = Words(), Kind = "product", Name = Words(), Brief = Guid.Empty, Generation = id,
                    Feedback = said.Id, Asked = Words() };
                Put(id, Briefs.TextKind, kept.ToJson(), (kept with { Text = Words() }).ToJson());
            }
        }
        Put(Id(), Briefs.BriefKind, new BriefBody { Fields = new BriefFields() }.ToJson());
        Put(Id(), Briefs.VoiceKind, new BrandVoice().ToJson());
        for (int i = 0; i < 2; i++)
        {
            Guid chat = Id(), first = Id(), second = Id(), branch = Id();
            db.Conversations.Add(new ConversationRow { Id = chat, Workspace = WorkspaceRow.Default, User = person, App = "chat",
                Title = Words(), Leaf = second, Created = Moment(), Updated = Moment() });
            DateTimeOffset at = Moment(); // a question and its answer may come in one millisecond
            foreach ((Guid id, Guid? parent, string role) in new[] { (first, (Guid?)null, "user"), (second, first, "assistant"),
                (branch, first, "assistant") })
                db.ConversationMessages.Add(new ConversationMessage { Id = id, ConversationId = chat, ParentId = parent, Time = at,
                    Body = new JsonObject { ["role"] = role, ["content"] = Words() }.ToJsonString(JsonText.Compact) });
        }
        for (int i = 0; i < 4; i++)
        {
            db.TranslationUnits.Add(new TranslationUnit { Id = Id(), Workspace = WorkspaceRow.Default, User = person, SourceLanguage = "en",
                TargetLanguage = "pt-BR", Source = $"{Words()} {i}", Target = Words(), Created = Moment(), Updated = Moment() });
            db.Terms.Add(new TermRow { Id = Id(), Workspace = WorkspaceRow.Default, User = person, SourceLanguage = "en",
                TargetLanguage = "fr", Source = $"term {(person == Ann ? "" : person)}{i}".Trim(), Target = "mot", Forbidden = "",
                Created = Moment(), Updated = Moment() });
        }
        await db.SaveChangesAsync();

        void Put(Guid id, string kind, params string[] bodies)
        {
            db.Documents.Add(new DocumentRow { Id = id, Workspace = WorkspaceRow.Default, User = person, App = Briefs.App, Kind = kind,
                Title = Words(), Folder = "a/b", Tags = "x\ny", Version = bodies.Length, Created = Moment(), Updated = Moment(),
                Deleted = random.Next(4) == 0 ? Moment() : null });
            for (int i = 0; i < bodies.Length; i++)
                db.DocumentVersions.Add(new DocumentVersion { DocumentId = id, Number = i + 1, Time = Moment(), User = person,
                    Body = bodies[i] });
        }
    }

    [GeneratedRegex("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")]
    private static partial Regex Id();
}
