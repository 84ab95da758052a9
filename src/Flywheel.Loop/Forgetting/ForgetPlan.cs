namespace Flywheel.Loop;

/// <summary>A turn that has to be done again because a person's acts are in it, or in an earlier one.</summary>
/// <param name="Id">Of the turn.</param>
/// <param name="Number">Of the turn.</param>
/// <param name="Dataset">Hash of what it had curated.</param>
/// <param name="Champion">Hash of the model that it started from.</param>
/// <param name="Candidate">Hash of what it trained, if it came so far.</param>
/// <param name="Released">The candidate was the champion at some time.</param>
/// <param name="Runs">Names of its runs.</param>
/// <param name="Made">Hashes of what they made, in that order.</param>
/// <param name="NumThreads">With which they trained.</param>
/// <param name="IsIncomplete">Retention has taken what it learnt from: it cannot be curated again.</param>
internal sealed record PlannedTurn(Guid Id, int Number, string? Dataset, string Champion, string? Candidate, bool Released,
    IReadOnlyList<string> Runs,
    IReadOnlyList<string> Made, int NumThreads, bool IsIncomplete = false);

/// <summary>A model that was touched: made by a planned turn, or from such a model.</summary>
/// <param name="Hash">Of the model.</param>
/// <param name="Path">Its folder, relative to the home.</param>
/// <param name="Parent">From which it was made.</param>
/// <param name="Learnt">It was trained with acts of the person.</param>
/// <param name="OfTurn">A turn made it; else a run by itself, or a merge.</param>
/// <param name="Merged">Of an adapter of a turn: the model that it and its base make, with which it is made again.</param>
internal sealed record PlannedModel(string Hash, string Path, string? Parent, bool Learnt, bool OfTurn, string? Merged = null);

/// <summary>What is to be done, found before anything is removed: afterwards the record does not tell any more.</summary>
internal sealed record ForgetPlan(IReadOnlyList<PlannedTurn> Turns, IReadOnlyList<PlannedModel> Models);

/// <summary>What forgetting a person would do, for whoever is asked to confirm it.</summary>
/// <param name="Counts">Rows of each kind that would be removed.</param>
/// <param name="Models">Hashes of models that were trained with the person's acts, or from such a model.</param>
/// <param name="Turns">Numbers of turns whose examples are curated again.</param>
/// <param name="Champion">The model that serves is among them.</param>
public sealed record ForgetPreview(IReadOnlyDictionary<string, int> Counts, IReadOnlyList<string> Models, IReadOnlyList<int> Turns,
    bool Champion)
{
    public bool IsEmpty => Counts.Values.Sum() == 0 && Models.Count == 0;
}
