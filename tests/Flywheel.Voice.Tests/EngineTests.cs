using System.Diagnostics;
using System.Text;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

/// <summary>The real programs. What they are given is text, whatever is in it.</summary>
public sealed class EngineTests
{
    private const string Sentence = "The quick brown fox jumps over the lazy dog.";

    private static async Task<(ISpeechEngine Engine, Voice Voice)> FindAsync(string id)
    {
        ISpeechEngine engine = SpeechEngines.Default.All.First(engine => id.StartsWith(engine.Name + ":", StringComparison.Ordinal));
        Sounds.Need(engine.Program.Name);
        if (await engine.FindAsync(id[(engine.Name.Length + 1)..], default) is not { } voice)
        {
            Assert.Skip($"the voice {id} is not installed");
            throw new UnreachableException();
        }
        return (engine, voice);
    }

    private static async Task<Clip> SpeakAsync(string id, string text, double speed = 1, double pitch = 0, string? ipa = null)
    {
        (ISpeechEngine engine, Voice voice) = await FindAsync(id);
        return (await engine.SpeakAsync(new Utterance(voice, [new SpeechPart(text, ipa)], speed, pitch), default)).Trim();
    }

    [Theory]
    [InlineData("espeak:en-us", "en-us")]
    [InlineData("espeak:en-us+f3", "en-us")]
    [InlineData("espeak:fr-fr", "fr-fr")]
    [InlineData("flite:slt", "en-us")]
    [InlineData("flite:awb", "en-gb")]
    [InlineData("flite:rms", "en-us")]
    [InlineData("festival:kal_diphone", "en-us")]
    [InlineData("festival:lp_diphone", "it")]
    [InlineData("festival:msu_ru_nsh_clunits", "ru")]
    public async Task Speak_AtAnySpeed_IsSoundOfThatLength(string id, string language)
    {
        Assert.Equal(language, (await FindAsync(id)).Voice.Language);
        string text = language switch { "it" => "Perché la città è così bella, mi piace molto.",
            "ru" => "Привет, мир. Это проверка голоса.", _ => Sentence };
        Clip normal = await SpeakAsync(id, text), fast = await SpeakAsync(id, text, 1.5), slow = await SpeakAsync(id, text, .8);
        Assert.InRange(normal.Duration.TotalSeconds, 1.5, 6);
        Assert.InRange(Sounds.Rms(normal.Samples), .01, .5);
        Assert.InRange(normal.Duration / fast.Duration, 1.35, 1.65);
        Assert.InRange(slow.Duration / normal.Duration, 1.15, 1.35);
        Assert.Equal(normal.Samples, (await SpeakAsync(id, text)).Samples); // the same each time: caches and exact repeats rest on it
    }

    [Fact]
    public async Task Render_WithEachEngine_IsTheLinesOfThatEngine()
    {
        using var folder = new TempFolder();
        foreach (string id in new[] { "espeak:en-us", "flite:kal16", "festival:kal_diphone" })
        {
            (ISpeechEngine engine, Voice voice) = await FindAsync(id);
            Assert.Matches(@"\d+\.\d+", await engine.VersionAsync(voice, default));
            VoiceProject project = new() { Voice = new() { Voice = id },
                Lines = [new VoiceLine { Id = "1", Text = "Hello there, world." }] };
            RenderReport report = await new Renderer(SpeechEngines.Default, new SegmentCache(folder["cache"])).RenderAsync(project,
                folder["a.wav"]);
            Assert.InRange(report.Seconds, .6, 3);
            Assert.Equal((await SpeakAsync(id, "Hello there, world.")).Duration.TotalSeconds, report.Seconds, .001);
        }
    }

    [Theory]
    [InlineData("espeak:en-us")]
    [InlineData("flite:slt")]
    [InlineData("flite:rms")]
    [InlineData("festival:kal_diphone")]
    public async Task Speak_FourSemitonesHigher_HasThatPitch(string id)
    {
        Clip normal = await SpeakAsync(id, Sentence), high = await SpeakAsync(id, Sentence, pitch: 4);
        Assert.InRange(Sounds.Pitch(high) / Sounds.Pitch(normal), Math.Pow(2, 3.0 / 12), Math.Pow(2, 5.0 / 12));
        Assert.InRange(high.Duration / normal.Duration, .95, 1.05);
    }

    [Theory]
    [InlineData("espeak:en-us")]
    [InlineData("flite:kal16")]
    [InlineData("festival:kal_diphone")]
    public async Task Speak_OfShellAndSchemeCharacters_RunsNothing(string id)
    {
        using var folder = new TempFolder();
        string touch = $"touch {folder["made"]}";
        string text =
            $"a $({touch}) `{touch}` ; {touch} & | > {folder["made"]} \" ' \\ ) (system \"{touch}\") -w {folder["made"]} --help\n%s %n [[";
        Assert.NotEmpty((await SpeakAsync(id, text)).Samples);
        Assert.False(File.Exists(folder["made"]));
    }

    [Theory]
    [InlineData("-w /tmp/flywheel-must-not-be")]
    [InlineData("--help")]
    [InlineData("-f /etc/passwd")]
    public async Task Speak_OfWhatLooksLikeAnOption_SpeaksIt(string text)
    {
        foreach (string id in new[] { "espeak:en-us", "flite:kal16" }) Assert.NotEmpty((await SpeakAsync(id, text)).Samples);
        Assert.False(File.Exists("/tmp/flywheel-must-not-be"));
    }

