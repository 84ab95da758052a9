// M predicted tokens of a micro-batch.
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>The figures of one optimiser step or one evaluation.</summary>
/// <param name="Loss">Mean over target tokens, or over pairs for preference training.</param>
/// <param name="Accuracy">Share of pairs whose preferred answer gained more than the rejected one; null elsewhere.</param>
internal readonly record struct Score(double Loss, double? Accuracy);

/// <summary>
/// Turns micro-batches into gradients. Every loss is divided by the count over the whole step, so that the way a step is
/// cut into micro-batches does not change its gradient.
/// </summary>
/// <param name="recipe">Says which objective.</param>
/// <param name="reference">Log-probability of each document under the base model, for preference training.</param>
/// <param name="world">The ranks that share the micro-batches; none but this process by default.</param>
internal sealed class Objective(TrainRecipe recipe, double[]? reference, ICollectives? world = null)
{
    private readonly ICollectives _world = world ?? new SingleRank();


    private bool IsPreference => recipe.Objective == "preference";

    /// <summary>Learn every token, or only the marked ones.</summary>
    public bool EveryToken => recipe.Objective == "next-token";

    /// <summary>Adds the gradient of this rank's micro-batches to the parameters; the score is that of all of them.</summary>
    /// <param name="added">Called after each micro-batch, with its index.</param>
    public Score Accumulate(DecoderModel model, TokenDataset data, IReadOnlyList<IReadOnlyList<Segment>> micros, Action<int>? added = null) => Run(model, data, micros, added ?? (_ => { }));

    /// <summary>The loss alone.</summary>
    public Score Evaluate(DecoderModel model, TokenDataset data, IEnumerable<IReadOnlyList<Segment>> micros) => Run(model, data, [.. micros], null);

    /// <summary>
    /// Log-probability of each document's targets under <paramref name="model"/>: computed once, before the first step of
    /// preference training, and kept.
    /// </summary>
    public static double[] Reference(DecoderModel model, TokenDataset data, int microTokens, CancellationToken cancellation, ICollectives? world = null)
    {
        world ??= new SingleRank();
        List<Segment>[] micros = [.. DataOrder.Sample(data, split: false, model.Config.MaxPositions, microTokens)];
        double[] sums = new double[data.NumDocuments];
        (int first, int end) = CollectivesExtensions.Block(micros.Length, world.Rank, world.Size);
        foreach (List<Segment> micro in micros[first..end])
        {
            cancellation.ThrowIfCancellationRequested();
            Batch batch = Batch.Read(data, micro, everyToken: false);
            double[] perSegment = SegmentSums(batch, model.LogProbs(batch));
            for (int i = 0; i < perSegment.Length; i++) sums[batch.Documents[i]] = perSegment[i];
        }
        // Whole documents in the dataset's order: each rank has computed one stretch of them.
        int[] starts = [.. Enumerable.Range(0, world.Size + 1).Select(rank => CollectivesExtensions.Block(micros.Length, rank, world.Size).First)
            .Select(micro => micro < micros.Length ? (int)micros[micro][0].Document : sums.Length)];
        world.AllGather<double>(sums, [.. starts.Zip(starts.Skip(1), (from, to) => to - from)], starts[..^1]);
        return sums;
    }

    private Score Run(DecoderModel model, TokenDataset data, IReadOnlyList<IReadOnlyList<Segment>> micros, Action<int>? added)
    {
        Batch[] batches = [.. micros.Select(micro => Batch.Read(data, micro, EveryToken))];
        return IsPreference ? Preference(model, batches, added) : NextToken(model, batches, added);
    }

    private Score NextToken(DecoderModel model, Batch[] batches, Action<int>? added)
    {
        long numTargets = batches.Sum(batch => (long)batch.Targets.Length);
        return new Score(_world.Map(batches.Length, Loss).Sum(), null);

        double Loss(int index)
        {
            Batch batch = batches[index];
            double loss = 0;
            using var scope = TorchSharp.torch.NewDisposeScope();
            if (added is null) return model.LogProbs(batch).Sum(logProb => -logProb / (double)numTargets);
            if (batch.Targets.Length > 0)
            {
                float[] weights = new float[batch.Targets.Length];
                Array.Fill(weights, 1f / numTargets);
                Tensor value = model.Loss(batch, weights);
                value.backward();
                loss = value.item<float>();
            }
            added(index);
            return loss;
        }
    }

    /// <summary>
    /// DPO (Rafailov 2023, arXiv 2305.18290): -log sigmoid(beta * margin), margin = (log p - log p_ref)(preferred) - the
    /// same of the rejected, averaged over pairs; plus <see cref="TrainRecipe.DpoSupervised"/> times the mean -log p of the
    /// preferred answers' tokens. Its derivative by each token's -log p is beta * sigmoid(-beta * margin), with the sign of
    /// the answer, so one weighted cross-entropy gives the gradient.
    /// </summary>
    private Score Preference(DecoderModel model, Batch[] batches, Action<int>? added)
    {
        int numPairs = batches.Sum(batch => batch.SegmentLengths.Length) / 2;
        long numPreferred = batches.Sum(batch => batch.RowSegments.LongCount(segment => segment % 2 == 0));
        (double Loss, int Won)[] scores = _world.Map(batches.Length, Score);
        return new Score(scores.Sum(score => score.Loss), (double)scores.Sum(score => score.Won) / numPairs);

        (double Loss, int Won) Score(int index)
        {
            Batch batch = batches[index];
            double loss = 0;
            int won = 0;
            using var scope = TorchSharp.torch.NewDisposeScope();
            float[] WeightsOf(float[] logProbs)
            {
                double[] sums = SegmentSums(batch, logProbs);
                double[] pull = new double[sums.Length];
                for (int i = 0; i < sums.Length; i += 2)
                {
                    double margin = sums[i] - reference![batch.Documents[i]] - (sums[i + 1] - reference[batch.Documents[i + 1]]);
                    double x = recipe.DpoBeta * margin;
                    loss += (x > 0 ? double.LogP1(Math.Exp(-x)) : double.LogP1(Math.Exp(x)) - x) / numPairs;
                    won += margin > 0 ? 1 : 0;
                    pull[i] = recipe.DpoBeta / (1 + Math.Exp(x)) / numPairs;
                    pull[i + 1] = -pull[i];
                }
                float[] weights = new float[logProbs.Length];
                for (int row = 0; row < weights.Length; row++)
                {
                    bool preferred = batch.RowSegments[row] % 2 == 0;
                    double supervised = preferred ? recipe.DpoSupervised / numPreferred : 0;
                    loss -= supervised * logProbs[row];
                    weights[row] = (float)(pull[batch.RowSegments[row]] + supervised);
                }
                return weights;
            }
            if (added is null) WeightsOf(model.LogProbs(batch));
            else
            {
                model.Loss(batch, WeightsOf).backward();
                added(index);
            }
            return (loss, won);
        }
    }

    private static double[] SegmentSums(Batch batch, float[] logProbs)
    {
        double[] sums = new double[batch.SegmentLengths.Length];
        for (int row = 0; row < logProbs.Length; row++) sums[batch.RowSegments[row]] += logProbs[row];
        return sums;
    }
}
