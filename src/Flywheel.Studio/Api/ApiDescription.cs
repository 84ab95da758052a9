using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.Routing;
using Microsoft.OpenApi;
using Scalar.AspNetCore;

namespace Flywheel.Studio;

/// <summary>
/// <c>GET /openapi.json</c> and the page <c>/reference</c>. The framework finds the endpoints; what they take and give, in words and
/// examples, is <c>openapi.json</c> beside this file.
/// </summary>
internal static class ApiDescription
{
    public static void Describe(OpenApiOptions options) => options.AddDocumentTransformer((document, _, _) =>
    {
        OpenApiDocument described = Read();
        foreach ((string path, IOpenApiPathItem item) in described.Paths)
        {
            // the exporter's own, which the framework does not see
            if (!document.Paths.TryGetValue(path, out IOpenApiPathItem? found)) document.Paths[path] = item;
            else if (found.Operations is { } operations)
                foreach ((HttpMethod method, OpenApiOperation operation) in item.Operations ?? []) operations[method] = operation;
        }
        // What is left are pages' endpoints, which are no interface for programs.
        foreach (string path in document.Paths.Keys.Except(described.Paths.Keys).ToList()) document.Paths.Remove(path);
        (document.Info, document.Components, document.Tags, document.Servers) = (described.Info, described.Components, described.Tags, []);
        return Task.CompletedTask;
    });

    public static void MapDescription(this IEndpointRouteBuilder app)
    {
        app.MapOpenApi("/openapi.json");
        app.MapScalarApiReference("/reference", page =>
        {
            page.Title = "Flywheel API";
            page.OpenApiRoutePattern = "/openapi.json";
            // Nothing of the page comes from elsewhere, and nothing goes there.
            page.DefaultFonts = page.Telemetry = false;
            page.HideClientButton = true;
        });
    }

    private static OpenApiDocument Read()
    {
        using Stream stream = typeof(ApiDescription).Assembly.GetManifestResourceStream("openapi.json")!;
        using var reader = new StreamReader(stream);
        return OpenApiDocument.Parse(reader.ReadToEnd(), OpenApiConstants.Json).Document!;
    }
}
