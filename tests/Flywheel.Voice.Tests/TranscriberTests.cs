using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

/// <summary>Whisper files: whisper.cpp itself hears with tiny ones of our own, and everything that is wrong with a file is said before it
/// does.</summary>
public sealed class TranscriberTests(TranscriberTests.Files files) : IClassFixture<TranscriberTests.Files>
{
    public sealed class Files : IDisposable
    {
        internal TempFolder Folder { get; } = new();

        internal Transcriber Transcriber { get; }

        public Files()
        {
            TinyWhisper.Write(Folder["english.bin"]);
            TinyWhisper.Write(Folder["many.bin"], languages: true);
            Transcriber = new Transcriber(Folder.Path, numThreads: 1);
        }

        public void Dispose()
        {
            Transcriber.Dispose();
            Folder.Dispose();
        }
    }

    private static readonly Clip s_clip = Sounds.Sine(300, 1.5, 24_000);

    private Task<Transcript> HearAsync(string? name, TranscriptOptions? options = null) =>
        files.Transcriber.HearAsync(name, s_clip, options ?? new(), TestContext.Current.CancellationToken);

    [Fact]
    public async Task Hear_ByAnEnglishModel_IsWhatItSaysWithItsTimes()
    {
        Transcript transcript = await HearAsync("english");
        Assert.Equal(("english", "en", TinyWhisper.Says, 1.5),
            (transcript.Model, transcript.Language, transcript.Text, transcript.Seconds));
        TranscriptSegment segment = Assert.Single(transcript.Segments);
        Assert.Equal((.1, 1.5), (segment.Start, segment.End));
        Assert.Equal([1, 2], segment.Tokens);
        Assert.InRange(segment.Probability, .9, 1);
        Assert.Equal(["Hello,", "world."], segment.Words.Select(word => word.Text));
        Assert.All(segment.Words, word => Assert.InRange(word.End, word.Start, 1.5));
        Assert.Equal("1\n00:00:00,100 --> 00:00:01,500\nHello, world.\n\n", Srt.Write(transcript.Cues));
    }

    [Fact]
    public async Task Hear_WithAPrompt_GivesItToTheModel()
    {
        Assert.Equal(TinyWhisper.Prompted, (await HearAsync("english", new() { Prompt = TinyWhisper.Prompt })).Text);
        Assert.Equal(TinyWhisper.Says, (await HearAsync("english")).Text); // of the one before nothing is left
    }

    [Fact]
    public async Task Hear_ByAModelOfManyLanguages_HearsWhich()
    {
        Assert.Equal(("fr", TinyWhisper.Says), (await HearAsync("many")) is var heard ? (heard.Language, heard.Text) : default);
        Assert.Equal("de", (await HearAsync("many", new() { Language = "de" })).Language);
        Assert.Equal("en", (await HearAsync("many", new() { Language = "de", Translate = true })).Language);
    }

    /// <summary>The model that is in use is freed after it: else the process dies.</summary>
    [Fact]
    public async Task Dispose_WhileARecordingIsHeard_EndsItAndWaitsForIt()
    {
        var transcriber = new Transcriber(files.Folder.Path, numThreads: 1);
        TaskCompletionSource begun = New(), told = New(), over = New();
        Task<Transcript> hearing = transcriber.HearAsync("english", HoldAsync, new()),
            waiting = transcriber.HearAsync("english", s_clip, new());
        await begun.Task;
        Task disposing = Task.Run(transcriber.Dispose);
        await told.Task.WaitAsync(TimeSpan.FromMinutes(1)); // decides nothing: a test that waits for ever tells nobody why
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.False(disposing.IsCompleted);
        over.SetResult();
        await disposing;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hearing);
        transcriber.Dispose(); // once more is nothing

        async Task<Clip> HoldAsync(CancellationToken stop)
        {
            begun.SetResult();
            await using (stop.Register(told.SetResult)) await over.Task;
            return s_clip;
        }

        static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    [Fact]
    public async Task Hear_OfWhatAModelCannot_IsRefusedByName()
    {
        Assert.Equal(["english", "many"], files.Transcriber.Names);
        Assert.Contains("there is no Whisper model 'englisch'; did you mean 'english'", await RefusedAsync("englisch"),
            StringComparison.Ordinal);
        Assert.Contains("knows English alone", await RefusedAsync("english", new() { Translate = true }), StringComparison.Ordinal);
        Assert.Contains("knows English alone", await RefusedAsync("english", new() { Language = "fr" }), StringComparison.Ordinal);
        Assert.Contains("'xx', which Whisper does not know", await RefusedAsync("many", new() { Language = "xx" }),
            StringComparison.Ordinal);
        Assert.Contains("puts one in",
            (await Assert.ThrowsAsync<FlywheelException>(() =>
                new Transcriber(files.Folder["none"]).HearAsync(null, s_clip, new()))).Message, StringComparison.Ordinal);
        Assert.Contains("2 hours",
            (await Assert.ThrowsAsync<FlywheelException>(() =>
                files.Transcriber.HearAsync(null, new Clip(new float[8 * 9000], 8), new()))).Message, StringComparison.Ordinal);

        async Task<string> RefusedAsync(string name, TranscriptOptions? options = null) =>
            (await Assert.ThrowsAsync<FlywheelException>(() => HearAsync(name, options))).Message;
    }

