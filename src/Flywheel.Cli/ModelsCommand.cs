using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel models</c>: the models that this home knows, and which one answers.</summary>
internal static class ModelsCommand
{
    public static Command Create()
    {
        var command = new Command("models", "List models: the champion, what each was trained from, where it lies.\nExample: flywheel models");
        command.SetAction((_, cancellation) => ListAsync(cancellation));
        return command;
    }

    private static async Task ListAsync(CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        IReadOnlyList<ModelRow> models = await store.ModelsAsync(cancellation);
        if (models.Count == 0)
        {
            Console.WriteLine($"no models are registered in {store.Home.Path}; ./flywheel up registers the starter model");
            return;
        }
        string? champion = (await store.ChampionAsync(cancellation))?.Hash;
        IReadOnlyList<ReleaseRow> releases = await store.ReleasesAsync(cancellation);
        Table table = new Table().AddColumns("model", "name", "parent", "parameters", "made", "released", "folder");
        foreach (ModelRow model in models)
        {
            string released = model.Hash == champion ? "[green]champion[/]" : releases.FirstOrDefault(release => release.ModelHash == model.Hash) is { } release ? $"{release.Time:yyyy-MM-dd HH:mm}" : "";
            table.AddRow(model.ShortHash, Markup.Escape(model.Name), model.Parent?[..12] ?? "", $"{model.NumParameters / 1e6:F1} M", $"{model.Created:yyyy-MM-dd HH:mm}", released, Markup.Escape(store.FolderOf(model)));
        }
        AnsiConsole.Write(table);
    }
}
