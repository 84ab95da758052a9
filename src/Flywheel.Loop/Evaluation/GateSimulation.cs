using Flywheel.Engine;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>What the gate sees of one draft.</summary>
/// <param name="Score">By the judge.</param>
/// <param name="NameExact">The brief's name is in it.</param>
/// <param name="FactRestated">A fact is in it.</param>
/// <param name="IsClean">No foreign name or number is in it.</param>
public readonly record struct DraftMeasures(double Score, bool NameExact, bool FactRestated, bool IsClean)
{
    public static DraftMeasures Of(IDraftJudge judge, Conversation prompt, Answer draft)
    {
        double score = draft.Fault is null ? judge.Score(prompt, draft.Text.Trim()) : double.NegativeInfinity;
        if (Brief.Find(prompt) is not { } brief) return new(score, true, true, true);
        CopyMetrics metrics = CopyMetrics.Of(brief, draft.Text);
        return new(score, metrics.NameExact, metrics.FactRestated, metrics.Foreign.Count == 0);
    }
}

/// <summary>How a simulation goes.</summary>
/// <param name="People">Held out.</param>
/// <param name="Briefs">Of each.</param>
/// <param name="Looks">Candidates that are tried on them, one after another.</param>
/// <param name="Gain">Of a candidate that is better, in the share of drafts preferred.</param>
/// <param name="Homes">Simulated, each with people of its own.</param>
/// <param name="Seed">Of everything.</param>
public sealed record SimulationPlan(int People = 12, int Briefs = 8, int Looks = 20, double Gain = 0.4, int Homes = 1000, int Seed = 1);

/// <summary>One line of the outcome.</summary>
/// <param name="What">Was tried.</param>
/// <param name="Promoted">In so many homes at least one candidate.</param>
/// <param name="Homes">That were simulated.</param>
/// <param name="Wanted">What the share should be.</param>
public sealed record SimulationRow(string What, int Promoted, int Homes, string Wanted)
{
    public double Share => Promoted / (double)Homes;
}

/// <summary>
/// Tries the gate's decision about drafts on candidates of which it is known whether they are better. The rules are those of
/// <see cref="Gate"/>; only drafts and people are made up, or drawn from what a model really wrote.
/// </summary>
public static class GateSimulation
{
    /// <summary>Drafts of each brief that a pool needs: half of them stand for each model.</summary>
    public const int PoolDrafts = 8;

    /// <summary>Has a model write a pool of drafts.</summary>
    /// <param name="model">Stands for champion and candidate.</param>
    /// <param name="briefs">As many as people times briefs, one person's together.</param>
    /// <param name="judge">Scores each draft.</param>
    /// <param name="seed">Of the sampling.</param>
    /// <param name="step">Told of each draft.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>Of each brief, its drafts. [briefs][drafts]</returns>
    public static async Task<DraftMeasures[][]> PoolAsync(ModelFolder model, IReadOnlyList<Brief> briefs, IDraftJudge judge, int seed,
        Action? step = null,
        CancellationToken cancellation = default)
    {
        Conversation[] prompts = [.. briefs.Select(brief => brief.ToConversation())];
        SamplerOptions sampler = SamplingDefaults.Read(model);
        Answer[] drafts = await Exam.WriteAsync(model, prompts, PoolDrafts, 256, sampler, seed, step, cancellation);
        return [.. prompts.Select((prompt, i) => drafts[(i * PoolDrafts)..((i + 1) * PoolDrafts)].Select(draft => DraftMeasures.Of(judge,
            prompt, draft)).ToArray())];
    }

