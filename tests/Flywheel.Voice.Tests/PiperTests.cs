using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

/// <summary>Voices in Piper's form: ONNX Runtime really runs a tiny one of our own, in whose sound the numbers that it was given can be
/// read.</summary>
public sealed class PiperTests : IDisposable
{
    private const string Known = "_^$ !',-.:;?abcdefhijklmnopqrstuvwxyzæçðøħŋœɐɑɒɔəɚɛɜɡɪɫɹɾʃʊʌʒθᵻˈˌː̃";

    private readonly TempFolder _folder = new();
    private readonly PiperEngine _engine;

    public PiperTests() => _engine = new PiperEngine(Directory.CreateDirectory(_folder["voices"]).FullName);

    public void Dispose() => _folder.Dispose();

    private static JsonObject Config(int speakers = 1) => new()
    {
        ["audio"] = new JsonObject { ["sample_rate"] = 16_000 },
        ["espeak"] = new JsonObject { ["voice"] = "en-us" },
        ["language"] = new JsonObject { ["code"] = "en_US" },
        ["inference"] = new JsonObject { ["noise_scale"] = 0, ["length_scale"] = 1, ["noise_w"] = 0.8 },
        ["num_speakers"] = speakers,
        ["speaker_id_map"] = speakers == 1 ? new JsonObject() : new JsonObject { ["ann"] = 0, ["bob"] = 1, ["cat"] = 2 },
        ["phoneme_type"] = "espeak",
        ["phoneme_id_map"] =
            new JsonObject(Known.EnumerateRunes().Select((rune, i) => KeyValuePair.Create(rune.ToString(), (JsonNode?)new JsonArray(i)))),
    };

    private void Put(string name, JsonObject config, byte[]? model = null)
    {
        File.WriteAllText(_folder[$"voices/{name}.onnx.json"], config.ToJsonString());
        File.WriteAllBytes(_folder[$"voices/{name}.onnx"], model ?? TinyOnnx.Voice(hasSpeakers: (int)config["num_speakers"]! > 1));
    }

    private async Task<Clip> SpeakAsync(string name, double speed = 1, params SpeechPart[] parts) =>
        await _engine.SpeakAsync(new Utterance((await _engine.FindAsync(name, default))!, parts, speed),
            TestContext.Current.CancellationToken);

    /// <summary>The sounds whose numbers the model was given; a bar where sentences part.</summary>
    private static string Given(Clip clip, int length = 100)
    {
        var said = new StringBuilder();
        for (int at = 0; at < clip.Samples.Length;)
        {
            if (at > 0 && clip.Samples.AsSpan(at).Length > 3200 && clip.Samples.AsSpan(at, 3200).IndexOfAnyExcept(0f) < 0)
            {
                said.Append('|'); // 0 is the number of the pad: nothing else lasts that long
                at += 3200;
                continue;
            }
            said.Append(Known.EnumerateRunes().ElementAt((int)Math.Round(100 * clip.Samples[at])).ToString());
            at += length;
        }
        return said.ToString();
    }

    private static string Padded(string sounds) => "^_" + string.Concat(sounds.EnumerateRunes().Select(rune => rune + "_")) + "$";

    [Fact]
    public async Task Speak_OfATextGivesTheModelWhatEspeakSays_InPipersForm()
    {
        Sounds.Need("espeak-ng");
        Put("tiny", Config());
        Assert.Equal(Padded("həlˈoʊ ðˈɛɹ."), Given(await SpeakAsync("tiny", 1, new SpeechPart("Hello there."))));
        Assert.Equal(Padded("həlˈoʊ, ðˈɛɹ!") + "|" + Padded("ðˈɛɹ"),
            Given(await SpeakAsync("tiny", 1, new SpeechPart("Hello, there! There"))));
        // A point within a number is none of a sentence.
        Assert.DoesNotContain('|', Given(await SpeakAsync("tiny", 1, new SpeechPart("It is 3.14 or 10,000 now"))));
    }

