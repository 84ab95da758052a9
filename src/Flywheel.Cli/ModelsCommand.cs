using System.CommandLine;
using Flywheel.Data;
using Flywheel.Loop;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel models</c>: what can be named in this home, and which one answers.</summary>
internal static class ModelsCommand
{
    public static Command Create()
    {
        var command = new Command("models",
            "List models and adapters: imported, trained and merged ones, what each came from, and the champion. Name or hash go wherever a model is asked for: up --model, export, a recipe's base.\nExample: ./flywheel models");
        command.SetAction((_, cancellation) => ListAsync(cancellation));
        command.Add(CreateRollback());
        command.Add(CreateRespell());
        return command;
    }

    /// <summary><c>flywheel models respell</c>: a model that spells what its training hardly saw.</summary>
    private static Command CreateRespell()
    {
        var model = new Argument<string>("model") { Description = $"Model: {ModelCatalog.Names}" };
        var recipe = new Option<string>("--data") { Description = "Recipe whose data the model learnt from", Required = true };
        var fewest = new Option<long>("--fewest") { Description = "Tokens seen less often in that data are spelt by shorter ones",
            DefaultValueFactory = _ => 300 };
        var command = new Command("respell",
            "Make a model whose tokenizer spells by shorter tokens what its training hardly saw, such as the beginning of a rare name: it copies what it knows the look of. The weights stay as they are.\nExample: ./flywheel models respell first --data recipes/first-noted.yaml") { model, recipe, fewest };
        command.SetAction(parse => Respell(parse.GetValue(model)!, parse.GetValue(recipe)!, parse.GetValue(fewest)));
        return command;
    }

    private static void Respell(string named, string recipe, long fewest)
    {
        if (fewest < 1) throw new FlywheelException($"option --fewest is {fewest}, expected a whole number from 1 on");
        var home = new FlywheelHome();
        ModelFolder model = new ModelCatalog(home).FindModel(named);
        BuiltData data = new RecipeRunner(home) { Status = Console.Error.WriteLine }.Data(recipe, model: model).Built!;
        using TokenDataset dataset = TokenDataset.Open(data.TrainPath);
        (Tokenizer tokenizer, IReadOnlyList<string> dropped) = RareTokens.Drop(model.Tokenizer, dataset.CountTokens(), fewest);
        if (dropped.Count == 0)
        {
            Console.WriteLine($"Nothing to do: {dataset.Manifest.NumTokens:N0} tokens of {recipe} hold each merged token {fewest} times.");
            return;
        }
        ModelFolder made = model.WithTokenizer(home.Models, tokenizer, $"{model.Manifest.Name}-respelled", DateTimeOffset.UtcNow);
        Console.WriteLine($"{made.ShortHash} {made.Path}: of {dataset.Manifest.NumTokens:N0} tokens of {recipe}, {dropped.Count:N0} that were seen fewer than {fewest} times are spelt by shorter ones.");
    }

    private static Command CreateRollback()
    {
        var to = new Argument<string?>("to") { Description =
            "Hash of a released model, or its beginning; the one before the champion when not given", Arity = ArgumentArity.ZeroOrOne };
        var workspace = new Option<string?>("--workspace")
            { Description = "Of a workspace's own: an earlier model of it, or 'shared' for the model that all share" };
        var command = new Command("rollback",
            "Release an earlier model again, in the running server too.\nExample: ./flywheel models rollback") { to, workspace };
        command.SetAction((parse, cancellation) => parse.GetValue(workspace) is { } id and not WorkspaceRow.Default
            ? RollBackInAsync(id, parse.GetValue(to), cancellation) : RollBackAsync(parse.GetValue(to), cancellation));
        return command;
    }

    private static async Task RollBackInAsync(string workspace, string? wanted, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        ModelRow? to = await Rollback.RunInAsync(store, workspace, wanted, $"rolled back by hand by {Environment.UserName}", cancellation);
        Console.WriteLine($"{(to is null ? "The shared model" : $"{to.Name} {to.ShortHash}")} answers in the workspace '{workspace}' again.");
    }

    private static async Task RollBackAsync(string? wanted, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        (ModelRow from, ModelRow to) = await Rollback.RunAsync(store, wanted, cancellation);
        Console.WriteLine(
            $"{to.Name} {to.Hash[..12]} is the champion again, in the place of {from.Name} {from.Hash[..12]}. ./flywheel models rollback {from.Hash[..12]} takes it back.");
    }

    private static async Task ListAsync(CancellationToken cancellation)
    {
        var home = new FlywheelHome();
        List<string> problems = [];
        IReadOnlyList<CatalogEntry> entries = new ModelCatalog(home).List(problems.Add);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(home, cancellation: cancellation);
        string? champion = (await store.ChampionAsync(cancellation))?.Hash;
        IReadOnlyList<ReleaseRow> releases = await store.ReleasesAsync(cancellation);
        Table table = new Table().AddColumns("hash", "name", "what", "parameters", "weights", "from", "made", "released");
        foreach (CatalogEntry entry in entries)
        {
            ModelManifest manifest = entry.Manifest;
            string released = manifest.Hash == champion
                ? "[green]champion[/]" : releases.FirstOrDefault(release => release.ModelHash == manifest.Hash) is { } release
                ? $"{release.Time:yyyy-MM-dd HH:mm}" : "";
            table.AddRow(entry.ShortHash, Markup.Escape(manifest.Name), What(entry), $"{manifest.NumParameters / 1e6:N1} M",
                Markup.Escape(Weights(entry)), Markup.Escape(From(manifest)), $"{manifest.Created:yyyy-MM-dd HH:mm}", released);
        }
        AnsiConsole.Write(table);
        Console.WriteLine($"They lie in {home.Models}, each in a folder named by its hash.");
        foreach (string problem in problems) Console.WriteLine($"Not readable: {problem}");
    }

    private static string What(CatalogEntry entry) => entry.Kind switch
    {
        "adapter" => "[blue]adapter[/]",
        "starter" => "the starter",
        var kind => kind,
    };

    private static string From(ModelManifest manifest) =>
        string.Join(", ",
            new[] { manifest.Source, manifest.Run is null ? null : $"run {manifest.Run}",
                manifest.Parent is null ? null : $"model {manifest.Parent[..Math.Min(12, manifest.Parent.Length)]}" }.OfType<string>());

    /// <summary>The type that most of the weights have, and the size of all files.</summary>
    private static string Weights(CatalogEntry entry)
    {
        string size = entry.NumBytes >= 1e9 ? $"{entry.NumBytes / 1e9:N2} GB" : $"{entry.NumBytes / 1e6:N1} MB";
        if (entry.IsAdapter) return size;
        try
        {
            using IWeightFile weights = ModelFolder.OpenWeightsOf(entry.Path);
            return $"{weights.Tensors.Values.GroupBy(tensor => tensor.Type).MaxBy(type => type.Sum(tensor => tensor.NumBytes))?.Key}, {size}";
        }
        catch (FlywheelException e)
        {
            return e.Message;
        }
    }
}