    [Fact]
    public void Read_OfAFileCutAnywhere_SaysThatItWasCut()
    {
        byte[] whole = File.ReadAllBytes(files.Folder["english.bin"]);
        var random = new Random(3);
        using var folder = new TempFolder();
        Assert.Equal((51_864, TinyWhisper.Width, false),
            WhisperFile.Read(files.Folder["english.bin"]) is var file ? (file.NumVocab, file.Width, file.IsMultilingual) : default);
        foreach (int length in Enumerable.Range(0, 60).Select(i => i < 30 ? i * 4 : random.Next(whole.Length)))
        {
            File.WriteAllBytes(folder["cut.bin"], whole[..length]);
            string said = Assert.Throws<FlywheelException>(() => WhisperFile.Read(folder["cut.bin"])).Message;
            Assert.StartsWith(folder["cut.bin"], said, StringComparison.Ordinal);
            Assert.Matches("it was cut|does not begin with its mark", said);
        }
    }

    [Fact]
    public void Read_OfAnyOtherBytes_IsRefusedOrTheSameModel()
    {
        byte[] whole = File.ReadAllBytes(files.Folder["english.bin"]);
        var random = new Random(4);
        using var folder = new TempFolder();
        // Headers and lengths lie in the first bytes and around each tensor's name; values may be anything.
        for (int round = 0; round < 60; round++)
        {
            byte[] changed = [.. whole];
            int at = round < 40 ? random.Next(56) : 14 * 4 + 4 * TinyWhisper.NumMels * TinyWhisper.NumFft + random.Next(120);
            changed[at] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(folder["other.bin"], changed);
            try
            {
                Assert.Equal(whole.Length, WhisperFile.Read(folder["other.bin"]).NumBytes);
            }
            catch (FlywheelException e)
            {
                Assert.StartsWith(folder["other.bin"], e.Message, StringComparison.Ordinal);
            }
        }
        File.WriteAllText(folder["gguf.bin"], "GGUF of a language model");
        Assert.Contains("it is GGUF", Assert.Throws<FlywheelException>(() => WhisperFile.Read(folder["gguf.bin"])).Message,
            StringComparison.Ordinal);
        using (FileStream huge = File.Create(folder["huge.bin"])) huge.SetLength(9L << 30);
        Assert.Contains("expected a Whisper model of at most 8192",
            Assert.Throws<FlywheelException>(() => WhisperFile.Read(folder["huge.bin"])).Message, StringComparison.Ordinal);
        File.WriteAllBytes(folder["long.bin"], [.. whole, .. new byte[40]]);
        Assert.Contains("dimensions of a tensor is 0", Assert.Throws<FlywheelException>(() => WhisperFile.Read(folder["long.bin"])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Add_OfAFile_PutsItIntoTheFolderWhole()
    {
        using var folder = new TempFolder();
        using var transcriber = new Transcriber(folder["models"]);
        Assert.Equal("many", transcriber.Add(files.Folder["many.bin"]).Name);
        Assert.Equal(["many"], transcriber.Names);
        Assert.Equal(File.ReadAllBytes(files.Folder["many.bin"]), File.ReadAllBytes(folder["models/many.bin"]));
        File.WriteAllText(folder["text.bin"], "hello");
        Assert.Throws<FlywheelException>(() => transcriber.Add(folder["text.bin"]));
        Assert.Equal(["many"], transcriber.Names);
    }

    [Fact]
    public void Words_WhoseTokensArePartsOfLetters_HaveTheirShareOfTheTime()
    {
        Assert.Equal([new TranscriptWord("Zoë", 0, 1.5), new("ok", 2, 3)],
            Transcriber.Words("Zoë ok", [("Zo\uFFFD", 0, .5), ("\uFFFD", .5, 1), (" ok", 1, 3)], 0, 3));
        Assert.Equal([new TranscriptWord("Zoë", 0, 1), new("ok", 1, 3)], Transcriber.Words("Zoë ok", [("Zoë", 0, 1), (" ok", 1, 3)], 0, 3));
        Assert.Equal([new TranscriptWord("你", 0, 1), new("好", 1, 2)], Transcriber.Words("你好", [("你", 0, 1), ("好", 1, 2)], 0, 2));
    }
}
