using Flywheel.Studio.Access;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Shell;
using Flywheel.Voice;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>The sound of the page Voice, and its downloads. What is not rendered yet is rendered now.</summary>
internal static class DubbingEndpoints
{
    /// <summary>Ending and media type of what a project is exported as.</summary>
    public static IReadOnlyDictionary<string, string> Exports { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["wav"] = "audio/wav", ["mp3"] = "audio/mpeg", ["opus"] = "audio/ogg", ["flac"] = "audio/flac", ["srt"] = "application/x-subrip",
        ["vtt"] = "text/vtt", ["zip"] = "application/zip", ["json"] = "application/json",
        [Film] = "application/octet-stream",
    };

    /// <summary>The project's film with its speech; of a project that has one.</summary>
    public const string Film = "film";

    private static readonly Dictionary<string, string> s_films = new(StringComparer.Ordinal) { [".mp4"] = "video/mp4",
        [".mov"] = "video/quicktime", [".mkv"] = "video/x-matroska", [".webm"] = "video/webm" };

    /// <summary>Of a file by its name.</summary>
    public static string MediaType(string file) =>
        Exports.GetValueOrDefault(Path.GetExtension(file).TrimStart('.'))
            ?? s_films.GetValueOrDefault(Path.GetExtension(file)) ?? "application/octet-stream";

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet("/voice/sound/{id:guid}/{line}", LineAsync);
        app.MapGet("/voice/export/{id:guid}/{format}", ExportAsync).Audited("voice project");
        app.MapGet("/voice/words/{scope}.{format}", WordsAsync).Audited("pronunciations");
        app.MapGet("/voice/dubs/{job:guid}/{file}", DubAsync);
        app.MapPost("/voice/takes/{id:guid}/{line}", TakeAsync);
        TimelineEndpoints.Map(app);
    }

    /// <summary><c>GET /voice/sound/PROJECT/LINE</c>: the line as it is now, or with <c>?take=HASH</c> as it was, as WAV.</summary>
    private static async Task<IResult> LineAsync(HttpContext http, Guid id, string line, VoiceProjects projects)
    {
        string person = Visitor.Identify(http);
        if (await projects.FindAsync(id, person) is not var (_, project) || project.Lines.All(one => one.Id != line))
            return Results.NotFound();
        try
        {
            Clip? clip;
            if (http.Request.Query["take"] is [{ Length: > 0 } hash])
            {
                if (project.Line(line).Takes.FirstOrDefault(take => take.Hash == hash) is not { } take
                    || (clip = projects.Renderer.Find(take, project.SampleRate)) is null) return Results.NotFound();
            }
            else
            {
                RenderedLine rendered = await projects.Renderer.RenderLineAsync(project, line, http.RequestAborted);
                await projects.SpokenAsync(id, person, project, rendered);
                clip = rendered.Clip;
            }
            return Results.File(WavWriter.ToBytes(clip), "audio/wav", enableRangeProcessing: true);
        }
        catch (FlywheelException e)
        {
            return Results.Text(e.Message, statusCode: StatusCodes.Status422UnprocessableEntity);
        }
    }

    /// <summary><c>POST /voice/takes/PROJECT/LINE</c>: a WAV file that was just recorded becomes a take of the line.</summary>
    private static async Task<IResult> TakeAsync(HttpContext http, Guid id, string line, VoiceProjects projects)
    {
        string person = Visitor.Identify(http);
        if (await projects.FindAsync(id, person) is not var (_, project) || project.Lines.All(one => one.Id != line))
            return Results.NotFound();
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = Recordings.MaxTakeBytes + 1;
        using var wav = new MemoryStream();
        byte[] piece = new byte[1 << 16];
        for (int read; (read = await http.Request.Body.ReadAsync(piece, http.RequestAborted)) > 0;)
        {
            wav.Write(piece, 0, read);
            if (wav.Length > Recordings.MaxTakeBytes)
                return Results.Text(Says(http, new(RefusedTake.TooLarge, "too large", Recordings.MaxTakeBytes >> 20)),
                    statusCode: StatusCodes.Status413PayloadTooLarge);
        }
        wav.Position = 0;
        try
        {
            VoiceTake take = await projects.RecordedAsync(id, person, line, wav);
            return Results.Json(new { hash = take.Hash, seconds = take.Seconds });
        }
        catch (RefusedTakeException e)
        {
            return Results.Text(Says(http, e), statusCode: StatusCodes.Status422UnprocessableEntity);
        }
        catch (FlywheelException e)
        {
            return Results.Text(e.Message, statusCode: StatusCodes.Status422UnprocessableEntity);
        }
    }

    /// <summary>Why a take was not kept, in the visitor's language.</summary>
    private static string Says(HttpContext http, RefusedTakeException refused) =>
        Strings.Of(Visitor.Language(http))
            .Format($"voice.take-refused.{System.Text.Json.JsonNamingPolicy.KebabCaseLower.ConvertName(refused.Why.ToString())}",
                [.. refused.Values]);

    /// <summary><c>GET /voice/export/PROJECT/FORMAT</c>: all of it as sound, as subtitles or as a project's file.</summary>
    private static async Task<IResult> ExportAsync(HttpContext http, Guid id, string format, VoiceProjects projects)
    {
        // Also of a damaged project: what lies there can be taken out and mended.
        if (format == "json")
            return await projects.LookAsync(id, Visitor.Identify(http)) is { Document: var kept }
                ? Results.File(System.Text.Encoding.UTF8.GetBytes(kept.Body), Exports[format],
                    $"{(kept.Title.Length > 0 ? kept.Title : "voice")}.json") : Results.NotFound();
        if (!Exports.TryGetValue(format, out string? type)
            || await projects.FindAsync(id, Visitor.Identify(http)) is not var (document, project)) return Results.NotFound();
        if (format == Film && project.Original is not { IsFilm: true }) return Results.NotFound();
        string ending = format == Film ? project.Original!.Ending : $".{format}",
            name = $"{(document.Title.Length > 0 ? document.Title : "voice")}{ending}";
        if (format == Film) type = MediaType(name);
        http.Response.Headers.XContentTypeOptions = "nosniff";
        string folder = Directory.CreateTempSubdirectory("flywheel-voice-").FullName;
        try
        {
            string path = Path.Combine(folder, $"voice{ending}");
            if (format is "srt" or "vtt")
                SubtitleFile.Write(path,
                    (await projects.Renderer.FitReportAsync(project, cancellation: http.RequestAborted)).Cues(project));
            else if (format == Film) await FilmDub.WriteAsync(projects.Renderer, project, path, cancellation: http.RequestAborted);
            else if (format == "zip") await ProjectArchive.WriteAsync(projects.Renderer, project, path, http.RequestAborted);
            else await AudioEncoder.WriteAsync(path, wav => projects.Renderer.RenderAsync(project, wav, cancellation: http.RequestAborted),
                http.RequestAborted);
            // Taken away once it is open: the bytes stay until they are sent.
            var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            return Results.File(file, type, name, enableRangeProcessing: true);
        }
        catch (FlywheelException e)
        {
            return Results.Text(e.Message, statusCode: StatusCodes.Status422UnprocessableEntity);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary><c>GET /voice/dubs/JOB/FILE</c>: what a dubbing job has finished.</summary>
    private static async Task<IResult> DubAsync(HttpContext http, Guid job, string file, JobQueue queue, DubFolders folders)
    {
        try
        {
            JobRow row = await queue.FindAsync(job, http.RequestAborted);
            if (row.Kind != DubJob.Kind || row.User != Visitor.Identify(http) || folders.Find(row, file) is not { } path)
                return Results.NotFound();
            http.Response.Headers.XContentTypeOptions = "nosniff";
            return Results.File(path, DubFolders.MediaType(file), file, enableRangeProcessing: true);
        }
        catch (FlywheelException)
        {
            return Results.NotFound();
        }
    }

    /// <summary><c>GET /voice/words/team.csv</c>: a dictionary for other programs; as PLS with <c>?language=en</c>.</summary>
    private static async Task<IResult> WordsAsync(HttpContext http, string scope, string format, VoiceDictionaries dictionaries)
    {
        if (scope is not ("team" or "system") || format is not ("csv" or "pls")) return Results.NotFound();
        IReadOnlyList<Pronunciation> words = scope == "team"
            ? await dictionaries.ReadTeamAsync(http.RequestAborted) : dictionaries.ReadSystem();
        http.Response.Headers.XContentTypeOptions = "nosniff";
        string text = format == "csv"
            ? DictionaryFile.WriteCsv(words) : DictionaryFile.WritePls(words,
                http.Request.Query["language"] is [{ Length: > 0 and < 40 } language] ? language : "en");
        return Results.File(System.Text.Encoding.UTF8.GetBytes(text), format == "csv" ? "text/csv" : "application/pls+xml",
            $"{scope}.{format}");
    }
}
