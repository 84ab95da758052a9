using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.Serving;
using Flywheel.Voice;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.OpenAI;

/// <summary><c>POST /v1/audio/transcriptions</c> and <c>/translations</c> in OpenAI's shape, by a Whisper file of the home.</summary>
internal static class Transcriptions
{
    /// <summary>OpenAI's name, so that clients which know no other work: the first file.</summary>
    private const string AnyModel = "whisper-1";

    private const long MaxBytes = 100L << 20;

    private static readonly string[] s_formats = ["json", "text", "srt", "verbose_json", "vtt"];

    private static readonly string[] s_both = ["model", "prompt", "response_format", "temperature", "user"];

    public static Task TranscribeAsync(HttpContext http, Transcripts transcripts, Uploads uploads, ServerEnding ending,
        ServingMetrics metrics, TimeProvider time) =>
        RunAsync(http, transcripts, uploads, ending, metrics, time, translate: false,
            [.. s_both, "language", "timestamp_granularities[]", "stream"]);

    public static Task TranslateAsync(HttpContext http, Transcripts transcripts, Uploads uploads, ServerEnding ending,
        ServingMetrics metrics, TimeProvider time) =>
        RunAsync(http, transcripts, uploads, ending, metrics, time, translate: true, s_both);

    private static async Task RunAsync(HttpContext http, Transcripts transcripts, Uploads uploads, ServerEnding ending,
        ServingMetrics metrics, TimeProvider time, bool translate, string[] known)
    {
        ending.RefuseWhenStopping();
        long start = time.GetTimestamp();
        string? path = null, fault = "error", model = null;
        ending.Enter();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, ending.Cut);
        try
        {
            UploadForm form;
            await using (FileStream content = uploads.Create())
            {
                path = content.Name;
                form = await UploadForm.ReadAsync(http, content, MaxBytes, known, maxText: 4000);
            }
            string format = OneOf(form, "response_format", s_formats);
            bool withWords = Words(form, format);
            if (One(form, "stream") is not (null or "false"))
                throw ApiException.Unsupported("stream", "the transcript comes when it is whole");
            TranscriptCaller caller = CallerOf(http, form);
            model = ModelOf(transcripts,
                One(form, "model")
                    ?? throw ApiException.BadField("model", $"field 'model' is missing, expected {AnyModel} or a name of GET /v1/models",
                        "missing_required_parameter"));
            var options = new TranscriptOptions
            {
                Language = One(form, "language")?.Split('-')[0].ToLowerInvariant() is { Length: > 0 } language ? language : null,
                Translate = translate, Prompt = One(form, "prompt") ?? "", Temperature = Temperature(form),
            };
            (Guid id, Transcript transcript) = await HearAsync(transcripts, form, path, uploads.Folder, model, options, caller, stop.Token);
            await SendAsync(http, transcript, id, format, options, withWords);
            fault = null;
        }
        catch (OperationCanceledException) when (ending.Cut.IsCancellationRequested && !http.RequestAborted.IsCancellationRequested)
        {
            throw Answers.Stopping();
        }
        finally
        {
            if (path is not null) File.Delete(path);
            ending.Leave();
            metrics.Request("transcription", model ?? "", "api", time.GetElapsedTime(start), fault);
        }
    }

    private static async Task<(Guid, Transcript)> HearAsync(Transcripts transcripts, UploadForm form, string path, string scratch,
        string model, TranscriptOptions options, TranscriptCaller caller, CancellationToken cancellation)
    {
        try
        {
            return await transcripts.HearAsync(form.FileName, stop => Transcripts.ReadAsync(path, form.FileName, scratch, stop), model,
                options, caller, cancellation);
        }
        catch (FlywheelException e)
        {
            string field = e.Message.StartsWith("field 'language'", StringComparison.Ordinal)
                || e.Message.Contains("knows English alone", StringComparison.Ordinal) && options.Language is not null ? "language"
                : e.Message.Contains(WhisperFile.Ending, StringComparison.Ordinal)
                    || e.Message.StartsWith("the model", StringComparison.Ordinal) ? "model" : UploadForm.File;
            throw ApiException.BadField(field, e.Message.StartsWith("field ", StringComparison.Ordinal)
                ? e.Message : $"field '{field}': {e.Message}");
        }
    }

    private static string ModelOf(Transcripts transcripts, string asked)
    {
        try
        {
            return transcripts.Find(asked == AnyModel ? null : asked);
        }
        catch (FlywheelException e)
        {
            throw new ApiException(404, e.Message, "model", "model_not_found");
        }
    }

    private static async Task SendAsync(HttpContext http, Transcript transcript, Guid id, string format, TranscriptOptions options,
        bool withWords)
    {
        http.Response.Headers["X-Generation-Id"] = id.ToString();
        switch (format)
        {
            case "text":
                await SendTextAsync("text/plain", transcript.Text + "\n");
                break;
            case "srt":
                await SendTextAsync("application/x-subrip", Srt.Write(transcript.Cues));
                break;
            case "vtt":
                await SendTextAsync("text/vtt", WebVtt.Write(transcript.Cues));
                break;
            default:
                JsonObject answer = format == "json" ? new() { ["text"] = transcript.Text } : Verbose(transcript, options, withWords);
                answer["usage"] = new JsonObject { ["type"] = "duration", ["seconds"] = Math.Ceiling(transcript.Seconds) };
                answer["model"] = transcript.Model;
                answer["generation_id"] = id.ToString();
                await Answers.Json(http, answer);
                break;
        }

        async Task SendTextAsync(string type, string text)
        {
            http.Response.ContentType = type + "; charset=utf-8";
            await http.Response.WriteAsync(text, http.RequestAborted);
        }
    }

    private static JsonObject Verbose(Transcript transcript, TranscriptOptions options, bool withWords)
    {
        var answer = new JsonObject
        {
            ["task"] = options.Translate ? "translate" : "transcribe",
            ["language"] = Language.Find(transcript.Language)?.English.ToLowerInvariant() ?? transcript.Language,
            ["duration"] = Math.Round(transcript.Seconds, 3),
            ["text"] = transcript.Text,
            ["segments"] = new JsonArray([.. transcript.Segments.Select((segment, i) => new JsonObject
            {
                ["id"] = i, ["seek"] = (int)(100 * segment.Start), ["start"] = Math.Round(segment.Start, 3),
                ["end"] = Math.Round(segment.End, 3), ["text"] = segment.Text,
                ["tokens"] = new JsonArray([.. segment.Tokens.Select(token => JsonValue.Create(token))]),
                ["temperature"] = options.Temperature,
                ["avg_logprob"] = Math.Round(Math.Log(Math.Max(1e-9, segment.Probability)), 4),
                ["compression_ratio"] = Math.Round(Compression(segment.Text), 4), ["no_speech_prob"] = Math.Round(segment.NoSpeech, 4),
            })]),
        };
        if (withWords)
            answer["words"] =
                new JsonArray(
                    [.. transcript.Segments.SelectMany(segment => segment.Words)
                        .Select(word => new JsonObject { ["word"] = word.Text, ["start"] = word.Start, ["end"] = word.End })]);
        return answer;
    }

    /// <summary>Texts that go in circles compress well: that is how listeners to Whisper tell.</summary>
    private static double Compression(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, CompressionLevel.Optimal, leaveOpen: true)) zlib.Write(bytes);
        return bytes.Length / (double)packed.Length;
    }

    private static string? One(UploadForm form, string field) =>
        form.Texts.GetValueOrDefault(field) switch { null => null, [var text] => text,
            var several => throw ApiException.BadField(field, $"field '{field}' is given {several.Count} times, expected once") };

    /// <summary>The first is the usual one.</summary>
    private static string OneOf(UploadForm form, string field, string[] values) =>
        One(form, field) is not { } value ? values[0] : values.Contains(value)
            ? value : throw ApiException.BadField(field, $"field '{field}' is '{value}', expected {NearestName.List(values)}");

    private static double Temperature(UploadForm form) =>
        One(form, "temperature") is not { } text
            ? 0 : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value is >= 0 and <= 1
            ? value
            : throw ApiException.BadField("temperature", $"field 'temperature' is '{text}', expected a number from 0 to 1");

    private static bool Words(UploadForm form, string format)
    {
        const string field = "timestamp_granularities[]";
        if (form.Texts.GetValueOrDefault(field) is not { } asked) return false;
        if (asked.FirstOrDefault(each => each is not ("word" or "segment")) is { } other)
            throw ApiException.BadField("timestamp_granularities",
                $"field 'timestamp_granularities' is '{other}', expected word or segment");
        return format == "verbose_json"
            ? asked.Contains("word") : throw ApiException.BadField("timestamp_granularities",
                $"field 'timestamp_granularities' is given with response_format {format}, expected verbose_json, which has times");
    }

    /// <summary>What is done with the key of a user is that user's.</summary>
    private static TranscriptCaller CallerOf(HttpContext http, UploadForm form)
    {
        string? stated = One(form, "user"), owner = Caller.UserOf(http.User);
        if (stated?.Length > 200) throw ApiException.BadField("user", $"field 'user' has {stated.Length} characters, expected at most 200");
        if (owner is not null && stated is not null && stated != owner)
            throw new ApiException(403, $"field 'user' is '{stated}', but the key is that of '{owner}'; leave the field out", "user",
                "user_mismatch", "permission_error");
        return new TranscriptCaller(owner ?? stated ?? "", owner ?? "", Caller.WorkspaceOf(http.User));
    }
}
