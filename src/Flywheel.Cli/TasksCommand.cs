using System.CommandLine;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel tasks</c>: what the files in <c>tasks/</c> describe: list, show, run, eval.</summary>
internal static class TasksCommand
{
    public static Command Create() =>
        new("tasks",
            "The tasks that files describe: what there is, try one, measure a model.\nExample: ./flywheel tasks run arithmetic --field a=17 --field op=+ --field b=25") { List(), Show(), Run(), Evaluate() };

    private static Command List()
    {
        var command = new Command("list", "Every task, with its fields and what it is.\nExample: ./flywheel tasks list");
        command.SetAction(_ =>
        {
            Table table = new Table().AddColumns("task", "fields", "output", "what it is");
            foreach (TaskFolder task in new TaskCatalog(new FlywheelHome()).List(problem => Console.Error.WriteLine(problem)))
                table.AddRow(Markup.Escape(task.Name),
                    Markup.Escape(
                        string.Join(", ", task.Description.Fields.Select(field => field.Required ? field.Name : $"{field.Name}?"))),
                        Markup.Escape(task.Description.Output.Modality), Markup.Escape(task.Description.About.En));
            AnsiConsole.Write(table);
        });
        return command;
    }

    private static Argument<string> NameArgument() => new("name") { Description = "Name of the task (./flywheel tasks list)" };

    private static Command Show()
    {
        Argument<string> name = NameArgument();
        var command = new Command("show",
            "One task: its fields and limits, how it is measured, examples, and what a model is asked.\nExample: ./flywheel tasks show translation") { name };
        command.SetAction(parse =>
        {
            TaskFolder task = new TaskCatalog(new FlywheelHome()).Find(parse.GetValue(name)!);
            TaskDescription about = task.Description;
            Console.WriteLine($"{about.Title.En}: {about.About.En}");
            Console.WriteLine($"{Path.Combine(task.Path, TaskFolder.FileName)}, licence {about.Licence}");
            Table table = new Table().AddColumns("field", "modality", "widget", "", "limits");
            foreach (TaskField field in about.Fields)
                table.AddRow(Markup.Escape(field.Name), field.Modality, field.WidgetOrDefault, field.Required ? "required" : "",
                    Markup.Escape(Limits(field)));
            AnsiConsole.Write(table);
            Console.WriteLine($"output: {about.Output.Modality}");
            if (about.Metrics.Count > 0)
                Console.WriteLine(
                    $"measured by {string.Join(", ", about.Metrics)}{(about.Baseline is { } baseline ? $"; baseline: {baseline.Name.En}" : "")}");
            foreach (TaskExample example in about.Examples)
            {
                Console.WriteLine(
                    $"\nexample: {string.Join(", ", example.Fields.Select(pair => $"{pair.Key} = {pair.Value.ReplaceLineEndings("; ")}"))}{(example.Answer.Length > 0 ? $" -> {example.Answer}" : "")}");
                Console.WriteLine(
                    string.Join('\n',
                        task.Ask(task.Check(example.Fields)).Messages.Select(message =>
                            $"  {message.Role.ToString().ToLowerInvariant()}: {message.Text.ReplaceLineEndings("\n  ")}")));
            }
        });
        return command;
    }

    private static string Limits(TaskField field) => field.WidgetOrDefault switch
    {
        TaskField.Choice => string.Join(", ", field.Choices),
        TaskField.Number => $"{field.Min?.ToString() ?? "..."} to {field.Max?.ToString() ?? "..."}",
        _ => field.Many ? $"at most {field.MaxItems} of {field.MaxLength} characters" : $"at most {field.MaxLength} characters",
    };

    private static Command Run()
    {
        Argument<string> name = NameArgument();
        var fields = new Option<string[]>("--field") { Description = "NAME=VALUE; of a list, once for each item; of a picture, its file",
            DefaultValueFactory = _ => [] };
        var model = new Option<string?>("--model")
            { Description = $"Model: {ModelCatalog.Names}; default: the home's champion, else the first model" };
        var seed = new Option<int>("--seed") { Description = "Of the sampling", DefaultValueFactory = _ => 1 };
        var command = new Command("run",
            "Have a model do a task once. Nothing is recorded; POST /v1/tasks/NAME records.\nExample: ./flywheel tasks run pronunciation --field word=flywheel --model pronunciation") { name, fields, model, seed };
        command.SetAction(async (parse, cancellation) =>
        {
            var home = new FlywheelHome();
            TaskFolder task = new TaskCatalog(home).Find(parse.GetValue(name)!);
            ModelFolder folder = await FindAsync(home, parse.GetValue(model), cancellation);
            IReadOnlyDictionary<string, string> values = task.Check(Pictures(Fields(parse.GetValue(fields)!, task), task, folder));
            TaskAsk ask = TaskAsk.For(task, values, folder, Defaults(folder));
            if (!TaskAsk.IsTrained(task, folder))
                Console.Error.WriteLine($"it is not recorded that {folder.Manifest.Name} was trained for this task");
            await using InferenceEngine engine = InferenceEngine.Load(folder, new EngineOptions());
            Console.WriteLine(task.Output(await ask.AnswerAsync(engine, folder.Tokenizer, (ulong)parse.GetValue(seed), cancellation)));
        });
        return command;
    }

