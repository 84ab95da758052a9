// M predicted tokens of a micro-batch.
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>The figures of one optimiser step or one evaluation.</summary>
/// <param name="Loss">Mean over target tokens; over pairs for preference training, over answers for KTO.</param>
/// <param name="Accuracy">
/// Share of pairs whose preferred answer gained more than the rejected one; for KTO, of answers that moved the way that
/// they were judged; null elsewhere.
/// </param>
/// <param name="MicroLosses">Each micro-batch's part of the loss.</param>
internal readonly record struct Score(double Loss, double? Accuracy, double[]? MicroLosses = null);

/// <summary>
/// Turns micro-batches into gradients. Every loss is divided by the count over the whole step, so that the way a step is
/// cut into micro-batches does not change its gradient.
/// </summary>
/// <param name="recipe">Says which objective.</param>
/// <param name="reference">Log-probability of each document under the base model, for preference training and KTO.</param>
/// <param name="world">The ranks that share the micro-batches; none but this process by default.</param>
internal sealed class Objective(TrainRecipe recipe, double[]? reference, ICollectives? world = null)
{
    private readonly ICollectives _world = world ?? new SingleRank();

    /// <summary>Learn every token, or only the marked ones.</summary>
    public bool EveryToken => recipe.Objective == TrainRecipe.NextToken;

    /// <summary>Compare with the base model's log-probabilities.</summary>
    public static bool NeedsReference(TrainRecipe recipe) => recipe.Objective is TrainRecipe.Preference or TrainRecipe.Kto;

    /// <summary>Adds the gradient of this rank's micro-batches to the parameters; the score is that of all of them.</summary>
    /// <param name="added">Called after each micro-batch, with its index.</param>
    public Score Accumulate(DecoderModel model, TokenDataset data, IReadOnlyList<IReadOnlyList<Segment>> micros, Action<int>? added = null) => Run(model, data, micros, added ?? (_ => { }));

    /// <summary>The loss alone.</summary>
    public Score Evaluate(DecoderModel model, TokenDataset data, IEnumerable<IReadOnlyList<Segment>> micros) => Run(model, data, [.. micros], null);

    /// <summary>
    /// Log-probability of each document's targets under <paramref name="model"/>: computed once, before the first step of
    /// preference training, and kept.
    /// </summary>
    public static double[] Reference(DecoderModel model, TokenDataset data, int microTokens, CancellationToken cancellation, ICollectives? world = null, Action<int, int>? done = null)
    {
        world ??= new SingleRank();
        List<Segment>[] micros = [.. DataOrder.Sample(data, split: false, model.Config.MaxPositions, microTokens)];
        double[] sums = new double[data.NumDocuments];
        (int first, int end) = CollectivesExtensions.Block(micros.Length, world.Rank, world.Size);
        for (int index = first; index < end; index++)
        {
            List<Segment> micro = micros[index];
            cancellation.ThrowIfCancellationRequested();
            Batch batch = Batch.Read(data, micro, everyToken: false);
            double[] perSegment = SegmentSums(batch, model.LogProbs(batch));
            for (int i = 0; i < perSegment.Length; i++) sums[batch.Documents[i]] = perSegment[i];
            done?.Invoke(index + 1 - first, end - first);
        }
        // Whole documents in the dataset's order: each rank has computed one stretch of them.
        int[] starts = [.. Enumerable.Range(0, world.Size + 1).Select(rank => CollectivesExtensions.Block(micros.Length, rank, world.Size).First)
            .Select(micro => micro < micros.Length ? (int)micros[micro][0].Document : sums.Length)];
        world.AllGather<double>(sums, [.. starts.Zip(starts.Skip(1), (from, to) => to - from)], starts[..^1]);
        return sums;
    }

    private Score Run(DecoderModel model, TokenDataset data, IReadOnlyList<IReadOnlyList<Segment>> micros, Action<int>? added)
    {
        Batch[] Read(Func<int, bool> isIn) => [.. micros.Select(micro => Batch.Read(data, [.. micro.Where((_, place) => isIn(place))], EveryToken))];
        bool kto = recipe.Objective == TrainRecipe.Kto;
        Batch[] batches = Read(place => !kto || place % 2 == 0);
        long numTargets = batches.Sum(batch => (long)batch.Targets.Length);
        int numDocuments = batches.Sum(batch => batch.SegmentLengths.Length);
        Weigh weigh = recipe.Objective switch
        {
            TrainRecipe.Preference => Preference(numDocuments / 2, batches.Sum(batch => batch.RowSegments.LongCount(segment => segment % 2 == 0))),
            TrainRecipe.Kto => Kto(numDocuments, Drift(model, Read(place => place % 2 == 1))),
            TrainRecipe.Policy => Policy(numTargets),
            _ => Likelihood(numTargets),
        };
        (double Loss, int Won)[] scores = _world.Map(batches.Length, index =>
        {
            (double, int) score = batches[index].Targets.Length > 0 ? Pass(model, batches[index], weigh, numTargets, learn: added is not null) : default;
            added?.Invoke(index);
            return score;
        });
        int numJudged = recipe.Objective switch { TrainRecipe.Preference => numDocuments / 2, TrainRecipe.Kto => numDocuments, _ => 0 };
        return new Score(scores.Sum(score => score.Loss), numJudged > 0 ? (double)scores.Sum(score => score.Won) / numJudged : null, [.. scores.Select(score => score.Loss)]);
    }

