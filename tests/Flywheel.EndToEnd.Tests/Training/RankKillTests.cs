using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Flywheel.Model;
using Flywheel.Testing;
using Flywheel.Training;

namespace Flywheel.EndToEnd.Tests;

/// <summary>Ranks that die by kill -9, launchers that die, supervisors that die: the same loss curve and the same weights.</summary>
public sealed class RankKillTests
{
    /// <summary>Ranks that die under each MPI: eight in all.</summary>
    private static readonly int s_numKills =
        int.Parse(Environment.GetEnvironmentVariable("FLYWHEEL_TEST_KILLS") ?? "4", CultureInfo.InvariantCulture);

    /// <summary>Half of the deaths among three ranks, then Ctrl-C, and half among two.</summary>
    [Theory]
    [InlineData("mpirun.openmpi")]
    [InlineData("mpirun.mpich")]
    public async Task Train_RanksKilledAtRandomSteps_EndsWithTheSameCurveAndWeights(string launcher)
    {
        Need(launcher);
        using var training = new TinyTraining(steps: 20 + 12 * s_numKills);
        string expected = (await training.UndisturbedAsync()).Model;
        var output = new StringBuilder();
        var random = new Random(20261124);
        int kills = await KillAsync(training, launcher, 3, s_numKills / 2, random, output);
        kills += await KillAsync(training, launcher, 2, s_numKills - s_numKills / 2, random, output);
        Assert.Equal(s_numKills, kills);
        Assert.Equal(expected, training.Result("killed").Model);
        Assert.Equal(training.Curve("undisturbed"), training.Curve("killed"));
        int losses = Regex.Count(output.ToString(),
            @"ranks were lost \(exit code \d+\) after step \d+: \d+\.\d s of work lost; starting again from the checkpoint of step \d+");
        // A rank that comes up beside one that is just dying may be ended by the MPI library itself: a loss more, told and made good like
        // them.
        Assert.True(losses >= kills, $"{kills} ranks were killed, {losses} losses noted\n{output}");
        Assert.Matches(@"\d+ restarts?, \d+\.\d s of work lost in all", output.ToString());
        TestContext.Current.TestOutputHelper?.WriteLine(output.ToString());
    }

    /// <summary>Trains with so many ranks and kills one of them again and again; then stops the training in order, or lets it end if that
    /// was the last of the deaths.</summary>
    private static async Task<int> KillAsync(TinyTraining training, string launcher, int numRanks, int numKills, Random random,
        StringBuilder output)
    {
        bool isLast = numRanks == 2;
        using Process supervisor = training.Start("killed", output, "--ranks", $"{numRanks}", "--launcher", launcher);
        int kills = 0;
        for (int target = training.LoggedSteps("killed") + random.Next(2, 12); !supervisor.HasExited; await Task.Delay(10,
            TestContext.Current.CancellationToken))
        {
            if (training.LoggedSteps("killed") < target) continue;
            if (kills == numKills)
            {
                if (isLast) break;
                using Process interrupt = Process.Start("kill", ["-INT", $"{supervisor.Id}"]);
                await interrupt.WaitForExitAsync(TestContext.Current.CancellationToken);
                break;
            }
            int[] ranks = training.RankProcesses();
            if (ranks.Length < numRanks) continue;
            await Task.Delay(random.Next(40), TestContext.Current.CancellationToken); // into a step, an exchange or a checkpoint
            Kill(ranks[random.Next(ranks.Length)]);
            kills++;
            // The next one dies after the others have gone and new ones have come some steps further.
            while (!supervisor.HasExited && training.RankProcesses().Intersect(ranks).Any())
                await Task.Delay(10, TestContext.Current.CancellationToken);
            target = training.LoggedSteps("killed") + random.Next(1, 12);
        }
        await supervisor.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(supervisor.ExitCode == (isLast ? 0 : 130), output.ToString());
        return kills;
    }

    /// <summary>A rank that is stopped, not dead: its heart no longer beats, the world is ended and started again.</summary>
    [Theory]
    [InlineData("mpirun.openmpi", 0)]
    [InlineData("mpirun.mpich", 1)]
    public async Task Train_RankStopped_IsNoticedAndTheWorldStartsAgain(string launcher, int which)
    {
        Need(launcher);
        using var training = new TinyTraining(steps: 60);
        TrainingResult expected = await training.UndisturbedAsync();
        TrainingJob job = training.Job("stopped");
        var supervisor = new Supervisor
        {
            Launcher = RankLauncher.Command(2, launcher), RankCommand = ["dotnet", ServerProcess.Program, "rank"],
            Silence = TimeSpan.FromSeconds(8),
        };
        List<string> notes = [];
        int stopped = 0;
        TrainedModel model = await Task.Run(() => supervisor.Run(job, progress =>
        {
            if (progress.Note is { } note) notes.Add(note);
            if (progress.Line is not { Step: > 20 } || stopped > 0) return;
            stopped = training.RankProcesses().Order().ElementAt(which);
            using Process stop = Process.Start("kill", ["-STOP", $"{stopped}"]);
            stop.WaitForExit();
        }, TestContext.Current.CancellationToken), TestContext.Current.CancellationToken);
        Assert.NotEqual(0, stopped);
        Assert.Matches(
            @"ranks were lost \(rank [01] has not been heard for \d+ s\) after step \d+: \d+\.\d s of work lost; starting again from the checkpoint of step \d+", Assert.Single(notes, note => note.Contains("were lost", StringComparison.Ordinal)));
        Assert.Equal(expected.Model, model.Hash);
        Assert.DoesNotContain(stopped, training.RankProcesses());
    }

