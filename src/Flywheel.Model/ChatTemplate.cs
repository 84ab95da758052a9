namespace Flywheel.Model;

/// <summary>
/// Renders conversations to token ids in ChatML: <c>&lt;|im_start|&gt;role\ncontent&lt;|im_end|&gt;\n</c>. Content can never
/// spell a special token.
/// </summary>
/// <remarks>
/// A message's heading and its content are tokenised apart, so that an answer's ids do not depend on what stands before
/// them: a prompt is always the beginning of the document that holds its answer.
/// </remarks>
public sealed class ChatTemplate
{
    /// <summary>The same rendering as a Jinja template, for other software (chat_template.jinja in a model folder).</summary>
    public const string Jinja = """
        {%- for message in messages -%}
        {{- '<|im_start|>' + message['role'] + '\n' -}}
        {%- if message['content'] is string -%}
        {{- message['content'] -}}
        {%- else -%}
        {%- for part in message['content'] -%}{{- part['text'] -}}{%- endfor -%}
        {%- endif -%}
        {{- '<|im_end|>\n' -}}
        {%- endfor -%}
        {%- if add_generation_prompt -%}
        {{- '<|im_start|>assistant\n' -}}
        {%- endif -%}
        """;

    private readonly Tokenizer _tokenizer;
    private readonly int _start, _end;
    private readonly int[] _newLine;

    /// <exception cref="FlywheelException">The tokenizer lacks ChatML's special tokens.</exception>
    public ChatTemplate(Tokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        _start = Special(Tokenizer.MessageStart);
        _end = Special(Tokenizer.MessageEnd);
        _newLine = tokenizer.Encode("\n");

        int Special(string token) => tokenizer.SpecialTokens.TryGetValue(token, out int id)
            ? id
            : throw new FlywheelException($"the tokenizer has no special token {token}; expected a model for chat (ChatML)");
    }

    /// <summary>The prompt of a generation: all messages, then the opening of the assistant's answer.</summary>
    public int[] Prompt(Conversation conversation)
    {
        var tokens = new List<int>();
        foreach (Message message in ToolText.Lower(conversation).Messages)
        {
            tokens.AddRange(Heading(message.Role));
            tokens.AddRange(_tokenizer.Encode(message.Text));
            tokens.Add(_end);
            tokens.AddRange(_newLine);
        }
        tokens.AddRange(Heading(Role.Assistant));
        return [.. tokens];
    }

    /// <summary>A training document: ids, and 1 for each token that the assistant wrote (its <c>&lt;|im_end|&gt;</c> included).</summary>
    public (int[] Tokens, byte[] Targets) Document(Conversation conversation)
    {
        var tokens = new List<int>();
        var targets = new List<byte>();
        foreach (Message message in ToolText.Lower(conversation).Messages)
        {
            tokens.AddRange(Heading(message.Role));
            Mark(0);
            tokens.AddRange(_tokenizer.Encode(message.Text));
            tokens.Add(_end);
            Mark(message.Role == Role.Assistant ? (byte)1 : (byte)0);
            tokens.AddRange(_newLine);
            Mark(0);
        }
        return ([.. tokens], [.. targets]);

        void Mark(byte target) => targets.AddRange(Enumerable.Repeat(target, tokens.Count - targets.Count));
    }

    private int[] Heading(Role role) => [_start, .. _tokenizer.Encode(role.ToString().ToLowerInvariant() + "\n")];
}
