using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// The Schema-Guided Dialogue data set (Rastogi et al. 2020, arXiv 1909.05855; CC BY-SA 4.0): people and an assistant over 26
/// services. Rows: <c>{"id", "services": [...], "turns": [{"s": "U"|"S", "t": text, "a": [[act, slot, [values]], ...]}]}</c>.
/// </summary>
public static class SchemaGuidedDialogue
{
    public const string Name = "schema-guided-dialogue",
        Publisher = "https://github.com/google-research-datasets/dstc8-schema-guided-dialogue";

    private const int MaximumLength = 220;

    /// <summary>Slots whose value is what the sentence is about, and what that thing is.</summary>
    private static readonly Dictionary<string, string> Names = new()
    {
        ["restaurant_name"] = "Restaurant", ["hotel_name"] = "Hotel", ["event_name"] = "Event", ["movie_name"] = "Film",
        ["movie_title"] = "Film", ["song_name"] = "Song",
        ["track"] = "Song", ["property_name"] = "Apartment", ["attraction_name"] = "Attraction", ["place_name"] = "House",
        ["stylist_name"] = "Hair salon",
        ["dentist_name"] = "Dentist", ["therapist_name"] = "Therapist", ["doctor_name"] = "Doctor", ["title"] = "Film",
        ["car_name"] = "Rental car", ["album"] = "Album",
    };

    /// <summary>The assistant's statements that name a thing and say something of it.</summary>
    /// <exception cref="FlywheelException">A row has another form; names file and line.</exception>
    public static IEnumerable<FactText> Statements(string path)
    {
        foreach ((JsonObject row, string where) in SourceFiles.Rows(path))
        {
            string id = SourceFiles.Text(row, "id", where);
            int number = 0;
            foreach ((bool system, string text, JsonArray acts) in Turns(row, where))
            {
                number++;
                if (!system || text.Length > MaximumLength || text.TrimEnd().EndsWith('?')) continue;
                string name = "", category = "";
                List<string> facts = [];
                foreach ((string act, string slot, string value) in Acts(acts, where))
                {
                    if (act is not ("OFFER" or "INFORM" or "CONFIRM") || value.Length == 0) continue;
                    if (name.Length == 0 && Names.TryGetValue(slot, out string? kind)) (name, category) = (value, kind);
                    else facts.Add($"{slot.Replace('_', ' ')}: {value switch { "True" => "yes", "False" => "no", _ => value }}");
                }
                bool stated = name.Length > 2 && text.Contains(name, StringComparison.Ordinal)
                    && facts.All(fact => fact.EndsWith(": yes", StringComparison.Ordinal) || fact.EndsWith(": no", StringComparison.Ordinal)
                        || text.Contains(fact[(fact.IndexOf(':') + 2)..], StringComparison.OrdinalIgnoreCase));
                if (stated && facts.Count > 0)
                    yield return new FactText($"{Name}:{id}:{number}", $"{Name}:{id}", "reply", name, category, facts,
                        TextCleaner.Line(text));
            }
        }
    }

    /// <summary>Whole dialogues: the person asks, the assistant answers.</summary>
    /// <exception cref="FlywheelException">A row has another form; names file and line.</exception>
    public static IEnumerable<SourceItem> Dialogues(string path)
    {
        foreach ((JsonObject row, string where) in SourceFiles.Rows(path))
        {
            string id = $"{Name}:{SourceFiles.Text(row, "id", where)}";
            Message[] messages =
                [.. Turns(row, where)
                    .Select(turn =>
                        turn.System ? Message.Assistant(TextCleaner.Line(turn.Text)) : Message.User(TextCleaner.Line(turn.Text)))];
            if (Alternates.Cut(messages) is { Count: > 1 } kept)
                yield return new SourceItem(id, id, [new ConversationExample(new Conversation([.. kept]))], "CC-BY-SA-4.0");
        }
    }

    private static IEnumerable<(bool System, string Text, JsonArray Acts)> Turns(JsonObject row, string where)
    {
        if (row["turns"] is not JsonArray turns)
            throw new FlywheelException($"{where}: field 'turns' is missing, expected a list of turns");
        foreach (JsonNode? node in turns)
        {
            if (node is not JsonObject turn)
                throw new FlywheelException(
                    $"{where}: field 'turns' holds {node?.ToJsonString(JsonText.Compact) ?? "null"}, expected objects with s, t and a");
            yield return (SourceFiles.Text(turn, "s", where) == "S", SourceFiles.Text(turn, "t", where), turn["a"] as JsonArray ?? []);
        }
    }

    private static IEnumerable<(string Act, string Slot, string Value)> Acts(JsonArray acts, string where)
    {
        foreach (JsonNode? node in acts)
        {
            if (node is not JsonArray { Count: 3 } act || act[2] is not JsonArray values)
                throw new FlywheelException(
                    $"{where}: field 'a' holds {node?.ToJsonString(JsonText.Compact) ?? "null"}, expected [act, slot, [values]]");
            yield return ((string?)act[0] ?? "", (string?)act[1] ?? "", values.Count > 0 ? (string?)values[0] ?? "" : "");
        }
    }
}
