using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

/// <summary>Parts of a line that are said in a way of their own, beside a text that stays clean.</summary>
public sealed class TextMarkTests : IDisposable
{
    private const string Letters = "ab 1 22 3,é<&>\"'中 𝒳 .";

    private static readonly string[] s_levels = [.. Ssml.EmphasisLevels], s_kinds = [.. SayAs.Kinds("en-us")];

    private readonly TempFolder _folder = new();
    private readonly Renderer _renderer;

    public TextMarkTests() => _renderer = new Renderer(new SpeechEngines([new HummingEngine()]), new SegmentCache(_folder["cache"]));

    public void Dispose() => _folder.Dispose();

    private static VoiceProject Project(VoiceLine line) => new() { SampleRate = 8000, Voice = new() { Voice = "hum:low" }, Lines = [line] };

    private static VoiceLine Line(string text, params TextMark[] marks) => new() { Id = "1", Text = text, Marks = marks };

    private async Task<string> HashAsync(VoiceLine line) => (await _renderer.PlanAsync(Project(line), line.Id)).Hash;

    /// <summary>The oracle is the markup that says the same, through the parser of markup; the other the meaning of each letter, kept
    /// apart.</summary>
    [Fact]
    public async Task Marks_SetAtRandom_SoundAsTheMarkupAndLeaveTheTextClean()
    {
        var random = new Random(20261201);
        string[] letters = [.. Letters.EnumerateRunes().Select(rune => rune.ToString())];
        for (int round = 0; round < 150; round++)
        {
            string text = string.Concat(random.GetItems(letters, random.Next(1, 30))) + "x";
            IReadOnlyList<TextMark> marks = [];
            var meant = new (string? Emphasis, string? SayAs)[text.Length];
            for (int act = random.Next(1, 6); act > 0; act--)
            {
                if (TextMarks.Trim(text, random.Next(text.Length + 1), random.Next(text.Length + 1)) is not var (start, length)) continue;
                string? level = random.Next(4) == 0 ? null : s_levels[random.Next(s_levels.Length)],
                    kind = random.Next(3) == 0 ? null : s_kinds[random.Next(s_kinds.Length)];
                bool emphasis = random.Next(2) == 0;
                marks = TextMarks.Set(marks, start, length, mark => emphasis ? mark with { Emphasis = level } : mark with { SayAs = kind });
                for (int i = start; i < start + length; i++)
                    meant[i] = emphasis ? (level, meant[i].SayAs) : (meant[i].Emphasis, kind);
            }
            VoiceLine line = Line(text, [.. marks]);
            VoiceProject kept = VoiceProject.Parse(Project(line).ToJson(), "kept"); // valid, and as it was
            Assert.Equal(text, kept.Lines[0].Text);
            Assert.Equal(marks, kept.Lines[0].Marks);
            for (int i = 0; i < text.Length; i++)
                Assert.Equal(meant[i], marks.FirstOrDefault(mark => mark.Start <= i && i < mark.End) is { } mark
                    ? (mark.Emphasis, mark.SayAs) : (null, null));
            Assert.All(marks.Zip(marks.Skip(1)), pair => Assert.False(pair.First.End == pair.Second.Start
                && (pair.First.Emphasis, pair.First.SayAs) == (pair.Second.Emphasis, pair.Second.SayAs)));
            VoiceLine markup = line.AsMarkup();
            Assert.Equal(marks.Count == 0, markup.Text == text);
            if (marks.Count > 0) Assert.Equal(await HashAsync(markup), await HashAsync(line));
        }
    }

    /// <summary>No letter is twice in a text, so what an edit left is known.</summary>
    [Fact]
    public void Marks_WhileTheTextIsEdited_StayOnTheirLetters()
    {
        var random = new Random(20261202);
        for (int round = 0; round < 2000; round++)
        {
            string all = string.Concat(Enumerable.Range('A', 40).Select(letter => (char)letter).OrderBy(_ => random.Next())),
                text = all[..20], inserted = all[20..(20 + random.Next(6))];
            IReadOnlyList<TextMark> marks = [];
            for (int act = 0; act < 3; act++)
                marks = TextMarks.Set(marks, random.Next(15), random.Next(1, 6), mark => mark with { Emphasis = s_levels[random.Next(4)] });
            int at = random.Next(21), gone = random.Next(Math.Min(6, 21 - at));
            string edited = text[..at] + inserted + text[(at + gone)..];
            VoiceLine line = Line(text, [.. marks]).WithText(edited);
            VoiceProject.Parse(Project(line).ToJson(), "kept");
            foreach (char letter in edited)
            {
                string? now = Of(line.Marks, edited.IndexOf(letter)), was = text.Contains(letter) ? Of(marks, text.IndexOf(letter)) : null;
                if (text.Contains(letter)) Assert.Equal(was, now);
                // What is written within a mark belongs to it, and what stands beside one does not.
                else if (gone == 0) Assert.Equal(marks.FirstOrDefault(mark => mark.Start < at && at < mark.End)?.Emphasis, now);
            }
        }

        static string? Of(IReadOnlyList<TextMark> marks, int at) =>
            marks.FirstOrDefault(mark => mark.Start <= at && at < mark.End)?.Emphasis;
    }

