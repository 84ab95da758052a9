using CsCheck;
using Flywheel.Loop.Planning;
using Flywheel.Model;

namespace Flywheel.Loop.Tests.Planning;

public sealed class TrainingPlanTests
{
    private static readonly PlanRequest Hours = new() { FlopsPerSecond = 0.4 * 989e12, MemoryBytes = 80_000_000_000, Count = 8,
        PricePerHour = 2.5, Hours = 24 };

    /// <summary>
    /// Published runs: llm.c trained GPT-2 124M on 10 billion tokens in about 90 minutes on 8 A100 at up to 60% of their peak
    /// (Karpathy 2024); Llama 2 7B took 184,320 A100 hours for 2 trillion tokens (Touvron et al. 2023, arXiv 2307.09288).
    /// </summary>
    [Theory]
    [InlineData(124e6, 10e9, 1024, 50_257, 8, 0.49, 1.5, 0.15)]
    [InlineData(6.74e9, 2e12, 4096, 32_000, 1024, 0.45, 180, 0.15)]
    public void For_PublishedRun_TakesAboutTheirHours(double parameters, double tokens, int context, int vocab, int count,
        double utilization, double hours, double tolerance)
    {
        TrainingPlan plan = TrainingPlan.For(new PlanRequest
        {
            FlopsPerSecond = utilization * 312e12, MemoryBytes = 80_000_000_000, Count = count, Parameters = parameters,
            TokensPerParameter = tokens / parameters,
            Context = context, Vocab = vocab, HoursBetweenFailures = double.PositiveInfinity,
        });

        Assert.Equal(hours, plan.Checkpoints.TotalSeconds / 3600, hours * tolerance);
    }

    [Fact]
    public void For_AnyBudget_IsSpentAndNotExceeded() =>
        Gen.Select(Gen.Double[50, 1e6], Gen.Int[1, 512], Gen.Double[0.1, 10], Gen.Double[0, 0.4], Gen.Double[0, 0.4])
            .Sample((money, count, price, labels, people) =>
        {
            TrainingPlan plan =
                TrainingPlan.For(Hours with { Hours = null, Money = money, Count = count, PricePerHour = price, LabelShare = labels,
                    PeopleShare = people });

            Assert.Equal(money, plan.Money + plan.LabelMoney + plan.PeopleMoney, money * 0.001);
            Assert.InRange(plan.Checkpoints.Efficiency, 0, 1);
            Assert.Equal(plan.Shape.NumParameters * 20.0, plan.Tokens, plan.Tokens * 0.5); // shapes come in steps; the time is what counts
        }, iter: 100, seed: "0000KvN4M3q1");

    [Fact]
    public void For_MoreTime_NeverASmallerModel()
    {
        double last = 0;
        for (double hours = 1; hours < 2_000; hours *= 2)
        {
            TrainingPlan plan = TrainingPlan.For(Hours with { Hours = hours });
            Assert.True(plan.Flops > last, $"{hours} hours");
            Assert.Equal(hours * 3600, plan.Checkpoints.TotalSeconds, hours * 3.6);
            last = plan.Flops;
        }
    }

    [Fact]
    public void For_ModelThatDoesNotFit_SaysSo()
    {
        TrainingPlan plan = TrainingPlan.For(Hours with { Hours = null, Parameters = 70e9, Count = 1 });

        Assert.False(plan.Fits);
        Assert.True(plan.Memory.Total > 16.0 * 70e9 * 0.9); // bf16 weights and gradients, fp32 copy and two moments
    }

    [Fact]
    public void For_AFittedLaw_FollowsIt()
    {
        var law = new ScalingLaw(1.69, 406.4, 410.7, 0.34, 0.28);

        TrainingPlan plan = TrainingPlan.For(Hours with { Hours = null, Parameters = 1e9, Law = law });

        Assert.Equal(law.TokensFor(plan.Shape.NumParameters), plan.Tokens, plan.Tokens * 1e-9);
        Assert.Equal(law.Loss(plan.Shape.NumParameters, plan.Tokens), plan.ExpectedLoss!.Value, 9);
    }

    [Theory]
    [InlineData(124e6, 50_257)]
    [InlineData(1e6, 0)]
    [InlineData(7e9, 0)]
    public void ShapeFor_WantedSize_IsNearItAndValid(double parameters, int vocab)
    {
        ModelConfig shape = ModelShape.For(parameters, 1024, vocab);

        shape.Validate("shape");
        Assert.Equal(parameters, shape.NumParameters, parameters * 0.15);
    }

    [Fact]
    public void Validate_BadNumbers_NamesTheOption()
    {
        foreach ((PlanRequest request, string expected) in new (PlanRequest, string)[]
        {
            (Hours with { Hours = null }, "0 of --money, --hours and --params"),
            (Hours with { Parameters = 1e9 }, "2 of --money, --hours and --params"),
            (Hours with { Hours = -1 }, "--hours is -1"),
            (Hours with { Hours = null, Money = 100, PricePerHour = 0 }, "without --price"),
            (Hours with { Count = 0 }, "--count is 0"),
            (Hours with { LabelShare = 0.1 }, "give --money"),
            (Hours with { Hours = 1e-9 }, "too few for a model"),
            (Hours with { Hours = double.NaN }, "--hours is NaN"),
        })
            Assert.Contains(expected, Assert.Throws<FlywheelException>(() => TrainingPlan.For(request)).Message);
    }
}
