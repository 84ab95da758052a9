using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>
/// Who acts. It goes with a call wherever that awaits, as <see cref="System.Diagnostics.Activity.Current"/> does: the audit and what
/// changes
/// the record ask it far from where a request or a page said it.
/// </summary>
public static class Actor
{
    /// <summary>Who acts while nobody was named.</summary>
    public const string CommandLine = "command line";

    /// <summary>Who acts in a server by itself.</summary>
    public const string Server = "server";

    /// <summary>Who acts where a server asks nobody who they are: the person at the machine, or an outsider with a link.</summary>
    public const string Visitor = "visitor";

    private static readonly AsyncLocal<Acting?> s_current = new();

    public static string Name => s_current.Value?.Name ?? CommandLine;

    /// <summary>The key with a limit at whose cost it is; null: nobody counts.</summary>
    public static Guid? LimitedKey => s_current.Value?.LimitedKey;

    /// <summary>Whose rows they get to see, and where what they make belongs; null: all of the home, which is for what looks after all of
    /// it.</summary>
    public static string? Workspace => s_current.Value?.Workspace;

    /// <summary>Where a row belongs that is made now.</summary>
    public static string Here => Workspace ?? WorkspaceRow.Default;

    /// <summary>From here on, in this call and what it starts, somebody acts.</summary>
    /// <param name="name">Their user.</param>
    /// <param name="scopes">What they may do; null: whoever let them in has looked.</param>
    /// <param name="workspace">Where; null: in all of the home.</param>
    /// <param name="limitedKey">The key with a limit at whose cost it is.</param>
    public static void Is(string name, IReadOnlyCollection<string>? scopes = null, string? workspace = null, Guid? limitedKey = null) =>
        s_current.Value = new(name, scopes, workspace, limitedKey);

    /// <summary>From here on, in this call and what it starts, the same person acts somewhere else. An async method that calls it first
    /// leaves its caller where it was.</summary>
    /// <param name="workspace">Where; null: in all of the home.</param>
    public static void Enter(string? workspace) =>
        s_current.Value = (s_current.Value ?? new(CommandLine, null, null, null)) with { Workspace = workspace };

    /// <summary>Called by whatever changes something for people, so that a page need not be trusted to have asked.</summary>
    /// <exception cref="NotAllowedException">Who acts has not the scope.</exception>
    public static void Demand(string scope)
    {
        if (s_current.Value?.Scopes is { } scopes && !scopes.Contains(scope)) throw new NotAllowedException(scope);
    }

    private sealed record Acting(string Name, IReadOnlyCollection<string>? Scopes, string? Workspace, Guid? LimitedKey);
}

/// <summary>Somebody may look, but not do this.</summary>
public sealed class NotAllowedException(string scope)
    : FlywheelException($"your role does not allow this, which needs the scope '{scope}'; an owner can give you another role");

/// <summary>What the audit tells apart.</summary>
public static class AuditAct
{
    /// <summary>A row that says what is done now, by whoever acts.</summary>
    /// <param name="act">What.</param>
    /// <param name="now">When.</param>
    /// <param name="whom">The user to whom.</param>
    /// <param name="about">To what; no names of people.</param>
    public static AuditRow Row(string act, DateTimeOffset now, string whom = "", string about = "") =>
        new() { Time = now, Who = Actor.Name, Act = act, Whom = whom, About = about };

    public const string SignIn = "sign-in", SignOut = "sign-out", Locked = "locked", Invite = "invite", Uninvite = "uninvite",
        Join = "join", ResetLink = "reset-link",
        Password = "password", Role = "role", Disable = "disable", Enable = "enable", KeyMade = "key-made", KeyRevoked = "key-revoked",
        Promote = "promote",
        Rollback = "rollback", Keep = "keep-release", Forget = "forget", Export = "export", Import = "import",
        PasskeyAdded = "passkey-added", PasskeyRemoved = "passkey-removed",
        WorkspaceMade = "workspace-made", WorkspaceChanged = "workspace-changed", Member = "member";

    public static IReadOnlyList<string> All { get; } = [SignIn, SignOut, Locked, Invite, Uninvite, Join, ResetLink, Password, Role, Disable,
        Enable, KeyMade, KeyRevoked, Promote, Rollback, Keep, Forget, Export, Import,
        PasskeyAdded, PasskeyRemoved, WorkspaceMade, WorkspaceChanged, Member];
}
