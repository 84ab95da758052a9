using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Loop.Jobs;

/// <summary>
/// Work that outlives the process that does it: an import, a turn, a dubbing. A worker claims it for a while and says how far it is;
/// when the worker dies, the claim runs out and another goes on.
/// </summary>
public sealed class JobRow
{
    /// <summary>Kinds that concern the model which all workspaces share, or people as a whole.</summary>
    internal static readonly string[] OfTheHome = ["teach", "forget", "import"];

    /// <summary>UUID v7.</summary>
    public required Guid Id { get; init; }

    /// <summary>What there is to do; the name of the handler that does it.</summary>
    public required string Kind { get; init; }

    public string Workspace { get; init; } = Actor.Here;

    /// <summary>It is seen in every workspace, and sees all of them.</summary>
    public bool IsOfTheHome => OfTheHome.Contains(Kind);

    /// <summary>Who asked for it; empty when the command line did.</summary>
    public string User { get; init; } = "";

    public JobState State { get; set; }

    /// <summary>What somebody asked of a running job; its worker sees it when it next says how far it is. Null when nothing.</summary>
    public JobWish? Wish { get; set; }

    /// <summary>From 0 to 1.</summary>
    public double Progress { get; set; }

    /// <summary>Where it is, in words; of a failed job: why.</summary>
    public string Message { get; set; } = "";

    /// <summary>The worker that has it, or had it last.</summary>
    public string? ClaimedBy { get; set; }

    /// <summary>Until then nobody else may have it.</summary>
    public DateTimeOffset? ClaimedUntil { get; set; }

    /// <summary>How often it was begun.</summary>
    public int Attempts { get; set; }

    /// <summary>Failures after which it is given up.</summary>
    public int MaxAttempts { get; init; } = 3;

    /// <summary>Not begun before; after a failure it waits a while.</summary>
    public required DateTimeOffset NotBefore { get; set; }

    public required DateTimeOffset Created { get; init; }

    public required DateTimeOffset Updated { get; set; }

    public DateTimeOffset? Finished { get; set; }

    /// <summary>Null when a query left it out.</summary>
    public JobPayload? Payload { get; init; }
}

/// <summary>What a job works on; apart, because lists of jobs do not read it.</summary>
public sealed class JobPayload
{
    public Guid JobId { get; init; }

    private const string LimitedKey = "limited_key";

    /// <summary>JSON: what is to be done.</summary>
    public required string Input { get; init; }

    /// <summary>What the handler noted in order to go on from there.</summary>
    public string? Checkpoint { get; set; }

    /// <summary>JSON: what came of it.</summary>
    public string? Result { get; set; }

    /// <summary>An input, a JSON object, that says at whose cost the job is.</summary>
    internal static string AtCostOf(Guid key, string input)
    {
        JsonObject body = JsonNode.Parse(input)!.AsObject();
        body[LimitedKey] = key.ToString();
        return body.ToJsonString(JsonText.Compact);
    }

    /// <summary>The key with a limit at whose cost the job is; null: nobody counts.</summary>
    internal Guid? FindLimitedKey() =>
        Input.Contains(LimitedKey, StringComparison.Ordinal) && (string?)(JsonNode.Parse(Input) as JsonObject)?[LimitedKey] is { } key
            ? Guid.Parse(key) : null;
}

public enum JobState { Queued, Running, Paused, Done, Failed, Cancelled }

public enum JobWish { Pause, Cancel }
