using System.Diagnostics;

namespace Flywheel.Testing;

/// <summary>Runs a program as several ranks under a real MPI launcher.</summary>
internal static class Ranks
{
    /// <summary>Launchers of both kinds of MPI, by their Debian names.</summary>
    public static TheoryData<string> Launchers => ["mpirun.openmpi", "mpirun.mpich"];

    public static ProcessStartInfo Start(string launcher, int numRanks, params IEnumerable<string> command)
    {
        if (!Tool.Exists(launcher)) Assert.Skip($"{launcher} is not installed (Debian: apt-get install openmpi-bin mpich)");
        var start = new ProcessStartInfo(launcher) { RedirectStandardOutput = true, RedirectStandardError = true };
        // More ranks than cores, and as root in a container: Open MPI wants to be told that both are meant.
        if (launcher == "mpirun.openmpi")
            foreach (string argument in new[] { "--oversubscribe", "--allow-run-as-root", "--bind-to", "none" })
                start.ArgumentList.Add(argument);
        foreach (string argument in new[] { "-n", $"{numRanks}" }.Concat(command)) start.ArgumentList.Add(argument);
        return start;
    }

    /// <summary>To the end; what it printed is in the error if it fails.</summary>
    public static async Task RunAsync(ProcessStartInfo start)
    {
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0,
            $"{start.FileName} {string.Join(' ', start.ArgumentList)} ended with {process.ExitCode}\n{output}{await errors}");
    }
}
