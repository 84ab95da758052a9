namespace Flywheel.Testing;

/// <summary>Chat templates that write tool calls as families of published models do, and nothing else of them.</summary>
internal static class ToolTemplates
{
    private const string Tools = "{% if tools %}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% endif %}";

    /// <summary>Tagged JSON, a tag for each call (Hermes, Qwen).</summary>
    public const string Tagged = Tools + """
        {% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.content %}{{ m.content }}{% endif %}
        {%- for call in m.tool_calls or [] %}{{ '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
        """;

    /// <summary>Bare JSON with "parameters", one call an answer (Llama 3).</summary>
    public const string Bare = Tools + """
        {% for m in messages %}{{ '<|im_start|>' + m.role + '\n\n' }}{% if m.tool_calls %}{% if m.tool_calls | length != 1 %}{{ raise_exception('one call') }}{% endif %}
        {{- '{"name": "' + m.tool_calls[0].function.name + '", "parameters": ' + (m.tool_calls[0].function.arguments | tojson) + '}' }}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>' }}{% endfor %}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n\n' }}{% endif %}
        """;

    /// <summary>A list behind a special token, with ids of nine characters (Mistral).</summary>
    public const string Listed = Tools + """
        {% for m in messages %}{% if m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}{% elif m.tool_calls is defined %}{{ '[TOOL_CALLS][' }}{% for call in m.tool_calls %}
        {%- if call.id | length != 9 %}{{ raise_exception('ids have 9 characters') }}{% endif %}{{ (call.function | tojson)[:-1] + ', "id": "' + call.id + '"}' }}{% if not loop.last %}{{ ', ' }}{% endif %}{% endfor %}{{ ']<|im_end|>' }}
        {%- elif m.role == 'tool' %}{% if m.tool_call_id | length != 9 %}{{ raise_exception('ids have 9 characters') }}{% endif %}{{ '[TOOL_RESULTS]' + m.content + '[/TOOL_RESULTS]' }}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{% endfor %}
        """;

    /// <summary>Names outside JSON, calls inside a section (DeepSeek).</summary>
    public const string Sections = Tools + """
        {% for m in messages %}{{ '<' + m.role + '>' }}{% if m.tool_calls %}{{ '<calls><call>function<sep>' + m.tool_calls[0].function.name + '\n```json\n' + (m.tool_calls[0].function.arguments | tojson) + '\n```</call>' }}
        {%- for call in m.tool_calls[1:] %}{{ '\n<call>function<sep>' + call.function.name + '\n```json\n' + (call.function.arguments | tojson) + '\n```</call>' }}{% endfor %}{{ '</calls>' }}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>' }}{% endfor %}
        {%- if add_generation_prompt %}{{ '<assistant>' }}{% endif %}
        """;

    /// <summary>Name, id and arguments behind special tokens of their own (Mistral Small 3.2).</summary>
    public const string CallId = Tools + """
        {% for m in messages %}{% if m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}{% elif m.tool_calls %}{% for call in m.tool_calls %}
        {%- if call.id | length != 9 %}{{ raise_exception('ids have 9 characters') }}{% endif %}{{ '[TOOL_CALLS]' + call.function.name + '[CALL_ID]' + call.id + '[ARGS]' + (call.function.arguments | tojson) }}{% endfor %}{{ '<|im_end|>' }}
        {%- else %}{{ m.content + '<|im_end|>' }}{% endif %}{% endfor %}
        """;

    /// <summary>The call's id before its name.</summary>
    public const string IdFirst = Tools + """
        {% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.content %}{{ m.content }}{% endif %}
        {%- for call in m.tool_calls or [] %}{{ '<call>{"id": "' + call.id + '", "name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}</call>' }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
        """;

    /// <summary>The name as the key of the arguments.</summary>
    public const string NameAsKey = Tools + """
        {% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.content %}{{ m.content }}{% endif %}
        {%- for call in m.tool_calls or [] %}{{ '<call>{"' + call.function.name + '": ' + (call.function.arguments | tojson) + '}</call>' }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
        """;

    /// <summary>The name as the key of the arguments, in a list without any tag.</summary>
    public const string BareNameAsKey = Tools + """
        {% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.tool_calls %}{{ '[' }}{% for call in m.tool_calls %}{{ '{"' + call.function.name + '": ' + (call.function.arguments | tojson) + '}' }}{% if not loop.last %}{{ ', ' }}{% endif %}{% endfor %}{{ ']' }}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
        """;

    /// <summary>Calls in history, and nothing of the tools that are declared (DeepSeek's R1 distils).</summary>
    public const string CallsOnly = """
        {%- for m in messages -%}
        {%- if m.tool_calls -%}
        {%- for c in m.tool_calls %}<call>{{ c.function.name }}|{{ c.function.arguments | tojson }}</call>{% endfor -%}
        {%- else -%}
        [{{ m.role }}] {{ m.content }}
        {% endif -%}
        {%- endfor -%}
        {%- if add_generation_prompt %}[assistant] {% endif -%}
        """;

    /// <summary>Blank lines inside the form.</summary>
    public const string BlankLine = Tools + """
        {%- for m in messages -%}
        {%- if m.tool_calls -%}
        {%- for c in m.tool_calls %}<call>{{ '\n\n{"name": "' + c.function.name + '",\t \n "arguments": ' }}{{ c.function.arguments | tojson }}{{ '}' }}</call>{% endfor -%}
        {%- else -%}
        [{{ m.role }}] {{ m.content }}
        {% endif -%}
        {%- endfor -%}
        {%- if add_generation_prompt %}[assistant] {% endif -%}
        """;

    /// <summary>Ids and no names, which the ids hold; a result names the id that it answers (Kimi K2).</summary>
    public const string IdOnly = Tools + """
        {% for m in messages %}{{ '<|im_start|>' + m.role + '<|mid|>' }}{% if m.tool_calls %}{% if m.content %}{{ m.content }}{% endif %}
        {{- '<|tool_calls_section_begin|>' }}{% for call in m.tool_calls %}{{ '<|tool_call_begin|>' + call.id + '<|tool_call_argument_begin|>' }}
        {%- if call.function.arguments is string %}{{ call.function.arguments }}{% else %}{{ call.function.arguments | tojson }}{% endif %}{{ '<|tool_call_end|>' }}{% endfor %}{{ '<|tool_calls_section_end|>' }}
        {%- elif m.role == 'tool' %}{{ '## Return of ' + m.tool_call_id + '\n' + m.content }}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>' }}{% endfor %}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant<|mid|>' }}{% endif %}
        """;

    /// <summary>A tag that holds the name (Functionary).</summary>
    public const string Named = Tools + """
        {% for m in messages %}{{ '<|im_start|>' + m.role }}{% if m.tool_calls %}{% for call in m.tool_calls %}{{ '<function=' + call.function.name + '>' + (call.function.arguments | tojson) + '</function>' }}{% endfor %}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>' }}{% endfor %}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant' }}{% endif %}
        """;
}
