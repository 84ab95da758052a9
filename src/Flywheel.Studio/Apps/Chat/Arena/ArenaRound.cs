using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.Apps.Chat.Arena;

/// <summary>What a round's document says: the conversation that two models were asked to answer, what each wrote, and the person's
/// choice.</summary>
internal sealed record ArenaRound
{
    private static readonly JsonSerializerOptions s_options = WholeLists.Of(new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        // Chinese stays readable in the record; it is never put into a page as it is
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });

    /// <summary>As a request has them; the last is what is answered.</summary>
    public required JsonArray Messages { get; init; }

    /// <summary>How many of the oldest the models were not shown, because one could not read as much.</summary>
    public int LeftOut { get; init; }

    /// <summary>A and B, in the order that was drawn by lot.</summary>
    public required List<ArenaSide> Sides { get; init; }

    public ArenaChoice? Choice { get; init; }

    /// <summary>The server that writes the answers, as <see cref="Loop.Jobs.JobWorker.Name"/> names a worker, and until when it has said
    /// that it does.</summary>
    public string? Writer { get; init; }

    public DateTimeOffset? WrittenUntil { get; init; }

    [JsonIgnore]
    public Conversation Conversation => Conversation.FromJson(Messages);

    /// <summary>Both answers came to their own end: the person can choose.</summary>
    [JsonIgnore]
    public bool IsReady => Sides.All(side => side.State == ArenaState.Ready);

    /// <summary>Nobody can choose any more, so that nothing is given away by saying who wrote what.</summary>
    [JsonIgnore]
    public bool IsOver => Choice is not null || Sides.Any(side => side.State is ArenaState.Failed or ArenaState.Stopped or ArenaState.Lost);

    /// <summary>A text that is still being written as the document says, while nobody writes it, was lost with the server that wrote
    /// it.</summary>
    public ArenaRound Seen(bool isLive) => isLive || Sides.All(side => side.State != ArenaState.Writing) ? this
        : this with { Sides = [.. Sides.Select(side => side.State == ArenaState.Writing ? side with { State = ArenaState.Lost } : side)] };

    public static ArenaRound Parse(string json) => JsonSerializer.Deserialize<ArenaRound>(json, s_options)!;

    public string ToJson() => JsonSerializer.Serialize(this, s_options);
}

/// <summary>One of the two answers.</summary>
internal sealed record ArenaSide
{
    /// <summary>The contestant, told to nobody before the round is over.</summary>
    public required string Id { get; init; }

    /// <summary>What it was called then.</summary>
    public required string Name { get; init; }

    public required Guid Generation { get; init; }

    public string Text { get; init; } = "";

    public ArenaState State { get; init; }

    /// <summary>Why there is no whole answer; it may name the model.</summary>
    public string? Fault { get; init; }
}

internal enum ArenaState
{
    Writing,

    Ready,

    /// <summary>There is no whole answer, and never will be.</summary>
    Failed,

    /// <summary>The person ended it.</summary>
    Stopped,

    /// <summary>The server ended before it.</summary>
    Lost,
}

/// <summary>A round while it is written.</summary>
internal sealed class LiveRound(IReadOnlyList<GenerationGroup> groups)
{
    internal IReadOnlyList<GenerationGroup> Groups => groups;

    /// <summary>What has come so far, of A and B.</summary>
    public string[] Texts { get; } = ["", ""];

    public Task Running { get; set; } = Task.CompletedTask;

    /// <summary>Neither goes on; nothing can be chosen then.</summary>
    public void Stop()
    {
        foreach (GenerationGroup group in groups) group.Cancel();
    }
}
