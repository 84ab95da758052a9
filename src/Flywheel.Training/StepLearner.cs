// M predicted tokens of a micro-batch.
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>The figures of one optimiser step or one evaluation.</summary>
/// <param name="Loss">Mean over what the objective counts: target tokens, pairs or answers.</param>
/// <param name="Accuracy">Share of pairs or answers that are right (<see cref="Objective.NumJudged"/>); null where there is no such
/// thing.</param>
/// <param name="MicroLosses">Each micro-batch's part of the loss.</param>
internal readonly record struct Score(double Loss, double? Accuracy, double[]? MicroLosses = null);

/// <summary>
/// Turns micro-batches into gradients of an objective. Every loss is divided by the count over the whole step, so that the way a step
/// is cut into micro-batches does not change its gradient.
/// </summary>
/// <param name="recipe">Says which objective.</param>
/// <param name="reference">Log-probability of each document under the base model, for an objective that needs it.</param>
/// <param name="world">The ranks that share the micro-batches; none but this process by default.</param>
internal sealed class StepLearner(TrainRecipe recipe, double[]? reference, ICollectives? world = null)
{
    private readonly ICollectives _world = world ?? new SingleRank();
    private readonly Objective _objective = Objective.Named(recipe.Objective);

    /// <summary>Learn every token, or only the marked ones.</summary>
    public bool EveryToken => _objective.Form.EveryToken;

    /// <summary>Adds the gradient of this rank's micro-batches to the parameters; the score is that of all of them.</summary>
    /// <param name="added">Called after each micro-batch, with its index.</param>
    public Score Accumulate(DecoderModel model, TokenDataset data, IReadOnlyList<IReadOnlyList<Segment>> micros,
        Action<int>? added = null) =>
        Run(model, data, micros, added ?? (_ => { }));

    /// <summary>The loss alone.</summary>
    public Score Evaluate(DecoderModel model, TokenDataset data, IEnumerable<IReadOnlyList<Segment>> micros) =>
        Run(model, data, [.. micros], null);

    /// <summary>
    /// Log-probability of each document's targets under <paramref name="model"/>: computed once, before the first step of a training
    /// whose objective needs it, and kept.
    /// </summary>
    /// <param name="done">Told of micro-batches that are done, and of how many there are for this rank.</param>
    public static double[] Reference(DecoderModel model, TokenDataset data, int microTokens, CancellationToken cancellation,
        ICollectives? world = null, Action<int, int>? done = null)
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
        int[] starts =
            [.. Enumerable.Range(0, world.Size + 1).Select(rank => CollectivesExtensions.Block(micros.Length, rank, world.Size).First)
            .Select(micro => micro < micros.Length ? (int)micros[micro][0].Document : sums.Length)];
        world.AllGather<double>(sums, [.. starts.Zip(starts.Skip(1), (from, to) => to - from)], starts[..^1]);
        return sums;
    }

    private Score Run(DecoderModel model, TokenDataset data, IReadOnlyList<IReadOnlyList<Segment>> micros, Action<int>? added)
    {
        Batch[] Read(Func<int, bool> isIn) =>
            [.. micros.Select(micro => Batch.Read(data, [.. micro.Where((_, place) => isIn(place))], EveryToken))];
        bool withOthers = _objective.Form.WithOthers;
        Batch[] batches = Read(place => !withOthers || place % 2 == 0);
        var counts = new StepCounts(
            batches.Sum(batch => (long)batch.Targets.Length),
            batches.Sum(batch => batch.RowSegments.LongCount(segment => segment % 2 == 0)),
            batches.Sum(batch => batch.SegmentLengths.Length),
            withOthers ? Drift(model, Read(place => place % 2 == 1)) : 0);
        (double Loss, int Right)[] scores = _world.Map(batches.Length, index =>
        {
            (double, int) score = batches[index].Targets.Length > 0
                ? Pass(model, batches[index], counts, learn: added is not null) : default;
            added?.Invoke(index);
            return score;
        });
        double? accuracy = _objective.NumJudged(counts) is > 0 and int judged ? (double)scores.Sum(score => score.Right) / judged : null;
        return new Score(scores.Sum(score => score.Loss), accuracy, [.. scores.Select(score => score.Loss)]);
    }

    private (double Loss, int Right) Pass(DecoderModel model, Batch batch, StepCounts counts, bool learn)
    {
        (double loss, int right) = (0, 0);
        float zWeight = (float)(recipe.ZLoss / counts.NumTargets);
        float[] WeightsOf(float[] logProbs)
        {
            var scored = new ScoredBatch
            {
                Step = counts, LogProbs = logProbs, RowDocuments = batch.RowSegments, Labels = batch.Labels,
                SampledLogProbs = batch.SampledLogProbs,
                Gains = _objective.NeedsReference ? Gains(batch, logProbs) : [],
            };
            (float[] weights, loss, right) = _objective.Weigh(scored, recipe);
            return weights;
        }
        if (!learn) WeightsOf(model.LogProbs(batch));
        else if (!_objective.WeighsByLogProbs)
        {
            float[] logProbs = new float[batch.Targets.Length];
            model.Learn(batch, WeightsOf(logProbs), zWeight, logProbs);
            WeightsOf(logProbs);
        }
        else model.Learn(batch, WeightsOf, zWeight);
        return (loss, right);
    }

    /// <summary><see cref="StepCounts.Drift"/>.</summary>
    private double Drift(DecoderModel model, Batch[] others)
    {
        double[] sums = _world.Map(others.Length,
            index => others[index].Targets.Length > 0 ? Gains(others[index], model.LogProbs(others[index])).Sum() : 0);
        return Math.Max(0, sums.Sum() / Math.Max(1, others.Sum(batch => batch.SegmentLengths.Length)));
    }

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
