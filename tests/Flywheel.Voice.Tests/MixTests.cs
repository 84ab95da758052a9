using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

public sealed class MixTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public MixTests() => Sounds.Need("ffmpeg");

    public void Dispose() => _folder.Dispose();

    /// <summary>Three seconds of a voice-like hum in the middle of nine.</summary>
    private string Speech()
    {
        float[] samples = [.. new float[3 * 24_000], .. Sounds.Sine(220, 3, level: .3f).Samples, .. new float[3 * 24_000]];
        WavWriter.WriteFile(_folder["speech in.wav"], new Clip(samples, 24_000));
        return _folder["speech in.wav"];
    }

    private string Bed(double seconds)
    {
        // a name for shells and for ffmpeg's own syntax
        WavWriter.WriteFile(_folder["bed, $(x).wav"], Sounds.Sine(1000, seconds, 44_100, .2f));
        return _folder["bed, $(x).wav"];
    }

    [Fact]
    public async Task Mix_OverABed_DucksItUnderTheSpeechAndFadesIt()
    {
        MixReport report = await Mixer.MixAsync(Speech(), _folder["out.wav"],
            new MixOptions { Bed = Bed(2.5), BedVolume = 0, FadeIn = 1, FadeOut = 2 }, _folder["stems"]);
        Assert.Equal(11, report.Seconds, .01);
        Assert.Equal(["speech.wav", "bed.wav"], report.Stems.Select(Path.GetFileName));
        float[] bed = WavReader.ReadMono(report.Stems[1]).Samples;
        double Level(double from, double to) => 20 * Math.Log10(Sounds.Rms(bed.AsSpan((int)(from * 48_000)..(int)(to * 48_000))) + 1e-9);
        Assert.InRange(Level(1.5, 2.9) - Level(4, 5.8), 8, 40); // under the speech it is quieter
        Assert.InRange(Level(7.5, 8.5) - Level(1.5, 2.9), -1.5, 1.5); // and then as before
        Assert.InRange(Level(1.5, 2.9) - Level(0, .1), 10, 100);
        Assert.InRange(Level(7.5, 8.5) - Level(10.9, 11), 10, 100);
        float[] speech = WavReader.ReadMono(report.Stems[0]).Samples, mix = WavReader.ReadMono(_folder["out.wav"]).Samples;
        Assert.Equal(.3 / Math.Sqrt(2), Sounds.Rms(speech.AsSpan((int)(3.1 * 48_000)..(int)(5.9 * 48_000))), .01); // words keep their level
        for (int i = 0; i < mix.Length; i += 997) Assert.Equal(speech[i] + bed[i], mix[i], .002); // the stems are the mix
    }

    [Theory]
    [InlineData(-16)]
    [InlineData(-23)]
    public async Task Mix_ToALoudness_IsMeasuredWithinHalfALoudnessUnit(double target)
    {
        string speech = _folder["spoken.wav"];
        if (Tool.Exists("flite"))
        {
            VoiceProject project = new() { Voice = new() { Voice = "flite:slt" },
                Lines = ScriptFile.OfText(
                    "The wheel turns, and every turn is a little better.\n\nThen again.\nAnd so on, until the evening comes.") };
            await new Renderer(SpeechEngines.Default, new SegmentCache(_folder["cache"])).RenderAsync(project, speech);
        }
        else File.Copy(Speech(), speech);
        foreach (string? bed in new[] { null, Bed(4) })
        {
            MixReport report = await Mixer.MixAsync(speech, _folder["out.flac"], new MixOptions { Bed = bed, Loudness = target });
            Assert.Equal(target, report.Loudness.Integrated, .5);
            Loudness outside = await LoudnessMeter.MeasureAsync(_folder["out.flac"]);
            Assert.Equal(target, outside.Integrated, .5);
            Assert.True(outside.TruePeak <= -.5, $"true peak {outside.TruePeak}");
            Assert.Equal(0, report.NumClipped);
        }
    }

    [Theory]
    [InlineData("mp3")]
    [InlineData("opus")]
    [InlineData("flac")]
    [InlineData("wav")]
    public async Task Mix_InEachFormat_HasItsLength(string ending)
    {
        MixReport report = await Mixer.MixAsync(Speech(), _folder[$"out.{ending}"], new MixOptions());
        (int code, string length) = await Tool.RunAsync("ffprobe",
            ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", _folder[$"out.{ending}"]], _folder.Path);
        Assert.True(code == 0, length);
        Assert.Equal(report.Seconds, double.Parse(length.Trim()), .1);
    }

    [Fact]
    public void Look_OfAClippedFile_CountsTheSamples()
    {
        WavWriter.WriteFile(_folder["a.wav"], new Clip([0, .5f, 1, -1, .9f, 1.2f], 8000));
        Assert.Equal((6 / 8000.0, 3L), Mixer.Look(_folder["a.wav"]));
    }

    [Fact]
    public async Task Mix_OfWhatCannotBe_SaysSo()
    {
        WavWriter.WriteFile(_folder["silence.wav"], new Clip(new float[24_000], 24_000));
        Assert.Contains("is silent",
            (await Assert.ThrowsAsync<FlywheelException>(() =>
                Mixer.MixAsync(_folder["silence.wav"], _folder["out.wav"], new MixOptions { Loudness = -16 }))).Message,
                StringComparison.Ordinal);
        Assert.Contains("there is no such file",
            (await Assert.ThrowsAsync<FlywheelException>(() =>
                Mixer.MixAsync(Speech(), _folder["out.wav"], new MixOptions { Bed = "/no/bed.mp3" }))).Message, StringComparison.Ordinal);
        Assert.Contains("loudness is -3",
            (await Assert.ThrowsAsync<FlywheelException>(() =>
                Mixer.MixAsync(Speech(), _folder["out.wav"], new MixOptions { Loudness = -3 }))).Message, StringComparison.Ordinal);
        File.WriteAllText(_folder["text.mp3"], "no sound");
        Assert.Contains("ffmpeg failed",
            (await Assert.ThrowsAsync<FlywheelException>(() =>
                Mixer.MixAsync(Speech(), _folder["out.wav"], new MixOptions { Bed = _folder["text.mp3"] }))).Message,
                StringComparison.Ordinal);
        Assert.False(File.Exists(_folder["out.wav"]));
    }
}
