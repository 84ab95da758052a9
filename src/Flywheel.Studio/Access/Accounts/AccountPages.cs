using Flywheel.Loop;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Access;

/// <summary><c>/account</c>: what a person may change of their own account, whatever their role.</summary>
internal static class AccountPages
{
    public const string Root = "account";

    private static readonly string[] s_done = ["name", "password", "sessions", "passkey-added", "passkey-name", "passkey-removed"];

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet($"/{Root}", ShowAsync);
        app.MapGet($"/{Root}/export", ExportAsync).RequireRateLimiting(AccessSetup.Policy).Audited("everything of one's own");
        MapForm("name", (accounts, id, form, cancellation) => accounts.RenameAsync(id, form["display"].ToString(), cancellation));
        MapForm("sessions", (accounts, id, _, cancellation) => accounts.EndSessionsAsync(id, cancellation));
        MapForm("password", (accounts, id, form, cancellation) => form["password"] != form["again"] ? throw new AccountException("not-again", "the new password was typed differently the second time")
            : accounts.ChangePasswordAsync(id, form["old"].ToString(), form["password"].ToString(), cancellation));

        void MapForm(string name, Func<Accounts, Guid, IFormCollection, CancellationToken, Task<AccountRow>> change) => app.MapPost($"/{Root}/{name}", async (HttpContext http, Accounts accounts, IAntiforgery antiforgery) =>
        {
            if (await OwnAsync(http, accounts) is not { } own) return Results.LocalRedirect($"{SignIn.Path}?return=/{Root}");
            if (await FormRequest.ReadAsync(http, antiforgery) is not { } form) return await PageAsync(http, accounts, own, antiforgery, "account.form-again");
            try
            {
                AccountRow changed = await change(accounts, own.Id, form, http.RequestAborted);
                await http.SignInAsync(SignIn.Scheme, Caller.Principal(SignIn.Scheme, changed), new AuthenticationProperties { IsPersistent = true }); // this browser stays
                return Results.LocalRedirect($"/{Root}?done={name}");
            }
            catch (AccountException e)
            {
                return await PageAsync(http, accounts, own, antiforgery, $"account.{e.Code}");
            }
        }).RequireRateLimiting(AccessSetup.Policy).DisableAntiforgery();
    }

    private static async Task<IResult> ShowAsync(HttpContext http, Accounts accounts, IAntiforgery antiforgery) =>
        await OwnAsync(http, accounts) is { } own ? await PageAsync(http, accounts, own, antiforgery, null, s_done.FirstOrDefault(done => done == http.Request.Query["done"])) : Results.LocalRedirect($"{SignIn.Path}?return=/{Root}");

    /// <summary><c>GET /account/export</c>: everything that is recorded of who calls.</summary>
    private static async Task<IResult> ExportAsync(HttpContext http, Accounts accounts, FlywheelStore store)
    {
        if (await OwnAsync(http, accounts) is not { } own) return Results.Unauthorized();
        var file = new FileStream(Path.GetTempFileName(), FileMode.Open, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose | FileOptions.Asynchronous);
        try
        {
            await PersonExport.WriteAsync(store, own.User, file, http.RequestAborted);
            file.Position = 0;
            http.Response.Headers.XContentTypeOptions = "nosniff";
            return Results.File(file, "application/zip", $"flywheel-{own.Name}.zip"); // closes it
        }
        catch
        {
            await file.DisposeAsync();
            throw;
        }
    }

    /// <summary>The account of who calls by cookie, as it is now.</summary>
    public static async Task<AccountRow?> OwnAsync(HttpContext http, Accounts accounts) =>
        Caller.AccountOf(http.User) is { } id ? await accounts.FindAsync(id, http.RequestAborted) : null;

    public static async Task<IResult> PageAsync(HttpContext http, Accounts accounts, AccountRow own, IAntiforgery antiforgery, string? problem, string? done = null) =>
        DoorPage.Answer<AccountPage>(http, antiforgery, problem is null ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest, new()
        {
            ["Account"] = own, ["Problem"] = problem, ["Done"] = done is null ? null : $"account.done.{done}", ["Passkeys"] = await accounts.PasskeysAsync(own.Id, http.RequestAborted),
            ["Host"] = http.Request.Host.Value,
        }, script: true);
}
