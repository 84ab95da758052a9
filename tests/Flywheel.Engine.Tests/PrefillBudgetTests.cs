namespace Flywheel.Engine.Tests;

public class PrefillBudgetTests
{
    [Fact]
    public void For_StreamsRun_AboutDoublesTheStep()
    {
        var budget = new PrefillBudget(128);
        Assert.Equal(128, budget.For(3));
        for (int i = 0; i < 100; i++)
        {
            budget.Observe(3, 0, 1000);
            budget.Observe(3, 64, 1000 + 64 * 40);
        }
        Assert.Equal(25, budget.For(3));
        Assert.Equal(128, budget.For(0));
    }

    [Fact]
    public void For_PromptTokensAreDearOrFree_StaysWithinBounds()
    {
        var budget = new PrefillBudget(128);
        budget.Observe(1, 0, 10);
        budget.Observe(0, 128, 1_000_000);
        Assert.Equal(8, budget.For(1));
        for (int i = 0; i < 200; i++) budget.Observe(1, 64, 10);
        Assert.InRange(budget.For(1), 8, 128);
    }
}
