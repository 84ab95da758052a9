using Flywheel.Loop;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Access;

/// <summary><c>/join/TOKEN</c>: where the link of an invitation leads. Looking at it uses nothing up.</summary>
internal static class Join
{
    public const string Root = "join";

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet($"/{Root}/{{token}}", ShowAsync).RequireRateLimiting(AccessSetup.Policy);
        // judged here, so that the page can say so
        app.MapPost($"/{Root}/{{token}}", AcceptAsync).RequireRateLimiting(AccessSetup.Policy).DisableAntiforgery();
    }

    /// <summary>The address that a link has at a server.</summary>
    public static string PathOf(string token) => $"/{Root}/{token}";

    private static async Task<IResult> ShowAsync(HttpContext http, string token, Accounts accounts, IAntiforgery antiforgery) =>
        await PageAsync(http, token, accounts, antiforgery);

    private static async Task<IResult> AcceptAsync(HttpContext http, string token, Accounts accounts, AccessRules rules,
        FlywheelStore store, IAntiforgery antiforgery)
    {
        if (await FormRequest.ReadAsync(http, antiforgery) is not { } form)
            return await PageAsync(http, token, accounts, antiforgery, "account.form-again");
        string password = form["password"].ToString();
        if (password != form["again"].ToString()) return await RefuseAsync("account.not-again");
        try
        {
            // Who was alone at this machine and now has an account goes on with what they made.
            string? user = rules.IsForThisMachine && !Caller.IsKnown(http.User) ? Visitor.Identify(http) : null;
            AccountRow account = await accounts.AcceptAsync(token, form["name"].ToString(), form["display"].ToString(), password, user,
                http.RequestAborted);
            rules.HasAccounts = true;
            if (account.User == user) Visitor.Forget(http);
            await SignIn.WelcomeAsync(http, account, store);
            return Results.LocalRedirect("/");
        }
        catch (AccountException e)
        {
            return await RefuseAsync($"account.{e.Code}");
        }

        Task<IResult> RefuseAsync(string problem) => PageAsync(http, token, accounts, antiforgery, problem, form);
    }

    private static async Task<IResult> PageAsync(HttpContext http, string token, Accounts accounts, IAntiforgery antiforgery,
        string? problem = null, IFormCollection? form = null)
    {
        (InvitationRow Invitation, AccountRow? Account)? found = await accounts.OpenAsync(token, http.RequestAborted);
        int status = found is null ? StatusCodes.Status404NotFound : problem is null
            ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest;
        return DoorPage.Answer<JoinPage>(http, antiforgery, status, new()
        {
            ["Invitation"] = found?.Invitation, ["Account"] = found?.Account, ["Problem"] = problem, ["Name"] = form?["name"].ToString(),
            ["Display"] = form?["display"].ToString(),
        });
    }
}
