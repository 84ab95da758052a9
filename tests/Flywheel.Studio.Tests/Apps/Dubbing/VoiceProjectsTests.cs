using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Testing;
using Flywheel.Voice;
using Flywheel.Voice.Tests;

namespace Flywheel.Studio.Tests.Apps.Dubbing;

/// <summary>What takes its time, and what happens to a project meanwhile: neither is lost.</summary>
public sealed class VoiceProjectsTests : IAsyncLifetime
{
    private const string Ann = "ann";

    private readonly TempFolder _folder = new();
    private FlywheelStore _store = null!;
    private Recordings _recordings = null!;
    private VoiceProjects _projects = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        _recordings = Recordings.In(_store.Home);
        var engines = new SpeechEngines([new HummingEngine()]);
        _projects = new VoiceProjects(new Documents(_store, TimeProvider.System),
            new Renderer(engines, SegmentCache.In(_store.Home), recordings: _recordings), engines,
            new VoiceRecord(_store, TimeProvider.System), TimeProvider.System);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    private static MemoryStream Wav(Clip clip)
    {
        var wav = new MemoryStream();
        using (var writer = new WavWriter(wav, clip.Rate)) writer.Write(clip.Samples);
        return new MemoryStream(wav.ToArray());
    }

    private async Task<VoiceProject> NowAsync(Guid id) => (await _projects.FindAsync(id, Ann))!.Value.Project;

    private static VoiceTake Take(int number) =>
        Convert.ToHexStringLower(new byte[30]) + $"{0xFF00 + number:x4}" is var hash
            ? new VoiceTake(hash, 1, "x", new()) { IsRecorded = true, Pieces = [hash] } : null!;

    [Fact]
    public async Task Times_FoundWhileLinesAreEditedAndRecorded_ChangeNothingElse()
    {
        Sounds.Need("ffmpeg");
        byte[] talk = Wav(Sounds.Sine(300, 1.5)).ToArray();
        VoiceOriginal original = await _recordings.AddOriginalAsync("talk.wav", stream => stream.WriteAsync(talk).AsTask(), Ann,
            TestContext.Current.CancellationToken);
        Guid id = (await _projects.CreateAsync(Ann, new VoiceProject
        {
            Name = "film", Original = original,
            Lines = [new VoiceLine { Id = "1", Text = "Welcome." }, new VoiceLine { Id = "2", Text = "…" },
                new VoiceLine { Id = "3", Text = "Goodbye." }],
        })).Id;
        VoiceTake silent = await _projects.RecordedAsync(id, Ann, "2", Wav(Sounds.Sine(200, .5))); // of a line without words
        Func<VoiceProject, VoiceProject> times = await _projects.AlignAsync(await NowAsync(id), null);
        Func<VoiceProject, VoiceProject> words = await _projects.AlignAsync(await NowAsync(id), ScriptFile.OfText("Other words."));
        VoiceTake take = await _projects.RecordedAsync(id, Ann, "1", Wav(Sounds.Sine(400, .5)));
        await _projects.ChangeAsync(id, Ann, now => now.With(now.Line("3") with { Text = "Farewell." }));
        VoiceProject timed = await _projects.ChangeAsync(id, Ann, times);
        Assert.Equal([("1", "Welcome.", true, take.Hash), ("2", "…", false, silent.Hash), ("3", "Farewell.", true, null)],
            timed.Lines.Select(line => (line.Id, line.Text, line.Start is not null && line.End is not null,
                line.Takes is [var first, ..] ? first.Hash : null)));
        Assert.Contains("changed meanwhile",
            (await Assert.ThrowsAsync<FlywheelException>(() => _projects.ChangeAsync(id, Ann, words))).Message, StringComparison.Ordinal);
        await _projects.ChangeAsync(id, Ann, now => now with { Original = null });
        Assert.Contains("'talk.wav' is no longer",
            (await Assert.ThrowsAsync<FlywheelException>(() => _projects.ChangeAsync(id, Ann, times))).Message, StringComparison.Ordinal);
        Assert.Equal(timed.Lines.Select(line => line.Start), (await NowAsync(id)).Lines.Select(line => line.Start));
    }

