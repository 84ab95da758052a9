namespace Flywheel.Model;

/// <summary>What the owner of a home has switched on: <c>settings.yaml</c> in it.</summary>
public sealed record HomeSettings
{
    public const string FileName = "settings.yaml";

    /// <summary>Turns learn only from what a reviewer let in.</summary>
    public bool RequireReview { get; init; }

    /// <summary>How long the record keeps texts; none: for ever.</summary>
    public IReadOnlyList<RetentionRule> Retention { get; init; } = [];

    /// <summary>Of a home without the file: nothing.</summary>
    /// <exception cref="FlywheelException">The file is not valid; the message names line and field.</exception>
    public static HomeSettings Read(FlywheelHome home)
    {
        string path = Path.Combine(home.Path, FileName);
        return !File.Exists(path) ? new() : RecipeFile.Parse<HomeSettings>(Utf8File.ReadText(path), path, [], (settings, where) =>
        {
            foreach ((int index, RetentionRule rule) in settings.Retention.Index())
                if (rule.Days is not (> 0 and <= RetentionRule.MaxDays))
                    throw new FlywheelException(
                        $"{where($"retention[{index}].days")}: field 'retention[{index}].days' is {rule.Days}, expected 1 to {RetentionRule.MaxDays}");
            if (settings.Retention.GroupBy(rule => rule.App).FirstOrDefault(group => group.Count() > 1) is { } twice)
                throw new FlywheelException(
                    $"{where("retention")}: field 'retention' has {(twice.Key.Length == 0 ? "all applications" : $"'{twice.Key}'")} twice, expected one rule for each");
        }, "settings");
    }

    /// <summary>Whole or not at all.</summary>
    public void Write(FlywheelHome home) => AtomicFile.WriteText(Path.Combine(home.Path, FileName), RecipeFile.Serialize(this));
}

/// <summary>How long texts of an application stay in the record.</summary>
public sealed record RetentionRule
{
    public const int MaxDays = 36_500;

    /// <summary>Such as <c>chat</c> or <c>tasks/translation</c>; empty: every one that has no rule of its own.</summary>
    public string App { get; init; } = "";

    public int Days { get; init; }
}
