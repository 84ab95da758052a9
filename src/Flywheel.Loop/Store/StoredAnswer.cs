namespace Flywheel.Loop;

/// <summary>
/// An answer that a client may ask for again, or go on from: what it was asked and what it got, as the API has them. What a turn learns
/// from is the generation, not this.
/// </summary>
public sealed class StoredAnswer
{
    /// <summary>Kinds: of the Responses API, and of chat completions.</summary>
    public const string Response = "response", Chat = "chat.completion";

    /// <summary>Order in which answers became durable.</summary>
    public long Sequence { get; init; }

    /// <summary>The request that it answers: <see cref="Generation.Group"/> of its generations.</summary>
    public required Guid Id { get; init; }

    public required string Kind { get; init; }

    public string Workspace { get; init; } = Actor.Here;

    public required DateTimeOffset Time { get; init; }

    /// <summary>The request's <c>user</c>; empty when it named none.</summary>
    public string User { get; init; } = "";

    /// <summary>Name of the model or adapter that answered.</summary>
    public required string Model { get; init; }

    /// <summary>The answer that it goes on from; null of a first one.</summary>
    public Guid? Previous { get; init; }

    /// <summary>JSON array of what was asked in this turn: items, or messages.</summary>
    public required string Input { get; init; }

    /// <summary>JSON of the whole answer.</summary>
    public required string Answer { get; init; }
}
