using System.Net;
using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;

namespace Flywheel.Studio.Tests;

/// <summary><c>/openapi.json</c> and its page say what the server does: all of it, and truly.</summary>
public sealed partial class ApiDescriptionTests(OneServer one) : IClassFixture<OneServer>
{
    private readonly TestServer _server = one.Server;

    [Fact]
    public async Task Document_Read_IsValidOpenApi()
    {
        ReadResultOf(await _server.Http.GetStringAsync("/openapi.json"), out OpenApiDocument document, out IList<string> faults);
        Assert.Empty(faults);
        Assert.Equal("Flywheel", document.Info.Title);
        Assert.All(References(await DocumentAsync()), name =>
            Assert.True(document.Components!.Schemas!.ContainsKey(name) || document.Components.Responses!.ContainsKey(name), name));
    }

    [Fact]
    public async Task Document_EveryEndpointOfTheApi_IsDescribedWithAnExample()
    {
        JsonObject document = await DocumentAsync();
        var app = (WebApplication)typeof(StudioServer)
            .GetField("_app", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(_server.Server)!;
        string[] areas = ["/v1/", "/feedback", "/admin/", "/health", "/metrics"];
        List<string> missing = [], served = [];
        foreach (RouteEndpoint endpoint in app.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>())
        {
            string path = Constraint().Replace("/" + endpoint.RoutePattern.RawText!.TrimStart('/'), "}");
            if (!areas.Any(area => path.StartsWith(area, StringComparison.Ordinal))) continue;
            foreach (string method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"])
            {
                served.Add($"{method} {path}");
                JsonNode? operation = document["paths"]?[path]?[method.ToLowerInvariant()];
                bool whole = operation?["summary"] is not null
                    && operation["responses"]!["200"]!["content"]!.AsObject().First().Value!["example"] is not null
                    && (operation["requestBody"] is not { } body || body["content"]!.AsObject().First().Value!["example"] is not null)
                    && (method is "GET" or "DELETE" || TakesNothing().IsMatch(path) || operation["requestBody"] is not null);
                if (!whole) missing.Add($"{method} {path}");
            }
        }
        Assert.True(missing.Count == 0, $"openapi.json does not describe {string.Join(", ", missing)}");
        Assert.True(served.Count > 20);
        IEnumerable<string> described = document["paths"]!.AsObject()
            .SelectMany(path => path.Value!.AsObject().Select(operation => $"{operation.Key.ToUpperInvariant()} {path.Key}"));
        Assert.Empty(described.Except(served));
    }

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/completions")]
    [InlineData("/v1/responses")]
    [InlineData("/v1/embeddings")]
    [InlineData("/v1/tasks/{name}")]
    [InlineData("/v1/translate")]
    [InlineData("/v1/translate/memory")]
    [InlineData("/v1/translate/memory/import")]
    [InlineData("/v1/translate/glossary")]
    [InlineData("/v1/translate/glossary/import")]
    [InlineData("/v1/write/bulk")]
    [InlineData("/feedback")]
    public async Task Document_FieldsAndExampleOfARequest_AreTheEndpoints(string path)
    {
        JsonObject document = await DocumentAsync();
        JsonNode content = document["paths"]![path]!["post"]!["requestBody"]!["content"]!["application/json"]!;
        string schema = ((string)content["schema"]!["$ref"]!).Split('/')[^1];
        string[] described = [.. document["components"]!["schemas"]![schema]!["properties"]!.AsObject().Select(field => field.Key)];

        JsonObject example = content["example"]!.AsObject();
        path = path.Replace("{name}", "arithmetic", StringComparison.Ordinal);
        await _server.PostAsync(path, (JsonObject)example.DeepClone()); // answers 200
        example["no_such_field"] = 1;
        (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(path, example.ToJsonString());
        Assert.Equal(HttpStatusCode.BadRequest, status);
        string[] known = KnownFields().Match((string)answer["error"]!["message"]!).Groups[1].Value.Split(", ");
        string[] refused = path == "/v1/responses" ? ["prompt", "conversation", "max_tool_calls", "context_management"] : [];
        Assert.Empty(known.Except(described).Except(refused));
        Assert.Empty(described.Except(known));
    }

    [Fact]
    public async Task Page_Reference_TakesNothingFromElsewhere()
    {
        using HttpResponseMessage response = await _server.Http.GetAsync("/reference");
        string html = await response.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Contains("openapi.json", html, StringComparison.Ordinal);
        Assert.DoesNotMatch("(src|href)=\"(https?:)?//", html);
        string[] scripts = [.. Script().Matches(html).Select(match => match.Groups[1].Value)];
        Assert.NotEmpty(scripts);
        foreach (string script in scripts)
        {
            using HttpResponseMessage file = await _server.Http.GetAsync(new Uri(response.RequestMessage!.RequestUri!, script));
            Assert.Equal("text/javascript",
                file.Content.Headers.ContentType?.MediaType?.Replace("application", "text", StringComparison.Ordinal));
        }
    }

    [GeneratedRegex("/(cancel|pause|resume|reset)$")]
    private static partial Regex TakesNothing();

    private Task<JsonObject> DocumentAsync() => _server.GetAsync("/openapi.json");

    private static void ReadResultOf(string json, out OpenApiDocument document, out IList<string> faults)
    {
        Microsoft.OpenApi.Reader.ReadResult result = OpenApiDocument.Parse(json, OpenApiConstants.Json);
        document = result.Document!;
        faults = [.. result.Diagnostic!.Errors.Concat(result.Diagnostic.Warnings).Select(fault => fault.ToString())];
    }

    private static IEnumerable<string> References(JsonNode? node) => node switch
    {
        JsonObject fields =>
            (fields["$ref"] is JsonValue value && value.TryGetValue(out string? name) ? [name.Split('/')[^1]] : Array.Empty<string>())
            .Concat(fields.SelectMany(field => References(field.Value))),
        JsonArray items => items.SelectMany(References),
        _ => [],
    };

    [GeneratedRegex("(?:known are|expected) (.*)$")]
    private static partial Regex KnownFields();

    [GeneratedRegex(":[a-z]+\\}")]
    private static partial Regex Constraint();

    [GeneratedRegex("<script[^>]*src=\"([^\"]+)\"")]
    private static partial Regex Script();
}
