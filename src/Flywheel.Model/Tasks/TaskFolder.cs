using System.Globalization;
using System.Text.Json.Nodes;
using Flywheel.Jinja;

namespace Flywheel.Model;

/// <summary>A task as its folder describes it, ready to be asked.</summary>
public sealed class TaskFolder
{
    public const string FileName = "task.yaml";

    private readonly JinjaTemplate? _system;
    private readonly JinjaTemplate _ask, _answer, _output;

    private TaskFolder(string path, TaskDescription description)
    {
        (Path, Description) = (path, description);
        if (description.Output.Words is { } words) Words = ParseWords(Utf8File.ReadText(System.IO.Path.Combine(path, words)));
        TaskForm form = description.Form;
        _system = form.System is { } system ? new JinjaTemplate(system) : null;
        (_ask, _answer, _output) = (new JinjaTemplate(form.Ask), new JinjaTemplate(form.Answer), new JinjaTemplate(form.Output));
    }

    /// <summary>The folder, in full.</summary>
    public string Path { get; }

    public TaskDescription Description { get; }

    public string Name => Description.Name;

    /// <summary>The rules that its fields and answers keep to; null for a task without a game.</summary>
    public Game? Game => Description.Game is { } name ? Game.All[name] : null;

    /// <summary>What <see cref="TaskOutput.Words"/> lists; null without such a file.</summary>
    public IReadOnlyList<string>? Words { get; }

    /// <param name="path">A folder with a <c>task.yaml</c>.</param>
    /// <exception cref="FlywheelException">There is none, or it is not valid; the message names file, line and field.</exception>
    public static TaskFolder Open(string path)
    {
        path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        string file = System.IO.Path.Combine(path, FileName);
        if (!File.Exists(file)) throw new FlywheelException($"{file}: no such file; expected the description of a task");
        return new(path, Parse(Utf8File.ReadText(file), file, path));
    }

    /// <param name="yaml">The text.</param>
    /// <param name="source">Names the text in errors.</param>
    /// <param name="folder">Where its files are looked for; null looks for none.</param>
    /// <exception cref="FlywheelException">Not valid; the message names source, line and field.</exception>
    public static TaskDescription Parse(string yaml, string source, string? folder = null) =>
        RecipeFile.Parse<TaskDescription>(yaml, source, [], (task, where) => TaskChecks.Check(task, where, folder), "task");

    /// <summary>Entries of a list of words: between commas and ends of lines; a line that begins with "#" is a comment.</summary>
    public static string[] ParseWords(string list) =>
        [.. list.ReplaceLineEndings("\n").Split('\n').Where(line => !line.StartsWith('#')).SelectMany(line => line.Split(','))
            .Select(word => word.Trim()).Where(word => word.Length > 0)];