    /// <summary>No rank is left behind when the launcher or the supervisor is killed, and the run goes on.</summary>
    [Theory]
    [InlineData("mpirun.openmpi")]
    [InlineData("mpirun.mpich")]
    public async Task Train_LauncherThenSupervisorKilled_LeavesNoRanksAndGoesOn(string launcher)
    {
        Need(launcher);
        using var training = new TinyTraining(steps: 60);
        string expected = (await training.UndisturbedAsync()).Model;
        var output = new StringBuilder();
        using (Process supervisor = training.Start("killed", output, "--ranks", "2", "--launcher", launcher))
        {
            await UntilAsync(() => training.LoggedSteps("killed") >= 5, output, supervisor);
            int[] ranks = training.RankProcesses();
            Kill(training.Processes("rank", "-n").First());
            await UntilAsync(() => training.RankProcesses() is { Length: 2 } now && !now.Intersect(ranks).Any(), output, supervisor);
            int reached = training.LoggedSteps("killed");
            await UntilAsync(() => training.LoggedSteps("killed") >= Math.Min(reached + 5, 40), output, supervisor);
            supervisor.Kill();
            await supervisor.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
        await UntilAsync(() => training.Processes().Length == 0, output);
        using (Process supervisor = training.Start("killed", output, "--ranks", "2", "--launcher", launcher))
        {
            await supervisor.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(supervisor.ExitCode == 0, output.ToString());
        }
        Assert.Equal(expected, training.Result("killed").Model);
        Assert.Equal(training.Curve("undisturbed"), training.Curve("killed"));
    }

    /// <summary>Ctrl-C: the ranks write a checkpoint, nothing is lost, and one process may go on alone.</summary>
    [Fact]
    public async Task Train_Interrupted_StopsInOrderAndGoesOnAlone()
    {
        Need("mpirun.openmpi");
        using var training = new TinyTraining(steps: 60, more: "  keep_checkpoints: 1\n");
        string expected = (await training.UndisturbedAsync()).Model;
        var output = new StringBuilder();
        using (Process supervisor = training.Start("stopped", output, "--ranks", "2", "--launcher", "mpirun.openmpi"))
        {
            await UntilAsync(() => training.LoggedSteps("stopped") >= 5, output, supervisor);
            using Process interrupt = Process.Start("kill", ["-INT", $"{supervisor.Id}"]);
            await supervisor.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(supervisor.ExitCode == 130, output.ToString());
        }
        Assert.Empty(training.Processes());
        int reached = training.LoggedSteps("stopped");
        using (Process alone = training.Start("stopped", output))
        {
            await alone.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(alone.ExitCode == 0, output.ToString());
        }
        Assert.Contains($"resumed after step {reached}", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(expected, training.Result("stopped").Model);
        Assert.Equal(training.Curve("undisturbed"), training.Curve("stopped"));
    }

    /// <summary>What no restart mends is not tried again, and said once.</summary>
    [Fact]
    public async Task Train_LossNotFinite_IsSaidOnceAndNotTriedAgain()
    {
        Need("mpirun.openmpi");
        using var training = new TinyTraining(steps: 60, more: "  clip_norm: 0\n");
        var output = new StringBuilder();
        using Process supervisor = training.Start("diverged", output, "--ranks", "3", "--launcher", "mpirun.openmpi", "--set",
            "train.learning_rate=1e30");
        await supervisor.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(2, supervisor.ExitCode);
        Assert.Matches(@"^error: the (loss|gradient's norm) became .* at step \d+, documents \d+",
            Assert.Single(output.ToString().Split('\n'), line => line.Contains("became", StringComparison.Ordinal)));
        Assert.DoesNotContain("starting again", output.ToString(), StringComparison.Ordinal);
    }

    /// <summary>A rank that dies before it gets anywhere, each time: the supervisor stops trying and shows why.</summary>
    [Fact]
    public async Task Train_RanksDieAgainAndAgain_GivesUpWithTheReason()
    {
        using var training = new TinyTraining(steps: 60);
        string broken = training.Home("broken-launcher");
        await File.WriteAllTextAsync(broken, "#!/bin/sh\necho 'no such interface: ib0' >&2\nexit 7\n",
            TestContext.Current.CancellationToken);
        await Tool.RunAsync("chmod", ["+x", broken], ".");
        var output = new StringBuilder();
        using Process supervisor = training.Start("hopeless", output, "--ranks", "2", "--launcher", broken);
        await supervisor.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(75, supervisor.ExitCode);
        Assert.Matches(@"ranks were lost \(exit code 7\) after step 0, 3 times without a new checkpoint; giving up", output.ToString());
        Assert.Contains("no such interface: ib0", output.ToString(), StringComparison.Ordinal);
    }

    private static void Need(string launcher)
    {
        if (!Tool.Exists(launcher)) Assert.Skip($"{launcher} is not installed (Debian: apt-get install openmpi-bin mpich)");
    }

    private static void Kill(int process)
    {
        using Process kill = Process.Start("kill", ["-9", $"{process}"]);
        kill.WaitForExit();
    }

    private static async Task UntilAsync(Func<bool> condition, StringBuilder output, Process? supervisor = null)
    {
        for (long started = Stopwatch.GetTimestamp(); !condition(); await Task.Delay(20, TestContext.Current.CancellationToken))
            Assert.True(supervisor?.HasExited != true && Stopwatch.GetElapsedTime(started).TotalMinutes < 3, $"waited in vain\n{output}");
    }
}
