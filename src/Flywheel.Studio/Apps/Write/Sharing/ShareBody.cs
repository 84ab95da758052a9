using System.Text.Json;

namespace Flywheel.Studio.Apps.Write.Sharing;

/// <summary>What a share's document says: the drafts as they were when the link was made, and who may open it. Choices are feedback and lie
/// in the record alone.</summary>
public sealed record ShareBody
{
    /// <summary>The brief's document.</summary>
    public required Guid Brief { get; init; }

    /// <summary>The set of drafts.</summary>
    public required Guid Set { get; init; }

    /// <summary>256 random bits, as in the link.</summary>
    public required string Token { get; init; }

    public required DateTimeOffset Expires { get; init; }

    public DateTimeOffset? Revoked { get; init; }

    /// <summary>Of the brief, what outsiders see; its facts are not among it.</summary>
    public required string Name { get; init; }

    public string Kind { get; init; } = "";

    public string What { get; init; } = "";

    public string Audience { get; init; } = "";

    public required List<SharedDraft> Drafts { get; init; }

    public bool IsOpen(DateTimeOffset now) => Revoked is null && now < Expires;

    /// <summary>The drafts as one person sees them: in an order of their own, the same each time, so that no place is favoured.</summary>
    public IReadOnlyList<SharedDraft> For(string person) => [.. Drafts.OrderBy(draft =>
        Convert.ToHexString(
            System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes($"{person} {Token} {draft.Generation}"))),
            StringComparer.Ordinal)];

    public static ShareBody Parse(string json) => JsonSerializer.Deserialize<ShareBody>(json, CopyJson.Options)!;

    public string ToJson() => JsonSerializer.Serialize(this, CopyJson.Options);
}

/// <summary>A draft that outsiders choose from.</summary>
public sealed record SharedDraft(Guid Generation, string Text);

/// <summary>What people chose.</summary>
/// <param name="NumPeople">Who have chosen, none among them.</param>
/// <param name="Chosen">How often each draft was chosen, in the order of the share.</param>
/// <param name="None">Who found none good enough.</param>
/// <param name="Reasons">Why, with the number of the draft that it was said about, the latest first.</param>
public sealed record ShareTally(int NumPeople, IReadOnlyList<int> Chosen, int None, IReadOnlyList<(int Draft, string Text)> Reasons);
