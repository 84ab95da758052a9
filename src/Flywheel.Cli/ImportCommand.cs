using System.CommandLine;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel import</c>: open weights become one of our models.</summary>
internal static class ImportCommand
{
    public static Command Create()
    {
        var from =
            new Argument<string>("from") { Description =
                "A Hugging Face model folder, a GGUF file, or hf:owner/name with @revision or :file.gguf" };
        var name = new Option<string?>("--name")
            { Description = "What to call it; the API knows the model by this name. As it calls itself when not given" };
        var command = new Command("import",
            $"Bring open weights in: {NearestName.List(ModelConfig.ModelTypes)} (SmolLM is a llama), from a Hugging Face folder, a GGUF file, or a hub (HF_TOKEN, HF_ENDPOINT).\nExample: ./flywheel import hf:HuggingFaceTB/SmolLM2-135M-Instruct") { from, name };
        command.SetAction((parse, cancellation) => RunAsync(parse.GetValue(from)!, parse.GetValue(name), cancellation));
        return command;
    }

    private static async Task RunAsync(string from, string? name, CancellationToken cancellation)
    {
        var home = new FlywheelHome();
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        bool bars = HubReference.IsOne(from) && !Console.IsOutputRedirected;
        Report(!bars ? await ModelImport.BringAsync(from, home, now, name, new Lines(), cancellation)
            : await AnsiConsole.Progress()
                .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new DownloadedColumn(),
                new TransferSpeedColumn(), new RemainingTimeColumn())
                .StartAsync(context => ModelImport.BringAsync(from, home, now, name, new Bars(context), cancellation)));
    }

    private static void Report(ModelFolder model)
    {
        using IWeightFile weights = model.OpenWeights();
        string types =
            string.Join(", ",
                weights.Tensors.Values.GroupBy(tensor => tensor.Type)
                    .Select(group => (Type: group.Key, Bytes: group.Sum(tensor => tensor.NumBytes)))
            .OrderByDescending(group => group.Bytes).Select(group => $"{group.Type} ({group.Bytes / 1e6:N1} MB)"));
        AnsiConsole.Write(new Table().HideHeaders().AddColumns("", "")
            .AddRow("model", Markup.Escape(model.Path))
            .AddRow("name, hash", Markup.Escape($"{model.Manifest.Name}, {model.ShortHash}"))
            .AddRow("shape",
                Markup.Escape(
                    $"{model.Config.ModelType}, {model.Config.NumParameters / 1e6:N1} million parameters, {model.Config.NumLayers} layers, width {model.Config.HiddenSize}"))
            .AddRow("weights", Markup.Escape(types))
            .AddRow("vocabulary, context", $"{model.Config.VocabSize:N0}, {model.Config.MaxPositions:N0} tokens")
            .AddRow("licence", Markup.Escape(Licence(model))));
        if (model.FindChatFault() is { } fault) Console.WriteLine($"Not for chat: {fault}. It is served for POST /v1/completions.");
        else if (EndFault(model) is { } end) Console.WriteLine($"Not to be trained in chat form: {end}.");
        Console.WriteLine($"Next: ./flywheel up --model {model.Path}");
        Console.WriteLine(
            "It then is the champion; ./flywheel models rollback goes back to the model before, ./flywheel up --starter to the starter.");
    }

    private static string Licence(ModelFolder model)
    {
        string? file = LicenceFile.Find(model.Path);
        return (model.Manifest.Licence ?? (file is null ? "none stated" : "see")) + (file is null ? "" : $" ({file})");
    }

    private static string? EndFault(ModelFolder model)
    {
        try
        {
            return model.FindEndFault();
        }
        catch (FlywheelException e)
        {
            return e.Message;
        }
    }

    /// <summary>A line for each file, for a pipe or a log.</summary>
    private sealed class Lines : IProgress<HubProgress>
    {
        private string? _last;

        public void Report(HubProgress value)
        {
            if (_last != value.File) Console.WriteLine($"{_last = value.File}{(value.Total < 0 ? "" : $", {value.Total / 1e6:N1} MB")}");
        }
    }

    private sealed class Bars(ProgressContext context) : IProgress<HubProgress>
    {
        private readonly Dictionary<string, ProgressTask> _bars = [];

        public void Report(HubProgress value)
        {
            if (!_bars.TryGetValue(value.File, out ProgressTask? bar))
                _bars[value.File] = bar = context.AddTask(Markup.Escape(value.File), maxValue: Math.Max(value.Total, 1));
            bar.Value = value.Done;
        }
    }
}
