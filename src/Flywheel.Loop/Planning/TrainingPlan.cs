using Flywheel.Model;
using Flywheel.Training;

namespace Flywheel.Loop.Planning;

/// <summary>What is there and what is wanted. Exactly one of money, hours and parameters says how large the run is.</summary>
public sealed record PlanRequest
{
    /// <summary>What one accelerator (or this machine) reaches in training, operations a second.</summary>
    public required double FlopsPerSecond { get; init; }

    /// <summary>Memory of one accelerator (or of this machine).</summary>
    public required long MemoryBytes { get; init; }

    public int Count { get; init; } = 1;

    /// <summary>On accelerators: weights, gradients and products in bf16 beside fp32 state; else fp32 throughout.</summary>
    public bool MixedPrecision { get; init; } = true;

    /// <summary>Price of one accelerator for an hour.</summary>
    public double PricePerHour { get; init; }

    /// <summary>Money for everything: training, labels, people.</summary>
    public double? Money { get; init; }

    /// <summary>From start to end.</summary>
    public double? Hours { get; init; }

    public double? Parameters { get; init; }

    /// <summary>
    /// Tokens a parameter: 20 is best for the training's cost alone (Hoffmann et al. 2022, arXiv 2203.15556); more makes a
    /// smaller model, which is cheaper to serve.
    /// </summary>
    public double TokensPerParameter { get; init; } = 20;

    /// <summary>A law fitted to runs of one's own, which then decides the split between parameters and tokens.</summary>
    public ScalingLaw? Law { get; init; }

    public int Context { get; init; } = 2048;

    public int Vocab { get; init; }

    /// <summary>
    /// Hours until one accelerator fails, on average: 419 unexpected stops in 54 days on 16,384 (Llama team 2024, arXiv
    /// 2407.21783, section 3.3.4).
    /// </summary>
    public double HoursBetweenFailures { get; init; } = 54 * 24 * 16_384 / 419.0;

    /// <summary>Seconds that a checkpoint holds the work up; null writes all state at one gigabyte a second.</summary>
    public double? CheckpointSeconds { get; init; }

    /// <summary>From a failure until work goes on.</summary>
    public double RestartSeconds { get; init; } = 300;

    /// <summary>Parts of the money for labels and for people, 0 to 1.</summary>
    public double LabelShare { get; init; }

    public double PeopleShare { get; init; }

    /// <summary>Price of one label.</summary>
    public double PricePerLabel { get; init; } = 0.5;

    /// <exception cref="FlywheelException">A number is out of range, or too few or too many say how large the run is; each is named as its
    /// option.</exception>
    public void Validate()
    {
        int sizes = new[] { Money, Hours, Parameters }.Count(size => size is not null);
        if (sizes != 1)
            throw new FlywheelException($"{sizes} of --money, --hours and --params are given, expected exactly one, or a recipe");
        foreach ((string name, double? value) in new[] { ("--money", Money), ("--hours", Hours), ("--params", Parameters),
            ("--tokens-per-param", TokensPerParameter), ("--hours-between-failures", HoursBetweenFailures),
            ("--price-per-label", PricePerLabel) })
            if (value is { } given && !(given > 0 && (double.IsFinite(given) || name == "--hours-between-failures")))
                throw new FlywheelException($"{name} is {given}, expected a number above 0");
        if (Money is not null && PricePerHour <= 0)
            throw new FlywheelException("--money is given without --price, expected what one accelerator costs an hour");
        if (Count < 1) throw new FlywheelException($"--count is {Count}, expected at least 1");
        if (PricePerHour < 0) throw new FlywheelException($"--price is {PricePerHour}, expected 0 or more");
        if (Context < 2) throw new FlywheelException($"--context is {Context}, expected at least 2");
        if (CheckpointSeconds < 0 || RestartSeconds < 0)
            throw new FlywheelException("--checkpoint-seconds and --restart-seconds are 0 or more");
        if (LabelShare < 0 || PeopleShare < 0 || LabelShare + PeopleShare >= 1)
            throw new FlywheelException(
                $"--label-share {LabelShare} and --people-share {PeopleShare} leave nothing for training, expected a sum below 1");
        if (LabelShare + PeopleShare > 0 && Money is null)
            throw new FlywheelException("--label-share and --people-share divide money; give --money");
    }
}

