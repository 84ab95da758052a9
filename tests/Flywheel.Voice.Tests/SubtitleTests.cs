using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

public sealed class SubtitleTests
{
    private const string Srt1 =
        "1\n00:00:01,000 --> 00:00:02,500\nHello <i>there</i>.\n\n2\n00:00:03,000 --> 00:00:04,000\n{\\an8}Two\nlines\n";

    private static readonly Gen<Cue> s_cue =
        from start in Gen.Int[0, 40_000_000]
        from length in Gen.Int[0, 20_000]
        from lines in Gen.String[Gen.Char["abz é中0:;-,.!?'\"&#"], 1, 20].Select(line => line.Trim())
            .Where(line => line.Length > 0).List[1, 3]
        select new Cue(TimeSpan.FromMilliseconds(start), TimeSpan.FromMilliseconds(start + length), string.Join('\n', lines));

    [Fact]
    public void Srt_OfAnyCues_ReadsBackTheSame() => s_cue.List[0, 8].Sample(cues =>
        Assert.Equal(cues, Srt.Parse(Srt.Write(cues), "test").Select(cue => cue with { Line = 0 })), iter: 300);

    [Fact]
    public void WebVtt_OfAnyCues_ReadsBackTheSame() =>
        Gen.Select(s_cue,
            Gen.OneOf(Gen.Const((string?)null),
                Gen.String[Gen.Char["AB é.&"], 1, 8].Select(name => name.Trim()).Where(name => name.Length > 0)!), Gen.Bool)
            .Select((cue, role, markup) => cue with { Role = role, Text = markup ? $"a <b> & --> {cue.Text}" : cue.Text }).List[0, 8]
            .Sample(cues =>
            Assert.Equal(cues, WebVtt.Parse(WebVtt.Write(cues), "test").Select(cue => cue with { Line = 0 })), iter: 300);

    [Fact]
    public async Task Srt_ConvertedByFfmpeg_IsTheSameCuesAsWebVtt()
    {
        Sounds.Need("ffmpeg");
        using var folder = new TempFolder();
        File.WriteAllText(folder["a.srt"], Srt1 + "\n3\n01:02:03,004 --> 01:02:04,000\nCaffè & <b>latte</b>\n");
        (int code, string said) = await Tool.RunAsync("ffmpeg", ["-v", "error", "-i", folder["a.srt"], folder["a.vtt"]], folder.Path);
        Assert.True(code == 0, said);
        Assert.Equal(SubtitleFile.Read(folder["a.srt"]).Select(cue => cue with { Line = 0 }),
            SubtitleFile.Read(folder["a.vtt"]).Select(cue => cue with { Line = 0 }));
        SubtitleFile.Write(folder["b.srt"], SubtitleFile.Read(folder["a.vtt"]));
        Assert.Equal(SubtitleFile.Read(folder["a.srt"]), SubtitleFile.Read(folder["b.srt"]));
    }

