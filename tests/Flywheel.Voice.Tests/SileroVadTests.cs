using Flywheel.Data;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

/// <summary>Speech in recordings: the form of Silero's model by a tiny one of our own, and the real one where it is at hand.</summary>
public sealed class SileroVadTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private SileroVad Tiny()
    {
        File.WriteAllBytes(_folder["vad.onnx"], TinyOnnx.Vad());
        return SileroVad.Open(_folder["vad.onnx"]);
    }

    [Fact]
    public void Listen_OfASound_GivesEachWindowWithTheEndOfTheOneBefore()
    {
        // Windows of 512 at 16 kHz: silence, then a constant .05, then silence.
        float[] samples = new float[512 * 6 + 100];
        samples.AsSpan(512 * 2, 512 * 2).Fill(.05f);
        using SileroVad vad = Tiny();
        float[] likely = vad.Listen(new Clip(samples, 16_000));
        float whole = 10 * .05f * 512 / 576, first = whole, second = 10 * .05f, after = 10 * .05f * 64 / 576;
        Assert.Equal(7, likely.Length);
        Assert.Equal([0, 0, first, second, after, 0, 0], likely, (a, b) => Math.Abs(a - b) < 1e-5);
    }

    [Fact]
    public void Find_ByAModel_IsWhereItHearsSpeech()
    {
        float[] samples = new float[16_000 * 3];
        samples.AsSpan(16_000, 16_000).Fill(.06f); // .53 with its context and .6: begins and stays
        using SileroVad vad = Tiny();
        SpeechSegment found = Assert.Single(SpeechSegments.Find(new Clip(samples, 16_000), vad: vad));
        Assert.Equal(1, found.Start, .033);
        Assert.Equal(2, found.End, .033);
        samples.AsSpan(16_000, 16_000).Fill(.04f); // .36 and .4 never begin
        Assert.Empty(SpeechSegments.Find(new Clip(samples, 16_000), vad: vad));
        Assert.Empty(SpeechSegments.Find(new Clip([], 16_000), vad: vad));
    }

    [Fact]
    public void Open_OfAnotherFile_IsRefusedByName()
    {
        File.WriteAllBytes(_folder["cut.onnx"], TinyOnnx.Vad()[..200]);
        File.WriteAllBytes(_folder["voice.onnx"], TinyOnnx.Voice(hasSpeakers: false));
        File.WriteAllText(_folder["text.onnx"], "this is no model");
        File.WriteAllBytes(_folder["empty.onnx"], []);
        Assert.Contains("is no model", Refused("cut.onnx"), StringComparison.Ordinal);
        Assert.Contains("is no model", Refused("text.onnx"), StringComparison.Ordinal);
        Assert.Contains("0 bytes", Refused("empty.onnx"), StringComparison.Ordinal);
        Assert.Contains("is no Silero VAD", Refused("voice.onnx"), StringComparison.Ordinal);
        Assert.Contains("there is no such file", Refused("none.onnx"), StringComparison.Ordinal);

        string Refused(string name)
        {
            string said = Assert.Throws<FlywheelException>(() => SileroVad.Open(_folder[name])).Message;
            Assert.StartsWith(_folder[name], said, StringComparison.Ordinal);
            return said;
        }
    }

    [Fact]
    public async Task Find_OfRealSpeechInNoise_FindsThePauses()
    {
        Sounds.Need("flite");
        var home = new FlywheelHome(_folder["home"]);
        if (new SourceFiles(home).TryFind("silero-vad", "vad-web-0.0.31.tgz") is null)
            Assert.Skip("no vad-web-0.0.31.tgz in the folder silero-vad of a mirror (FLYWHEEL_MIRROR)");
        SileroVadPackage.Fetch(home, SileroVad.PathIn(home));
        using SileroVad vad = SileroVad.FindIn(home)!;
        ISpeechEngine engine = SpeechEngines.Default.All.First(each => each.Name == "flite");
        Voice voice = (await engine.FindAsync("rms", default))!;
        Clip speech =
            (await engine.SpeakAsync(new Utterance(voice, [new SpeechPart("The museum opens at nine in the morning.")]), default)).Trim();
        // One second of it, twice, with two seconds between, in noise a tenth as strong as the speech (10 dB).
        float[] samples = [.. new float[speech.Rate], .. speech.Samples, .. new float[2 * speech.Rate], .. speech.Samples,
            .. new float[speech.Rate]];
        double noise = Sounds.Rms(speech.Samples) * Math.Pow(10, -10 / 20.0) * Math.Sqrt(3);
        var random = new Random(5);
        for (int i = 0; i < samples.Length; i++) samples[i] += (float)(noise * (2 * random.NextDouble() - 1));
        IReadOnlyList<SpeechSegment> found = SpeechSegments.Find(new Clip(samples, speech.Rate), .5, vad);
        double length = speech.Duration.TotalSeconds;
        Assert.Equal(2, found.Count);
        Assert.Equal(1, found[0].Start, .15);
        Assert.Equal(1 + length, found[0].End, .2);
        Assert.Equal(3 + length, found[1].Start, .15);
        Assert.Equal(3 + 2 * length, found[1].End, .2);
    }
}
