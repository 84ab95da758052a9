using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Studio.Access;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace Flywheel.Studio.OpenAI;

/// <summary><c>/v1/files</c>: what <c>/v1/fine_tuning/jobs</c> learns from, and the figures that it leaves.</summary>
internal static class Files
{
    /// <summary>As at OpenAI.</summary>
    public const long MaxBytes = 512L << 20;

    private const int MaxField = 1000, MaxName = 200;

    /// <summary>A form with the fields <c>file</c> and <c>purpose</c>, in any order.</summary>
    public static async Task UploadAsync(HttpContext http, UploadedFiles files)
    {
        if (!MediaTypeHeaderValue.TryParse(http.Request.ContentType, out MediaTypeHeaderValue? type) || type.MediaType != "multipart/form-data"
            || HeaderUtilities.RemoveQuotes(type.Boundary).Value is not { Length: > 0 and <= 200 } boundary)
            throw new ApiException(415, $"the content type is '{http.Request.ContentType}', expected multipart/form-data with the fields 'file' and 'purpose'", code: "unsupported_media_type");
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = MaxBytes + (1 << 20);
        var form = new MultipartReader(boundary, http.Request.Body);
        await Answers.Json(http, ToJson(await files.AddAsync(ReadAsync, Caller.UserOf(http.User) ?? "")));

        async Task<(string, string)> ReadAsync(Stream content)
        {
            string? name = null, purpose = null;
            while (await FromClientAsync(form.ReadNextSectionAsync(http.RequestAborted)) is { } section)
            {
                string? field = section.GetContentDispositionHeader()?.Name.Value?.Trim('"');
                switch (field)
                {
                    case "purpose":
                        purpose = await TextAsync(section.Body);
                        break;
                    case "file" when name is not null:
                        throw ApiException.BadField("file", "field 'file' is given twice, expected one file");
                    case "file":
                        name = NameOf(section.AsFileSection()?.FileName);
                        await CopyAsync(section.Body, content);
                        break;
                    default:
                        throw ApiException.BadField(field ?? "form", $"field '{field}' is not known here; known are file, purpose", "unknown_parameter");
                }
            }
            if (name is null) throw ApiException.BadField("file", "field 'file' is missing, expected a file", "missing_required_parameter");
            if (purpose is null) throw ApiException.BadField("purpose", "field 'purpose' is missing, expected 'fine-tune'", "missing_required_parameter");
            return purpose == UploadedFiles.FineTune ? (name, purpose)
                : throw ApiException.BadField("purpose", $"field 'purpose' is '{purpose}', expected 'fine-tune': nothing else here reads files");
        }

        async Task CopyAsync(Stream from, Stream to)
        {
            byte[] buffer = new byte[1 << 16];
            long length = 0;
            for (int read; (read = await FromClientAsync(from.ReadAsync(buffer, http.RequestAborted).AsTask())) > 0;)
            {
                if ((length += read) > MaxBytes) throw new ApiException(413, $"the file is larger than {MaxBytes >> 20} MB", "file", "file_too_large");
                await to.WriteAsync(buffer.AsMemory(0, read), http.RequestAborted);
            }
            if (length == 0) throw ApiException.BadField("file", "field 'file' is an empty file");
        }

        static async Task<string> TextAsync(Stream body)
        {
            using var reader = new StreamReader(body);
            char[] text = new char[MaxField + 1];
            int length = await FromClientAsync(reader.ReadBlockAsync(text).AsTask());
            return length <= MaxField ? new string(text, 0, length) : throw ApiException.BadField("purpose", $"field 'purpose' has more than {MaxField} characters, expected 'fine-tune'");
        }
    }

    /// <summary>A form that breaks off or is none is the client's fault; what the disk does not take is ours.</summary>
    private static async Task<T> FromClientAsync<T>(Task<T> read)
    {
        try
        {
            return await read;
        }
        catch (Exception e) when (e is InvalidDataException or IOException and not BadHttpRequestException)
        {
            throw new ApiException(400, $"the form cannot be read: {e.Message}", code: "invalid_body");
        }
    }

    /// <summary>The query may name a <c>purpose</c>.</summary>
    public static Task ListAsync(HttpContext http, UploadedFiles files)
    {
        string? purpose = http.Request.Query["purpose"];
        return Answers.Json(http, Listing.Of(http.Request.Query, [.. files.List().Where(file => Caller.MaySee(http.User, file.User) && (purpose is null || file.Purpose == purpose)).Select(ToJson)]));
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

    /// <summary>The last part of whatever path a client calls it by.</summary>
    private static string NameOf(string? given)
    {
        string name = new([.. (given ?? "").Split('/', '\\')[^1].Where(letter => !char.IsControl(letter)).Take(MaxName)]);
        return name.Length > 0 ? name : "file";
    }

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
