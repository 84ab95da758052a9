using Flywheel.Data;
using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>What a simulated user did with one variant; <see cref="Edited"/> is the text that they wanted instead.</summary>
internal readonly record struct Act(ActKind Kind, string? Edited = null);

internal enum ActKind { None, Keep, Edit, Discard }

/// <summary>
/// Someone with a taste, a degree of patience and a small share of slips. Stated figures: patience is uniform in
/// [0.25, 0.9] and is the chance to edit the best variant when none will do; in 3% of the looks at a variant the user is
/// distracted and judges against the own taste; in 10% of the cases an unwanted variant is left without a word.
/// </summary>
internal sealed class SimulatedUser(string name, Taste taste, int seed)
{
    private const double SlipRate = 0.03, SilenceRate = 0.10;

    private readonly double patience = 0.25 + (0.65 * StableHash.Stream(name, seed).NextDouble());

    /// <summary>One act a variant. The same user, brief and variants always give the same acts.</summary>
    public Act[] Look(Brief brief, IReadOnlyList<string> variants)
    {
        Random random = StableHash.Stream($"{name}\n{brief.Name}\n{string.Join('\n', variants)}", seed);
        Verdict[] verdicts = [.. variants.Select(text => taste.Judge(brief, text))];
        bool[] liked = [.. verdicts.Select(verdict => verdict.Accepted != random.NextDouble() < SlipRate)];
        var acts = new Act[variants.Count];
        bool edits = random.NextDouble() < (liked.Any(like => like) ? patience / 3 : patience);
        foreach (int i in Enumerable.Range(0, variants.Count).OrderBy(i => verdicts[i].Reasons.Count))
        {
            if (liked[i])
            {
                acts[i] = new Act(ActKind.Keep);
            }
            else if (edits && taste.Edit(brief, variants[i]) is { } edited && edited != variants[i])
            {
                acts[i] = new Act(ActKind.Edit, edited);
                edits = false;
            }
            else
            {
                acts[i] = new Act(random.NextDouble() < SilenceRate ? ActKind.None : ActKind.Discard);
            }
        }
        return acts;
    }
}