    /// <summary>
    /// Every objective as one weighted cross-entropy: what the derivative of its loss by each target's -log p is, given these
    /// log-probabilities; and the batch's share of the step's loss and of its answers told apart.
    /// </summary>
    private delegate (float[] Weights, double Loss, int Won) Weigh(Batch batch, float[] logProbs);

    private (double Loss, int Won) Pass(DecoderModel model, Batch batch, Weigh weigh, long numTargets, bool learn)
    {
        (double loss, int won) = (0, 0);
        float zWeight = (float)(recipe.ZLoss / numTargets);
        float[] WeightsOf(float[] logProbs)
        {
            (float[] weights, loss, won) = weigh(batch, logProbs);
            return weights;
        }
        if (!learn) WeightsOf(model.LogProbs(batch));
        else if (recipe.Objective is TrainRecipe.NextToken or TrainRecipe.Supervised)
        {
            // The weights do not depend on the log-probabilities: the output matrix is passed once.
            float[] logProbs = new float[batch.Targets.Length];
            model.Learn(batch, WeightsOf(logProbs), zWeight, logProbs);
            WeightsOf(logProbs);
        }
        else model.Learn(batch, WeightsOf, zWeight);
        return (loss, won);
    }

    /// <summary>Mean -log p of the targets.</summary>
    private static Weigh Likelihood(long numTargets) => (_, logProbs) =>
    {
        float[] weights = new float[logProbs.Length];
        Array.Fill(weights, 1f / numTargets);
        return (weights, logProbs.Sum(logProb => -logProb / (double)numTargets), 0);
    };

    /// <summary>
    /// Mean <see cref="Losses.Dpo"/> of the pairs, plus <see cref="TrainRecipe.DpoSupervised"/> times the mean -log p of the
    /// preferred answers' tokens.
    /// </summary>
    private Weigh Preference(int numPairs, long numPreferred) => (batch, logProbs) =>
    {
        double[] gains = Gains(batch, logProbs), pulls = new double[gains.Length];
        (double loss, int won) = (0, 0);
        for (int i = 0; i < gains.Length; i += 2)
        {
            (double pairLoss, double pull) = Losses.Dpo(gains[i] - gains[i + 1], recipe.DpoBeta);
            loss += pairLoss / numPairs;
            won += gains[i] > gains[i + 1] ? 1 : 0;
            (pulls[i], pulls[i + 1]) = (pull / numPairs, -pull / numPairs);
        }
        float[] weights = new float[logProbs.Length];
        for (int row = 0; row < weights.Length; row++)
        {
            int segment = batch.RowSegments[row];
            double supervised = segment % 2 == 0 ? recipe.DpoSupervised / numPreferred : 0;
            loss -= supervised * logProbs[row];
            weights[row] = (float)(pulls[segment] + supervised);
        }
        return (weights, loss, won);
    };

    /// <summary>Mean <see cref="Losses.Kto"/> of the answers.</summary>
    private Weigh Kto(int numAnswers, double drift) => (batch, logProbs) =>
    {
        double[] gains = Gains(batch, logProbs);
        (double Loss, double Pull)[] each = [.. gains.Select((gain, i) => Losses.Kto(gain, drift, batch.Labels[i] > 0, recipe))];
        return ([.. batch.RowSegments.Select(segment => (float)(each[segment].Pull / numAnswers))], each.Sum(answer => answer.Loss) / numAnswers,
            gains.Where((gain, i) => gain > drift == batch.Labels[i] > 0).Count());
    };

    /// <summary>
    /// KTO's reference point: how much likelier the model has made answers to other prompts, over the whole step; an estimate
    /// of its divergence from the base, which is never negative.
    /// </summary>
    private double Drift(DecoderModel model, Batch[] others)
    {
        double[] sums = _world.Map(others.Length, index => others[index].Targets.Length > 0 ? Gains(others[index], model.LogProbs(others[index])).Sum() : 0);
        return Math.Max(0, sums.Sum() / Math.Max(1, others.Sum(batch => batch.SegmentLengths.Length)));
    }

    /// <summary>Mean <see cref="Losses.Policy"/> of the sampled tokens.</summary>
    private Weigh Policy(long numTargets) => (batch, logProbs) =>
    {
        float[] weights = [.. logProbs.Select((logProb, row) => (float)(Losses.Policy(logProb, batch.SampledLogProbs[row], batch.Labels[batch.RowSegments[row]], recipe.ImportanceCap) / numTargets))];
        return (weights, logProbs.Select((logProb, row) => -(double)logProb * weights[row]).Sum(), 0);
    };

    /// <summary>How much likelier each answer has become than under the base, in nats.</summary>
    private double[] Gains(Batch batch, float[] logProbs)
    {
        double[] sums = SegmentSums(batch, logProbs);
        for (int i = 0; i < sums.Length; i++) sums[i] -= reference![batch.Documents[i]];
        return sums;
    }

    private static double[] SegmentSums(Batch batch, float[] logProbs)
    {
        double[] sums = new double[batch.SegmentLengths.Length];
        for (int row = 0; row < logProbs.Length; row++) sums[batch.RowSegments[row]] += logProbs[row];
        return sums;
    }
}
