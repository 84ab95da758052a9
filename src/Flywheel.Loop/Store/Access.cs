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
}

/// <summary>Random bytes that must not leave the record, such as the salt of the split. A backup holds them.</summary>
public sealed class SecretRow
{
    public required string Name { get; init; }

    public required byte[] Value { get; init; }

    public required DateTimeOffset Created { get; init; }
}
