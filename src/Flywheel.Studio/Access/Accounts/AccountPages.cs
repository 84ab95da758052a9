using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Model;
using Flywheel.Studio.Apps;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

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
        app.MapPost($"/{Root}/import", ImportAsync).RequireRateLimiting(AccessSetup.Policy).DisableAntiforgery(); // the handler asks for it
        MapForm("name", (accounts, id, form, cancellation) => accounts.RenameAsync(id, form["display"].ToString(), cancellation));
        MapForm("sessions", (accounts, id, _, cancellation) => accounts.EndSessionsAsync(id, cancellation));
        MapForm("password",
            (accounts, id, form, cancellation) => form["password"] != form["again"]
                ? throw new AccountException("not-again", "the new password was typed differently the second time")
            : accounts.ChangePasswordAsync(id, form["old"].ToString(), form["password"].ToString(), cancellation));

        void MapForm(string name, Func<Accounts, Guid, IFormCollection, CancellationToken, Task<AccountRow>> change) =>
            app.MapPost($"/{Root}/{name}", async (HttpContext http, Accounts accounts, IAntiforgery antiforgery) =>
        {
            if (await OwnAsync(http, accounts) is not { } own) return Results.LocalRedirect($"{SignIn.Path}?return=/{Root}");
            if (await FormRequest.ReadAsync(http, antiforgery) is not { } form)
                return await PageAsync(http, accounts, own, antiforgery, "account.form-again");
            try
            {
                AccountRow changed = await change(accounts, own.Id, form, http.RequestAborted);
                // this browser stays
                await http.SignInAsync(SignIn.Scheme, Caller.Principal(SignIn.Scheme, changed),
                    new AuthenticationProperties { IsPersistent = true });
                return Results.LocalRedirect($"/{Root}?done={name}");
            }
            catch (AccountException e)
            {
                return await PageAsync(http, accounts, own, antiforgery, $"account.{e.Code}");
            }
        }).RequireRateLimiting(AccessSetup.Policy).DisableAntiforgery();
    }

    private static async Task<IResult> ShowAsync(HttpContext http, Accounts accounts, IAntiforgery antiforgery) =>
        await OwnAsync(http, accounts) is { } own
            ? await PageAsync(http, accounts, own, antiforgery, null,
                s_done.FirstOrDefault(done => done == http.Request.Query["done"])) : Results.LocalRedirect($"{SignIn.Path}?return=/{Root}");

    /// <summary><c>GET /account/export</c>: everything that is recorded of who calls.</summary>
    private static async Task<IResult> ExportAsync(HttpContext http, Accounts accounts, FlywheelStore store, Archives archives) =>
        await OwnAsync(http, accounts) is { } own
        ? await WholeFile.AnswerAsync(http, store, ArchiveEndpoints.Zip, $"flywheel-{own.Name}.zip",
            zip => archives.ExportAsync(own.User, zip, http.RequestAborted)) : Results.Unauthorized();

    /// <summary><c>POST /account/import</c>: what somebody took along from elsewhere becomes theirs here.</summary>
    private static async Task<IResult> ImportAsync(HttpContext http, Accounts accounts, Workspaces workspaces, Archives archives,
        IAntiforgery antiforgery)
    {
        if (await OwnAsync(http, accounts) is not { } own) return Results.LocalRedirect($"{SignIn.Path}?return=/{Root}");
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = ArchiveFile.MaxBytes + (1 << 20);
        http.Features.Set<IFormFeature>(new FormFeature(http.Request, new FormOptions { MultipartBodyLengthLimit = ArchiveFile.MaxBytes }));
        if (await FormRequest.ReadAsync(http, antiforgery) is not { } form)
            return await PageAsync(http, accounts, own, antiforgery, "account.form-again");
        if (form.Files["file"] is not { Length: > 0 } file) return await PageAsync(http, accounts, own, antiforgery, "account.import-none");
        string workspace = form["workspace"].ToString() is { Length: > 0 } named ? named : WorkspaceRow.Default;
        if (await workspaces.RoleAsync(own, workspace, http.RequestAborted) is not { } role)
            return await PageAsync(http, accounts, own, antiforgery, "account.import-not-there");
        Actor.Is(own.User, Roles.ScopesOf(role), workspace); // by the role there, whatever the address of this page
        try
        {
            await using Stream zip = file.OpenReadStream();
            string name = new([.. file.FileName.Split('/', '\\')[^1].Where(letter => !char.IsControl(letter)).Take(100)]);
            IReadOnlyList<ArchiveCount> counts = await archives.ImportAsync(zip, name,
                new ArchiveTarget(own.User, workspace) { MayTeach = form["teach"] == "yes" }, http.RequestAborted);
            return await PageAsync(http, accounts, own, antiforgery, null, "import", counts: counts);
        }
        catch (NotAllowedException)
        {
            return await PageAsync(http, accounts, own, antiforgery, "account.import-role");
        }
        catch (FlywheelException e)
        {
            return await PageAsync(http, accounts, own, antiforgery, "account.import-failed", detail: e.Message);
        }
    }

    /// <summary>The account of who calls by cookie, as it is now.</summary>
    public static async Task<AccountRow?> OwnAsync(HttpContext http, Accounts accounts) =>
        Caller.AccountOf(http.User) is { } id ? await accounts.FindAsync(id, http.RequestAborted) : null;

    public static async Task<IResult> PageAsync(HttpContext http, Accounts accounts, AccountRow own, IAntiforgery antiforgery,
        string? problem, string? done = null, string? detail = null,
        IReadOnlyList<ArchiveCount>? counts = null)
    {
        var workspaces = http.RequestServices.GetRequiredService<Workspaces>();
        List<WorkspaceRow> open = [];
        foreach (WorkspaceRow row in await workspaces.OfAsync(own, http.RequestAborted))
            if (await workspaces.RoleAsync(own, row.Id, http.RequestAborted) is AccountRole.Editor or AccountRole.Owner) open.Add(row);
        return DoorPage.Answer<AccountPage>(http, antiforgery, problem is null ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest,
            new()
        {
            ["Account"] = own, ["Problem"] = problem, ["Done"] = done is null ? null : $"account.done.{done}",
            ["Passkeys"] = await accounts.PasskeysAsync(own.Id, http.RequestAborted),
            ["Host"] = http.Request.Host.Value, ["Detail"] = detail, ["Counts"] = counts, ["Workspaces"] = open,
        }, script: true);
    }
}
