namespace Flywheel.Engine.Tests;

/// <summary>Against simulated machines: the price of a step is known, no clock is read.</summary>
public class PrefillBudgetTests
{
    private const int Most = 128;

    private readonly PrefillBudget _budget = new(Most, maxDecoding: 40);

    [Theory]
    [InlineData(40)]
    [InlineData(7)]
    [InlineData(100)]
    public void For_StreamsRun_StepStaysBelowDouble(int price)
    {
        for (int i = 0; i < 50; i++) Step(3, 0, rows => 1000);
        long[] steps = [.. Enumerable.Range(0, 200).Select(_ => Step(3, 1, tokens => 1000 + tokens * price).Ticks)];
        Assert.All(steps[15..], step => Assert.InRange(step, 1000, 2000));
        Assert.InRange(steps[^1], Math.Min(1500, 1000 + Most * price), 1900);
        _budget.Begin(0, 1);
        Assert.Equal(Most, _budget.For(0));
    }

    // Some quiet steps are held up, as by others on the machine, and those with prompts as much: the slowest stay below
    // twice the slowest quiet ones, and the prompt uses most of what is between.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void For_NoisyMachine_SlowestStepsStayBelowDoubleOfTheSlowestQuiet(int seed)
    {
        var random = new Random(seed);
        long Noise() => (long)(-Math.Log(1 - random.NextDouble()) * 250);
        List<long> quiet = [], during = [];
        for (int i = 0; i < 600; i++) quiet.Add(Step(4, 0, _ => 1000 + Noise()).Ticks);
        for (int read = 0; read < 4096;)
        {
            int at = read;
            (int tokens, long ticks) = Step(4, 1, count => 1000 + (long)(count * (30 + 120.0 * at / 4096)) + Noise(), at);
            if (during.Count > 0 || at > 64) during.Add(ticks);
            read += tokens;
        }
        double p99 = At(quiet, 0.99), slowest = At(during, 0.99);
        Assert.InRange(slowest, 1.3 * p99, 2 * p99);

        static long At(List<long> values, double part) => values.Order().ElementAt((int)(part * values.Count));
    }

    // A token costs more the longer its prompt has become, by a factor of eight from first to last; then a short prompt comes.
    [Fact]
    public void For_PromptGetsLonger_StepStaysBelowDoubleAndShortOnesAreCheapAgain()
    {
        for (int i = 0; i < 20; i++) Step(4, 0, _ => 1000);
        for (int read = 0, i = 0; read < 4096; i++)
        {
            int at = read;
            (int tokens, long ticks) = Step(4, 1, count => 1000 + (long)(count * (20 + 140.0 * at / 4096)), at);
            if (i > 10) Assert.InRange(ticks, 1000, 2000);
            read += tokens;
        }
        Step(4, 0, _ => 1000);
        _budget.Begin(4, 1);
        double afforded = 0.65 * 1.1 * 1000; // the share, of quiet steps that are nearly alike
        Assert.InRange(_budget.For(4000), 0.85 * afforded / (20 + 140.0 * 4000 / 4096), 1.15 * afforded / (20 + 140.0 * 4000 / 4096));
        Assert.InRange(_budget.For(0), 0.85 * afforded / 20, 1.15 * afforded / 20);
    }

    // A virtual machine whose two cores are at times one: everything takes twice as long for a while. A step with prompts is
    // still less than twice a quiet one of that while, and the prompt is not read in drops.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void For_MachineTurnsSlowAndFast_TokensOfAStepStayTheSame(int seed)
    {
        var random = new Random(seed);
        double pace = 1;
        long Ticks(double normal)
        {
            if (random.Next(60) == 0) pace = 3 - pace; // 1 or 2
            return (long)(normal * pace * (1 + 0.1 * random.NextDouble()));
        }
        for (int i = 0; i < 100; i++) Step(4, 0, _ => Ticks(1000));
        var taken = new List<int>();
        var ratios = new List<double>();
        for (int read = 0; read < 8192;)
        {
            int at = read;
            (int tokens, long ticks) = Step(4, 1, count => Ticks(1000 + count * (20 + 20.0 * at / 1024)), at);
            if (at > 500 && tokens > 0)
            {
                taken.Add(tokens * (20 + 20 * at / 1024));
                ratios.Add(ticks / (1000 * pace));
            }
            read += tokens;
        }
        Assert.InRange(ratios.Order().ElementAt((int)(0.99 * ratios.Count)), 1.4, 2 * 1.1); // quiet ones take up to 1.1
        Assert.InRange(taken.Average(), 500, 900);
        Assert.InRange(taken.Order().ElementAt(taken.Count / 20), 400, 900);
    }

