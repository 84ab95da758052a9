using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>Whole turns with real training, on a model of a few thousand weights.</summary>
public sealed class TurnTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Turn_PeopleWithATaste_PromotesAModelThatHasLearntIt()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(folder["home"]);
        string champion = (await store.ChampionAsync())!.Hash;

        TurnOutcome outcome = await new TurnRunner(store).RunAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path);

        Assert.True(outcome.Promoted, outcome.Turn.Reason);
        Assert.Equal(outcome.Turn.Candidate, (await store.ChampionAsync())!.Hash);
        Assert.NotEqual(champion, outcome.Turn.Candidate);
        RuleResult texts = outcome.Decision.Rules.Single(rule => rule.Name == "texts people accepted");
        Assert.True(texts.Improvement.Low > 0.5, $"{texts}");
        ReleaseRow release = (await store.ReleasesAsync())[0];
        Assert.Equal(outcome.Turn.Id, release.TurnId);
        string html = await File.ReadAllTextAsync(outcome.Report),
            markdown = await File.ReadAllTextAsync(Path.ChangeExtension(outcome.Report, "md"));
        Assert.Contains("badge promoted", html);
        Assert.DoesNotContain("http", html.Replace("http-equiv", "")); // needs nothing else
        Assert.StartsWith("# Turn 1: promoted", markdown);
        await LineageLeadsBothWaysAsync(store, outcome);
        await NothingNewIsRefusedAsync(store);
    }

    private static async Task LineageLeadsBothWaysAsync(FlywheelStore store, TurnOutcome outcome)
    {
        await using FlywheelDb db = store.Tables();
        Feedback learnt =
            await db.Feedback.FirstAsync(row =>
                db.Examples.Any(example => example.DropReason == null && example.Split == Split.Train
                    && example.Sources.Any(source => source.FeedbackId == row.Id)));

        var clock = Stopwatch.StartNew();
        LineageNode forward = await Lineage.TraceAsync(store, learnt.Id.ToString());
        LineageNode back = await Lineage.TraceAsync(store, outcome.Turn.Candidate![..12]);

        Assert.Contains(Walk(forward), node => node.Kind == "model" && node.Id == outcome.Turn.Candidate);
        Assert.Contains(Walk(forward), node => node.Kind == "release");
        Assert.Contains(Walk(back), node => node.Kind == "dataset" && node.Id == outcome.Turn.Dataset);
        Assert.Contains(Walk(back), node => node.Kind == "feedback");
        Assert.Contains(Walk(back), node => node.Kind == "model" && node.Id == outcome.Turn.Champion);
        foreach (LineageNode node in Walk(forward).Concat(Walk(back)).Where(node => node.Id.Length > 0).DistinctBy(node => node.Id))
            Assert.Equal(node.Kind, (await Lineage.TraceAsync(store, node.Id)).Kind); // every id that it shows can be asked for
        var unknown = await Assert.ThrowsAsync<FlywheelException>(() => Lineage.TraceAsync(store, "ffffffffffff"));
        Assert.Contains("The latest are: feedback", unknown.Message);
        Assert.Contains("too short", (await Assert.ThrowsAsync<FlywheelException>(() => Lineage.TraceAsync(store, "ff"))).Message);
        Assert.Contains("several ids", (await Assert.ThrowsAsync<FlywheelException>(() => Lineage.TraceAsync(store, "00000000"))).Message);
    }

    private static async Task NothingNewIsRefusedAsync(FlywheelStore store) =>
        Assert.Contains("no feedback to learn from",
            (await Assert.ThrowsAsync<FlywheelException>(() =>
                new TurnRunner(store).RunAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path))).Message);

    [Fact]
    public async Task Turn_NothingLearnt_IsRejectedAndItsFeedbackCountsAgain()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(folder["home"], people: 28); // of whom 7 can show something twice
        string champion = (await store.ChampionAsync())!.Hash;
        TurnRecipe idle = MiniLoop.Recipe(store.Home.Path, learningRate: 1e-12, supervisedSteps: 2);

        TurnOutcome outcome = await new TurnRunner(store).RunAsync(idle, store.Home.Path);

        Assert.False(outcome.Promoted);
        Assert.Contains("drafts preferred (preference)", outcome.Turn.Reason);
        Assert.Contains("its 95% interval must lie above 0", outcome.Turn.Reason);
        Assert.Equal(champion, (await store.ChampionAsync())!.Hash);
        Assert.Contains("badge rejected", await File.ReadAllTextAsync(outcome.Report));
        Assert.Contains("which was rejected",
            (await Assert.ThrowsAsync<FlywheelException>(() => new TurnRunner(store).RunAsync(idle, store.Home.Path))).Message);

        // another recipe may try
        Assert.NotEmpty((await new TurnRunner(store).PreviewAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path)).Dataset.Rows);
        await store.AddFeedbackAsync(new(outcome.Dataset.Rows[0].GenerationId, Metrics.Comment, "one more word"));
        TurnOutcome second = await new TurnRunner(store).RunAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path);

        Assert.True(second.Promoted, second.Turn.Reason);
        Assert.Equal(outcome.Turn.Dataset, second.Turn.Dataset);
        Assert.Equal(2, second.Turn.Number);
        Assert.Equal((1, 2), (outcome.Decision.Look, second.Decision.Look)); // the same people were asked before
        Assert.Equal(1 - 2 * Looks.Alpha(2), second.Decision.Rules[0].Level, 1e-12);
    }

    /// <summary>
    /// The candidate learnt the style and writes numbers that no brief has: people would prefer its drafts, its texts are likelier, and it
    /// is refused.
    /// </summary>
    [Fact]
    public async Task Turn_CandidateThatInvents_IsRefusedThoughItsDraftsArePreferred()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(folder["home"]);

        TurnOutcome outcome = await new TurnRunner(store).RunAsync(MiniLoop.Recipe(store.Home.Path, fidelityMargin: 0.1), store.Home.Path);

        Assert.Contains("drafts without foreign names",
            outcome.Decision.Rules.Where(rule => rule.Passed == false).Select(rule => rule.Name));
        Assert.True(outcome.Decision.Rules[0] is { Name: "drafts preferred (preference)", Passed: true }, $"{outcome.Decision.Rules[0]}");
        Assert.False(outcome.Promoted);
        string markdown = await File.ReadAllTextAsync(Path.ChangeExtension(outcome.Report, "md"));
        Assert.Contains("## Drafts compared", markdown);
        Assert.Contains(outcome.Turn.Champion[..12], markdown);
        Assert.Contains("Drafts were compared by preference: fitted on", markdown);
        Assert.Contains("With 6 held-out people and 18 briefs this turn can show a gain of", markdown);
        GateDecision kept = (await new TurnRunner(store).DecisionAsync(1))!;
        Assert.Equal(outcome.Decision.Rules, kept.Rules);
        Assert.Equal(outcome.Decision.Examples, kept.Examples);
    }

    [Fact]
    public async Task Turn_JudgedByAStatedRule_KnowsItByName()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(folder["home"]);
        TurnRecipe recipe = MiniLoop.Recipe(store.Home.Path);
        TurnRecipe byRule = recipe with { Gate = recipe.Gate with { Judge = "short" } };

        Assert.Contains("gate.judge is 'short', expected auto, fidelity or person",
            (await Assert.ThrowsAsync<FlywheelException>(() => new TurnRunner(store).RunAsync(byRule, store.Home.Path))).Message);
        TurnOutcome outcome = await new TurnRunner(store) { StatedRules = [new ShortRule()] }.RunAsync(byRule, store.Home.Path);

        Assert.Equal("drafts preferred (short)", outcome.Decision.Rules[0].Name);
        Assert.StartsWith("short: the fewer words the better", outcome.Decision.Judge);
    }

    private sealed class ShortRule : IDraftJudge
    {
        public string Name => "short";

        public string Basis => "the fewer words the better";

        public double Score(Conversation prompt, string text) => -text.Split(' ').Length;
    }

    /// <summary>Its recipe names data that cannot be had: every further turn would go on with it, so it can be given up.</summary>
    [Fact]
    public async Task Turn_ThatCannotBeTrained_CanBeGivenUp()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(folder["home"]);
        TurnRecipe recipe = MiniLoop.Recipe(store.Home.Path);
        TurnRecipe broken =
            recipe with { Stages = [recipe.Stages[0] with { Data = [new SourceRecipe { Source = "dataset", Path = folder["nothing"] }] }] };
        await Assert.ThrowsAsync<FlywheelException>(() => new TurnRunner(store).RunAsync(broken, store.Home.Path));
        // it goes on as it began
        await Assert.ThrowsAsync<FlywheelException>(() => new TurnRunner(store).RunAsync(recipe, store.Home.Path));
        Assert.Contains("turn 1 is not there yet",
            (await Assert.ThrowsAsync<FlywheelException>(() => new TurnRunner(store).AnswerAsync("1", accept: true))).Message);

        TurnRow turn = await new TurnRunner(store).AnswerAsync("1", accept: false, "ann");

        Assert.Equal((TurnState.Rejected, "given up by ann before the gate had spoken"), (turn.State, turn.Reason));
        TurnOutcome next = await new TurnRunner(store).RunAsync(recipe, store.Home.Path);
        Assert.Equal((2, 1), (next.Turn.Number, next.Decision.Look)); // nobody was asked about the one that was given up
    }

    /// <summary>A home that has not served yet: what would be used is shown all the same, and the champion is what is missing.</summary>
    [Fact]
    public async Task Preview_WithoutAChampion_ShowsWhatThereIs()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"]));
        Generation generation = Given.Generation();
        await store.RecordAsync(generation);
        await store.AddFeedbackAsync(new(generation.Id, Metrics.Keep, true));

        TurnPreview preview = await new TurnRunner(store).PreviewAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path);

        Assert.Single(preview.Dataset.Rows, row => row.Drop is null);
        Assert.Contains("has no champion yet", preview.Missing);
    }

    [Fact]
    public async Task Turn_ForcedPastTheGate_SaysSo()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(folder["home"]);

        TurnOutcome outcome =
            await new TurnRunner(store).RunAsync(MiniLoop.Recipe(store.Home.Path, learningRate: 1e-12, supervisedSteps: 1), store.Home.Path,
                force: true);

        Assert.True(outcome.Promoted);
        Assert.StartsWith("FORCED past the gate", outcome.Turn.Reason);
        Assert.Contains("FORCED", (await store.ReleasesAsync())[0].Reason);
        Assert.Contains("forced", await File.ReadAllTextAsync(outcome.Report));
    }

    [Fact]
    public async Task Turn_ServerRuns_IsAskedToSwapAndARefusalCanBeRepeated()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(folder["home"]);
        string champion = (await store.ChampionAsync())!.Hash;
        TurnRecipe recipe = MiniLoop.Recipe(store.Home.Path);
        using RunningServer.Claim home = RunningServer.ClaimHome(store.Home);
        using var server = new FakeServer();
        home.Publish(server.Url);

        server.Answer = (400, """{"error": {"message": "no memory left"}}""");
        var refused = await Assert.ThrowsAsync<FlywheelException>(() => new TurnRunner(store).RunAsync(recipe, store.Home.Path));
        Assert.Contains("no memory left", refused.Message);
        Assert.Contains("run the turn again", refused.Message);
        Assert.Equal(champion, (await store.ChampionAsync())!.Hash);

        server.Answer = (200, "{}");
        TurnOutcome outcome = await new TurnRunner(store).RunAsync(recipe, store.Home.Path);

        Assert.True(outcome.Promoted, outcome.Turn.Reason);
        Assert.Equal(2, server.Bodies.Count);
        Assert.All(server.Bodies, body => Assert.Equal(outcome.Turn.Candidate, JsonNode.Parse(body)!["model"]!.GetValue<string>()));
        Assert.Equal(outcome.Turn.Id, (await store.ReleasesAsync())[0].TurnId);
        Assert.Single(await store.ReleasesAsync(), release => release.ModelHash == outcome.Turn.Candidate);
    }

    /// <summary>Answers <c>POST /admin/promote</c> as it is told to.</summary>
    private sealed class FakeServer : IDisposable
    {
        private readonly TcpListener listener = new(IPAddress.Loopback, 0);

        public FakeServer()
        {
            listener.Start();
            _ = ServeAsync();
        }

        public string Url => $"http://{listener.LocalEndpoint}";

        public (int Code, string Body) Answer { get; set; }

        public List<string> Bodies { get; } = [];

        private async Task ServeAsync()
        {
            while (true)
            {
                using TcpClient client = await listener.AcceptTcpClientAsync();
                using var reader = new StreamReader(client.GetStream());
                int length = 0;
                while (await reader.ReadLineAsync() is { Length: > 0 } header)
                    if (header.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)) length = int.Parse(header[15..]);
                char[] body = new char[length];
                await reader.ReadBlockAsync(body);
                Bodies.Add(new string(body));
                byte[] answer =
                    Encoding.UTF8.GetBytes(
                        $"HTTP/1.1 {Answer.Code} Told\r\nContent-Type: application/json\r\nContent-Length: {Answer.Body.Length}\r\nConnection: close\r\n\r\n{Answer.Body}");
                await client.GetStream().WriteAsync(answer);
            }
        }

        public void Dispose() => listener.Dispose();
    }

    [Fact]
    public async Task Turn_KilledAgainAndAgain_EndsAsIfNothingHadHappened()
    {
        await using FlywheelStore calm = await MiniLoop.CreateAsync(folder["calm"], people: 6);
        TurnOutcome expected = await new TurnRunner(calm).RunAsync(MiniLoop.Recipe(calm.Home.Path, supervisedSteps: 60), calm.Home.Path);
        string home = folder["killed"];
        await (await MiniLoop.CreateAsync(home, people: 6)).DisposeAsync();

        // Lines that the turn says: after its curation, in training, between the passes, in the examinations.
        foreach (int linesUntilKill in new[] { 1, 12, 40, 30, 3 })
        {
            using Process child = Program.StartChild(nameof(TurnTests), home);
            for (int line = 0; line < linesUntilKill && await child.StandardOutput.ReadLineAsync() is not null; line++) { }
            child.Kill();
            await child.WaitForExitAsync();
        }
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(home), new Given.Clock(Given.Monday));
        await using FlywheelDb db = store.Tables();
        TurnRow? turn = await db.Turns.AsNoTracking().SingleAsync();
        if (turn.Ended is null) await new TurnRunner(store).RunAsync(MiniLoop.Recipe(home, supervisedSteps: 60), home);

        turn = await db.Turns.AsNoTracking().SingleAsync();
        Assert.Equal(expected.Turn.Candidate, turn.Candidate);
        Assert.Equal(expected.Turn.Dataset, turn.Dataset);
        Assert.Equal(expected.Turn.State, turn.State);
        await using FlywheelDb calmDb = calm.Tables();
        Assert.Equal(await calmDb.Examples.CountAsync(), await db.Examples.CountAsync());
        Assert.Equal(await calmDb.Runs.CountAsync(), await db.Runs.CountAsync());
        Assert.Equal(await calmDb.Evaluations.CountAsync(), await db.Evaluations.CountAsync());
        Assert.Equal(await calmDb.Releases.CountAsync(), await db.Releases.CountAsync());
    }

    /// <summary>The child: one turn, with a line for all that happens.</summary>
    internal static async Task TurnAloud(string home)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(home), new Given.Clock(Given.Monday));
        var aloud = new TurnProgress { Say = Console.WriteLine,
            Trained = (name, progress) => Console.WriteLine($"{name} {progress.Line?.Step}"),
            Examined = (who, done, _) => Console.WriteLine($"{who} {done}") };
        try
        {
            await new TurnRunner(store, aloud).RunAsync(MiniLoop.Recipe(home, supervisedSteps: 60), home);
        }
        catch (FlywheelException e) when (e.Message.StartsWith("there is no feedback", StringComparison.Ordinal))
        {
            // the turn had ended already
        }
    }

    [Fact]
    public async Task Turn_BadCircumstances_SayWhatIsNeeded()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"]));
        TurnRecipe recipe = MiniLoop.Recipe(store.Home.Path);
        async Task<string> Refused() =>
            (await Assert.ThrowsAsync<FlywheelException>(() => new TurnRunner(store).RunAsync(recipe, store.Home.Path))).Message;

        Assert.Contains("regression.jsonl: no such file", await Refused());
        await File.WriteAllTextAsync(Path.Combine(store.Home.Path, "regression.jsonl"), "");
        Assert.Contains("has no champion yet", await Refused());
        ModelFolder champion = MiniLoop.Champion(store.Home.Models);
        await store.RegisterModelAsync(champion);
        await store.ReleaseAsync(champion.Hash, "first");
        Assert.Contains("there is no feedback to learn from: keep", await Refused());
        Generation generation = Given.Generation();
        await store.AddFeedbackAsync(new(generation.Id, Metrics.Keep, true));
        Assert.Contains("(1 more wait for their generation)", await Refused());
        await store.RecordAsync(generation);
        Assert.Contains(
            "too little feedback for a turn: 1 kept or edited texts of 1 person: 1 to learn from (needed: 4), 0 to prompts held out to test on (needed: 2, to 2 prompts at least)", await Refused());
        Directory.Move(champion.Path, champion.Path + "-gone");
        Assert.Contains("no such folder; expected a model folder", await Refused());
        await using FlywheelDb db = store.Tables();
        Assert.Equal(0, await db.Turns.CountAsync());
        Assert.Contains("not known here",
            (await Assert.ThrowsAsync<FlywheelException>(() => store.ReleaseAsync(new('b', 64), "by hand"))).Message);
    }

    private static IEnumerable<LineageNode> Walk(LineageNode node) => node.Children.SelectMany(Walk).Prepend(node);
}
