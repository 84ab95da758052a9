using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Studio.Access;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.OpenAI;

/// <summary><c>/v1/files</c>: what <c>/v1/fine_tuning/jobs</c> learns from, and the figures that it leaves.</summary>
internal static class Files
{
    /// <summary>As at OpenAI.</summary>
    public const long MaxBytes = 512L << 20;

    /// <summary>A form with the fields <c>file</c> and <c>purpose</c>, in any order.</summary>
    public static async Task UploadAsync(HttpContext http, UploadedFiles files)
    {
        await Answers.Json(http, ToJson(await files.AddAsync(ReadAsync, Caller.UserOf(http.User) ?? "")));

        async Task<(string, string)> ReadAsync(Stream content)
        {
            UploadForm form = await UploadForm.ReadAsync(http, content, MaxBytes, ["purpose"]);
            string purpose = form.Texts.GetValueOrDefault("purpose") is [.., var last]
                ? last : throw ApiException.BadField("purpose", "field 'purpose' is missing, expected 'fine-tune'",
                    "missing_required_parameter");
            return purpose == UploadedFiles.FineTune ? (form.FileName, purpose)
                : throw ApiException.BadField("purpose",
                    $"field 'purpose' is '{purpose}', expected 'fine-tune': nothing else here reads files");
        }
    }

    /// <summary>The query may name a <c>purpose</c>.</summary>
    public static Task ListAsync(HttpContext http, UploadedFiles files)
    {
        string? purpose = http.Request.Query["purpose"];
        return Answers.Json(http,
            Listing.Of(http.Request.Query,
                [.. files.List().Where(file => Caller.MaySee(http.User, file.User) && (purpose is null || file.Purpose == purpose))
                    .Select(ToJson)]));
    }

    public static Task GetAsync(HttpContext http, string id, UploadedFiles files) => Answers.Json(http, ToJson(Find(http, id, files)));

    public static IResult Content(HttpContext http, string id, UploadedFiles files)
    {
        UploadedFile file = Find(http, id, files);
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.File(files.PathOf(file), "application/octet-stream", file.Name);
    }

    public static Task DeleteAsync(HttpContext http, string id, UploadedFiles files)
    {
        files.Delete(Find(http, id, files));
        return Answers.Json(http, new() { ["id"] = id, ["object"] = "file", ["deleted"] = true });
    }

    /// <summary>A file that the caller may see.</summary>
    /// <param name="param">The field that names it.</param>
    /// <exception cref="ApiException">There is none.</exception>
    public static UploadedFile Find(HttpContext http, string id, UploadedFiles files, string param = "file_id") =>
        files.Find(id) is { } file && Caller.MaySee(http.User, file.User) ? file
            : throw new ApiException(404, $"there is no file '{id}': it was never uploaded, or it was deleted", param, "file_not_found");

    private static JsonObject ToJson(UploadedFile file) => new()
    {
        ["id"] = file.Id,
        ["object"] = "file",
        ["bytes"] = file.NumBytes,
        ["created_at"] = file.Created.ToUnixTimeSeconds(),
        ["filename"] = file.Name,
        ["purpose"] = file.Purpose,
        ["status"] = "processed",
    };
}
