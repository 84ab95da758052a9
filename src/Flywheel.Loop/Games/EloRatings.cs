using MathNet.Numerics.LinearAlgebra;

namespace Flywheel.Loop.Games;

/// <summary>A player's strength with its 95% interval.</summary>
public sealed record EloRating(string Player, double Elo, double Low, double High);

/// <summary>
/// Elo ratings of all players from all matches at once: the likeliest ones under the model of Bradley and Terry (1952), a draw being half a
/// win
/// and half a loss. One player is the zero. So that a player who never lost has a rating, each has beforehand a normal distribution of
/// 600 Elo around it; intervals are those of the normal approximation at the maximum.
/// </summary>
internal static class EloRatings
{
    private const double PriorDeviation = 600, Scale = 400 / 2.302585093;

    /// <param name="matches">Any; a pair of players may come more than once.</param>
    /// <param name="zero">The player whose rating is 0.</param>
    public static IReadOnlyList<EloRating> Fit(IReadOnlyList<MatchResult> matches, string zero)
    {
        string[] players = [.. matches.SelectMany(match => new[] { match.First, match.Second }).Where(player => player != zero).Distinct()];
        var place = players.Index().ToDictionary(player => player.Item, player => player.Index, StringComparer.Ordinal);
        Vector<double> ratings = Vector<double>.Build.Dense(players.Length); // in units of Scale
        Matrix<double> precision = Matrix<double>.Build.Dense(players.Length, players.Length);
        for (int round = 0; round < 100 && players.Length > 0; round++)
        {
            double prior = Math.Pow(Scale / PriorDeviation, 2);
            Vector<double> gradient = -prior * ratings;
            precision = Matrix<double>.Build.DenseDiagonal(players.Length, prior);
            foreach (MatchResult match in matches)
            {
                int first = place.GetValueOrDefault(match.First, -1), second = place.GetValueOrDefault(match.Second, -1);
                double expected = 1 / (1 + Math.Exp((second < 0 ? 0 : ratings[second]) - (first < 0 ? 0 : ratings[first]))),
                    weight = match.NumGames * expected * (1 - expected);
                double surprise = match.NumGames * (match.Score - expected);
                if (first >= 0) (gradient[first], precision[first, first]) = (gradient[first] + surprise, precision[first, first] + weight);
                if (second >= 0)
                    (gradient[second], precision[second, second]) = (gradient[second] - surprise, precision[second, second] + weight);
                if (first < 0 || second < 0) continue;
                precision[first, second] -= weight;
                precision[second, first] -= weight;
            }
            Vector<double> step = precision.Solve(gradient);
            double most = step.AbsoluteMaximum();
            ratings += most > 1 ? step / most : step; // Newton's, held back where it would overshoot
            if (most < 1e-9) break;
        }
        Matrix<double> covariance = precision.Inverse();
        return [new EloRating(zero, 0, 0, 0), .. players.Select((player, i) =>
        {
            double elo = Scale * ratings[i], reach = 1.959964 * Scale * Math.Sqrt(covariance[i, i]);
            return new EloRating(player, elo, elo - reach, elo + reach);
        })];
    }
}
