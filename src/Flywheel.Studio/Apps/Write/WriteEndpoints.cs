using Flywheel.Studio.Access;
using Flywheel.Studio.Apps.Write.Bulk;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Apps.Write;

/// <summary>Downloads of the page Write.</summary>
internal static class WriteEndpoints
{
    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet("/write/export/{format}", ExportAsync).Audited("kept texts");
        app.MapGet("/write/bulk/{id:guid}/csv", BulkAsync).Audited("table of briefs");
        app.MapGet("/write/bulk/example.csv", (HttpContext http) => CsvOf(http, BulkApi.Example(), "briefs.csv"));
    }

    /// <summary>The person's own table of briefs with what was written.</summary>
    private static async Task<IResult> BulkAsync(HttpContext http, Guid id, BulkBriefs bulks)
    {
        string person = Visitor.Identify(http);
        if (await bulks.FindAsync(id, person) is not var (document, body)) return Results.NotFound();
        return CsvOf(http, await bulks.ExportAsync(id, body, person, Strings.Of(Visitor.Language(http))),
            $"{Path.GetFileNameWithoutExtension(document.Title)}-drafts.csv");
    }

    private static IResult CsvOf(HttpContext http, byte[] file, string name)
    {
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.File(file, "text/csv; charset=utf-8", name);
    }

    /// <summary><c>GET /write/export/FORMAT?id=...&amp;id=...</c>: the person's own kept texts as a file; without ids, all of
    /// them.</summary>
    private static async Task<IResult> ExportAsync(HttpContext http, string format, Guid[] id, Briefs briefs)
    {
        if (CopyExport.Formats.FirstOrDefault(one => one.Format == format) is not { Format: not null } chosen) return Results.NotFound();
        Strings words = Strings.Of(Visitor.Language(http));
        var texts = (await briefs.TextsAsync(Visitor.Identify(http))).Where(one => id.Length == 0 || id.Contains(one.Document.Id))
            .Select(one => one.Text);
        byte[] file = CopyExport.Write(format, [.. texts], kind => words[$"write.kind.{kind}"]);
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.File(file, chosen.MediaType, $"flywheel-texts.{chosen.Extension}");
    }
}
