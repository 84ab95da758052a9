using Flywheel.Model;

namespace Flywheel.Loop.Reviews;

/// <summary>
/// What one person did with one answer in the end, for a reviewer: an answer that was taken, perhaps changed, together with those beside
/// it that were not; or one that was thrown away or rated where none was taken.
/// </summary>
public sealed record ReviewItem
{
    /// <summary>The feedback that decided: an item is another one as soon as the person does something else.</summary>
    public required Guid Id { get; init; }

    public required Guid GenerationId { get; init; }

    public required DateTimeOffset Time { get; init; }

    /// <summary>The application or task, such as <c>write</c> or <c>tasks/translation</c>.</summary>
    public required string App { get; init; }

    public required string Person { get; init; }

    public required ReviewedAct Did { get; init; }

    /// <summary>What was asked; null for a plain completion.</summary>
    public Conversation? Prompt { get; init; }

    /// <summary>What the model had answered; empty where a person wrote by themselves.</summary>
    public required string Original { get; init; }

    /// <summary>What the person made of it; the original where they left it.</summary>
    public required string Text { get; init; }

    /// <summary>The other answers to the same request, which the person did not take.</summary>
    public IReadOnlyList<(Guid GenerationId, string Text)> Others { get; init; } = [];

    /// <summary>Why a reviewer should look: codes of <see cref="ReviewSignals"/>; empty where nothing stands out.</summary>
    public IReadOnlyList<string> Signals { get; init; } = [];

    /// <summary>0 to 1, see <see cref="ReviewSignals.Garbage"/>.</summary>
    public double Garbage { get; init; }

    public required ReviewState State { get; init; }

    /// <summary>What would be learnt from it.</summary>
    public string Current => State.Text ?? Text;

    /// <summary>
    /// The taken text and one beside it for a blind comparison, in an order that follows from item and reviewer alone; null where there is
    /// none beside it.
    /// </summary>
    public IReadOnlyList<(Guid GenerationId, string Text)>? PairFor(string reviewer)
    {
        if (Did is ReviewedAct.Discarded or ReviewedAct.RatedDown
            || Others.FirstOrDefault(other => other.Text.Trim() != Text.Trim()) is not { Text: not null } other) return null;
        (Guid, string)[] pair = [(GenerationId, Text), other];
        return CuratedDataset.Hex($"{Id} {reviewer}")[0] % 2 == 0 ? pair : [.. pair.Reverse()];
    }
}

/// <summary>What a person did with an answer.</summary>
public enum ReviewedAct { Kept, Edited, Discarded, RatedUp, RatedDown }
