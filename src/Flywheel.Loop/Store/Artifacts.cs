namespace Flywheel.Loop;

/// <summary>A model, or an adapter, that this home knows: where it lies and what it came from.</summary>
public sealed class ModelRow
{
    /// <summary>SHA-256 of its content.</summary>
    public required string Hash { get; init; }

    public string Name { get; init; } = "";

    /// <summary>Folder, relative to the home.</summary>
    public required string Path { get; set; }

    /// <summary>Hash of the model that it was trained from; of an adapter: its base.</summary>
    public string? Parent { get; init; }

    /// <summary>Name of the run that made it.</summary>
    public string? Run { get; init; }

    /// <summary>Hash of the curated dataset that it was trained on; null when it did not come from a turn.</summary>
    public string? Dataset { get; init; }

    public DateTimeOffset Created { get; init; }

    public long NumParameters { get; init; }

    /// <summary>Who made or imported it; empty when the command line did.</summary>
    public string Owner { get; init; } = "";

    public string Workspace { get; init; } = WorkspaceRow.Default;

    public string ShortHash => Hash[..12];
}

/// <summary>One execution of a recipe, inside a turn or by itself.</summary>
public sealed class RunRow
{
    /// <summary>Name of its folder under runs/.</summary>
    public required string Name { get; init; }

    /// <summary>Null of a run by itself.</summary>
    public Guid? TurnId { get; init; }

    /// <summary>Hash of the curated dataset; of a run by itself, of the tokenised one.</summary>
    public required string Dataset { get; init; }

    /// <summary>Hash of the model that it started from; null when it started from random weights.</summary>
    public string? Base { get; init; }

    /// <summary>Hash of the model that it made, once it has.</summary>
    public string? Model { get; set; }

    public DateTimeOffset Created { get; init; }

    /// <summary>Who started it; empty when the command line did.</summary>
    public string Owner { get; init; } = "";

    public string Workspace { get; init; } = WorkspaceRow.Default;
}

/// <summary>A curated dataset: examples from people's feedback, named by content.</summary>
public sealed class DatasetRow
{
    public required string Hash { get; init; }

    /// <summary>The turn that first made it.</summary>
    public required Guid TurnId { get; init; }

    public int NumTrain { get; init; }

    public int NumHeldOut { get; init; }

    public DateTimeOffset Created { get; init; }

    /// <summary>Who had it made; empty when the command line did.</summary>
    public string Owner { get; init; } = "";

    public string Workspace { get; init; } = WorkspaceRow.Default;
}

/// <summary>
/// A row that curation made, or the reason why it made none. Each feedback that a turn looked at belongs to at least one.
/// </summary>
public sealed class ExampleRow
{
    public long Id { get; init; }

    public required Guid TurnId { get; init; }

    /// <summary>SHA-256 of the content (kind, prompt, answers); null where the feedback made no example at all.</summary>
    public string? Hash { get; init; }

    public required ExampleKind Kind { get; init; }

    /// <summary>Null of what was dropped before the split.</summary>
    public Split? Split { get; init; }

    /// <summary>The name that the request stated.</summary>
    public required string User { get; init; }

    /// <summary>The user to whom the feedback's key belongs, if any; then it is this user who counts as the person.</summary>
    public string Owner { get; init; } = "";

    public string Workspace { get; init; } = Actor.Here;

    public FeedbackSource Source { get; init; }

    /// <summary>SHA-256 of the conversation before the answer; null where there was none, and of turns before it was kept.</summary>
    public string? PromptHash { get; init; }

    /// <summary>The generation that was kept or edited (or, of a drop, the one concerned).</summary>
    public required Guid GenerationId { get; init; }

    /// <summary>Of a pair: the generation whose text lost.</summary>
    public Guid? RejectedId { get; init; }

    /// <summary>Null for an example that is in the dataset.</summary>
    public string? DropReason { get; init; }

    /// <summary>The feedback that it comes from.</summary>
    public IList<ExampleFeedback> Sources { get; init; } = [];
}

/// <summary>
/// What a row teaches: to write a text; to prefer one to another; whether an answer was liked (KTO); how an answer as it was served,
/// token by token, was rewarded (policy).
/// </summary>
public enum ExampleKind { Supervised, Preference, Judged, Sampled }

public enum Split { Train, HeldOut }

public sealed class ExampleFeedback
{
    public long ExampleId { get; init; }

    public required Guid FeedbackId { get; init; }
}

/// <summary>A verdict of the gate on one measure.</summary>
public sealed class EvaluationRow
{
    public long Id { get; init; }

    public required Guid TurnId { get; init; }

    public required string Champion { get; init; }

    public required string Candidate { get; init; }

    public required string Rule { get; init; }

    public double ChampionValue { get; init; }

    public double CandidateValue { get; init; }

    /// <summary>Improvement (positive is better), with its 95% interval.</summary>
    public double Observed { get; init; }

    public double Low { get; init; }

    public double High { get; init; }

    public double Threshold { get; init; }

    /// <summary>Null of a measure that is told but not judged.</summary>
    public bool? Passed { get; init; }
}

/// <summary>From this moment a model was the champion. The last row says what the next start serves.</summary>
public sealed class ReleaseRow
{
    public long Id { get; init; }

    public required DateTimeOffset Time { get; init; }

    public required string ModelHash { get; init; }

    /// <summary>The turn that promoted it; null when a person did.</summary>
    public Guid? TurnId { get; set; }

    public required string Reason { get; set; }
}

/// <summary>
/// From this moment a workspace is answered by a model of its own, made by a turn of its own: an adapter on the model that all share. The
/// last row of a workspace counts while its model's base is the champion.
/// </summary>
public sealed class WorkspaceReleaseRow
{
    public long Id { get; init; }

    public required string Workspace { get; init; }

    public required DateTimeOffset Time { get; init; }

    /// <summary>Base and adapter as one model, whose manifest names both; null: the model that all share.</summary>
    public string? ModelHash { get; set; }

    /// <summary>The turn that promoted it; null when a person did.</summary>
    public Guid? TurnId { get; init; }

    public required string Reason { get; set; }
}

/// <summary>One revolution: curate, train, gate, promote. Each step that is done is in its row, so that a killed turn goes on.</summary>
public sealed class TurnRow
{
    public required Guid Id { get; init; }

    /// <summary>1, 2, 3, ...</summary>
    public required int Number { get; init; }

    public required DateTimeOffset Started { get; init; }

    public DateTimeOffset? Ended { get; set; }

    /// <summary>Whose feedback it learns from and whom its candidate is for: the default one's turns are those of the model that all
    /// share.</summary>
    public string Workspace { get; init; } = WorkspaceRow.Default;

    public TurnState State { get; set; }

    /// <summary>Hash of the model that it started from.</summary>
    public required string Champion { get; init; }

    /// <summary>Its recipe as YAML, with full paths: a turn that is gone on with ends as it began.</summary>
    public required string Recipe { get; init; }

    /// <summary>Feedback up to this sequence was looked at.</summary>
    public long FeedbackThrough { get; set; }

    /// <summary>Hash of the curated dataset.</summary>
    public string? Dataset { get; set; }

    /// <summary>Hash of the model that it trained.</summary>
    public string? Candidate { get; set; }

    /// <summary>Why it was promoted or rejected.</summary>
    public string? Reason { get; set; }
}

/// <summary>How far a turn is. Waiting: the candidate passed, and a person is asked whether it may be promoted.</summary>
public enum TurnState { Training, Evaluating, Waiting, Promoting, Promoted, Rejected }
