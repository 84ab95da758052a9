using System.Globalization;

namespace Flywheel.Loop;

/// <summary>What a turn can show before it starts.</summary>
/// <param name="People">Held out.</param>
/// <param name="Briefs">Of them, that drafts are written to.</param>
/// <param name="Look">Which look at them this is, since the champion was released.</param>
/// <param name="Gain">
/// Smallest gain in the share of drafts preferred, candidate's less champion's, that four turns in five show; null when the people are too
/// few to show any.
/// </param>
public sealed record PowerStatement(int People, int Briefs, int Look, double? Gain)
{
    /// <summary>A true gain is to be shown in so many of the turns.</summary>
    public const double Power = 0.8;

    /// <summary>How far pairs of one person go together: the share of the variance that people's tastes have.</summary>
    public const double Correlation = 0.1;

    /// <summary>In words.</summary>
    public string Text
    {
        get
        {
            string alpha = Looks.Alpha(Look).ToString("0.##%", CultureInfo.InvariantCulture);
            string people = $"{People} held-out {(People == 1 ? "person" : "people")}";
            string look = Look == 1 ? $"at the first look at them (alpha {alpha})" : $"at look {Look} at them (alpha {alpha})";
            return Gain is { } gain
                ? string.Create(CultureInfo.InvariantCulture,
                    $"with {people} and {Briefs} briefs this turn can show a gain of {gain:0.00} or more in the share of drafts preferred, {look}")
                : $"{people} with {Briefs} briefs can show no gain {look}: a person compares the drafts and decides";
        }
    }

    /// <param name="people">Held out.</param>
    /// <param name="briefs">Of all of them.</param>
    /// <param name="look">1 is the first since the champion was released.</param>
    public static PowerStatement Of(int people, int briefs, int look)
    {
        double alpha = Looks.Alpha(look);
        if (people < 2 || briefs < people || !SignFlip.CanDecide(people, alpha)) return new(people, briefs, look, null);
        double perPerson = Math.Sqrt(Correlation + (1 - Correlation) / (briefs / (double)people));
        double? gain = people <= FewPeople && Math.ScaleB(alpha, people) < FewSubsets ? Simulated(people, briefs / people, alpha)
            : Detectable(people, perPerson, alpha);
        return new(people, briefs, look, gain <= 1 ? gain : null);
    }

    // Where next to all people must agree, the exact test asks for more than Student's formula knows of.
    private const int FewPeople = 14, FewSubsets = 24;

    /// <summary>The same by trying: people whose tastes differ, wins and losses, and the test itself.</summary>
    private static double? Simulated(int people, int briefs, double alpha)
    {
        const int Tries = 200;
        double low = 0, high = 1;
        if (Found(high) < Power) return null;
        while (high - low > 0.01)
        {
            double middle = (low + high) / 2;
            if (Found(middle) < Power) low = middle;
            else high = middle;
        }
        return high;

        double Found(double gain)
        {
            var random = new Random(1);
            int found = 0;
            for (int attempt = 0; attempt < Tries; attempt++)
            {
                var means = new (string, double)[people];
                for (int person = 0; person < people; person++)
                {
                    double wins = (1 + Math.Clamp(gain + Math.Sqrt(Correlation) * GateSimulation.Normal(random), -1, 1)) / 2;
                    int won = 0;
                    for (int brief = 0; brief < briefs; brief++) won += random.NextDouble() < wins ? 1 : -1;
                    means[person] = ($"{person}", won);
                }
                if (SignFlip.PValue(means, 1) <= alpha) found++;
            }
            return found / (double)Tries;
        }
    }

    /// <summary>Smallest mean that a one-sided paired t test shows with probability <see cref="Power"/>.</summary>
    /// <param name="pairs">Independent differences.</param>
    /// <param name="deviation">Their standard deviation.</param>
    /// <param name="alpha">One-sided level.</param>
    internal static double Detectable(int pairs, double deviation, double alpha) =>
        (StudentT.Quantile(1 - alpha, pairs - 1) + StudentT.Quantile(Power, pairs - 1)) * deviation / Math.Sqrt(pairs);
}