    private static Command Evaluate()
    {
        Argument<string> name = NameArgument();
        var model = new Option<string?>("--model")
            { Description = $"Model: {ModelCatalog.Names}; default: the home's champion, else the first model" };
        var limit = new Option<int>("--limit") { Description = "Held-out items to ask, at most", DefaultValueFactory = _ => 500 };
        var without = new Option<bool>("--no-baseline") { Description = "Measure the model alone" };
        var show = new Option<int>("--show") { Description = "Answers to print", DefaultValueFactory = _ => 5 };
        var command = new Command("eval",
            "Measure a model on items of the task that were held out, beside the baseline, with 95% intervals. The page of the task shows the figures.\nExample: ./flywheel tasks eval arithmetic --model first") { name, model, limit, show, without };
        command.SetAction(async (parse, cancellation) =>
        {
            if (parse.GetValue(limit) < 2) throw new FlywheelException($"--limit is {parse.GetValue(limit)}, expected at least 2");
            var home = new FlywheelHome();
            TaskFolder task = new TaskCatalog(home).Find(parse.GetValue(name)!);
            ModelFolder folder = await FindAsync(home, parse.GetValue(model), cancellation);
            TaskEvaluation evaluation = await TaskExam.TakeAsync(task, folder, home, parse.GetValue(limit), TimeProvider.System.GetUtcNow(),
                !parse.GetValue(without),
                (done, all) => Console.Error.Write(Console.IsErrorRedirected ? "" : $"\r{done} of {all} "), cancellation);
            if (!Console.IsErrorRedirected) Console.Error.WriteLine();
            Console.WriteLine(
                $"{task.Name}: {evaluation.ModelName} ({folder.ShortHash}){(TaskAsk.IsTrained(task, folder) ? "" : ", not known to be trained for it")}, {evaluation.NumItems} of {evaluation.NumHeldOut} held-out items");
            Table table = new Table().AddColumns("metric", "model",
                !parse.GetValue(without) && task.Description.Baseline is { } baseline ? Markup.Escape(baseline.Name.En) : "no baseline");
            foreach (TaskScore score in evaluation.Scores)
                table.AddRow($"{score.Metric} ({(score.HigherIsBetter ? "more" : "less")} is better)",
                    Figure(score.Metric, score.Value, score.Low, score.High),
                    score is { Baseline: { } value, BaselineLow: { } low, BaselineHigh: { } high }
                        ? Figure(score.Metric, value, low, high) : "");
            AnsiConsole.Write(table);
            foreach (TaskSample sample in evaluation.Samples.Take(parse.GetValue(show)))
                Console.WriteLine(
                    $"{string.Join(" | ", sample.Fields.Values.Where(value => value.Length > 0).Select(value => value.ReplaceLineEndings(", ")))} -> {sample.Output.ReplaceLineEndings(" ")}{(sample.Expected.Length > 0 && sample.Expected != sample.Output ? $"   (right: {sample.Expected})" : "")}");
            Console.Error.WriteLine(evaluation.Write(home));
        });
        return command;
    }

    private static string Figure(string metric, double value, double low, double high)
    {
        double scale = metric == TaskMetricNames.ChrF ? 1 : 100;
        return string.Create(System.Globalization.CultureInfo.InvariantCulture,
            $"{value * scale:0.0} [[{low * scale:0.0}, {high * scale:0.0}]]{(scale == 1 ? "" : " %")}");
    }

    /// <summary>Files of pictures as the model reads them.</summary>
    private static Dictionary<string, string> Pictures(Dictionary<string, string> values, TaskFolder task, ModelFolder model)
    {
        foreach (TaskField field in task.Description.Fields.Where(field => field.WidgetOrDefault == TaskField.Picture))
        {
            if (!values.TryGetValue(field.Name, out string? path)) continue;
            PictureCodec codec = PictureCodec.Of(model)
                ?? throw new FlywheelException($"{model.Manifest.Name} cannot read pictures: it was trained without a codec of them");
            values[field.Name] =
                codec.Encode(
                    PictureReader.Grey(File.Exists(path)
                        ? File.ReadAllBytes(path) : throw new FlywheelException($"{path}: no such file; expected a picture"), codec.Side,
                        path));
        }
        return values;
    }

    /// <summary>Values as they were given; a name that comes again is another item of a list.</summary>
    private static Dictionary<string, string> Fields(string[] given, TaskFolder task)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string text in given)
        {
            int equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                throw new FlywheelException($"--field is '{text}', expected NAME=VALUE such as {task.Description.Fields[0].Name}=...");
            string name = text[..equals];
            bool many = task.Description.Fields.FirstOrDefault(field => field.Name == name)?.Many == true;
            values[name] = many && values.TryGetValue(name, out string? before)
                ? $"{before}\n{text[(equals + 1)..]}" : text[(equals + 1)..];
        }
        return values;
    }

    internal static async Task<ModelFolder> FindAsync(FlywheelHome home, string? wanted, CancellationToken cancellation)
    {
        if (wanted is not null) return new ModelCatalog(home).FindModel(wanted);
        if (home.HasRecord)
        {
            await using FlywheelStore store = await FlywheelStore.OpenAsync(home, cancellation: cancellation);
            if (await store.ChampionAsync(cancellation) is { } champion) return ModelFolder.Open(store.FolderOf(champion));
        }
        return ModelFolder.Open(ModelCatalog.Starter
            ?? throw new FlywheelException($"{home.Path} has no model yet; name one with --model"));
    }

    /// <summary>As the model's generation_config.json says.</summary>
    private static SamplerOptions Defaults(ModelFolder folder)
    {
        var config = folder.ReadGenerationConfig();
        float Number(string name, float absent) => config[name]?.GetValue<float>() ?? absent;
        return new SamplerOptions { Temperature = Number("temperature", 1), TopP = Number("top_p", 1), MinP = Number("min_p", 0) };
    }
}
