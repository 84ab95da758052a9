using Flywheel.Loop;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Flywheel.Studio.Access;

/// <summary>
/// <c>/w/ID/…</c>: every address there is, in a workspace other than the default one. What is before the page's own path is its base, to
/// which its links and its
/// connection belong, so that two tabs may be in two workspaces.
/// </summary>
internal static class WorkspaceAddress
{
    private const string Root = "/w";

    private static readonly object s_asked = new();

    /// <summary>Before anything looks at the path.</summary>
    public static void UseWorkspaceAddresses(this WebApplication app) => app.Use(next => http =>
    {
        if (!http.Request.Path.StartsWithSegments(Root, StringComparison.Ordinal, out PathString rest)
            || rest.Value?.TrimStart('/') is not { Length: > 0 } path) return next(http);
        string id = path.Split('/')[0];
        if (path.Length == id.Length && HttpMethods.IsGet(http.Request.Method))
        {
            http.Response.Redirect(PathOf(id)); // relative links need the slash
            return Task.CompletedTask;
        }
        http.Items[s_asked] = id;
        http.Request.PathBase = http.Request.PathBase.Add($"{Root}/{id}");
        http.Request.Path = path.Length == id.Length ? "/" : path[id.Length..];
        return next(http);
    });

    /// <summary>Where the request goes to.</summary>
    public static string Of(HttpContext http) => http.Items[s_asked] as string ?? WorkspaceRow.Default;

    /// <summary>The address of a workspace's pages.</summary>
    public static string PathOf(string id) => id == WorkspaceRow.Default ? "/" : $"{Root}/{id}/";

    /// <summary>
    /// Lets those in who are in the workspace; to everybody else who is known it is not there. Guests of the home are led to the first that
    /// they may open. After
    /// the caller is recognised, before it is decided what they may do.
    /// </summary>
    public static void UseWorkspaceDoor(this WebApplication app)
    {
        var workspaces = app.Services.GetRequiredService<Workspaces>();
        var accounts = app.Services.GetRequiredService<Accounts>();
        var rules = app.Services.GetRequiredService<AccessRules>();
        app.Use(next => async http =>
        {
            string asked = Of(http);
            if (!Caller.IsKnown(http.User))
            {
                if (asked != WorkspaceRow.Default && rules.AllowsAnonymous(http.Request))
                {
                    await MissingAsync(http, asked);
                    return;
                }
            }
            else if (Caller.IsSecret(http.User))
            {
                // Whoever has the home has all that is in it.
                if (asked != WorkspaceRow.Default)
                {
                    if (await workspaces.FindAsync(asked, http.RequestAborted) is not { Archived: null })
                    {
                        await MissingAsync(http, asked);
                        return;
                    }
                    http.User = Caller.Principal(KeyAuthentication.Name, http.User.Identity!.Name!, Scopes.All, workspace: asked);
                }
            }
            else if (Caller.RoleOf(http.User) == Roles.NameOf(AccountRole.Guest))
            {
                if (asked != WorkspaceRow.Default)
                {
                    await MissingAsync(http, asked);
                    return;
                }
                if (SignIn.IsPageVisit(http.Request) && NeededScopes.Of(http.GetEndpoint()).Count > 0
                    && Caller.AccountOf(http.User) is { } id && await accounts.FindAsync(id, http.RequestAborted) is { } account
                    && (await workspaces.OfAsync(account, http.RequestAborted)) is [var first, ..])
                {
                    http.Response.Redirect($"{PathOf(first.Id).TrimEnd('/')}{http.Request.Path}{http.Request.QueryString}");
                    return;
                }
            }
            else if (Caller.WorkspaceOf(http.User) != asked && (asked != WorkspaceRow.Default || SignIn.IsPageVisit(http.Request)))
            {
                // A key opens its own workspace, whatever the address; one that is said must be the right one.
                if (asked != WorkspaceRow.Default) await MissingAsync(http, asked);
                else http.Response.Redirect(
                    $"{PathOf(Caller.WorkspaceOf(http.User)).TrimEnd('/')}{http.Request.Path}{http.Request.QueryString}");
                return;
            }
            await next(http);
        });
    }

    private static Task MissingAsync(HttpContext http, string asked)
    {
        if (ErrorAnswers.IsApi(http.Request.Path))
            throw new ApiException(404,
                $"there is no workspace '{(asked.Length <= 80 ? asked : asked[..77] + "...")}' here that you are in", "workspace",
                "not_found");
        http.Response.StatusCode = StatusCodes.Status404NotFound;
        http.Response.ContentType = "text/plain; charset=utf-8"; // no page of ours: those belong to a workspace
        return http.Response.WriteAsync(Strings.Of(Visitor.Language(http))["workspaces.missing"] + "\n", http.RequestAborted);
    }
}
