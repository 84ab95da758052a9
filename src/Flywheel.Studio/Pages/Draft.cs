namespace Flywheel.Studio.Pages;

public enum DraftState
{
    /// <summary>Tokens still arrive.</summary>
    Writing,

    /// <summary>Waits for the person's choice.</summary>
    Ready,

    Kept,

    Edited,

    Discarded,
}

/// <summary>One of the three texts on the page, and what the person has done with it.</summary>
public sealed class Draft(int number, Guid generation)
{
    public int Number => number;

    public Guid Generation => generation;

    /// <summary>What is shown: the model's text, or after an edit the person's.</summary>
    public string Text { get; set; } = "";

    /// <summary>What the model wrote.</summary>
    public string Written { get; set; } = "";

    public DraftState State { get; set; }

    public bool IsChosen => State is DraftState.Kept or DraftState.Edited;
}

/// <summary>What was asked for, and the three answers.</summary>
internal sealed record DraftSet(string Product, string Kind, IReadOnlyList<Draft> Drafts);
