using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace Flywheel.Model;

/// <summary>
/// The key-value pairs of a GGUF file, in the file's order. A value is a <see cref="string"/>, <see cref="bool"/>, a
/// number from <see cref="byte"/> to <see cref="double"/>, or an array of one of these.
/// </summary>
/// <param name="source">Names the file in errors.</param>
public sealed class GgufMetadata(string source) : IEnumerable<KeyValuePair<string, object>>
{
    private readonly OrderedDictionary<string, object> _values = new(StringComparer.Ordinal);

    /// <summary>Names the file in errors.</summary>
    public string Source => source;

    public int Count => _values.Count;

    public void Add(string key, object value) => _values.Add(key, value);

    internal bool TryAdd(string key, object value) => _values.TryAdd(key, value);

    public bool TryGet(string key, [NotNullWhen(true)] out object? value) => _values.TryGetValue(key, out value);

    public bool Contains(string key) => _values.ContainsKey(key);

    /// <summary>Null when there is no such key; so for the others.</summary>
    /// <exception cref="FlywheelException">The value is of another kind; so for the others.</exception>
    public string? Text(string key) => Get(key, value => value as string, "a text");

    public bool? Flag(string key) => Get(key, value => value as bool?, "true or false");

    /// <summary>Of any integer type, at most 2^31 - 1.</summary>
    public int? Integer(string key) => Get(key, ToInteger, "a whole number from 0 to 2147483647");

    /// <summary>Of any numeric type.</summary>
    public float? Number(string key) => Get<float?>(key, value => value switch
    {
        float number => number,
        double number => (float)number,
        _ => ToInteger(value),
    }, "a number");

    public string[]? Texts(string key) => Get(key, value => value as string[], "an array of texts");

    public float[]? Numbers(string key) => Get(key, value => value as float[], "an array of 32-bit floats");

    public int[]? Integers(string key) => Get(key, value => value switch
    {
        int[] many => many,
        uint[] many when Array.TrueForAll(many, one => one <= int.MaxValue) => [.. many.Select(one => (int)one)],
        _ => null,
    }, "an array of 32-bit integers");

    /// <exception cref="FlywheelException">There is no such key, or it is no whole number.</exception>
    public int RequireInteger(string key) => Integer(key) ?? throw Missing(key);

    /// <exception cref="FlywheelException">There is no such key, or it is no text.</exception>
    public string RequireText(string key) => Text(key) ?? throw Missing(key);

    public IEnumerator<KeyValuePair<string, object>> GetEnumerator() => _values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal FlywheelException Missing(string key) => new($"{source}: metadata '{key}' is missing");

    private static int? ToInteger(object value) => value switch
    {
        byte number => number,
        sbyte and >= 0 or short and >= 0 or int and >= 0 => Convert.ToInt32(value, null),
        ushort number => number,
        uint and <= int.MaxValue or long and >= 0 and <= int.MaxValue or ulong and <= int.MaxValue => Convert.ToInt32(value, null),
        _ => null,
    };

    private T? Get<T>(string key, Func<object, T?> convert, string expected)
    {
        if (!_values.TryGetValue(key, out object? value)) return default;
        return convert(value) ?? throw new FlywheelException($"{source}: metadata '{key}' is {Describe(value)}, expected {expected}");
    }

    private static string Describe(object value) => value switch
    {
        Array many => $"an array of {many.Length} {many.GetType().GetElementType()!.Name}",
        string text => $"'{(text.Length > 100 ? text[..100] + "..." : text)}'",
        _ => FormattableString.Invariant($"{value} ({value.GetType().Name})"),
    };
}
