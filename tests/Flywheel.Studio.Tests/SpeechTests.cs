using System.ClientModel;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Testing;
using Flywheel.Voice;
using OpenAI;
using OpenAI.Audio;

namespace Flywheel.Studio.Tests;

/// <summary><c>/v1/audio/speech</c> and <c>/v1/voices</c>, by hand and by OpenAI's .NET client; their npm client is in
/// client.mjs.</summary>
public sealed class SpeechTests(SpeechTests.OneServer one) : IClassFixture<SpeechTests.OneServer>
{
    private readonly TestServer _server = one.Server ?? throw Xunit.Sdk.SkipException.ForSkip("espeak-ng or ffmpeg is not installed");

    /// <summary>They ask and change nothing, so one server does for all.</summary>
    public sealed class OneServer : IAsyncLifetime
    {
        internal TestServer? Server { get; private set; }

        public async ValueTask InitializeAsync() =>
            Server = Tool.Exists("espeak-ng") && Tool.Exists("ffmpeg") ? await TestServer.StartAsync() : null;

        public ValueTask DisposeAsync() => Server?.DisposeAsync() ?? ValueTask.CompletedTask;
    }

    private static JsonObject Request(string format = "wav", string input = "The wheel turns.", string voice = "espeak:en-us") =>
        new() { ["model"] = "tts-1", ["input"] = input, ["voice"] = voice, ["response_format"] = format };

    private async Task<(byte[] Sound, MediaTypeHeaderValue? Type)> SpeakAsync(JsonObject request)
    {
        using var content = new StringContent(request.ToJsonString(), Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await _server.Http.PostAsync("/v1/audio/speech", content);
        byte[] sound = await response.Content.ReadAsByteArrayAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, Encoding.UTF8.GetString(sound));
        return (sound, response.Content.Headers.ContentType);
    }

    private static Clip Wav(byte[] sound)
    {
        using var reader = new WavReader(new MemoryStream(sound), "answer");
        return reader.ReadMono();
    }

