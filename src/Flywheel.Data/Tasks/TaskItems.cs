using System.Globalization;
using System.Text.Json.Nodes;
using Flywheel.Jinja;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>One item of a task: its fields and the right answer.</summary>
/// <param name="Id">Unique in the task.</param>
/// <param name="Fields">Checked.</param>
/// <param name="Answer">The right output; empty where many are right.</param>
/// <param name="Split">Held out by the task's own rule.</param>
/// <param name="Licence">Of the source.</param>
/// <param name="Scored">A 1 for each letter of the answer, a 0 for those that are not measured; null measures all.</param>
public sealed record TaskItem(string Id, IReadOnlyDictionary<string, string> Fields, string Answer, Split Split, string Licence,
    string? Scored = null);

/// <summary>
/// A task's sources as items with fields, and as training conversations. Training and evaluation read the same items, and which are held
/// out
/// depends on an item alone: nothing that is measured on was learnt from, whatever recipe mixes it in.
/// </summary>
public static class TaskItems
{
    /// <summary>Draws that may be thrown away, as not to keep or as a duplicate, for each that is wanted.</summary>
    private const int MaxTries = 20;

    /// <summary>Items with fields, of the sources that have rows; equal ones once.</summary>
    /// <param name="task">The task.</param>
    /// <param name="home">Where data sets lie.</param>
    /// <exception cref="FlywheelException">A row is not what the task's file says; names file, line and field.</exception>
    public static IEnumerable<TaskItem> Read(TaskFolder task, FlywheelHome home)
    {
        TaskDescription about = task.Description;
        JinjaTemplate? by = about.Split.By.Length > 0 ? new JinjaTemplate(about.Split.By) : null;
        var seen = new HashSet<ulong>();
        for (int index = 0; index < about.Sources.Count; index++)
        {
            TaskSource source = about.Sources[index];
            if (!TaskSource.OfRows.Contains(source.Source)) continue;
            var mapping = new RowMapping(task, $"sources[{index}]", source.Fields, source.Answer, source.Keep, source.HeldOut,
                source.Scored);
            int number = 0, kept = 0;
            foreach ((JinjaDict row, string where) in Rows(task, source, index, home))
            {
                number++;
                if (mapping.Read(row, where) is not var (fields, answer)) continue;
                (bool? heldOut, string? scored) = mapping.Marks(row, where, answer);
                string content =
                    string.Join('\n', fields.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));
                if (!seen.Add(StableHash.Of($"{content}\n{answer}"))) continue;
                string key = by is null ? content : task.Render(by, fields, "split.by");
                // A file to measure on stands by itself: nothing of the sources is held out then.
                Split split = heldOut is { } publisher ? publisher ? Split.Validation : Split.Train
                    : about.Split.File is null && StableHash.Of($"task\n{task.Name}\n{key}") / (double)ulong.MaxValue < about.Split.HeldOut
                    ? Split.Validation : Split.Train;
                yield return new TaskItem($"{task.Name}:{index}:{number}", fields, answer, split, source.Licence, scored);
                if (++kept == source.Limit) break;
            }
        }
    }

    /// <summary>What a model is measured on: the task's file, else what is held out of its sources.</summary>
    /// <exception cref="FlywheelException">There is nothing, or a row is not what the task's file says.</exception>
    public static IReadOnlyList<TaskItem> HeldOut(TaskFolder task, FlywheelHome home)
    {
        TaskSplit split = task.Description.Split;
        TaskItem[] items;
        if (split.File is not { } file) items = [.. Read(task, home).Where(item => item.Split == Split.Validation)];
        else
        {
            string path = Path.Combine(task.Path, file);
            bool compares = task.Description.Metrics.Any(TaskMetricNames.WithAnswer.Contains);
            var mapping = new RowMapping(task, "split", split.Fields, compares ? "{{ answer }}" : null, null);
            items = [
                .. SourceFiles.Rows(path)
                    .Select((entry, i) => mapping.Read((JinjaDict)JinjaJson.Read(entry.Row)!, entry.Where) is var (fields, answer)
                        ? new TaskItem($"{task.Name}:{i + 1}", fields, answer, Split.Validation, task.Description.Licence) : null)
                        .OfType<TaskItem>()];
        }
        return items.Length > 1
            ? items : throw new FlywheelException(
                $"the task '{task.Name}' has {items.Length} items that are held out, expected at least 2: {(split.File is null ? "raise split.held_out or the sources' limits" : $"add rows to {split.File}")}");
    }

    /// <summary>The file of the codec that makes the task's pictures tokens; null where it has none.</summary>
    /// <exception cref="FlywheelException">It is to be fitted, and the data is not there.</exception>
    public static string? CodecFile(TaskFolder task, FlywheelHome home) =>
        task.Description.Sources.Any(source => source.Source == TaskSource.Clothes) ? FashionMnist.CodecFile(home) : null;

    /// <summary>Training conversations of all of the task's sources.</summary>
    /// <param name="task">The task.</param>
    /// <param name="seed">Of sources that render anew with each recipe.</param>
    /// <param name="home">Where data sets lie.</param>
    /// <exception cref="FlywheelException">A source is missing or not what the task's file says.</exception>
    public static IEnumerable<SourceItem> Conversations(TaskFolder task, int seed, FlywheelHome home)
    {
        foreach (TaskItem item in Read(task, home))
        {
            Conversation conversation = task.Ask(item.Fields).WithAnswer(task.Answer(item.Fields, item.Answer));
            yield return new SourceItem(item.Id, item.Id, [new ConversationExample(conversation)], item.Licence, item.Split);
        }
        foreach (TaskSource source in task.Description.Sources.Where(source => !TaskSource.OfRows.Contains(source.Source)))
            foreach (SourceItem item in NamedSources.Read(source.ToRecipe(), Path.Combine(task.Path, source.Path ?? ""), seed, home).Items)
                yield return item with { Id = $"{task.Name}:{item.Id}" };
    }

    private static IEnumerable<(JinjaDict Row, string Where)> Rows(TaskFolder task, TaskSource source, int index, FlywheelHome home)
    {
        string file = Path.Combine(task.Path, TaskFolder.FileName);
        switch (source.Source)
        {
            case TaskSource.Jsonl:
                return SourceFiles.Rows(Path.Combine(task.Path, source.Path!))
                    .Select(entry => ((JinjaDict)JinjaJson.Read(entry.Row)!, entry.Where));
            case TaskSource.Draw:
                return Draws(task, source, index).Take(source.Limit * MaxTries).Select(row => (row, $"{file}: sources[{index}]"));
            case TaskSource.CmuDictionary:
                string dictionary = CmuDictionary.Find(new SourceFiles(home));
                return CmuDictionary.Read(dictionary).Select(row => ((JinjaDict)JinjaJson.Read(row)!, dictionary));
            case TaskSource.PackageDescriptions:
                return PackageTranslations.Read(home, source.Language!)
                    .Select(row => ((JinjaDict)JinjaJson.Read(row)!, $"package descriptions in {source.Language}"));
            case TaskSource.ProteinStructure:
                string chains = FlipSecondaryStructure.Find(new SourceFiles(home), home);
                return FlipSecondaryStructure.Read(chains, source.Longest)
                    .Select(row => ((JinjaDict)JinjaJson.Read(row)!, $"{chains}: {row["id"]}"));
            case TaskSource.Clothes:
                return FashionMnist.Read(home).Select(row => ((JinjaDict)JinjaJson.Read(row)!, $"{FashionMnist.Name}: {row["id"]}"));
            default:
                throw new InvalidOperationException($"source '{source.Source}' has no rows");
        }
    }

    /// <summary>Each item has a random stream of its own, so that the first ones are the same whatever the limit.</summary>
    private static IEnumerable<JinjaDict> Draws(TaskFolder task, TaskSource source, int index)
    {
        (TaskDraw Draw, JinjaTemplate? Is)[] draws =
            [.. source.Draws.Select(draw => (draw, draw.Is is { } text ? new JinjaTemplate(text) : null))];
        for (int i = 0; ; i++)
        {
            Random random = StableHash.Stream($"{task.Name}\n{index}\n{i}", seed: 1);
            var row = new JinjaDict();
            foreach ((TaskDraw draw, JinjaTemplate? made) in draws)
                row[draw.Name] = made is not null
                    ? RowMapping.Render(made, row, Path.Combine(task.Path, TaskFolder.FileName), $"sources[{index}].draws")
                    : draw.Of.Count > 0
                    ? draw.Of[random.Next(draw.Of.Count)] : (long)random.Next(draw.From!.Value,
                        draw.To!.Value == int.MaxValue ? int.MaxValue : draw.To.Value + 1);
            yield return row;
        }
    }

    /// <summary>How the rows of a source become fields and an answer.</summary>
    private sealed class RowMapping
    {
        private readonly TaskFolder _task;
        private readonly string _at;
        private readonly (string Field, JinjaTemplate? Template)[] _fields;
        private readonly JinjaTemplate? _answer, _keep, _heldOut, _scored;

        public RowMapping(TaskFolder task, string at, IReadOnlyDictionary<string, string> fields, string? answer, string? keep,
            string? heldOut = null, string? scored = null)
        {
            (_task, _at) = (task, at);
            _fields =
                [.. task.Description.Fields.Select(field =>
                    (field.Name, fields.TryGetValue(field.Name, out string? template) ? new JinjaTemplate(template) : null))];
            _answer = answer is null ? null : new JinjaTemplate(answer);
            _keep = keep is null ? null : new JinjaTemplate(keep);
            _heldOut = heldOut is null ? null : new JinjaTemplate(heldOut);
            _scored = scored is null ? null : new JinjaTemplate(scored);
        }

        /// <summary>What the publisher holds out (null: the publisher does not say), and which letters of the answer are
        /// measured.</summary>
        public (bool? HeldOut, string? Scored) Marks(JinjaDict row, string where, string answer)
        {
            string? scored = _scored is null ? null : Render(_scored, row, where, $"{_at}.scored");
            if (scored is not null && (scored.Length != answer.Length || scored.Any(c => c is not ('0' or '1'))))
                throw new FlywheelException(
                    $"{where}: field '{_at}.scored' gives {scored.Length} marks, expected a 1 or a 0 for each of the {answer.Length} letters of the answer");
            return (_heldOut is null ? null : Render(_heldOut, row, where, $"{_at}.held_out") == "True", scored);
        }

        /// <summary>Null for a row that is not to keep.</summary>
        public (IReadOnlyDictionary<string, string> Fields, string Answer)? Read(JinjaDict row, string where)
        {
            if (_keep is not null && Render(_keep, row, where, $"{_at}.keep") != "True") return null;
            try
            {
                IReadOnlyDictionary<string, string> fields = _task.Check(_fields.ToDictionary(field => field.Field, field =>
                    field.Template is not null
                        ? Render(field.Template, row, where, $"{_at}.fields.{field.Field}") : Text(row, field.Field, where)));
                string answer = _answer is null ? "" : Render(_answer, row, where, $"{_at}.answer");
                if (_answer is not null && answer.Length == 0) throw new FlywheelException("the answer is empty, expected one");
                if (_answer is not null) _task.Answer(fields, answer); // of the right modality
                return (fields, answer);
            }
            catch (FlywheelException e) when (!e.Message.StartsWith(where, StringComparison.Ordinal))
            {
                throw new FlywheelException($"{where}: {e.Message}", e);
            }
        }

        /// <summary>A column as the field of its name; a list is lines.</summary>
        private static string Text(JinjaDict row, string name, string where) =>
            !row.TryGetValue(name, out object? value) || value is null ? ""
            : value switch
            {
                string text => text,
                List<object?> list =>
                    string.Join('\n',
                        list.Select(item =>
                            item as string ?? throw new FlywheelException($"{where}: column '{name}' holds something else than texts"))),
                IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
                _ => throw new FlywheelException($"{where}: column '{name}' is no text, number or list of texts"),
            };

        public static string Render(JinjaTemplate template, JinjaDict row, string where, string field)
        {
            // What a row lacks would be an empty text in silence.
            if (template.Names.FirstOrDefault(name => !row.ContainsKey(name)) is { } missing)
                throw new FlywheelException(
                    $"{where}: has no '{missing}', which field '{field}' uses; it has {string.Join(", ", row.Select(pair => pair.Key))}");
            try
            {
                return template.Render(row).Trim();
            }
            catch (JinjaException e)
            {
                throw new FlywheelException($"{where}: field '{field}': {e.Message}", e);
            }
        }
    }
}
