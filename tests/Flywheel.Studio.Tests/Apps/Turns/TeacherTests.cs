using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Apps.Turns;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests.Apps.Turns;

/// <summary>The button Teach: a real turn on a tiny model, in the server, with progress; and what a person sees when there can be
/// none.</summary>
public sealed class TeacherTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private FlywheelStore _store = null!;
    private JobQueue _queue = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]), cancellation: Stop);
        _queue = new JobQueue(_store);
        ModelFolder champion = TinyModel.Create(_store.Home.Models, context: 256);
        await _store.RegisterModelAsync(champion, cancellation: Stop);
        await _store.ReleaseAsync(champion.Hash, "first", cancellation: Stop);
        await File.WriteAllLinesAsync(_folder["regression.jsonl"],
            Enumerable.Range(0, 8).Select(i => new Conversation([Message.User($"Say {i}."), Message.Assistant($"It is {i}.")]).ToString()),
            Stop);
        await File.WriteAllTextAsync(_folder["turn.yaml"], """
            name: mini
            curate: { min_train: 8, min_held_out: 4 }
            stages:
              - train: { objective: supervised, steps: 30, batch_tokens: 512, micro_tokens: 512, learning_rate: 3e-3, checkpoint_seconds: 0.2 }
            gate: { regression: regression.jsonl, regression_margin: 2, sanity_prompts: 4, sanity_floor: 0, max_tokens: 12, fidelity_margin: 1 }
            """, Stop);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Teach_OnePersonsTexts_MovesAndEndsWithAQuestion()
    {
        await KeepAsync(30);
        using Teacher teacher = NewTeacher();
        TurnPreview preview = await teacher.PreviewAsync();
        Assert.Null(preview.Missing);
        Assert.Equal((4, 2), (preview.Needs.MinTrain, preview.Needs.MinHeldOut)); // half of the recipe's: one person decides

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => teacher.StartAsync("ann"))); // further presses are none
        Assert.Single(await _queue.ListAsync(kind: Teacher.Job, cancellation: Stop));
        TeachProgress progress = await RunAsync(teacher);

        Assert.True(progress.State == JobState.Done, progress.Said);
        Assert.Contains(progress.Steps, step => step.Name.EndsWith("supervised", StringComparison.Ordinal) && step.Done == step.Of);
        Assert.Contains(progress.Steps, step => step.Name == "candidate");
        TurnRow turn = Assert.Single(await teacher.TurnsAsync());
        Assert.Equal(TurnState.Waiting, turn.State);
        Assert.Equal("""{"turn":1}""", (await _queue.FindAsync(progress.Id, Stop)).Payload!.Result);
        Assert.NotEmpty(await teacher.EvaluationsAsync(turn.Id));
        Assert.Equal(["ann"], (await teacher.LearntAsync(turn.Id)).Select(row => row.User).Distinct());
        Assert.NotEmpty((await new TurnRunner(_store).SideBySideAsync(1, Stop)).Drafts);
    }

    [Fact]
    public async Task Teach_TooFewTexts_FailsOnceAndSaysWhatIsMissing()
    {
        await KeepAsync(3);
        using Teacher teacher = NewTeacher();
        Assert.Contains("too little feedback", (await teacher.PreviewAsync()).Missing, StringComparison.Ordinal);
        await teacher.StartAsync("ann");
        TeachProgress progress = await RunAsync(teacher);
        Assert.Contains("too little feedback", progress.Fault, StringComparison.Ordinal);
        Assert.False(progress.IsMoving);
        Assert.Equal(1, (await _queue.FindAsync(progress.Id, Stop)).Attempts);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Teach_StoppedOrItsServerEnds_TheSameTurnGoesOn(bool stopped)
    {
        await KeepAsync(30);
        using Teacher first = NewTeacher();
        await first.StartAsync("ann");
        bool asked = false;
        TeachProgress half = await RunAsync(first, async (progress, end) =>
        {
            if (progress.Steps.Count == 0 || asked) return;
            asked = true;
            if (stopped) await first.StopAsync();
            else await end.CancelAsync();
        });
        if (half.State == JobState.Done) return; // it was quicker
        TurnRow begun = Assert.Single(await first.TurnsAsync());
        Assert.Equal(stopped ? JobState.Cancelled : JobState.Queued, half.State);
        Assert.NotEqual(TurnState.Waiting, begun.State);

        using Teacher second = NewTeacher();
        if (stopped) await second.StartAsync("ann"); // what the server's end stopped goes on by itself
        TeachProgress progress = await RunAsync(second);
        Assert.True(progress.State == JobState.Done, progress.Said);
        TurnRow ended = Assert.Single(await second.TurnsAsync());
        Assert.Equal((begun.Id, TurnState.Waiting), (ended.Id, ended.State));
    }

    [Fact]
    public async Task Teach_WithoutARecipe_SaysSo()
    {
        using var teacher = new Teacher(_store, new StudioOptions { Home = _store.Home }, _queue, TimeProvider.System);
        FlywheelException refused = await Assert.ThrowsAsync<FlywheelException>(() => teacher.StartAsync("ann"));
        Assert.Contains("recipes/turn.yaml", refused.Message, StringComparison.Ordinal);
        Assert.Null(await teacher.ProgressAsync());
    }

    private Teacher NewTeacher() =>
        new(_store, new StudioOptions { Home = _store.Home, TurnRecipe = _folder["turn.yaml"] }, _queue, TimeProvider.System);

    /// <summary>Does what is queued, until it has ended or its worker was told to end.</summary>
    private async Task<TeachProgress> RunAsync(Teacher teacher, Func<TeachProgress, CancellationTokenSource, Task>? moved = null)
    {
        using var end = new CancellationTokenSource();
        Task worker =
            new JobWorker(_queue, new Dictionary<string, JobHandler> { [Teacher.Job] = teacher.RunAsync })
                { Poll = TimeSpan.FromMilliseconds(20) }.RunAsync(end.Token);
        while (!end.IsCancellationRequested && (await teacher.ProgressAsync())! is { IsMoving: true } progress)
        {
            if (moved is not null) await moved(progress, end);
            await Task.Delay(20, Stop);
        }
        await end.CancelAsync();
        await worker;
        return (await teacher.ProgressAsync())!;
    }

    /// <summary>One person keeps a text for each of so many briefs.</summary>
    private async Task KeepAsync(int count)
    {
        string champion = (await _store.ChampionAsync(Stop))!.Hash;
        for (int i = 0; i < count; i++)
        {
            var id = Guid.CreateVersion7();
            await _store.RecordAsync(new Generation
            {
                Id = id, Group = id, Time = DateTimeOffset.UtcNow, App = "write", User = "ann", ModelHash = champion,
                FinishReason = FinishReason.Stop, NumPromptTokens = 1, NumTokens = 1,
                Payload = new()
                {
                    GenerationId = id, Conversation = new([Message.User($"Write a tagline.\nName: Thing {i}")]),
                    Text = $"Write better with thing {i}.",
                    PromptTokens = [1], Tokens = [1], Logprobs = [-1], SamplerLogprobs = [-1], Sampler = new SamplerOptions(),
                },
            }, Stop);
            await _store.AddFeedbackAsync(new FeedbackInput(id, Metrics.Keep, JsonValue.Create(true), "ann"), Stop);
        }
    }
}
