using System.Security.Cryptography;
using Flywheel.Loop;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Access;

/// <summary>
/// Passkeys at the doors: <c>POST /account/passkeys/…</c> and <c>POST /sign-in/passkey/…</c>. What was asked of the browser lies sealed in
/// a
/// cookie of its own until the answer comes, so that servers of one record may share the work.
/// </summary>
internal static class PasskeyForms
{
    public const string Path = "/account/passkeys", SignInPath = "/sign-in/passkey";

    /// <summary>Cookie and seal: an answer to the one question is none to the other.</summary>
    private const string Adding = "flywheel_passkey_new", Entering = "flywheel_passkey";

    private const int MaxCredential = 64 << 10;

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);

    public static void Map(IEndpointRouteBuilder app)
    {
        MapForm("", "passkey-added", AddAsync);
        MapForm("/name", "passkey-name",
            (http, accounts, own, form) =>
                accounts.RenamePasskeyAsync(own, form["passkey"].ToString(), form["passkey-name"].ToString(), http.RequestAborted));
        MapForm("/remove", "passkey-removed",
            (http, accounts, own, form) => accounts.RemovePasskeyAsync(own, form["passkey"].ToString(), http.RequestAborted));
        Guarded(app.MapPost($"{Path}/options", OptionsAsync));
        Guarded(app.MapPost($"{SignInPath}/options", SignInOptionsAsync));
        Guarded(app.MapPost(SignInPath, SignInAsync));

        // The form's token is judged by the handlers, so that the page can say so.
        static void Guarded(RouteHandlerBuilder route) => route.RequireRateLimiting(AccessSetup.Policy).DisableAntiforgery();

        void MapForm(string path, string done, Func<HttpContext, Accounts, Guid, IFormCollection, Task> change) =>
            Guarded(app.MapPost(Path + path, async (HttpContext http, Accounts accounts, IAntiforgery antiforgery) =>
        {
            if (await AccountPages.OwnAsync(http, accounts) is not { } own)
                return Results.LocalRedirect($"{SignIn.Path}?return=/{AccountPages.Root}");
            if (await FormRequest.ReadAsync(http, antiforgery) is not { } form)
                return await AccountPages.PageAsync(http, accounts, own, antiforgery, "account.form-again");
            try
            {
                await change(http, accounts, own.Id, form);
                return Results.LocalRedirect($"/{AccountPages.Root}?done={done}");
            }
            catch (AccountException e)
            {
                return await AccountPages.PageAsync(http, accounts, own, antiforgery, $"account.{e.Code}");
            }
        }));
    }

    /// <summary>What the browser is to make, once the password was right; else 400 and which text says why.</summary>
    private static async Task<IResult> OptionsAsync(HttpContext http, Accounts accounts, IAntiforgery antiforgery,
        IDataProtectionProvider seals)
    {
        if (await AccountPages.OwnAsync(http, accounts) is not { } own || await FormRequest.ReadAsync(http, antiforgery) is not { } form)
            return Refused(http, "account.form-again");
        try
        {
            (string options, string state) = await accounts.BeginPasskeyAsync(own.Id, form["old"].ToString(), http);
            Keep(http, seals, Adding, state);
            return Json(http, options);
        }
        catch (AccountException e)
        {
            return Refused(http, $"account.{e.Code}");
        }
    }

    private static Task AddAsync(HttpContext http, Accounts accounts, Guid own, IFormCollection form)
    {
        string credential = form["credential"].ToString(), name = form["passkey-name"].ToString().Trim();
        return Take(http, Adding) is { } state && credential.Length is > 0 and <= MaxCredential
            ? accounts.AddPasskeyAsync(own, name, credential, state, http)
            : throw new AccountException("passkey-failed", "nothing was asked of the browser, or too long ago");
    }

    private static async Task<IResult> SignInOptionsAsync(HttpContext http, Accounts accounts, IAntiforgery antiforgery,
        IDataProtectionProvider seals)
    {
        if (await FormRequest.ReadAsync(http, antiforgery) is null) return Refused(http, "signin.again");
        (string options, string state) = await accounts.BeginSignInAsync(http);
        Keep(http, seals, Entering, state);
        return Json(http, options);
    }

    private static async Task<IResult> SignInAsync(HttpContext http, IAntiforgery antiforgery, Accounts accounts, AccessRules rules,
        FlywheelStore store)
    {
        if (await FormRequest.ReadAsync(http, antiforgery) is not { } form)
            return await SignIn.PageAsync(http, antiforgery, rules, accounts, "signin.again");
        string credential = form["credential"].ToString();
        if (Take(http, Entering) is not { } state || credential.Length is 0 or > MaxCredential
            || await accounts.SignInAsync(credential, state, http) is not { } account)
            return await SignIn.PageAsync(http, antiforgery, rules, accounts, "signin.passkey");
        await SignIn.WelcomeAsync(http, account, store);
        return Results.LocalRedirect(SignIn.Return(http.Request), permanent: false, preserveMethod: false);
    }

    private static void Keep(HttpContext http, IDataProtectionProvider seals, string what, string state) =>
        http.Response.Cookies.Append(what, Seal(seals, what).Protect(state, s_patience), new CookieOptions
        {
            HttpOnly = true, SameSite = SameSiteMode.Strict, Secure = http.Request.IsHttps, MaxAge = s_patience, IsEssential = true,
        });

    /// <summary>What was asked, for one answer; null: nothing, or too long ago.</summary>
    private static string? Take(HttpContext http, string what)
    {
        if (http.Request.Cookies[what] is not { } kept) return null;
        http.Response.Cookies.Delete(what);
        try
        {
            return Seal((IDataProtectionProvider)http.RequestServices.GetService(typeof(IDataProtectionProvider))!, what).Unprotect(kept);
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    private static ITimeLimitedDataProtector Seal(IDataProtectionProvider seals, string what) =>
        seals.CreateProtector(what).ToTimeLimitedDataProtector();

    private static IResult Json(HttpContext http, string options)
    {
        http.Response.Headers.CacheControl = "no-store";
        return Results.Text(options, "application/json");
    }

    private static IResult Refused(HttpContext http, string problem) =>
        Results.Json(new { problem = Shell.Strings.Of(Shell.Visitor.Language(http))[problem] },
            statusCode: StatusCodes.Status400BadRequest);
}
