using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.OpenAI;

/// <summary>A page of a list as OpenAI gives it: <c>limit</c>, <c>order</c> and <c>after</c> in the query.</summary>
internal static class Listing
{
    /// <summary>The items' <c>metadata[KEY]</c> that a query asks for.</summary>
    public static IReadOnlyList<KeyValuePair<string, string?>> Labels(IQueryCollection query) =>
        [.. query.Where(field => field.Key.StartsWith("metadata[", StringComparison.Ordinal) && field.Key.EndsWith(']'))
            .Select(field => KeyValuePair.Create(field.Key["metadata[".Length..^1], (string?)field.Value))];

    /// <param name="query">Of the request.</param>
    /// <param name="items">All, oldest first, each with an <c>id</c>.</param>
    /// <param name="newestFirst">The order when the query names none.</param>
    public static JsonObject Of(IQueryCollection query, IReadOnlyList<JsonObject> items, bool newestFirst = true)
    {
        int limit = (string?)query["limit"] switch
        {
            null => 20,
            var text when int.TryParse(text, out int number) && number is >= 1 and <= 100 => number,
            var text => throw ApiException.BadField("limit", $"query parameter 'limit' is '{text}', expected an integer from 1 to 100"),
        };
        bool descending = (string?)query["order"] switch
        {
            null => newestFirst,
            "desc" => true,
            "asc" => false,
            var text => throw ApiException.BadField("order", $"query parameter 'order' is '{text}', expected asc or desc"),
        };
        List<JsonObject> ordered = [.. descending ? items.Reverse() : items];
        int start = 0;
        if ((string?)query["after"] is { } after && (start = ordered.FindIndex(item => (string?)item["id"] == after) + 1) == 0)
            throw ApiException.BadField("after", $"query parameter 'after' is '{after}', expected the id of an item of this list");
        JsonNode[] page = [.. ordered.Skip(start).Take(limit).Select(item => item.DeepClone())];
        return new()
        {
            ["object"] = "list",
            ["data"] = new JsonArray(page),
            ["first_id"] = page.FirstOrDefault()?["id"]?.DeepClone(),
            ["last_id"] = page.LastOrDefault()?["id"]?.DeepClone(),
            ["has_more"] = start + page.Length < ordered.Count,
        };
    }
}
