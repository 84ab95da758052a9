using System.Security.Claims;
using Flywheel.Loop;
using Flywheel.Studio.OpenAI;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;

namespace Flywheel.Studio.Access;

/// <summary>
/// People at a browser show their password or a key once, and get a cookie for it. The cookie names the account or the key, which is looked
/// up at each request: it opens what they may do now, and nothing once the account is disabled or the key revoked.
/// </summary>
internal static class SignIn
{
    public const string Scheme = "cookie";

    public const string Path = "/sign-in";

    private static readonly TimeSpan s_stay = TimeSpan.FromDays(30);

    public static void Configure(CookieAuthenticationOptions options)
    {
        options.Cookie.Name = "flywheel_key";
        options.Cookie.Path = "/"; // of every workspace
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
        HttpMethods.IsGet(request.Method) && !ErrorAnswers.IsApi(request.Path)
            && request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase);

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
            return http.Response.WriteAsync(
                "<!DOCTYPE html><html lang=\"en\"><meta http-equiv=\"refresh\" content=\"0\"><title>Flywheel</title></html>",
                http.RequestAborted);
        }
        http.Response.Redirect($"{Path}?return={Uri.EscapeDataString(request.PathBase + request.Path + request.QueryString)}");
        return Task.CompletedTask;
    }

    /// <summary><c>GET /sign-in</c></summary>
    public static async Task<IResult> ShowAsync(HttpContext http, IAntiforgery antiforgery, AccessRules rules, Accounts accounts) =>
        await PageAsync(http, antiforgery, rules, accounts);

    /// <summary><c>POST /sign-in</c>: a form with name and password, or with the key.</summary>
    public static async Task<IResult> EnterAsync(HttpContext http, IAntiforgery antiforgery, KeyRing keys, Accounts accounts,
        AccessRules rules, FlywheelStore store)
    {
        if (await FormRequest.ReadAsync(http, antiforgery) is not { } form) return await RefuseAsync("signin.again");
        if (form.ContainsKey("name"))
        {
            if (await accounts.SignInAsync(form["name"].ToString(), form["password"].ToString(), http.RequestAborted) is not { } account)
                return await RefuseAsync("signin.wrong", form["name"]);
            await WelcomeAsync(http, account, store);
            return Results.LocalRedirect(Return(http.Request), permanent: false, preserveMethod: false);
        }
        KeyVerdict verdict = await keys.JudgeAsync(form["key"].ToString().Trim(), Scheme, http.RequestAborted);
        if (verdict.Caller is not { } caller) return await RefuseAsync(verdict.WasValid ? "signin.dead" : "signin.unknown");
        if (Caller.KeyOf(caller) is null) return await RefuseAsync("signin.secret"); // it could not be revoked
        if (Caller.LimitedKeyOf(caller) is not null) return await RefuseAsync("signin.limited"); // what is done on a page is not counted
        if (!Caller.MayRead(caller)) return await RefuseAsync("signin.scopes");
        await http.SignInAsync(Scheme, caller, new AuthenticationProperties { IsPersistent = true });
        Actor.Is(Caller.UserOf(caller) ?? caller.Identity!.Name!);
        await store.NoteAsync(AuditAct.SignIn, Caller.UserOf(caller) ?? "", $"key {caller.Identity!.Name}", http.RequestAborted);
        return Results.LocalRedirect(Return(http.Request), permanent: false, preserveMethod: false);

        async Task<IResult> RefuseAsync(string why, string? person = null) =>
            await PageAsync(http, antiforgery, rules, accounts, why, person);
    }

    /// <summary>Gives the browser the cookie of an account.</summary>
    public static async Task WelcomeAsync(HttpContext http, AccountRow account, FlywheelStore store)
    {
        Actor.Is(account.User);
        await store.NoteAsync(AuditAct.SignIn, cancellation: http.RequestAborted);
        await http.SignInAsync(Scheme, Caller.Principal(Scheme, account), new AuthenticationProperties { IsPersistent = true });
    }

    /// <summary><c>POST /sign-out</c></summary>
    public static async Task<IResult> LeaveAsync(HttpContext http, IAntiforgery antiforgery, FlywheelStore store)
    {
        if (await FormRequest.ReadAsync(http, antiforgery) is null) return Results.LocalRedirect(Path);
        if (Caller.IsKnown(http.User)) await store.NoteAsync(AuditAct.SignOut, cancellation: http.RequestAborted);
        await http.SignOutAsync(Scheme);
        return Results.LocalRedirect(Path);
    }

    /// <summary>Looks account or key up: it may open nothing any more, or something else.</summary>
    private static async Task ValidateAsync(CookieValidatePrincipalContext context)
    {
        var keys = context.HttpContext.RequestServices.GetRequiredService<KeyRing>();
        if (await keys.LookAgainAsync(context.Principal!, Scheme, WorkspaceAddress.Of(context.HttpContext),
            context.HttpContext.RequestAborted) is { } caller) context.ReplacePrincipal(caller);
        else context.RejectPrincipal();
    }

    internal static async Task<RazorComponentResult<SignInPage>> PageAsync(HttpContext http, IAntiforgery antiforgery, AccessRules rules,
        Accounts accounts, string? problem = null, string? person = null)
    {
        // Another server of the same record may have had the first account made.
        rules.HasAccounts = rules.HasAccounts || await accounts.AnyAsync(http.RequestAborted);
        return DoorPage.Answer<SignInPage>(http, antiforgery, problem is null ? StatusCodes.Status200OK : StatusCodes.Status401Unauthorized,
            new()
        {
            ["Return"] = Return(http.Request),
            ["Problem"] = problem,
            ["HasAccounts"] = rules.HasAccounts,
            ["Person"] = person,
            ["Name"] = Caller.IsKnown(http.User) ? http.User.Identity?.Name : null,
            ["ByKey"] = Caller.KeyOf(http.User) is not null,
            ["HasPasskeys"] = rules.HasAccounts && await accounts.AnyPasskeyAsync(http.RequestAborted),
        }, script: true);
    }

    /// <summary>Where the visitor wanted to go; the start for anything that is not a path of ours.</summary>
    internal static string Return(HttpRequest request) =>
        request.Query["return"].ToString() is ['/', ..] path && (path.Length == 1 || path[1] is not ('/' or '\\'))
            && !path.Any(char.IsControl) ? path : "/";
}
