using Flywheel.Model;
using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.Optimization;

namespace Flywheel.Loop.Planning;

/// <summary>A finished run: N parameters, D tokens, loss on held-out data in nats a token.</summary>
public readonly record struct ScalingPoint(double Parameters, double Tokens, double Loss);

/// <summary>
/// loss = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022, arXiv 2203.15556, approach 3).
/// </summary>
/// <param name="E">Loss that no size and no data remove.</param>
public sealed record ScalingLaw(double E, double A, double B, double Alpha, double Beta)
{
    public const int LeastPoints = 6;

    private const double HuberDelta = 1e-3;

    /// <summary>
    /// Where the logarithms of A, B and E and the two powers are looked for. Runs that are all too short lie on a plane over the logarithms
    /// of size and length, which a power of nothing times a factor without bound fits ever better.
    /// </summary>
    private static readonly (double Low, double High)[] s_bounds = [(-5, 40), (-5, 40), (-3, 3), (0.02, 2), (0.02, 2)];

    public double Loss(double parameters, double tokens) => E + A / Math.Pow(parameters, Alpha) + B / Math.Pow(tokens, Beta);

    /// <summary>Parameters that make the least loss of so many operations, at 6 a parameter and token.</summary>
    public double ParametersFor(double flops) => Balance * Math.Pow(flops / 6, Beta / (Alpha + Beta));

    /// <summary>Tokens for which a model of so many parameters is the best use of its operations.</summary>
    public double TokensFor(double parameters) => Math.Pow(parameters / Balance, (Alpha + Beta) / Beta) / parameters;

    /// <summary>Whether the powers and the last loss lie inside of where they are looked for; else the runs are too alike or too short to
    /// tell.</summary>
    public bool IsDetermined =>
        E > 1.1 * Math.Exp(s_bounds[2].Low)
            && new[] { Alpha, Beta }.All(power => power > 1.5 * s_bounds[3].Low && power < 0.95 * s_bounds[3].High);

    private double Balance => Math.Pow(Alpha * A / (Beta * B), 1 / (Alpha + Beta));

    /// <summary>
    /// Fits by the Huber loss of log loss, from the paper's grid of starts, so that one odd run does not bend the law.
    /// </summary>
    /// <exception cref="FlywheelException">Too few runs, or all of one size or one length.</exception>
    public static ScalingLaw Fit(IReadOnlyList<ScalingPoint> points)
    {
        if (points.Count < LeastPoints)
            throw new FlywheelException($"{points.Count} runs are too few for a law of five numbers, expected at least {LeastPoints}");
        if (points.Select(point => point.Parameters).Distinct().Count() < 3)
            throw new FlywheelException("the runs have fewer than 3 sizes, expected at least 3");
        if (points.Select(point => point.Tokens).Distinct().Count() < 3)
            throw new FlywheelException("the runs have fewer than 3 lengths, expected at least 3 numbers of tokens");
        (double[] Values, double Error) best = ([], double.PositiveInfinity);
        foreach (double a in new[] { 0.0, 5, 10, 15, 20, 25 })
            foreach (double b in new[] { 0.0, 5, 10, 15, 20, 25 })
                foreach (double e in new[] { -1.0, -0.5, 0, 0.5, 1 })
                    foreach (double alpha in new[] { 0.0, 0.5, 1, 1.5, 2 })
                        foreach (double beta in new[] { 0.0, 0.5, 1, 1.5, 2 })
                        {
                            double[] start = [a, b, e, alpha, beta];
                            double error = Error(start, points);
                            if (error < best.Error) best = (start, error);
                        }
        // The three best regions of the grid would do; a second descent from where the first ended is as good and simpler.
        Vector<double> at = Vector<double>.Build.Dense(best.Values);
        for (int i = 0; i < 4; i++)
            at = new NelderMeadSimplex(1e-12, 20_000).FindMinimum(ObjectiveFunction.Value(v => Error(v.AsArray(), points)),
                at).MinimizingPoint;
        return new ScalingLaw(Math.Exp(at[2]), Math.Exp(at[0]), Math.Exp(at[1]), at[3], at[4]);
    }

    private static double Error(double[] v, IReadOnlyList<ScalingPoint> points)
    {
        double sum = 0;
        for (int i = 0; i < v.Length; i++) sum += Math.Pow(Math.Max(0, Math.Max(s_bounds[i].Low - v[i], v[i] - s_bounds[i].High)), 2);
        foreach (ScalingPoint point in points)
        {
            double x = v[0] - v[3] * Math.Log(point.Parameters), y = v[1] - v[4] * Math.Log(point.Tokens), z = v[2],
                most = Math.Max(x, Math.Max(y, z));
            double residual =
                Math.Abs(most + Math.Log(Math.Exp(x - most) + Math.Exp(y - most) + Math.Exp(z - most)) - Math.Log(point.Loss));
            sum += residual <= HuberDelta ? 0.5 * residual * residual : HuberDelta * (residual - 0.5 * HuberDelta);
        }
        return sum;
    }
}
