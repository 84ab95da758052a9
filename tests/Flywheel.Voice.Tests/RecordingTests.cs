using System.Text;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

/// <summary>Recordings and films: where somebody speaks, how long a text takes, the picture that stays what it was.</summary>
public sealed class RecordingTests : IDisposable
{
    private static readonly string[] Texts =
    [
        "Welcome to the harbour museum.", "It opens at nine.",
        "Please leave your coats in the hall, and take a map with you before you go up.", "Thank you.",
        "On the first floor you will find ships from three centuries.", "Mind the step.",
    ];

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static VoiceProject Project(IEnumerable<string> texts, string voice) =>
        new() { Voice = new() { Voice = voice }, Lines = [.. texts.Select((text, i) => new VoiceLine { Id = $"{i + 1}", Text = text })] };

    [Theory]
    [InlineData("espeak:en-us", 0)]
    [InlineData("espeak:en-gb+f3", .003)]
    [InlineData("flite:rms", .001)]
    public async Task Align_OfSpokenLines_FindsWhereEachIsSaid(string voice, double noise)
    {
        Sounds.Need(voice[0] == 'f' ? "flite" : "espeak-ng");
        RenderReport report = await new Renderer(SpeechEngines.Default,
            new SegmentCache(_folder["cache"])).RenderAsync(Project(Texts, voice), _folder["a.wav"],
                cancellation: TestContext.Current.CancellationToken);
        Clip clip = WavReader.ReadMono(_folder["a.wav"]);
        var random = new Random(1);
        for (int i = 0; i < clip.Samples.Length; i++) clip.Samples[i] += (float)(noise * (2 * random.NextDouble() - 1)); // a room
        IReadOnlyList<VoiceLine> aligned = SpeechSegments.Align(clip, Project(Texts, voice).Lines);
        foreach ((LineReport said, VoiceLine line) in report.Lines.Zip(aligned))
        {
            Assert.Equal(said.Start, line.Start!.Value.TotalSeconds, .15);
            Assert.Equal(said.End, line.End!.Value.TotalSeconds, .15);
        }
    }

    [Fact]
    public void Align_OfAnyLinesAndSound_KeepsTheirOrderWithinTheSound()
    {
        var random = new Random(7);
        for (int round = 0; round < 40; round++)
        {
            float[] samples = new float[random.Next(1, 80_000)];
            for (int at = 0; at < samples.Length;)
            {
                int length = Math.Min(samples.Length - at, random.Next(1, 8000));
                float level = random.Next(2) * .3f;
                for (int i = 0; i < length; i++) samples[at + i] = level * (float)Math.Sin(.3 * i);
                at += length;
            }
            VoiceLine[] lines =
                [.. Enumerable.Range(0, random.Next(1, 9))
                    .Select(i => new VoiceLine { Id = $"{i}", Text = new string('a', random.Next(1, 60)) })];
            var clip = new Clip(samples, 8000);
            if (SpeechSegments.Find(clip, .08).Count == 0)
            {
                Assert.Throws<FlywheelException>(() => SpeechSegments.Align(clip, lines));
                continue;
            }
            IReadOnlyList<VoiceLine> aligned = SpeechSegments.Align(clip, lines);
            Assert.Equal(lines.Length, aligned.Count);
            for (int i = 0; i < aligned.Count; i++)
            {
                Assert.True(aligned[i].Start <= aligned[i].End && aligned[i].End <= clip.Duration + TimeSpan.FromMilliseconds(1));
                Assert.True(i == 0 || aligned[i].Start >= aligned[i - 1].Start);
            }
            new VoiceProject { Lines = aligned }.Validate("aligned");
        }
    }

    [Fact]
    public void Align_OfSilence_IsRefused() =>
    Assert.Contains("silent",
        Assert.Throws<FlywheelException>(() =>
            SpeechSegments.Align(new Clip(new float[48_000], 16_000), [new VoiceLine { Id = "1", Text = "Hello" }])).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("espeak:en-us", "espeak-ng")]
    [InlineData("flite:rms", "flite")]
    public async Task Duration_OfLinesThatWereNotLearntFrom_IsNearWhatIsSpoken(string voice, string program)
    {
        Sounds.Need(program);
        string[] words =
            "the harbour opens at nine and closes late in summer when ships from other countries bring visitors who want to see old engines maps bells or small boats".Split(' ');
        var random = new Random(3);
        string[] texts =
            [.. Enumerable.Range(0, 40)
                .Select(_ =>
                    string.Join(' ', Enumerable.Range(0, random.Next(2, 14)).Select(_ => words[random.Next(words.Length)])) + ".")];
        var renderer = new Renderer(SpeechEngines.Default, new SegmentCache(_folder["cache"]));
        VoiceProject project = Project(texts, voice);
        RenderReport report = await renderer.FitReportAsync(project, cancellation: TestContext.Current.CancellationToken);
        (string, double)[] spoken = [.. texts.Zip(report.Lines, (text, line) => (text, line.SecondsNatural))];
        DurationModel model = DurationModel.Learn(spoken)!;
        TestContext.Current.TestOutputHelper!.WriteLine($"{voice}: held-out error {model.HeldOutError:P1}");
        Assert.InRange(model.HeldOutError, .001, .1);
        Assert.True(model.Predict("the old ships") < model.Predict("the old ships from other countries bring visitors"));
        Assert.Null(DurationModel.Learn(spoken[..(DurationModel.MinLines - 1)]));
    }

