using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

/// <summary>Where lines lie before they are rendered, and stretches of the whole.</summary>
public sealed class LayoutTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly HummingEngine _engine = new();
    private readonly Renderer _renderer;

    public LayoutTests() => _renderer = new Renderer(new SpeechEngines([_engine]), new SegmentCache(_folder["cache"]));

    public void Dispose() => _folder.Dispose();

    /// <summary>Lines with and without times, too long ones, overlapping ones, one with a shorter text, one that cannot be spoken where it
    /// is asked for.</summary>
    private static readonly Gen<VoiceProject> s_projects =
        Gen.Select(Gen.Int[1, 12], Gen.Int[0, 30], Gen.Int[0, 4], Gen.Bool).Array[1, 12].Select(lines =>
        {
            double at = 0;
            var made = new List<VoiceLine>();
            foreach ((int letters, int tenths, int gap, bool timed) in lines)
            {
                at += gap / 2.0;
                made.Add(new VoiceLine
                {
                    Id = $"{made.Count + 1}", Text = new string('a', letters), Alternates = letters > 6 ? ["ab"] : [],
                    Start = timed ? TimeSpan.FromSeconds(at) : null, End = timed ? TimeSpan.FromSeconds(at + tenths / 10.0) : null,
                });
                at += tenths / 10.0;
            }
            return new VoiceProject { SampleRate = 8000, Voice = new() { Voice = "hum:low" }, Lines = made };
        });

    /// <summary>The oracle is the rendering of the whole: laid lines lie as in its report, and stretches put together are its
    /// samples.</summary>
    [Fact]
    public Task Parts_OfAnyProject_AreTheWholeToTheSample() => s_projects.SampleAsync(async project =>
    {
        string whole = _folder[$"{Guid.NewGuid():N}.wav"];
        RenderReport report = await _renderer.RenderAsync(project, whole);
        IReadOnlyList<LaidLine> laid = await _renderer.LayAsync(project);
        Assert.Equal(report.Lines.Select(line => (line.Id, line.Start, line.End, line.Overrun, line.Hash)),
            laid.Select(line => (line.Id, line.Start, line.End, line.Overrun, line.Hash!)));
        Assert.All(laid, line => Assert.True(line.IsReady));
        var parts = new List<float>();
        for (double at = 0; at < report.Seconds; at += .7)
            parts.AddRange((await _renderer.PartAsync(project, TimeSpan.FromSeconds(at), TimeSpan.FromSeconds(.7))).Clip.Samples);
        string joined = _folder[$"{Guid.NewGuid():N}.wav"];
        Clip expected = WavReader.ReadMono(whole);
        WavWriter.WriteFile(joined, new Clip([.. parts.Take(expected.Samples.Length)], project.SampleRate));
        Assert.Equal(expected.Samples, WavReader.ReadMono(joined).Samples);
    }, iter: 40, seed: "0000KeXSOcQ3");

    [Fact]
    public async Task Lay_OfTwoThousandLines_RendersNothingAndAPartRendersOnlyWhatIsInIt()
    {
        VoiceProject film = new()
        {
            SampleRate = 8000, Voice = new() { Voice = "hum:low" },
            Lines = [
                .. Enumerable.Range(0, 2000)
                    .Select(i => new VoiceLine { Id = $"{i}", Text = $"line {i}", Start = TimeSpan.FromSeconds(3.6 * i),
                        End = TimeSpan.FromSeconds(3.6 * i + 3) })],
        };
        IReadOnlyList<LaidLine> laid = await _renderer.LayAsync(film, TestContext.Current.CancellationToken);
        Assert.Equal((2000, 0, 7196.4), (laid.Count, _engine.NumCalls, Math.Round(laid[^1].Start, 3)));
        Assert.All(laid, line => Assert.True(!line.IsReady && line.Fault is null && line.End > line.Start));
        (Clip clip, IReadOnlyList<RenderedLine> rendered) =
            await _renderer.PartAsync(film, TimeSpan.FromSeconds(3600), TimeSpan.FromSeconds(7.2), TestContext.Current.CancellationToken);
        Assert.Equal(["1000", "1001"], rendered.Select(line => line.LineId));
        Assert.Equal((2, 57_600), (_engine.NumCalls, clip.Samples.Length));
        Assert.True(Sounds.Rms(clip.Samples.AsSpan(0, 4000)) > .1 && Sounds.Rms(clip.Samples.AsSpan(20_000, 4000)) < 1e-4);
        Assert.Equal(["1000", "1001"],
            (await _renderer.LayAsync(film, TestContext.Current.CancellationToken)).Where(line => line.IsReady).Select(line => line.Id));
    }

    [Fact]
    public async Task Lay_WithALineThatCannotBeSpoken_NamesItAndLaysTheOthers()
    {
        VoiceProject film = new()
        {
            Voice = new() { Voice = "hum:low" },
            Lines = [new VoiceLine { Id = "1", Text = "<broken", IsMarkup = true }, new VoiceLine { Id = "2", Text = "fine" }],
        };
        IReadOnlyList<LaidLine> laid = await _renderer.LayAsync(film, TestContext.Current.CancellationToken);
        Assert.StartsWith("line '1': ", laid[0].Fault, StringComparison.Ordinal);
        Assert.True(laid[0].Hash is null && laid[1] is { Fault: null } && laid[1].Start > laid[0].End);
        (Clip clip, _) = await _renderer.PartAsync(film, TimeSpan.Zero, TimeSpan.FromSeconds(4), TestContext.Current.CancellationToken);
        Assert.True(Sounds.Rms(clip.Samples) > .1);
    }
}
