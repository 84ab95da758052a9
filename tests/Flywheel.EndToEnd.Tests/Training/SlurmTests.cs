using System.Diagnostics;
using System.Text.RegularExpressions;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary>
/// The job script of recipes/slurm on a real Slurm cluster of two nodes, thrown up on this machine by tests/slurm/cluster.
/// </summary>
public sealed class SlurmTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private string? _cluster;

    public async ValueTask InitializeAsync()
    {
        foreach (string program in new[] { "slurmctld", "slurmd", "munged", "mpirun.mpich" })
            if (!File.Exists($"/usr/sbin/{program}") && !Tool.Exists(program))
                Assert.Skip($"{program} is not installed (Debian: apt-get install slurm-wlm munge mpich)");
        if (Environment.UserName != "root") Assert.Skip("slurmd needs root");
        string folder = _folder["slurm"];
        (int code, string output) = await Tool.RunAsync(Script, ["start", folder], ".");
        if (code != 0) Assert.Skip($"a Slurm cluster does not start here: {output}");
        _cluster = folder;
    }

    public async ValueTask DisposeAsync()
    {
        if (_cluster is not null) await Tool.RunAsync(Script, ["stop", _cluster], ".");
        _folder.Dispose();
    }

    /// <summary>A rank is killed, then a whole node, then the job is put back into the queue by hand: the same weights.</summary>
    [Fact]
    public async Task Job_RankNodeAndJobLost_EndsWithTheSameCurveAndWeights()
    {
        using var training = new TinyTraining(steps: 90);
        string expected = (await training.UndisturbedAsync()).Model, log = _folder["job.log"];
        // The launcher would build first; a job runs what is there.
        Directory.CreateDirectory(_folder["project"]);
        await File.WriteAllTextAsync(_folder["project/flywheel"], $"#!/bin/sh\nexec dotnet {ServerProcess.Program} \"$@\"\n",
            TestContext.Current.CancellationToken);
        await Tool.RunAsync("chmod", ["+x", _folder["project/flywheel"]], ".");
        string job =
            (await SlurmAsync("sbatch", "--parsable", "-N2", $"--output={log}",
                $"--export=ALL,FLYWHEEL_ROOT={_folder["project"]},FLYWHEEL_HOME={training.Home("job")}",
            Path.Combine(TestFiles.Root, "recipes", "slurm", "train.sbatch"), training.Recipe)).Trim();

        await UntilAsync(() => training.LoggedSteps("job") >= 10, log);
        int[] ranks = Tasks(training, "node2");
        Kill(ranks[0]);
        await UntilAsync(() => !training.RankProcesses().Intersect(ranks).Any() && Tasks(training, "node2").Length > 0, log);
        int reached = training.LoggedSteps("job");
        await UntilAsync(() => training.LoggedSteps("job") >= Math.Min(reached + 5, 50), log);

        // The node is gone: its daemon, what the daemon started, its ranks.
        Kill(int.Parse(await File.ReadAllTextAsync(Path.Combine(_cluster!, "node2.pid"), TestContext.Current.CancellationToken)));
        foreach (int process in OfNode("node2")) Kill(process);
        await UntilAsync(() => Read(log).Contains("on restart 0", StringComparison.Ordinal) || Restarts(job) > 0, log);
        await Tool.RunAsync(Script, ["node", _cluster!, "node2"], ".");
        await UntilAsync(() => Restarts(job) > 0 && Tasks(training, "node2").Length > 0, log);
        reached = training.LoggedSteps("job");
        await UntilAsync(() => training.LoggedSteps("job") >= Math.Min(reached + 3, 75), log);

        int before = Restarts(job);
        await SlurmAsync("scontrol", "requeue", job);
        await UntilAsync(() => Restarts(job) > before, log);
        await UntilAsync(() => SlurmAsync("squeue", "-h", "-j", job, "-o", "%T").GetAwaiter().GetResult().Trim() is "", log);
        Assert.Contains("ended with code 0", Read(log), StringComparison.Ordinal);
        Assert.Matches(@"ranks were lost \(exit code \d+\) after step \d+: \d+\.\d s of work lost", Read(log));
        Assert.Equal(expected, training.Result("job").Model);
        Assert.Equal(training.Curve("undisturbed"), training.Curve("job"));
    }

    private static string Script => Path.Combine(TestFiles.Root, "tests", "slurm", "cluster");

    private async Task<string> SlurmAsync(string program, params string[] arguments)
    {
        (int code, string output) = await Tool.RunAsync("env", [$"SLURM_CONF={_cluster}/slurm.conf", program, .. arguments], _folder.Path);
        return code == 0 || program == "squeue" ? code == 0
            ? output : "" : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {output}");
    }

    private int Restarts(string job) =>
        int.Parse(Regex.Match(SlurmAsync("scontrol", "show", "job", job).GetAwaiter().GetResult(), @"Restarts=(\d+)").Groups[1].Value);

    private static string Read(string log) => File.Exists(log) ? File.ReadAllText(log) : "";

    private static int[] Tasks(TinyTraining training, string node) => [.. training.RankProcesses().Intersect(OfNode(node))];

    /// <summary>Processes that a node's slurmd started.</summary>
    private static int[] OfNode(string node)
    {
        List<int> found = [];
        foreach (string folder in Directory.GetDirectories("/proc"))
        {
            try
            {
                if (int.TryParse(Path.GetFileName(folder), out int id)
                    && File.ReadAllText(Path.Combine(folder, "environ")).Split('\0').Contains($"SLURMD_NODENAME={node}")) found.Add(id);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It has ended in the meantime, or is the system's.
            }
        }
        return [.. found];
    }

    private static void Kill(int process)
    {
        using Process kill = Process.Start("kill", ["-9", $"{process}"]);
        kill.WaitForExit();
    }

    private async Task UntilAsync(Func<bool> condition, string log)
    {
        for (long started = Stopwatch.GetTimestamp(); !condition(); await Task.Delay(100, TestContext.Current.CancellationToken))
            Assert.True(Stopwatch.GetElapsedTime(started).TotalMinutes < 4,
                $"waited in vain\n{Read(log)}\n{await SlurmAsync("sinfo", "-N", "-o", "%N %T %E")}\n{Read(Path.Combine(_cluster!, "slurmctld.log"))}");
    }
}
