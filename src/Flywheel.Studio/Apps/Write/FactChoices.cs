using System.Text.Json;
using Flywheel.Loop.Ranking;

namespace Flywheel.Studio.Apps.Write;

/// <summary>How the facts of one brief are said where that was chosen: a line each, such as "hasA roof terrace". Text, so that two windows
/// merge it like the other fields.</summary>
internal static class FactChoices
{
    /// <summary>More than a person ever corrects; beyond it the oldest go.</summary>
    internal const int MaxKept = 500;

    /// <summary>The choices of a field's lines; a line that says no way is passed over.</summary>
    public static IEnumerable<FactCorrection> Parse(string forms) => forms.Split('\n').Select(line => line.Split(' ', 2))
        .Where(parts => parts.Length == 2)
        .Select(parts => Enum.TryParse(parts[0], ignoreCase: true, out FactWay way) && Enum.IsDefined(way)
            ? new FactCorrection(parts[1], way) : null).OfType<FactCorrection>();

    public static string Write(IEnumerable<FactCorrection> choices) =>
        string.Join('\n', choices.Select(choice => $"{JsonNamingPolicy.CamelCase.ConvertName(choice.Way.ToString())} {choice.Fact}"));

    /// <summary>The lines with one fact's choice in the place of its own before; those of facts that the brief has no longer go.</summary>
    public static string With(string forms, FactCorrection choice, IReadOnlyCollection<string> facts) =>
        Write([.. Parse(forms).Where(one => one.Fact != choice.Fact && facts.Contains(one.Fact)), choice]);
}

/// <summary>What a person's document of corrections says, the latest last.</summary>
internal sealed record KeptForms
{
    public List<FactCorrection> Facts { get; init; } = [];

    public static KeptForms Parse(string json) => JsonSerializer.Deserialize<KeptForms>(json, CopyJson.Options)!;

    public string ToJson() => JsonSerializer.Serialize(this, CopyJson.Options);

    public KeptForms With(FactCorrection correction) =>
        new() { Facts = [.. Facts.Where(one => one.Fact != correction.Fact).TakeLast(FactChoices.MaxKept - 1), correction] };
}
