using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// A model in training: what an optimiser step and an evaluation do. <see cref="TrainingRun"/> says when, <see cref="TrainingPilot"/>
/// measures what they take.
/// </summary>
internal sealed class Trainer : IDisposable
{
    private readonly TokenDataset _train;
    private readonly TokenDataset? _validation;
    private readonly StepLearner _learner;
    private readonly StepLearner? _judge;

    /// <param name="job">What to train.</param>
    /// <param name="train">Its data, open.</param>
    /// <param name="validation">Held-out data, open; null when there is none.</param>
    /// <param name="world">Who shares the work.</param>
    /// <param name="reference">Log-probabilities of a dataset under the untrained model, where the objective asks for them.</param>
    public Trainer(TrainingJob job, TokenDataset train, TokenDataset? validation, ICollectives world,
        Func<DecoderModel, TokenDataset, double[]> reference)
    {
        (_train, _validation, Recipe) = (train, validation, job.Recipe.Train);
        int context = (job.Base?.Config ?? job.Config!).MaxPositions;
        Order = new DataOrder(train, Recipe, job.Recipe.Seed, context);
        Model = job.Base is { } folder
            ? DecoderModel.Load(folder, Recipe, job.Recipe.Seed) : DecoderModel.CreateRandom(job.Config!, job.Recipe.Seed, Recipe);
        _learner = Learn(train);
        _judge = validation is null ? null : Learn(validation);
        Gradients = new GradientExchange(Model.Parameters, world);
        Optimizer = new Optimizer(Gradients.Owned, Recipe);
        ProcessMemory.Release(); // the arrays that weights came through

        StepLearner Learn(TokenDataset data) =>
            new(Recipe, Objective.Named(Recipe.Objective).NeedsReference ? reference(Model, data) : null, world);
    }

    public TrainRecipe Recipe { get; }

    public DecoderModel Model { get; }

    public DataOrder Order { get; }

    public GradientExchange Gradients { get; }

    public Optimizer Optimizer { get; }

    /// <summary>What a checkpoint of this rank holds.</summary>
    public IEnumerable<Parameter> Owned => [.. Gradients.Owned, .. Optimizer.State];

    /// <summary>What resuming from a checkpoint needs: all weights, and the optimiser's state that this rank owns.</summary>
    public IEnumerable<Parameter> Wanted => [.. Model.Parameters, .. Optimizer.State];

    /// <summary>One optimiser step; every rank calls it with the same micro-batches.</summary>
    /// <param name="step">Steps done before.</param>
    /// <param name="micros">From <see cref="Order"/>.</param>
    /// <param name="diverged">Told of a loss or gradient that is not finite before it reaches the weights.</param>
    public (Score Score, double Factor, double Norm) Step(int step, List<List<Segment>> micros,
        Action<string, double, IEnumerable<List<Segment>>> diverged)
    {
        double factor = Schedule.Factor(Recipe, step, Order.NumSteps);
        Gradients.Begin(micros.Count);
        Score score = _learner.Accumulate(Model, _train, micros, Gradients.Add);
        if (!double.IsFinite(score.Loss)) diverged("loss", score.Loss, micros.Where((_, i) => !double.IsFinite(score.MicroLosses![i])));
        double norm = Gradients.Sum();
        if (!double.IsFinite(norm)) diverged("gradient's norm", norm, micros);
        Optimizer.Step(step + 1, factor, norm);
        Gradients.ShareParameters();
        return (score, factor, norm);
    }

    /// <summary>Loss on held-out data, or on about so many tokens of it.</summary>
    public Score Evaluate(long maxTokens) =>
        _judge!.Evaluate(Model, _validation!,
            DataOrder.Sample(_validation!, _judge.EveryToken, Model.Config.MaxPositions, Recipe.MicroTokens, maxTokens));

    /// <summary>A pass over training data without gradients.</summary>
    public void Read(List<List<Segment>> micros) => _learner.Evaluate(Model, _train, micros);

    public static long NumInputs(IEnumerable<IEnumerable<Segment>> micros) =>
        micros.Sum(micro => micro.Sum(segment => (long)segment.NumInputs));

    public void Dispose()
    {
        Optimizer.Dispose();
        Gradients.Dispose();
        Model.Dispose();
    }
}
