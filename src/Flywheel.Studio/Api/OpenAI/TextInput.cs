using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Studio.OpenAI;

/// <summary>A field that holds a text, an array of texts, an array of token ids, or an array of such arrays.</summary>
internal static class TextInput
{
    /// <returns>Token ids of each text, never empty.</returns>
    public static IReadOnlyList<int[]> Read(RequestBody body, string field, ModelFolder model, int maxTexts)
    {
        JsonNode? given = body[field];
        switch (given)
        {
            case JsonValue value when value.TryGetValue(out string? text):
                return [Encode(text)];
            case JsonArray items when items.Count > 0 && items.Count <= maxTexts
                && items.All(item => item is JsonValue value && value.TryGetValue(out string? _)):
                return [.. items.Select(item => Encode(item!.GetValue<string>()))];
            case JsonArray { Count: > 0 } ids when ids[0] is JsonValue first && !first.TryGetValue(out string? _):
                return [Ids(ids)];
            case JsonArray lists when lists.Count > 0 && lists.Count <= maxTexts && lists.All(list => list is JsonArray { Count: > 0 }):
                return [.. lists.Select(list => Ids((JsonArray)list!))];
            case null:
                throw ApiException.BadField(field, $"field '{field}' is missing, expected a text or token ids",
                    "missing_required_parameter");
            default:
                throw RequestBody.Wrong(field, given, $"a text, token ids, or an array of at most {maxTexts} of either");
        }

        int[] Encode(string text)
        {
            int[] ids = model.Tokenizer.EncodeWhole(text);
            return ids.Length > 0 ? ids : throw ApiException.BadField(field, $"field '{field}' is empty, expected at least one token");
        }

        int[] Ids(JsonArray ids) =>
            [.. ids.Select(id =>
                id is JsonValue value && value.TryGetValue(out int number) && number >= 0 && number < model.Config.VocabSize
            ? number
            : throw RequestBody.Wrong(field, id, $"token ids from 0 to {model.Config.VocabSize - 1}"))];
    }
}