    // Two prompts in one step, of which the long one is dear: what the short one leaves is shared out at the other's price.
    [Fact]
    public void For_ShortAndLongPromptTogether_LongOneTakesWhatIsLeftAtItsPrice()
    {
        for (int i = 0; i < 50; i++) Step(4, 0, _ => 1000);
        for (int i = 0; i < 100; i++) Step(4, 1, count => 1000 + 20 * count);
        for (int i = 0; i < 100; i++) Step(4, 1, count => 1000 + 200 * count, at: 8000);
        _budget.Begin(4, 1);
        _budget.Take(0, 5);
        Assert.InRange(_budget.For(8000), 1, 3);
    }

    // Sixteen come at once, with 36 tokens each: all are answered within the steps that their tokens need, not one after the other.
    [Fact]
    public void For_ManyWaitFewRun_PromptsAreReadTogether()
    {
        for (int streams = 1; streams <= 16; streams++)
            for (int i = 0; i < 20; i++) Step(streams, 0, _ => 800 + 40 * streams);
        for (int i = 0; i < 50; i++) Step(4, 1, count => 960 + 60 * count); // the price is known
        int[] left = [.. Enumerable.Repeat(36, 16)];
        var firstTokens = new List<double>();
        double now = 0;
        while (left.Any(tokens => tokens > 0))
        {
            int streams = left.Count(tokens => tokens == 0);
            _budget.Begin(streams, 16 - streams);
            int rows = 0;
            for (int i = 0; i < 16; i++)
            {
                int count = Math.Min(left[i], _budget.For(0));
                if (count == 0) continue;
                _budget.Take(0, count);
                left[i] -= count;
                rows += count;
            }
            long ticks = 800 + 40 * streams + 60 * rows;
            _budget.Observe(ticks);
            now += ticks;
            while (firstTokens.Count < left.Count(tokens => tokens == 0)) firstTokens.Add(now);
        }
        double work = 16 * 36 * 60; // alone; the rest is the steps of those who are answered already
        Assert.InRange(now, work, 1.7 * work);
    }

    // The first who waits keeps to the promise, whoever else runs; what comes after counts, up to a bound.
    [Fact]
    public void Begin_MoreWait_StepMayCostMoreUpToABound()
    {
        for (int i = 0; i < 50; i++) Step(2, 0, _ => 1000);
        for (int i = 0; i < 100; i++) Step(2, 1, count => 1000 + 20 * count);
        int[] tokens = [.. new[] { 0, 1, 2, 5, 1000 }.Select(waiting =>
        {
            _budget.Begin(2, waiting);
            return _budget.For(0);
        })];
        Assert.Equal(tokens[0], tokens[1]);
        Assert.True(tokens[2] > tokens[1], $"{tokens[2]} of {tokens[1]}");
        Assert.Equal(Most, tokens[^1]);
    }

    // One step in twenty is held up by something else on the machine: the budget does not collapse.
    [Fact]
    public void For_StepsHeldUpByOthers_RecoversBetweenThem()
    {
        for (int i = 0; i < 20; i++) Step(4, 0, _ => 1000);
        var tokens = new List<int>();
        for (int i = 0; i < 400; i++) tokens.Add(Step(4, 1, count => 1000 + count * 20 + (i % 20 == 0 ? 20_000 : 0)).Tokens);
        Assert.True(tokens.Skip(100).Average() > 20, $"{tokens.Skip(100).Average()} of 38 tokens a step");
    }

    [Theory]
    [InlineData(1000, 4)]
    [InlineData(0, Most)]
    public void For_PromptTokensAreDearOrFree_StaysWithinBounds(int price, int expected)
    {
        for (int i = 0; i < 20; i++) Step(1, 0, _ => 1000);
        for (int i = 0; i < 200; i++) Step(1, 1, tokens => 1000 + tokens * price);
        Step(1, 0, _ => 1000);
        _budget.Begin(1, 1);
        Assert.Equal(expected, _budget.For(0));
    }

    [Fact]
    public void For_PromptIsReadOnAndOn_SomeStepsAreQuiet()
    {
        for (int i = 0; i < 20; i++) Step(2, 0, _ => 1000);
        int[] tokens = [.. Enumerable.Range(0, 170).Select(_ => Step(2, 1, count => 1000 + 20 * count).Tokens)];
        Assert.Equal(10, tokens.Count(count => count == 0));
    }

    private (int Tokens, long Ticks) Step(int streams, int waiting, Func<int, long> cost, int at = 0)
    {
        _budget.Begin(streams, waiting);
        int tokens = waiting == 0 ? 0 : _budget.For(at);
        if (tokens > 0) _budget.Take(at, tokens);
        long ticks = cost(tokens);
        _budget.Observe(ticks);
        return (tokens, ticks);
    }
}