    [Fact]
    public async Task Speak_OfAPronunciation_SaysThoseSounds()
    {
        Sounds.Need("espeak-ng");
        Put("tiny", Config());
        // The stress goes before the vowel, where espeak-ng writes it; the sign behind the word stays.
        Assert.Equal(Padded("həlˈoʊ wˈɪn."),
            Given(await SpeakAsync("tiny", 1, new SpeechPart("Hello "), new SpeechPart("Nguyen", "ˈwɪn"), new SpeechPart("."))));
        Voice voice = (await _engine.FindAsync("tiny", default))!;
        Assert.Contains("the voice piper:tiny has no sound 'ʁ'",
            (await Assert.ThrowsAsync<FlywheelException>(() => _engine.PhonesAsync(voice, "ʁa", default))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Speak_AtASpeed_ScalesTheLengths()
    {
        Sounds.Need("espeak-ng");
        JsonObject slow = Config();
        slow["inference"]!["length_scale"] = 1.5;
        Put("tiny", Config());
        Put("slow", slow);
        SpeechPart part = new("Hello there.");
        Assert.Equal(Padded("həlˈoʊ ðˈɛɹ."), Given(await SpeakAsync("tiny", 2, part), 50));
        Assert.Equal(Padded("həlˈoʊ ðˈɛɹ."), Given(await SpeakAsync("slow", 1, part), 150));
        Assert.Equal(Padded("həlˈoʊ ðˈɛɹ."), Given(await SpeakAsync("slow", 1.5, part), 100));
    }

    [Fact]
    public async Task Speak_BySpeakers_IsTheirVoice()
    {
        Sounds.Need("espeak-ng");
        Put("three", Config(speakers: 3));
        Assert.Equal(["piper:three", "piper:three+ann", "piper:three+bob", "piper:three+cat"],
            (await _engine.VoicesAsync(default)).Select(voice => voice.Id));
        Assert.All(await _engine.VoicesAsync(default), voice => Assert.Equal("en-us", voice.Language));
        SpeechPart part = new("Hello there.");
        float[] ann = (await SpeakAsync("three+ann", 1, part)).Samples, cat = (await SpeakAsync("three+cat", 1, part)).Samples;
        Assert.Equal(ann, (await SpeakAsync("three", 1, part)).Samples);
        Assert.All(ann.Zip(cat), pair => Assert.Equal(.2f, pair.Second - pair.First, 1e-4f));
        Assert.Null(await _engine.FindAsync("three+dan", default));
        Assert.Null(await _engine.FindAsync("../voices/three", default));
    }

    [Fact]
    public async Task Speak_OfALongSentence_GivesTheModelAllOfItInPieces()
    {
        JsonObject config = Config();
        config["phoneme_type"] = "text";
        File.WriteAllText(_folder["text.onnx.json"], config.ToJsonString());
        var phonemes = new PiperPhonemes(PiperConfig.Read(_folder["text.onnx.json"]), _engine.Program);
        string words = string.Join(' ', Enumerable.Range(0, 3000).Select(i => i % 7 == 0 ? "sounds" : "words")),
            unbroken = new('a', 2 * PiperPhonemes.MaxSounds + 1);
        IReadOnlyList<long[]> broken = await phonemes.IdsAsync([new SpeechPart(words)], "piper:text",
            TestContext.Current.CancellationToken), cut =
                await phonemes.IdsAsync([new SpeechPart(unbroken)], "piper:text", TestContext.Current.CancellationToken);
        Assert.All(broken.Concat(cut), ids => Assert.InRange(ids.Length, 3, 2 * PiperPhonemes.MaxSounds + 3));
        Assert.Equal(words, string.Join(' ', broken.Select(Read)));
        Assert.Equal(unbroken, string.Concat(cut.Select(Read)));
        Assert.Equal("words",
            Read((await phonemes.IdsAsync([new SpeechPart("words")], "piper:text", TestContext.Current.CancellationToken)).Single()));

        string Read(long[] ids) =>
            string.Concat(ids[2..^1].Where((_, i) => i % 2 == 0).Select(id => Known.EnumerateRunes().ElementAt((int)id)));
    }

    [Fact]
    public async Task Version_OfManyVoices_KeepsFewModelsInMemory()
    {
        Sounds.Need("espeak-ng");
        var versions = new List<string>();
        for (int round = 0; round < 2; round++)
            for (int i = 0; i < PiperEngine.MaxModels + 2; i++)
            {
                if (round == 0) Put($"voice{i}", Config());
                versions.Add(await _engine.VersionAsync((await _engine.FindAsync($"voice{i}", default))!,
                    TestContext.Current.CancellationToken));
                Assert.InRange(_engine.NumModels, 1, PiperEngine.MaxModels);
            }
        Assert.Single(versions.Distinct());
        await SpeakAsync("voice0", 1, new SpeechPart("Hello."));
        Assert.Equal(PiperEngine.MaxModels, _engine.NumModels);
    }

    [Fact]
    public async Task Speak_WithChance_IsTheSameEachTime()
    {
        Sounds.Need("espeak-ng");
        JsonObject config = Config();
        config["inference"]!["noise_scale"] = .01;
        Put("tiny", config);
        float[] first = (await SpeakAsync("tiny", 1, new SpeechPart("Hello there."))).Samples;
        Assert.True(first.Distinct().Count() > first.Length / 2, "there is chance in it");
        await SpeakAsync("tiny", 1, new SpeechPart("Something else."));
        Assert.Equal(first, (await SpeakAsync("tiny", 1, new SpeechPart("Hello there."))).Samples);
        Assert.Equal(first,
            (await new PiperEngine(_folder["voices"]).SpeakAsync(new Utterance((await _engine.FindAsync("tiny", default))!,
                [new SpeechPart("Hello there.")]), default)).Samples);
    }

    [Fact]
    public async Task Render_ByAVoice_IsStaleWhenItsFileIsAnother()
    {
        Sounds.Need("espeak-ng");
        Put("tiny", Config());
        var engines = new SpeechEngines([_engine]);
        var renderer = new Renderer(engines, new SegmentCache(_folder["cache"]));
        VoiceProject project = new() { Voice = new() { Voice = "piper:tiny" },
            Dictionary = [new Pronunciation { Word = "there", Ipa = "ˈwɪn" }],
            Lines = [new VoiceLine { Id = "1", Text = "Hello there." }] };
        string before = (await renderer.PlanAsync(project, "1", TestContext.Current.CancellationToken)).Hash;
        Assert.InRange((await renderer.RenderLineAsync(project, "1", TestContext.Current.CancellationToken)).Clip.Duration.TotalSeconds, .1,
            .3);
        JsonObject other = Config();
        other["inference"]!["noise_w"] = .5;
        Put("tiny", other);
        File.SetLastWriteTimeUtc(_folder["voices/tiny.onnx.json"], DateTime.UtcNow.AddSeconds(5));
        Assert.NotEqual(before, (await renderer.PlanAsync(project, "1", TestContext.Current.CancellationToken)).Hash);
    }

    public static TheoryData<string, string, string> Wrong => new()
    {
        { "phoneme_id_map", "null", "field 'phoneme_id_map' is missing" },
        { "phoneme_id_map", """{"_": [0], "^": [1]}""", "field 'phoneme_id_map['$']' is missing" },
        { "phoneme_id_map", """{"_": [0], "^": [1], "$": ["2"]}""", "field 'phoneme_id_map['$']' is [\"2\"], expected a list of numbers" },
        { "audio", """{"sample_rate": 44}""", "field 'sample_rate' is 44, expected a number from 8000" },
        { "audio", "7", "field 'audio' is 7, expected an object" },
        { "phoneme_type", "\"pinyin\"", "field 'phoneme_type' is \"pinyin\", expected espeak or text" },
        { "espeak", "{}", "field 'espeak.voice' is missing" },
        { "inference", """{"length_scale": -1}""", "field 'inference.length_scale' is -1" },
        { "num_speakers", "0", "field 'num_speakers' is 0" },
        { "language", """{"code": "../x"}""", "field 'language.code' is \"../x\"" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task Add_OfAConfigThatIsWrong_NamesTheField(string field, string value, string expected)
    {
        JsonObject config = Config();
        config[field] = JsonNode.Parse(value);
        Directory.CreateDirectory(_folder["given"]);
        File.WriteAllText(_folder["given/bad.onnx.json"], config.ToJsonString());
        File.WriteAllBytes(_folder["given/bad.onnx"], TinyOnnx.Voice(hasSpeakers: false));
        string said = (await Assert.ThrowsAsync<FlywheelException>(() => _engine.AddAsync(_folder["given/bad.onnx"]))).Message;
        Assert.StartsWith(_folder["given/bad.onnx.json"], said, StringComparison.Ordinal);
        Assert.Contains(expected, said, StringComparison.Ordinal);
        Assert.Empty(await _engine.VoicesAsync(default));
        // One that lies in the folder is named where voices are listed, and the others speak.
        Put("bad", config, TinyOnnx.Voice(hasSpeakers: false));
        Put("good", Config());
        Assert.Equal(["piper:good"], (await _engine.VoicesAsync(default)).Select(voice => voice.Id));
        Assert.Contains(expected, Assert.Single(_engine.Faults()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Add_OfAModelThatIsNoVoice_IsRefusedByName()
    {
        Directory.CreateDirectory(_folder["given"]);
        Dictionary<string, byte[]> models = new()
        {
            ["another"] = TinyOnnx.Vad(), ["cut"] = TinyOnnx.Voice(hasSpeakers: false)[..400],
            ["speakers"] = TinyOnnx.Voice(hasSpeakers: true), ["text"] = Encoding.UTF8.GetBytes("no model at all"), ["empty"] = [],
        };
        foreach ((string name, byte[] model) in models)
        {
            File.WriteAllText(_folder[$"given/{name}.onnx.json"], Config().ToJsonString());
            File.WriteAllBytes(_folder[$"given/{name}.onnx"], model);
            Assert.StartsWith(_folder[$"given/{name}.onnx"],
                (await Assert.ThrowsAsync<FlywheelException>(() => _engine.AddAsync(_folder[$"given/{name}.onnx"]))).Message,
                StringComparison.Ordinal);
        }
        File.WriteAllBytes(_folder["given/alone.onnx"], TinyOnnx.Voice(hasSpeakers: false));
        Assert.Contains("NAME.onnx.json beside it",
            (await Assert.ThrowsAsync<FlywheelException>(() => _engine.AddAsync(_folder["given/alone.onnx"]))).Message,
            StringComparison.Ordinal);
        Assert.Contains("expected a voice's model",
            (await Assert.ThrowsAsync<FlywheelException>(() => _engine.AddAsync(_folder["given/alone.bin"]))).Message,
            StringComparison.Ordinal);
        File.WriteAllText(_folder["given/a+b.onnx.json"], Config().ToJsonString());
        File.WriteAllBytes(_folder["given/a+b.onnx"], TinyOnnx.Voice(hasSpeakers: false));
        Assert.Contains("must not hold '+'",
            (await Assert.ThrowsAsync<FlywheelException>(() => _engine.AddAsync(_folder["given/a+b.onnx"]))).Message,
            StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder["voices"]));
        File.WriteAllText(_folder["given/fine.onnx.json"], Config().ToJsonString());
        File.WriteAllBytes(_folder["given/fine.onnx"], TinyOnnx.Voice(hasSpeakers: false));
        Assert.Equal("piper:fine", (await _engine.AddAsync(_folder["given/fine.onnx"])).Id);
    }

    [Fact]
    public void Fix_OfAnyBytes_IsTheSameModelOrRefused()
    {
        byte[] whole = TinyOnnx.Voice(hasSpeakers: true), fixedOnce = OnnxSeeds.Fix(whole, "a");
        Assert.True(fixedOnce.Length > whole.Length);
        Assert.Equal(fixedOnce, OnnxSeeds.Fix(fixedOnce, "a")); // each drawing has its seed already
        Assert.Equal(TinyOnnx.Vad(), OnnxSeeds.Fix(TinyOnnx.Vad(), "a"));
        var random = new Random(6);
        for (int round = 0; round < 2000; round++)
        {
            byte[] changed = round % 2 == 0 ? whole[..random.Next(whole.Length)] : [.. whole];
            if (round % 2 == 1) changed[random.Next(changed.Length)] = (byte)random.Next(256);
            try
            {
                OnnxSeeds.Fix(changed, "file.onnx");
            }
            catch (FlywheelException e)
            {
                Assert.StartsWith("file.onnx", e.Message, StringComparison.Ordinal);
            }
        }
    }
}
