using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>
/// The files of a model folder beside config, weights and tokenizer: how it is prompted and sampled, and what its makers say
/// of it. They go along wherever a model goes: imported, exported, merged, trained further.
/// </summary>
internal static class ModelCompanions
{
    /// <summary>The card that a model from elsewhere came with.</summary>
    public const string SourceCard = "README.source.md";

    public const string GenerationFile = "generation_config.json";

    private const string SettingsFile = "tokenizer_config.json", SpecialsFile = "special_tokens_map.json",
        TemplateFile = "chat_template.jinja";

    /// <summary>Copies those that there are.</summary>
    public static void Copy(string from, string to)
    {
        foreach (string path in Directory.EnumerateFiles(from))
        {
            string name = Path.GetFileName(path);
            if (name is not (GenerationFile or SettingsFile or SpecialsFile or TemplateFile or SourceCard or PictureCodec.File)
                && !LicenceFile.IsOne(name)) continue;
            AtomicFile.Copy(path, Path.Combine(to, name));
        }
    }

    /// <summary>Reads those that there are.</summary>
    /// <exception cref="FlywheelException">One is malformed.</exception>
    public static void Check(string folder)
    {
        ReadTemplate(folder);
        ReadTokenNames(folder);
        ReadEnds(folder);
    }

    /// <summary>Writes what other software wants and is not there yet.</summary>
    /// <param name="folder">The model's.</param>
    /// <param name="config">The model's.</param>
    /// <param name="special">What the special tokens are for: <c>bos_token</c>, <c>eos_token</c>, ...</param>
    /// <param name="template">Chat template in Jinja, or null.</param>
    public static void Complete(string folder, ModelConfig config, IReadOnlyDictionary<string, string> special, string? template)
    {
        var end = new JsonArray([.. config.EosTokenIds.Select(id => JsonValue.Create(id))]);
        Write(GenerationFile, new JsonObject { ["bos_token_id"] = config.BosTokenId, ["eos_token_id"] = end, ["do_sample"] = true });

        var tokens = new JsonObject();
        foreach ((string role, string token) in special) tokens[role] = token;
        Write(SpecialsFile, tokens);

        JsonObject settings = tokens.DeepClone().AsObject();
        settings["add_prefix_space"] = false;
        settings["clean_up_tokenization_spaces"] = false;
        settings["model_max_length"] = config.MaxPositions;
        settings["tokenizer_class"] = "PreTrainedTokenizerFast";
        Write(SettingsFile, settings);

        if (template is not null && ReadTemplate(folder) is null) AtomicFile.WriteText(Path.Combine(folder, TemplateFile), template);

        void Write(string name, JsonObject json)
        {
            string path = Path.Combine(folder, name);
            if (!File.Exists(path)) AtomicFile.WriteText(path, json.ToJsonString(JsonText.Indented) + "\n");
        }
    }

    /// <summary>Says the chat template in tokenizer_config.json too: not everything that loads such folders reads
    /// chat_template.jinja.</summary>
    public static void RepeatTemplate(string folder)
    {
        string path = Path.Combine(folder, SettingsFile);
        JsonObject settings = ReadObject(path);
        if (settings["chat_template"] is not null || ReadTemplate(folder) is not { } template) return;
        settings["chat_template"] = template;
        AtomicFile.WriteText(path, settings.ToJsonString(JsonText.Indented) + "\n");
    }

    /// <summary>The folder's Jinja template: chat_template.jinja, or a field of tokenizer_config.json; null when it has none.</summary>
    /// <exception cref="FlywheelException">tokenizer_config.json is malformed.</exception>
    public static string? ReadTemplate(string folder)
    {
        string file = Path.Combine(folder, TemplateFile);
        if (File.Exists(file)) return Utf8File.ReadText(file);
        return ReadObject(Path.Combine(folder, SettingsFile))["chat_template"] switch
        {
            null => null,
            JsonValue one when one.TryGetValue(out string? template) => template,
            JsonArray many => Default(many),
            var other =>
                throw new FlywheelException(
                    $"{Path.Combine(folder, SettingsFile)}: field 'chat_template' is {Short(other)}, expected a text"),
        };
    }

    /// <summary>Some have several by name, of which 'default' is the one for all purposes.</summary>
    private static string? Default(JsonArray templates) =>
        templates.OfType<JsonObject>().FirstOrDefault(entry => entry["name"]?.ToString() == "default")?["template"]?.ToString();

    /// <summary>The names of a folder's chat templates, where it has several.</summary>
    public static IReadOnlyList<string> TemplateNames(string folder) =>
        ReadObject(Path.Combine(folder, SettingsFile))["chat_template"] is JsonArray many
            ? [.. many.OfType<JsonObject>().Select(entry => entry["name"]?.ToString() ?? "")] : [];

    /// <summary>What a template knows by name, such as <c>bos_token</c>.</summary>
    /// <exception cref="FlywheelException">A file is malformed.</exception>
    public static SortedDictionary<string, string> ReadTokenNames(string folder)
    {
        var names = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (string file in new[] { SpecialsFile, SettingsFile })
            foreach ((string name, JsonNode? value) in ReadObject(Path.Combine(folder, file)))
                if (name.EndsWith("_token", StringComparison.Ordinal) && ((value as JsonObject)?["content"] ?? value) is JsonValue token
                    && token.TryGetValue(out string? text)) names[name] = text;
        return names;
    }

    /// <summary>Ends of a text that only generation_config.json names: instruction-tuned models end a turn with another token than a
    /// text.</summary>
    /// <exception cref="FlywheelException">The file is malformed.</exception>
    public static IReadOnlyList<int> ReadEnds(string folder)
    {
        string path = Path.Combine(folder, GenerationFile);
        JsonNode? ends = ReadObject(path)["eos_token_id"];
        return ends switch
        {
            null => [],
            JsonArray many => [.. many.Select(Id)],
            _ => [Id(ends)],
        };

        int Id(JsonNode? node) =>
            node is JsonValue value && value.TryGetValue(out int id)
                ? id : throw new FlywheelException($"{path}: field 'eos_token_id' is {Short(ends)}, expected a token id or a list of them");
    }

    /// <summary>
    /// The chat template's part in the content hash: its text and the tokens that it names. Null for ChatML, the template of
    /// models that are made here, and for models without one.
    /// </summary>
    public static string? TemplateIdentity(string folder)
    {
        if (ReadTemplate(folder) is not { } template || template == ChatTemplate.Jinja) return null;
        var identity = new JsonArray(template);
        foreach ((string name, string token) in ReadTokenNames(folder))
            if (template.Contains(name, StringComparison.Ordinal)) identity.Add($"{name} {token}");
        return Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(identity, JsonText.Compact)));
    }

    /// <summary>A file's object; an empty one where there is no file.</summary>
    /// <exception cref="FlywheelException">It holds something else.</exception>
    public static JsonObject ReadObject(string path) => File.Exists(path) ? JsonText.ParseObject(File.ReadAllBytes(path), path) : [];

    private static string Short(JsonNode? node) =>
        node?.ToJsonString(JsonText.Compact) is { } text ? text.Length <= 80 ? text : text[..80] + "..." : "null";
}
