namespace Flywheel.Loop.Runs;

/// <summary>How large a run of the experiment is.</summary>
/// <param name="Parameters">Of the one model and of each specialist of the same size, about.</param>
/// <param name="Tokens">That each task is trained on in every arm, about.</param>
/// <param name="Seeds">1, 2, ... of weights and data order.</param>
/// <param name="Items">Held-out items of a task that are asked, at most.</param>
public sealed record UnifiedScale(double Parameters, long Tokens, int Seeds, int Items)
{
    /// <summary>Names the folder; seeds are not in it, since more of them are added to a run that is there.</summary>
    public string Name => $"{Amounts.Short(Parameters)}-{Amounts.Short(Tokens)}-{Items}";
}

/// <summary>Who is compared.</summary>
public enum UnifiedArm
{
    /// <summary>U: one model of all tasks.</summary>
    One,

    /// <summary>S: for each task a model of the same size.</summary>
    Specialist,

    /// <summary>s: for each task a model whose size is the one model's by the number of tasks.</summary>
    SmallSpecialist,

    /// <summary>C: what the task's file names as its baseline.</summary>
    Classical,
}

/// <summary>The part of a task's items that makes the wanted tokens: as a recipe's source says it.</summary>
public sealed record UnifiedPortion(string Task, double Share, int Repeat, long Tokens, int Items);
