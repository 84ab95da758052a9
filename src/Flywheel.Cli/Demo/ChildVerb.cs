using System.Diagnostics;

namespace Flywheel.Cli.Demo;

/// <summary>Runs another verb of this program, as a person would in a second terminal.</summary>
internal static class ChildVerb
{
    /// <summary>Its output goes where ours goes. A cancelled child is given time to end by the same Ctrl-C.</summary>
    /// <returns>Its exit code.</returns>
    public static async Task<int> RunAsync(string home, string[] arguments, CancellationToken cancellation)
    {
        string program = typeof(ChildVerb).Assembly.Location;
        // Under `dotnet flywheel.dll` the process is dotnet itself, which wants the program first.
        string host = Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) == "dotnet" ? path : "dotnet";
        var start = new ProcessStartInfo(host, [program, .. arguments]) { UseShellExecute = false };
        start.Environment["FLYWHEEL_HOME"] = home;
        using Process child = Process.Start(start) ?? throw new InvalidOperationException($"{host} did not start");
        try
        {
            await child.WaitForExitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            if (!child.WaitForExit(TimeSpan.FromSeconds(20))) child.Kill(entireProcessTree: true);
            throw;
        }
        return child.ExitCode;
    }
}
