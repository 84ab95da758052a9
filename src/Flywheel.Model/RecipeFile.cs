using System.Reflection;
using System.Runtime.CompilerServices;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace Flywheel.Model;

/// <summary>
/// Reads recipes. The records of <see cref="Recipe"/> are the schema: an unknown field is refused with its line and the
/// nearest valid name, a missing or mistyped one with its name and what was expected.
/// </summary>
public static class RecipeFile
{
    /// <param name="path">A YAML file.</param>
    /// <param name="overrides">Such as <c>train.steps=100</c>; they replace what the file says.</param>
    /// <exception cref="FlywheelException">The file is missing or the recipe is invalid.</exception>
    public static Recipe Load(string path, params IReadOnlyList<string> overrides)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected a recipe");
        return Parse(File.ReadAllText(path), path, overrides);
    }

    /// <param name="yaml">The text of a recipe.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <param name="overrides">Such as <c>train.steps=100</c>.</param>
    public static Recipe Parse(string yaml, string source, params IReadOnlyList<string> overrides)
    {
        var stream = new YamlStream();
        try
        {
            stream.Load(new StringReader(yaml));
        }
        catch (YamlException e)
        {
            throw new FlywheelException($"{source} line {e.Start.Line}: not valid YAML: {e.Message}", e);
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException) // the scanner's way to refuse some broken input
        {
            throw new FlywheelException($"{source}: not valid YAML", e);
        }
        if (stream.Documents.Count != 1 || stream.Documents[0].RootNode is not YamlMappingNode root) throw new FlywheelException($"{source}: expected the fields of a recipe");
        foreach (string text in overrides) Override(root, text);
        var recipe = (Recipe)Read(root, typeof(Recipe), "", source)!;
        Validate(recipe, source);
        return recipe;
    }

    /// <summary>YAML that parses to an equal recipe; defaults are left out.</summary>
    public static string ToYaml(Recipe recipe) => new SerializerBuilder()
        .WithNamingConvention(UnderscoredNamingConvention.Instance)
        .ConfigureDefaultValuesHandling(DefaultValuesHandling.OmitNull)
        .WithNewLine("\n")
        .Build()
        .Serialize(recipe);

    private static void Override(YamlMappingNode root, string text)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0) throw new FlywheelException($"'{text}' is no override, expected field=value such as train.steps=100");
        string[] names = text[..equals].Split('.');
        YamlMappingNode node = root;
        foreach (string name in names.SkipLast(1))
        {
            if (!node.Children.TryGetValue(name, out YamlNode? child)) node.Add(name, child = new YamlMappingNode());
            node = child as YamlMappingNode ?? throw new FlywheelException($"'{text}': '{name}' holds no fields");
        }
        node.Children[names[^1]] = new YamlScalarNode(text[(equals + 1)..]);
    }

    private static object? Read(YamlNode node, Type type, string field, string source)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>)) return ReadList(node, type.GenericTypeArguments[0], field, source);
        if (type != typeof(string) && type.IsClass) return ReadRecord(node, type, field, source);
        if (node is not YamlScalarNode { Value: { } text } scalar) throw Wrong("fields or a list");
        if (type == typeof(string)) return scalar.Style == ScalarStyle.Plain && text is "" or "~" or "null" ? null : text;
        if (type == typeof(int)) return int.TryParse(text, out int whole) ? whole : throw Wrong($"'{text}'");
        if (type == typeof(bool)) return bool.TryParse(text, out bool flag) ? flag : throw Wrong($"'{text}'");
        if (!double.TryParse(text, out double number) || !double.IsFinite(number)) throw Wrong($"'{text}'");
        return type == typeof(float) ? (object)(float)number : number;

        FlywheelException Wrong(string found)
        {
            string expected = type == typeof(int) ? "a whole number" : type == typeof(bool) ? "true or false" : type == typeof(string) ? "a text" : "a number";
            return new FlywheelException($"{source} line {node.Start.Line}: field '{field}' is {found}, expected {expected}");
        }
    }

    private static Array ReadList(YamlNode node, Type element, string field, string source)
    {
        if (node is not YamlSequenceNode items) throw new FlywheelException($"{source} line {node.Start.Line}: field '{field}' is not a list (each entry starts with '-')");
        var list = Array.CreateInstance(element, items.Children.Count);
        for (int i = 0; i < list.Length; i++) list.SetValue(Read(items.Children[i], element, $"{field}[{i}]", source), i);
        return list;
    }

    private static object ReadRecord(YamlNode node, Type type, string field, string source)
    {
        if (node is not YamlMappingNode map) throw new FlywheelException($"{source} line {node.Start.Line}: field '{field}' holds no fields");
        var properties = type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.SetMethod is not null)
            .ToDictionary(property => UnderscoredNamingConvention.Instance.Apply(property.Name));
        object record = Activator.CreateInstance(type)!; // with the record's defaults; `required` binds the compiler, not reflection
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach ((YamlNode key, YamlNode value) in map.Children)
        {
            string name = key is YamlScalarNode { Value: { } text } ? text : throw new FlywheelException($"{source} line {key.Start.Line}: expected a field name");
            if (!properties.TryGetValue(name, out PropertyInfo? property))
                throw new FlywheelException($"{source} line {key.Start.Line}: unknown field '{Join(field, name)}'{NearestName.Hint(name, properties.Keys)}");
            seen.Add(name);
            property.SetValue(record, Read(value, property.PropertyType, Join(field, name), source));
        }
        string? missing = properties.Where(pair => pair.Value.IsDefined(typeof(RequiredMemberAttribute)) && !seen.Contains(pair.Key)).Select(pair => pair.Key).FirstOrDefault();
        if (missing is not null) throw new FlywheelException($"{source}: field '{Join(field, missing)}' is missing");
        return record;

        static string Join(string parent, string name) => parent.Length == 0 ? name : $"{parent}.{name}";
    }

    private static void Validate(Recipe recipe, string source)
    {
        TrainRecipe train = recipe.Train;
        OneOf("train.objective", train.Objective, "next-token", "supervised", "preference");
        OneOf("train.save", train.Save, "float32", "bfloat16");
        foreach (SourceRecipe data in recipe.Data) OneOf("data.as", data.As, "text", "copy");
        if (train.Epochs > 0 == train.Steps > 0) throw new FlywheelException($"{source}: train.epochs is {train.Epochs} and train.steps is {train.Steps}, expected exactly one of them above 0");
        Require("train.batch_tokens", train.BatchTokens, train.BatchTokens >= 1, "1 or more");
        Require("train.micro_tokens", train.MicroTokens, train.MicroTokens >= 1 && train.MicroTokens <= train.BatchTokens, "between 1 and batch_tokens");
        Require("train.learning_rate", train.LearningRate, train.LearningRate > 0, "above 0");
        Require("train.warmup", train.Warmup, train.Warmup is >= 0 and <= 1, "between 0 and 1");
        Require("train.warmdown", train.Warmdown, train.Warmdown is >= 0 and <= 1, "between 0 and 1");
        Require("train.final_rate", train.FinalRate, train.FinalRate is >= 0 and <= 1, "between 0 and 1");
        Require("train.weight_decay", train.WeightDecay, train.WeightDecay >= 0, "0 or more");
        Require("train.beta1", train.Beta1, train.Beta1 is >= 0 and < 1, "at least 0 and below 1");
        Require("train.beta2", train.Beta2, train.Beta2 is >= 0 and < 1, "at least 0 and below 1");
        Require("train.clip_norm", train.ClipNorm, train.ClipNorm >= 0, "0 or more");
        Require("train.dpo_beta", train.DpoBeta, train.DpoBeta > 0, "above 0");
        Require("train.dpo_supervised", train.DpoSupervised, train.DpoSupervised >= 0, "0 or more");
        Require("train.checkpoint_seconds", train.CheckpointSeconds, train.CheckpointSeconds > 0, "above 0");
        Require("train.evaluate_every", train.EvaluateEvery, train.EvaluateEvery >= 1, "1 or more");
        if (recipe.Base is not null && (recipe.Tokenizer is not null || recipe.Model is not null)) throw new FlywheelException($"{source}: base is given, so tokenizer and model come from it; leave them out");

        void OneOf(string field, string value, params string[] valid)
        {
            if (!valid.Contains(value)) throw new FlywheelException($"{source}: field '{field}' is '{value}'{NearestName.Hint(value, valid)}");
        }
        void Require(string field, double value, bool holds, string expected)
        {
            if (!holds) throw new FlywheelException($"{source}: field '{field}' is {value}, expected {expected}");
        }
    }
}
