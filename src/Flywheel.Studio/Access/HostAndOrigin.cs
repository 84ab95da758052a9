using Flywheel.Studio.OpenAI;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.Access;

/// <summary>
/// Keeps pages of elsewhere out, on every path: a browser that visits them stands behind this machine's doors, and calls what it
/// is told to. Such a call names another host (DNS rebinding) or another origin (fetch, form, WebSocket).
/// </summary>
internal static class HostAndOrigin
{
    private static readonly PathString[] ForOtherOrigins = ["/v1", "/feedback", "/health"];

    /// <exception cref="ApiException">The call is not one that the rules allow; 403.</exception>
    public static void Check(HttpContext http, AccessRules rules)
    {
        HttpRequest request = http.Request;
        if (!rules.IsOurName(request.Host, http.Connection.LocalIpAddress))
            throw Refused(
                $"this server does not go by the name '{Shown(request.Host.Host)}'; if it should, start it with --host {Shown(request.Host.Host)}", "unknown_host");
        if (IsFromElsewhere(request, rules, out string origin))
            throw Refused(
                $"pages of {Shown(origin)} may not call {Shown(request.Path)} here{(IsForOtherOrigins(request.Path) ? $"; if they should, start the server with --cors {Shown(origin)}" : "")}", "foreign_origin");
    }

    /// <summary>The call is of a page of another origin that may call the API.</summary>
    public static bool IsCors(HttpRequest request) =>
        request.Headers.Origin is [{ Length: > 0 } origin] && !AccessRules.IsSameOrigin(origin, request);

    /// <summary>Paths that a page of a listed origin may call.</summary>
    public static bool IsForOtherOrigins(PathString path) => ForOtherOrigins.Any(root => path.StartsWithSegments(root));

    private static bool IsFromElsewhere(HttpRequest request, AccessRules rules, out string origin)
    {
        origin = request.Headers.Origin.ToString();
        if (request.Headers.Origin.Count > 0)
            return request.Headers.Origin.Count > 1
                || !(AccessRules.IsSameOrigin(origin, request) || (rules.IsCorsOrigin(origin) && IsForOtherOrigins(request.Path)));
        // Pictures, scripts and the like are fetched without Origin; following a link to a page is no call.
        origin = "another origin";
        return request.Headers["Sec-Fetch-Site"].ToString() is "cross-site" or "same-site"
            && request.Headers["Sec-Fetch-Mode"] != "navigate";
    }

    private static ApiException Refused(string message, string code) => new(403, message, code: code, type: "permission_error");

    /// <summary>Of what a stranger sent, no more than a line.</summary>
    private static string Shown(string? text) => text is null or "" ? "(none)" : text.Length <= 100 ? text : $"{text[..97]}...";
}
