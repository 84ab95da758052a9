using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

/// <summary>Emphasis, say-as and pauses that are set on lines, whose text stays clean.</summary>
public sealed class LineSettingsTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Renderer _renderer;

    public LineSettingsTests() => _renderer = new Renderer(new SpeechEngines([new HummingEngine()]), new SegmentCache(_folder["cache"]));

    public void Dispose() => _folder.Dispose();

    private static VoiceProject Project(VoiceLine line) =>
        new() { SampleRate = 8000, Voice = new() { Voice = "hum:low" }, Lines = [new VoiceLine { Id = "0", Text = "before" }, line] };

    private async Task<string> HashAsync(VoiceLine line) => (await _renderer.PlanAsync(Project(line), line.Id)).Hash;

    /// <summary>The oracle is the same said by markup.</summary>
    [Fact]
    public async Task Line_WithEmphasisAndSayAs_SoundsAsTheMarkupThatSaysTheSame()
    {
        foreach (string text in new[] { "555 0199", "a1", "22" })
        {
            foreach (string level in Ssml.EmphasisLevels)
            {
                Assert.Equal(await HashAsync(Markup($"<emphasis level=\"{level}\">{text}</emphasis>")),
                    await HashAsync(Text(text, new() { Emphasis = level })));
                Assert.Equal(await HashAsync(Markup($"<emphasis level=\"{level}\"><prosody rate=\"120%\">{text}</prosody></emphasis>")),
                    await HashAsync(Markup($"<prosody rate=\"120%\">{text}</prosody>") with { Settings = new() { Emphasis = level } }));
            }
            foreach (string kind in SayAs.Kinds("en-us"))
                Assert.Equal(await HashAsync(Markup($"<say-as interpret-as=\"{kind}\">{text}</say-as>")),
                    await HashAsync(Text(text, new() { SayAs = kind })));
        }
        Assert.NotEqual(await HashAsync(Text("22", new())), await HashAsync(Text("22", new() { Emphasis = "strong" })));
        VoiceProject italian = Project(Text("2", new() { SayAs = "ordinal", Voice = "hum:high" }));
        Assert.Contains("line '1': say_as is 'ordinal', which is not for 'it'",
            (await _renderer.StatesAsync(italian, TestContext.Current.CancellationToken))[1].Fault, StringComparison.Ordinal);

        static VoiceLine Text(string text, VoiceSettings settings) => new() { Id = "1", Text = text, Settings = settings };
        static VoiceLine Markup(string text) => new() { Id = "1", Text = text, IsMarkup = true };
    }

    [Fact]
    public async Task Line_WithAPauseBefore_BeginsSoMuchLaterToTheSample()
    {
        VoiceProject plain = Project(new VoiceLine { Id = "1", Text = "after" }),
            paused = Project(new VoiceLine { Id = "1", Text = "after", PauseBefore = TimeSpan.FromSeconds(1.25) });
        paused = paused.With(paused.Lines[0] with { PauseBefore = TimeSpan.FromSeconds(.5) });
        RenderReport first = await _renderer.RenderAsync(plain, _folder["plain.wav"], cancellation: TestContext.Current.CancellationToken),
            second = await _renderer.RenderAsync(paused, _folder["paused.wav"], cancellation: TestContext.Current.CancellationToken);
        Assert.Equal((.5, first.Lines[1].Start + 1.75), (second.Lines[0].Start, Math.Round(second.Lines[1].Start, 6)));
        float[] samples = WavReader.ReadMono(_folder["paused.wav"]).Samples;
        Assert.All(samples[..4000], sample => Assert.Equal(0, sample));
        Assert.NotEqual(0, samples[4000..4100].Max());
    }

    [Fact]
    public async Task Subtitles_OfALineOfMarkup_HoldNoTags()
    {
        VoiceProject film =
            Project(new VoiceLine { Id = "1", Text = "Call <emphasis>now</emphasis> &amp; <sub alias=\"et cetera\">etc.</sub>",
                IsMarkup = true });
        Assert.Equal(["before", "Call now & et cetera"],
            (await _renderer.FitReportAsync(film, cancellation: TestContext.Current.CancellationToken)).Cues(film).Select(cue => cue.Text));
    }

    [Theory]
    [InlineData("emphasis", "\"loud\"")]
    [InlineData("say_as", "\"date\"")]
    public void Project_WithAnUnknownEmphasisOrKind_NamesLineAndField(string field, string value)
    {
        string json = $$"""{"lines": [{"id": "7", "text": "x", "settings": { "{{field}}": {{value}} } } ] }""";
        Assert.Contains($"line '7': {field} is {value.Replace('"', '\'')}",
            Assert.Throws<FlywheelException>(() => VoiceProject.Parse(json, "film")).Message, StringComparison.Ordinal);
    }
}
