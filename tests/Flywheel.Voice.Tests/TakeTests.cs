using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

/// <summary>Takes that somebody spoke: kept as they are, heard in the whole, carried to another machine.</summary>
public sealed class TakeTests : IDisposable
{
    private const int Rate = 24_000;

    private readonly TempFolder _folder = new();
    private readonly Recordings _recordings;
    private readonly Renderer _renderer;

    public TakeTests()
    {
        _recordings = new Recordings(_folder["recordings"]);
        _renderer = new Renderer(new SpeechEngines([new HummingEngine()]), new SegmentCache(_folder["cache"]), recordings: _recordings);
    }

    public void Dispose() => _folder.Dispose();

    private static MemoryStream Wav(Clip clip)
    {
        var wav = new MemoryStream();
        using (var writer = new WavWriter(wav, clip.Rate)) writer.Write(clip.Samples);
        return new MemoryStream(wav.ToArray());
    }

    /// <summary>A second of a tone with quiet noise around it, as from a microphone.</summary>
    private static Clip Spoken(double hertz, int rate = 48_000)
    {
        var random = new Random(7);
        float[] samples = new float[3 * rate];
        for (int i = 0; i < samples.Length; i++) samples[i] = (float)(1e-3 * (random.NextDouble() - .5));
        Sounds.Sine(hertz, 1, rate).Samples.CopyTo(samples, rate);
        return new Clip(samples, rate);
    }

    private VoiceProject Film(double hertz, out VoiceTake take)
    {
        (string hash, TimeSpan length) = _recordings.AddTake(Wav(Spoken(hertz)), "ann");
        take = new VoiceTake(hash, length.TotalSeconds, "second", new()) { IsRecorded = true, Pieces = [hash] };
        var line = new VoiceLine { Id = "2", Text = "second", Start = TimeSpan.FromSeconds(2), End = TimeSpan.FromSeconds(4) };
        return new VoiceProject
        {
            SampleRate = Rate, Voice = new() { Voice = "hum:low" },
            Lines = [new VoiceLine { Id = "1", Text = "first", Start = TimeSpan.Zero, End = TimeSpan.FromSeconds(1) },
                line.WithUnheard(take) with { Take = hash }],
        };
    }

    [Fact]
    public async Task Take_ThatIsChosen_IsWhatTheWholeAndItsLineSoundLike()
    {
        VoiceProject film = Film(330, out VoiceTake take);
        Assert.InRange(take.Seconds, 1.05, 1.3); // the silence around it is gone, a little before and after stays
        RenderReport report = await _renderer.RenderAsync(film, _folder["whole.wav"], cancellation: TestContext.Current.CancellationToken);
        Clip whole = WavReader.ReadMono(_folder["whole.wav"]);
        Assert.Equal(("recorded:microphone", take.Hash, 2.0), (report.Lines[1].Voice, report.Lines[1].Hash, report.Lines[1].Start));
        Assert.Equal(330, Sounds.Pitch(whole with { Samples = whole.Samples[(2 * Rate)..] }), 3.0);
        VoiceProject spoken = film.With(film.Lines[1] with { Take = null });
        await _renderer.RenderAsync(spoken, _folder["spoken.wav"], cancellation: TestContext.Current.CancellationToken);
        Assert.NotEqual(whole.Samples[(2 * Rate)..], WavReader.ReadMono(_folder["spoken.wav"]).Samples[(2 * Rate)..]);
        Assert.Equal(whole.Samples[..(2 * Rate)], WavReader.ReadMono(_folder["spoken.wav"]).Samples[..(2 * Rate)]);

        // It says what the line said then: another text makes it out of date, and it is heard until somebody chooses otherwise.
        Assert.DoesNotContain(await _renderer.StatesAsync(film, TestContext.Current.CancellationToken), state => state.IsStale);
        VoiceProject edited = film.With(film.Lines[1] with { Text = "other words" });
        Assert.True((await _renderer.StatesAsync(edited, TestContext.Current.CancellationToken))[1] is { IsStale: true, IsReady: true,
            Fault: null });
        Assert.Equal(take.Hash, (await _renderer.LayAsync(edited, TestContext.Current.CancellationToken))[1].Hash);
    }

