using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Flywheel.Model;

/// <summary>
/// README.md of a model's or an adapter's folder, as hubs expect it: fields in YAML between two lines of dashes, then text.
/// Written from the manifest, so that it says what is known and nothing else.
/// </summary>
public static partial class ModelCard
{
    public const string File = "README.md";

    /// <param name="manifest">Origin, terms and figures.</param>
    /// <param name="config">The model's shape.</param>
    /// <param name="chats">It has a chat template.</param>
    /// <param name="licenceFile">Name of the file beside it with the terms, or null.</param>
    public static string Render(ModelManifest manifest, ModelConfig config, bool chats, string? licenceFile = null) =>
        Render(manifest, "transformers", [], licenceFile,
        string.Create(CultureInfo.InvariantCulture,
            $"A {config.ModelType} decoder of {config.NumParameters:N0} parameters: {config.NumLayers} layers, width {config.HiddenSize}, ")
        + string.Create(CultureInfo.InvariantCulture,
            $"{config.NumHeads} heads ({config.NumKvHeads} for keys and values), vocabulary {config.VocabSize:N0}, texts of up to {config.MaxPositions:N0} tokens. ")
        + (chats ? "It answers conversations, in the form of its chat template." : "It continues texts; it has no chat template."));

    /// <summary>The card of an adapter.</summary>
    /// <param name="manifest">Origin, terms and figures.</param>
    /// <param name="config">Its rank, its targets, its base.</param>
    public static string Render(ModelManifest manifest, AdapterConfig config) => Render(manifest, "peft", ["lora"], null,
        string.Create(CultureInfo.InvariantCulture,
            $"A low-rank adapter (LoRA) of {manifest.NumParameters:N0} parameters for the model `{config.Base}`: rank {config.Rank}, alpha {config.Alpha}, on {NearestName.List([.. config.TargetModules])}. It is nothing without that model."));