    [Theory]
    [InlineData("mp3", "audio/mpeg", "mp3")]
    [InlineData("opus", "audio/ogg", "ogg")]
    [InlineData("flac", "audio/flac", "flac")]
    [InlineData("wav", "audio/wav", "wav")]
    public async Task Speak_InEachFormat_IsThatSound(string format, string type, string container)
    {
        (byte[] sound, MediaTypeHeaderValue? stated) = await SpeakAsync(Request(format));
        Assert.Equal(type, stated?.MediaType);
        double expected = Wav((await SpeakAsync(Request())).Sound).Duration.TotalSeconds;
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["a"], sound);
        (int code, string said) = await Tool.RunAsync("ffmpeg",
            ["-v", "error", "-f", container, "-i", folder["a"], "-f", "s16le", "-ar", "24000", "-ac", "1", folder["raw"]], folder.Path);
        Assert.True(code == 0, said);
        Assert.Equal(expected, new FileInfo(folder["raw"]).Length / 48_000.0, .1); // codecs add a few milliseconds at the ends
    }

    [Fact]
    public async Task Speak_AsPcm_IsTheWavWithoutItsHeader()
    {
        byte[] wav = (await SpeakAsync(Request())).Sound, pcm = (await SpeakAsync(Request("pcm"))).Sound;
        Assert.Equal(wav[44..], pcm);
        Clip fast =
            Wav((await SpeakAsync(new JsonObject(Request().Select(field => KeyValuePair.Create(field.Key, field.Value?.DeepClone())))
                { ["speed"] = 2 })).Sound);
        Assert.InRange(Wav(wav).Duration / fast.Duration, 1.7, 2.3);
    }

    [Fact]
    public async Task Speak_OfManySentences_IsAllOfThem()
    {
        string sentence = "This is one of a good many sentences, and it is long enough to be spoken alone. ";
        double one = Wav((await SpeakAsync(Request(input: sentence))).Sound).Duration.TotalSeconds;
        double four = Wav((await SpeakAsync(Request(input: string.Concat(Enumerable.Repeat(sentence, 4))))).Sound).Duration.TotalSeconds;
        Assert.Equal(4 * one + 3 * .35, four, .01);
    }

    [Fact]
    public async Task Speak_AsEvents_GivesTheSameBytes()
    {
        JsonObject request = Request("pcm");
        request["stream_format"] = "sse";
        (byte[] events, MediaTypeHeaderValue? type) = await SpeakAsync(request);
        Assert.Equal("text/event-stream", type?.MediaType);
        JsonObject[] parsed =
            [.. Encoding.UTF8.GetString(events).Split("\n\n", StringSplitOptions.RemoveEmptyEntries)
                .Select(data => JsonNode.Parse(data["data: ".Length..])!.AsObject())];
        Assert.Equal("speech.audio.done", (string)parsed[^1]["type"]!);
        byte[] sound = [.. parsed[..^1].SelectMany(each => Convert.FromBase64String((string)each["audio"]!))];
        Assert.Equal((await SpeakAsync(Request("pcm"))).Sound, sound);
    }

    [Fact]
    public async Task Speak_OfMarkup_HasItsPause()
    {
        JsonObject request = Request(input: "<speak>one<break time=\"2s\"/>two</speak>");
        request["input_format"] = "ssml";
        Assert.InRange(Wav((await SpeakAsync(request)).Sound).Duration.TotalSeconds, 2.3, 4);
        request["input"] = "<speak>one\n<brake/></speak>";
        (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync("/v1/audio/speech", request.ToJsonString());
        Assert.Equal((HttpStatusCode.BadRequest, "input"), (status, (string)answer["error"]!["param"]!));
        Assert.Contains("line 2, column 2: the element 'brake' is not known", (string)answer["error"]!["message"]!,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("voice", "\"espeak:xx\"", 400, "voice")]
    [InlineData("voice", "\"nobody\"", 400, "voice")]
    [InlineData("voice", "null", 400, "voice")]
    [InlineData("voice", "7", 400, "voice")]
    [InlineData("model", "\"whisper-1\"", 404, "model")]
    [InlineData("model", "\"flite\"", 400, "voice")]
    [InlineData("input", "\"\"", 400, "input")]
    [InlineData("response_format", "\"aac\"", 400, "response_format")]
    [InlineData("speed", "5", 400, "speed")]
    [InlineData("stream_format", "\"websocket\"", 400, "stream_format")]
    [InlineData("instructions", "\"whisper\"", 400, "instructions")]
    public async Task Speak_OfAWrongField_IsAnErrorThatNamesIt(string field, string value, int status, string param)
    {
        JsonObject request = Request();
        request[field] = JsonNode.Parse(value);
        (HttpStatusCode answered, JsonObject answer) = await _server.TryPostAsync("/v1/audio/speech", request.ToJsonString());
        Assert.Equal((status, param), ((int)answered, (string)answer["error"]!["param"]!));
    }

    [Fact]
    public async Task Speak_OfTooLongAText_IsRefused()
    {
        (HttpStatusCode status, JsonObject answer) =
            await _server.TryPostAsync("/v1/audio/speech", Request(input: new string('a', 4097)).ToJsonString());
        Assert.Equal((HttpStatusCode.BadRequest, "input"), (status, (string)answer["error"]!["param"]!));
    }

    [Fact]
    public async Task Speak_ByOpenAIsClient_IsSound()
    {
        var client = new OpenAIClient(new ApiKeyCredential("none"),
            new OpenAIClientOptions { Endpoint = new Uri($"{_server.Server.Url}/v1") });
        BinaryData sound =
            (await client.GetAudioClient("espeak").GenerateSpeechAsync("The wheel turns.", new GeneratedSpeechVoice("en-us"),
                new SpeechGenerationOptions { ResponseFormat = GeneratedSpeechFormat.Wav, SpeedRatio = 1.5f })).Value;
        Assert.InRange(Wav(sound.ToArray()).Duration.TotalSeconds, .4, 2);
        ClientResultException unknown =
            await Assert.ThrowsAsync<ClientResultException>(() =>
                client.GetAudioClient("tts-1").GenerateSpeechAsync("Hello", new GeneratedSpeechVoice("nobody-at-all")));
        Assert.Contains("there is no voice 'nobody-at-all'", unknown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Voices_Listed_CanSpeakAndAreCounted()
    {
        JsonObject list = await _server.GetAsync("/v1/voices");
        Assert.Contains(list["data"]!.AsArray(), voice => (string)voice!["id"]! == "espeak:en-us" && (string)voice["language"]! == "en-us");
        await SpeakAsync(Request());
        string metrics = await _server.Http.GetStringAsync("/metrics");
        Assert.Matches("flywheel_speech_characters_total\\{[^}]*voice=\"espeak:en-us\"[^}]*\\} \\d+", metrics);
        Assert.Matches("flywheel_speech_duration_seconds_total\\{[^}]*\\} \\d", metrics);
    }

    [Fact]
    public async Task Document_FieldsOfSpeech_AreTheEndpoints()
    {
        JsonObject document = await _server.GetAsync("/openapi.json");
        string[] described =
            [.. document["components"]!["schemas"]!["SpeechRequest"]!["properties"]!.AsObject().Select(field => field.Key)];
        JsonObject request = Request();
        request["no_such_field"] = 1;
        (_, JsonObject answer) = await _server.TryPostAsync("/v1/audio/speech", request.ToJsonString());
        Assert.Equal(described.Order(),
            Regex.Match((string)answer["error"]!["message"]!, "known are (.*)$").Groups[1].Value.Split(", ").Order());
    }
}
