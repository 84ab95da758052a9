using System.Security.Claims;
using Flywheel.Loop;

namespace Flywheel.Studio.Access;

/// <summary>Who calls, as their key says it: claims of the request's principal.</summary>
internal static class Caller
{
    /// <summary>Claims: what the caller may do (one each), the user whose key it is, the key's id, the workspace that it opens.</summary>
    private const string ScopeClaim = "scope", UserClaim = "user", KeyClaim = "key", WorkspaceClaim = "workspace";

    /// <param name="scheme">How the caller was recognised.</param>
    /// <param name="name">What a person calls the key.</param>
    /// <param name="scopes">What the caller may do.</param>
    /// <param name="user">Whose the key is; empty of an application's, which names its users itself.</param>
    /// <param name="key">The key's id; null of the home's own secret.</param>
    /// <param name="workspace">Whose things it opens.</param>
    public static ClaimsPrincipal Principal(string scheme, string name, IEnumerable<string> scopes, string user = "", Guid? key = null, string workspace = WorkspaceRow.Default)
    {
        var identity = new ClaimsIdentity(scheme);
        identity.AddClaim(new(identity.NameClaimType, name));
        identity.AddClaims(scopes.Select(scope => new Claim(ScopeClaim, scope)));
        if (user.Length > 0) identity.AddClaim(new(UserClaim, user));
        if (workspace != WorkspaceRow.Default) identity.AddClaim(new(WorkspaceClaim, workspace));
        if (key is not null) identity.AddClaim(new(KeyClaim, key.Value.ToString()));
        return new(identity);
    }

    public static bool IsKnown(ClaimsPrincipal caller) => caller.Identity?.IsAuthenticated == true;

    public static bool May(ClaimsPrincipal caller, string scope) => caller.HasClaim(ScopeClaim, scope);

    /// <summary>The user whose key it is: whatever is done with it counts as theirs. Null: the caller names users itself.</summary>
    public static string? UserOf(ClaimsPrincipal caller) => caller.FindFirstValue(UserClaim);

    /// <summary>The workspace that the caller's key opens; the home's own without one.</summary>
    public static string WorkspaceOf(ClaimsPrincipal caller) => caller.FindFirstValue(WorkspaceClaim) ?? WorkspaceRow.Default;

    /// <summary>Whether the caller may see what is kept of a user: with a user's own key, only of that one.</summary>
    public static bool MaySee(ClaimsPrincipal caller, string user) => UserOf(caller) is not { } own || own == user;

    /// <summary>The key that the caller showed, now or when they signed in; null: none, or the home's own secret.</summary>
    public static Guid? KeyOf(ClaimsPrincipal caller) => Guid.TryParse(caller.FindFirstValue(KeyClaim), out Guid id) ? id : null;
}