    [Fact]
    public async Task Film_OfAVaryingFrameRate_KeepsItsPictureAndTimesUnderAnotherSound()
    {
        Sounds.Need("ffmpeg");
        // Frames are left out at uneven places: the times between those that stay vary.
        await FfmpegAsync("-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=6", "-f", "lavfi", "-i", "sine=f=300:d=6", "-vf",
            "select='not(eq(mod(n,7),3))*not(between(n,40,55))'", "-vsync", "vfr", "-c:v", "mpeg4", "-c:a", "aac", "-shortest",
            _folder["film.mp4"]);
        WavWriter.WriteFile(_folder["speech.wav"], Sounds.Sine(700, 2));
        (double seconds, bool hasSound) = await VideoFile.LookAsync(_folder["film.mp4"], TestContext.Current.CancellationToken);
        Assert.True(hasSound);
        Assert.InRange(seconds, 5.8, 6.2);
        await Mixer.MixAsync(_folder["speech.wav"], _folder["mixed.wav"], new MixOptions { Bed = _folder["film.mp4"], Length = seconds },
            cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(seconds, Mixer.Look(_folder["mixed.wav"]).Seconds, .01);
        Clip mixed = WavReader.ReadMono(_folder["mixed.wav"]);
        Assert.True(Sounds.Rms(mixed.Samples.AsSpan(3 * mixed.Rate, mixed.Rate)) > 1.5 * Under(mixed),
            "the film's sound gives way under the speech and comes back");
        foreach (string name in new[] { "out.mp4", "out.mkv" })
        {
            await VideoFile.MuxAsync(_folder["film.mp4"], _folder["mixed.wav"], _folder[name], "es", TestContext.Current.CancellationToken);
            Assert.Equal(await StreamHashAsync(_folder["film.mp4"]), await StreamHashAsync(_folder[name]));
            double[] before = await TimesAsync(_folder["film.mp4"]), after = await TimesAsync(_folder[name]);
            Assert.Equal(before.Length, after.Length);
            Assert.Contains("language=spa",
                (await Tool.RunAsync("ffprobe", ["-v", "error", "-select_streams", "a", "-show_entries", "stream_tags=language", "-of",
                    "default=nw=1", _folder[name]], _folder.Path)).Output, StringComparison.Ordinal);
            // Opus begins 7 ms before its first sample, by which Matroska moves sound and picture together.
            Assert.InRange(after[0] - before[0], 0, .008);
            Assert.All(before.Zip(after), pair => Assert.Equal(pair.First - before[0], pair.Second - after[0], .002));
            Assert.True(before.Zip(before.Skip(1), (a, b) => Math.Round(b - a, 2)).Distinct().Count() > 2, "the frame rate varies");
        }
        await VideoFile.ExtractAsync(_folder["out.mkv"], _folder["again.wav"], cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(seconds, Mixer.Look(_folder["again.wav"]).Seconds, .1);
        Assert.Contains("no picture",
            (await Assert.ThrowsAsync<FlywheelException>(() => VideoFile.LookAsync(_folder["speech.wav"]))).Message,
            StringComparison.Ordinal);

        // The bed's 300 Hz while the speech's 700 Hz sounds, by correlation.
        double Under(Clip clip)
        {
            double sine = 0, cosine = 0;
            for (int i = clip.Rate / 2; i < 3 * clip.Rate / 2; i++)
            {
                sine += clip.Samples[i] * Math.Sin(2 * Math.PI * 300 * i / clip.Rate);
                cosine += clip.Samples[i] * Math.Cos(2 * Math.PI * 300 * i / clip.Rate);
            }
            return Math.Sqrt(2) * Math.Sqrt(sine * sine + cosine * cosine) / clip.Rate;
        }
    }

    [Fact]
    public async Task Film_WithoutSound_GetsTheSpeechAloneAsLongAsThePicture()
    {
        Sounds.Need("ffmpeg");
        await FfmpegAsync("-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=3", "-c:v", "mpeg4", _folder["silent.mp4"]);
        (double seconds, bool hasSound) = await VideoFile.LookAsync(_folder["silent.mp4"], TestContext.Current.CancellationToken);
        Assert.False(hasSound);
        foreach (double spoken in new[] { 1.0, 5 })
        {
            WavWriter.WriteFile(_folder["speech.wav"], Sounds.Sine(700, spoken));
            await Mixer.MixAsync(_folder["speech.wav"], _folder["mixed.wav"], new MixOptions { Length = seconds },
                cancellation: TestContext.Current.CancellationToken);
            Assert.Equal(seconds, Mixer.Look(_folder["mixed.wav"]).Seconds, .01);
        }
        await VideoFile.MuxAsync(_folder["silent.mp4"], _folder["mixed.wav"], _folder["out.mp4"], "es",
            TestContext.Current.CancellationToken);
        Assert.True((await VideoFile.LookAsync(_folder["out.mp4"], TestContext.Current.CancellationToken)).HasSound);
    }

    [Fact]
    public async Task Upload_ThatIsAListOfOtherFiles_IsRefusedByItsName()
    {
        Sounds.Need("ffmpeg");
        await FfmpegAsync("-f", "lavfi", "-i", "testsrc=s=32x32:r=5:d=1", "-f", "lavfi", "-i", "sine=f=300:d=1", "-c:v", "mpeg2video",
            "-c:a", "mp2", "-shortest", _folder["secret.ts"]);
        byte[] list =
            Encoding.UTF8.GetBytes($"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{_folder["secret.ts"]}\n#EXT-X-ENDLIST\n");
        var recordings = new Recordings(_folder["recordings"]);
        foreach (string name in new[] { "list.mp3", "list.mp4" })
            Assert.StartsWith(name,
                (await Assert.ThrowsAsync<FlywheelException>(() =>
                    recordings.AddOriginalAsync(name, file => file.WriteAsync(list).AsTask(), "ann",
                        TestContext.Current.CancellationToken))).Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetDirectories(_folder["recordings"]));
        // What lay here before uploads were looked through is not read later either.
        File.WriteAllBytes(_folder["film.mp4"], list);
        WavWriter.WriteFile(_folder["speech.wav"], Sounds.Sine(700, 1));
        await Assert.ThrowsAsync<FlywheelException>(() =>
            VideoFile.MuxAsync(_folder["film.mp4"], _folder["speech.wav"], _folder["out.mkv"], "es",
                TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<FlywheelException>(() =>
            Mixer.MixAsync(_folder["speech.wav"], _folder["mixed.wav"],
                new MixOptions { Bed = _folder["film.mp4"], IsBedForeign = true, Length = 1 },
                cancellation: TestContext.Current.CancellationToken));
    }

    [Fact]
    public void Output_ThatIsAnInputByAnyName_IsRefused()
    {
        Directory.CreateDirectory(_folder["films"]);
        File.WriteAllText(_folder["films/film.mp4"], "");
        File.CreateSymbolicLink(_folder["link.mp4"], _folder["films/film.mp4"]);
        File.CreateSymbolicLink(_folder["again.mp4"], "link.mp4");
        Directory.CreateSymbolicLink(_folder["folder"], "films");
        string[] names = ["films/film.mp4", "films/../films/./film.mp4", "link.mp4", "again.mp4", "folder/film.mp4"];
        foreach (string read in names)
            foreach (string written in names)
                Assert.Contains("would be written over",
                    Assert.Throws<FlywheelException>(() =>
                        InputFiles.RefuseOverwriting([null, _folder["script.srt"], _folder[read]], [null, _folder[written]])).Message,
                        StringComparison.Ordinal);
        InputFiles.RefuseOverwriting([_folder["link.mp4"]], [_folder["films/other.mp4"], _folder["folder/none/film.mp4"]]);
        File.CreateSymbolicLink(_folder["circle"], "circle");
        Assert.Contains("symbolic links",
            Assert.Throws<FlywheelException>(() => InputFiles.RefuseOverwriting([], [_folder["circle"]])).Message,
            StringComparison.Ordinal);
    }

    private async Task FfmpegAsync(params string[] arguments)
    {
        (int code, string said) = await Tool.RunAsync("ffmpeg", ["-v", "error", "-y", .. arguments], _folder.Path);
        Assert.True(code == 0, said);
    }

    private async Task<string> StreamHashAsync(string path)
    {
        await FfmpegAsync("-i", path, "-map", "0:v:0", "-c", "copy", "-f", "streamhash", _folder["hash"]);
        return File.ReadAllText(_folder["hash"], Encoding.ASCII);
    }

    private async Task<double[]> TimesAsync(string path)
    {
        (int code, string said) = await Tool.RunAsync("ffprobe",
            ["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0", path], _folder.Path);
        Assert.True(code == 0, said);
        return [.. said.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(line => double.Parse(line.TrimEnd(','), System.Globalization.CultureInfo.InvariantCulture))];
    }
}