    /// <summary>Values of the fields as a request gives them.</summary>
    /// <param name="given">A JSON object: texts, numbers, and lists for fields of several values.</param>
    /// <exception cref="FlywheelException">A field is unknown, missing or of the wrong kind; the message begins with its name.</exception>
    public IReadOnlyDictionary<string, string> Read(JsonObject given)
    {
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string name, JsonNode? node) in given)
        {
            TaskField? field = Description.Fields.FirstOrDefault(known => known.Name == name);
            if (node is null && field is not null) continue; // as absent
            texts[name] = field is null ? "" : node switch
            {
                JsonValue value when value.TryGetValue(out string? text) => text,
                JsonValue value when field.WidgetOrDefault == TaskField.Number && value.TryGetValue(out double number) => Number(number),
                JsonArray list when field.Many && list.All(item => item is JsonValue value && value.TryGetValue(out string? _)) =>
                    string.Join('\n', list.Select(item => item!.GetValue<string>().ReplaceLineEndings(" "))),
                var other =>
                    throw Wrong(field, other?.ToJsonString(JsonText.Compact) ?? "null",
                        field.Many ? "a list of texts" : field.WidgetOrDefault == TaskField.Number ? "a number" : "a text"),
            };
        }
        return Check(texts);
    }

    /// <summary>The same, of texts.</summary>
    /// <returns>Every field, trimmed; of one that is left out, an empty text.</returns>
    /// <exception cref="FlywheelException">A field is unknown, missing or out of its limits; the message begins with its name.</exception>
    public IReadOnlyDictionary<string, string> Check(IReadOnlyDictionary<string, string> given) => Check(Description, given);

    internal static IReadOnlyDictionary<string, string> Check(TaskDescription task, IReadOnlyDictionary<string, string> given)
    {
        string[] names = [.. task.Fields.Select(field => field.Name)];
        if (given.Keys.FirstOrDefault(name => !names.Contains(name)) is { } unknown)
            throw new FlywheelException($"field '{unknown}' is unknown to the task '{task.Name}'{NearestName.Hint(unknown, names)}");
        Dictionary<string, string> values = task.Fields.ToDictionary(field => field.Name,
            field => CheckOne(field, given.GetValueOrDefault(field.Name) ?? ""), StringComparer.Ordinal);
        return task.Game is null ? values : GameTask.Read(Game.All[task.Game], values);
    }

    private static string CheckOne(TaskField field, string text)
    {
        text = text.ReplaceLineEndings("\n").Trim();
        if (text.Length == 0)
            return !field.Required
                ? "" : throw new FlywheelException($"field '{field.Name}' is missing or empty, expected {Expected(field)}");
        if (text.Any(c => char.IsControl(c) && c is not ('\n' or '\t'))) throw Wrong(field, text, "a text without control characters");
        switch (field.WidgetOrDefault)
        {
            case TaskField.Choice:
                return field.Choices.Contains(text) ? text : throw Wrong(field, text, NearestName.List(field.Choices));
            case TaskField.Number:
                return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number)
                    && !(number < field.Min) && !(number > field.Max)
                    ? Number(number) : throw Wrong(field, text, Expected(field));
            case TaskField.Symbols or TaskField.Picture:
                text = new SymbolsPart(field.Modality, text, $"field '{field.Name}'").Text;
                int count = text.Count(c => c == ' ') + 1;
                if (field.Places > 0 && count > field.Places)
                    throw new FlywheelException($"field '{field.Name}' has {count} symbols, expected at most {field.Places}");
                break;
            case TaskField.Line when text.Contains('\n', StringComparison.Ordinal):
                throw Wrong(field, text, "one line");
        }
        if (field.Many)
        {
            string[] items = Items(text);
            if (items.Length > field.MaxItems)
                throw new FlywheelException($"field '{field.Name}' has {items.Length} items, expected at most {field.MaxItems}");
            if (items.FirstOrDefault(item => item.Length > field.MaxLength) is { } wordy)
                throw new FlywheelException(
                    $"field '{field.Name}' has an item of {wordy.Length} characters, expected at most {field.MaxLength}");
            return string.Join('\n', items);
        }
        return text.Length <= field.MaxLength
            ? text : throw new FlywheelException($"field '{field.Name}' has {text.Length} characters, expected at most {field.MaxLength}");
    }

    private static string Expected(TaskField field) => field.WidgetOrDefault switch
    {
        TaskField.Choice => NearestName.List(field.Choices),
        TaskField.Number => (field.Min, field.Max) switch
        {
            ({ } min, { } max) => $"a number from {Number(min)} to {Number(max)}",
            ({ } min, null) => $"a number of at least {Number(min)}",
            (null, { } max) => $"a number of at most {Number(max)}",
            _ => "a number",
        },
        TaskField.Picture => "a picture, as a data URL such as data:image/png;base64,...",
        TaskField.Symbols => $"symbols of '{field.Modality}' with spaces between",
        _ => field.Many ? "at least one item" : "a text",
    };

    private static FlywheelException Wrong(TaskField field, string value, string expected) =>
        new($"field '{field.Name}' is {(value.Length <= 80 ? $"'{value}'" : $"'{value[..80]}…'")}, expected {expected}");

    /// <summary>Items of a list, without the dash that a person may write before one.</summary>
    public static string[] Items(string text) =>
        [.. text.Split('\n').Select(item => item.Trim().TrimStart('-', '•', '*').Trim()).Where(item => item.Length > 0)];

    private static string Number(double number) => number.ToString("0.###############", CultureInfo.InvariantCulture);

    /// <summary>The conversation up to the answer.</summary>
    /// <param name="values">Checked, by <see cref="Read"/> or <see cref="Check"/>.</param>
    /// <exception cref="FlywheelException">The form's template fails on them.</exception>
    public Conversation Ask(IReadOnlyDictionary<string, string> values)
    {
        List<Message> messages = [];
        if (_system is not null && Render(_system, values, "form.system") is { Length: > 0 } system) messages.Add(Message.System(system));
        string ask = Render(_ask, values, "form.ask");
        List<Part> parts = ask.Length > 0 ? [new TextPart(ask)] : [];
        if (Game is not null) parts.Add(GameTask.Show(Game, values));
        foreach (TaskField field in Game is null ? Description.Fields : [])
            if (field.Modality != TaskField.Text && values[field.Name].Length > 0)
            {
                var part = new SymbolsPart(field.Modality, values[field.Name], $"field '{field.Name}'");
                parts.Add(part);
                // One more than is free, so that there is always one: parts stand on lines of their own.
                if (field.Places > 0)
                    parts.Add(new SymbolsPart("spare", string.Join(' ', Enumerable.Repeat("0", field.Places + 1 - part.Symbols.Count()))));
            }
        if (parts.Count == 0)
            throw new FlywheelException(
                $"task '{Name}': field 'form.ask' says nothing to {string.Join(", ", values.Select(value => $"{value.Key} '{value.Value}'"))}; expected a text");
        messages.Add(new Message(Role.User, parts));
        return new Conversation(messages) { AnswerModality = Description.Output.Symbols };
    }

    /// <summary>What the assistant says where the output is <paramref name="answer"/>.</summary>
    /// <exception cref="FlywheelException">The form's template fails on them, or the answer is not of the output's modality.</exception>
    public string Answer(IReadOnlyDictionary<string, string> values, string answer)
    {
        string text = Render(_answer, values, "form.answer", answer);
        if (Description.Output.Symbols is not { } modality) return text;
        var symbols = new SymbolsPart(modality, text);
        if (Description.Output.Only is { Count: > 0 } only && symbols.Symbols.FirstOrDefault(symbol => !only.Contains(symbol)) is { } wrong)
            throw new FlywheelException($"the answer holds '{wrong}', expected only {NearestName.List([.. only])}");
        if (Description.Output.AsLongAs is { } like && symbols.Symbols.Count() is var count && values[like].Split(' ').Length is var length
            && count != length)
            throw new FlywheelException($"the answer has {count} symbols, expected {length}, as many as '{like}' has");
        return symbols.Text;
    }

    /// <summary>The output in what the assistant said.</summary>
    /// <exception cref="FlywheelException">The form's template fails on it.</exception>
    public string Output(string said) => Render(_output, new Dictionary<string, string>(), "form.output", said.Trim());

    /// <summary>What a template makes of fields; an answer is known where one is given.</summary>
    /// <exception cref="FlywheelException">The template fails.</exception>
    public string Render(JinjaTemplate template, IReadOnlyDictionary<string, string> values, string field, string? answer = null)
    {
        var known = new JinjaDict();
        foreach ((string name, string value) in values)
            known[name] = Description.Fields.FirstOrDefault(one => one.Name == name)?.Many == true
                ? new List<object?>(Items(value)) : value;
        if (answer is not null) known["answer"] = answer;
        try
        {
            return template.Render(known).Trim();
        }
        catch (JinjaException e)
        {
            throw new FlywheelException($"{System.IO.Path.Combine(Path, FileName)}: field '{field}': {e.Message}", e);
        }
    }
}
