using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Cli;

/// <summary><c>flywheel backup FILE</c>: the whole home in one file, also while a server runs.</summary>
internal static class BackupCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("file") { Description = "Where to, such as home.zip" };
        var command = new Command("backup",
            "Write the record, its models, datasets and runs into one file with checksums; a server may run meanwhile. "
            + "It holds people's texts and the record's secrets: keep it as you keep the home.\nExample: ./flywheel backup home.zip")
            { file };
        command.SetAction((parse, cancellation) => RunAsync(parse.GetValue(file)!, cancellation));
        return command;
    }

    private static async Task RunAsync(string file, CancellationToken cancellation)
    {
        var home = new FlywheelHome();
        BackupManifest manifest = await HomeBackup.WriteAsync(home, file, cancellation: cancellation);
        Console.WriteLine($"{manifest.Files.Count} files, {manifest.NumBytes / 1e6:N1} MB of {home.Path} are in {Path.GetFullPath(file)}.");
        foreach (string missing in manifest.Missing) Console.WriteLine($"Not in it: {missing}");
        Console.WriteLine($"Restore: FLYWHEEL_HOME=a-new-folder ./flywheel restore {file}");
    }
}
