using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>Turns of a workspace's own: what they read, what they change, and the ways back.</summary>
public sealed class WorkspaceTurnTests : IDisposable
{
    private const int People = 12;

    private readonly TempFolder _folder = new();

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Turn_OfAWorkspace_LearnsFromItAloneAndChangesWhatAnswersThere()
    {
        await using FlywheelStore store = await CreateAsync("home");
        string shared = (await store.ChampionAsync())!.Hash;

        TurnOutcome first = await TurnAsync(store, "acme");

        Assert.Equal((TurnState.Promoted, "acme", shared), (first.Turn.State, first.Turn.Workspace, first.Turn.Champion));
        Assert.All(first.Dataset.Rows, row => Assert.Equal("acme", row.Workspace));
        Assert.Equal(36, first.Dataset.Rows.Where(row => row.Kind == ExampleKind.Supervised).Count(row => row.Drop is null));
        foreach (string file in Directory.GetFiles(first.Dataset.FolderIn(store.Home), "*", SearchOption.AllDirectories))
            Assert.DoesNotContain("Zanzibar", await File.ReadAllTextAsync(file), StringComparison.Ordinal);
        ModelRow own = (await store.ChampionOfAsync("acme"))!;
        Assert.Equal((first.Turn.Candidate, shared), (own.Hash, own.Parent));
        foreach (string elsewhere in new[] { "blue", WorkspaceRow.Default })
            Assert.Equal(shared, (await store.ChampionOfAsync(elsewhere))!.Hash);
        Assert.Equal(shared, (await store.ChampionAsync())!.Hash);
        ModelFolder whole = ModelFolder.Open(store.FolderOf(own));
        Assert.Equal(shared, new ModelCatalog(store.Home).FindAdapter(whole.Manifest.Adapter!).Manifest.Parent);
        Assert.Equal(["acme"], (await store.OwnModelsAsync()).Values.Distinct());
        Assert.Contains("nothing has come in this workspace since turn 1",
            (await Assert.ThrowsAsync<FlywheelException>(() => TurnAsync(store, "acme"))).Message, StringComparison.Ordinal);

        // The shared model still learns nothing from it: the administrator has not said so.
        TurnPreview preview = await new TurnRunner(store).PreviewAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path);
        Assert.All(preview.Dataset.Rows.Where(row => row.Drop is null), row => Assert.Equal(WorkspaceRow.Default, row.Workspace));
        Assert.Contains(preview.Dataset.Rows, row => row is { Workspace: "acme", Drop: DropReasons.NotShared });
        await new Workspaces(store, TimeProvider.System).ChangeAsync("acme", trainsShared: true);
        preview = await new TurnRunner(store).PreviewAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path);
        Assert.Contains(preview.Dataset.Rows, row => row is { Workspace: "acme", Drop: null });
        Assert.DoesNotContain(preview.Dataset.Rows, row => row is { Workspace: "blue", Drop: null });

        // Each turn starts from the shared model again, and the next is compared with what answers there.
        await InAsync("acme", () => MiniLoop.AskMoreAsync(store, 20, -1, from: People));
        TurnOutcome second = await TurnAsync(store, "acme");
        Assert.Equal((own.Hash, shared), (second.Turn.Champion, (await store.ChampionOfAsync("acme"))!.Parent));
        Assert.Equal(second.Turn.Candidate, (await store.ChampionOfAsync("acme"))!.Hash);

        Assert.Equal(own.Hash, (await Rollback.RunInAsync(store, "acme", null, "by hand"))!.Hash);
        Assert.Equal(own.Hash, (await store.ChampionOfAsync("acme"))!.Hash);
        Assert.Equal(second.Turn.Candidate, (await Rollback.RunInAsync(store, "acme", second.Turn.Candidate![..12], "by hand"))!.Hash);
        Assert.Null(await Rollback.RunInAsync(store, "acme", Rollback.Shared, "by hand"));
        Assert.Equal(shared, (await store.ChampionOfAsync("acme"))!.Hash);
        foreach ((string workspace, string? to, string says) in new (string, string?, string)[]
        {
            ("acme", Rollback.Shared, "already"), ("acme", "ffff", "names no earlier model"), ("blue", null, "no model of its own"),
        })
            Assert.Contains(says, (await Assert.ThrowsAsync<FlywheelException>(() =>
                Rollback.RunInAsync(store, workspace, to, "by hand"))).Message, StringComparison.Ordinal);

        // Its history is its own.
        await Rollback.RunInAsync(store, "acme", null, "by hand");
        await using FlywheelDb db = store.AllTables();
        Assert.Equal(6, await db.WorkspaceReleases.CountAsync());
        Assert.Equal(0, await InAsync("blue", async () =>
        {
            await using FlywheelDb seen = store.Tables();
            return await seen.WorkspaceReleases.CountAsync();
        }));
    }

    [Fact]
    public async Task Turn_AnotherSharedModelServes_TheWorkspacesOwnAnswersNoMoreUntilItIsTaughtAgain()
    {
        await using FlywheelStore store = await CreateAsync("home");
        TurnOutcome first = await TurnAsync(store, "acme");
        string old = (await store.ChampionAsync())!.Hash;
        TurnOutcome sharedTurn = await new TurnRunner(store).RunAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path, force: true);
        Assert.Equal(sharedTurn.Turn.Candidate, (await store.ChampionOfAsync("acme"))!.Hash);

        TurnOutcome again = await TurnAsync(store, "acme"); // with nothing new: the model beneath is another

        Assert.Equal(sharedTurn.Turn.Candidate, (await store.ChampionOfAsync("acme"))!.Parent);
        Assert.NotEqual(first.Turn.Candidate, again.Turn.Candidate);
        Assert.Contains("expected shared", (await Assert.ThrowsAsync<FlywheelException>(() =>
            Rollback.RunInAsync(store, "acme", first.Turn.Candidate![..12], "by hand"))).Message, StringComparison.Ordinal);
        Assert.NotEqual(old, again.Turn.Champion);
    }

    [Fact]
    public void Recipe_OfWorkspaces_TrainsOneAdapterAndIsDecidedAsTheSharedModelIs()
    {
        string Path(string workspace) => System.IO.Path.Combine(TestFiles.Root, "recipes", TurnRunner.RecipeOf(workspace));
        TurnRecipe own = RecipeFile.LoadTurn(Path("acme")), shared = RecipeFile.LoadTurn(Path(WorkspaceRow.Default));
        Assert.NotNull(Assert.Single(own.Stages).Train.Lora);
        Assert.Equal(shared.Gate, own.Gate);
        Assert.Equal(shared.Curate, own.Curate);
    }

    [Fact]
    public async Task Turn_ThatCannotBeOfAWorkspace_IsRefused()
    {
        await using FlywheelStore store = await CreateAsync("home");
        await Refused("nowhere", Recipe(store), "expected");
        await Refused("acme", MiniLoop.Recipe(store.Home.Path), "expected one with train.lora");
        await Refused("blue", Recipe(store), "too little feedback");
        await new Workspaces(store, TimeProvider.System).ChangeAsync("acme", archived: true);
        await Refused("acme", Recipe(store), "expected");
        await Assert.ThrowsAsync<FlywheelException>(() => store.ReleaseInAsync(WorkspaceRow.Default, null, "x"));

        async Task Refused(string workspace, TurnRecipe recipe, string says) =>
            Assert.Contains(says, (await Assert.ThrowsAsync<FlywheelException>(() =>
                new TurnRunner(store) { Workspace = workspace }.RunAsync(recipe, store.Home.Path))).Message, StringComparison.Ordinal);
    }

    /// <summary>Against a home in which they never acted: the workspace's adapter is that of the others, and the one that had learnt from
    /// them is in no file and no row.</summary>
    [Fact]
    public async Task Forget_SomebodyInAWorkspace_RemakesItsAdapterWithoutThem()
    {
        await using FlywheelStore store = await CreateAsync("home"), other = await CreateAsync("other", without: 5);
        TurnOutcome with = await TurnAsync(store, "acme"), never = await TurnAsync(other, "acme");
        Assert.NotEqual(never.Turn.Candidate, with.Turn.Candidate);
        string adapter = ModelFolder.Open(store.FolderOf((await store.ChampionOfAsync("acme"))!)).Manifest.Adapter!;
        string folder = new ModelCatalog(store.Home).FindAdapter(adapter).Path;

        await new Forget(store).RunAsync("person 5");

        ModelRow remade = (await store.ChampionOfAsync("acme"))!;
        Assert.Equal(never.Turn.Candidate, remade.Hash);
        Assert.Equal((await store.ChampionAsync())!.Hash, remade.Parent);
        Assert.False(Directory.Exists(folder), folder);
        Assert.Null(await store.FindModelAsync(adapter));
        Assert.NotEmpty(new ModelCatalog(store.Home).FindAdapter(ModelFolder.Open(store.FolderOf(remade)).Manifest.Adapter!).Path);
    }

    /// <summary>Twelve people in acme, one in blue; the default workspace has its own.</summary>
    private async Task<FlywheelStore> CreateAsync(string name, int without = -1)
    {
        FlywheelStore store = await MiniLoop.CreateAsync(_folder[name], People, without: without);
        var workspaces = new Workspaces(store, TimeProvider.System);
        foreach (string id in new[] { "acme", "blue" }) await workspaces.CreateAsync(id, id);
        await InAsync("acme", () => MiniLoop.AskMoreAsync(store, People, without));
        await InAsync("blue", async () =>
        {
            Generation answer = Given.Generation(user: "person of blue", text: "Zanzibar is best seen at dawn.");
            await store.RecordAsync(answer);
            await store.AddFeedbackAsync(new FeedbackInput(answer.Id, Metrics.Keep, true, "person of blue"));
        });
        return store;
    }

    private static Task<TurnOutcome> TurnAsync(FlywheelStore store, string workspace) =>
        new TurnRunner(store) { Workspace = workspace }.RunAsync(Recipe(store), store.Home.Path, force: true);

    private static TurnRecipe Recipe(FlywheelStore store) => RecipeFile.ParseTurn($$"""
        name: mini
        seed: 3
        curate: { min_train: 8, min_held_out: 4 }
        stages:
          - train: { objective: supervised, steps: 20, batch_tokens: 512, micro_tokens: 512, learning_rate: 1e-2, lora: { rank: 4, alpha: 8 } }
        gate: { regression: "{{store.Home.Path}}/regression.jsonl", regression_margin: 1, sanity_prompts: 8, drafts: 2, max_tokens: 20, fidelity_margin: 1 }
        """, "mini");

    private static async Task InAsync(string workspace, Func<Task> act)
    {
        Actor.Enter(workspace);
        await act();
    }

    private static async Task<T> InAsync<T>(string workspace, Func<Task<T>> act)
    {
        Actor.Enter(workspace);
        return await act();
    }
}
