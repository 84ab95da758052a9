using Flywheel.Jinja;

namespace Flywheel.Model;

/// <summary>What must hold of a task's file beyond the kinds of its values; each fault names file, line, field and value.</summary>
internal static class TaskChecks
{
    private const string Answer = "answer";

    /// <param name="task">As read.</param>
    /// <param name="where">Names the place of a field.</param>
    /// <param name="folder">The task's, where its files are looked for; null looks for none.</param>
    public static void Check(TaskDescription task, Func<string, string> where, string? folder)
    {
        var check = new RecipeCheck(where);
        check.That(IsName(task.Name), "name", task.Name, "small letters, digits and '-', as it names a folder and an address");
        check.That(folder is null || Path.GetFileName(folder) == task.Name, "name", task.Name,
            $"'{Path.GetFileName(folder)}', the name of its folder");
        foreach ((string field, Phrase words) in new[] { ("title", task.Title), ("about", task.About) }) Words(check, field, words);
        check.State(task.Licence.Length > 0, "licence", "empty", "the licence of the file and of what lies beside it, such as Apache-2.0");
        check.State(task.Fields.Count > 0, "fields", "empty", "at least one field");
        for (int i = 0; i < task.Fields.Count; i++) Field(check, task, i);
        Output(check, task.Output, folder);
        if (task.Output.AsLongAs is { } like)
        {
            check.State(task.Output.Symbols is not null, "output.as_long_as", "given", "none, because the output is no symbols");
            check.That(task.Fields.Any(field => field.Name == like && field.Modality != TaskField.Text), "output.as_long_as", like,
                $"a field of symbols{(task.Fields.Where(field => field.Modality != TaskField.Text).Select(field => field.Name).ToArray() is { Length: > 0 } some ? $": {NearestName.List(some)}" : "")}");
        }
        if (task.Game is not null) Game(check, task);
        HashSet<string> fields = [.. task.Fields.Select(field => field.Name)];
        HashSet<string> texts = [.. task.Fields.Where(field => field.Modality == TaskField.Text).Select(field => field.Name)];
        if (task.Form.System is { } system) Template(check, "form.system", system, texts);
        Template(check, "form.ask", task.Form.Ask, texts);
        Template(check, "form.answer", task.Form.Answer, fields.Append(Answer).ToHashSet());
        Template(check, "form.output", task.Form.Output, new HashSet<string> { Answer });
        check.AtLeast(1, "form.max_tokens", task.Form.MaxTokens);
        check.That(task.Form.Temperature is null or (>= 0 and <= 2), "form.temperature", task.Form.Temperature ?? 0,
            "a number from 0 to 2");
        for (int i = 0; i < task.Sources.Count; i++) Source(check, task.Sources[i], $"sources[{i}].", fields, folder);
        Split(check, task, fields, folder);
        Metrics(check, task, fields);
        for (int i = 0; i < task.Examples.Count; i++) Example(check, task, $"examples[{i}].fields", task.Examples[i].Fields);
        if (task.Baseline is { } baseline)
        {
            Words(check, "baseline.name", baseline.Name);
            check.OneOf("baseline.kind", baseline.Kind,
                [TaskBaseline.Nearest, TaskBaseline.Common, TaskBaseline.Template, TaskBaseline.Program, TaskBaseline.Window]);
            bool runs = baseline.Kind == TaskBaseline.Program, answers = runs || baseline.Kind == TaskBaseline.Template;
            check.State(!answers || baseline.Answer is { Length: > 0 }, "baseline.answer", "missing",
                $"a template, because the baseline's kind is {baseline.Kind}");
            if (baseline.Answer is { } answer)
                Template(check, "baseline.answer", answer, runs ? fields.Append("said").ToHashSet() : fields);
            check.State(runs == baseline.Command.Count > 0, "baseline.command", runs ? "missing" : "given",
                runs ? "a program and its arguments" : "none, because the baseline's kind is another");
            bool window = baseline.Kind == TaskBaseline.Window;
            check.That(window ? baseline.Width == 0 || baseline.Width is > 0 and < 100 && baseline.Width % 2 == 1 : baseline.Width == 0,
                "baseline.width", baseline.Width, window
                    ? "an odd number below 100, or 0" : "none, because the baseline's kind is another");
            check.State(!window || task.Output.AsLongAs == task.Fields[0].Name, "baseline.kind", baseline.Kind,
                "another, or output.as_long_as to name the first field: a window needs a symbol for each symbol");
            for (int i = 0; i < baseline.Command.Count; i++) Template(check, $"baseline.command[{i}]", baseline.Command[i], fields);
            check.State(answers || task.Sources.Any(source => TaskSource.OfRows.Contains(source.Source)), "baseline.kind", baseline.Kind,
                "template or command, because no source has rows to take answers from");
        }
    }

