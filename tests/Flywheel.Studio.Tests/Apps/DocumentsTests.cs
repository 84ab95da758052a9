using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Write;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests.Apps;

/// <summary>What a person keeps stays: two writers, another person, versions, the bin, a new start.</summary>
public sealed class DocumentsTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly ManualTime _time = new();
    private FlywheelStore _store = null!;
    private Documents _documents = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]), _time);
        _documents = new Documents(_store, _time);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Change_ManyAtOnce_LosesNone()
    {
        Guid id = (await NewAsync("")).Id;
        await Task.WhenAll(Enumerable.Range(0, 40).Select(i => _documents.ChangeAsync(id, "ann", document =>
        {
            document.Body += (char)('a' + i % 26);
            return true;
        })));
        Assert.Equal(Enumerable.Range(0, 40).Select(i => (char)('a' + i % 26)).Order(),
            (await _documents.FindAsync(id, "ann"))!.Body.Order());
    }

    /// <summary>An address may be copied from one workspace into another: what is begun there is another brief.</summary>
    [Fact]
    public async Task Add_OfAnIdThatAnotherWorkspaceHas_IsPassedOver()
    {
        Guid id = (await NewAsync("the home's")).Id;
        Assert.Null(await AddAsync("acme"));
        Assert.Equal("the home's", (await _documents.FindAsync(id, "ann"))!.Body);

        async Task<Document?> AddAsync(string workspace)
        {
            Actor.Enter(workspace);
            return await _documents.AddAsync(id, "ann", Briefs.App, Briefs.BriefKind, "", "acme's");
        }
    }

    [Fact]
    public async Task Find_AnotherPersonsId_IsNotThere()
    {
        Guid id = (await NewAsync("secret")).Id;
        Assert.Null(await _documents.FindAsync(id, "bob"));
        Assert.Null(await _documents.ChangeAsync(id, "bob", document => { document.Body = "stolen"; return true; }));
        Assert.Null(await _documents.DeleteAsync(id, "bob"));
        Assert.Empty(await _documents.VersionsAsync(id, "bob"));
        await Assert.ThrowsAsync<InvalidOperationException>(() => _documents.PutAsync(id, "bob", "write", "text", "", "stolen"));
        Assert.Equal("secret", (await _documents.FindAsync(id, "ann"))!.Body);
    }

    [Fact]
    public async Task Change_AfterAWhile_KeepsWhatWasAsAVersion()
    {
        Guid id = (await NewAsync("one")).Id;
        await SayAsync(id, "one and a half");
        Assert.Single(await _documents.VersionsAsync(id, "ann"));
        _time.Advance(Documents.VersionAfter + TimeSpan.FromSeconds(1));
        await SayAsync(id, "two");
        Assert.Equal(["two", "one and a half"], (await _documents.VersionsAsync(id, "ann")).Select(version => version.Body));
    }

    [Fact]
    public async Task Delete_AndUndo_LeavesItAsItWas()
    {
        Guid id = (await NewAsync("text")).Id;
        await _documents.DeleteAsync(id, "ann");
        Assert.Empty(await _documents.ListAsync("ann", "write", "text"));
        Assert.Single(await _documents.ListAsync("ann", "write", "text", deleted: true));
        await _documents.DeleteAsync(id, "ann", deleted: false);
        Assert.Equal("text", Assert.Single(await _documents.ListAsync("ann", "write", "text")).Body);
    }

    [Fact]
    public async Task SaveField_OverAnotherWindowsText_TellsItAndChangesNothing()
    {
        var briefs = new Briefs(_documents, _store, _time);
        Guid id = await briefs.CreateAsync(Guid.NewGuid(), "ann", new BriefFields());
        Assert.Null(await briefs.SaveFieldAsync(id, "ann", "name", "Quill", ""));
        Assert.Null(await briefs.SaveFieldAsync(id, "ann", "facts", "writes novels", "")); // another field is no conflict
        Assert.Equal("Quill", await briefs.SaveFieldAsync(id, "ann", "name", "Feather", ""));
        BriefBody body = (await briefs.FindAsync(id, "ann"))!.Value.Body;
        Assert.Equal(("Quill", "writes novels"), (body.Fields.Name, body.Fields.Facts));
        Assert.Null(await briefs.SaveFieldAsync(id, "ann", "name", "Feather", "Quill"));
    }

    [Fact]
    public async Task Create_OfABriefThatIsThere_LeavesItAsItIsAndNeverTakesAnothersId()
    {
        var briefs = new Briefs(_documents, _store, _time);
        var id = Guid.CreateVersion7();
        Guid[] both = await Task.WhenAll(briefs.CreateAsync(id, "ann", new BriefFields()),
            briefs.CreateAsync(id, "ann", new BriefFields()));
        Assert.Equal([id, id], both);
        Assert.Null(await briefs.SaveFieldAsync(id, "ann", "name", "Quill", ""));
        Assert.Equal(id, await briefs.CreateAsync(id, "ann", new BriefFields()));
        Assert.Equal("Quill", Assert.Single(await briefs.ListAsync("ann")).Body.Fields.Name);

        Guid others = await briefs.CreateAsync(id, "bob", new BriefFields());
        Assert.NotEqual(id, others);
        Guid text = (await NewAsync("a kept text")).Id;
        Assert.NotEqual(text, await briefs.CreateAsync(text, "ann", new BriefFields()));
        Assert.Equal("a kept text", (await _documents.FindAsync(text, "ann"))!.Body);
    }

    [Fact]
    public async Task Store_OpenedAgain_HasWhatWasSaved()
    {
        Guid id = (await NewAsync("<script>alert(1)</script> 轮 \0 \ud83d\ude00")).Id;
        await _store.DisposeAsync();
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]), _time);
        Assert.Equal("<script>alert(1)</script> 轮 \0 \ud83d\ude00", (await new Documents(_store, _time).FindAsync(id, "ann"))!.Body);
    }

    private Task<Document> NewAsync(string body) => _documents.PutAsync(Guid.CreateVersion7(), "ann", "write", "text", "", body);

    private Task SayAsync(Guid id, string body) => _documents.ChangeAsync(id, "ann", document =>
    {
        document.Body = body;
        return true;
    });

    private sealed class ManualTime : TimeProvider
    {
        private DateTimeOffset _now = new(2026, 11, 29, 12, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => _now;

        public void Advance(TimeSpan by) => _now += by;
    }
}