    [Fact]
    public async Task ShorterText_OfALineWithAMark_SaysTheSameWordsSo()
    {
        const string text = "Please call 555 0199 now, thank you.", shorter = "Call 555 0199 now.";
        var number = new TextMark(text.IndexOf('5', StringComparison.Ordinal), 8) { SayAs = "telephone", Emphasis = "strong" };
        VoiceLine line = Line(text, number);
        Assert.Equal([number with { Start = 5 }], line.WithText(shorter).Marks);
        VoiceProject film = Project(line with { Start = TimeSpan.Zero, End = TimeSpan.FromSeconds(.5), Alternates = [shorter] });
        film = film with { Lines = [film.Lines[0], new VoiceLine { Id = "2", Text = "next", Start = TimeSpan.FromSeconds(.5) }] };
        IReadOnlyList<LaidLine> laid = await _renderer.LayAsync(film, TestContext.Current.CancellationToken);
        Assert.Equal((1, await HashAsync(Line(shorter, number with { Start = 5 }))), (laid[0].Choice, laid[0].Hash));
    }

    [Fact]
    public async Task Mark_ThatIsSet_MakesTheLineStaleAndIsInTakesAndArchives()
    {
        VoiceLine plain = Line("Call me now.");
        RenderedLine rendered = await _renderer.RenderLineAsync(Project(plain), "1", TestContext.Current.CancellationToken);
        plain = plain.With(rendered.Plan.Take(plain, rendered.Clip));
        VoiceLine marked = plain with { Marks = [new TextMark(8, 3) { Emphasis = "strong" }] };
        LineState[] states = [.. await _renderer.StatesAsync(Project(plain), TestContext.Current.CancellationToken),
            .. await _renderer.StatesAsync(Project(marked), TestContext.Current.CancellationToken)];
        Assert.Equal([false, true], states.Select(state => state.IsStale));
        RenderedLine again = await _renderer.RenderLineAsync(Project(marked), "1", TestContext.Current.CancellationToken);
        Assert.Equal(marked.Marks, again.Plan.Take(marked, again.Clip).Marks);
        Assert.NotEqual(rendered.Clip.Samples, again.Clip.Samples);

        marked = marked.With(again.Plan.Take(marked, again.Clip));
        await ProjectArchive.WriteAsync(_renderer, Project(marked), _folder["film.zip"], TestContext.Current.CancellationToken);
        using FileStream file = File.OpenRead(_folder["film.zip"]);
        VoiceLine opened = ProjectArchive.Read(file, "film.zip", null).Lines[0];
        Assert.Equal(marked.Text, opened.Text);
        Assert.Equal(marked.Marks, opened.Marks);
        Assert.Equal(marked.Takes.Select(take => take.Marks), opened.Takes.Select(take => take.Marks));
    }

    [Theory]
    [InlineData("""{"start": 3, "length": 9, "emphasis": "strong"}""", "marks[0]: start is 3 and length 9")]
    [InlineData("""{"start": 0, "length": 0, "emphasis": "strong"}""", "marks[0]: start is 0 and length 0")]
    [InlineData("""{"start": -1, "length": 2147483647, "emphasis": "strong"}""", "marks[0]: start is -1")]
    [InlineData("""{"start": 0, "length": 1}""", "marks[0]: says nothing")]
    [InlineData("""{"start": 0, "length": 2, "emphasis": "loud"}""", "marks[0]: emphasis is 'loud'")]
    [InlineData("""{"start": 0, "length": 2, "say_as": "date"}""", "marks[0]: say_as is 'date'")]
    [InlineData("""{"start": 4, "length": 1, "say_as": "digits"}""", "expected no half of a character")]
    [InlineData("""{"start": 0, "length": 2, "say_as": "digits"}, {"start": 1, "length": 2, "say_as": "digits"}""", "marks[1]: start is 1")]
    [InlineData("null", "marks[0] is null")]
    public void Project_WithAMarkThatIsNone_NamesIt(string marks, string message)
    {
        string take = $$"""{"hash": "{{new string('a', 64)}}", "seconds": 1, "text": "abc 𝒳", "settings": {}, "marks": [MARKS]}""";
        foreach (string where in new[] { """ "marks": [MARKS] """, $""" "takes": [{take}] """ })
        {
            string json = """{"lines": [{"id": "7", "text": "abc 𝒳", WHERE}]}""".Replace("WHERE", where, StringComparison.Ordinal)
                .Replace("MARKS", marks, StringComparison.Ordinal);
            string said = Assert.Throws<FlywheelException>(() => VoiceProject.Parse(json, "film")).Message;
            Assert.Contains("line '7'", said, StringComparison.Ordinal);
            Assert.Contains(message, said, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Mark_OfAKindThatTheLanguageLacks_IsRefusedByName()
    {
        VoiceLine line = Line("The 2 nd", new TextMark(4, 1) { SayAs = "ordinal" }) with { Settings = new() { Voice = "hum:high" } };
        Assert.Contains("line '1': say_as is 'ordinal', which is not for 'it'",
            (await _renderer.StatesAsync(Project(line), TestContext.Current.CancellationToken))[0].Fault, StringComparison.Ordinal);
        Assert.Contains("expected none beside markup",
            Assert.Throws<FlywheelException>(() => Project(line with { IsMarkup = true }).Validate("film")).Message,
            StringComparison.Ordinal);
    }
}
