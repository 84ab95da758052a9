using System.Security.Claims;
using Flywheel.Loop;

namespace Flywheel.Studio.Access;

/// <summary>Who calls, as their key says it: claims of the request's principal.</summary>
internal static class Caller
{
    /// <summary>Claims: what the caller may do (one each), the user whose key it is, the key's id, the workspace that it opens; whether
    /// that has a limit; of who signed
    /// in with a password, the account's id (by which antiforgery tells people apart), its role and its stamp.</summary>
    private const string ScopeClaim = "scope", UserClaim = "user", KeyClaim = "key", WorkspaceClaim = "workspace", AccountClaim = "sub",
        RoleClaim = "role", StampClaim = "stamp", LimitClaim = "limit";

    /// <param name="scheme">How the caller was recognised.</param>
    /// <param name="name">What a person calls the key.</param>
    /// <param name="scopes">What the caller may do.</param>
    /// <param name="user">Whose the key is; empty of an application's, which names its users itself.</param>
    /// <param name="key">The key's id; null of the home's own secret.</param>
    /// <param name="workspace">Whose things it opens.</param>
    /// <param name="limited">The key has a limit.</param>
    public static ClaimsPrincipal Principal(string scheme, string name, IEnumerable<string> scopes, string user = "", Guid? key = null,
        string workspace = WorkspaceRow.Default, bool limited = false)
    {
        var identity = new ClaimsIdentity(scheme);
        identity.AddClaim(new(identity.NameClaimType, name));
        identity.AddClaims(scopes.Select(scope => new Claim(ScopeClaim, scope)));
        if (user.Length > 0) identity.AddClaim(new(UserClaim, user));
        if (workspace != WorkspaceRow.Default) identity.AddClaim(new(WorkspaceClaim, workspace));
        if (limited) identity.AddClaim(new(LimitClaim, "yes"));
        if (key is not null) identity.AddClaim(new(KeyClaim, key.Value.ToString()));
        return new(identity);
    }

    /// <summary>Of somebody who signed in with a password.</summary>
    /// <param name="scheme">How they were recognised.</param>
    /// <param name="account">Theirs.</param>
    /// <param name="workspace">Where they are.</param>
    /// <param name="role">Theirs there; null: the account's own.</param>
    public static ClaimsPrincipal Principal(string scheme, AccountRow account, string workspace = WorkspaceRow.Default,
        AccountRole? role = null)
    {
        AccountRole there = role ?? account.Role;
        ClaimsPrincipal principal = Principal(scheme, account.DisplayName, Roles.ScopesOf(there), account.User, workspace: workspace);
        ((ClaimsIdentity)principal.Identity!).AddClaims([new(AccountClaim, account.Id.ToString()), new(RoleClaim, Roles.NameOf(there)),
            new(StampClaim, account.Stamp)]);
        return principal;
    }

    /// <summary>By the home's own secret.</summary>
    public static bool IsSecret(ClaimsPrincipal caller) => IsKnown(caller) && KeyOf(caller) is null && AccountOf(caller) is null;

    public static bool IsKnown(ClaimsPrincipal caller) => caller.Identity?.IsAuthenticated == true;

    public static bool May(ClaimsPrincipal caller, string scope) => caller.HasClaim(ScopeClaim, scope);

    /// <summary>Whether the caller may look. Who may ask the model and say what came of it uses the pages, and always could.</summary>
    public static bool MayRead(ClaimsPrincipal caller) =>
        May(caller, Scopes.Read) || NeededScopes.ForPages.All(scope => May(caller, scope));

    /// <summary>All that the caller may do.</summary>
    public static IReadOnlyList<string> ScopesOf(ClaimsPrincipal caller) => [.. caller.FindAll(ScopeClaim).Select(claim => claim.Value)];

    /// <summary>The account of who signed in with a password; null of everybody else.</summary>
    public static Guid? AccountOf(ClaimsPrincipal caller) => Guid.TryParse(caller.FindFirstValue(AccountClaim), out Guid id) ? id : null;

    public static string? RoleOf(ClaimsPrincipal caller) => caller.FindFirstValue(RoleClaim);

    /// <summary>What the account's stamp was when they signed in.</summary>
    public static string? StampOf(ClaimsPrincipal caller) => caller.FindFirstValue(StampClaim);

    /// <summary>The user whose key it is: whatever is done with it counts as theirs. Null: the caller names users itself.</summary>
    public static string? UserOf(ClaimsPrincipal caller) => caller.FindFirstValue(UserClaim);

    /// <summary>Where the caller is: a person by the address, a program by its key; else in the home's own.</summary>
    public static string WorkspaceOf(ClaimsPrincipal caller) => caller.FindFirstValue(WorkspaceClaim) ?? WorkspaceRow.Default;

    /// <summary>Whether the caller may see what is kept of a user: with a user's own key, only of that one.</summary>
    public static bool MaySee(ClaimsPrincipal caller, string user) => UserOf(caller) is not { } own || own == user;

    /// <summary>The key that the caller showed, now or when they signed in; null: none, or the home's own secret.</summary>
    public static Guid? KeyOf(ClaimsPrincipal caller) => Guid.TryParse(caller.FindFirstValue(KeyClaim), out Guid id) ? id : null;

    /// <summary>The same where it has a limit, against which the call counts.</summary>
    public static Guid? LimitedKeyOf(ClaimsPrincipal caller) => caller.HasClaim(claim => claim.Type == LimitClaim) ? KeyOf(caller) : null;
}
