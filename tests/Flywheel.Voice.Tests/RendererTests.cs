using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

public sealed class RendererTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly HummingEngine _engine = new();

    private Renderer Make(HummingEngine? engine = null, params IReadOnlyList<Pronunciation>[] scopes) =>
        new(new SpeechEngines([engine ?? _engine]), new SegmentCache(_folder["cache"]), _ => new(scopes));

    private static VoiceProject Project(params string[] texts) => new()
    {
        Voice = new() { Voice = "hum:low" },
        Lines = [.. texts.Select((text, i) => new VoiceLine { Id = $"{i + 1}", Text = text })],
    };

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Render_AfterAnEdit_CallsTheEngineForOneLine()
    {
        Renderer renderer = Make();
        VoiceProject project = Project("one", "two", "three", "two");
        RenderReport first = await renderer.RenderAsync(project, _folder["a.wav"]);
        Assert.Equal((3, 3L), (_engine.NumCalls, first.NumEngineCalls)); // 'two' twice is one sound
        await renderer.RenderAsync(project.With(project.Lines[0] with { Text = "uno" }), _folder["b.wav"]);
        Assert.Equal(4, _engine.NumCalls);
        RenderReport again = await Make().RenderAsync(project, _folder["c.wav"]); // another process
        Assert.Equal((4, 0L), (_engine.NumCalls, again.NumEngineCalls));
        Assert.Equal(File.ReadAllBytes(_folder["a.wav"]), File.ReadAllBytes(_folder["c.wav"]));
        await Make(new HummingEngine { Version = "2" }).RenderLineAsync(project, "1");
        Assert.Equal(4, Directory.EnumerateFiles(_folder["cache"], "*.wav", SearchOption.AllDirectories).Count() - 1);
    }

    [Fact]
    public async Task Render_OfPauses_IsExactToTheSample()
    {
        Renderer renderer = Make();
        VoiceProject project = Project() with
        {
            Lines = [new VoiceLine { Id = "a", Text = "one<break time=\"333ms\"/>two", IsMarkup = true,
                Pause = TimeSpan.FromMilliseconds(125) }, new VoiceLine { Id = "b", Text = "three" }],
        };
        await renderer.RenderAsync(project, _folder["a.wav"]);
        VoiceProject words = Project("one", "two", "three");
        float[][] parts =
            [.. await Task.WhenAll(words.Lines.Select(async line => (await renderer.RenderLineAsync(words, line.Id)).Clip.Samples))];
        Assert.Equal([.. parts[0], .. new float[7992], .. parts[1], .. new float[3000], .. parts[2]],
            WavReader.ReadMono(_folder["a.wav"]).Samples);
        Assert.Equal(3, _engine.NumCalls);
    }

    [Fact]
    public async Task Render_OfALineWithTimes_BeginsThereAndNeverBeforeTheOneBeforeEnds()
    {
        VoiceProject project = Project() with
        {
            Lines =
            [
                new VoiceLine { Id = "a", Text = "aaaaaaaaaaaaaaaaaaaa", Start = TimeSpan.FromSeconds(1), End = TimeSpan.FromSeconds(2) },
                new VoiceLine { Id = "b", Text = "bb", Start = TimeSpan.FromSeconds(2), End = TimeSpan.FromSeconds(3) },
                new VoiceLine { Id = "c", Text = "cc", Start = TimeSpan.FromSeconds(10), End = TimeSpan.FromSeconds(11) },
            ],
        };
        RenderReport report = await Make().RenderAsync(project, _folder["a.wav"]);
        Assert.Equal(1, report.Lines[0].Start);
        Assert.True(report.Lines[1].Start >= report.Lines[0].End);
        Assert.Equal(10, report.Lines[2].Start);
        float[] samples = WavReader.ReadMono(_folder["a.wav"]).Samples;
        Assert.Equal(report.Seconds, samples.Length / 24_000.0, 1e-4);
        Assert.All(samples[..24_000], sample => Assert.Equal(0, sample));
    }

    [Fact]
    public async Task States_AfterADictionaryEntry_AreStaleWhereTheWordIs()
    {
        Renderer renderer = Make();
        VoiceProject project = Project("hello world", "no such thing", "World!");
        foreach (VoiceLine line in project.Lines)
            project = project.With(line with { RenderedHash = (await renderer.RenderLineAsync(project, line.Id)).Hash });
        Assert.All(await renderer.StatesAsync(project), state => Assert.True(state is { IsReady: true, IsStale: false, Fault: null }));
        project = project with { Dictionary = [new Pronunciation { Word = "world", Ipa = "wɝld" }] };
        IReadOnlyList<LineState> states = await renderer.StatesAsync(project);
        Assert.Equal([true, false, true], states.Select(state => state.IsStale));
        Assert.Equal([false, true, false], states.Select(state => state.IsReady));
        int before = _engine.NumCalls;
        await renderer.RenderAsync(project, _folder["a.wav"]);
        Assert.Equal(2, _engine.NumCalls - before);
        Assert.Equal("hello world", project.Lines[0].Text); // what is stored stays clean
        Assert.Equal(("world", "wɝld"),
            (_engine.Utterances[^1].Parts.First(part => part.Ipa is not null) is var part
                ? (part.Text.ToLowerInvariant(), part.Ipa) : default));
    }

    [Fact]
    public async Task Render_OfRolesAndScopes_UsesThem()
    {
        VoiceProject project = Project() with
        {
            Cast = new Dictionary<string, VoiceSettings> { ["ANN"] = new() { Voice = "hum:high", Pitch = 2 } },
            Lines = [new VoiceLine { Id = "a", Role = "ANN", Text = "hey you", Settings = new() { Speed = 2 } },
                new VoiceLine { Id = "b", Role = "BOB", Text = "hey" }],
        };
        Renderer renderer = Make(null, [new Pronunciation { Word = "hey", Respelling = "hay", Language = "it" }]);
        await renderer.RenderLineAsync(project, "a");
        await renderer.RenderLineAsync(project, "b");
        Assert.Equal(("high", 2.0, 2.0, "hay you"),
            (_engine.Utterances[0].Voice.Name, _engine.Utterances[0].Speed, _engine.Utterances[0].Pitch,
                _engine.Utterances[0].Parts[0].Text));
        Assert.Equal(("low", 1.0, 0.0, "hey"), (_engine.Utterances[1].Voice.Name, _engine.Utterances[1].Speed, _engine.Utterances[1].Pitch,
            _engine.Utterances[1].Parts[0].Text));
    }

    [Fact]
    public async Task Render_OfWhatCannotBeSpoken_SaysTheLineBeforeAnythingIsRendered()
    {
        VoiceProject project = Project("fine", "not") with { Dictionary = [new Pronunciation { Word = "not", Ipa = "q" }] };
        var fault = await Assert.ThrowsAsync<FlywheelException>(() => Make().RenderAsync(project, _folder["a.wav"]));
        Assert.Equal("line '2': pronunciation 'q': the voice hum:low has no sound 'q'", fault.Message);
        Assert.Equal(0, _engine.NumCalls);
        Assert.Equal(fault.Message, (await Make().StatesAsync(project))[1].Fault);
        VoiceProject markup = Project() with { Lines = [new VoiceLine { Id = "x", Text = "a <b>x</b>", IsMarkup = true }] };
        Assert.StartsWith("line 'x': line 1, column 4: the element 'b'",
            (await Assert.ThrowsAsync<FlywheelException>(() => Make().RenderLineAsync(markup, "x"))).Message, StringComparison.Ordinal);
        Assert.StartsWith("line '1': there is no voice 'hum:none'",
            (await Assert.ThrowsAsync<FlywheelException>(() =>
                Make().RenderLineAsync(Project("a") with { Voice = new() { Voice = "hum:none" } }, "1"))).Message,
                StringComparison.Ordinal);
    }

    [Fact]
    public async Task Render_OfNothingToSay_IsSilence()
    {
        RenderReport report = await Make().RenderAsync(Project("...", "", "—", "ok"), _folder["a.wav"]);
        Assert.Equal((4, 1), (report.NumLines, _engine.NumCalls));
    }

    [Fact]
    public async Task Render_OfADamagedSound_MakesItAgain()
    {
        VoiceProject project = Project("one");
        float[] good = (await Make().RenderLineAsync(project, "1")).Clip.Samples;
        string file = Directory.EnumerateFiles(_folder["cache"], "*.wav", SearchOption.AllDirectories).Single();
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^100]);
        Assert.Equal(good, (await Make().RenderLineAsync(project, "1")).Clip.Samples);
        Assert.Equal(2, _engine.NumCalls);
    }

    [Fact]
    public async Task RenderLine_ByManyAtOnce_CallsTheEngineOnce()
    {
        Renderer renderer = Make();
        VoiceProject project = Project("the same");
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Task.Run(() => renderer.RenderLineAsync(project, "1"))));
        Assert.Equal(1, _engine.NumCalls);
    }

    [Fact]
    public async Task Render_OnAFullDisk_SaysSoAndLeavesNothingHalfWritten()
    {
        using var disk = new SmallDisk(_folder["disk"], 1 << 20);
        VoiceProject project = Project("one", "two")
            with { Lines = [new VoiceLine { Id = "a", Text = "one" },
                new VoiceLine { Id = "b", Text = "two", Start = TimeSpan.FromSeconds(60) }] };
        // a minute takes 2.9 MB
        var fault = await Assert.ThrowsAsync<FlywheelException>(() => Make().RenderAsync(project, _folder["disk/a.wav"]));
        Assert.StartsWith($"{_folder["disk/a.wav"]}: no space left on the disk", fault.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder["disk"]));
        SmallDisk.Fill(_folder["disk/full"]);
        fault = await Assert.ThrowsAsync<FlywheelException>(() =>
            new Renderer(new SpeechEngines([_engine]), new SegmentCache(_folder["disk/cache"])).RenderAsync(project, _folder["a.wav"]));
        Assert.Contains("no space left on the disk", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cache_PastItsBound_LosesTheOldest()
    {
        var cache = new SegmentCache(_folder["small"]);
        await new Renderer(new SpeechEngines([_engine]), cache).RenderAsync(Project("one", "two", "three"), _folder["a.wav"]);
        FileInfo[] files =
            [.. new DirectoryInfo(_folder["small"]).EnumerateFiles("*.wav", SearchOption.AllDirectories).OrderBy(file => file.Name)];
        for (int i = 0; i < files.Length; i++) files[i].LastWriteTimeUtc = DateTime.UnixEpoch.AddDays(i);
        cache.Trim(files[2].Length);
        Assert.Equal([false, false, true], files.Select(file => File.Exists(file.FullName)));
    }

    [Fact]
    public void Project_OfJson_ReadsBackTheSame()
    {
        VoiceProject project = Project("one") with
        {
            Name = "Pilot", Language = "it", SampleRate = 48_000, Dictionary = [new Pronunciation { Word = "a", Ipa = "b" }],
            Cast = new Dictionary<string, VoiceSettings> { ["ANN"] = new() { Voice = "hum:high", Speed = 1.1 } },
            Lines = [new VoiceLine { Id = "1", Text = "<break/>", IsMarkup = true, Start = TimeSpan.FromMilliseconds(1234),
                End = TimeSpan.FromSeconds(2), Role = "ANN", Alternates = ["x"], RenderedHash = "h", Pause = TimeSpan.Zero }],
        };
        string json = project.ToJson();
        Assert.Contains("\"start\": 1.234", json, StringComparison.Ordinal);
        Assert.Equal(json, VoiceProject.Parse(json, "p.json").ToJson());
    }

    [Theory]
    [InlineData("{\"lines\":[{\"id\":\"1\",\"text\":\"a\",\"settings\":{\"speed\":9}}]}",
        "p.json: line '1': speed is 9, expected 0.25 to 4")]
    [InlineData("{\"lines\":[{\"id\":\"1\",\"text\":\"a\"},{\"id\":\"1\",\"text\":\"b\"}]}", "p.json: the id '1' is that of two lines")]
    [InlineData("{\"lines\":[{\"id\":\"1\",\"text\":\"a\",\"end\":3}]}", "p.json: line '1': end is 3")]
    [InlineData("{\"lines\":[{\"id\":\"1\",\"text\":\"a\",\"start\":\"now\"}]}", "p.json: expected a number of seconds")]
    [InlineData("{\"colour\":1}", "p.json: ")]
    [InlineData("{\"lines\":null}", "p.json: ")]
    [InlineData("{", "p.json: ")]
    public void Project_Wrong_IsRefusedByField(string json, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => VoiceProject.Parse(json, "p.json")).Message,
            StringComparison.Ordinal);

    /// <summary>What an imported project says of takes gets into pages and memory: nothing but hashes and small numbers passes.</summary>
    [Theory]
    [InlineData("\"hash\":\"');alert(1)//\",\"seconds\":1,\"text\":\"a\",\"settings\":{}", "a take's hash is '');alert(1)//', expected 64")]
    [InlineData("\"hash\":\"HASH\",\"seconds\":1,\"text\":\"a\",\"settings\":{},\"pieces\":[\"abc\"]", "a take's piece is 'abc'")]
    [InlineData("\"hash\":\"HASH\",\"seconds\":1,\"text\":\"a\",\"settings\":{},\"pieces\":[\"2000000000\"]",
        "a take's piece is '2000000000'")]
    [InlineData("\"hash\":\"HASH\",\"seconds\":1,\"text\":\"a\",\"settings\":{},\"pieces\":[\"20000000\",\"20000000\"]",
        "a take's silences have 40000000 samples")]
    [InlineData("\"hash\":\"HASH\",\"seconds\":1,\"text\":\"a\",\"settings\":{},\"pieces\":[null]", "a take's pieces[0] is null")]
    [InlineData("\"hash\":\"HASH\",\"seconds\":-1,\"text\":\"a\",\"settings\":{}", "a take's seconds are -1")]
    [InlineData("\"hash\":null,\"seconds\":1,\"text\":\"a\",\"settings\":{}", "hash")]
    [InlineData("\"hash\":\"HASH\",\"seconds\":1,\"text\":\"a\",\"settings\":null", "settings")]
    [InlineData("\"hash\":\"HASH\",\"seconds\":1,\"text\":\"a\"", "settings")]
    public void Take_OfAnImportedProject_IsRefusedUnlessItIsOneOfOurs(string take, string expected)
    {
        string json =
            $$"""{"lines":[{"id":"1","text":"a","takes":[{{{take.Replace("HASH", new string('a', 64), StringComparison.Ordinal)}}}]}]}""";
        string message = Assert.Throws<FlywheelException>(() => VoiceProject.Parse(json, "p.json")).Message;
        Assert.StartsWith("p.json: ", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    /// <summary>Null in the place of any value of a whole project is refused by name or means that nothing is said; it never breaks what
    /// reads on.</summary>
    [Fact]
    public void Project_WithNullInTheWayOfAnyValue_IsRefusedOrReadsOn()
    {
        var take = new VoiceTake(new string('a', 64), 1, "a", new VoiceSettings { Speed = 2 }) { Pieces = [new string('b', 64), "240"] };
        string json = (Project("one") with
        {
            Name = "Pilot", SourceLanguage = "en", Dictionary = [new Pronunciation { Word = "a", Ipa = "b" }],
            Cast = new Dictionary<string, VoiceSettings> { ["ANN"] = new() { Voice = "hum:high" } },
            Lines = [new VoiceLine { Id = "1", Text = "a", Start = TimeSpan.Zero, End = TimeSpan.FromSeconds(2), Role = "ANN",
                Alternates = ["x"], RenderedHash = take.Hash, Takes = [take] }],
        }).ToJson();
        var paths = new List<string>();
        Walk(JsonNode.Parse(json)!);
        Assert.True(paths.Count > 30, string.Join(' ', paths));
        int numRefused = 0;
        foreach (string path in paths)
        {
            JsonNode root = JsonNode.Parse(json)!;
            JsonNode at = Find(root, path);
            if (at.Parent is JsonArray array) array[at.GetElementIndex()] = null;
            else at.Parent![at.GetPropertyName()] = null;
            try
            {
                VoiceProject read = VoiceProject.Parse(root.ToJsonString(), "p.json");
                Assert.NotEmpty(read.ToJson());
                Assert.Null(new Renderer(new SpeechEngines([new HummingEngine()]),
                    new SegmentCache(_folder["cache"])).Find(read.Lines[0].Takes[0], read.SampleRate));
            }
            catch (FlywheelException e)
            {
                Assert.StartsWith("p.json: ", e.Message, StringComparison.Ordinal);
                numRefused++;
            }
        }
        Assert.True(numRefused > 15, $"{numRefused} of {paths.Count}");

        void Walk(JsonNode node)
        {
            if (node.Parent is not null) paths.Add(node.GetPath());
            IEnumerable<JsonNode?> inner = node switch { JsonObject one => one.Select(field => field.Value), JsonArray many => many,
                _ => [] };
            foreach (JsonNode each in inner.OfType<JsonNode>()) Walk(each);
        }

        static JsonNode Find(JsonNode root, string path)
        {
            if (root.GetPath() == path) return root;
            IEnumerable<JsonNode?> inner = root is JsonObject one ? one.Select(field => field.Value) : (JsonArray)root;
            return Find(
                inner.First(each =>
                    each is not null
                        && (path == each.GetPath() || path.StartsWith(each.GetPath() + ".", StringComparison.Ordinal)
                            || path.StartsWith(each.GetPath() + "[", StringComparison.Ordinal)))!, path);
        }
    }

    [Fact]
    public void Cast_OfYaml_IsReadOrRefusedByLine()
    {
        IReadOnlyDictionary<string, VoiceSettings> cast =
            CastFile.Parse("JOHN: flite:rms\nMARY ANN: {voice: flite:slt, speed: 1.1, pitch: -1}\n", "c.yaml");
        Assert.Equal((new VoiceSettings { Voice = "flite:rms" }, new VoiceSettings { Voice = "flite:slt", Speed = 1.1, Pitch = -1 }),
            (cast["JOHN"], cast["MARY ANN"]));
        Assert.StartsWith("c.yaml line 2: MARY: the field 'sped' is not known; did you mean 'speed'?",
            Assert.Throws<FlywheelException>(() => CastFile.Parse("A: b\nMARY: {sped: 1}", "c.yaml")).Message, StringComparison.Ordinal);
        Assert.StartsWith("c.yaml line 1: A: speed is 10, expected",
            Assert.Throws<FlywheelException>(() => CastFile.Parse("A: {speed: 10}", "c.yaml")).Message, StringComparison.Ordinal);
        Assert.StartsWith("c.yaml line 2: not valid YAML", Assert.Throws<FlywheelException>(() => CastFile.Parse("A: {", "c.yaml")).Message,
            StringComparison.Ordinal);
    }
}