    [Fact]
    public void Words_HeardInAnotherLanguage_BringItAlongAndReplaceNothingThatWasEditedMeanwhile()
    {
        var original = new VoiceOriginal(new string('a', 64), "film.mp4", 9, HasSound: true);
        var over = new VoiceProject { Name = "film", SourceLanguage = "de", Voice = new() { Voice = "hum:low", Speed = 1.1 },
            Original = original, Lines = [new VoiceLine { Id = "1", Text = "" }] };
        VoiceProject heard = over with { Language = "fr", SourceLanguage = null, Original = original with { Heard = Guid.NewGuid() },
            Lines = [new VoiceLine { Id = "1", Text = "Bonjour." }] };
        VoiceProject changed = VoiceProjects.Hear(over, heard)(over with { Name = "renamed" });
        Assert.Equal(("renamed", "fr", null, heard.Original, "Bonjour."),
            (changed.Name, changed.Language, changed.SourceLanguage, changed.Original, changed.Lines[0].Text));
        Assert.Equal((null, 1.1), (changed.Voice.Voice, changed.Voice.Speed)); // one that speaks French is looked for
        Assert.Equal(("en-us", "hum:low"), VoiceProjects.Hear(over, heard with { Language = "en" })(over) is var english
            ? (english.Language, english.Voice.Voice) : default);

        // What is rendered meanwhile is no edit; what is typed or recorded is.
        var rendered = new VoiceTake(new string('b', 64), 1, "", new()) { Pieces = ["100"] };
        Assert.Equal("Bonjour.", VoiceProjects.Hear(over, heard)(over.With(over.Lines[0].With(rendered))).Lines[0].Text);
        foreach (VoiceLine edited in new[] { over.Lines[0] with { Text = "Typed." }, over.Lines[0].WithUnheard(Take(1)) })
            Assert.Contains("changed meanwhile",
                Assert.Throws<FlywheelException>(() => VoiceProjects.Hear(over, heard)(over.With(edited))).Message,
                StringComparison.Ordinal);
    }

    [Fact]
    public void Undo_OfAnEdit_KeepsWhatWasRecordedSinceAndTakesBackOnlyItsOwnRecording()
    {
        var before = new VoiceProject { Lines = [new VoiceLine { Id = "1", Text = "as it was" }] };
        VoiceLine edited = (before.Lines[0] with { Text = "edited" }).WithUnheard(Take(1)).WithUnheard(Take(2));
        VoiceProject now = before with { Lines = [edited, new VoiceLine { Id = "2", Text = "added" }] };
        VoiceProject undone = VoiceProjects.Restore(before, now, []);
        Assert.Equal(["as it was"], undone.Lines.Select(line => line.Text));
        Assert.Equal(edited.Takes, undone.Lines[0].Takes);
        Assert.Equal([Take(1)], VoiceProjects.Restore(before, now, [Take(2).Hash]).Lines[0].Takes, (a, b) => a.Hash == b.Hash);
        // the line of a recording stays, too
        Assert.Equal(["1", "2"],
            VoiceProjects.Restore(before, now.With(now.Lines[1].WithUnheard(Take(3))), []).Lines.Select(line => line.Id));
        undone.Validate("undone");
    }

    [Fact]
    public async Task Take_BeyondTheLast_IsRefusedBeforeItIsKept()
    {
        string[] hashes =
            [.. Enumerable.Range(0, VoiceLine.MaxRecorded).Select(i => _recordings.AddTake(Sounds.Sine(200 + 10 * i, .1), Ann))];
        VoiceLine full = hashes.Aggregate(new VoiceLine { Id = "1", Text = "Welcome." },
            (line, hash) => line.WithUnheard(new VoiceTake(hash, .1, "Welcome.", new()) { IsRecorded = true, Pieces = [hash] }));
        Guid id = (await _projects.CreateAsync(Ann, new VoiceProject { Name = "film", Lines = [full] })).Id;
        Assert.Contains("delete one first",
            (await Assert.ThrowsAnyAsync<FlywheelException>(() => _projects.RecordedAsync(id, Ann, "1", Wav(Sounds.Sine(900, .3))))).Message,
            StringComparison.Ordinal);
        Assert.Equal(VoiceLine.MaxRecorded, Directory.GetDirectories(Path.Combine(_store.Home.Path, Recordings.FolderName)).Length);
    }
}
