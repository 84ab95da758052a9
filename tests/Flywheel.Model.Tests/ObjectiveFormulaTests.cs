namespace Flywheel.Model.Tests;

/// <summary>The formulas on numbers that a pocket calculator gives.</summary>
public sealed class ObjectiveFormulaTests
{
    [Theory]
    [InlineData(0, 0.1, 0.693147181, 0.05)] // ln 2; beta / 2
    [InlineData(2, 0.5, 0.313261688, 0.134470711)] // x = 1: ln(1 + 1/e) ; 0.5 / (1 + e)
    [InlineData(-3, 1, 3.048587352, 0.952574127)] // ln(1 + e^3) ; 1 / (1 + e^-3)
    public void Dpo_OfAMargin_EqualsTheHandComputedValue(double margin, double beta, double loss, double pull)
    {
        (double actualLoss, double actualPull) = Preference.Dpo(margin, beta);
        Assert.Equal(loss, actualLoss, 1e-8);
        Assert.Equal(pull, actualPull, 1e-8);
    }

    [Theory]
    [InlineData(3, 1, true, 0.268941421, 0.098305967)] // x = 0.5 (3 - 1) = 1: 1 - s = 1 / (1 + e); pull 0.5 s (1 - s)
    [InlineData(3, 1, false, 1.462117157, -0.196611933)] // x = -1, weight 2
    [InlineData(1, 1, true, 0.5, 0.125)]
    public void Kto_OfAGain_EqualsTheHandComputedValue(double gain, double drift, bool liked, double loss, double pull)
    {
        (double actualLoss, double actualPull) =
            Kto.Value(gain, drift, liked, new TrainRecipe { Objective = "kto", DpoBeta = 0.5, KtoUndesirable = 2 });
        Assert.Equal(loss, actualLoss, 1e-8);
        Assert.Equal(pull, actualPull, 1e-8);
    }

    [Theory]
    [InlineData(-1, -2, 1, 2, 2)] // e > 2
    [InlineData(-2, -1, 1, 2, 0.367879441)] // 1 / e
    [InlineData(-2, -1, -0.5, 2, -0.183939721)]
    [InlineData(-1.5, -1.5, 3, 2, 3)]
    public void Policy_OfAToken_EqualsTheHandComputedValue(double logProb, double sampled, double reward, double cap, double weight) =>
        Assert.Equal(weight, Policy.Weight(logProb, sampled, reward, cap), 1e-8);

    /// <summary>Three documents of one prompt whose shares are 1/2, 3/10 and 1/5: the loss is the cross-entropy against them.</summary>
    [Fact]
    public void SoftTargets_OfADistribution_AreItsCrossEntropy()
    {
        double[] shares = [0.5, 0.3, 0.2], model = [0.7, 0.2, 0.1];
        Weighed weighed = new SoftTargets().Weigh(new ScoredBatch
        {
            Step = new StepCounts(3, 0, 3, 0), LogProbs = [.. model.Select(p => (float)Math.Log(p))], RowDocuments = [0, 1, 2],
            Labels = [1, 1, 1],
            SampledLogProbs = [.. shares.Select(p => (float)Math.Log(p))], Gains = [],
        }, new TrainRecipe { Objective = SoftTargets.Id });
        Assert.Equal(-shares.Zip(model, (share, p) => share * Math.Log(p)).Sum() / 3, weighed.Loss, 1e-6);
        Assert.Equal(shares.Select(share => (float)(share / 3)), weighed.Weights, (a, b) => Math.Abs(a - b) < 1e-7);
    }
}