    /// <summary>Candidates that are the champion, written by a model: each half of its drafts stands for one of them.</summary>
    /// <param name="plan">How.</param>
    /// <param name="pool">From <see cref="PoolAsync"/>. [briefs][drafts]</param>
    /// <param name="margin">Of fidelity, as in the recipe.</param>
    public static IEnumerable<SimulationRow> OnDrafts(SimulationPlan plan, DraftMeasures[][] pool, double margin)
    {
        double clean = pool.Average(drafts => drafts.Average(draft => draft.IsClean ? 1.0 : 0));

        // With foreign names, the candidate's drafts are all preferred, and so many more of them name something foreign.
        bool Look(Random random, int look, double gain, double foreign)
        {
            int numDrafts = pool[0].Length / 2;
            List<(string, double)> outcomes = [];
            List<(string, double)>[] changes = [[], [], []];
            for (int brief = 0; brief < pool.Length; brief++)
            {
                string person = $"{brief / plan.Briefs}";
                DraftMeasures[] drafts = [.. pool[brief]];
                random.Shuffle(drafts);
                DraftMeasures[] before = drafts[..numDrafts], after = drafts[numDrafts..(2 * numDrafts)];
                for (int i = 0; i < numDrafts; i++)
                {
                    if (random.NextDouble() < gain && after[i].Score < before[i].Score) (before[i], after[i]) = (after[i], before[i]);
                    if (foreign > 0 && random.NextDouble() < foreign / clean) after[i] = after[i] with { IsClean = false };
                    outcomes.Add((person, foreign > 0 ? 1 : after[i].Score.CompareTo(before[i].Score)));
                }
                changes[0].Add((person, Difference(before, after, draft => draft.NameExact)));
                changes[1].Add((person, Difference(before, after, draft => draft.FactRestated)));
                changes[2].Add((person, Difference(before, after, draft => draft.IsClean)));
            }
            return Promotes(outcomes, changes, look, margin);
        }

        yield return Homes("the same model, one look", plan, "at most 2.5%", (random, _) => Look(random, 1, 0, 0));
        yield return Homes($"the same model, {plan.Looks} looks", plan, "at most 5%", (random, _) => Any(plan.Looks, look => Look(random,
            look, 0, 0)));
        yield return Homes($"the better draft in {plan.Gain:0%} of the pairs, one look", plan, "as power allows", (random, _) =>
            Look(random, 1, plan.Gain, 0));
        yield return Homes("every draft preferred, and 20 points more of them with a foreign name", plan, "near 0%", (random, _) =>
            Look(random, 1, 0, 0.2));
    }

    /// <summary>
    /// Candidates that please some tastes and displease others, and no more people than the champion does; and one that is better.
    /// </summary>
    /// <param name="plan">How.</param>
    public static IEnumerable<SimulationRow> OnTastes(SimulationPlan plan)
    {
        // Each person's taste stays from look to look; a candidate's style pleases it, or not.
        List<(string, double)> Outcomes(Random random, double[] tastes, double gain)
        {
            double style = Normal(random) * Math.Sqrt(PowerStatement.Correlation);
            List<(string, double)> outcomes = [];
            for (int person = 0; person < plan.People; person++)
            {
                double wins = (1 + Math.Clamp(gain + style * tastes[person], -1, 1)) / 2;
                for (int brief = 0; brief < plan.Briefs; brief++) outcomes.Add(($"{person}", random.NextDouble() < wins ? 1 : -1));
            }
            return outcomes;
        }
        double[] Tastes(Random random) => [.. Enumerable.Range(0, plan.People).Select(_ => Normal(random))];

        yield return Homes("no better, one look", plan, "at most 2.5%", (random, _) => Promotes(Outcomes(random, Tastes(random), 0), [],
            1, 1));
        yield return Homes($"no better, {plan.Looks} looks", plan, "at most 5%", (random, _) =>
        {
            double[] tastes = Tastes(random);
            return Any(plan.Looks, look => Promotes(Outcomes(random, tastes, 0), [], look, 1));
        });
        yield return Homes($"no better, {plan.Looks} looks that cost nothing", plan, "for comparison", (random, _) =>
        {
            double[] tastes = Tastes(random);
            return Any(plan.Looks, _ => Promotes(Outcomes(random, tastes, 0), [], 1, 1));
        });
        yield return Homes($"better by {plan.Gain:0.00}, one look", plan, "as power allows", (random, _) => Promotes(Outcomes(random,
            Tastes(random), plan.Gain), [], 1, 1));
        if (PowerStatement.Of(plan.People, plan.People * plan.Briefs, 1).Gain is { } shown)
            yield return Homes($"better by {shown:0.00}, as the power statement says", plan, "80% or more", (random, _) =>
                Promotes(Outcomes(random, Tastes(random), shown), [], 1, 1));
    }

