using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Flywheel.Model;

/// <summary>
/// README.md of a model folder, as hubs expect it: fields in YAML between two lines of dashes, then text. Written from the
/// manifest, so that it says what is known and nothing else.
/// </summary>
public static partial class ModelCard
{
    public const string File = "README.md";

    public static string Render(ModelManifest manifest, ModelConfig config)
    {
        var card = new StringBuilder();
        string name = manifest.Name.Length > 0 ? manifest.Name : manifest.Hash[..12];
        card.Append("---\n");
        // Hubs know "other" as: read what is written below.
        card.Append(CultureInfo.InvariantCulture, $"license: {Quote(manifest.Licence ?? "other")}\n");
        card.Append("library_name: transformers\npipeline_tag: text-generation\ntags:\n- flywheel\n");
        if (HubName(manifest.Source) is { } hub) card.Append(CultureInfo.InvariantCulture, $"base_model: {Quote(hub)}\n");
        card.Append("---\n\n");

        card.Append(CultureInfo.InvariantCulture, $"# {name}\n\n");
        card.Append(CultureInfo.InvariantCulture, $"A {config.ModelType} decoder of {config.NumParameters:N0} parameters: {config.NumLayers} layers, width {config.HiddenSize}, ");
        card.Append(CultureInfo.InvariantCulture, $"{config.NumHeads} heads ({config.NumKvHeads} for keys and values), vocabulary {config.VocabSize:N0}, texts of up to {config.MaxPositions:N0} tokens. ");
        card.Append(CultureInfo.InvariantCulture, $"Content hash `{manifest.Hash}`.\n\n");

        card.Append("## Intended use\n\n");
        card.Append(manifest.Source is null
            ? "What its training data is about; it was trained for the application of those who made it. Nothing is claimed for other uses.\n\n"
            : "That of the model that it was imported from; its own card says more.\n\n");

        card.Append("## Data\n\n");
        card.Append(manifest switch
        {
            { Dataset: { } dataset } => $"Trained on the tokenised dataset `{dataset}`; its report lists sources, what was dropped and why.\n\n",
            { Source: { } source } => $"Not trained here. Imported from `{source}`, whose card describes its data.\n\n",
            _ => "The manifest names no dataset.\n\n",
        });

        card.Append("## Evaluation\n\n");
        if (manifest.Evaluation.Count == 0) card.Append("None recorded.\n\n");
        else
        {
            card.Append("| figure | value |\n|---|---:|\n");
            foreach ((string figure, double value) in manifest.Evaluation.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                card.Append(CultureInfo.InvariantCulture, $"| {figure.Replace('_', ' ')} | {value:0.####} |\n");
            card.Append("\nLosses are in nats a token.\n\n");
        }

        card.Append("## Lineage\n\n| | |\n|---|---|\n");
        foreach ((string what, string? value) in new[] { ("imported from", manifest.Source), ("parent", manifest.Parent), ("run", manifest.Run), ("dataset", manifest.Dataset) })
            if (value is not null) card.Append(CultureInfo.InvariantCulture, $"| {what} | `{value}` |\n");
        card.Append(CultureInfo.InvariantCulture, $"| created | {manifest.Created:yyyy-MM-dd} |\n\n");

        card.Append("## Licence\n\n");
        card.Append(manifest.Licence is { } licence
            ? $"`{licence}`, {(manifest.Source is null ? "as recorded with its parent" : "as its source states")}. Check the terms there before you pass the weights on.\n"
            : "None is recorded. Who passes the weights on must know the terms of the data and of the models that they come from.\n");
        return card.ToString();
    }

    /// <summary>The licence that a card's front matter names: license_name where license is "other"; null when there is none.</summary>
    internal static string? ReadLicence(string card)
    {
        if (FrontMatter().Match(card) is not { Success: true } front) return null;
        string? Field(string name) => Regex.Match(front.Groups[1].Value, $@"^{name}:[ \t]*(?:['""]?)([^'""\r\n#]+?)(?:['""]?)[ \t\r]*$", RegexOptions.Multiline | RegexOptions.CultureInvariant) is { Success: true } match ? match.Groups[1].Value.Trim() : null;
        string? licence = Field("license");
        return licence is null or "other" ? Field("license_name") ?? licence : licence;
    }

    /// <summary><c>owner/name</c> of <c>hf:owner/name@revision</c>.</summary>
    private static string? HubName(string? source) => source?.StartsWith("hf:", StringComparison.Ordinal) == true ? source[3..].Split('@')[0] : null;

    /// <summary>Any text as a YAML scalar.</summary>
    private static string Quote(string text) => Plain().IsMatch(text) ? text : $"'{text.Replace("'", "''", StringComparison.Ordinal).ReplaceLineEndings(" ")}'";

    [GeneratedRegex(@"\A\uFEFF?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\z)", RegexOptions.Singleline | RegexOptions.CultureInvariant)]
    private static partial Regex FrontMatter();

    [GeneratedRegex(@"\A[A-Za-z][A-Za-z0-9./_-]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Plain();
}
