namespace Flywheel.Loop;

/// <summary>People and applications that share a record and a model. Rows of a record belong to one.</summary>
public sealed class WorkspaceRow
{
    /// <summary>The one that every home has.</summary>
    public const string Default = "default";

    /// <summary>Short name, as it stands in the rows that belong to it.</summary>
    public required string Id { get; init; }

    public required string Name { get; set; }

    public required DateTimeOffset Created { get; init; }

    /// <summary>Since then nobody opens it; what is in it stays.</summary>
    public DateTimeOffset? Archived { get; set; }

    /// <summary>The model that all workspaces share learns from what is done in it.</summary>
    public bool TrainsShared { get; set; }
}

/// <summary>Somebody's role in a workspace other than <see cref="WorkspaceRow.Default"/>, where the account's own role holds.</summary>
public sealed class MemberRow
{
    public required Guid AccountId { get; init; }

    public required string Workspace { get; init; }

    public required AccountRole Role { get; set; }

    public required DateTimeOffset Created { get; init; }
}

/// <summary>What a key with a limit was used for on one day.</summary>
public sealed class KeyUseRow
{
    public required Guid KeyId { get; init; }

    /// <summary>Of UTC, as 2026-11-30.</summary>
    public required string Day { get; init; }

    public int Requests { get; set; }

    /// <summary>Of prompts and answers.</summary>
    public long Tokens { get; set; }
}

/// <summary>A public key by which a person signs in instead of a password (W3C Web Authentication); the private one stays with their
/// device.</summary>
public sealed class PasskeyRow
{
    /// <summary>The credential's id, in base64url.</summary>
    public required string Id { get; init; }

    public required Guid AccountId { get; init; }

    /// <summary>What its owner calls it.</summary>
    public string Name { get; set; } = "";

    public required byte[] PublicKey { get; init; }

    public required DateTimeOffset Created { get; init; }

    public DateTimeOffset? LastUsed { get; set; }

    /// <summary>As the device last counted; 0 of devices that do not.</summary>
    public long SignCount { get; set; }

    /// <summary>How the device can be reached, with blanks between, such as <c>usb</c> or <c>internal</c>.</summary>
    public string Transports { get; set; } = "";

    public bool IsUserVerified { get; set; }

    public bool IsBackupEligible { get; set; }

    public bool IsBackedUp { get; set; }

    public required byte[] Attestation { get; init; }

    public required byte[] ClientData { get; init; }
}

/// <summary>A key of the API. The key itself is shown once, when it is made; here lies its hash.</summary>
public sealed class KeyRow
{
    public required Guid Id { get; init; }

    /// <summary>What a person calls it.</summary>
    public required string Name { get; set; }

    /// <summary>SHA-256 of the key, in hexadecimal.</summary>
    public required string Hash { get; init; }

    /// <summary>
    /// The person whose it is: all that is done with it counts as theirs. Empty of an application, which names its users itself.
    /// </summary>
    public string User { get; init; } = "";

    public string Workspace { get; init; } = WorkspaceRow.Default;

    /// <summary>What its holder may do in the workspace beyond the scopes.</summary>
    public string Role { get; set; } = "";

    /// <summary>Names with a blank between them, as in OAuth 2.0 (RFC 6749, 3.3).</summary>
    public string Scopes { get; set; } = "";

    public required DateTimeOffset Created { get; init; }

    public DateTimeOffset? Expires { get; set; }

    public DateTimeOffset? Revoked { get; set; }

    public DateTimeOffset? LastUsed { get; set; }

    /// <summary>Who made it, as the audit names them; empty of keys of before that was kept.</summary>
    public string By { get; set; } = "";

    /// <summary>Calls that it may make in a day of UTC; null: as many as it likes.</summary>
    public int? MaxRequests { get; init; }

    /// <summary>Tokens, of prompts and answers, that it may use in a day of UTC; null: as many as it likes.</summary>
    public long? MaxTokens { get; init; }

    public bool IsLimited => MaxRequests is not null || MaxTokens is not null;
}

/// <summary>Random bytes that must not leave the record, such as the salt of the split. A backup holds them.</summary>
public sealed class SecretRow
{
    public required string Name { get; init; }

    public required byte[] Value { get; init; }

    public required DateTimeOffset Created { get; init; }
}

/// <summary>What a person with an account may do; each role also does what those before it do.</summary>
public enum AccountRole
{
    /// <summary>Opens only the workspaces that they were put into.</summary>
    Guest,

    /// <summary>Reads.</summary>
    Viewer,

    /// <summary>Gives feedback.</summary>
    Reviewer,

    /// <summary>Writes, runs tasks, teaches.</summary>
    Editor,

    /// <summary>Looks after models, people and keys.</summary>
    Owner,
}

/// <summary>A person who signs in with a name and a password.</summary>
public sealed class AccountRow
{
    public required Guid Id { get; init; }

    /// <summary>What they sign in with.</summary>
    public required string Name { get; set; }

    /// <summary>The same without regard to case; no two people have one.</summary>
    public string NormalizedName { get; set; } = "";

    /// <summary>What others see.</summary>
    public required string DisplayName { get; set; }

    /// <summary>The user as whom everything of theirs is recorded. It never changes, and names nobody.</summary>
    public required string User { get; init; }

    public required AccountRole Role { get; set; }

    public string PasswordHash { get; set; } = "";

    /// <summary>Random; sessions that were begun with another one are over.</summary>
    public string Stamp { get; set; } = "";

    /// <summary>Guesses since the last one that was right.</summary>
    public int Failed { get; set; }

    /// <summary>Until then no guess is looked at.</summary>
    public DateTimeOffset? LockedUntil { get; set; }

    public required DateTimeOffset Created { get; init; }

    public DateTimeOffset? LastSignIn { get; set; }

    /// <summary>Since then it opens nothing.</summary>
    public DateTimeOffset? Disabled { get; set; }
}

/// <summary>A link that makes one account, or gives one a new password. The link's secret is shown once; here lies its hash.</summary>
public sealed class InvitationRow
{
    public required Guid Id { get; init; }

    /// <summary>SHA-256 of the secret, in hexadecimal.</summary>
    public required string Hash { get; init; }

    /// <summary>Of the account that it makes.</summary>
    public required AccountRole Role { get; init; }

    /// <summary>Whom it is for, as the inviter calls them.</summary>
    public string Label { get; set; } = "";

    /// <summary>Makes the first account, and is worth nothing once there is one.</summary>
    public bool IsFirst { get; init; }

    /// <summary>The account that gets a new password; null: a new account is made.</summary>
    public Guid? AccountId { get; init; }

    /// <summary>Who made it, as the audit names them.</summary>
    public required string By { get; set; }

    public required DateTimeOffset Created { get; init; }

    public required DateTimeOffset Expires { get; init; }

    public DateTimeOffset? Used { get; set; }

    public DateTimeOffset? Revoked { get; set; }
}

/// <summary>Who did what when, of what an owner should be able to look up. It names nobody but by their user.</summary>
public sealed class AuditRow
{
    public long Id { get; init; }

    public required DateTimeOffset Time { get; init; }

    /// <summary>The user who did it; else what did, such as <see cref="Actor.CommandLine"/>.</summary>
    public required string Who { get; set; }

    /// <summary>One of <see cref="AuditAct"/>.</summary>
    public required string Act { get; init; }

    /// <summary>The user to whom it was done; empty: to nobody.</summary>
    public string Whom { get; set; } = "";

    /// <summary>To what: a role, a key's name, a model.</summary>
    public string About { get; set; } = "";
}
