using System.Security.Claims;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;

namespace Flywheel.Studio.Access;

/// <summary>
/// People at a browser show their key once, and get a cookie for it. The cookie names the key and is looked up at each request: it
/// opens what the key opens, and nothing once that is revoked.
/// </summary>
internal static class SignIn
{
    public const string Scheme = "cookie";

    public const string Path = "/sign-in";

    private static readonly TimeSpan s_stay = TimeSpan.FromDays(30);

    public static void Configure(CookieAuthenticationOptions options)
    {
        options.Cookie.Name = "flywheel_key";
        options.Cookie.HttpOnly = true;
        options.Cookie.SameSite = SameSiteMode.Strict;
        // Over TLS it never leaves TLS. On a network without, the key itself went unprotected a moment before.
        options.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
        options.Cookie.IsEssential = true;
        options.ExpireTimeSpan = s_stay;
        options.SlidingExpiration = true;
        options.Events.OnValidatePrincipal = ValidateAsync;
    }

    /// <summary>A browser asks for a page, and not a program for an answer.</summary>
    public static bool IsPageVisit(HttpRequest request) =>
        HttpMethods.IsGet(request.Method) && !ErrorAnswers.IsApi(request.Path) && request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase);

    /// <summary>Sends a visitor who may not see a page to where they can sign in.</summary>
    /// <param name="http">The visit.</param>
    /// <param name="forbidden">Their key is known, but does not open pages.</param>
    public static Task AskAsync(HttpContext http, bool forbidden)
    {
        HttpRequest request = http.Request;
        http.Response.Headers.CacheControl = "no-store";
        if (!forbidden && request.Headers["Sec-Fetch-Site"].ToString() is "cross-site" or "same-site")
        {
            // A link from elsewhere comes without the cookie, which is strict. The page's own refresh brings it, if there is one.
            http.Response.ContentType = "text/html; charset=utf-8";
            return http.Response.WriteAsync("<!DOCTYPE html><html lang=\"en\"><meta http-equiv=\"refresh\" content=\"0\"><title>Flywheel</title></html>", http.RequestAborted);
        }
        http.Response.Redirect($"{Path}?return={Uri.EscapeDataString(request.Path + request.QueryString)}");
        return Task.CompletedTask;
    }

    /// <summary><c>GET /sign-in</c></summary>
    public static RazorComponentResult<SignInPage> Show(HttpContext http, IAntiforgery antiforgery) => Page(http, antiforgery, null);

    /// <summary><c>POST /sign-in</c>: a form with the key.</summary>
    public static async Task<IResult> EnterAsync(HttpContext http, IAntiforgery antiforgery, KeyRing keys)
    {
        if (await FormRequest.ReadAsync(http, antiforgery) is not { } form) return Refuse("signin.again");
        KeyVerdict verdict = await keys.JudgeAsync(form["key"].ToString().Trim(), Scheme, http.RequestAborted);
        if (verdict.Caller is not { } caller) return Refuse(verdict.WasValid ? "signin.dead" : "signin.unknown");
        if (Caller.KeyOf(caller) is null) return Refuse("signin.secret"); // it could not be revoked
        if (!NeededScopes.ForPages.All(scope => Caller.May(caller, scope))) return Refuse("signin.scopes");
        await http.SignInAsync(Scheme, caller, new AuthenticationProperties { IsPersistent = true });
        return Results.LocalRedirect(Return(http.Request), permanent: false, preserveMethod: false);

        IResult Refuse(string why)
        {
            http.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return Page(http, antiforgery, why);
        }
    }

    /// <summary><c>POST /sign-out</c></summary>
    public static async Task<IResult> LeaveAsync(HttpContext http, IAntiforgery antiforgery)
    {
        if (await FormRequest.ReadAsync(http, antiforgery) is not null) await http.SignOutAsync(Scheme);
        return Results.LocalRedirect(Path);
    }

    /// <summary>Looks the cookie's key up: it may be revoked, or have other scopes since.</summary>
    private static async Task ValidateAsync(CookieValidatePrincipalContext context)
    {
        var keys = context.HttpContext.RequestServices.GetRequiredService<KeyRing>();
        ClaimsPrincipal? caller = Caller.KeyOf(context.Principal!) is { } id ? (await keys.JudgeAsync(id, Scheme, context.HttpContext.RequestAborted)).Caller : null;
        if (caller is null) context.RejectPrincipal();
        else context.ReplacePrincipal(caller);
    }

    private static RazorComponentResult<SignInPage> Page(HttpContext http, IAntiforgery antiforgery, string? problem)
    {
        AntiforgeryTokenSet tokens = antiforgery.GetAndStoreTokens(http); // says no-store too
        http.Response.Headers.ContentSecurityPolicy = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
        return new RazorComponentResult<SignInPage>(new
        {
            Words = Strings.Of(Visitor.Language(http)),
            Dark = Visitor.PrefersDark(http),
            Return = Return(http.Request),
            Problem = problem,
            Name = Caller.KeyOf(http.User) is null ? null : http.User.Identity?.Name,
            TokenField = tokens.FormFieldName,
            Token = tokens.RequestToken,
        })
        { StatusCode = problem is null ? StatusCodes.Status200OK : StatusCodes.Status401Unauthorized };
    }

    /// <summary>Where the visitor wanted to go; the start for anything that is not a path of ours.</summary>
    private static string Return(HttpRequest request) =>
        request.Query["return"].ToString() is ['/', ..] path && (path.Length == 1 || path[1] is not ('/' or '\\')) && !path.Any(char.IsControl) ? path : "/";
}
