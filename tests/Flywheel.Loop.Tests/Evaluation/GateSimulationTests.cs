namespace Flywheel.Loop.Tests.Evaluation;

public sealed class GateSimulationTests
{
    private static readonly SimulationPlan s_plan = new(People: 12, Briefs: 8, Looks: 20, Gain: 0.4, Homes: 200);

    [Fact]
    public void OnTastes_ThisGate_PromotesWhatIsBetterAndNotWhatIsNot()
    {
        SimulationRow[] rows = [.. GateSimulation.OnTastes(s_plan)];

        Assert.InRange(rows[0].Share, 0, 0.055); // 2.5%, and 2.5 standard errors of 200 homes
        Assert.InRange(rows[1].Share, 0, 0.09); // 5%, the same
        Assert.True(rows[2].Share > 0.15, $"{rows[2]}: looks cost nothing, so the row above shows nothing");
        Assert.InRange(rows[4].Share, 0.72, 1);
        Assert.Equal(rows, GateSimulation.OnTastes(s_plan));
    }

    /// <summary>Whatever one turn raised by the way, what all turns lose together stays within the margin; and nothing else is
    /// refused.</summary>
    [Fact]
    public void OnFrozenSet_TurnsThatLoseALittleEach_LoseNoMoreThanTheMargin()
    {
        SimulationRow[] rows = [.. GateSimulation.OnFrozenSet(s_plan with { Homes = 40 }, 0.1)];

        Assert.All(rows[..3], row => Assert.Equal(4, row.Promoted));
        Assert.All(rows[3..], row => Assert.Equal(0, row.Promoted));
    }

    /// <summary>Drafts of which half name what no brief has, or a tenth; scores of a few values, so that there are ties.</summary>
    [Fact]
    public void OnDrafts_OfOneModel_PromotesOnlyBetterOnesThatInventNothing()
    {
        var random = new Random(3);
        DraftMeasures[][] pool = [.. Enumerable.Range(0, 96).Select(_ => Enumerable.Range(0, GateSimulation.PoolDrafts)
            .Select(_ => new DraftMeasures(random.Next(4), random.NextDouble() < 0.9, random.NextDouble() < 0.8,
                random.NextDouble() < 0.9)).ToArray())];

        SimulationRow[] rows = [.. GateSimulation.OnDrafts(s_plan with { Homes = 100, Gain = 0.5 }, pool, 0.1)];

        Assert.InRange(rows[0].Share, 0, 0.07);
        Assert.InRange(rows[1].Share, 0, 0.11);
        Assert.True(rows[2].Share > 0.5, $"{rows[2]}");
        Assert.InRange(rows[3].Share, 0, 0.05);
    }
}
