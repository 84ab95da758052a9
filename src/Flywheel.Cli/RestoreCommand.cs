using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Cli;

/// <summary><c>flywheel restore FILE</c>: a home from a backup, checked before anything is touched.</summary>
internal static class RestoreCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("file") { Description = "What flywheel backup wrote" };
        var replace = new Option<bool>("--replace") { Description = "The home may hold something: it is moved aside" };
        var command = new Command("restore",
            "Make the home of a backup. It must be empty, or be moved aside with --replace; no server may run on it.\nExample: ./flywheel restore home.zip") { file, replace };
        command.SetAction((parse, cancellation) => RunAsync(parse.GetValue(file)!, parse.GetValue(replace), cancellation));
        return command;
    }

    private static async Task RunAsync(string file, bool replace, CancellationToken cancellation)
    {
        var home = new FlywheelHome();
        (BackupManifest manifest, string? aside) = await HomeRestore.ReadAsync(file, home, replace, cancellation: cancellation);
        Console.WriteLine(
            $"{home.Path} is as it was on {manifest.Made:yyyy-MM-dd HH:mm} UTC: {manifest.Files.Count} files, {manifest.NumBytes / 1e6:N1} MB.");
        if (aside is not null) Console.WriteLine($"What was there before lies in {aside}.");
        if (HomeRestore.WarningOf(manifest, home, new FlywheelHome()) is { } warning) Console.Error.WriteLine($"warning: {warning}.");
        foreach (string missing in manifest.Missing) Console.WriteLine($"The backup was made without: {missing}");
    }
}
