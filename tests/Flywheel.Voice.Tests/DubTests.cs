using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

/// <summary>Subtitles dubbed in full, with a real engine.</summary>
public sealed class DubTests : IDisposable
{
    private const string Film = """
        1
        00:00:01,000 --> 00:00:03,000
        [ANN] Where have you been all night?

        2
        00:00:03,200 --> 00:00:05,000
        BOB: Out. I walked along the river until the lights went out.

        3
        00:00:08,000 --> 00:00:10,000
        Alone?

        4
        00:00:10,100 --> 00:00:10,600
        BOB: Nobody walks along a river at night alone, as you know.

        5
        00:00:12,000 --> 00:00:14,500
        - ANN: And then?
        - BOB: Then I came home.

        """;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private async Task<(VoiceProject Project, RenderReport Report, float[] Samples)> DubAsync(string name,
        Func<VoiceProject, VoiceProject>? edit = null)
    {
        Sounds.Need("espeak-ng");
        File.WriteAllText(_folder["film.srt"], Film);
        VoiceProject project = ScriptFile.Read(_folder["film.srt"]) with { Voice = new() { Voice = "espeak:en-us" },
            Cast = new Dictionary<string, VoiceSettings> { ["ANN"] = new() { Voice = "espeak:en-gb+f3" } } };
        project = edit?.Invoke(project) ?? project;
        RenderReport report = await new Renderer(SpeechEngines.Default, new SegmentCache(_folder[$"cache-{name}"])).RenderAsync(project,
            _folder[$"{name}.wav"]);
        return (project, report, WavReader.ReadMono(_folder[$"{name}.wav"]).Samples);
    }

    [Fact]
    public async Task Dub_OfSubtitles_FitsFlagsAndNeverOverlaps()
    {
        (VoiceProject project, RenderReport report, float[] samples) = await DubAsync("a");
        Assert.Equal(["ANN", "BOB", null, "BOB", "ANN", "BOB"], report.Lines.Select(line => line.Role));
        Assert.Equal("espeak:en-gb+f3", report.Lines[0].Voice);
        for (int i = 0; i < report.Lines.Count; i++)
        {
            LineReport line = report.Lines[i];
            Assert.InRange(line.Speed, 1, 1.2);
            if (i > 0) Assert.True(line.Start >= report.Lines[i - 1].End);
            Assert.Equal(line.SecondsNatural / line.Speed, line.End - line.Start, .001);
        }
        Assert.Equal((0, null), (report.Lines[0].Overrun, report.Lines[0].Flag));
        Assert.True(report.Lines[1].Borrowed > 0 && report.Lines[1].Flag is null, "the gap of three seconds takes what is too long");
        Assert.Equal(("too_long", 1.2), (report.Lines[3].Flag, report.Lines[3].Speed)); // half a second for eleven words
        Assert.True(report.Lines[3].Overrun > .2);
        Assert.True(report.Lines[4] is { Delay: > 0, Flag: null }, "who waits for another is not too long");
        Assert.Equal((6, 1 / 6.0), (report.Fit!.NumTimed, Math.Round(report.Fit.ShareAbove * 6) / 6));
        Assert.True(report.Fit.EndDrift < .2, $"the end drifts by {report.Fit.EndDrift}");
        // What is heard is what is said: sound in the lines, silence between them.
        Assert.Equal(report.Seconds, samples.Length / 24_000.0, .001);
        foreach (LineReport line in report.Lines)
            Assert.True(Sounds.Rms(samples.AsSpan((int)(line.Start * 24_000), (int)((line.End - line.Start) * 24_000))) > .01);
        Assert.All(samples[(int)(report.Lines[1].End * 24_000 + 1)..(int)(report.Lines[2].Start * 24_000 - 1)],
            sample => Assert.Equal(0, sample));
        Assert.Equal(project.Lines.Select(line => line.Id), report.Lines.Select(line => line.Id));
    }

    [Fact]
    public async Task Dub_Twice_IsTheSameToTheSample()
    {
        (_, RenderReport first, float[] samples) = await DubAsync("a");
        (_, RenderReport second, float[] again) = await DubAsync("b"); // another cache: all is rendered again
        Assert.Equal(first.NumEngineCalls, second.NumEngineCalls);
        Assert.Equal(samples, again);
        Assert.Equal(first.Lines, second.Lines);
    }

    [Fact]
    public async Task Dub_WithAShorterText_TakesItWhereItIsNeeded()
    {
        (_, RenderReport report, _) = await DubAsync("a", project => project with
        {
            Lines = [.. project.Lines.Select(line => line with { Alternates = [line.Text[..(line.Text.Length / 2)], "No."] })],
        });
        Assert.Equal("Nobody walks along a river ", report.Lines[3].Text); // the longest that fits
        Assert.Null(report.Lines[3].Flag);
        Assert.All(report.Lines.Where((_, i) => i != 3), line => Assert.Null(line.Text));
        Assert.Equal((1, 0.0), (report.Fit!.NumShortened, report.Fit.ShareAbove));
        Assert.Equal(1, report.Lines[2].Speed); // and nobody has to hurry
    }

    [Fact]
    public async Task WriteLines_OfADub_AreTheWhole()
    {
        (VoiceProject project, RenderReport report, float[] samples) = await DubAsync("a");
        IReadOnlyList<string> files = await new Renderer(SpeechEngines.Default,
            new SegmentCache(_folder["cache-a"])).WriteLinesAsync(project, _folder["lines"]);
        Assert.Equal("0001-ANN.wav", Path.GetFileName(files[0]));
        for (int i = 0; i < files.Count; i++)
        {
            float[] line = WavReader.ReadMono(files[i]).Samples;
            Assert.Equal(line, samples.AsSpan((int)Math.Round(report.Lines[i].Start * 24_000), line.Length).ToArray());
        }
    }
}
