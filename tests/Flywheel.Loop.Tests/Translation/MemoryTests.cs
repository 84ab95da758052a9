using System.Text;
using System.Xml.Linq;
using CsCheck;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;

namespace Flywheel.Loop.Tests.Translation;

public sealed class MemoryTests : IAsyncLifetime
{
    private static readonly LanguagePair s_pair = new(WorkspaceRow.Default, "en", "es");

    private readonly TempFolder _folder = new();
    private readonly Given.Clock _clock = new(Given.Monday);
    private FlywheelStore _store = null!;
    private TranslationMemory _memory = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]), _clock);
        _memory = new TranslationMemory(_store, _clock);
    }

    public async ValueTask DisposeAsync()
    {
        _memory.Dispose();
        await _store.DisposeAsync();
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Find_SameContextThenSameSourceThenLike_ComeInThisOrder()
    {
        await _memory.AddAsync(s_pair, "ann", "Open the file.", "Abra el fichero.", context: "Click here.");
        _clock.Now += TimeSpan.FromMinutes(1);
        await _memory.AddAsync(s_pair, "bob", "Open the file.", "Abre el archivo.", context: "Then wait.");
        await _memory.AddAsync(s_pair, "bob", "Open the files.", "Abra los ficheros.");
        await _memory.AddAsync(s_pair, "bob", "Something else entirely, and longer.", "Otra cosa.");

        IReadOnlyList<MemoryMatch> found = await FindAsync("Open the file.", "Click here.");

        Assert.Equal(["Abra el fichero.", "Abre el archivo.", "Abra los ficheros."], found.Select(match => match.Unit.Target));
        Assert.Equal([true, false, false], found.Select(match => match.SameContext));
        Assert.Equal(1, found[1].Score);
        Assert.Equal(1 - 1.0 / 15, found[2].Score, 9);
    }

    [Theory]
    [InlineData("abcdefghij", "abcdefgxyz", true)] // 3 of 10 differ: 70 %
    [InlineData("abcdefghij", "abcdefuxyz", false)]
    [InlineData("今天的天气非常好啊！", "今天的天气很好啊！", true)]
    public async Task Find_AtTheThreshold_IsShownFrom70Percent(string stored, string asked, bool shown)
    {
        await _memory.AddAsync(s_pair, "ann", stored, "x");
        Assert.Equal(shown ? 1 : 0, (await FindAsync(asked)).Count);
    }

    [Fact]
    public void Find_AnyTextAmongMany_IsWhatComparingAllGives()
    {
        var random = new Random(7);
        string[] words =
            [.. Enumerable.Range(0, 60)
                .Select(_ => new string([.. Enumerable.Range(0, random.Next(2, 9)).Select(_ => (char)random.Next('a', 'z' + 1))]))];
        string Sentence() => string.Join(' ', Enumerable.Range(0, random.Next(2, 14)).Select(_ => words[random.Next(words.Length)]));
        var index = new MemoryIndex();
        List<string> sources = [.. Enumerable.Range(0, 3000).Select(_ => Sentence()).Distinct()];
        foreach (string source in sources) index.Put(Unit(source));
        for (int i = 0; i < 100; i++)
        {
            string near = sources[random.Next(sources.Count)],
                asked = i % 3 == 0
                    ? Sentence() : near.Replace(words[random.Next(words.Length)], "other",
                        StringComparison.Ordinal)[..^random.Next(0, 3)].Trim();
            double[] expected =
                [.. sources.Select(source => 1 - (double)EditDistanceTests.Table(asked, source) / Math.Max(asked.Length, source.Length))
                    .Where(score => score >= MemoryIndex.MinScore - 1e-9).OrderDescending().Take(5)];
            double[] found = [.. index.Find(asked, "", 5, exactOnly: false, _ => true).Select(match => match.Score)];
            Assert.Equal(expected.Length, found.Length);
            Assert.All(expected.Zip(found), pair => Assert.Equal(pair.First, pair.Second, 9));
        }
    }

    [Fact]
    public void Find_AmongHundredThousand_IsFoundAndTheOutputSaysHowSoon()
    {
        var random = new Random(11);
        string[] words =
            [.. Enumerable.Range(0, 4000)
                .Select(_ =>
                    new string(
                        [.. Enumerable.Range(0, random.Next(2, 11))
                            .Select(_ => "etaoinshrdlcumwfgypbvk"[(int)(22 * Math.Pow(random.NextDouble(), 1.7))])]))];
        var index = new MemoryIndex();
        string[] sources =
            [.. Enumerable.Range(0, 100_000)
                .Select(_ => string.Join(' ', Enumerable.Range(0, random.Next(4, 18)).Select(_ => words[random.Next(words.Length)])))];
        foreach (string source in sources) index.Put(Unit(source));
        TimeSpan start = Environment.CpuUsage.TotalTime; // of the processor: other tests run beside this one
        const int Queries = 50;
        for (int i = 0; i < Queries; i++)
        {
            string asked = sources[random.Next(sources.Length)];
            Assert.True(index.Find(asked[..^2] + "xy", "", 5, exactOnly: false, _ => true)[0].Score > 0.7);
        }
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{(Environment.CpuUsage.TotalTime - start).TotalMilliseconds / Queries:0.0} ms of the processor a search among 100,000 units");
    }

    [Fact]
    public async Task Delete_UnitOfAnotherWorkspace_StaysAndIsNotFoundHere()
    {
        TranslationUnit theirs = await _memory.AddAsync(s_pair with { Workspace = "other" }, "eve", "Secret words here.",
            "Palabras secretas.");
        Assert.Empty(await FindAsync("Secret words here."));
        Assert.False(await _memory.DeleteAsync(WorkspaceRow.Default, theirs.Id));
        Assert.Equal(0, (await _memory.ListAsync(s_pair)).Total);
        Assert.True(await _memory.DeleteAsync("other", theirs.Id));
        Assert.Empty((await _memory.FindAsync(s_pair with { Workspace = "other" }, "eve", [new("Secret words here.")]))[0]);
    }

    [Fact]
    public async Task Add_SegmentApprovedAgain_ReplacesItsUnitAndForgettingTakesItBack()
    {
        Guid document = Guid.CreateVersion7();
        TranslationUnit first = await _memory.AddAsync(s_pair, "ann", "Good morning.", "Buen dia.", document: document, segment: 3);
        TranslationUnit again = await _memory.AddAsync(s_pair, "ann", "Good morning.", "Buenos días.", document: document, segment: 3);
        Assert.Equal(first.Id, again.Id);
        Assert.Equal("Buenos días.", Assert.Single(await FindAsync("Good morning.")).Unit.Target);
        using (var reopened = new TranslationMemory(_store, _clock)) // as after a restart
            Assert.Equal("Buenos días.", Assert.Single((await reopened.FindAsync(s_pair, "bob", [new("Good morning.")]))[0]).Unit.Target);
        Assert.True(await _memory.ForgetAsync(WorkspaceRow.Default, document, 3));
        Assert.Empty(await FindAsync("Good morning."));
    }

    [Fact]
    public async Task Find_UnitsOfAHeldOutPerson_AreSeenByThatPersonAlone()
    {
        await _memory.AddAsync(s_pair, "held", "The wheel turns.", "La rueda gira.");
        await using (FlywheelDb db = _store.Tables())
        {
            Guid turn = Guid.CreateVersion7();
            db.Turns.Add(new TurnRow { Id = turn, Number = 1, Started = Given.Monday, State = TurnState.Promoted, Champion = Given.Champion,
                Recipe = "{}" });
            db.Examples.Add(new ExampleRow { TurnId = turn, Kind = ExampleKind.Supervised, User = "held",
                GenerationId = Guid.CreateVersion7(), PromptHash = "aa", Hash = "bb", Split = Split.HeldOut });
            await db.SaveChangesAsync();
        }
        Assert.Empty(await FindAsync("The wheel turns.", person: "ann"));
        Assert.Single(await FindAsync("The wheel turns.", person: "held"));
    }

    [Fact]
    public async Task Tmx_ExportedThenImported_IsTheSameMemory()
    {
        await _memory.AddAsync(s_pair, "ann", "A < B & \"C\"", "A < B y «C»\nsegunda línea", context: "  before <x/> ");
        await _memory.AddAsync(s_pair, "ann", "Tab\there 😀", "Aquí\ttab 😀 \u0007");
        using var stream = new MemoryStream();
        await _memory.ExportAsync(s_pair, stream);

        // The framework's own reader of XML is the oracle.
        XDocument tmx = XDocument.Parse(Encoding.UTF8.GetString(stream.ToArray()));
        Assert.Equal("1.4", (string)tmx.Root!.Attribute("version")!);
        Assert.Contains("A < B & \"C\"", tmx.Descendants("seg").Select(seg => seg.Value));

        LanguagePair elsewhere = s_pair with { Workspace = "other" };
        stream.Position = 0;
        Assert.Equal((2, 0), await _memory.ImportAsync(elsewhere, "bob", stream));
        (IReadOnlyList<TranslationUnit> units, int total) = await _memory.ListAsync(elsewhere);
        Assert.Equal(2, total);
        TranslationUnit one = units.Single(unit => unit.Source.StartsWith('A'));
        Assert.Equal(("A < B y «C»\nsegunda línea", "before <x/>"), (one.Target, one.Context));
        Assert.Equal("Aquí\ttab 😀", units.Single(unit => unit.Source.StartsWith('T')).Target.Trim());
        stream.Position = 0;
        Assert.Equal((0, 2), await _memory.ImportAsync(elsewhere, "bob", stream));
    }

    [Fact]
    public async Task Tmx_OfAnotherTool_IsRead()
    {
        const string Text = """
            <?xml version="1.0" encoding="UTF-8"?>
            <!DOCTYPE tmx SYSTEM "tmx11.dtd">
            <tmx version="1.1"><header creationtool="OmegaT" srclang="EN-US"/><body>
            <tu><tuv lang="EN-US"><seg>Press <bpt i="0">&lt;b0&gt;</bpt>Save<ept i="0">&lt;/b0&gt;</ept>.</seg></tuv>
                <tuv lang="ES-ES" changedate="20240102T030405Z"><prop type="x">p</prop><seg>Pulse <bpt i="0">&lt;b0&gt;</bpt>Guardar<ept i="0">&lt;/b0&gt;</ept>.</seg></tuv></tu>
            <tu><tuv lang="EN-US"><seg>Only English</seg></tuv></tu>
            </body></tmx>
            """;
        Assert.Equal((1, 1), await _memory.ImportAsync(s_pair, "ann", new MemoryStream(Encoding.UTF8.GetBytes(Text))));
        Assert.Equal("Pulse <b0>Guardar</b0>.", Assert.Single(await FindAsync("Press <b0>Save</b0>.")).Unit.Target);
    }

    [Theory]
    [InlineData("""<!DOCTYPE tmx [<!ENTITY x SYSTEM "file:///etc/passwd">]><tmx><body><tu><tuv xml:lang="en"><seg>&x;</seg></tuv><tuv xml:lang="es"><seg>y</seg></tuv></tu></body></tmx>""")]
    [InlineData("""<!DOCTYPE tmx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><tmx><body><tu><tuv xml:lang="en"><seg>&b;</seg></tuv><tuv xml:lang="es"><seg>y</seg></tuv></tu></body></tmx>""")]
    [InlineData("<html/>")]
    [InlineData("<tmx><body><tu>")]
    [InlineData("not xml")]
    [InlineData("")]
    public async Task Tmx_HostileOrBroken_IsRefusedAndNothingIsTaken(string text)
    {
        FlywheelException refused =
            await Assert.ThrowsAsync<FlywheelException>(() =>
                _memory.ImportAsync(s_pair, "ann", new MemoryStream(Encoding.UTF8.GetBytes(text))));
        Assert.StartsWith("the TMX file, line", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("root:", refused.Message, StringComparison.Ordinal);
        Assert.Equal(0, (await _memory.ListAsync(s_pair)).Total);
    }

    [Fact]
    public void Tmx_AnyTextsAndAnyDamage_RoundTripsOrIsRefused()
    {
        Gen.Select(Gen.String[1, 30], Gen.String[1, 30], Gen.Int[0, 1000], Gen.Char).Sample((source, target, at, c) =>
        {
            using var stream = new MemoryStream();
            Tmx.Write(stream, "en", [Unit(source, target)]);
            stream.Position = 0;
            TmxUnit? unit = Assert.Single(Tmx.Read(stream, "en", "es"));
            Assert.Equal(Legal(source), unit!.Source);
            Assert.Equal(Legal(target), unit.Target);

            byte[] damaged = stream.ToArray();
            damaged[at % damaged.Length] = (byte)c;
            try
            {
                _ = Tmx.Read(new MemoryStream(damaged), "en", "es").Count();
            }
            catch (FlywheelException)
            {
                // Refused in words.
            }
        }, iter: Fuzz.Iterations(500), seed: "0N0XIzNsQ0O2");

        // What XML can hold, as it comes back: blanks around it belong to the file.
        static string Legal(string text) =>
            string.Concat(text.EnumerateRunes().Where(rune => rune.Value is 9 or 10 or 13 or (>= 32 and not (0xFFFE or 0xFFFF)))).Trim();
    }

    private async Task<IReadOnlyList<MemoryMatch>> FindAsync(string source, string context = "", string person = "ann") =>
        (await _memory.FindAsync(s_pair, person, [new(source, context)]))[0];

    private static TranslationUnit Unit(string source, string target = "t") => new()
    {
        Id = Guid.NewGuid(), User = "ann", SourceLanguage = "en", TargetLanguage = "es", Source = source, Target = target,
        Created = Given.Monday, Updated = Given.Monday,
    };
}
