using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Jinja;

namespace Flywheel.Model;

/// <summary>
/// Renders conversations to token ids with a model's Jinja template. Content can never spell a special token: where it does, the
/// spelling stays text.
/// </summary>
public sealed class ChatTemplate
{
    /// <summary>ChatML, the template of models that are trained here.</summary>
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

    /// <summary>The day for templates that print today's date, where none is given: the same data gives the same ids on any day.</summary>
    private static readonly DateTimeOffset s_someDay = new(2025, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly JinjaTemplate _template;
    private readonly JsonObject _names;
    private readonly string[] _specials;
    private readonly Lazy<(bool Tools, bool Calls)> _shows;
    private readonly Lazy<ToolCallForm> _toolCalls;

    /// <summary>ChatML.</summary>
    /// <exception cref="FlywheelException">The tokenizer lacks ChatML's special tokens.</exception>
    public ChatTemplate(Tokenizer tokenizer) : this(tokenizer, Jinja, [])
    {
        foreach (string token in new[] { Tokenizer.MessageStart, Tokenizer.MessageEnd })
            if (!tokenizer.SpecialTokens.ContainsKey(token))
                throw new FlywheelException($"the tokenizer has no special token {token}; expected a model for chat (ChatML)");
    }

    /// <param name="tokenizer">Of the model.</param>
    /// <param name="jinja">The template.</param>
    /// <param name="names">What the template knows by name, such as <c>bos_token</c>.</param>
    /// <exception cref="FlywheelException">The template is malformed; names the line.</exception>
    public ChatTemplate(Tokenizer tokenizer, string jinja, JsonObject names)
    {
        Tokenizer = tokenizer;
        try
        {
            _template = new JinjaTemplate(jinja);
        }
        catch (JinjaException e)
        {
            throw Failed(e);
        }
        _names = names;
        _specials = [.. tokenizer.SpecialTokens.Keys];
        _shows = new(() => ToolCallForm.Shows(conversation => RenderAsIs(conversation, open: true)) is { } shows ? shows
            // it refuses the probe: its words are all there is
            : jinja.Contains("tool", StringComparison.Ordinal) ? (true, true) : (false, false));
        _toolCalls =
            new(() =>
                (_shows.Value.Calls
                    ? ToolCallForm.Detect(conversation => RenderAsIs(conversation, open: false), _specials,
                        (string?)_names["eos_token"] ?? "") : null) ?? ToolCallForm.Hermes);
    }

    public Tokenizer Tokenizer { get; }

    /// <summary>How the model writes tool calls; as Hermes and Qwen do, where the template does not show it.</summary>
    public ToolCallForm ToolCalls => _toolCalls.Value;

    /// <summary>
    /// The template of a model folder: chat_template.jinja, or the one in tokenizer_config.json; without either, ChatML where the
    /// tokenizer has its tokens.
    /// </summary>
    /// <exception cref="FlywheelException">The folder has none, or a malformed one.</exception>
    public static ChatTemplate Open(string folder, Tokenizer tokenizer)
    {
        var names =
            new JsonObject(
                [.. ModelCompanions.ReadTokenNames(folder).Select(name => KeyValuePair.Create(name.Key, (JsonNode?)name.Value))]);
        string? jinja = ModelCompanions.ReadTemplate(folder);
        if (jinja is null && ModelCompanions.TemplateNames(folder) is { Count: > 0 } several)
            throw new FlywheelException(
                $"{folder}: no chat template named 'default', only {string.Join(", ", several)}; expected one, or the one that is meant in a file chat_template.jinja");
        if (jinja is null)
            return tokenizer.SpecialTokens.ContainsKey(Tokenizer.MessageStart)
                ? new ChatTemplate(tokenizer) : throw new FlywheelException(
                    $"{folder}: no chat template: neither chat_template.jinja nor 'chat_template' in tokenizer_config.json; expected a model for chat, this one continues text");
        try
        {
            return new ChatTemplate(tokenizer, jinja, names);
        }
        catch (FlywheelException e)
        {
            throw new FlywheelException($"{folder}: {e.Message}", e);
        }
    }

    private static FlywheelException Failed(JinjaException e) => new($"chat template, {e.Message}", e);

    /// <summary>The prompt of a generation: all messages, then the opening of the assistant's answer.</summary>
    /// <param name="conversation">All of it.</param>
    /// <param name="now">The time that a template may print; a day that never changes when null.</param>
    /// <exception cref="FlywheelException">The template refuses the conversation.</exception>
    public int[] Prompt(Conversation conversation, DateTimeOffset? now = null)
    {
        var rendering = new Rendering(this, conversation, now);
        string text = rendering.Text(all: true, open: true);
        return [.. Encode(rendering, text, 0, text.Length)];
    }

    /// <summary>Tries the template: one that parses may still want what is not supported.</summary>
    /// <exception cref="FlywheelException">It refuses a question alone, after instructions, and in a longer conversation.</exception>
    public void Check()
    {
        FlywheelException? first = null;
        Message question = Message.User("Hello");
        foreach (Message[] messages in new[] { [question], [Message.System("Be brief."), question],
            new[] { question, Message.Assistant("Hello!"), question } })
            try
            {
                Prompt(new Conversation(messages));
                return;
            }
            catch (FlywheelException e)
            {
                first ??= e;
            }
        throw first!;
    }

    /// <summary>The special token that an answer ends with; null when the template ends it with text, or not at all.</summary>
    /// <exception cref="FlywheelException">The template renders no plain answer.</exception>
    public int? FindTurnEnd()
    {
        (int[] tokens, byte[] targets) = Document(new Conversation([Message.User("Hello"), Message.Assistant("Hi")]));
        int last = Array.FindLastIndex(targets, target => target == 1);
        return Tokenizer.IsSpecial(tokens[last]) ? tokens[last] : null;
    }

    /// <summary>The text that the prompt, or the whole conversation, is rendered to.</summary>
    /// <exception cref="FlywheelException">The template refuses the conversation.</exception>
    public string Render(Conversation conversation, bool addGenerationPrompt, DateTimeOffset? now = null)
    {
        var rendering = new Rendering(this, conversation, now);
        return rendering.Text(all: true, open: addGenerationPrompt).Replace(rendering.Guard.ToString(), "", StringComparison.Ordinal);
    }

    /// <summary>Without anything written in for the template.</summary>
    private string RenderAsIs(Conversation conversation, bool open)
    {
        var rendering = new Rendering(this, conversation, null, lower: false);
        return rendering.Text(all: true, open).Replace(rendering.Guard.ToString(), "", StringComparison.Ordinal);
    }

    /// <summary>What the template does not show of tools and calls becomes text.</summary>
    private Conversation Lower(Conversation conversation)
    {
        if (_shows.Value.Calls && ToolCalls.IsNamedById) conversation = ToolText.NameIds(conversation);
        return _shows.Value switch
        {
            (true, true) => conversation,
            (false, true) => ToolText.Declare(conversation, ToolCalls),
            (true, false) => ToolText.SpellCalls(conversation),
            _ => ToolText.Lower(conversation),
        };
    }

    /// <summary>A training document: ids, and 1 for each token that the assistant wrote (what ends its turn included).</summary>
    /// <remarks>
    /// An answer begins where the prompt before it ends and ends where the conversation up to it ends; both are rendered and must
    /// be beginnings of the whole. Where a template rewrites earlier answers (reasoning that is dropped from history), those
    /// are not learnt. Prompt and answer are tokenised apart, so that a document begins with the ids of its prompt.
    /// </remarks>
    /// <exception cref="FlywheelException">The template refuses the conversation, or shows no answer that could be learnt.</exception>
    public (int[] Tokens, byte[] Targets) Document(Conversation conversation)
    {
        conversation = Lower(conversation);
        var rendering = new Rendering(this, conversation, null);
        string whole = rendering.Text(all: true, open: false);
        var tokens = new List<int>();
        var targets = new List<byte>();
        int told = 0;
        bool learns = false;
        for (int i = 0; i < conversation.Messages.Count; i++)
        {
            if (conversation.Messages[i] is not { Role: Role.Assistant, IsLearnt: true }) continue;
            int start = rendering.BeginningOf(whole, i, open: true), end = rendering.BeginningOf(whole, i + 1, open: false);
            if (start < told || end <= start) continue;
            Add(told, start, learn: false);
            Add(start, end, learn: true);
            told = end;
            learns = true;
        }
        Add(told, whole.Length, learn: false);
        if (!learns && conversation.Messages.Any(message => message.Role == Role.Assistant))
            throw new FlywheelException(
                "the chat template renders no answer of this conversation as it was asked for: nothing of it can be learnt");
        return ([.. tokens], [.. targets]);

        void Add(int from, int to, bool learn)
        {
            List<int> ids = Encode(rendering, whole, from, to);
            // White space after what ends a turn is the template's, not the assistant's.
            int last = learn ? ids.FindLastIndex(Tokenizer.IsSpecial) : -1;
            int learnt = !learn ? 0 : last >= 0 && string.IsNullOrWhiteSpace(Tokenizer.Decode([.. ids[(last + 1)..]]))
                ? last + 1 : ids.Count;
            tokens.AddRange(ids);
            for (int i = 0; i < ids.Count; i++) targets.Add(i < learnt ? (byte)1 : (byte)0);
        }
    }

    /// <summary>
    /// The ids of a stretch of a rendered text. After the opening of an answer a new piece begins, so that an answer has the ids
    /// that it had when it was sampled, and a prompt is the beginning of the document that holds its answer.
    /// </summary>
    private List<int> Encode(Rendering rendering, string text, int from, int to)
    {
        var ids = new List<int>();
        string opening = rendering.Opening;
        while (opening.Length > 0 && text.IndexOf(opening, from, to - from, StringComparison.Ordinal) is var at and >= 0)
        {
            ids.AddRange(Tokenizer.EncodeRendered(text[from..(at + opening.Length)], rendering.Guard, continues: from > 0));
            from = at + opening.Length;
        }
        ids.AddRange(Tokenizer.EncodeRendered(text[from..to], rendering.Guard, continues: from > 0));
        return ids;
    }

    /// <summary>
    /// One conversation, ready to be rendered up to any message. A guard, a character that is in none of its texts, is put inside
    /// each special token that a text spells: the template passes it on, and the tokenizer drops it.
    /// </summary>
    private sealed class Rendering
    {
        private readonly ChatTemplate _template;
        private readonly DateTimeOffset _now;
        private readonly JinjaDict _arguments;
        private readonly object? _tools;
        private readonly Conversation _shown;
        private List<object?> _messages;

        /// <param name="lower">Write tools as text where the template does not show them.</param>
        public Rendering(ChatTemplate template, Conversation conversation, DateTimeOffset? now, bool lower = true)
        {
            _template = template;
            _now = now ?? s_someDay;
            _shown = lower ? template.Lower(conversation) : conversation;
            JsonObject json = _shown.ToJson();
            _messages = (List<object?>)JinjaJson.Read(json["messages"])!;
            _tools = JinjaJson.Read(json["tools"]);
            _arguments = (JinjaDict)JinjaJson.Read(json["chat_template_kwargs"] ?? new JsonObject())!;
            var used = new HashSet<char>();
            foreach (object? given in new object?[] { _messages, _tools, _arguments }) Change(given, text => Note(text, used));
            Guard = Enumerable.Range(0xFDD0, 32).Select(value => (char)value).Where(character => !used.Contains(character))
                .FirstOrDefault();
            if (Guard == '\0')
                throw new FlywheelException(
                    "the conversation has all of the 32 characters that Unicode sets aside for internal use; expected at least one to be free");
            foreach (object? message in _messages) JoinParts(message);
            foreach (object? given in new object?[] { _messages, _tools, _arguments }) Change(given, Protect);
            SpellSymbols();
            bool calls = conversation.Messages.Any(message => message.ToolCalls.Count > 0),
                bare = _tools is not null && conversation.Tools.Any(tool => tool.Description is null);
            if ((calls || bare) && !(calls ? FindForm(json) : Renders()) && bare)
            {
                DescribeTools((List<object?>)_tools!);
                if (calls) FindForm(json);
            }
        }

        /// <summary>Puts the tokens of symbols into the texts, after all that people wrote was kept from spelling any.</summary>
        private void SpellSymbols()
        {
            for (int i = 0; i < _shown.Messages.Count; i++)
            {
                Message message = _shown.Messages[i];
                foreach (SymbolsPart part in message.Parts.OfType<SymbolsPart>())
                    if (part.Symbols.Any(symbol =>
                        !_template.Tokenizer.SpecialTokens.ContainsKey(ReservedTokens.Symbols(part.Modality)[symbol])))
                        throw new FlywheelException(
                            $"field 'messages[{i}].content' holds '{part.Modality}', which this model cannot read: its vocabulary has no tokens for it; expected {NearestName.List([TextPart.Type, .. ReservedTokens.Ranges(_template.Tokenizer).Keys])}");
                if (message.Parts.Any(part => part is SymbolsPart) && _messages[i] is JinjaDict fields)
                    fields["content"] = string.Join('\n', message.Parts.Select(part => part is SymbolsPart symbols
                        ? string.Concat(symbols.Symbols.Select(symbol => ReservedTokens.Symbols(symbols.Modality)[symbol])) : Protect(
                            part.Text)));
            }
        }

        /// <summary>Puts calls in the messages in the form that the template takes; false, and nothing changed, when it takes
        /// none.</summary>
        private bool FindForm(JsonObject json)
        {
            // OpenAI's arguments are a text of JSON; most templates expect the object, a few the text. Mistral's take ids of nine
            // letters and digits.
            List<object?> given = _messages;
            foreach (bool shortIds in new[] { false, true })
            {
                JsonArray asText = (JsonArray)json["messages"]!.DeepClone();
                if (shortIds) ShortenIds(asText);
                JsonArray asObjects = (JsonArray)asText.DeepClone();
                foreach (JsonObject function in Calls(asObjects).Select(call => call["function"]).OfType<JsonObject>())
                    if (Arguments(function["arguments"]) is { } arguments) function["arguments"] = arguments;
                foreach (JsonArray messages in new[] { asObjects, asText })
                {
                    _messages = (List<object?>)JinjaJson.Read(messages)!;
                    foreach (object? message in _messages) JoinParts(message);
                    Change(_messages, Protect);
                    SpellSymbols();
                    if (Renders()) return true;
                    _messages = given; // and if no form suits it, this one says why
                }
            }
            return false;
        }

        private bool Renders()
        {
            try
            {
                Text(all: true, open: true);
                return true;
            }
            catch (FlywheelException)
            {
                return false;
            }
        }

        /// <summary>A function needs no description, but some templates join it to other texts.</summary>
        private static void DescribeTools(List<object?> tools)
        {
            foreach (JinjaDict tool in tools.OfType<JinjaDict>())
                if (tool["function"] is JinjaDict function) function.TryAdd("description", "");
        }

        private static IEnumerable<JsonObject> Calls(JsonArray messages) =>
            messages.OfType<JsonObject>().SelectMany(message => message["tool_calls"] as JsonArray ?? []).OfType<JsonObject>();

        private static void ShortenIds(JsonArray messages)
        {
            const int Length = 9;
            foreach ((JsonObject holder, string field) in Calls(messages).Select(call => (call, "id"))
                .Concat(messages.OfType<JsonObject>().Select(message => (message, "tool_call_id"))))
                if (holder[field] is JsonValue value && value.TryGetValue(out string? id))
                    holder[field] = string.Concat(id.Where(char.IsAsciiLetterOrDigit)).PadLeft(Length, '0')[^Length..];
        }

        private static JsonObject? Arguments(JsonNode? node)
        {
            try
            {
                return node is JsonValue value && value.TryGetValue(out string? text) ? JsonNode.Parse(text) as JsonObject : null;
            }
            catch (JsonException)
            {
                return null;
            }
        }

        public char Guard { get; }

        /// <summary>What opens an answer; empty when no special token marks it, for then a text could spell it.</summary>
        public string Opening
        {
            get
            {
                if (field is not null) return field;
                string open = Text(all: true, open: true), closed = Text(all: true, open: false);
                string opening = open.StartsWith(closed, StringComparison.Ordinal) ? open[closed.Length..] : "";
                return field = _template._specials.Any(opening.Contains) ? opening : "";
            }
        }

        /// <param name="all">All messages; otherwise only the first ones.</param>
        /// <param name="open">With the opening of the assistant's answer.</param>
        /// <param name="count">How many messages, if not all.</param>
        public string Text(bool all, bool open, int count = 0)
        {
            var variables = new JinjaDict { ["messages"] = all ? _messages : _messages[..count], ["add_generation_prompt"] = open };
            if (_tools is not null) variables["tools"] = _tools;
            foreach ((string name, JsonNode? value) in _template._names) variables[name] = JinjaJson.Read(value);
            foreach ((object name, object? value) in _arguments) variables[name] = value;
            try
            {
                return _template._template.Render(variables, _now);
            }
            catch (JinjaException e)
            {
                throw Failed(e);
            }
        }

        /// <summary>How far the first messages reach in the whole; -1 when the whole does not begin with them.</summary>
        public int BeginningOf(string whole, int count, bool open)
        {
            try
            {
                string text = Text(all: false, open, count);
                return whole.StartsWith(text, StringComparison.Ordinal) ? text.Length : -1;
            }
            catch (FlywheelException)
            {
                return -1; // a template may refuse a conversation that stops here, and still take the whole
            }
        }

        private string Protect(string text)
        {
            foreach (string special in _template._specials)
                if (text.Contains(special, StringComparison.Ordinal))
                    text = text.Replace(special, $"{special[0]}{Guard}{special[1..]}", StringComparison.Ordinal);
            return text;
        }

        private static string Note(string text, HashSet<char> used)
        {
            foreach (char character in text)
                if (character is >= '\uFDD0' and <= '\uFDEF') used.Add(character);
            return text;
        }

        /// <summary>The texts of a message become one, so that a special token cannot be spelt across two.</summary>
        private static void JoinParts(object? message)
        {
            if (message is JinjaDict fields && fields.TryGetValue("content", out object? content) && content is List<object?> parts
                && parts.TrueForAll(part => part is JinjaDict { } entry && entry.TryGetValue("text", out object? text) && text is string))
                fields["content"] = string.Join('\n', parts.Select(part => (string)((JinjaDict)part!)["text"]!));
        }

        private static void Change(object? value, Func<string, string> change)
        {
            switch (value)
            {
                case List<object?> list:
                    for (int i = 0; i < list.Count; i++)
                        if (list[i] is string text) list[i] = change(text);
                        else Change(list[i], change);
                    break;
                case JinjaDict fields:
                    for (int i = 0; i < fields.Count; i++)
                    {
                        (object name, object? held) = fields.GetAt(i);
                        if (held is string text) fields.SetAt(i, change(text));
                        else Change(held, change);
                        if (name is not string key || change(key) is not { } changed || changed == key) continue;
                        held = fields.GetAt(i).Value;
                        fields.RemoveAt(i);
                        fields.Insert(i, changed, held);
                    }
                    break;
            }
        }
    }
}
