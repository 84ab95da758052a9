using Flywheel.Model;

namespace Flywheel.Studio.Pages;

/// <summary>The fields of the page's form as they are typed, and what is wrong with them.</summary>
internal sealed class BriefForm
{
    private const int MaxLine = 200, MaxFacts = 12;

    public string Name { get; set; } = "";

    public string Kind { get; set; } = Brief.Tagline;

    /// <summary>One a line.</summary>
    public string Facts { get; set; } = "";

    /// <summary>Separated by commas.</summary>
    public string Categories { get; set; } = "";

    public string Audience { get; set; } = "";

    public string? NameError { get; private set; }

    public string? FactsError { get; private set; }

    public string? OtherError { get; private set; }

    public static BriefForm Example() => new()
    {
        Name = "Lanternfish",
        Kind = Brief.Tagline,
        Facts = "organizes photos by place and date\nworks without an internet connection\nedits raw files from most cameras",
        Categories = "Graphics, Photography",
        Audience = "photographers",
    };

    /// <summary>The brief, or null when a field is wrong; then the errors say what to do.</summary>
    public Brief? Read()
    {
        string[] facts = [.. Lines(Facts, '\n')];
        string[] categories = [.. Lines(Categories, ',')];
        string name = Name.Trim(), audience = Audience.Trim();
        NameError = name.Length == 0 ? "Give the product a name." : name.Length > 80 ? "Keep the name under 80 characters." : null;
        FactsError = facts.Length > MaxFacts ? $"Keep to {MaxFacts} facts; there are {facts.Length}."
            : facts.FirstOrDefault(fact => fact.Length > MaxLine) is { } wordy ? $"Shorten “{wordy[..40]}…”: a fact has at most {MaxLine} characters." : null;
        OtherError = audience.Length > MaxLine || categories.Sum(category => category.Length) > MaxLine ? $"Keep audience and categories under {MaxLine} characters." : null;
        return NameError is null && FactsError is null && OtherError is null ? new Brief(name, Kind, facts, categories, audience) : null;
    }

    // A person may type the dash that the model would see twice.
    private static IEnumerable<string> Lines(string text, char separator) =>
        text.Split(separator).Select(line => line.Trim().TrimStart('-', '•', '*').Trim()).Where(line => line.Length > 0);
}
