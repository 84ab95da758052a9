using System.Text.Json;
using Flywheel.Studio.Apps.Write;

namespace Flywheel.Studio.Apps.Learn;

/// <summary>What the document of a person's files says: what was read of them, and what was learnt.</summary>
internal sealed record LearnBody
{
    /// <summary>Files that gave texts, and texts in them.</summary>
    public required int NumFiles { get; init; }

    public required int NumTexts { get; init; }

    /// <summary>Passages: all, and those that are left to learn from and to test on.</summary>
    public required int NumPassages { get; init; }

    public required int NumTrain { get; init; }

    public required int NumHeldOut { get; init; }

    /// <summary>Passages that were left out, by reason, the most frequent first.</summary>
    public required List<LeftOut> Drops { get; init; }

    public required List<UnreadFile> Unread { get; init; }

    /// <summary>Some of what is learnt: the request, and the text that answers it.</summary>
    public required List<AskedText> Samples { get; init; }

    /// <summary>Folder of the data set; null when too little is left.</summary>
    public string? Dataset { get; init; }

    /// <summary>Hash of the model that learns on; known once it was begun.</summary>
    public string? Base { get; init; }

    public Guid? Job { get; init; }

    public LearnResult? Result { get; init; }

    /// <summary>What was learnt was thrown away.</summary>
    public bool ThrownAway { get; init; }

    public static LearnBody Parse(string json) => JsonSerializer.Deserialize<LearnBody>(json, CopyJson.Options)!;

    public string ToJson() => JsonSerializer.Serialize(this, CopyJson.Options);
}

/// <param name="Reason">One of the constants of <see cref="Data.OwnTexts"/>.</param>
/// <param name="Example">The first.</param>
internal sealed record LeftOut(string Reason, int Count, string Example);

internal sealed record AskedText(string Asked, string Text);

/// <summary>What came of it.</summary>
internal sealed record LearnResult
{
    /// <summary>Hash of the model that both are together.</summary>
    public required string Model { get; init; }

    public required string Adapter { get; init; }

    public required string Name { get; init; }

    public required int Steps { get; init; }

    /// <summary>Nats a token on the texts held out.</summary>
    public required double LossBefore { get; init; }

    public required double LossAfter { get; init; }

    /// <summary>Texts held out that are likelier now, of how many.</summary>
    public required int NumLikelier { get; init; }

    public required int NumHeldOut { get; init; }

    /// <summary>What both write for the person's own briefs, with the same seed.</summary>
    public required List<BeforeAfter> Drafts { get; init; }

    /// <summary>The briefs are the person's; else those of texts held out.</summary>
    public required bool OwnBriefs { get; init; }
}

internal sealed record BeforeAfter(string Asked, string Before, string After);
