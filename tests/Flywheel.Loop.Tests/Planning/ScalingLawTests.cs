using Flywheel.Loop.Planning;
using Flywheel.Model;

namespace Flywheel.Loop.Tests.Planning;

public sealed class ScalingLawTests
{
    /// <summary>The law that the paper published (equation 10).</summary>
    private static readonly ScalingLaw Chinchilla = new(1.69, 406.4, 410.7, 0.34, 0.28);

    [Fact]
    public void Fit_PointsOfAPublishedLaw_FindsItsNumbers()
    {
        ScalingLaw found = ScalingLaw.Fit(Points(Chinchilla, _ => 1));

        Assert.Equal(Chinchilla.E, found.E, 0.02);
        Assert.Equal(Chinchilla.Alpha, found.Alpha, 0.005);
        Assert.Equal(Chinchilla.Beta, found.Beta, 0.005);
        Assert.Equal(Chinchilla.ParametersFor(1e21), found.ParametersFor(1e21), 0.05 * Chinchilla.ParametersFor(1e21));
    }

    [Fact]
    public void Fit_OneRunThatWentWrong_DoesNotBendTheLaw()
    {
        ScalingPoint[] points = Points(Chinchilla, _ => 1);
        points[7] = points[7] with { Loss = points[7].Loss * 1.3 };

        ScalingLaw found = ScalingLaw.Fit(points);

        Assert.Equal(Chinchilla.Loss(1e9, 2e10), found.Loss(1e9, 2e10), 0.02);
    }

    /// <summary>What a study of a minute and a half measured: such short runs lie on a plane, whose best law has numbers without
    /// bound.</summary>
    [Fact]
    public void Fit_RunsThatAreTooShort_StaysFiniteAndSaysSo()
    {
        double[] sizes = [0.152e6, 0.296e6, 0.484e6], lengths = [0.101e6, 0.203e6, 0.407e6],
            losses = [5.6995, 5.3486, 5.1377, 5.1905, 4.8452, 4.6166, 4.6877, 4.3682, 4.1332];
        ScalingPoint[] points = [.. losses.Select((loss, i) => new ScalingPoint(sizes[i % 3], lengths[i / 3], loss))];

        ScalingLaw found = ScalingLaw.Fit(points);

        Assert.All(new[] { found.E, found.A, found.B, found.Alpha, found.Beta },
            value => Assert.True(double.IsFinite(value) && value > 0, $"{found}"));
        Assert.All(points, point => Assert.Equal(point.Loss, found.Loss(point.Parameters, point.Tokens), 0.05));
        Assert.False(found.IsDetermined);
        Assert.True(ScalingLaw.Fit(Points(Chinchilla, _ => 1)).IsDetermined);
    }

    [Fact]
    public void Fit_NoisyRuns_PredictsALargerOne()
    {
        var random = new Random(3);
        ScalingLaw found = ScalingLaw.Fit(Points(Chinchilla, _ => 1 + 0.004 * (random.NextDouble() - 0.5)));

        Assert.Equal(Chinchilla.Loss(4e9, 8e10), found.Loss(4e9, 8e10), 0.05);
    }

    [Fact]
    public void TokensFor_AnySize_IsWhereParametersForPutsIt()
    {
        foreach (double flops in new[] { 1e15, 1e18, 1e21 })
        {
            double parameters = Chinchilla.ParametersFor(flops), tokens = Chinchilla.TokensFor(parameters);

            Assert.Equal(flops, 6 * parameters * tokens, flops * 1e-9);
            // Moving along the same budget only makes it worse.
            Assert.True(Chinchilla.Loss(parameters, tokens) < Chinchilla.Loss(parameters * 1.1, tokens / 1.1));
            Assert.True(Chinchilla.Loss(parameters, tokens) < Chinchilla.Loss(parameters / 1.1, tokens * 1.1));
        }
    }

    [Fact]
    public void Fit_TooFewRunsOrSizes_SaysWhatIsMissing()
    {
        ScalingPoint[] points = Points(Chinchilla, _ => 1);

        Assert.Contains("expected at least 6", Assert.Throws<FlywheelException>(() => ScalingLaw.Fit(points[..5])).Message);
        Assert.Contains("3 sizes",
            Assert.Throws<FlywheelException>(() => ScalingLaw.Fit([.. points.Select(point => point with { Parameters = 1e6 })])).Message);
        Assert.Contains("3 lengths",
            Assert.Throws<FlywheelException>(() => ScalingLaw.Fit([.. points.Select(point => point with { Tokens = 1e6 })])).Message);
    }

    private static ScalingPoint[] Points(ScalingLaw law, Func<int, double> noise) =>
        [.. from parameters in new[] { 5e7, 1e8, 2e8, 5e8, 1e9 } from tokens in new[] { 1e9, 3e9, 1e10, 3e10 }
            select new ScalingPoint(parameters, tokens, law.Loss(parameters, tokens) * noise(0))];
}
