namespace Flywheel.Engine.Tests;

/// <summary>Against simulated machines: the price of a step is known, no clock is read.</summary>
public class PrefillBudgetTests
{
    [Theory]
    [InlineData(40)]
    [InlineData(7)]
    [InlineData(100)]
    public void For_StreamsRun_StepStaysBelowDouble(int price)
    {
        var budget = new PrefillBudget(128);
        for (int i = 0; i < 50; i++) budget.Observe(3, 0, 1000);
        long[] steps = [.. Enumerable.Range(0, 200).Select(_ => Step(budget, tokens => 1000 + tokens * price))];
        Assert.All(steps[10..], step => Assert.InRange(step, 1000, 2000));
        Assert.InRange(steps[^1], Math.Min(1500, 1000 + 124 * price), 1750);
        Assert.Equal(128, budget.For(0));
    }

    // A token costs more the longer its prompt has become, by a factor of eight from first to last.
    [Fact]
    public void For_PromptGetsLonger_StepStaysBelowDouble()
    {
        var budget = new PrefillBudget(128);
        budget.Observe(4, 0, 1000);
        int read = 0;
        for (int i = 0; read < 4096; i++)
        {
            int tokens = budget.For(4);
            long step = 1000 + (long)(tokens * (20 + 140.0 * read / 4096));
            if (i > 10) Assert.InRange(step, 1000, 2000);
            budget.Observe(4, tokens, step);
            read += tokens;
        }
    }

    // One step in twenty is held up by something else on the machine: the budget does not collapse.
    [Fact]
    public void For_StepsHeldUpByOthers_RecoversBetweenThem()
    {
        var budget = new PrefillBudget(128);
        budget.Observe(4, 0, 1000);
        var budgets = new List<int>();
        for (int i = 0; i < 400; i++)
        {
            budgets.Add(budget.For(4));
            Step(budget, tokens => 1000 + tokens * 20 + (i % 20 == 0 ? 20_000 : 0));
        }
        Assert.True(budgets.Skip(100).Average() > 20, $"{budgets.Skip(100).Average()} of 35 tokens a step");
    }

    [Fact]
    public void For_PromptTokensAreDearOrFree_StaysWithinBounds()
    {
        var budget = new PrefillBudget(128);
        budget.Observe(1, 0, 10);
        for (int i = 0; i < 50; i++) Step(budget, _ => 1_000_000);
        Assert.Equal(4, budget.For(1));
        for (int i = 0; i < 200; i++) Step(budget, _ => 10);
        Assert.Equal(128, budget.For(1));
    }

    private static long Step(PrefillBudget budget, Func<int, long> cost)
    {
        int tokens = budget.For(3);
        long ticks = cost(tokens);
        budget.Observe(3, tokens, ticks);
        return ticks;
    }
}
