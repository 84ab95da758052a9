using System.Diagnostics;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>A process that records is killed again and again; what it had acknowledged must be there.</summary>
public sealed class KillTests
{
    [Fact]
    public async Task Record_KillMinusNineManyTimes_LosesNothingAcknowledged()
    {
        using var folder = new TempFolder();
        var home = new FlywheelHome(folder["home"]);
        var random = new Random(11);
        HashSet<string> acknowledged = [];
        for (int round = 0; round < 8; round++)
        {
            int killAfter = random.Next(0, 200);
            using Process child = Program.StartChild(nameof(KillTests), home.Path, "");
            for (int line = 0; line <= killAfter && await child.StandardOutput.ReadLineAsync() is { } said; line++) acknowledged.Add(said);
            child.Kill(); // SIGKILL, in the middle of its next transactions
            // What it managed to say before it died counts too; a line cut in half does not.
            string rest = await child.StandardOutput.ReadToEndAsync();
            foreach (string said in rest.Split('\n').SkipLast(1)) acknowledged.Add(said);
            await child.WaitForExitAsync();
        }

        await using FlywheelStore store = await FlywheelStore.OpenAsync(home);
        await using FlywheelDb db = store.Tables();
        HashSet<string> found = [.. (await db.Generations.Select(row => row.Id).ToListAsync()).Select(id => $"g {id}"),
            .. (await db.Feedback.Select(row => row.Id).ToListAsync()).Select(id => $"f {id}")];
        Assert.True(acknowledged.Count > 300, $"only {acknowledged.Count} were acknowledged");
        Assert.Subset(found, acknowledged);
        Assert.Equal("ok",
            await db.Database.SqlQueryRaw<string>("SELECT integrity_check AS Value FROM pragma_integrity_check").SingleAsync());
        Assert.Equal(await db.Generations.CountAsync(), await db.Set<GenerationPayload>().CountAsync());
    }

    /// <summary>The child: says each id once it is acknowledged.</summary>
    internal static async Task RecordForEver(string homePath, string server)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(homePath, server));
        await Task.WhenAny(Enumerable.Range(0, 8).Select(_ => Task.Run(async () => // at the end of the first its database was killed
        {
            for (int i = 0; i < 10_000; i++)
            {
                Generation generation = Given.Generation(seed: i);
                await store.RecordAsync(generation);
                Say($"g {generation.Id}");
                Say($"f {(await store.AddFeedbackAsync(new(generation.Id, Metrics.Keep, true))).Id}");
            }
        })));
    }

    // One write call a line: what has reached the pipe outlives the process.
    private static void Say(string line)
    {
        lock (Console.Out)
        {
            Console.Out.Write(line + "\n");
            Console.Out.Flush();
        }
    }
}
