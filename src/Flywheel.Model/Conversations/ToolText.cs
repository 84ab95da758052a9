using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>
/// Tools, calls and results as text, for chat templates that know only text: the tags of the Hermes and Qwen models
/// (NousResearch, Hermes function calling, 2024).
/// </summary>
public static class ToolText
{
    public const string CallStart = "<tool_call>", CallEnd = "</tool_call>", ResultStart = "<tool_response>",
        ResultEnd = "</tool_response>";

    /// <summary>
    /// The same conversation in plain messages: tools stand in the system message, a call is a JSON object between tags in
    /// the assistant's text, results are the user's. A conversation without any of them is returned as it is.
    /// </summary>
    public static Conversation Lower(Conversation conversation)
    {
        if (conversation.Tools.Count == 0
            && !conversation.Messages.Any(message => message.Role == Role.Tool || message.ToolCalls.Count > 0)) return conversation;
        var messages = new List<Message>();
        bool answering = false; // results of one turn share a message
        foreach (Message message in Declare(conversation, ToolCallForm.Hermes).Messages)
        {
            string text = message.Role == Role.Tool ? $"{ResultStart}\n{message.Text}\n{ResultEnd}" : message.Text + Calls(message);
            if (message.Role == Role.Tool && answering) messages[^1] = Message.User($"{messages[^1].Text}\n{text}");
            else if (message.Role != Role.Tool && message.ToolCalls.Count == 0) messages.Add(message);
            else messages.Add(new Message(message.Role == Role.Tool ? Role.User : message.Role,
                [new TextPart(text)]) { Fields = message.Fields });
            answering = message.Role == Role.Tool;
        }
        return conversation with { Messages = messages, Tools = [] };
    }

    /// <summary>The same conversation with its tools in the system message, for templates that show calls but no tools.</summary>
    /// <param name="conversation">What is said.</param>
    /// <param name="form">How the model writes calls.</param>
    public static Conversation Declare(Conversation conversation, ToolCallForm form)
    {
        if (conversation.Tools.Count == 0) return conversation;
        Message? system = conversation.Messages is [{ Role: Role.System } first, ..] ? first : null;
        Message declaration =
            Message.System((system is { Text.Length: > 0 } ? system.Text + "\n\n" : "") + Declaration(conversation.Tools, form))
                with { Fields = system?.Fields ?? JsonFields.None };
        return conversation with { Messages = [declaration, .. conversation.Messages.Skip(system is null ? 0 : 1)], Tools = [] };
    }

    /// <summary>The same conversation with its calls in the assistant's text, for templates that show tools but no calls.</summary>
    public static Conversation SpellCalls(Conversation conversation) =>
        conversation.Messages.All(message => message.ToolCalls.Count == 0) ? conversation
        : conversation
            with { Messages =
                [.. conversation.Messages.Select(message =>
                    message.ToolCalls.Count == 0
                        ? message : message with { Parts = [new TextPart(message.Text + Calls(message))], ToolCalls = [] })] };

    /// <summary>The same conversation with ids that hold their calls' names, numbered from the first, for templates that write nothing
    /// else of a call's name; results keep to their calls.</summary>
    public static Conversation NameIds(Conversation conversation)
    {
        if (conversation.Messages.All(message => message.ToolCalls.Count == 0)) return conversation;
        var ids = new Dictionary<string, string>(StringComparer.Ordinal);
        int count = 0;
        return conversation with { Messages = [.. conversation.Messages.Select(Named)] };

        Message Named(Message message) => message.ToolCallId is { } about
            ? message with { ToolCallId = ids.GetValueOrDefault(about, about) }
            : message with { ToolCalls = [.. message.ToolCalls.Select(call =>
                call with { Id = ids[call.Id] = ToolCallForm.NamedId(call.Name, count++) })] };
    }

    private static string Declaration(IReadOnlyList<ToolDefinition> tools, ToolCallForm form)
    {
        var text = new StringBuilder("These functions can be called, one JSON object a line:\n<tools>\n");
        foreach (ToolDefinition tool in tools) text.Append(tool.ToJson().ToJsonString(JsonText.Compact)).Append('\n');
        return text.Append("</tools>\nTo call one, write:\n").Append(form.Example).ToString();
    }

    private static string Calls(Message message)
    {
        var text = new StringBuilder();
        foreach (ToolCall call in message.ToolCalls)
        {
            if (text.Length > 0 || message.Text.Length > 0) text.Append('\n');
            text.Append(CallStart).Append("\n{\"name\": ").Append(JsonSerializer.Serialize(call.Name, JsonText.Compact))
                .Append(", \"arguments\": ").Append(call.Arguments).Append("}\n").Append(CallEnd);
        }
        return text.ToString();
    }
}
