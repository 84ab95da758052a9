using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Studio.Serving;
using Flywheel.Testing;
using Flywheel.Voice;

namespace Flywheel.Studio.Tests.Serving;

/// <summary>What is listened for, and how many recordings are in memory at once. Nothing is heard here.</summary>
public sealed class TranscriptsTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private FlywheelStore _store = null!;
    private Transcriber _transcriber = null!;
    private Transcripts _transcripts = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        _transcriber = Transcriber.In(_store.Home, numThreads: 1);
        _transcripts = new Transcripts(_store, _transcriber, new VoiceDictionaries(_store, TimeProvider.System), TimeProvider.System);
    }

    public async ValueTask DisposeAsync()
    {
        _transcriber.Dispose();
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task HotWords_OfCorrections_AreThoseOfANamedPersonThatStand()
    {
        await CorrectAsync("ann", "Nguyen called.");
        Guid wrong = await CorrectAsync("ann", "Ngyuen called.");
        await CorrectAsync("", "Zanzibar called.");
        await CorrectAsync("bob", "Wilson called.");
        Assert.Equal(["Ngyuen", "Nguyen"], await WordsAsync("ann"));
        await _store.AddFeedbackAsync(new FeedbackInput(wrong, Metrics.Retract, true, "ann"));
        Assert.Equal(["Nguyen"], await WordsAsync("ann"));
        Assert.Empty(await WordsAsync("")); // whoever says no name is nobody else's neighbour
    }

    /// <summary>A recording of two hours is half a gigabyte in memory: those that wait lie on disk, and not without end.</summary>
    [Fact]
    public async Task Hear_ManyAtOnce_ReadsOneAtATimeAndRefusesWhatIsTooMuch()
    {
        TinyWhisper.Write(Path.Combine(Directory.CreateDirectory(WhisperFile.FolderIn(_store.Home)).FullName, "english.bin"));
        var goOn = new TaskCompletionSource();
        int inMemory = 0, most = 0, read = 0;
        Task<(Guid, Transcript)>[] waiting = [.. Enumerable.Range(0, Transcripts.MaxAtOnce).Select(_ => HearAsync())];
        Assert.Contains("16 recordings", (await Assert.ThrowsAsync<QueueFullException>(HearAsync)).Message, StringComparison.Ordinal);
        goOn.SetResult();
        foreach (Task<(Guid, Transcript)> one in waiting) await Assert.ThrowsAsync<FlywheelException>(() => one);
        Assert.Equal((Transcripts.MaxAtOnce, 1), (read, most));
        await Assert.ThrowsAsync<FlywheelException>(HearAsync); // there is room again

        Task<(Guid, Transcript)> HearAsync() =>
            _transcripts.HearAsync("talk.wav", ReadAsync, null, new TranscriptOptions(),
                new TranscriptCaller("ann", "", WorkspaceRow.Default), TestContext.Current.CancellationToken);

        async Task<Clip> ReadAsync(CancellationToken cancellation)
        {
            most = Math.Max(most, Interlocked.Increment(ref inMemory));
            Interlocked.Increment(ref read);
            await goOn.Task;
            Interlocked.Decrement(ref inMemory);
            throw new FlywheelException("there is no sound in it");
        }
    }

    private Task<IReadOnlyList<string>> WordsAsync(string user) =>
        _transcripts.HotWordsAsync("en", new TranscriptCaller(user, "", WorkspaceRow.Default), TestContext.Current.CancellationToken);

    private async Task<Guid> CorrectAsync(string user, string text)
    {
        Guid id = Guid.CreateVersion7();
        await _store.RecordAsync(new Generation
        {
            Id = id, Group = id, Time = DateTimeOffset.UtcNow, App = Generation.TranscriptionApp, User = user, ModelHash = "",
            FinishReason = FinishReason.Stop,
            Payload = new() { Text = "Somebody called.", PromptTokens = [], Tokens = [], Logprobs = [], SamplerLogprobs = [],
                Sampler = new() },
        });
        await _store.AddFeedbackAsync(new FeedbackInput(id, Metrics.Demonstration, text, user));
        return id;
    }
}
