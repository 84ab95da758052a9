using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel lineage ID</c>: where something came from and what became of it.</summary>
internal static class LineageCommand
{
    public static Command Create()
    {
        var id = new Argument<string>("id") { Description =
            "Id of a feedback, generation, turn, model, dataset or example, or the beginning of one; or a run's name" };
        var command = new Command("lineage",
            "From a feedback to the models that learnt from it, or from a model back to its run, dataset and feedback.\nExample: ./flywheel lineage 3f9a1c2b7d40") { id };
        command.SetAction((parse, cancellation) => ShowAsync(parse.GetValue(id)!, cancellation));
        return command;
    }

    private static async Task ShowAsync(string id, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        LineageNode root = await Lineage.TraceAsync(store, id, cancellation);
        if (Console.IsOutputRedirected)
        {
            Print(root, 0);
            return;
        }
        var tree = new Tree(Line(root));
        Grow(tree, root);
        AnsiConsole.Write(tree);
    }

    private static void Grow(IHasTreeNodes parent, LineageNode node)
    {
        foreach (LineageNode child in node.Children) Grow(parent.AddNode(Line(child)), child);
    }

    private static string Line(LineageNode node)
    {
        string colour = node.Kind switch { "feedback" => "green", "model" or "release" => "blue", "dataset" or "example" => "yellow", _ =>
            "grey" };
        return $"[{colour}]{node.Kind}[/]{(node.Id.Length > 0 ? $" [bold]{Markup.Escape(node.Id)}[/]" : "")} {Markup.Escape(node.Text)}"
            .TrimEnd();
    }

    private static void Print(LineageNode node, int depth)
    {
        Console.WriteLine(
            $"{new string(' ', 2 * depth)}{string.Join(' ', new[] { node.Kind, node.Id, node.Text }.Where(text => text.Length > 0))}");
        foreach (LineageNode child in node.Children) Print(child, depth + 1);
    }
}
