using Flywheel.Loop.Translation;
using Flywheel.Studio.Access;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Apps.Translate;

/// <summary>Downloads of the page Translate.</summary>
internal static class TranslateEndpoints
{
    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet("/translate/export/{id:guid}", ExportAsync).Audited("translation");
        app.MapGet("/translate/export/memory", MemoryAsync).Audited("translation memory");
        app.MapGet("/translate/export/glossary", GlossaryAsync).Audited("glossary");
    }

    private static async Task<IResult> ExportAsync(HttpContext http, Guid id, Translations translations) =>
        await translations.ExportAsync(id, Visitor.Identify(http)) is var (file, name, type)
            ? File(http, file, type, name) : Results.NotFound();

    private static async Task<IResult> MemoryAsync(HttpContext http, string from, string to, TranslationMemory memory)
    {
        if (PairOf(http, from, to) is not { } pair) return Results.NotFound();
        using var stream = new MemoryStream();
        await memory.ExportAsync(pair, stream, http.RequestAborted);
        return File(http, stream.ToArray(), "application/xml", $"flywheel-{pair.From}-{pair.To}.tmx");
    }

    private static async Task<IResult> GlossaryAsync(HttpContext http, string from, string to, Glossary glossary) =>
        PairOf(http, from, to) is { } pair
            ? File(http, GlossaryCsv.Write((await glossary.ListAsync(pair, http.RequestAborted)).Rows), "text/csv; charset=utf-8",
                $"flywheel-glossary-{pair.From}-{pair.To}.csv") : Results.NotFound();

    private static LanguagePair? PairOf(HttpContext http, string from, string to) =>
        Language.Find(from) is { } source && Language.Find(to) is { } target
            ? new(Caller.WorkspaceOf(http.User), source.Tag, target.Tag) : null;

    private static IResult File(HttpContext http, byte[] file, string type, string name)
    {
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.File(file, type, name);
    }
}