    [Fact]
    public async Task Archive_OpenedOnAnotherMachine_HasTheRecordedTakesAsAnotherPersons()
    {
        VoiceProject film = Film(440, out VoiceTake take);
        await ProjectArchive.WriteAsync(_renderer, film, _folder["film.zip"], TestContext.Current.CancellationToken);
        var elsewhere = new Recordings(_folder["elsewhere"]);
        VoiceProject opened;
        await using (FileStream zip = File.OpenRead(_folder["film.zip"])) opened = ProjectArchive.Read(zip, "film.zip", elsewhere, "ben");
        Assert.NotEqual(take.Hash, opened.Lines[1].Take); // ben's own: what is deleted for ann stays
        Assert.Contains("\"user\":\"ben\"", File.ReadAllText(Path.Combine(_folder["elsewhere"], opened.Lines[1].Take!, "file.json")),
            StringComparison.Ordinal);
        var other = new Renderer(new SpeechEngines([new HummingEngine()]), new SegmentCache(_folder["other-cache"]), recordings: elsewhere);
        opened.Validate("film.zip");
        await _renderer.RenderAsync(film, _folder["here.wav"], cancellation: TestContext.Current.CancellationToken);
        await other.RenderAsync(opened, _folder["there.wav"], cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(File.ReadAllBytes(_folder["here.wav"]), File.ReadAllBytes(_folder["there.wav"]));

        // A project's file alone holds no sound: the line says so, and what to do.
        var empty = new Renderer(new SpeechEngines([new HummingEngine()]), new SegmentCache(_folder["third"]),
            recordings: new Recordings(_folder["empty"]));
        Assert.Contains("choose another take",
            (await empty.StatesAsync(VoiceProject.Parse(film.ToJson(), "film"), TestContext.Current.CancellationToken))[1].Fault,
            StringComparison.Ordinal);
        await using (FileStream zip = File.OpenRead(_folder["film.zip"])) Assert.Equal(film.ToJson(),
            ProjectArchive.Read(zip, "film.zip").ToJson());
    }

    /// <summary>Zeros pack a thousandfold: what an archive unpacks to is looked at before anything is kept.</summary>
    [Fact]
    public void Archive_WhoseTakesAreTooLargeOrLie_IsRefusedAndLeavesNothing()
    {
        VoiceTake[] takes =
            [.. Enumerable.Range(0, 36).Select(i => $"{i:x64}")
                .Select(hash => new VoiceTake(hash, 1, "x", new()) { IsRecorded = true, Pieces = [hash] })];
        var project =
            new VoiceProject
                { Lines =
                    [.. takes.Chunk(VoiceLine.MaxRecorded).Select((some, i) => new VoiceLine { Id = $"{i}", Text = "x", Takes = some })] };
        byte[] wav = Wav(Spoken(300, 8000)).ToArray();
        var zipped = new MemoryStream();
        using (var zip = new ZipArchive(zipped, ZipArchiveMode.Create, leaveOpen: true))
        {
            Add("project.json", Encoding.UTF8.GetBytes(project.ToJson()));
            foreach (VoiceTake take in takes) Add($"takes/{take.Hash}.wav", wav);

            void Add(string name, byte[] bytes)
            {
                using Stream entry = zip.CreateEntry(name, CompressionLevel.NoCompression).Open();
                entry.Write(bytes);
            }
        }
        var elsewhere = new Recordings(_folder["elsewhere"]);
        Assert.Contains("expected at most 2048", Refused(60 << 20), StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["elsewhere"]));
        Assert.Contains("that it states", Refused(100), StringComparison.Ordinal);

        // The size of each take as the archive's directory states it.
        string Refused(int stated)
        {
            byte[] lying = zipped.ToArray();
            for (int at = 0; (at = lying.AsSpan(at).IndexOf("PK\x01\x02"u8) is >= 0 and var next ? at + next : -1) >= 0; at += 46)
                if (lying.AsSpan(at + 46).StartsWith("takes/"u8)) BinaryPrimitives.WriteInt32LittleEndian(lying.AsSpan(at + 24), stated);
            return Assert.Throws<FlywheelException>(() =>
                ProjectArchive.Read(new MemoryStream(lying), "film.zip", elsewhere, "ben")).Message;
        }
    }

    [Fact]
    public void Take_ThatIsRecorded_NeverMakesWayForRenderedOnes()
    {
        VoiceLine line = Film(300, out VoiceTake take).Lines[1];
        for (int i = 0; i < 20; i++)
            line = line.With(new VoiceTake(Convert.ToHexStringLower(new byte[31]) + $"{i:x2}", 1, "x", new()) { Pieces = ["100"] });
        Assert.Equal((VoiceLine.MaxTakes + 1, true), (line.Takes.Count, line.Takes.Contains(take)));
        for (int i = 1; i < VoiceLine.MaxRecorded; i++) line = line.WithUnheard(Recorded(i));
        Assert.Contains("delete one first", Assert.Throws<RefusedTakeException>(() => line.WithUnheard(Recorded(99))).Message,
            StringComparison.Ordinal);
        Assert.Null(line.Without(take.Hash).Take);
        new VoiceProject { Lines = [line] }.Validate("film");
        Assert.Contains("line '2': take is",
            Assert.Throws<FlywheelException>(() => new VoiceProject { Lines = [line with { Takes = [] }] }.Validate("film")).Message,
            StringComparison.Ordinal);

        static VoiceTake Recorded(int i) =>
            Convert.ToHexStringLower(new byte[30]) + $"{0xFF00 + i:x4}" is var hash
                ? new VoiceTake(hash, 1, "x", new()) { IsRecorded = true, Pieces = [hash] } : null!;
    }

    [Fact]
    public void Take_ThatIsSilentOrTooLongOrNoWav_IsRefusedAndLeavesNothing()
    {
        Assert.Contains("microphone", Refused(Wav(new Clip(new float[Rate], Rate))), StringComparison.Ordinal);
        Assert.Contains("at most 180", Refused(Wav(new Clip(new float[8000 * 181], 8000))), StringComparison.Ordinal);
        byte[] good = Wav(Spoken(300, 8000)).ToArray();
        Gen.Select(Gen.Int[0, 60], Gen.Byte, Gen.Int[0, 4000]).Sample(change =>
        {
            byte[] broken = good[..];
            broken[change.Item1] = change.Item2;
            try
            {
                _recordings.AddTake(new MemoryStream(broken, 0, change.Item3), "ann");
            }
            catch (FlywheelException)
            {
                // named; anything else fails the test
            }
        }, iter: 60, seed: "0000KeXSOcQ3");
        _ = Film(300, out _); // at least one is kept
        Assert.Empty(Directory.GetDirectories(_folder["recordings"], "*.tmp"));

        string Refused(Stream wav) => Assert.Throws<RefusedTakeException>(() => _recordings.AddTake(wav, "ann")).Message;
    }
}