/// <summary>What a run of a given size takes, before anything is bought.</summary>
public sealed record TrainingPlan
{
    private const double MostParameters = 1e13, LeastParameters = 1e5;

    public required ModelConfig Shape { get; init; }

    public required double Tokens { get; init; }

    public required double Flops { get; init; }

    public required CheckpointPlan Checkpoints { get; init; }

    /// <summary>Of training alone.</summary>
    public required double Money { get; init; }

    public required double LabelMoney { get; init; }

    public required double NumLabels { get; init; }

    public required double PeopleMoney { get; init; }

    /// <summary>Of one accelerator, which takes one sequence at a time; state is divided between them.</summary>
    public required TrainingMemory Memory { get; init; }

    public required long MemoryAvailable { get; init; }

    /// <summary>Loss that the law expects, where one was given.</summary>
    public double? ExpectedLoss { get; init; }

    public bool Fits => Memory.Total <= MemoryAvailable;

    /// <exception cref="FlywheelException">The request is contradictory, or the budget is too small for any model.</exception>
    public static TrainingPlan For(PlanRequest request)
    {
        request.Validate();
        double trainingMoney = (request.Money ?? 0) * (1 - request.LabelShare - request.PeopleShare);
        double? seconds =
            request.Hours * 3600 ?? (request.Money is null ? null : trainingMoney / (request.PricePerHour * request.Count) * 3600);
        double parameters = request.Parameters ?? Largest(request, seconds!.Value);
        TrainingPlan plan = OfSize(request, parameters, seconds);
        return plan with
        {
            LabelMoney = (request.Money ?? 0) * request.LabelShare,
            NumLabels = (request.Money ?? 0) * request.LabelShare / request.PricePerLabel,
            PeopleMoney = (request.Money ?? 0) * request.PeopleShare,
        };
    }

    /// <summary>The size whose run takes just so long. Time grows with size, so the interval is halved.</summary>
    private static double Largest(PlanRequest request, double seconds)
    {
        (double low, double high) = (LeastParameters, MostParameters);
        if (OfSize(request, low, null).Checkpoints.TotalSeconds > seconds)
            throw new FlywheelException(
                $"{seconds / 3600:g3} hours on {request.Count} are too few for a model of {low:g1} parameters; give more time, money or machines");
        for (int i = 0; i < 32; i++)
        {
            double middle = Math.Sqrt(low * high);
            if (OfSize(request, middle, null).Checkpoints.TotalSeconds > seconds) high = middle;
            else low = middle;
        }
        return low;
    }

    /// <param name="request">What is there.</param>
    /// <param name="parameters">Wanted size.</param>
    /// <param name="seconds">When given, tokens fill the time exactly: shapes come in steps.</param>
    private static TrainingPlan OfSize(PlanRequest request, double parameters, double? seconds)
    {
        ModelConfig shape = ModelShape.For(parameters, request.Context, request.Vocab);
        double size = shape.NumParameters, rate = request.FlopsPerSecond * request.Count,
            perToken = ModelShape.TrainingFlops(shape, request.Context);
        double tokens = request.Law?.TokensFor(size) ?? request.TokensPerParameter * size;
        double failures = request.HoursBetweenFailures * 3600 / request.Count;
        double write = request.CheckpointSeconds ?? size * 12 / 1e9;
        var oneSequenceEach = new TrainRecipe { Objective = NextToken.Id, BatchTokens = request.Context * request.Count,
            MicroTokens = request.Context };
        CheckpointPlan checkpoints = Checkpoints();
        if (seconds is { } limit)
        {
            tokens *= limit / checkpoints.TotalSeconds;
            checkpoints = Checkpoints();
        }
        return new TrainingPlan
        {
            Shape = shape,
            Tokens = tokens,
            Flops = tokens * perToken,
            Checkpoints = checkpoints,
            Money = checkpoints.TotalSeconds / 3600 * request.PricePerHour * request.Count,
            LabelMoney = 0,
            NumLabels = 0,
            PeopleMoney = 0,
            Memory = TrainingMemory.Estimate(shape, oneSequenceEach, request.Count, request.MixedPrecision),
            MemoryAvailable = request.MemoryBytes,
            ExpectedLoss = request.Law?.Loss(size, tokens),
        };

        CheckpointPlan Checkpoints() => CheckpointPlan.For(tokens * perToken / rate, write, failures, request.RestartSeconds);
    }
}
