using System.Diagnostics;
using System.Globalization;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>The program that starts ranks: Slurm's srun inside a job, else the mpirun that is installed.</summary>
public static class RankLauncher
{
    /// <summary>The command line up to the program that each rank runs.</summary>
    /// <param name="numRanks">How many to start.</param>
    /// <param name="given">A launcher of the person's choice with its options, such as <c>mpirun --hostfile hosts</c>; found by itself when
    /// null.</param>
    /// <exception cref="FlywheelException">There is none.</exception>
    public static IReadOnlyList<string> Command(int numRanks, string? given = null)
    {
        string count = numRanks.ToString(CultureInfo.InvariantCulture);
        if (given is not null)
        {
            string[] words = given.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            return words.Length == 0
                ? throw new FlywheelException("--launcher is empty, expected a command such as 'mpirun --hostfile hosts'")
                : Path.GetFileName(words[0]) == "srun" ? [.. words, "-n", count]
                : [.. words[..1], .. MpirunOptions(words[0]), .. words[1..], "-n", count];
        }
        if (numRanks == 1) return [];
        if (Environment.GetEnvironmentVariable("SLURM_JOB_ID") is not null && Find("srun") is not null)
            return ["srun", "--kill-on-bad-exit=1", $"--mpi={SlurmPlugin()}", "-n", count];
        return Find("mpirun") is not null
            ? ["mpirun", .. MpirunOptions("mpirun"), "-n", count]
            : throw new FlywheelException(
                $"{numRanks} ranks need mpirun, which is not installed; Debian: apt-get install openmpi-bin (or mpich)");
    }

    /// <summary>
    /// Open MPI by default gives each rank one core and refuses more ranks than cores and the user root; ranks of ours have
    /// threads, and whoever asks for four ranks means four. MPICH has no such defaults.
    /// </summary>
    private static string[] MpirunOptions(string mpirun)
    {
        string version = Run(mpirun, "--version").Output;
        if (!version.Contains("Open MPI", StringComparison.Ordinal) && !version.Contains("OpenRTE", StringComparison.Ordinal)) return [];
        string[] root = Environment.UserName == "root" ? ["--allow-run-as-root"] : [];
        return ["--oversubscribe", "--bind-to", "none", .. root];
    }

    /// <summary>
    /// How tasks of srun find each other: PMIx with Open MPI's library, PMI2 with MPICH's. Slurm lists plugins that then do not
    /// load, so that each is tried.
    /// </summary>
    private static string SlurmPlugin()
    {
        List<string> tried = [];
        foreach ((string plugin, string[] libraries) in new[] { ("pmix", Launcher.OpenMpi), ("pmi2", Launcher.Mpich) })
        {
            if (!MpiLibrary.Exists(libraries))
            {
                tried.Add($"{plugin}: {libraries[0]} does not load");
                continue;
            }
            (int code, string output) = Run("srun", $"--mpi={plugin}", "-N1", "-n1", "true");
            if (code == 0) return plugin;
            tried.Add($"{plugin}: {output.ReplaceLineEndings(" ").Trim()}");
        }
        throw new FlywheelException(
            $"no MPI library fits this cluster ({string.Join("; ", tried)}); pmix needs Open MPI (libopenmpi3), pmi2 needs MPICH (libmpich12)");
    }

    internal static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    private static (int Code, string Output) Run(string program, params string[] arguments)
    {
        try
        {
            using Process process =
                Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd() + errors.GetAwaiter().GetResult();
            process.WaitForExit();
            return (process.ExitCode, output);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new FlywheelException($"{program} does not start: {e.Message}; expected a launcher of ranks such as mpirun", e);
        }
    }
}
