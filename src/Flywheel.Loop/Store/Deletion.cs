namespace Flywheel.Loop;

/// <summary>
/// That a person was forgotten: the proof of it, without who it was. Whoever knows the name can find the row by
/// <see cref="Forget.HashOfAsync"/>; nobody can read a name from it.
/// </summary>
public sealed class DeletionRow
{
    public required Guid Id { get; init; }

    /// <summary>HMAC-SHA256 of the person under a secret of the record, in hexadecimal.</summary>
    public required string Person { get; init; }

    public required DateTimeOffset Began { get; init; }

    /// <summary>Null while it is under way: the same command goes on with it.</summary>
    public DateTimeOffset? Finished { get; set; }

    /// <summary>JSON object: how many rows of each kind were removed.</summary>
    public string Counts { get; set; } = "{}";

    /// <summary>JSON array of <see cref="ForgottenModel"/>.</summary>
    public string Models { get; set; } = "[]";

    /// <summary>JSON: what was found to be done, until it is.</summary>
    public string? Plan { get; set; }
}

/// <summary>What became of a model that was touched.</summary>
/// <param name="Before">Its hash.</param>
/// <param name="After">Hash of the model in its place; null where it was retired.</param>
/// <param name="Learnt">It was trained with acts of the person; else only with rows that would have been others without the person.</param>
/// <param name="How">What was done, in words.</param>
public sealed record ForgottenModel(string Before, string? After, bool Learnt, string How);
