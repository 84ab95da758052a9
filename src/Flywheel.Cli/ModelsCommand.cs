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
        var command = new Command("models", "List models and adapters: the champion, what each was trained from, where it lies.\nExample: flywheel models");
        command.SetAction((_, cancellation) => ListAsync(cancellation));
        return command;
    }

    private static async Task ListAsync(CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        IReadOnlyList<ModelRow> models = await store.ModelsAsync(cancellation);
        AdapterFolder[] adapters = Directory.Exists(store.Home.Models) ? [.. Directory.GetDirectories(store.Home.Models).Where(AdapterFolder.IsAdapter).Order(StringComparer.Ordinal).Select(AdapterFolder.Open)] : [];
        if (models.Count == 0 && adapters.Length == 0)
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
        foreach (AdapterFolder adapter in adapters)
            table.AddRow(adapter.ShortHash, Markup.Escape(adapter.Manifest.Name), adapter.Config.BaseHash?[..12] ?? Markup.Escape(adapter.Config.Base), $"{adapter.Manifest.NumParameters / 1e6:F1} M",
                adapter.Manifest.Created == default ? "" : $"{adapter.Manifest.Created:yyyy-MM-dd HH:mm}", $"[blue]adapter, rank {adapter.Config.Rank}[/]", Markup.Escape(adapter.Path));
        AnsiConsole.Write(table);
    }
}
