using Flywheel.Loop.Jobs;
using Flywheel.Loop.Reviews;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;

namespace Flywheel.Loop.Tests;

public sealed class SqliteWorkspaceTests() : WorkspaceTests(Provider.Sqlite);

public sealed class PostgresWorkspaceTests() : WorkspaceTests(Provider.Postgres);

/// <summary>What is done in a workspace is seen in it alone.</summary>
public abstract class WorkspaceTests(Provider provider) : IAsyncLifetime
{
    /// <summary>What has a workspace and is seen from all of them: models and their making are the home's, and a turn keeps others from
    /// beginning; keys and people are looked after by owners.</summary>
    private static readonly Type[] s_ofTheHome =
        [typeof(ModelRow), typeof(RunRow), typeof(DatasetRow), typeof(TurnRow), typeof(KeyRow), typeof(MemberRow)];

    private readonly TestRecord _record = new(provider);
    private FlywheelStore _store = null!;

    public async ValueTask InitializeAsync() => _store = await FlywheelStore.OpenAsync(await _record.HomeAsync());

    public async ValueTask DisposeAsync()
    {
        if (_store is not null) await _store.DisposeAsync();
        _record.Dispose();
    }

    /// <summary>Not a list that somebody must keep: a table with a workspace is filtered, or said to be the home's.</summary>
    [Fact]
    public void Model_EachTableWithAWorkspace_IsFilteredByIt()
    {
        using FlywheelDb db = _store.Tables();
        IEntityType[] apart = [.. db.Model.GetEntityTypes().Where(type => type.FindProperty("Workspace") is not null)];
        Assert.True(apart.Length > 10);
        Assert.Equal([.. s_ofTheHome.Select(type => type.Name).Order()],
            apart.Where(type => type.GetDeclaredQueryFilters().Count == 0).Select(type => type.ClrType.Name).Order());
    }

    [Fact]
    public async Task Rows_OfTwoWorkspaces_AreSeenInTheirsAlone()
    {
        var workspaces = new Workspaces(_store, TimeProvider.System);
        foreach (string id in new[] { "acme", "blue" })
        {
            await workspaces.CreateAsync(id, id);
            await workspaces.ChangeAsync(id, trainsShared: true); // else nothing of it comes before a reviewer
        }
        await Task.WhenAll(FillAsync("acme"), FillAsync("blue"), FillAsync(WorkspaceRow.Default));
        foreach (string workspace in new[] { "acme", "blue", WorkspaceRow.Default })
            await InAsync(workspace, async () =>
            {
                await using FlywheelDb db = _store.Tables();
                Assert.Equal([workspace], await db.Generations.Select(row => row.Workspace).ToListAsync());
                Assert.Equal([workspace], await db.Feedback.Select(row => row.Workspace).ToListAsync());
                Assert.Equal([workspace], await db.Documents.Select(row => row.Workspace).ToListAsync());
                Assert.Equal([workspace], await db.Answers.Select(row => row.Workspace).ToListAsync());
                Assert.Equal([workspace], await db.Terms.Select(row => row.Workspace).ToListAsync());
                Assert.Equal([workspace], (await _store.RecentGenerationsAsync(10)).Select(row => row.Workspace));
                Assert.Equal(["nothing", "teach", "teach", "teach"],
                    (await new JobQueue(_store).ListAsync()).Select(job => job.Kind).Order());
                Assert.Equal((1L, 1L), ((await _store.CountAsync()).Generations, (await _store.CountAsync()).Feedback));
                Assert.Single((await new ReviewQueue(_store).ListAsync(new ReviewFilter())).Items);
                return 0;
            });
        await using FlywheelDb all = _store.Tables();
        Assert.Equal(["acme", "blue", "default"], await all.Generations.Select(row => row.Workspace).Order().ToListAsync());
        await InAsync("acme", async () =>
        {
            await using FlywheelDb home = _store.AllTables(); // turns look at all of the home, whoever asks for one
            Assert.Equal(3, await home.Generations.CountAsync());
            return 0;
        });
    }

