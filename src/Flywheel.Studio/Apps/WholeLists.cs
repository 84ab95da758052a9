using System.Collections;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Flywheel.Studio.Apps;

/// <summary>
/// JSON of which a list that is null, or has null in it, cannot be read: it would be taken for whole, and whoever goes through the list
/// would fail on it later.
/// </summary>
internal static class WholeLists
{
    /// <summary>The same options with that rule; the error names the list.</summary>
    public static JsonSerializerOptions Of(JsonSerializerOptions options) =>
        new(options) { TypeInfoResolver = new DefaultJsonTypeInfoResolver().WithAddedModifier(Check) };

    private static void Check(JsonTypeInfo type)
    {
        if (type.Kind != JsonTypeInfoKind.Object) return;
        var nullability = new NullabilityInfoContext();
        (JsonPropertyInfo List, bool MayBeNull)[] lists = [.. type.Properties
            .Where(property => property.Get is not null && property.PropertyType != typeof(string)
                && typeof(IEnumerable).IsAssignableFrom(property.PropertyType))
            .Select(property => (property, property.AttributeProvider is PropertyInfo member
                && nullability.Create(member).ReadState == NullabilityState.Nullable))];
        if (lists.Length == 0) return;
        type.OnDeserialized = read =>
        {
            foreach ((JsonPropertyInfo list, bool mayBeNull) in lists)
            {
                object? value = list.Get!(read);
                if (value is null && !mayBeNull) throw new JsonException($"field '{list.Name}' is null, expected a list");
                if (((value as IDictionary)?.Values ?? value as IEnumerable)?.Cast<object?>().Any(element => element is null) == true)
                    throw new JsonException($"field '{list.Name}' has null in it");
            }
        };
    }
}