    /// <summary>The sounds that the map chose are those that the program says it speaks.</summary>
    [Theory]
    [InlineData("en-us", "həlˈoʊ")]
    [InlineData("en-gb", "təmˈɑːtəʊ")]
    [InlineData("en-us", "θˈɪŋ")]
    [InlineData("fr-fr", "bɔ̃ʒˈuʁ")]
    [InlineData("de", "ʃˈøːn")]
    [InlineData("es", "ɡˈato")]
    public async Task Phones_OfEspeak_AreSpokenAsTheIpaSays(string language, string ipa)
    {
        (ISpeechEngine engine, Voice voice) = await FindAsync($"espeak:{language}");
        string phones = await engine.PhonesAsync(voice, ipa, default);
        (byte[] output, _) = await engine.Program.RunAsync(["-q", "--ipa", "-v", language, "--stdin"],
            Encoding.UTF8.GetBytes($"[[{phones}]]"));
        Assert.Equal(ipa.Replace("ˈ", "", StringComparison.Ordinal),
            Encoding.UTF8.GetString(output).Trim().Replace("ˈ", "", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("flite:slt", "hello", "həˈloʊ")]
    [InlineData("festival:kal_diphone", "flywheel", "ˈflaɪwiːl")]
    public async Task Phones_OfAWordThatTheLexiconKnows_SoundLikeIt(string id, string word, string ipa)
    {
        Clip known = await SpeakAsync(id, word), said = await SpeakAsync(id, "xyzzy", ipa: ipa);
        Assert.InRange(said.Duration / known.Duration, .9, 1.1);
        Assert.InRange(Math.Abs(said.Duration / (await SpeakAsync(id, "xyzzy")).Duration - 1), .05, 10);
    }

    [Theory]
    [InlineData("flite:slt", "ˈbʏçɐ", "has no sound 'ʏ'")]
    [InlineData("espeak:it", "ˈkʘa", "has no sound 'ʘ'")]
    [InlineData("espeak:en-us", "ǃa", "has no sound 'ǃ'")]
    [InlineData("festival:lp_diphone", "ˈkasa", "takes no IPA; give a respelling")]
    [InlineData("flite:slt", "ˈˈ", "has no sound in it")]
    public async Task Phones_ThatAVoiceDoesNotHave_AreRefusedByName(string id, string ipa, string expected)
    {
        (ISpeechEngine engine, Voice voice) = await FindAsync(id);
        Assert.Contains(expected, (await Assert.ThrowsAsync<FlywheelException>(() => engine.PhonesAsync(voice, ipa, default))).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("flite:slut", "did you mean 'flite:slt'?")]
    [InlineData("flit:slt", "there is no engine 'flit'; did you mean 'flite'?")]
    [InlineData("espeak:en-us+nobody", "there is no voice 'espeak:en-us+nobody'")]
    [InlineData("espeak:../../etc", "there is no voice 'espeak:../../etc'")]
    public async Task Find_AnUnknownVoice_IsNamed(string id, string expected)
    {
        Sounds.Need("flite");
        Sounds.Need("espeak-ng");
        Assert.Contains(expected, (await Assert.ThrowsAsync<FlywheelException>(() => SpeechEngines.Default.FindAsync(id))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Find_WhereNothingIsInstalled_SaysWhatToInstall()
    {
        var program = new ExternalProgram("no-such-program-here", "nosuch");
        Assert.False(program.IsInstalled);
        Assert.Equal("no-such-program-here is not installed, which this needs; apt-get install nosuch",
            (await Assert.ThrowsAsync<FlywheelException>(() => program.RunAsync([]))).Message);
        Assert.Contains("no speech engine is installed",
            (await Assert.ThrowsAsync<FlywheelException>(() => new SpeechEngines([]).FindAsync("slt"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_PastItsLimit_IsEnded() =>
    Assert.Contains("sh was ended after 0 seconds", (await Assert.ThrowsAsync<FlywheelException>(
        () => new ExternalProgram("sh", "dash").RunAsync(["-c", "sleep 1000"], limit: TimeSpan.FromMilliseconds(50)))).Message,
        StringComparison.Ordinal);

    [Fact]
    public async Task Run_ThatIsGivenUp_EndsTheProgramAndItsChildren()
    {
        using var folder = new TempFolder();
        using var stop = new CancellationTokenSource();
        Task running = new ExternalProgram("sh",
            "dash").RunAsync(["-c", $"sleep 1000 & echo $! > {folder["new"]}; mv {folder["new"]} {folder["child"]}; wait"],
                cancellation: stop.Token);
        while (!File.Exists(folder["child"])) await Task.Delay(10);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        int child = int.Parse(File.ReadAllText(folder["child"]));
        while (IsAlive(child)) await Task.Delay(10);

        // One that nobody has waited for yet is a zombie, which is no longer alive.
        static bool IsAlive(int id) =>
            File.Exists($"/proc/{id}/stat") && File.ReadAllText($"/proc/{id}/stat").Split(')')[^1].TrimStart()[0] != 'Z';
    }

    [Fact]
    public async Task Run_ThatFails_SaysWhy() => Assert.Equal("sh failed with exit code 3: broken",
        (await Assert.ThrowsAsync<FlywheelException>(() =>
            new ExternalProgram("sh", "dash").RunAsync(["-c", "echo broken >&2; exit 3"], new byte[1 << 20]))).Message);
}
