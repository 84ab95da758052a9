using System.Globalization;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Shell;
using Flywheel.Voice;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>What the timeline of a project draws and plays.</summary>
internal static class TimelineEndpoints
{
    /// <summary>Characters of a line's text that a block has room for.</summary>
    private const int MaxGist = 80;

    private const double MaxPartSeconds = 30;

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet("/voice/timeline/{id:guid}", LinesAsync);
        app.MapGet("/voice/timeline/{id:guid}/peaks/{line}", PeaksAsync);
        app.MapGet("/voice/timeline/{id:guid}/part", PartAsync);
        app.MapGet("/voice/recording/{id:guid}/peaks", OriginalPeaksAsync);
        app.MapGet("/voice/recording/{id:guid}/part", OriginalPartAsync);
        app.MapPost("/voice/recording/{id:guid}", UploadAsync);
    }

    /// <summary>
    /// <c>GET /voice/timeline/PROJECT</c>: for each line its cue (<c>start</c>, <c>end</c>; null without one) and where its sound lies
    /// (<c>at</c>, <c>until</c>),
    /// in seconds.
    /// </summary>
    private static async Task<IResult> LinesAsync(HttpContext http, Guid id, VoiceProjects projects)
    {
        if (await projects.FindAsync(id, Visitor.Identify(http)) is not var (_, project)) return Results.NotFound();
        http.Response.Headers.CacheControl = "no-store";
        IReadOnlyList<LaidLine> laid = await projects.Renderer.LayAsync(project, http.RequestAborted);
        var lines = new JsonArray();
        for (int i = 0; i < laid.Count; i++)
        {
            (LaidLine at, VoiceLine line) = (laid[i], project.Lines[i]);
            string text = at.Choice > 0 ? line.Alternates[at.Choice - 1] : line.Text;
            lines.Add(new JsonObject
            {
                ["id"] = line.Id, ["start"] = line.Start?.TotalSeconds, ["end"] = line.End?.TotalSeconds, ["at"] = at.Start,
                ["until"] = at.End,
                ["speed"] = Math.Round(at.Speed, 3), ["over"] = Math.Round(at.Overrun, 3), ["late"] = Math.Round(at.Delay, 3),
                ["state"] = at.Fault is not null ? "fault" : at.IsStale ? "stale" : at.IsReady ? "ready" : "none", ["sounds"] = at.IsReady,
                ["hash"] = at.Hash, ["role"] = line.Role, ["text"] = text.Length <= MaxGist ? text : text[..MaxGist],
            });
        }
        double seconds = laid.Count == 0 ? 0 : Math.Max(laid.Max(line => line.End), project.Lines.Max(line => line.End?.TotalSeconds ?? 0));
        return Results.Text(new JsonObject { ["seconds"] = seconds, ["lines"] = lines }.ToJsonString(JsonText.Compact), "application/json");
    }

    /// <summary>
    /// <c>GET /voice/timeline/PROJECT/peaks/LINE?hash=HASH</c>: the outline of a line that is rendered, two signed bytes a column: its
    /// least and its greatest
    /// sample.
    /// </summary>
    private static async Task<IResult> PeaksAsync(HttpContext http, Guid id, string line, VoiceProjects projects)
    {
        if (await projects.FindAsync(id, Visitor.Identify(http)) is not var (_, project) || http.Request.Query["hash"] is not [{ } hash]
            || project.Lines.All(one => one.Id != line)) return Results.NotFound();
        Clip? clip;
        try
        {
            clip = await projects.Renderer.FindAsync(project, line, hash, http.RequestAborted);
        }
        catch (FlywheelException)
        {
            clip = null; // it was changed since, and cannot be spoken
        }
        if (clip is null) return Results.NotFound();
        http.Response.Headers.CacheControl = "private, max-age=86400"; // what the hash names never changes
        return Results.Bytes(Peaks.Of(clip, Math.Max(1, (int)Math.Ceiling(clip.Duration.TotalSeconds * Recordings.PeaksPerSecond)))
            .ToBytes(), "application/octet-stream");
    }

    /// <summary><c>GET /voice/timeline/PROJECT/part?from=SECONDS&amp;seconds=N</c>: a stretch of the whole as WAV.</summary>
    private static async Task<IResult> PartAsync(HttpContext http, Guid id, VoiceProjects projects)
    {
        string person = Visitor.Identify(http);
        if (await projects.FindAsync(id, person) is not var (_, project)) return Results.NotFound();
        if (StretchOf(http) is not var (from, seconds)) return WrongStretch(http);
        try
        {
            (Clip clip, IReadOnlyList<RenderedLine> rendered) =
                await projects.Renderer.PartAsync(project, from, seconds, http.RequestAborted);
            foreach (RenderedLine line in rendered) await projects.SpokenAsync(id, person, project, line);
            return Wav(http, clip);
        }
        catch (FlywheelException e)
        {
            return Results.Text(e.Message, statusCode: StatusCodes.Status422UnprocessableEntity);
        }
    }

    /// <summary><c>GET /voice/recording/PROJECT/peaks</c>: the outline of the original, two signed bytes a column.</summary>
    private static async Task<IResult> OriginalPeaksAsync(HttpContext http, Guid id, VoiceProjects projects) =>
        await projects.FindAsync(id, Visitor.Identify(http)) is var (_, project) && project.Original is { } original
            && projects.Renderer.Recordings?.PeaksOf(original) is { } path
            ? Results.File(Path.GetFullPath(path), "application/octet-stream") : Results.NotFound();

    /// <summary><c>GET /voice/recording/PROJECT/part?from=SECONDS&amp;seconds=N</c>: a stretch of the original as WAV.</summary>
    private static async Task<IResult> OriginalPartAsync(HttpContext http, Guid id, VoiceProjects projects)
    {
        if (await projects.FindAsync(id, Visitor.Identify(http)) is not var (_, project) || project.Original is not { } original
            || projects.Renderer.Recordings?.SoundOf(original) is not { } path) return Results.NotFound();
        if (StretchOf(http) is not var (from, seconds)) return WrongStretch(http);
        using WavReader reader = WavReader.Open(path);
        reader.SkipFrames((long)(from.TotalSeconds * reader.Rate));
        float[] samples = new float[(int)(seconds.TotalSeconds * reader.Rate)];
        for (int at = 0, read; at < samples.Length && (read = reader.Read(samples.AsSpan(at))) > 0; at += read) { }
        return Wav(http, new Clip(samples, reader.Rate));
    }

    /// <summary><c>POST /voice/recording/PROJECT?name=film.mp4</c>: a recording or film becomes the project's original.</summary>
    private static async Task<IResult> UploadAsync(HttpContext http, Guid id, VoiceProjects projects)
    {
        string person = Visitor.Identify(http), name = Path.GetFileName(http.Request.Query["name"].ToString().Replace('\\', '/'));
        if (await projects.FindAsync(id, person) is null) return Results.NotFound();
        Actor.Demand(Scopes.Inference); // before gigabytes are taken
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = Recordings.MaxOriginalBytes + 1;
        try
        {
            if (http.Request.ContentLength > Recordings.MaxOriginalBytes) throw TooLarge();
            VoiceOriginal original = await projects.Renderer.Recordings!.AddOriginalAsync(name, CopyAsync, person, http.RequestAborted);
            await projects.ChangeAsync(id, person, project => project with { Original = original });
            return Results.Json(new { name = original.Name, seconds = original.Seconds });
        }
        catch (FlywheelException e)
        {
            return Results.Text(e.Message, statusCode: StatusCodes.Status422UnprocessableEntity);
        }

        async Task CopyAsync(Stream file)
        {
            byte[] piece = new byte[1 << 17];
            long length = 0;
            for (int read; (read = await http.Request.Body.ReadAsync(piece, http.RequestAborted)) > 0;)
            {
                if ((length += read) > Recordings.MaxOriginalBytes) throw TooLarge();
                await file.WriteAsync(piece.AsMemory(0, read), http.RequestAborted);
            }
            if (length == 0) throw new FlywheelException($"{name}: is empty");
        }

        FlywheelException TooLarge() => new($"{name}: is larger than {Recordings.MaxOriginalBytes >> 30} GB; cut it, or lower its quality");
    }

    private static (TimeSpan From, TimeSpan Seconds)? StretchOf(HttpContext http)
    {
        return Number("from") is { } from and >= 0 and <= 86_400 && Number("seconds") is { } seconds and > 0 and <= MaxPartSeconds
            ? (TimeSpan.FromSeconds(from), TimeSpan.FromSeconds(seconds)) : null;

        double? Number(string name) =>
            double.TryParse(http.Request.Query[name], NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : null;
    }

    private static IResult WrongStretch(HttpContext http) =>
        Results.Text(
            $"from is '{http.Request.Query["from"]}' and seconds is '{http.Request.Query["seconds"]}', expected 0 to 86400, and more than 0 to {MaxPartSeconds:0}", statusCode: StatusCodes.Status400BadRequest);

    private static IResult Wav(HttpContext http, Clip clip)
    {
        http.Response.Headers.CacheControl = "no-store";
        return Results.File(WavWriter.ToBytes(clip), "audio/wav");
    }
}
