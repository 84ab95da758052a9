using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;
using YamlDotNet.Serialization;

namespace Flywheel.Model;

/// <summary>Reads recipes; an unknown field is refused with its line and the nearest valid name.</summary>
/// <remarks>
/// The records in Recipe.cs are the schema: keys are their properties in snake_case. YamlDotNet parses; the mapping is
/// ours because its own cannot say where and what.
/// </remarks>
public static class RecipeFile
{
    /// <param name="path">A YAML file.</param>
    /// <param name="overrides">Such as <c>train.steps=100</c>; they replace what the file says.</param>
    /// <exception cref="FlywheelException">Missing, or not a valid recipe; the message names file, line and field.</exception>
    public static Recipe Load(string path, params IReadOnlyList<string> overrides) => Parse(Read(path), path, overrides);

    /// <summary>The same for the recipe of a turn.</summary>
    /// <exception cref="FlywheelException">Missing, or not a valid recipe; the message names file, line and field.</exception>
    public static TurnRecipe LoadTurn(string path, params IReadOnlyList<string> overrides) => ParseTurn(Read(path), path, overrides);

    /// <summary>The same for the recipe of a turn.</summary>
    /// <exception cref="FlywheelException">Not a valid recipe; the message names source, line and field.</exception>
    public static TurnRecipe ParseTurn(string yaml, string source, params IReadOnlyList<string> overrides) =>
        Parse<TurnRecipe>(yaml, source, overrides, (recipe, where) => recipe.Validate(where));

    /// <param name="yaml">The text.</param>
    /// <param name="source">Names the text in errors.</param>
    /// <param name="overrides">Such as <c>train.steps=100</c>.</param>
    /// <exception cref="FlywheelException">Not a valid recipe; the message names source, line and field.</exception>
    public static Recipe Parse(string yaml, string source, params IReadOnlyList<string> overrides) =>
        Parse<Recipe>(yaml, source, overrides, (recipe, where) => recipe.Validate(where));

    /// <summary>YAML that parses to an equal recipe.</summary>
    public static string ToYaml(Recipe recipe) => Serialize(recipe);

    /// <summary>The same for the recipe of a turn.</summary>
    public static string ToYaml(TurnRecipe recipe) => Serialize(recipe);

    /// <summary>Every field that has a value, by its path, such as <c>train.steps</c> or <c>data[0].source</c>.</summary>
    public static Dictionary<string, string> Fields(Recipe recipe)
    {
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        Add(ToNode(recipe)!, "");
        return fields;

        void Add(YamlNode node, string path)
        {
            if (node is YamlMappingNode mapping)
                foreach ((YamlNode key, YamlNode value) in mapping.Children) Add(value, path.Length > 0 ? $"{path}.{key}" : $"{key}");
            else if (node is YamlSequenceNode sequence)
                for (int i = 0; i < sequence.Children.Count; i++) Add(sequence.Children[i], $"{path}[{i}]");
            else fields[path] = $"{node}";
        }
    }

    private static string Read(string path) =>
        File.Exists(path) ? Utf8File.ReadText(path) : throw new FlywheelException($"{path}: no such file; expected a recipe (YAML)");

    internal static string Serialize(object recipe) => new SerializerBuilder().WithNewLine("\n").Build().Serialize(ToNode(recipe)!);

    /// <summary>Any record of such a file: <paramref name="validate"/> is told how to name the place of a field.</summary>
    /// <param name="yaml">The text.</param>
    /// <param name="source">Names the text in errors.</param>
    /// <param name="overrides">Such as <c>train.steps=100</c>.</param>
    /// <param name="validate">Refuses values that contradict each other.</param>
    /// <param name="what">What such a file is called in errors.</param>
    internal static T Parse<T>(string yaml, string source, IReadOnlyList<string> overrides, Action<T, Func<string, string>> validate,
        string what = "recipe")
    {
        var stream = new YamlStream();
        try
        {
            CheckDepth(yaml, source, what);
            stream.Load(new StringReader(yaml));
        }
        catch (YamlException e)
        {
            throw new FlywheelException($"{source} line {e.Start.Line}: not valid YAML: {e.InnerException?.Message ?? e.Message}", e);
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException) // the scanner's way to refuse some broken input
        {
            throw new FlywheelException($"{source}: not valid YAML: {e.Message}", e);
        }
        if (stream.Documents.Count != 1 || stream.Documents[0].RootNode is not YamlMappingNode root)
            throw new FlywheelException($"{source}: expected the fields of one {what}");
        foreach (string text in overrides) Override(root, text);
        var reader = new Reader(source, overrides);
        var recipe = (T)reader.Read(root, typeof(T), "");
        validate(recipe, reader.Where);
        return recipe;
    }

