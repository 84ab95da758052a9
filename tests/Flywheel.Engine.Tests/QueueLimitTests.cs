using System.Diagnostics;

namespace Flywheel.Engine.Tests;

public class QueueLimitTests
{
    [Fact]
    public void Enter_OneUser_LeavesHalfOfTheLineToOthers()
    {
        var limit = new QueueLimit(maxBatch: 4, maxQueue: 20);
        int many = Fill(limit, "many"), other = Fill(limit, "other");
        Assert.Equal(14, many);
        Assert.Equal(7, other); // beyond a batch of its own as many as stay free
        Assert.Contains("'many'", Assert.Throws<QueueFullException>(() => limit.Enter("many", 0)).Message);
        limit.Enter("third", 0);
    }

    [Fact]
    public void Enter_NoUser_FillsAllPlaces()
    {
        var limit = new QueueLimit(maxBatch: 4, maxQueue: 20);
        Assert.Equal(24, Fill(limit, ""));
        Assert.Contains("4 generations run and 20 wait", Assert.Throws<QueueFullException>(() => limit.Enter("one", 0)).Message);
        limit.Leave("", 0);
        limit.Enter("one", 0);
    }

    // Four run, one ends every three seconds: one that has just begun takes about twelve.
    [Fact]
    public void RetryAfter_SteadyEndings_IsTheTimeThatAGenerationRuns()
    {
        var limit = new QueueLimit(maxBatch: 4, maxQueue: 2);
        Fill(limit, "");
        for (int i = 1; i <= 50; i++)
        {
            limit.Leave("", i * 3 * Stopwatch.Frequency);
            limit.Enter("", i * 3 * Stopwatch.Frequency);
        }
        Assert.Equal(12, Assert.Throws<QueueFullException>(() => limit.Enter("", 0)).RetryAfter.TotalSeconds, 1e-6);
    }

    [Fact]
    public void RetryAfter_NothingKnown_IsASecond()
    {
        var limit = new QueueLimit(maxBatch: 1, maxQueue: 0);
        limit.Enter("", 0);
        Assert.Equal(1, Assert.Throws<QueueFullException>(() => limit.Enter("", 0)).RetryAfter.TotalSeconds);
    }

    private static int Fill(QueueLimit limit, string user)
    {
        for (int count = 0; ; count++)
        {
            try
            {
                limit.Enter(user, 0);
            }
            catch (QueueFullException)
            {
                return count;
            }
        }
    }
}
