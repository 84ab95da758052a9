using Flywheel.Loop;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Access;

/// <summary>Which scopes an endpoint asks for.</summary>
internal static class NeededScopes
{
    /// <summary>
    /// By its route. A page does what both interfaces do; so does whatever nobody named here: a new route is closed until it is
    /// opened. None: anybody may.
    /// </summary>
    public static IReadOnlyList<string> Of(Endpoint? endpoint) => Root(endpoint) switch
    {
        "health" or "sign-in" or "sign-out" or Join.Root or AccountPages.Root or Apps.Write.Sharing.GuestPages.Root => [],
        "v1" when Administers(endpoint) => [Scopes.Admin],
        "v1" => Teaches(endpoint) ? ForPages : [Scopes.Inference],
        "feedback" => [Scopes.Feedback],
        "admin" => [Scopes.Admin],
        _ => ForPages,
    };

    /// <summary>
    /// It shows something and does nothing. A page's connection counts, too: what is done by it asks what its person may do
    /// (<see cref="Actor.Demand"/>). Not administration, which shows what others did.
    /// </summary>
    public static bool IsReading(HttpContext http) => Root(http.GetEndpoint()) is not "admin" && !Administers(http.GetEndpoint())
        && (HttpMethods.IsGet(http.Request.Method) || HttpMethods.IsHead(http.Request.Method) || Root(http.GetEndpoint()) is "_blazor");

    /// <summary>Who uses the pages asks the model and says what they did with its answers.</summary>
    public static IReadOnlyList<string> ForPages { get; } = [Scopes.Inference, Scopes.Feedback];

    /// <summary>
    /// What is put into the translation memory or the glossary shows in everybody's next text; what is done with drafts, or in the arena,
    /// is feedback; a link
    /// lets others give some; what is fine-tuned is served to everybody, and takes the machine for a while.
    /// </summary>
    private static bool Teaches(Endpoint? endpoint) => (endpoint as RouteEndpoint)?.RoutePattern.RawText is { } route
        && (route == $"{ArchiveEndpoints.AccountPath}/import" || route.StartsWith("/v1/files", StringComparison.Ordinal)
            || route.StartsWith("/v1/fine_tuning/", StringComparison.Ordinal)
            || (route.StartsWith("/v1/translate/", StringComparison.Ordinal) || route.StartsWith("/v1/write/", StringComparison.Ordinal)
                || route.StartsWith("/v1/shares", StringComparison.Ordinal)
                || route.StartsWith("/v1/arena/", StringComparison.Ordinal))
            && endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods.Contains(HttpMethods.Get) != true);

    /// <summary>Whose acts are removed, what everybody wrote, and which model serves whom, is for who answers for all of them.</summary>
    private static bool Administers(Endpoint? endpoint) => (endpoint as RouteEndpoint)?.RoutePattern.RawText is { } route
        && (route.StartsWith(DeletionEndpoints.Path, StringComparison.Ordinal)
            || route.StartsWith(ReviewEndpoints.Path, StringComparison.Ordinal)
            || route.StartsWith(WorkspaceEndpoints.Path, StringComparison.Ordinal)
                && (route.EndsWith(ArchiveEndpoints.Export, StringComparison.Ordinal)
                || endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods.Contains(HttpMethods.Get) != true)
            || route.StartsWith(PeopleEndpoints.Path, StringComparison.Ordinal) || route == PeopleEndpoints.AuditPath
            || route.StartsWith(RolloutEndpoints.Path, StringComparison.Ordinal) && route != RolloutEndpoints.DraftsPath);

    // The route and not the path: what was matched decides, however the path spells it.
    private static string? Root(Endpoint? endpoint) => (endpoint as RouteEndpoint)?.RoutePattern.RawText?.TrimStart('/').Split('/')[0];
}