    /// <summary>The parser recurses; a file of brackets must not overflow the stack.</summary>
    private static void CheckDepth(string yaml, string source, string what)
    {
        const int MaxDepth = 32;
        var parser = new Parser(new StringReader(yaml));
        for (int depth = 0; parser.MoveNext();)
        {
            depth += parser.Current!.NestingIncrease;
            if (depth > MaxDepth)
                throw new FlywheelException(
                    $"{source} line {parser.Current.Start.Line}: nested more than {MaxDepth} levels deep, expected a {what}");
        }
    }

    private static void Override(YamlMappingNode root, string text)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0) throw new FlywheelException($"'{text}' is no override, expected field=value such as train.steps=100");
        string[] names = text[..equals].Split('.');
        YamlMappingNode node = root;
        foreach (string name in names.SkipLast(1))
        {
            if (!node.Children.TryGetValue(name, out YamlNode? child)) node.Add(name, child = new YamlMappingNode());
            node = child as YamlMappingNode ?? throw new FlywheelException($"override '{text}': '{name}' holds no fields");
        }
        node.Children[names[^1]] = new YamlScalarNode(text[(equals + 1)..]) { Style = ScalarStyle.Plain };
    }

    private static string Key(PropertyInfo property) =>
        property.GetCustomAttribute<JsonPropertyNameAttribute>()?.Name ?? JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name);

    private static IEnumerable<PropertyInfo> Fields(Type record) =>
        record.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.CanWrite);

    private static bool IsRecord(Type type) => type.IsClass && type != typeof(string) && !type.IsAssignableTo(typeof(IEnumerable));

    /// <summary>The element type of a list field, else null.</summary>
    private static Type? Element(Type type) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) ? type.GetGenericArguments()[0] : null;

    /// <summary>Texts by names that the file chooses.</summary>
    private static bool IsTexts(Type type) => type == typeof(IReadOnlyDictionary<string, string>);

    private static YamlNode? ToNode(object? value) => value switch
    {
        null => null,
        IReadOnlyDictionary<string, string> texts =>
            new YamlMappingNode(texts.Select(pair => KeyValuePair.Create(ToNode(pair.Key)!, ToNode(pair.Value)!))),
        string text => new YamlScalarNode(text) { Style = IsPlain(text) ? ScalarStyle.Plain : ScalarStyle.DoubleQuoted },
        bool flag => new YamlScalarNode(flag ? "true" : "false"),
        IFormattable number => new YamlScalarNode(number.ToString(null, CultureInfo.InvariantCulture)),
        IEnumerable list => new YamlSequenceNode(list.Cast<object>().Select(item => ToNode(item)!)),
        _ => new YamlMappingNode(Fields(value.GetType()).Select(field => (Key: Key(field), Node: ToNode(field.GetValue(value))))
            .Where(pair => pair.Node is not null)
            .Select(pair => KeyValuePair.Create<YamlNode, YamlNode>(new YamlScalarNode(pair.Key), pair.Node!))),
    };

    /// <summary>Whether a text is certain to be read back as itself without quotes.</summary>
    private static bool IsPlain(string text) =>
        text is not ("" or "null" or "Null" or "NULL") && char.IsAsciiLetterOrDigit(text[0])
            && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/');

    private sealed class Reader(string source, IReadOnlyList<string> overrides)
    {
        private readonly Dictionary<string, long> _lines = [];

        /// <summary>"file line N" of a field, or of what holds it where it is absent; or the override that gave it.</summary>
        public string Where(string field)
        {
            if (overrides.FirstOrDefault(text => text.StartsWith(field + "=", StringComparison.Ordinal)) is { } given)
                return $"override '{given}'";
            while (field.Length > 0 && !_lines.ContainsKey(field)) field = field[..Math.Max(0, field.LastIndexOfAny(['.', '[']))];
            return field.Length > 0 ? $"{source} line {_lines[field]}" : source;
        }

        public object Read(YamlNode node, Type type, string field)
        {
            _lines[field] = node.Start.Line;
            type = Nullable.GetUnderlyingType(type) ?? type;
            if (Element(type) is { } element) return ReadList(node, element, field);
            if (IsTexts(type)) return ReadTexts(node, field);
            if (IsRecord(type)) return ReadRecord(node, type, field);
            if (node is not YamlScalarNode { Value: { } text } scalar) throw Wrong(node, field, Expected(type));
            bool plain = scalar.Style is ScalarStyle.Plain;
            object? value = null;
            if (type == typeof(string)) value = plain && text is "" or "~" or "null" ? null : text;
            else if (!plain) throw Wrong(node, field, Expected(type));
            else if (type == typeof(bool)) value = text switch { "true" => true, "false" => false, _ => null };
            else if (type == typeof(int))
                value = int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int whole) ? whole : null;
            else if (type == typeof(float))
                value = float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out float single) && float.IsFinite(single)
                    ? single : null;
            else if (type == typeof(double))
                value = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
                    && double.IsFinite(number) ? number : null;
            else throw new NotSupportedException($"a recipe has no fields of type {type}");
            return value ?? throw Wrong(node, field, Expected(type));
        }

        private Array ReadList(YamlNode node, Type element, string field)
        {
            if (node is not YamlSequenceNode sequence) throw Wrong(node, field, "a list");
            var items = Array.CreateInstance(element, sequence.Children.Count);
            for (int i = 0; i < items.Length; i++) items.SetValue(Read(sequence.Children[i], element, $"{field}[{i}]"), i);
            return items;
        }

        private Dictionary<string, string> ReadTexts(YamlNode node, string field)
        {
            if (node is not YamlMappingNode mapping) throw Wrong(node, field, "texts by name");
            var texts = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach ((YamlNode key, YamlNode value) in mapping.Children)
            {
                string name = (key as YamlScalarNode)?.Value ?? throw Wrong(key, field, "texts by name");
                // a number without quotes is the text that it is written as
                _lines[$"{field}.{name}"] = value.Start.Line;
                texts[name] = value is YamlScalarNode { Value: { } text } ? text : throw Wrong(value, $"{field}.{name}", "a text");
            }
            return texts;
        }

        private object ReadRecord(YamlNode node, Type type, string field)
        {
            Dictionary<string, PropertyInfo> fields = Fields(type).ToDictionary(Key);
            if (node is not YamlMappingNode mapping) throw Wrong(node, field, $"fields such as {fields.Keys.First()}");
            object record = Activator.CreateInstance(type)!;
            foreach ((YamlNode keyNode, YamlNode value) in mapping.Children)
            {
                string key = (keyNode as YamlScalarNode)?.Value ?? keyNode.ToString();
                if (!fields.Remove(key, out PropertyInfo? property))
                {
                    _lines[Join(key)] = keyNode.Start.Line;
                    throw new FlywheelException(
                        $"{Where(Join(key))}: unknown field '{Join(key)}'{NearestName.Hint(key, [.. Fields(type).Select(Key)])}");
                }
                if (IsNull(value) && IsOptional(property)) continue;
                property.SetValue(record, Read(value, property.PropertyType, Join(key)));
            }
            string[] missing =
                [.. fields.Where(pair => pair.Value.IsDefined(typeof(RequiredMemberAttribute))).Select(pair => $"'{Join(pair.Key)}'")];
            if (missing.Length > 0)
                throw new FlywheelException(
                    $"{Where(field)}: {(missing.Length == 1 ? $"field {missing[0]} is" : $"fields {string.Join(", ", missing)} are")} missing");
            return record;

            string Join(string key) => field.Length > 0 ? $"{field}.{key}" : key;
        }

        private static bool IsNull(YamlNode node) =>
            node is YamlScalarNode { Style: ScalarStyle.Plain, Value: null or "" or "~" or "null" or "Null" or "NULL" };

        private static bool IsOptional(PropertyInfo property) =>
            new NullabilityInfoContext().Create(property).WriteState == NullabilityState.Nullable;

        private static string Expected(Type type) =>
            type == typeof(string) ? "a text" : type == typeof(bool) ? "true or false" : type == typeof(int)
                ? "a whole number" : "a number";

        private FlywheelException Wrong(YamlNode node, string field, string expected)
        {
            string given = node switch
            {
                YamlScalarNode { Value: null or "" } => "empty",
                YamlScalarNode { Style: ScalarStyle.Plain } scalar => $"'{scalar.Value}'",
                YamlScalarNode scalar => $"the text '{scalar.Value}'",
                YamlSequenceNode => "a list",
                _ => "a group of fields",
            };
            return new FlywheelException($"{Where(field)}: field '{field}' is {given}, expected {expected}");
        }
    }
}
