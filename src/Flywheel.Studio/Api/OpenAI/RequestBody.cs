using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.OpenAI;

/// <summary>
/// The JSON object of a request, read field by field: a wrong one is refused with its name, its value and what was
/// expected. A field that is null counts as absent, as OpenAI's clients send it.
/// </summary>
internal sealed class RequestBody
{
    public const int MaxBytes = 4 << 20;

    // A field that is there twice has no meaning that two readers agree on.
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    private readonly JsonObject _fields;

    private RequestBody(JsonObject fields) => _fields = fields;

    public JsonObject Json => _fields;

    /// <summary>The user to whom the request's key belongs, and then its <c>user</c> is the same; empty without one.</summary>
    public string Owner { get; private init; } = "";

    /// <param name="http">The request.</param>
    /// <param name="bindUser">Its <c>user</c> is who calls; else it is somebody about whom an administrator speaks.</param>
    public static async Task<RequestBody> ReadAsync(HttpContext http, bool bindUser = true)
    {
        // A page elsewhere can make a browser post text to loopback without asking; JSON it cannot.
        if (!http.Request.HasJsonContentType())
            throw new ApiException(415, $"the content type is '{http.Request.ContentType}', expected application/json",
                code: "unsupported_media_type");
        JsonNode? root;
        try
        {
            root = await JsonNode.ParseAsync(http.Request.Body, documentOptions: Strict, cancellationToken: http.RequestAborted);
            EnsureUnicode(root);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the second: a text that is not Unicode
        {
            throw new ApiException(400, $"the body is not valid JSON: {e.Message}", code: "invalid_json");
        }
        catch (IOException e) when (e is not BadHttpRequestException && !http.RequestAborted.IsCancellationRequested)
        {
            // a chunk whose size is no number, or none that fits
            throw new ApiException(400, $"the body cannot be read: {e.Message}", code: "invalid_body");
        }
        JsonObject fields = root as JsonObject ?? throw new ApiException(400, $"the body is {Shown(root)}, expected a JSON object",
            code: "invalid_json");
        if (bindUser) BindUser(fields, http);
        return new RequestBody(fields) { Owner = Caller.UserOf(http.User) ?? "" };
    }

    /// <summary>What is done with the key of a user is that user's, whatever the request leaves out; it may not say another.</summary>
    private static void BindUser(JsonObject fields, HttpContext http)
    {
        if (Caller.UserOf(http.User) is not { } user) return;
        if (fields["user"] is { } stated && !(stated is JsonValue value && value.TryGetValue(out string? text) && text == user))
            throw new ApiException(403, $"field 'user' is {Shown(stated)}, but the key is that of '{user}'; leave the field out", "user",
                "user_mismatch", "permission_error");
        fields["user"] = user;
    }

    /// <summary>The request in the words of another API of ours, as if it had come in them: a number that was made in code is read as
    /// one kind only.</summary>
    public RequestBody As(JsonObject fields) => new(JsonNode.Parse(fields.ToJsonString(JsonText.Compact))!.AsObject()) { Owner = Owner };

    public JsonNode? this[string name] => _fields[name];

    /// <summary>Fields that are there and not null.</summary>
    public IEnumerable<string> Names => _fields.Where(pair => pair.Value is not null).Select(pair => pair.Key);

    public string? Text(string name, int maxLength = int.MaxValue) => _fields[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out string? text) => text.Length <= maxLength ? text
            : throw ApiException.BadField(name, $"field '{name}' has {text.Length} characters, expected at most {maxLength}"),
        var other => throw Wrong(name, other, "a text"),
    };

    public string RequiredText(string name, int maxLength = int.MaxValue) =>
        Text(name, maxLength) is { Length: > 0 } text
            ? text : throw ApiException.BadField(name, $"field '{name}' is missing or empty, expected a text",
                "missing_required_parameter");

    public bool? Flag(string name) => _fields[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out bool flag) => flag,
        var other => throw Wrong(name, other, "true or false"),
    };

    public double? Number(string name, double min, double max) => _fields[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out double number) && number >= min && number <= max => number,
        var other => throw Wrong(name, other, $"a number from {min} to {max}"),
    };

    public long? Integer(string name, long min, long max) => _fields[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out long number) && number >= min && number <= max => number,
        var other => throw Wrong(name, other, $"an integer from {min} to {max}"),
    };

    public int? Count(string name, int min, int max) => (int?)Integer(name, min, max);

    public JsonObject? Object(string name) => _fields[name] switch
    {
        null => null,
        JsonObject value => value,
        var other => throw Wrong(name, other, "an object"),
    };

    /// <summary>A text or an array of texts.</summary>
    public IReadOnlyList<string> Texts(string name, int maxCount) => _fields[name] switch
    {
        null => [],
        JsonValue value when value.TryGetValue(out string? text) => [text],
        JsonArray array when array.Count <= maxCount && array.All(item => item is JsonValue value && value.TryGetValue(out string? _)) =>
            [.. array.Select(item => item!.GetValue<string>())],
        var other => throw Wrong(name, other, $"a text or an array of at most {maxCount} texts"),
    };

    /// <summary>Metadata as OpenAI has it: at most 16 short texts by name.</summary>
    public IReadOnlyDictionary<string, string> Labels(string name)
    {
        if (Object(name) is not { } labels) return new Dictionary<string, string>();
        if (labels.Count > 16
            || labels.Any(label => label.Value is not JsonValue value || !value.TryGetValue(out string? text) || text.Length > 512
                || label.Key.Length > 64))
            throw Wrong(name, labels, "at most 16 texts of at most 512 characters, with names of at most 64");
        return labels.ToDictionary(label => label.Key, label => label.Value!.GetValue<string>());
    }

    public static ApiException Wrong(string name, JsonNode? value, string expected) =>
        ApiException.BadField(name, $"field '{name}' is {Shown(value)}, expected {expected}");

    /// <summary>A value as an error message quotes it: never longer than a line.</summary>
    public static string Shown(JsonNode? value)
    {
        string text = value?.ToJsonString(JsonText.Compact) ?? "null";
        return text.Length <= 80 ? text : $"{text[..77]}...";
    }

    /// <summary>
    /// JSON may spell half a surrogate pair, and bytes may be no UTF-8; no text of ours is like that. The parser finds out
    /// only when a name or a text is looked at, so all are looked at, before anything is done.
    /// </summary>
    private static void EnsureUnicode(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject fields:
                foreach ((string _, JsonNode? value) in fields) EnsureUnicode(value);
                break;
            case JsonArray items:
                foreach (JsonNode? item in items) EnsureUnicode(item);
                break;
            case JsonValue value when value.GetValueKind() == JsonValueKind.String:
                value.GetValue<string>();
                break;
        }
    }
}