    /// <summary>
    /// Turns after turns on the frozen set, of which it is known what they lose: half of it is what they teach, half is not. As many
    /// conversations as a kind of the first model's frozen set has differ as they did between two turns of the demo.
    /// </summary>
    /// <param name="plan">Homes and seed.</param>
    /// <param name="margin">Nats a token, as in the recipe.</param>
    public static IEnumerable<SimulationRow> OnFrozenSet(SimulationPlan plan, double margin)
    {
        const int OfKind = 52;
        const double Spread = 0.09;
        Conversation[] frozen = [.. new[] { "Taught.", "Not taught." }.SelectMany(kind =>
            Enumerable.Range(0, OfKind).Select(i => new Conversation([Message.User($"{kind}\n{i}"), Message.Assistant("text")])))];
        ExamPaper paper = new([], [], frozen) { Taught = new HashSet<string> { "Taught." } };
        var rules = new GateRecipe { Regression = "-", RegressionMargin = margin };

        ExamResult Model(double[] losses) => new() { ModelHash = "", Texts = [], Margins = [], Answers = [], Regression = losses };
        double[] Changed(Random random, double[] from, (double Taught, double Other) falls) =>
            [.. from.Select((loss, i) => loss + (i < OfKind ? falls.Taught : falls.Other) + Spread * Normal(random))];

        // What of the kind that nobody taught was lost in all, and how many of the candidates were promoted.
        (double Lost, int Promoted) Turns(Random random, params (double Taught, double Other)[] falls)
        {
            double[] first = [.. frozen.Select(_ => 2 + 0.5 * Normal(random))], champion = first;
            double lost = 0;
            int promoted = 0;
            foreach ((double Taught, double Other) fall in falls)
            {
                double[] candidate = Changed(random, champion, fall);
                if (FrozenSet.Rules(paper, Model(champion), Model(candidate), champion == first ? null : Model(first), rules, 1,
                    draftsDecide: true)
                    .Any(rule => rule.Passed == false)) continue;
                (champion, lost, promoted) = (candidate, lost + fall.Other, promoted + 1);
            }
            return (lost, promoted);
        }

        SimulationPlan few = plan with { Homes = Math.Max(1, plan.Homes / 10) };
        yield return Homes("nothing lost in three turns: all promoted", few, "near 100%",
            (random, _) => Turns(random, (0, 0), (0, 0), (0, 0)).Promoted == 3);
        yield return Homes("a style that people asked for costs its kind 0.34 in each of three turns: all promoted", few, "near 100%",
            (random, _) => Turns(random, (0.34, 0), (0.34, 0), (0.34, 0)).Promoted == 3);
        yield return Homes("one turn raises what nobody taught by 0.30, two give back 0.10 each: all promoted", few, "near 100%",
            (random, _) =>
            Turns(random, (0, -0.3), (0, 0.1), (0, 0.1)).Promoted == 3);
        yield return Homes("one turn raises what nobody taught by 0.30, the next loses 0.35: promoted", few, "near 0%", (random, _) =>
            Turns(random, (0, -0.3), (0, 0.35)).Promoted == 2);
        yield return Homes($"0.05 lost in each of eight turns: more than {margin:0.##} lost in all", few, "at most 5%", (random, _) =>
            Turns(random, [.. Enumerable.Repeat((0.0, 0.05), 8)]).Lost > margin + 1e-9);
        yield return Homes($"0.30 gained, then 0.05 lost in each of twelve turns: more than {margin:0.##} lost in all", few, "at most 5%",
            (random, _) =>
            Turns(random, [(0, -0.3), .. Enumerable.Repeat((0.0, 0.05), 12)]).Lost > margin + 1e-9);
    }

    /// <summary>The gate's own rules about drafts.</summary>
    private static bool Promotes(List<(string, double)> outcomes, IReadOnlyList<List<(string, double)>> changes, int look, double margin) =>
        Gate.Better("", "", 0, 0, outcomes, "", Looks.Alpha(look), exact: true, required: true, seed: 1).Passed == true
        && changes.All(change => DraftRules.NotWorse("", 0, 0, change, "", margin, byPerson: true, seed: 1).Passed == true);

    private static bool Any(int looks, Func<int, bool> promotes)
    {
        for (int look = 1; look <= looks; look++)
            if (promotes(look)) return true;
        return false;
    }

    private static SimulationRow Homes(string what, SimulationPlan plan, string wanted, Func<Random, int, bool> promotes) =>
        new(what, Enumerable.Range(0, plan.Homes).Count(home => promotes(new Random(HashCode(plan.Seed, home)), home)), plan.Homes, wanted);

    private static int HashCode(int seed, int home) => unchecked(seed * 1_000_003 + home);

    private static double Difference(DraftMeasures[] before, DraftMeasures[] after, Func<DraftMeasures, bool> holds) =>
        after.Average(draft => holds(draft) ? 1.0 : 0) - before.Average(draft => holds(draft) ? 1.0 : 0);

    internal static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
