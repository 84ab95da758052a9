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
        (double actualLoss, double actualPull) = Kto.Value(gain, drift, liked, new TrainRecipe { Objective = "kto", DpoBeta = 0.5, KtoUndesirable = 2 });
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
}
