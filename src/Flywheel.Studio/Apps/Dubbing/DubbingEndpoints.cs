using Flywheel.Studio.Access;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Shell;
using Flywheel.Voice;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>The sound of the page Voice, and its downloads. What is not rendered yet is rendered now.</summary>
internal static class DubbingEndpoints
{
    /// <summary>Ending and media type of what a project is exported as.</summary>
    public static IReadOnlyDictionary<string, string> Exports { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["wav"] = "audio/wav", ["mp3"] = "audio/mpeg", ["opus"] = "audio/ogg", ["flac"] = "audio/flac", ["srt"] = "application/x-subrip", ["vtt"] = "text/vtt", ["zip"] = "application/zip", ["json"] = "application/json",
    };

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet("/voice/sound/{id:guid}/{line}", LineAsync);
        app.MapGet("/voice/export/{id:guid}/{format}", ExportAsync).Audited("voice project");
        app.MapGet("/voice/words/{scope}.{format}", WordsAsync).Audited("pronunciations");
        app.MapGet("/voice/dubs/{job:guid}/{file}", DubAsync);
    }

    /// <summary><c>GET /voice/sound/PROJECT/LINE</c>: the line as it is now, or with <c>?take=HASH</c> as it was, as WAV.</summary>
    private static async Task<IResult> LineAsync(HttpContext http, Guid id, string line, VoiceProjects projects)
    {
        string person = Visitor.Identify(http);
        if (await projects.FindAsync(id, person) is not var (_, project) || project.Lines.All(one => one.Id != line)) return Results.NotFound();
        try
        {
            Clip? clip;
            if (http.Request.Query["take"] is [{ Length: > 0 } hash])
            {
                if (project.Line(line).Takes.FirstOrDefault(take => take.Hash == hash) is not { } take || (clip = projects.Renderer.Find(take, project.SampleRate)) is null) return Results.NotFound();
            }
            else
            {
                RenderedLine rendered = await projects.Renderer.RenderLineAsync(project, line, http.RequestAborted);
                await projects.SpokenAsync(id, person, project, rendered);
                clip = rendered.Clip;
            }
            var sound = new MemoryStream();
            using (var writer = new WavWriter(sound, clip.Rate)) writer.Write(clip.Samples);
            return Results.File(sound.ToArray(), "audio/wav", enableRangeProcessing: true);
        }
        catch (FlywheelException e)
        {
            return Results.Text(e.Message, statusCode: StatusCodes.Status422UnprocessableEntity);
        }
    }

    /// <summary><c>GET /voice/export/PROJECT/FORMAT</c>: all of it as sound, as subtitles or as a project's file.</summary>
    private static async Task<IResult> ExportAsync(HttpContext http, Guid id, string format, VoiceProjects projects)
    {
        if (!Exports.TryGetValue(format, out string? type) || await projects.FindAsync(id, Visitor.Identify(http)) is not var (document, project)) return Results.NotFound();
        string name = $"{(document.Title.Length > 0 ? document.Title : "voice")}.{format}";
        http.Response.Headers.XContentTypeOptions = "nosniff";
        if (format == "json") return Results.File(System.Text.Encoding.UTF8.GetBytes(project.ToJson()), type, name);
        string folder = Directory.CreateTempSubdirectory("flywheel-voice-").FullName;
        try
        {
            string path = Path.Combine(folder, $"voice.{format}");
            if (format is "srt" or "vtt") SubtitleFile.Write(path, (await projects.Renderer.FitReportAsync(project, cancellation: http.RequestAborted)).Cues(project));
            else if (format == "zip") await ProjectArchive.WriteAsync(projects.Renderer, project, path, http.RequestAborted);
            else await AudioEncoder.WriteAsync(path, wav => projects.Renderer.RenderAsync(project, wav, cancellation: http.RequestAborted), http.RequestAborted);
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

    /// <summary>A person's dubbing jobs of a project with their payloads, the latest first.</summary>
    public static async Task<IReadOnlyList<JobRow>> JobsOfAsync(JobQueue queue, DubFolders folders, Visit visit, Guid project)
    {
        const int most = 200;
        var jobs = new List<JobRow>();
        foreach (JobRow row in await queue.ListAsync(visit.Workspace, visit.Person, DubJob.Kind, most))
            if (!folders.TryDocumentOf(row.Id, out Guid? document) || document == project)
            {
                JobRow job = await queue.FindAsync(row.Id);
                if (folders.DocumentOf(job) == project) jobs.Add(job);
            }
        return jobs;
    }

    /// <summary><c>GET /voice/dubs/JOB/FILE</c>: what a dubbing job has finished.</summary>
    private static async Task<IResult> DubAsync(HttpContext http, Guid job, string file, JobQueue queue, DubFolders folders)
    {
        try
        {
            JobRow row = await queue.FindAsync(job, http.RequestAborted);
            if (row.Kind != DubJob.Kind || row.User != Visitor.Identify(http) || folders.Find(row, file) is not { } path) return Results.NotFound();
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
        IReadOnlyList<Pronunciation> words = scope == "team" ? await dictionaries.ReadTeamAsync(http.RequestAborted) : dictionaries.ReadSystem();
        http.Response.Headers.XContentTypeOptions = "nosniff";
        string text = format == "csv" ? DictionaryFile.WriteCsv(words) : DictionaryFile.WritePls(words, http.Request.Query["language"] is [{ Length: > 0 and < 40 } language] ? language : "en");
        return Results.File(System.Text.Encoding.UTF8.GetBytes(text), format == "csv" ? "text/csv" : "application/pls+xml", $"{scope}.{format}");
    }
}
