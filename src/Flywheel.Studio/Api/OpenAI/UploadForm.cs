using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace Flywheel.Studio.OpenAI;

/// <summary>A form (multipart/form-data) with one file, <c>file</c>, and short texts, in any order.</summary>
/// <param name="FileName">The last part of whatever path the client calls it by.</param>
/// <param name="Texts">The other fields; of one that is given several times all.</param>
internal sealed record UploadForm(string FileName, IReadOnlyDictionary<string, IReadOnlyList<string>> Texts)
{
    public const string File = "file";

    private const int MaxName = 200, MaxTexts = 100;

    /// <summary>Reads a request.</summary>
    /// <param name="http">The request.</param>
    /// <param name="content">Gets the file.</param>
    /// <param name="maxBytes">Of the file.</param>
    /// <param name="known">Names of the other fields.</param>
    /// <param name="maxText">Characters of one.</param>
    /// <exception cref="ApiException">It is no such form, or holds something else.</exception>
    public static async Task<UploadForm> ReadAsync(HttpContext http, Stream content, long maxBytes, IReadOnlyList<string> known,
        int maxText = 1000)
    {
        string[] fields = [File, .. known];
        if (!MediaTypeHeaderValue.TryParse(http.Request.ContentType, out MediaTypeHeaderValue? type)
            || type.MediaType != "multipart/form-data"
            || HeaderUtilities.RemoveQuotes(type.Boundary).Value is not { Length: > 0 and <= 200 } boundary)
            throw new ApiException(415,
                $"the content type is '{http.Request.ContentType}', expected multipart/form-data with the field{(known.Count == 1 ? $"s 'file' and '{known[0]}'" : " 'file'")}", code: "unsupported_media_type");
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = maxBytes + (1 << 20);
        var form = new MultipartReader(boundary, http.Request.Body);
        var texts = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        string? name = null;
        int count = 0;
        while (await FromClientAsync(form.ReadNextSectionAsync(http.RequestAborted)) is { } section)
        {
            string field = section.GetContentDispositionHeader()?.Name.Value?.Trim('"') ?? "";
            if (!fields.Contains(field))
                throw ApiException.BadField(field.Length > 0 ? field : "form",
                    $"field '{field}' is not known here; known are {string.Join(", ", fields)}", "unknown_parameter");
            if (field == File)
            {
                if (name is not null) throw ApiException.BadField(File, "field 'file' is given twice, expected one file");
                name = NameOf(section.AsFileSection()?.FileName);
                await CopyAsync(section.Body, content, maxBytes, http.RequestAborted);
                continue;
            }
            if (++count > MaxTexts) throw ApiException.BadField(field, $"the form has more than {MaxTexts} fields");
            if (!texts.TryGetValue(field, out List<string>? values)) texts[field] = values = [];
            values.Add(await TextAsync(section.Body, field, maxText));
        }
        return name is null ? throw ApiException.BadField(File, "field 'file' is missing, expected a file", "missing_required_parameter")
            : new UploadForm(name, texts.ToDictionary(pair => pair.Key, pair => (IReadOnlyList<string>)pair.Value));
    }

    private static async Task CopyAsync(Stream from, Stream to, long maxBytes, CancellationToken cancellation)
    {
        byte[] buffer = new byte[1 << 16];
        long length = 0;
        for (int read; (read = await FromClientAsync(from.ReadAsync(buffer, cancellation).AsTask())) > 0;)
        {
            if ((length += read) > maxBytes)
                throw new ApiException(413, $"the file is larger than {maxBytes >> 20} MB", File, "file_too_large");
            await to.WriteAsync(buffer.AsMemory(0, read), cancellation);
        }
        if (length == 0) throw ApiException.BadField(File, "field 'file' is an empty file");
    }

    private static async Task<string> TextAsync(Stream body, string field, int maxText)
    {
        using var reader = new StreamReader(body);
        char[] text = new char[maxText + 1];
        int length = await FromClientAsync(reader.ReadBlockAsync(text).AsTask());
        return length <= maxText ? new string(text, 0,
            length) : throw ApiException.BadField(field, $"field '{field}' has more than {maxText} characters");
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

    private static string NameOf(string? given)
    {
        string name = new([.. (given ?? "").Split('/', '\\')[^1].Where(letter => !char.IsControl(letter)).Take(MaxName)]);
        return name.Length > 0 ? name : "file";
    }
}