    [Fact]
    public async Task Save_IntoAnotherWorkspace_IsRefused()
    {
        Exception? refused = await InAsync<Exception?>("acme", async () => await Record.ExceptionAsync(async () =>
        {
            await using FlywheelDb db = _store.Tables();
            db.Documents.Add(new DocumentRow { Id = Guid.NewGuid(), User = "ann", App = "write", Kind = "brief", Created = Given.Monday,
                Updated = Given.Monday, Workspace = "blue" });
            await db.SaveChangesAsync();
        }));
        Assert.Contains("'blue'", Assert.IsType<InvalidOperationException>(refused).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Enter_InACall_LeavesItsCallerWhereItWas()
    {
        await InAsync("acme", async () =>
        {
            await InAsync("blue", () => Task.FromResult(Actor.Workspace));
            Assert.Equal("acme", Actor.Workspace);
            return 0;
        });
        Assert.Null(Actor.Workspace);
    }

    /// <summary>A workspace that does not train the shared model gives no example, and the reason can be asked; nor does what is said from
    /// elsewhere.</summary>
    [Fact]
    public async Task Curation_OfWorkspacesThatKeepToThemselves_LearnsNothingFromThem()
    {
        var workspaces = new Workspaces(_store, TimeProvider.System);
        foreach (string id in new[] { "acme", "blue" }) await workspaces.CreateAsync(id, id);
        await workspaces.ChangeAsync("blue", trainsShared: true);
        Dictionary<string, Guid> kept = [];
        foreach (string workspace in new[] { "acme", "blue", WorkspaceRow.Default }) kept[workspace] = await FillAsync(workspace);
        await InAsync("blue", () => _store.AddFeedbackAsync(new FeedbackInput(kept["default"], Metrics.Keep, true, "eve")));

        await using FlywheelDb db = _store.AllTables();
        FeedbackIntake intake = await FeedbackReader.ReadAsync(db, new(), withTokens: false, CancellationToken.None);
        IReadOnlyList<CuratedExample> rows = Curator.Curate(intake.Shown, intake.Feedback, new(1, _ => true));
        Assert.Equal([("acme", DropReasons.NotShared), ("blue", null), ("default", null), ("default", DropReasons.OtherWorkspace)],
            rows.Select(row => (row.Workspace, row.Drop)).Order());
        Assert.Equal("workspace_not_shared", DropReasons.CodeOf(DropReasons.NotShared));
    }

    /// <summary>A turn that is done again, because somebody is forgotten, learns what it might learn when it was done: a yes or no of later
    /// changes nothing.</summary>
    [Fact]
    public async Task Curation_OfATurnAgain_HoldsToWhatWorkspacesSaidThen()
    {
        var workspaces = new Workspaces(_store, TimeProvider.System);
        foreach (string id in new[] { "acme", "blue" }) await workspaces.CreateAsync(id, id);
        await workspaces.ChangeAsync("blue", trainsShared: true);
        foreach (string workspace in new[] { "acme", "blue", WorkspaceRow.Default }) await FillAsync(workspace);
        await using FlywheelDb db = _store.AllTables();
        FeedbackIntake intake = await FeedbackReader.ReadAsync(db, new(), withTokens: false, CancellationToken.None);
        CuratedDataset dataset = Curate(intake);
        TurnRow turn = await new TurnLedger(_store, TimeProvider.System).BeginAsync(new ModelRow { Hash = Given.Champion, Path = "m" }, "",
            dataset, intake, CancellationToken.None);

        await workspaces.ChangeAsync("acme", trainsShared: true);
        await workspaces.ChangeAsync("blue", trainsShared: false);
        FeedbackIntake again = await FeedbackReader.AgainAsync(db, turn, withTokens: false, CancellationToken.None);

        Assert.Equal([("acme", false), ("blue", true), ("default", true)],
            again.Shown.Select(answer => (answer.Workspace, answer.IsShared)).Order());
        Assert.Equal(dataset.Hash, Curate(again).Hash);

        static CuratedDataset Curate(FeedbackIntake intake) =>
            CuratedDataset.Create(Curator.Curate(intake.Shown, intake.Feedback, new(1, _ => true)), Given.Split());
    }

    /// <summary>The same of upstreams' answers: one that a licence barred then, and that stood beside what was kept, is not the worse of a
    /// pair today.</summary>
    [Fact]
    public async Task Curation_OfATurnAgain_HoldsToWhatLicencesSaidThen()
    {
        static Upstreams Licences(params string[] permitting) => new()
        {
            All = [.. new[] { "open",
                "closed" }.Select(name => new Upstream { Name = name, BaseUrl = "http://localhost/v1", Model = "m",
                    MayTrain = permitting.Contains(name) })],
        };
        foreach ((int request, string? kept) in new string?[] { null, "open", "closed" }.Index())
        {
            var group = Guid.NewGuid();
            foreach ((int choice, string? upstream) in new[] { null, "open", "closed" }.Index())
            {
                Generation answer = Given.Generation(Guid.NewGuid(), group, $"person {request}", $"A text {request} by {upstream ?? "us"}.",
                    $"Write a tagline.\nName: {request}", choice, upstream: upstream);
                await _store.RecordAsync(answer);
                if (upstream == kept) await _store.AddFeedbackAsync(new FeedbackInput(answer.Id, Metrics.Keep, true, $"person {request}"));
            }
        }
        await using FlywheelDb db = _store.AllTables();
        FeedbackIntake intake = await FeedbackReader.ReadAsync(db, Licences("open"), withTokens: false, CancellationToken.None);
        CuratedDataset dataset = Curate(intake);
        Assert.Equal((3, 1), (dataset.Rows.Count(row => row.Kind == ExampleKind.Preference || row.Drop is not null),
            dataset.Rows.Count(row => row.Drop == DropReasons.NoLicence)));
        TurnRow turn = await new TurnLedger(_store, TimeProvider.System).BeginAsync(new ModelRow { Hash = Given.Champion, Path = "m" }, "",
            dataset, intake, CancellationToken.None);
        Assert.NotEqual(dataset.Hash,
            Curate(await FeedbackReader.ReadAsync(db, Licences("closed"), withTokens: false, CancellationToken.None)).Hash);

        FeedbackIntake again = await FeedbackReader.AgainAsync(db, turn, withTokens: false, CancellationToken.None);

        Assert.Equal(dataset.Hash, Curate(again).Hash);
        Assert.Equal(dataset.Rows.Select(Row).Order(), Curate(again).Rows.Select(Row).Order());

        static CuratedDataset Curate(FeedbackIntake intake) =>
            CuratedDataset.Create(Curator.Curate(intake.Shown, intake.Feedback, new(1, _ => true)), Given.Split());
        static string Row(CuratedExample row) => $"{row.Kind} {row.GenerationId} {row.RejectedId} {row.Drop}";
    }

    [Fact]
    public async Task Roles_InWorkspaces_AreWhatOwnersGave()
    {
        var workspaces = new Workspaces(_store, TimeProvider.System);
        AccountRow owner = await AddAsync("ann", AccountRole.Owner), editor = await AddAsync("ben", AccountRole.Editor),
            guest = await AddAsync("cy", AccountRole.Guest);
        Assert.Equal("copy-team", (await workspaces.CreateAsync(null, " Copy Team! ")).Id);
        Assert.Equal("team", (await workspaces.CreateAsync(null, "文案组")).Id);
        await workspaces.PutAsync("copy-team", guest.Id, AccountRole.Viewer);
        await workspaces.PutAsync("copy-team", guest.Id, AccountRole.Editor);
        Assert.Equal((AccountRole.Owner, null, AccountRole.Editor),
            (await workspaces.RoleAsync(owner, "copy-team"), await workspaces.RoleAsync(editor, "copy-team"),
                await workspaces.RoleAsync(guest, "copy-team")));
        Assert.Equal((AccountRole.Owner, AccountRole.Editor, null),
            (await workspaces.RoleAsync(owner, "default"), await workspaces.RoleAsync(editor, "default"),
                await workspaces.RoleAsync(guest, "default")));
        Assert.Equal((3, 1, 1), ((await workspaces.OfAsync(owner)).Count, (await workspaces.OfAsync(editor)).Count,
            (await workspaces.OfAsync(guest)).Count));
        await workspaces.ChangeAsync("copy-team", archived: true);
        Assert.Equal((null, null), (await workspaces.RoleAsync(owner, "copy-team"), await workspaces.RoleAsync(guest, "copy-team")));
        await workspaces.ChangeAsync("copy-team", archived: false, name: "Copy");
        Assert.Equal("cy", Assert.Single(await workspaces.MembersAsync("copy-team")).Account.Name);
        await workspaces.PutAsync("copy-team", guest.Id, null);
        Assert.Empty(await workspaces.OfAsync(guest));

        foreach ((Func<Task> act, string says) in new (Func<Task>, string)[]
        {
            (() => workspaces.CreateAsync("Copy", "x"), "a-z"), (() => workspaces.CreateAsync("a/../b", "x"), "a-z"),
            (() => workspaces.CreateAsync("copy-team", "x"), "already"), (() => workspaces.CreateAsync("x", " "), "name"),
            (() => workspaces.ChangeAsync("default", archived: true), "default"),
            (() => workspaces.PutAsync("default", guest.Id, AccountRole.Viewer), "default"),
            (() => workspaces.PutAsync("nowhere", guest.Id, AccountRole.Viewer), "nowhere"),
            (() => workspaces.PutAsync("team", Guid.Empty, AccountRole.Viewer), "no account"),
            (() => workspaces.PutAsync("team", guest.Id, AccountRole.Owner), "owner"),
        }) Assert.Contains(says, (await Assert.ThrowsAsync<FlywheelException>(act)).Message, StringComparison.Ordinal);
        Assert.Null(await workspaces.ChangeAsync("nowhere", name: "x"));
    }

    private async Task<AccountRow> AddAsync(string name, AccountRole role)
    {
        var row = new AccountRow { Id = Guid.NewGuid(), Name = name, NormalizedName = name.ToUpperInvariant(), DisplayName = name,
            User = Guid.NewGuid().ToString(), Role = role, Created = Given.Monday };
        await using FlywheelDb db = _store.Tables();
        db.Accounts.Add(row);
        await db.SaveChangesAsync();
        return row;
    }

    /// <returns>The answer that was kept.</returns>
    private Task<Guid> FillAsync(string workspace) => InAsync(workspace, async () =>
    {
        Generation answer = Given.Generation(user: $"person of {workspace}", text: $"Draw anything in {workspace}, fast.");
        await _store.RecordAsync(answer);
        await _store.AddFeedbackAsync(new FeedbackInput(answer.Id, Metrics.Keep, true, $"person of {workspace}"));
        await _store.KeepAnswerAsync(new StoredAnswer { Id = Guid.NewGuid(), Kind = StoredAnswer.Chat, Time = Given.Monday, Model = "m",
            Input = "[]", Answer = "{}" });
        await using FlywheelDb db = _store.Tables();
        db.Documents.Add(new DocumentRow { Id = Guid.NewGuid(), User = "ann", App = "write", Kind = "brief", Created = Given.Monday,
            Updated = Given.Monday });
        await db.SaveChangesAsync();
        await new Glossary(_store, TimeProvider.System).PutAsync(new LanguagePair(workspace, "en", "de"), "ann",
            new TermInput("word", workspace));
        var queue = new JobQueue(_store);
        await queue.EnqueueAsync("nothing", "{}", "ann");
        await queue.EnqueueAsync("teach", "{}", "ann");
        return answer.Id;
    });

    private static async Task<T> InAsync<T>(string workspace, Func<Task<T>> act)
    {
        Actor.Enter(workspace);
        return await act();
    }
}
