using System.CommandLine;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel import</c>: open weights become one of our models.</summary>
internal static class ImportCommand
{
    public static Command Create()
    {
        var from = new Argument<string>("from") { Description = "A Hugging Face model folder, or a GGUF file" };
        var command = new Command("import", $"Bring open weights in: {NearestName.List(ModelConfig.ModelTypes)} (SmolLM is a llama), from a Hugging Face folder or a GGUF file.\nExample: flywheel import ~/models/SmolLM2-135M-Instruct") { from };
        command.SetAction(parse => Run(parse.GetValue(from)!));
        return command;
    }

    private static void Run(string from)
    {
        ModelFolder model = ModelImport.Import(from, new FlywheelHome().Models, TimeProvider.System.GetUtcNow());
        Report(model);
    }

    private static void Report(ModelFolder model)
    {
        using IWeightFile weights = model.OpenWeights();
        string types = string.Join(", ", weights.Tensors.Values.GroupBy(tensor => tensor.Type).OrderByDescending(group => group.Sum(tensor => tensor.NumBytes)).Select(group => $"{group.Key} ({group.Sum(tensor => tensor.NumBytes) / 1e6:N1} MB)"));
        AnsiConsole.Write(new Table().HideHeaders().AddColumns("", "")
            .AddRow("model", Markup.Escape(model.Path))
            .AddRow("name, hash", Markup.Escape($"{model.Manifest.Name}, {model.ShortHash}"))
            .AddRow("shape", Markup.Escape($"{model.Config.ModelType}, {model.Config.NumParameters / 1e6:N1} million parameters, {model.Config.NumLayers} layers, width {model.Config.HiddenSize}"))
            .AddRow("weights", Markup.Escape(types))
            .AddRow("vocabulary, context", $"{model.Config.VocabSize:N0}, {model.Config.MaxPositions:N0} tokens")
            .AddRow("licence", Markup.Escape(model.Manifest.Licence ?? "none stated")));
        AnsiConsole.WriteLine($"Next: ./flywheel up --model {model.Path}");
    }
}
