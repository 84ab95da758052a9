using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.Apps.Write;

/// <summary>
/// What a brief begins with: a kind of text, fields, and for models that follow any order, the order itself. Each is a JSON file: those of
/// the
/// program beside this one, a person's own in the home's <c>templates/</c>, which win where the names are the same.
/// </summary>
/// <param name="Name">Of the file.</param>
/// <param name="Title">In English and, where it is given, Chinese.</param>
/// <param name="Kind">One of <see cref="Brief.Kinds"/>: how long it may be and how it is shown.</param>
/// <param name="Order">What the model is told instead of the kind's own order; empty: that one.</param>
/// <param name="Fields">Fields of the brief and what they begin with.</param>
public sealed record CopyTemplate(string Name, IReadOnlyDictionary<string, string> Title, string Kind, string Order,
    IReadOnlyDictionary<string, string> Fields)
{
    private const string Folder = "templates", ResourcePrefix = "templates/";

    private const int MaxTitle = 80, MaxOrder = 1000, MaxField = 4000, MaxBytes = 64 << 10;

    private static readonly string[] s_fields = ["name", "what", "facts", "audience", "tone", "length"], s_languages = ["en", "zh-CN"];

    private static readonly IReadOnlyList<CopyTemplate> s_shipped = ReadShipped();

    public string In(string language) => Title.GetValueOrDefault(language) ?? Title["en"];

    /// <summary>The model can do it: its kind of text, and where it has an order of its own, any order.</summary>
    internal bool IsFor(ServedModel model) =>
        CopyAbilities.Kinds(model).Contains(Kind) && (Order.Length == 0 || CopyAbilities.FollowsOrders(model))
        && (CopyAbilities.HasTones(model) || !Fields.ContainsKey("tone") && !Fields.ContainsKey("length"));

    /// <summary>The program's and the home's, by name.</summary>
    /// <param name="home">Where a person's own lie.</param>
    /// <param name="problem">Told of each file that is not valid; the others are there all the same.</param>
    public static IReadOnlyList<CopyTemplate> List(FlywheelHome home, Action<string>? problem = null)
    {
        var all = s_shipped.ToDictionary(template => template.Name, StringComparer.Ordinal);
        string folder = Path.Combine(home.Path, Folder);
        if (Directory.Exists(folder))
            foreach (string file in Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal))
                try
                {
                    string name = Path.GetFileNameWithoutExtension(file);
                    if (new FileInfo(file).Length > MaxBytes)
                        throw new FlywheelException($"{file}: has more than {MaxBytes >> 10} KB, expected a template");
                    all[name] = Parse(name, File.ReadAllText(file), file);
                }
                catch (Exception e) when (e is FlywheelException or IOException or UnauthorizedAccessException)
                {
                    problem?.Invoke(e is FlywheelException ? e.Message : $"{file}: {e.Message}");
                }
        return [.. all.Values.OrderBy(template => IndexOf(template.Kind)).ThenBy(template => template.Order.Length > 0)
            .ThenBy(template => template.Name, StringComparer.Ordinal)];
    }

    /// <exception cref="FlywheelException">It is no template; says which field, what it is and what was expected.</exception>
    public static CopyTemplate Parse(string name, string json, string source)
    {
        JsonObject root;
        try
        {
            root = JsonNode.Parse(json, documentOptions: new() { AllowDuplicateProperties = false,
                CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true }) as JsonObject
                ?? throw Wrong("", "no object", "an object with title, kind and, if wanted, order and fields");
            Known("", root, ["title", "kind", "order", "fields"]);
            JsonObject title = Object("title", root["title"], s_languages),
                given = root["fields"] is null ? [] : Object("fields", root["fields"], s_fields);
            var titles = title.ToDictionary(text => text.Key, text => Text($"title.{text.Key}", text.Value, MaxTitle),
                StringComparer.Ordinal);
            if (!titles.ContainsKey("en")) throw Wrong("title.en", "missing", "a text");
            string kind = Text("kind", root["kind"], 40);
            if (!Brief.Kinds.Contains(kind)) throw Wrong("kind", $"'{kind}'", NearestName.List(Brief.Kinds));
            var fields = given.ToDictionary(text => text.Key, text => Text($"fields.{text.Key}", text.Value, MaxField),
                StringComparer.Ordinal);
            OneOf(fields, "tone", WritePage.Tones);
            OneOf(fields, "length", WritePage.Lengths);
            return new(name, titles, kind, root["order"] is { } order ? Text("order", order, MaxOrder) : "", fields);
        }
        catch (JsonException e)
        {
            throw new FlywheelException($"{source}: is not valid JSON: {e.Message}", e);
        }

        JsonObject Object(string field, JsonNode? node, string[] known)
        {
            JsonObject read = node as JsonObject ?? throw Wrong(field, Shown(node), "an object of texts");
            Known(field + ".", read, known);
            return read;
        }

        void Known(string prefix, JsonObject read, string[] known)
        {
            foreach ((string field, _) in read)
                if (!known.Contains(field))
                    throw new FlywheelException($"{source}: field '{prefix}{field}' is unknown, expected {NearestName.List(known)}");
        }

        string Text(string field, JsonNode? node, int most)
        {
            if (node is not JsonValue value || !value.TryGetValue(out string? text) || text.Trim().Length == 0)
                throw Wrong(field, Shown(node), "a text that is not empty");
            return text.Trim().Length <= most
                ? text.Trim() : throw Wrong(field, $"{text.Trim().Length} characters long", $"at most {most}");
        }

        void OneOf(Dictionary<string, string> fields, string field, string[] known)
        {
            if (fields.TryGetValue(field, out string? value) && !known.Contains(value))
                throw Wrong($"fields.{field}", $"'{value}'", NearestName.List(known));
        }

        FlywheelException Wrong(string field, string value, string expected) =>
            new(field.Length == 0
                ? $"{source}: is {value}, expected {expected}" : $"{source}: field '{field}' is {value}, expected {expected}");

        static string Shown(JsonNode? node) =>
            node?.ToJsonString() is not { } text ? "missing" : text.Length <= 80 ? text : text[..77] + "...";
    }

    private static int IndexOf(string kind) => Brief.Kinds.ToList().IndexOf(kind);

    private static List<CopyTemplate> ReadShipped()
    {
        Assembly assembly = typeof(CopyTemplate).Assembly;
        List<CopyTemplate> templates = [];
        foreach (string resource in assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(ResourcePrefix, StringComparison.Ordinal)))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            templates.Add(Parse(Path.GetFileNameWithoutExtension(resource), reader.ReadToEnd(), resource));
        }
        return templates;
    }
}
