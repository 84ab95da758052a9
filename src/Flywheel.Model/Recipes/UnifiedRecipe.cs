namespace Flywheel.Model;

/// <summary>
/// The experiment on the claim that one model does many tasks: which tasks, by which metric, and within which margin, written down before
/// anything
/// is trained. Read from YAML by <see cref="Load"/>; <c>./flywheel experiment unified</c> runs it.
/// </summary>
public sealed record UnifiedRecipe
{
    public required string Name { get; init; }

    /// <summary>Of the tasks, each once.</summary>
    public required IReadOnlyList<UnifiedTask> Tasks { get; init; }

    /// <summary>Tasks on which the one model may be worse than its specialists by more than the margin before the claim fails.</summary>
    public int Exceptions { get; init; }

    /// <summary>One vocabulary for all arms; learnt from all tasks alike.</summary>
    public required TokenizerRecipe Tokenizer { get; init; }

    /// <summary>Longest document in tokens.</summary>
    public required int Context { get; init; }

    /// <summary>Of every arm; how long it trains follows from the tokens of a task.</summary>
    public required TrainRecipe Train { get; init; }

    /// <exception cref="FlywheelException">Missing, or not valid; the message names file, line and field.</exception>
    public static UnifiedRecipe Load(string path) =>
        Parse(File.Exists(path)
            ? Utf8File.ReadText(path) : throw new FlywheelException($"{path}: no such file; expected the recipe of an experiment (YAML)"),
            path);

    /// <exception cref="FlywheelException">Not valid; the message names source, line and field.</exception>
    public static UnifiedRecipe Parse(string yaml, string source) =>
        RecipeFile.Parse<UnifiedRecipe>(yaml, source, [], (recipe, where) => recipe.Validate(where), "experiment");

    private void Validate(Func<string, string> where)
    {
        var check = new RecipeCheck(where);
        check.That(Name.Length is > 0 and <= 60 && Name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'), "name", Name,
            "letters, digits, '-' and '_'");
        check.That(Tasks.Count >= 2, "tasks", Tasks.Count, "at least 2 tasks");
        for (int i = 0; i < Tasks.Count; i++)
        {
            check.That(Tasks.Take(i).All(other => other.Task != Tasks[i].Task), $"tasks[{i}].task", Tasks[i].Task, "each task once");
            check.OneOf($"tasks[{i}].metric", Tasks[i].Metric, TaskMetricNames.WithAnswer.ToArray());
            check.Positive($"tasks[{i}].margin", Tasks[i].Margin);
        }
        check.That(Exceptions >= 0 && Exceptions < Tasks.Count, "exceptions", Exceptions, $"a number from 0 to {Tasks.Count - 1}");
        check.AtLeast(16, "context", Context);
        Tokenizer.Validate(check);
        Train.Validate(check);
        check.State(Train.Lora is null, "train.lora", "given", "none: whole models are compared");
    }
}

/// <summary>One task of the experiment.</summary>
public sealed record UnifiedTask
{
    /// <summary>Its folder in tasks/.</summary>
    public required string Task { get; init; }

    /// <summary>One of its metrics, which decides.</summary>
    public required string Metric { get; init; }

    /// <summary>How much worse than a specialist still counts as equal, in the metric's unit: 0.01 is a point of a share, 1 a point of
    /// chrF.</summary>
    public required double Margin { get; init; }
}
