using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Cli;

/// <summary><c>flywheel rebuild</c>: trains a model again and compares; ends with 0 when it is the same to the bit, 1 when it is
/// not.</summary>
internal static class RebuildCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "The beginning of its hash, or its name" };
        var command = new Command("rebuild",
            "Train a model or an adapter again from its run's recipe, base and data, with as many threads, and compare the hash. "
            + "A model whose weights are gone is put back where it lay. What is missing is said by name.\nExample: ./flywheel rebuild 9f7ac77fa760") { model };
        command.SetAction((parse, cancellation) => RunAsync(parse.GetValue(model)!, cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string wanted, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        RebuiltModel rebuilt = await new Rebuild(store) { Say = Console.WriteLine }.RunAsync(wanted, cancellation);
        Console.WriteLine(rebuilt.IsEqual ? $"{rebuilt.Got} again: the same weights, to the bit."
            : $"{rebuilt.Wanted} was to be rebuilt, and {rebuilt.Got} came of it: these are other weights.");
        foreach (string note in rebuilt.Notes) Console.WriteLine($"Note: {note}.");
        return rebuilt.IsEqual ? 0 : ExitCodes.Rejected;
    }
}
