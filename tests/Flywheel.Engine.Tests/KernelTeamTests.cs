namespace Flywheel.Engine.Tests;

public class KernelTeamTests
{
    // More members than cores, some asleep in the middle of a piece: every piece is done once, after all of the phase before.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Run_ManyPhases_EveryPieceOnceAndInOrder(int size)
    {
        var random = new Random(4);
        int[] pieces = [], done = [];
        int faults = 0;
        using var team = new KernelTeam(size, 50, (phase, piece, id) =>
        {
            if (phase > 0 && Volatile.Read(ref done[phase - 1]) != pieces[phase - 1]) Interlocked.Increment(ref faults);
            if ((phase + piece + id) % 97 == 0) Thread.Sleep(1);
            Interlocked.Increment(ref done[phase]);
        });
        for (int run = 0; run < 300; run++)
        {
            pieces = [1 + random.Next(9), .. Enumerable.Range(0, random.Next(50)).Select(_ => random.Next(10))];
            done = new int[pieces.Length];
            team.Run(pieces);
            Assert.Equal(pieces, done);
        }
        Assert.Equal(0, faults);
    }

    [Fact]
    public void Run_AfterParking_WakesTheMembers()
    {
        using var team = new KernelTeam(3, 1, (_, _, _) => Thread.Sleep(5));
        for (int run = 0; run < 5; run++)
        {
            team.Run([6]);
            for (int i = 0; i < 500 && team.NumAwake > 0; i++) Thread.Sleep(1);
            Assert.Equal(0, team.NumAwake);
        }
    }

    [Fact]
    public void Run_MembersStall_CallerGoesOnAloneAndTriesAgain()
    {
        bool slow = true;
        using var team = new KernelTeam(2, 2, (phase, piece, id) => Thread.Sleep(phase == 0 ? 1 : slow && id == 1 ? 20 : 0));
        int alone = 0, together = 0;
        for (int run = 0; run < 200; run++)
        {
            team.Run([4, 2]);
            if (team.IsAlone) alone++;
        }
        Assert.True(alone > 50, $"alone in {alone} of 200 runs");
        slow = false;
        for (int run = 0; run < 2000 && together < 5; run++)
        {
            team.Run([2]);
            if (!team.IsAlone) together++;
        }
        Assert.Equal(5, together);
    }
}
