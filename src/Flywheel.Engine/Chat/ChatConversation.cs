using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Engine.Grammars;
using Flywheel.Model;
using Microsoft.Extensions.AI;

namespace Flywheel.Engine.Chat;

/// <summary>Messages and options of Microsoft.Extensions.AI as a conversation and a grammar.</summary>
internal static class ChatConversation
{
    public static Conversation From(IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        List<Message> all = [.. messages.SelectMany(Messages)];
        if (options?.Instructions is { Length: > 0 } instructions) all.Insert(0, Message.System(instructions));
        if (all.Count == 0) throw new FlywheelException("there are no messages, expected at least one");
        return new Conversation(all) { Tools = options?.ToolMode is NoneChatToolMode ? [] : [.. (options?.Tools ?? []).Select(Tool)] };
    }

    /// <summary>What the answer must follow; null for free text.</summary>
    public static Grammar? Grammar(ToolCallForm form, Conversation conversation, ChatOptions? options)
    {
        JsonNode? schema = options?.ResponseFormat is not ChatResponseFormatJson json ? null
            : json.Schema is { } element ? JsonNode.Parse(element.GetRawText())
            : new JsonObject { ["type"] = "object" };
        if (conversation.Tools.Count == 0) return schema is null ? null : Grammars.Grammar.FromJsonSchema(schema);
        bool parallel = options?.AllowMultipleToolCalls ?? true;
        if (options?.ToolMode is not RequiredChatToolMode required)
            return Grammars.Grammar.OfTools(form, conversation.Tools, ToolUse.Auto, parallel, schema);
        ToolDefinition[] callable =
            [.. conversation.Tools.Where(tool => required.RequiredFunctionName is null || tool.Name == required.RequiredFunctionName)];
        return callable.Length == 0
            ? throw new FlywheelException($"function '{required.RequiredFunctionName}' is required, and not among the tools")
            : Grammars.Grammar.OfTools(form, callable, ToolUse.Required, parallel && required.RequiredFunctionName is null);
    }

    private static IEnumerable<Message> Messages(ChatMessage message)
    {
        Role role = message.Role == ChatRole.System ? Role.System
            : message.Role == ChatRole.User ? Role.User
            : message.Role == ChatRole.Assistant ? Role.Assistant
            : message.Role == ChatRole.Tool ? Role.Tool
            : throw new FlywheelException($"the role '{message.Role}' is not known, expected system, user, assistant or tool");
        var parts = new List<Part>();
        var calls = new List<ToolCall>();
        foreach (AIContent content in message.Contents)
            switch (content)
            {
                case TextContent text:
                    parts.Add(new TextPart(text.Text));
                    break;
                case FunctionCallContent call:
                    calls.Add(new ToolCall(call.CallId, call.Name,
                        JsonSerializer.Serialize(call.Arguments ?? new Dictionary<string, object?>(), AIJsonUtilities.DefaultOptions)));
                    break;
                case FunctionResultContent result:
                    yield return new Message(Role.Tool,
                        [new TextPart(result.Result as string ?? JsonSerializer.Serialize(result.Result, AIJsonUtilities.DefaultOptions))])
                        { ToolCallId = result.CallId };
                    break;
                case UsageContent or TextReasoningContent:
                    break; // told by us or by others; not said by anyone
                default:
                    throw new FlywheelException(
                        $"content of kind {content.GetType().Name} is not supported, expected text, function calls and their results");
            }
        if (parts.Count > 0 || calls.Count > 0) yield return new Message(role, parts) { ToolCalls = calls };
    }

    private static ToolDefinition Tool(AITool tool) => tool is AIFunctionDeclaration function
        ? new ToolDefinition(function.Name, function.Description is { Length: > 0 } description ? description : null,
            function.JsonSchema.GetRawText(),
            function.AdditionalProperties.TryGetValue("strict", out object? strict) && strict is true)
        : throw new FlywheelException($"tool '{tool.Name}' is a {tool.GetType().Name}; only functions are supported");
}