    private static string Render(ModelManifest manifest, string library, IReadOnlyList<string> tags, string? licenceFile,
        string description)
    {
        var card = new StringBuilder();
        void Add(string text) => card.Append(text);
        string[] licences = [.. new[] { manifest.Licence, manifest.BaseLicence }.OfType<string>().Distinct()];
        Add("---\n");
        // Hubs know their own short names; "other" is: read what is written below.
        Add(licences is [var only] && LicenceId().IsMatch(only) ? $"license: {only}\n" : "license: other\n");
        if (licences.Length > 1 || licences is [var named] && !LicenceId().IsMatch(named))
            Add($"license_name: {Quote(string.Join(" and ", licences))}\n");
        bool isNamed = licences is [var one] && LicenceId().IsMatch(one);
        if (licenceFile is not null && !isNamed) Add($"license_link: {Quote(licenceFile)}\n");
        Add($"library_name: {library}\npipeline_tag: text-generation\ntags:\n- flywheel\n{string.Concat(tags.Select(tag => $"- {tag}\n"))}");
        if (HubName(manifest.Source ?? manifest.Origin) is { } hub) Add($"base_model: {Quote(hub)}\n");
        Add($"---\n\n# {(manifest.Name.Length > 0 ? manifest.Name : manifest.Hash[..12])}\n\n{description} Content hash `{manifest.Hash}`.\n\n");

        Add("## Intended use\n\n");
        Add(manifest switch
        {
            { IntendedUse: { } use } => $"{use.Trim()}\n\n",
            { Source: not null } =>
                $"That of the model that it was imported from{(manifest.Name.Length > 0 ? $", {manifest.Name}" : "")}; its own card says more.\n\n",
            { Origin: { } origin } => $"Not stated by those who trained it; `{origin}`, from which it was made, has a card of its own.\n\n",
            _ => "Not stated. It was trained for the application of those who made it; nothing is claimed for other uses.\n\n",
        });

        Add("## Data\n\n");
        Add(manifest switch
        {
            { Dataset: { } dataset, Parent: not null } =>
                $"Trained further on the tokenised dataset `{dataset}`; its report lists sources, what was dropped and why. What its parent learnt from, the parent's card says.\n\n",
            { Dataset: { } dataset } =>
                $"Trained on the tokenised dataset `{dataset}`; its report lists sources, what was dropped and why.\n\n",
            { Source: { } source } => $"Not trained here. Imported from `{source}`, whose card describes its data.\n\n",
            { Origin: { } origin } => $"Not trained here. Converted from `{origin}`, whose card describes its data.\n\n",
            _ => "The manifest names no dataset.\n\n",
        });

        Add("## Evaluation\n\n");
        if (manifest.Evaluation.Count == 0) Add("None recorded.\n\n");
        else
        {
            Add("| figure | value |\n|---|---:|\n");
            foreach ((string figure, double value) in manifest.Evaluation.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                Add(string.Create(CultureInfo.InvariantCulture, $"| {figure.Replace('_', ' ')} | {value:0.####} |\n"));
            Add("\nLosses are in nats a token: training of the last step, validation of what was held out from the same data.\n\n");
        }

        Add("## Lineage\n\n| | |\n|---|---|\n");
        foreach ((string what, string? value) in new[]
        {
            ("imported from", manifest.Source), ("first made from", manifest.Origin), ("parent", manifest.Parent),
            ("adapter, merged", manifest.Adapter), ("run", manifest.Run), ("dataset", manifest.Dataset),
        })
            if (value is not null) Add($"| {what} | `{value}` |\n");
        Add(string.Create(CultureInfo.InvariantCulture, $"| created | {manifest.Created:yyyy-MM-dd} |\n\n"));

        Add("## Licence\n\n");
        Add(manifest switch
        {
            { Licence: { } own, BaseLicence: { } terms }
                when own != terms =>
                $"`{own}` for what was trained here; the model that it was made from is under `{terms}`, which goes on to hold.\n",
            { Licence: { } terms, BaseLicence: not null } =>
                $"`{terms}`, the licence of the model that it was made from, which goes on to hold. Check its terms before you pass the weights on.\n",
            { Licence: { } terms } =>
                $"`{terms}`, as {(manifest.Source is null ? "its recipe" : "its source")} states. Check the terms before you pass the weights on.\n",
            _ when licenceFile is not null => "",
            _ => "None is recorded. Who passes the weights on must know the terms of the data and of the models that they come from.\n",
        });
        if (licenceFile is not null) Add($"The terms lie beside the weights: [{licenceFile}]({licenceFile}).\n");
        return card.ToString();
    }

    /// <summary>The licence that a card's front matter names: license_name where license is "other"; null when there is none.</summary>
    internal static string? ReadLicence(string card)
    {
        if (FrontMatter().Match(card) is not { Success: true } front) return null;
        string? Field(string name) =>
            Regex.Match(front.Groups[1].Value, $@"^{name}:[ \t]*(?:['""]?)([^'""\r\n#]+?)(?:['""]?)[ \t\r]*$",
                RegexOptions.Multiline | RegexOptions.CultureInvariant) is { Success: true } match ? match.Groups[1].Value.Trim() : null;
        string? licence = Field("license");
        return licence is null or "other" ? Field("license_name") ?? licence : licence;
    }

    /// <summary><c>owner/name</c> of <c>hf:owner/name@revision</c>.</summary>
    private static string? HubName(string? source) =>
        source?.StartsWith(HubReference.Scheme, StringComparison.Ordinal) == true
            ? source[HubReference.Scheme.Length..].Split('@')[0] : null;

    /// <summary>Any text as a YAML scalar.</summary>
    private static string Quote(string text) =>
        Plain().IsMatch(text) ? text : $"'{text.Replace("'", "''", StringComparison.Ordinal).ReplaceLineEndings(" ")}'";

    [GeneratedRegex(@"\A\uFEFF?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\z)", RegexOptions.Singleline | RegexOptions.CultureInvariant)]
    private static partial Regex FrontMatter();

    [GeneratedRegex(@"\A[A-Za-z][A-Za-z0-9./_-]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Plain();

    [GeneratedRegex(@"\A[a-z][a-z0-9.-]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex LicenceId();
}
