using Flywheel.Studio.OpenAI;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Flywheel.Studio.Shell;

/// <summary>A browser that asks for a page that is not there gets our page that says so, with status 404.</summary>
internal static class MissingPage
{
    private static readonly PathString Page = "/not-found";

    public static async Task Middleware(HttpContext http, RequestDelegate next)
    {
        await next(http);
        bool wantsPage = HttpMethods.IsGet(http.Request.Method)
            && http.Request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase);
        if (!wantsPage || ErrorAnswers.IsApi(http.Request.Path)
            || http.Response is not { StatusCode: 404, HasStarted: false, ContentLength: null }) return;
        http.SetEndpoint(null);
        http.Features.Get<IRouteValuesFeature>()?.RouteValues.Clear();
        PathString asked = http.Request.Path;
        // By this Blazor knows that a status which is already there is meant.
        http.Features.Set<IStatusCodeReExecuteFeature>(new StatusCodeReExecuteFeature { OriginalPath = asked,
            OriginalPathBase = http.Request.PathBase });
        http.Request.Path = Page;
        try
        {
            await next(http);
        }
        finally
        {
            http.Request.Path = asked;
        }
    }
}
