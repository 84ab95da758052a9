using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>
/// Tokens that training hardly saw: a model cannot copy a name that begins with one, for it does not know how the token looks (Land and
/// Bartolo 2024, "Fishing for Magikarp", arXiv:2405.05417). Without the merges that make them, texts spell them by tokens that the model
/// knows. Ids and weights stay as they are.
/// </summary>
public static class RareTokens
{
    /// <summary>A tokenizer without the merges whose token was seen too seldom. One that a frequent token is made of
    /// stays.</summary>
    /// <param name="tokenizer">Byte pair encoding by merges.</param>
    /// <param name="counts">How often each id occurs in what the model learnt from.</param>
    /// <param name="fewest">A token that was seen less often goes.</param>
    /// <returns>The tokenizer, and what went, the rarest first.</returns>
    /// <exception cref="FlywheelException">It finds words without merges.</exception>
    public static (Tokenizer Tokenizer, IReadOnlyList<string> Dropped) Drop(
        Tokenizer tokenizer, IReadOnlyList<long> counts, long fewest)
    {
        JsonNode json = JsonNode.Parse(tokenizer.Json.Span)!;
        JsonNode model = json["model"]!;
        if (model["ignore_merges"]?.GetValue<bool>() == true)
            throw new FlywheelException("tokenizer.json: field 'ignore_merges' is true, so dropping merges would change nothing");
        JsonObject vocab = model["vocab"]!.AsObject();
        JsonArray merges = model["merges"]!.AsArray();
        var needed = new HashSet<string>(StringComparer.Ordinal);
        List<(string Token, long Count)> dropped = [];
        List<JsonNode> kept = [];
        foreach (JsonNode merge in merges.Reverse().OfType<JsonNode>()) // what a token is made of comes before it
        {
            string[] parts = merge is JsonArray pair
                ? [.. pair.Select(part => part!.GetValue<string>())] : merge.GetValue<string>().Split(' ');
            string token = string.Concat(parts);
            long count = counts[vocab[token]!.GetValue<int>()];
            if (count >= fewest || needed.Contains(token))
            {
                needed.UnionWith(parts);
                kept.Add(merge);
            }
            else dropped.Add((token, count));
        }
        kept.Reverse();
        model["merges"] = new JsonArray([.. kept.Select(merge => merge.DeepClone())]);
        byte[] written = Encoding.UTF8.GetBytes(json.ToJsonString(new JsonSerializerOptions(JsonText.Compact) { WriteIndented = true }));
        return (Tokenizer.Parse(written, "tokenizer.json"), [.. dropped.OrderBy(one => one.Count).Select(one => one.Token)]);
    }
}
