using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Voice;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.OpenAI;

/// <summary>
/// <c>POST /v1/audio/speech</c> in OpenAI's shape, and <c>GET /v1/voices</c>. The speech engines of the machine speak, no model of ours
/// does:
/// a request is counted, and there is no generation to record.
/// </summary>
internal static class Speech
{
    private const int MaxLength = 4096;

    /// <summary>OpenAI's names, so that clients which know no other work; they choose nothing.</summary>
    private static readonly string[] Models = ["tts-1", "tts-1-hd", "gpt-4o-mini-tts"];

    public static async Task VoicesAsync(HttpContext http, SpeechEngines engines)
    {
        IReadOnlyList<Voice.Voice> voices = await engines.VoicesAsync(http.RequestAborted);
        await Answers.Json(http, new()
        {
            ["object"] = "list",
            ["data"] = new JsonArray([.. voices.Select(voice => new JsonObject
            {
                ["id"] = voice.Id, ["object"] = "voice", ["name"] = voice.Title, ["language"] = voice.Language, ["gender"] = voice.Gender,
                ["engine"] = voice.Engine,
            })]),
            ["missing"] = new JsonArray([.. engines.All.Where(engine => !engine.Program.IsInstalled).Select(engine => new JsonObject
            {
                ["engine"] = engine.Name, ["install"] = $"apt-get install {engine.Program.Package}",
            })]),
        });
    }

    public static async Task SpeakAsync(HttpContext http, SpeechEngines engines, Renderer renderer, ServerEnding ending,
        ServingMetrics metrics, TimeProvider time, ILogger<Renderer> log)
    {
        ending.RefuseWhenStopping();
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "model", "input", "voice", "response_format", "speed", "stream_format", "input_format",
            "user");
        string model = body.RequiredText("model");
        string[] known = [.. engines.All.Select(engine => engine.Name), .. Models];
        if (!known.Contains(model)) throw ApiException.ModelNotFound(model, known);
        string input = body.RequiredText("input", MaxLength);
        bool isMarkup = OneOf(body, "input_format", ["text", "ssml"]) == "ssml";
        string format = OneOf(body, "response_format", ["mp3", .. SpeechStream.Formats.Keys.Where(each => each != "mp3")]);
        bool isEvents = OneOf(body, "stream_format", ["audio", "sse"]) == "sse";
        var settings = new VoiceSettings { Voice = await VoiceAsync(body, engines, model, http.RequestAborted),
            Speed = body.Number("speed", VoiceSettings.MinSpeed, VoiceSettings.MaxSpeed) };
        body.Text("user", maxLength: 200);
        if (format is not ("wav" or "pcm") && !ExternalProgram.Ffmpeg.IsInstalled)
            throw ApiException.BadField("response_format",
                $"field 'response_format' is {format}: {ExternalProgram.Ffmpeg.Missing.Message}; wav and pcm need nothing");

        long start = time.GetTimestamp();
        var speech = new SpeechStream(renderer, settings);
        EventStream? events = null;
        string? fault = "error";
        ending.Enter();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, ending.Cut);
        try
        {
            await speech.RunAsync(input, isMarkup, format, Begin, stop.Token);
            if (events is not null)
                await events.SendAsync(new()
                {
                    ["type"] = "speech.audio.done",
                    // no model reads or writes any
                    ["usage"] = new JsonObject { ["input_tokens"] = 0, ["output_tokens"] = 0, ["total_tokens"] = 0 },
                });
            fault = null;
        }
        catch (FlywheelException e) when (!http.Response.HasStarted)
        {
            throw ApiException.BadField("input", $"field 'input': {e.Message}");
        }
        catch (Exception e) when (http.Response.HasStarted)
        {
            if (e is OperationCanceledException) fault = "cancelled";
            else log.LogWarning("speech by {Voice} broke off: {Message}", settings.Voice, e.Message);
            http.Abort(); // a file that just ends would look whole
        }
        finally
        {
            ending.Leave();
            metrics.Request("speech", model, "api", time.GetElapsedTime(start), fault);
            metrics.Speech(settings.Voice!, input.Length, (double)speech.NumSamples / speech.SampleRate);
        }

        Stream Begin()
        {
            if (!isEvents)
            {
                http.Response.ContentType = SpeechStream.Formats[format];
                http.Response.Headers["X-Accel-Buffering"] = "no"; // a reverse proxy must not collect it
                return http.Response.Body;
            }
            events = new EventStream(http);
            return new EventSink(events);
        }
    }

    private static async Task<string> VoiceAsync(RequestBody body, SpeechEngines engines, string model, CancellationToken cancellation)
    {
        // OpenAI's clients send a name, or an object with an id for a voice of one's own.
        string name = body["voice"] is JsonObject own && own["id"] is JsonValue id && id.TryGetValue(out string? text) && own.Count == 1
            ? text : body.RequiredText("voice", 200);
        try
        {
            bool isWhole = Models.Contains(model) || name.Contains(':', StringComparison.Ordinal);
            Voice.Voice voice = await engines.FindAsync(isWhole ? name : $"{model}:{name}", cancellation);
            return Models.Contains(model) || voice.Engine == model ? voice.Id
                : throw new FlywheelException(
                    $"the voice '{voice.Id}' is not one of the model '{model}'; leave the engine to the voice with the model tts-1");
        }
        catch (FlywheelException e)
        {
            throw ApiException.BadField("voice",
                $"field 'voice': {e.Message.Replace("./flywheel voice voices", "GET /v1/voices", StringComparison.Ordinal)}");
        }
    }

    /// <summary>The first is the usual one.</summary>
    private static string OneOf(RequestBody body, string field, string[] values) =>
        body.Text(field) is not { } value ? values[0] : values.Contains(value)
            ? value : throw RequestBody.Wrong(field, body[field], NearestName.List(values));

    /// <summary>Pieces of a file as events.</summary>
    private sealed class EventSink(EventStream events) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            await events.SendAsync(new() { ["type"] = "speech.audio.delta", ["audio"] = Convert.ToBase64String(buffer.Span) });

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