    [Fact]
    public void Srt_WithMarkupAndCarriageReturns_IsPlainText() =>
        Assert.Equal([new Cue(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2.5), "Hello there.", Line: 2),
            new Cue(TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(4), "Two\nlines", Line: 6)],
            Srt.Parse("\uFEFF" + Srt1.ReplaceLineEndings("\r\n"), "test"));

    [Theory]
    [InlineData("1\n00:00:01,000 -> 00:00:02,000\nHello", "a.srt: line 2: '00:00:01,000 -> 00:00:02,000' are no times")]
    [InlineData("1\n00:00:05,000 --> 00:00:02,000\nHello", "a.srt: line 2: the cue ends at 00:00:02,000, before it begins at 00:00:05,000")]
    [InlineData("1\n00:00:01,000 --> 00:00:02,000\nHello\n\nand more text\n", "a.srt: line 5: 'and more text' are no times")]
    [InlineData("1\n00:61:01,000 --> 01:02:02,000\nHello", "a.srt: line 2: '00:61:01,000' is no time")]
    [InlineData("1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2", "a.srt: line 5: the file ends after the number 2")]
    [InlineData("nonsense", "a.srt: line 1: 'nonsense' are no times")]
    public void Srt_Broken_IsRefusedWithFileAndLine(string text, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => Srt.Parse(text, "a.srt")).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("00:01.000 --> 00:02.000\nHello", "a.vtt: line 1: the file begins with")]
    [InlineData("WEBVTT\n\nintro\n\n00:01.000 --> 00:02.000\nHello", "a.vtt: line 3: 'intro' stands alone")]
    [InlineData("WEBVTT\n\n00:01.000 --> nowhere\nHello", "a.vtt: line 3: '00:01.000 --> nowhere' are no times")]
    public void WebVtt_Broken_IsRefusedWithFileAndLine(string text, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => WebVtt.Parse(text, "a.vtt")).Message, StringComparison.Ordinal);

    [Fact]
    public void WebVtt_WithNotesStylesAndSpeakers_GivesWhatIsSpoken() =>
        Assert.Equal([("Ann", "Hi & bye"), ("Bob", "Yes."), (null, "Nobody's")],
            WebVtt.Parse(
                "WEBVTT - title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE a --> b\n\nfirst\n00:01.000 --> 00:02.000 align:start\n<v Ann>Hi &amp; <c.loud>bye</c></v><v.x Bob>Yes.\n\n01:00:01.000 --> 01:00:02.000\nNobody&#39;s\n", "test")
                .Select(cue => (cue.Role, cue.Text)));

    [Fact]
    public void Subtitles_OfMutatedFiles_AreReadOrRefusedByLine() =>
        Gen.Select(Gen.Int[0, Srt1.Length - 1], Gen.Char["\n0:,->a<{1 é"]).Array[1, 6].Sample(changes =>
        {
            char[] text = Srt1.ToCharArray();
            foreach ((int at, char letter) in changes) text[at] = letter;
            foreach (Func<IReadOnlyList<Cue>> parse in new Func<IReadOnlyList<Cue>>[] { () => Srt.Parse(new string(text), "f"),
                () => WebVtt.Parse("WEBVTT\n\n" + new string(text).Replace(',', '.'), "f") })
                try
                {
                    foreach (Cue cue in parse()) Assert.True(cue.End >= cue.Start && cue.Text.Length > 0);
                }
                catch (FlywheelException e)
                {
                    Assert.Matches(@"^f: line \d+: ", e.Message);
                }
        }, iter: Fuzz.Iterations(2000));

    [Fact]
    public void Overlaps_AreNamedInPairs()
    {
        IReadOnlyList<Cue> cues =
            Srt.Parse(
                "1\n00:00:01,000 --> 00:00:05,000\nA\n\n2\n00:00:02,000 --> 00:00:03,000\nB\n\n3\n00:00:04,000 --> 00:00:06,000\nC\n\n4\n00:00:06,000 --> 00:00:07,000\nD\n", "test");
        (Cue First, Cue Second)[] overlaps = [.. Cue.Overlaps(cues)];
        Assert.Equal([("A", "B"), ("A", "C")], overlaps.Select(pair => (pair.First.Text, pair.Second.Text)));
        Assert.Equal("line 2 (00:00:01.000 to 00:00:05.000)", overlaps[0].First.ToString());
    }

    [Theory]
    [InlineData("[JOHN] Hello.", "JOHN=Hello.")]
    [InlineData("JOHN: Hello.", "JOHN=Hello.")]
    [InlineData("(MARY ANN) Hi.", "MARY ANN=Hi.")]
    [InlineData("- JOHN: Hello.\n- MARY: Hi.", "JOHN=Hello.|MARY=Hi.")]
    [InlineData("- Hello.\n- Hi.", "=Hello.|=Hi.")]
    [InlineData("[door slams]", "")]
    [InlineData("[DOOR SLAMS]", "")]
    [InlineData("♪ la la ♪", "")]
    [InlineData("[sighs] Well, [beat] no.", "=Well, no.")]
    [InlineData("(laughs)\nVery funny (not).", "=Very funny (not).")]
    [InlineData("Note: this is text.", "=Note: this is text.")]
    [InlineData("ann: this is Ann.", "Ann=this is Ann.")]
    [InlineData("At 10:30 we go.", "=At 10:30 we go.")]
    [InlineData("Two lines\nof one.", "=Two lines of one.")]
    [InlineData("JOHN:\nOn the next line.", "JOHN=On the next line.")]
    public void SpeakerLabels_OfSubtitles_BecomeRoles(string text, string expected) =>
        Assert.Equal(expected, string.Join('|', SpeakerLabels.Split(text, ["Ann"]).Select(part => $"{part.Role}={part.Text}")));

    [Fact]
    public void OfCues_WithTwoSpeakers_DividesTheTimeByTheText()
    {
        IReadOnlyList<VoiceLine> lines =
            ScriptFile.OfCues([new Cue(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(14), "- ANN: Yes.\n- BOB: Never ever.")]);
        Assert.Equal([("ANN", 10.0, 11.067), ("BOB", 11.067, 14.0)],
            lines.Select(line => (line.Role!, line.Start!.Value.TotalSeconds, line.End!.Value.TotalSeconds)));
    }
}
