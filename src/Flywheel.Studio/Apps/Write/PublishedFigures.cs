using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Write;

/// <summary>What was measured of the first model before it was published, as it lies beside it in <c>published.json</c>: shares of first
/// descriptions, unranked.</summary>
/// <param name="Model">Hash of the model that was measured.</param>
/// <param name="Briefs">On so many that neither training nor any choice looked at.</param>
/// <param name="NameExact">Have the name as the brief writes it.</param>
/// <param name="FactRestated">Say one of the brief's facts.</param>
/// <param name="SomethingForeign">Name somebody or some number that the brief does not.</param>
internal sealed record PublishedFigures(string Model, int Briefs, double NameExact, double FactRestated, double SomethingForeign)
{
    public const string FileName = "published.json";

    private static readonly JsonSerializerOptions s_options = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Of that model; null when none are published.</summary>
    public static PublishedFigures? Of(string hash) =>
        ModelCatalog.Starter is { } folder && Path.Combine(folder, FileName) is var file && File.Exists(file)
        && JsonSerializer.Deserialize<PublishedFigures>(File.ReadAllText(file), s_options) is { } figures && figures.Model == hash
        ? figures : null;
}
