using System.IO.Compression;
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
        Assert.Equal(0, (await _to.CountAsync()).Generations);
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
            (With(good, "manifest.json", """{"flywheel_archive": 2}"""), "flywheel_archive is 2, expected 1; a newer"),
            (With(good, "manifest.json",
                """{"flywheel_archive": 1, "scope": "home", "created": "2026-11-30T00:00:00Z", "people": [{"user": "ann"}]}"""),
                "scope is 'home'"),
            (With(good, "feedback.jsonl", "{not JSON}"), "feedback.jsonl line 1"),
            (With(good, "terms.jsonl", """{"id": "00000000-0000-0000-0000-000000000001"}"""), "terms.jsonl line 1"),
            (Edited(good, "documents.jsonl", line => line["user"] = "ben"), "documents.jsonl line 1: user is 'ben'"),
            (Edited(good, "generations.jsonl", line => line["workspace"] = "acme"), "generations.jsonl line 1"),
            (Edited(good, "generations.jsonl", line => line["conversation"] = "{}"), "generations.jsonl line 1: conversation"),
            (Edited(good, "generations.jsonl", line => line["finish"] = 7), "generations.jsonl line 1"),
            (Edited(good, "feedback.jsonl", line => line["source"] = "referee"), "feedback.jsonl line 1: source is 'referee'"),
            (Edited(good, "feedback.jsonl", line => line["value"] = "\"yes"), "feedback.jsonl line 1"),
            (Edited(good, "documents.jsonl", line => line["version"] = 9), "documents.jsonl line 1: version is 9"),
            (Edited(good, "document-versions.jsonl", line => line["body"] = "null"), "document-versions.jsonl line 1: body"),
            (Edited(good, "document-versions.jsonl", line => line["body"] = "[]"), "document-versions.jsonl line 1: body"),
            (Edited(good, "document-versions.jsonl", line => line["document"] = Guid.NewGuid()),
                "document-versions.jsonl line 1: document"),
            (Edited(good, "chat-messages.jsonl", line => line["parent"] = (string)line["id"]!), "chat-messages.jsonl line 1: parent"),
            (Edited(good, "chat-messages.jsonl", line => line["body"] = "[]"), "chat-messages.jsonl line 1: body"),
            (Edited(good, "chats.jsonl", line => line["leaf"] = Guid.NewGuid()), "chats.jsonl line 1: leaf"),
            (Edited(good, "translations.jsonl", line => line["from"] = "../en"), "translations.jsonl line 1: language"),
            (Edited(good, "terms.jsonl", line => line["source"] = "two\nlines"), "terms.jsonl line 1"),
            (Twice(good, "terms.jsonl"), "'terms.jsonl' twice"),
            (With(good, "recordings/" + new string('0', 64) + ".take.wav", "no sound"), "recordings/" + new string('0', 64) + ".take.wav"),
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
            for (int n = 0; n < 3; n++) damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                using ArchiveFile file = await ArchiveFile.OpenAsync(new MemoryStream(damaged), "bad.zip");
                await ImportAsync(_to, damaged, new ArchiveTarget($"w-{i}"));
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

        // What cannot be imported leaves no sound behind.
        FlywheelStore third = await OpenAsync("third");
        await Assert.ThrowsAsync<FlywheelException>(() => ImportAsync(third, With(zip, "terms.jsonl", "{}"), new ArchiveTarget(Ann)));
        Assert.Empty(Recordings.In(third.Home).Names());
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

    private static byte[] Rewritten(byte[] zip, Func<string, string, string?> change, (string Name, string Text)? more)
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
        return made.ToArray();
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
