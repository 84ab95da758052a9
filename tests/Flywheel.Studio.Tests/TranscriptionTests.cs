using System.ClientModel;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Testing;
using Flywheel.Voice;
using Microsoft.EntityFrameworkCore;
using OpenAI;
using OpenAI.Audio;

namespace Flywheel.Studio.Tests;

/// <summary><c>/v1/audio/transcriptions</c> and <c>/translations</c>, by hand and by OpenAI's .NET client, over Whisper files that
/// whisper.cpp really runs.</summary>
public sealed class TranscriptionTests(TranscriptionTests.ListeningServer one) : IClassFixture<TranscriptionTests.ListeningServer>
{
    private readonly TestServer _server = one.Server;

    public sealed class ListeningServer : OneServer
    {
        private protected override async Task<TestServer> StartAsync()
        {
            TestServer server = await TestServer.StartAsync(options: given =>
            {
                File.WriteAllText(Path.Combine(Directory.CreateDirectory(Path.Combine(given.Home.Cache, "uploads")).FullName,
                    "left.by-a-crash"), "somebody's voice");
                return given;
            });
            string folder = Directory.CreateDirectory(WhisperFile.FolderIn(server.Home)).FullName;
            TinyWhisper.Write(Path.Combine(folder, "english.bin"));
            TinyWhisper.Write(Path.Combine(folder, "many.bin"), languages: true);
            return server;
        }
    }

    private static byte[] Sound(double seconds = 1.5)
    {
        var wav = new MemoryStream();
        using (var writer = new WavWriter(wav,
            16_000)) writer.Write([.. Enumerable.Range(0, (int)(16_000 * seconds)).Select(i => .3f * (float)Math.Sin(i * .1))]);
        return wav.ToArray();
    }