    private static bool IsName(string name) =>
        name.Length is > 0 and <= 64 && char.IsAsciiLetterLower(name[0])
            && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');

    private static void Words(RecipeCheck check, string field, Phrase words)
    {
        check.State(words.En.Trim().Length > 0, $"{field}.en", "empty", "a text");
        check.State(words.ZhCn.Trim().Length > 0, $"{field}.zh-CN", "empty", "a text");
    }

    private static void Field(RecipeCheck check, TaskDescription task, int index)
    {
        TaskField field = task.Fields[index];
        string at = $"fields[{index}].";
        check.That(field.Name.Length is > 0 and <= 40 && char.IsAsciiLetterLower(field.Name[0])
            && field.Name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_'),
            $"{at}name", field.Name, "small letters, digits and '_', as templates call it by that name");
        check.That(field.Name != Answer, $"{at}name", field.Name, "another name: templates call what comes out by that one");
        check.That(task.Fields.Take(index).All(other => other.Name != field.Name), $"{at}name", field.Name, "each name once");
        Words(check, $"{at}label", field.Label);
        Modality(check, $"{at}modality", field.Modality);
        string[] widgets = field.Modality == PictureCodec.Modality
            ? [TaskField.Symbols, TaskField.Picture] : field.Modality != TaskField.Text ? [TaskField.Symbols] : field.Choices.Count > 0
            ? [TaskField.Choice]
            : field.Many ? [TaskField.Lines] : [TaskField.Line, TaskField.Lines, TaskField.Number];
        if (field.Widget.Length > 0) check.OneOf($"{at}widget", field.Widget, widgets);
        check.State(!field.Many || field.Modality == TaskField.Text && field.Choices.Count == 0, $"{at}many", "true",
            "false, because it is no free text");
        for (int i = 0; i < field.Choices.Count; i++)
            check.That(field.Choices[i].Trim().Length > 0 && !field.Choices.Take(i).Contains(field.Choices[i]), $"{at}choices[{i}]",
                field.Choices[i], "a text, each once");
        check.That(field.MaxLength is >= 1 and <= 100_000, $"{at}max_length", field.MaxLength, "a number from 1 to 100000");
        check.That(field.MaxItems is >= 1 and <= 1000, $"{at}max_items", field.MaxItems, "a number from 1 to 1000");
        check.That(field.Places is >= 0 and <= 4096 && (field.Places == 0 || field.Modality != TaskField.Text), $"{at}places", field.Places,
            "a number up to 4096, of a field of symbols");
        bool number = field.WidgetOrDefault == TaskField.Number;
        check.State(number || field.Min is null && field.Max is null, field.Min is null ? $"{at}max" : $"{at}min", "given",
            "none, because the widget is no number");
        check.That(field.Min is null || field.Max is null || field.Min <= field.Max, $"{at}max", field.Max ?? 0,
            $"at least min {field.Min}");
    }

    private static void Output(RecipeCheck check, TaskOutput output, string? folder)
    {
        if (output.Label is not null) Words(check, "output.label", output.Label);
        Modality(check, "output.modality", output.Modality);
        if (output.Words is { } words)
        {
            check.State(output.Symbols is null, "output.words", words, "none, because the output is no text");
            FileOf(check, "output.words", words, folder);
            if (folder is not null)
                check.State(TaskFolder.ParseWords(Utf8File.ReadText(Path.Combine(folder, words))).Length > 0, "output.words", words,
                    "a file with at least one word");
        }
        for (int i = 0; i < output.Only.Count; i++)
        {
            check.State(output.Symbols is not null, "output.only", "given", "none, because the output is no symbols");
            check.OneOf($"output.only[{i}]", output.Only[i], [.. ReservedTokens.Symbols(output.Symbols!).Keys]);
        }
        if (output.Widget.Length > 0)
            check.OneOf("output.widget", output.Widget, output.Symbols is null ? [TaskField.Line, TaskField.Lines] : [TaskField.Symbols]);
    }

