using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps.Turns;
using Flywheel.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Flywheel.Studio.Tests.Apps.Turns;

/// <summary>The button Teach: a real turn on a tiny model, in the server, with progress; and what a person sees when there can be none.</summary>
public sealed class TeacherTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private FlywheelStore _store = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]), cancellation: Stop);
        ModelFolder champion = TinyModel.Create(_store.Home.Models, context: 256);
        await _store.RegisterModelAsync(champion, cancellation: Stop);
        await _store.ReleaseAsync(champion.Hash, "first", cancellation: Stop);
        await File.WriteAllLinesAsync(_folder["regression.jsonl"], Enumerable.Range(0, 8).Select(i => new Conversation([Message.User($"Say {i}."), Message.Assistant($"It is {i}.")]).ToString()), Stop);
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
        await using Teacher teacher = NewTeacher();
        TurnPreview preview = await teacher.PreviewAsync();
        Assert.Null(preview.Missing);
        Assert.Equal((4, 2), (preview.Needs.MinTrain, preview.Needs.MinHeldOut)); // half of the recipe's: one person decides
        int changes = 0;
        teacher.Changed += () => Interlocked.Increment(ref changes);

        teacher.Start();
        teacher.Start(); // a second press is none
        await teacher.Progress!.Running.WaitAsync(TimeSpan.FromMinutes(5), Stop);

        TeachProgress progress = teacher.Progress;
        Assert.True(progress.Fault is null, progress.Fault);
        Assert.Equal(1, progress.Turn);
        Assert.True(changes > 10, $"{changes} changes");
        Assert.Contains(progress.Steps, step => step.Name.EndsWith("supervised", StringComparison.Ordinal) && step.Done == step.Of);
        Assert.Contains(progress.Steps, step => step.Name == "candidate");
        TurnRow turn = Assert.Single(await teacher.TurnsAsync());
        Assert.Equal(TurnState.Waiting, turn.State);
        Assert.NotEmpty(await teacher.EvaluationsAsync(turn.Id));
        Assert.Equal(["ann"], (await teacher.LearntAsync(turn.Id)).Select(row => row.User).Distinct());
        Assert.NotEmpty((await new TurnRunner(_store).SideBySideAsync(1, Stop)).Drafts);
    }

    [Fact]
    public async Task Teach_TooFewTexts_SaysWhatIsMissing()
    {
        await KeepAsync(3);
        await using Teacher teacher = NewTeacher();
        Assert.Contains("too little feedback", (await teacher.PreviewAsync()).Missing, StringComparison.Ordinal);
        teacher.Start();
        await teacher.Progress!.Running.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        Assert.Contains("too little feedback", teacher.Progress.Fault, StringComparison.Ordinal);
        Assert.False(teacher.IsRunning);
    }

    [Fact]
    public async Task Teach_ServerEndsInTheMiddle_TheNextGoesOn()
    {
        await KeepAsync(30);
        Teacher first = NewTeacher();
        var training = new TaskCompletionSource();
        first.Changed += () =>
        {
            if (first.Progress!.Steps.Count > 0) training.TrySetResult();
        };
        first.Start();
        await training.Task.WaitAsync(TimeSpan.FromMinutes(2), Stop);
        await first.DisposeAsync();
        TurnRow begun = Assert.Single(await first.TurnsAsync());

        await using Teacher second = NewTeacher();
        second.Start();
        await second.Progress!.Running.WaitAsync(TimeSpan.FromMinutes(5), Stop);
        Assert.True(second.Progress.Fault is null, second.Progress.Fault);
        TurnRow ended = Assert.Single(await second.TurnsAsync());
        Assert.Equal((begun.Id, TurnState.Waiting), (ended.Id, ended.State));
    }

    [Fact]
    public async Task Teach_WithoutARecipe_SaysSo()
    {
        await using var teacher = new Teacher(_store, new StudioOptions { Home = _store.Home }, TimeProvider.System, NullLogger<Teacher>.Instance);
        Assert.Contains("recipes/turn.yaml", Assert.Throws<FlywheelException>(teacher.Start).Message, StringComparison.Ordinal);
    }

    private Teacher NewTeacher() => new(_store, new StudioOptions { Home = _store.Home, TurnRecipe = _folder["turn.yaml"] }, TimeProvider.System, NullLogger<Teacher>.Instance);

    /// <summary>One person keeps a text for each of so many briefs.</summary>
    private async Task KeepAsync(int count)
    {
        string champion = (await _store.ChampionAsync(Stop))!.Hash;
        for (int i = 0; i < count; i++)
        {
            var id = Guid.CreateVersion7();
            await _store.RecordAsync(new Generation
            {
                Id = id, Group = id, Time = DateTimeOffset.UtcNow, App = "write", User = "ann", ModelHash = champion, FinishReason = FinishReason.Stop, NumPromptTokens = 1, NumTokens = 1,
                Payload = new()
                {
                    GenerationId = id, Conversation = new([Message.User($"Write a tagline.\nName: Thing {i}")]), Text = $"Write better with thing {i}.",
                    PromptTokens = [1], Tokens = [1], Logprobs = [-1], SamplerLogprobs = [-1], Sampler = new SamplerOptions(),
                },
            }, Stop);
            await _store.AddFeedbackAsync(new FeedbackInput(id, Metrics.Keep, JsonValue.Create(true), "ann"), Stop);
        }
    }
}