    private async Task<(HttpStatusCode Status, string Text, HttpResponseHeaders Headers)> AskAsync(string path, byte[] sound,
        params (string Field, string Value)[] fields)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(sound), "file", "../a/talk.wav" } };
        foreach ((string field, string value) in fields) form.Add(new StringContent(value), field);
        using HttpResponseMessage response = await _server.Http.PostAsync($"/v1/audio/{path}", form);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(), response.Headers);
    }

    [Fact]
    public async Task Transcribe_ByOpenAIsClient_IsTheTranscriptWithItsTimes()
    {
        AudioClient client = new("english", new ApiKeyCredential("none"),
            new OpenAIClientOptions { Endpoint = new Uri(_server.Http.BaseAddress!, "/v1") });
        AudioTranscription heard = await client.TranscribeAudioAsync(new MemoryStream(Sound()), "talk.wav", new AudioTranscriptionOptions
        {
            ResponseFormat = AudioTranscriptionFormat.Verbose,
            TimestampGranularities = AudioTimestampGranularities.Word | AudioTimestampGranularities.Segment, Language = "en",
        });
        Assert.Equal((TinyWhisper.Says, "english", TimeSpan.FromSeconds(1.5)), (heard.Text, heard.Language, heard.Duration));
        Assert.Equal((TimeSpan.FromSeconds(.1), TimeSpan.FromSeconds(1.5)),
            (Assert.Single(heard.Segments).StartTime, heard.Segments[0].EndTime));
        Assert.Equal(["Hello,", "world."], heard.Words.Select(word => word.Word));
        AudioTranslation translated = await new AudioClient("many", new ApiKeyCredential("none"),
            new OpenAIClientOptions { Endpoint = new Uri(_server.Http.BaseAddress!, "/v1") })
            .TranslateAudioAsync(new MemoryStream(Sound()), "talk.wav",
                new AudioTranslationOptions { ResponseFormat = AudioTranslationFormat.Verbose });
        Assert.Equal((TinyWhisper.Says, "english"), (translated.Text, translated.Language));
    }

    [Fact]
    public async Task Transcribe_InEachFormat_IsRecordedAndListenedForOnceCorrected()
    {
        (HttpStatusCode status, string text, HttpResponseHeaders headers) =
            await AskAsync("transcriptions", Sound(), ("model", "whisper-1"), ("response_format", "srt"), ("user", "ann"));
        Assert.Equal((HttpStatusCode.OK, "1\n00:00:00,100 --> 00:00:01,500\nHello, world.\n\n"), (status, text));
        Assert.StartsWith("WEBVTT\n\n00:00:00.100 --> 00:00:01.500\nHello, world.",
            (await AskAsync("transcriptions", Sound(), ("model", "english"), ("response_format", "vtt"))).Text, StringComparison.Ordinal);
        Assert.Equal("Hello, world.\n",
            (await AskAsync("transcriptions", Sound(), ("model", "english"), ("response_format", "text"))).Text);
        JsonNode detected =
            JsonNode.Parse((await AskAsync("transcriptions", Sound(), ("model", "many"), ("response_format", "verbose_json"))).Text)!;
        Assert.Equal(("french", "many"), ((string)detected["language"]!, (string)detected["model"]!));

        // What was heard, by whom, of what, is in the record.
        Guid id = Guid.Parse(headers.GetValues("X-Generation-Id").Single());
        await using FlywheelStore store = await FlywheelStore.OpenAsync(_server.Home);
        await using (FlywheelDb db = store.Tables())
        {
            Generation row = await db.Generations.AsNoTracking().Include(each => each.Payload).SingleAsync(each => each.Id == id);
            Assert.Equal(("transcription", "ann", "whisper:english", TinyWhisper.Says),
                (row.App, row.User, row.Upstream, row.Payload!.Text));
            JsonNode facts = JsonNode.Parse(row.Payload.Conversation!.TemplateArguments![Transcripts.Recording])!;
            Assert.Equal(("talk.wav", 1.5, "english"), ((string)facts["file"]!, (double)facts["seconds"]!, (string)facts["model"]!));
        }

        // A correction is feedback, and its new word stands before the next recording of that person: so many tokens as the model waits
        // for.
        await _server.PostAsync("/feedback", new JsonObject { ["inference_id"] = id.ToString(), ["metric_name"] = "demonstration",
            ["value"] = "Hello, world. abc", ["user"] = "ann" });
        Assert.Equal(TinyWhisper.Prompted,
            (string)JsonNode.Parse((await AskAsync("transcriptions", Sound(), ("model", "english"), ("user", "ann"))).Text)!["text"]!);
        Assert.Equal(TinyWhisper.Says,
            (string)JsonNode.Parse((await AskAsync("transcriptions", Sound(), ("model", "english"), ("user", "bob"))).Text)!["text"]!);

        // Nobody's weights learn from it: the model reads no sound, and the turn says so.
        (List<Shown> shown, List<Feedback> feedback) =
            await Loop.FeedbackReader.LoadAsync(store.Tables(), new Upstreams(), [id], withTokens: false, default);
        Assert.Equal([DropReasons.NoSound], Curator.Curate(shown, feedback, new CurationRules(1, _ => true)).Select(row => row.Drop));
    }

    [Fact]
    public async Task Uploads_OfRecordings_LieInTheHomeForItsOwnerAloneAndNoLongerThanNeeded()
    {
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("transcriptions", Sound(), ("model", "english"))).Status);
        string folder = Path.Combine(_server.Home.Cache, "uploads");
        Assert.False(File.Exists(Path.Combine(folder, "left.by-a-crash")));
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder));
    }

    [Fact]
    public async Task Models_List_HasTheWhisperFiles()
    {
        JsonArray models = (JsonArray)(await _server.GetAsync("/v1/models"))["data"]!;
        Assert.Equal(["english", "many"],
            models.Where(model => (string)model!["owned_by"]! == "whisper").Select(model => (string)model!["id"]!));
        Assert.Equal("whisper", (string)(await _server.GetAsync("/v1/models/many"))["owned_by"]!);
        File.WriteAllBytes(Path.Combine(WhisperFile.FolderIn(_server.Home), "cut.bin"),
            File.ReadAllBytes(Path.Combine(WhisperFile.FolderIn(_server.Home), "many.bin"))[..5000]);
        await RefusedAsync("model", "it was cut", Sound(), ("model", "cut"));
        File.Delete(Path.Combine(WhisperFile.FolderIn(_server.Home), "cut.bin"));
    }

    [Fact]
    public async Task Transcribe_OfWhatIsWrong_IsAnErrorThatNamesTheField()
    {
        byte[] sound = Sound();
        await RefusedAsync("model", "there is no Whisper model 'tiny'", sound, ("model", "tiny"));
        await RefusedAsync("model", "is missing", sound);
        await RefusedAsync("language", "knows English alone", sound, ("model", "english"), ("language", "fr"));
        await RefusedAsync("language", "which Whisper does not know", sound, ("model", "many"), ("language", "qq"));
        await RefusedAsync("response_format", "expected json, text, srt", sound, ("model", "english"), ("response_format", "xml"));
        await RefusedAsync("temperature", "from 0 to 1", sound, ("model", "english"), ("temperature", "2"));
        await RefusedAsync("timestamp_granularities", "expected verbose_json", sound, ("model", "english"),
            ("timestamp_granularities[]", "word"));
        await RefusedAsync("timestamp_granularities", "expected word or segment", sound, ("model", "english"),
            ("timestamp_granularities[]", "letter"));
        await RefusedAsync("stream", "is not supported", sound, ("model", "english"), ("stream", "true"));
        await RefusedAsync("chunking", "is not known here", sound, ("model", "english"), ("chunking", "auto"));
        await RefusedAsync("file", "empty file", [], ("model", "english"));
        await RefusedAsync("file", "ends within its chunk", sound[..30], ("model", "english"));
        byte[] lies = [.. sound];
        BitConverter.GetBytes(0).CopyTo(lies, 40); // an unknown length is that of the file
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("transcriptions", lies, ("model", "english"))).Status);
        BitConverter.GetBytes(1).CopyTo(lies, 24); // a sample a second: thirteen hours
        BitConverter.GetBytes(2).CopyTo(lies, 28);
        await RefusedAsync("file", "expected at most 2 hours", lies, ("model", "english"));
        if (!Tool.Exists("ffmpeg")) return;
        await RefusedAsync("file", "no sound can be read from it", "not a sound at all, only words"u8.ToArray(), ("model", "english"));
        // A list of other files would have ffmpeg read those of this machine.
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["secret.wav"], sound);
        await RefusedAsync("file", "no sound can be read from it",
            System.Text.Encoding.UTF8.GetBytes(
                $"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{folder["secret.wav"]}\n#EXT-X-ENDLIST\n"), ("model", "english"));
        await RefusedAsync("file", "no sound can be read from it",
            System.Text.Encoding.UTF8.GetBytes($"ffconcat version 1.0\nfile '{folder["secret.wav"]}'\n"), ("model", "english"));
    }

    private async Task RefusedAsync(string field, string expected, byte[] sound, params (string Field, string Value)[] fields)
    {
        (HttpStatusCode status, string text, _) = await AskAsync("transcriptions", sound, fields);
        JsonNode error = JsonNode.Parse(text)!["error"]!;
        Assert.True(status is HttpStatusCode.BadRequest or HttpStatusCode.NotFound, text);
        Assert.Equal(field, (string)error["param"]!);
        Assert.Contains(expected, (string)error["message"]!, StringComparison.Ordinal);
    }
}