    private static void Game(RecipeCheck check, TaskDescription task)
    {
        check.OneOf("game", task.Game!, [.. Model.Game.All.Keys]);
        Game game = Model.Game.All[task.Game!];
        foreach ((string name, string modality) in GameTask.Fields(game))
        {
            TaskField? field = task.Fields.FirstOrDefault(field => field.Name == name);
            check.State(field is { Required: false } && field.Modality == modality, "fields",
                $"without a field '{name}' of modality '{modality}' that may be left out",
                $"{NearestName.List([.. GameTask.Fields(game).Keys])}, which the game's rules read");
        }
        check.That(task.Output.Modality == game.MoveTokens, "output.modality", task.Output.Modality,
            $"'{game.MoveTokens}', the game's moves");
    }

    private static void Modality(RecipeCheck check, string field, string modality) =>
        check.OneOf(field, modality, [TaskField.Text, .. ReservedTokens.Groups.Keys]);

    private static void Source(RecipeCheck check, TaskSource source, string at, HashSet<string> fields, string? folder)
    {
        string[] ofRecipes = [.. SourceRecipe.Conversations];
        check.OneOf($"{at}source", source.Source, [.. TaskSource.OfRows, .. ofRecipes]);
        check.AtLeast(0, $"{at}limit", source.Limit);
        if (source.Path is { } path) FileOf(check, $"{at}path", path, folder);
        if (!TaskSource.OfRows.Contains(source.Source))
        {
            check.State(source.Fields.Count == 0 && source.Draws.Count == 0 && source.Keep is null, $"{at}source", source.Source,
                "no fields, draws or keep beside it, because its items are conversations already");
            source.ToRecipe().Validate(check, at.TrimEnd('.'));
            return;
        }
        check.State(source.As is null, $"{at}as", "given", "none, because its items are rows");
        check.State(source.Source != TaskSource.Jsonl || source.Path is not null, $"{at}path", "missing",
            "a file of JSON lines in the task's folder");
        check.State(source.Language is null || source.Source == TaskSource.PackageDescriptions, $"{at}language", "given",
            $"none, because {source.Source} has one");
        check.State(source.Language is not null || source.Source != TaskSource.PackageDescriptions, $"{at}language", "missing",
            "a language, such as de");
        bool draws = source.Source == TaskSource.Draw;
        check.State(draws == source.Draws.Count > 0, $"{at}draws", draws ? "missing" : "given",
            draws ? "what each item is drawn from" : "none, because the source is not draw");
        if (draws) check.AtLeast(1, $"{at}limit", source.Limit);
        HashSet<string>? known = draws ? Draws(check, source, at) : null; // columns of a file are known when it is read
        foreach ((string name, string template) in source.Fields)
        {
            check.That(fields.Contains(name), $"{at}fields.{name}", name, $"a field of the task: {NearestName.List([.. fields])}");
            Template(check, $"{at}fields.{name}", template, known);
        }
        if (known is not null)
            foreach (string name in fields.Except(source.Fields.Keys))
                check.State(known.Contains(name), $"{at}fields", $"without '{name}'",
                    "a template for each field that is not drawn under its own name");
        if (source.Keep is { } keep) Template(check, $"{at}keep", keep, known);
        if (source.HeldOut is { } held) Template(check, $"{at}held_out", held, known);
        if (source.Scored is { } scored) Template(check, $"{at}scored", scored, known);
        check.AtLeast(0, $"{at}longest", source.Longest);
        check.State(source.Longest == 0 || source.Source == TaskSource.ProteinStructure, $"{at}longest", "given",
            $"none, because {source.Source} has no sequences");
        Template(check, $"{at}answer", source.Answer, known);
    }

