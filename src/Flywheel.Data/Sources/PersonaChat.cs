using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// Synthetic-Persona-Chat (Jandaghi et al. 2023, arXiv 2312.10007; CC BY 4.0): everyday conversations of two people, each with facts
/// about themselves. Rows: <c>{"persona1": [...], "persona2": [...], "turns": [[1|2, text], ...]}</c>.
/// </summary>
public static class PersonaChat
{
    public const string Name = "persona-chat", Publisher = "https://github.com/google-research-datasets/Synthetic-Persona-Chat";

    /// <summary>The second person answers as the assistant; the system message says who that is.</summary>
    /// <exception cref="FlywheelException">A row has another form; names file and line.</exception>
    public static IEnumerable<SourceItem> Read(string path)
    {
        int number = 0;
        foreach ((JsonObject row, string where) in SourceFiles.Rows(path))
        {
            IReadOnlyList<string> persona = SourceFiles.Texts(row, "persona2", where);
            if (row["turns"] is not JsonArray turns)
                throw new FlywheelException($"{where}: field 'turns' is missing, expected a list of [1 or 2, text]");
            List<Message> messages = [];
            foreach (JsonNode? node in turns)
            {
                if (node is not JsonArray { Count: 2 } turn || turn[0] is not JsonValue who || !who.TryGetValue(out int speaker)
                    || turn[1] is not JsonValue said || !said.TryGetValue(out string? text))
                    throw new FlywheelException(
                        $"{where}: field 'turns' holds {node?.ToJsonString(JsonText.Compact) ?? "null"}, expected [1 or 2, text]");
                messages.Add(speaker == 1 ? Message.User(TextCleaner.Line(text)) : Message.Assistant(TextCleaner.Line(text)));
            }
            string id = $"{Name}:{++number}";
            // brackets: "[User 1]"
            if (!messages.Any(message => message.Text.Contains('[', StringComparison.Ordinal))
                && Alternates.Cut(messages) is { Count: > 1 } kept)
                yield return new SourceItem(id, id,
                    [new ConversationExample(new Conversation([Message.System(string.Join(' ', persona.Select(TextCleaner.Line))),
                        .. kept]))], "CC-BY-4.0");
        }
    }
}
