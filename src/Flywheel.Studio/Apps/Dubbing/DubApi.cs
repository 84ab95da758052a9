using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.OpenAI;
using Flywheel.Voice;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary><c>/v1/audio/dubs</c>: scripts and subtitles spoken in one or several languages, as jobs that survive the server.</summary>
internal static class DubApi
{
    private const string Prefix = "dub-";

    private const int MaxJobs = 1000;

    private static readonly string[] Scripts = ["srt", "vtt", "txt", "json"];

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapPost("/v1/audio/dubs", CreateAsync);
        app.MapGet("/v1/audio/dubs", ListAsync);
        app.MapGet("/v1/audio/dubs/{id}", GetAsync);
        app.MapDelete("/v1/audio/dubs/{id}", DeleteAsync);
        app.MapPost("/v1/audio/dubs/{id}/pause",
            (HttpContext http, string id, JobQueue queue, DubFolders folders, Dubs dubs) =>
                AskAsync(http, id, queue, folders, dubs, job => queue.PauseAsync(job)));
        app.MapPost("/v1/audio/dubs/{id}/resume",
            (HttpContext http, string id, JobQueue queue, DubFolders folders, Dubs dubs) =>
                AskAsync(http, id, queue, folders, dubs, job => queue.ResumeAsync(job)));
        app.MapPost("/v1/audio/dubs/{id}/cancel",
            (HttpContext http, string id, JobQueue queue, DubFolders folders, Dubs dubs) =>
                AskAsync(http, id, queue, folders, dubs, dubs.CancelAsync));
        app.MapGet("/v1/audio/dubs/{id}/files/{file}", FileAsync);
    }

    public static string IdOf(JobRow job) => $"{Prefix}{job.Id:N}";

    private static async Task CreateAsync(HttpContext http, JobQueue queue, DubFolders folders, SpeechEngines engines, Renderer renderer)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "script", "script_format", "language", "languages", "voice", "voices", "cast",
            "response_format", "loudness", "shorten", "user");
        string text = body.RequiredText("script"), format = body.Text("script_format") ?? "txt";
        if (!Scripts.Contains(format)) throw RequestBody.Wrong("script_format", body["script_format"], NearestName.List(Scripts));
        try
        {
            VoiceProject project = VoiceProjects.Read($"script.{format}", text);
            if (body.Text("language", 40) is { Length: > 0 } language) project = project with { Language = language.ToLowerInvariant() };
            if (body.Text("voice", 200) is { } voice) project = project with { Voice = project.Voice with { Voice = voice } };
            if (body.Object("cast") is { } cast)
                project =
                    project with {
                        Cast = new Dictionary<string, VoiceSettings>(
                            project.Cast
                                .Concat(cast.Select(role =>
                                    KeyValuePair.Create(role.Key, new VoiceSettings { Voice = Id(role.Value, $"cast.{role.Key}") })))
                    .GroupBy(role => role.Key).Select(same => same.Last())) };
            project = Own(project, renderer.Recordings!, body.Owner);
            var order = new DubOrder
            {
                Project = project.ToJson(),
                Languages = body["languages"] is null ? [project.Language] : body.Texts("languages", DubOrder.MaxLanguages),
                Voices = (body.Object("voices") ?? []).ToDictionary(one => one.Key, one => Id(one.Value, $"voices.{one.Key}")),
                Format = body.Text("response_format") ?? "wav",
                Loudness = body.Number("loudness", MixOptions.MinLoudness, MixOptions.MaxLoudness),
                Shorten = body.Text("shorten", 200),
            };
            order.Validate();
            // A name that nobody has is found now and not in an hour.
            foreach (string id in order.Voices.Values.Concat(
                project.Cast.Values.Append(project.Voice).Select(settings => settings.Voice).OfType<string>()))
                await engines.FindAsync(id, http.RequestAborted);
            JobRow job = await queue.EnqueueAsync(DubJob.Kind, order.ToJson(),
                body.Owner.Length > 0 ? body.Owner : body.Text("user", 200) ?? "", Caller.WorkspaceOf(http.User));
            await Answers.Json(http, ToJson(job, folders));
        }
        catch (FlywheelException e)
        {
            throw ApiException.BadField("script", e.Message);
        }

        static string Id(JsonNode? node, string field) =>
            node is JsonValue value && value.TryGetValue(out string? id)
                ? id : throw RequestBody.Wrong(field, node, "the id of a voice (GET /v1/voices)");
    }

    /// <summary>The project without a recording that is only listened to; what would be heard or seen in the dub must be the caller's
    /// own.</summary>
    /// <param name="project">As it was sent.</param>
    /// <param name="recordings">Of this machine.</param>
    /// <param name="owner">Whose key it is; empty: nobody's, who has no recordings.</param>
    /// <exception cref="FlywheelException">It is not; the message names the line.</exception>
    internal static VoiceProject Own(VoiceProject project, Recordings recordings, string owner)
    {
        if (project.Original is { } original && !recordings.IsOf(original.Hash, owner))
            project = original.IsFilm
                ? throw new FlywheelException(
                    $"original: '{original.Name}' is no film of yours on this machine; upload it in a project of yours")
                    : project with { Original = null };
        if (project.Lines.FirstOrDefault(line => line.Take is { } take && !recordings.IsOf(take, owner)) is { } foreign)
            throw new FlywheelException(
                $"line '{foreign.Id}': its take '{foreign.Take}' is no recording of yours on this machine; expected none, or one that you recorded here");
        return recordings.Own(project, owner);
    }

    private static async Task ListAsync(HttpContext http, JobQueue queue, DubFolders folders, Dubs dubs)
    {
        IReadOnlyList<JobRow> jobs = await queue.ListAsync(Caller.WorkspaceOf(http.User), kind: DubJob.Kind, count: MaxJobs,
            cancellation: http.RequestAborted);
        // An order holds a whole script: only those of the page that is asked for are read.
        JsonObject listing = Listing.Of(http.Request.Query,
            [.. jobs.Reverse().Where(job => Caller.MaySee(http.User, job.User) && !dubs.IsDeleted(job))
                .Select(job => new JsonObject { ["id"] = IdOf(job) })]);
        var page = (JsonArray)listing["data"]!;
        Dictionary<string, Guid> ids = jobs.ToDictionary(IdOf, job => job.Id);
        for (int i = page.Count - 1; i >= 0; i--)
            if (await queue.TryFindAsync(ids[(string)page[i]!["id"]!], http.RequestAborted) is { } job) page[i] = ToJson(job, folders);
            else page.RemoveAt(i); // deleted since the list was read
        await Answers.Json(http, listing);
    }

    private static async Task GetAsync(HttpContext http, string id, JobQueue queue, DubFolders folders, Dubs dubs) =>
        await Answers.Json(http, ToJson(await FindAsync(http, id, queue, dubs), folders));

    private static async Task DeleteAsync(HttpContext http, string id, JobQueue queue, Dubs dubs)
    {
        JobRow job = await FindAsync(http, id, queue, dubs);
        if (job.State is JobState.Queued or JobState.Running or JobState.Paused)
            throw new ApiException(400, $"the dub '{id}' has not ended; cancel it first", "id", "invalid_job_state");
        await dubs.DeleteAsync(job);
        await Answers.Json(http, new() { ["id"] = id, ["object"] = "audio.dub", ["deleted"] = true });
    }

    private static async Task AskAsync(HttpContext http, string id, JobQueue queue, DubFolders folders, Dubs dubs, Func<Guid, Task> ask)
    {
        JobRow job = await FindAsync(http, id, queue, dubs);
        try
        {
            await ask(job.Id);
        }
        catch (FlywheelException e)
        {
            throw new ApiException(400, e.Message, "id", "invalid_job_state");
        }
        await Answers.Json(http, ToJson(await queue.FindAsync(job.Id), folders));
    }

    private static async Task<IResult> FileAsync(HttpContext http, string id, string file, JobQueue queue, DubFolders folders, Dubs dubs)
    {
        JobRow job = await FindAsync(http, id, queue, dubs);
        string path = folders.Find(job, file) ?? throw new ApiException(404,
            $"the dub '{id}' has no file '{file}'; what is finished stands in its results", "file", "not_found");
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.File(path, DubFolders.MediaType(file), file, enableRangeProcessing: true);
    }

    private static async Task<JobRow> FindAsync(HttpContext http, string id, JobQueue queue, Dubs dubs)
    {
        if (id.StartsWith(Prefix, StringComparison.Ordinal) && Guid.TryParseExact(id[Prefix.Length..], "N", out Guid job))
            try
            {
                JobRow row = await queue.FindAsync(job, http.RequestAborted);
                if (row.Kind == DubJob.Kind && row.Workspace == Caller.WorkspaceOf(http.User) && Caller.MaySee(http.User, row.User)
                    && !dubs.IsDeleted(row)) return row;
            }
            catch (FlywheelException)
            {
                // There is none.
            }
        throw new ApiException(404, $"there is no dub '{id}' here", "id", "not_found");
    }

    private static JsonObject ToJson(JobRow job, DubFolders folders)
    {
        DubOrder order = DubOrder.Parse(job.Payload!.Input);
        return new()
        {
            ["id"] = IdOf(job), ["object"] = "audio.dub", ["created_at"] = job.Created.ToUnixTimeSeconds(),
            ["finished_at"] = job.Finished?.ToUnixTimeSeconds(),
            ["status"] = job.State switch { JobState.Done => "succeeded", var state => state.ToString().ToLowerInvariant() },
            ["progress"] = Math.Round(job.Progress, 4), ["message"] = job.State == JobState.Failed ? null : job.Message,
            ["error"] = job.State == JobState.Failed ? job.Message : null,
            ["languages"] = new JsonArray([.. order.Languages.Select(language => JsonValue.Create(language))]),
            ["response_format"] = order.Format,
            ["results"] = JsonNode.Parse(JsonSerializer.Serialize(folders.ResultsOf(job), JsonText.Compact)),
        };
    }
}