    /// <summary>Each may use those before it: so none can lead back to itself.</summary>
    private static HashSet<string> Draws(RecipeCheck check, TaskSource source, string at)
    {
        HashSet<string> known = [];
        for (int i = 0; i < source.Draws.Count; i++)
        {
            TaskDraw draw = source.Draws[i];
            string field = $"{at}draws[{i}]";
            check.State(
                (draw.From is not null || draw.To is not null ? 1 : 0) + (draw.Of.Count > 0 ? 1 : 0) + (draw.Is is not null ? 1 : 0) == 1,
                field, $"'{draw.Name}' with several ways to a value, or none", "from and to, or of, or is");
            if (draw.From is not null || draw.To is not null)
                check.State(draw is { From: { } from, To: { } to } && from <= to, field,
                    $"from {draw.From?.ToString() ?? "nothing"} to {draw.To?.ToString() ?? "nothing"}",
                    "two whole numbers, the lower first");
            if (draw.Is is { } template)
            {
                HashSet<string> later = [.. source.Draws.Skip(i).Select(other => other.Name)];
                if (Parse(check, $"{field}.is", template).Names.FirstOrDefault(later.Contains) is { } back)
                    check.That(false, $"{field}.is", template,
                        $"values that are drawn before it, and '{back}' is {(back == draw.Name ? "itself" : "not")}: values cannot go in a circle");
                Template(check, $"{field}.is", template, known);
            }
            check.That(known.Add(draw.Name), $"{field}.name", draw.Name, "each name once");
        }
        return known;
    }

    private static void Split(RecipeCheck check, TaskDescription task, HashSet<string> fields, string? folder)
    {
        check.That(task.Split.HeldOut is > 0 and < 1, "split.held_out", task.Split.HeldOut, "a number between 0 and 1");
        if (task.Split.By.Length > 0) Template(check, "split.by", task.Split.By, fields);
        if (task.Split.File is { } file) FileOf(check, "split.file", file, folder);
        foreach ((string name, string template) in task.Split.Fields)
        {
            check.That(fields.Contains(name), $"split.fields.{name}", name, $"a field of the task: {NearestName.List([.. fields])}");
            Template(check, $"split.fields.{name}", template, known: null);
        }
        bool ofRows = task.Sources.All(source => TaskSource.OfRows.Contains(source.Source));
        check.State(task.Metrics.Count == 0 || task.Split.File is not null || ofRows && task.Sources.Count > 0, "split.file", "missing",
            "JSON lines to measure on, because the sources have no rows of fields of which some could be held out");
    }

    private static void Metrics(RecipeCheck check, TaskDescription task, HashSet<string> fields)
    {
        for (int i = 0; i < task.Metrics.Count; i++)
        {
            string name = task.Metrics[i];
            check.OneOf($"metrics[{i}]", name, [.. TaskMetricNames.WithAnswer, .. TaskMetricNames.WithBrief]);
            check.That(!task.Metrics.Take(i).Contains(name), $"metrics[{i}]", name, "each name once");
            check.That(!TaskMetricNames.WithBrief.Contains(name) || fields.Contains("name") && fields.Contains("facts"), $"metrics[{i}]",
                name, "another metric, or the fields 'name' and 'facts', which this one compares with");
        }
    }

    private static void Example(RecipeCheck check, TaskDescription task, string at, IReadOnlyDictionary<string, string> values)
    {
        try
        {
            TaskFolder.Check(task, values);
        }
        catch (FlywheelException e)
        {
            check.State(false, at, $"{{{string.Join(", ", values.Select(pair => $"{pair.Key}: {pair.Value}"))}}}",
                $"values for the task's fields: {e.Message}");
        }
    }

    private static void FileOf(RecipeCheck check, string field, string path, string? folder)
    {
        check.That(path.Length > 0 && !Path.IsPathRooted(path), field, path, "a path from the task's folder");
        if (folder is not null)
            check.That(File.Exists(Path.Combine(folder, path)), field, path,
                $"a file that is there; there is no {Path.Combine(folder, path)}");
    }

    private static void Template(RecipeCheck check, string field, string text, IReadOnlySet<string>? known)
    {
        JinjaTemplate template = Parse(check, field, text);
        if (known is null || template.Names.FirstOrDefault(name => !known.Contains(name)) is not { } unknown) return;
        check.State(false, field, $"a template that uses '{unknown}'",
            $"only {NearestName.List([.. known])}{(NearestName.Hint(unknown, [.. known]) is var hint && hint.Contains("did you mean", StringComparison.Ordinal) ? hint : "")}");
    }

    private static JinjaTemplate Parse(RecipeCheck check, string field, string text)
    {
        try
        {
            return new JinjaTemplate(text);
        }
        catch (JinjaException e)
        {
            check.State(false, field, $"no template ({e.Message})", "Jinja, such as {{ text }}");
            throw;
        }
    }
}
