using System.Text.Json;

namespace Flywheel.Model;

/// <summary>A value of a JSON file and the way to it, so that whatever is wrong with it can be named.</summary>
internal readonly struct JsonField(JsonElement value, string source, string path)
{
    public JsonElement Value => value;

    public string Path => path;

    /// <summary>A field that must be there and not be null.</summary>
    public JsonField this[string name] => Find(name) ?? throw new FlywheelException($"{source}: field '{Join(name)}' is missing");

    /// <summary>Null when the field is absent or null.</summary>
    public JsonField? Find(string name)
    {
        if (value.ValueKind != JsonValueKind.Object) throw Wrong("an object");
        return value.TryGetProperty(name, out JsonElement field) && field.ValueKind != JsonValueKind.Null
            ? new JsonField(field, source, Join(name)) : null;
    }

    public string Text() => value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong("a text");

    public int Number(int min, int max) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= min && number <= max
            ? number : throw Wrong($"a number from {min} to {max}");

    /// <summary>A flag, <paramref name="absent"/> where it is not given.</summary>
    public bool Flag(string name, bool absent = false) => Find(name) is not { } flag ? absent : flag.Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw flag.Wrong("true or false"),
    };

    public IEnumerable<JsonField> Items()
    {
        if (value.ValueKind != JsonValueKind.Array) throw Wrong("an array");
        JsonField array = this;
        return value.EnumerateArray().Select((item, i) => array.At(item, i));
    }

    /// <summary>An item of an array.</summary>
    public JsonField At(JsonElement item, int index) => new(item, source, $"{path}[{index}]");

    /// <summary>An entry of an object that is a table.</summary>
    public JsonField Entry(JsonProperty entry) => new(entry.Value, source, $"{path}['{entry.Name}']");

    /// <summary>One of the names of a table; what it stands for.</summary>
    public T OneOf<T>(params ReadOnlySpan<(string Name, T Meaning)> known)
    {
        string text = Text();
        foreach ((string name, T meaning) in known)
            if (name == text) return meaning;
        throw Wrong(string.Join(", ", known.ToArray().Select(entry => $"'{entry.Name}'")));
    }

    public FlywheelException Wrong(string expected)
    {
        string text = value.GetRawText();
        return new FlywheelException($"{source}: {path} is {(text.Length > 200 ? text[..200] + "..." : text)}, expected {expected}");
    }

    private string Join(string name) => path.Length == 0 ? name : $"{path}.{name}";
}
