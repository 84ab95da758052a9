using System.Diagnostics;
using Flywheel.Model;
using Flywheel.Training;
using TorchSharp;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace Flywheel.Cli.Bench;

/// <summary>What one process measured.</summary>
/// <param name="Seconds">Of each optimiser step after the first; for products, of each pass.</param>
/// <param name="Loss">Of the last step.</param>
/// <param name="PeakBytes">Most memory that the process held.</param>
/// <param name="OptimizerSeconds">Median part of a step that the optimiser took.</param>
public sealed record TrainingFigures(IReadOnlyList<double> Seconds, double Loss, long PeakBytes, double OptimizerSeconds);

/// <summary>
/// Optimiser steps of one shape and batch: as a plain TorchSharp program and as ours. Allocator and threads' waiting belong
/// to a process, so each contender runs in one of its own.
/// </summary>
public static class TrainingBenchmark
{
    /// <summary>TorchSharp's operators, the whole batch at once, the process as it comes.</summary>
    public const string Plain = "plain";

    /// <summary>The same in micro-batches as ours has them.</summary>
    public const string PlainMicro = "plain-micro";

    public const string Ours = "ours", OursMuon = "ours-muon", OursBfloat16 = "ours-bfloat16", OursCheckpointing = "ours-checkpointing";

    /// <summary>The step's matrix products alone.</summary>
    public const string Products = "products";

    public static readonly IReadOnlyList<string> Contenders = [Plain, PlainMicro, Ours, OursMuon, OursBfloat16, OursCheckpointing,
        Products];

    /// <summary>Sequences of a step, and those that go through the model together.</summary>
    public const int NumSequences = 16, MicroSequences = 4;

    private const double LearningRate = 1e-3;

    /// <summary>13.8 million weights; the Llama variant, which the plain program has too.</summary>
    public static ModelConfig Shape { get; } = new()
    {
        ModelType = "llama", HiddenSize = 384, IntermediateSize = 1024, NumLayers = 6, NumHeads = 6, NumKvHeads = 6, HeadDim = 64,
        VocabSize = 8192, MaxPositions = 512,
    };

    public static long TokensPerStep => NumSequences * (long)Shape.MaxPositions;

    /// <summary>Of a step: 6 a weight and token, and attention's causal half.</summary>
    public static double FlopsPerStep =>
        TokensPerStep * (6.0 * Shape.NumParameters + 6.0 * Shape.NumLayers * Shape.NumHeads * Shape.HeadDim * Shape.MaxPositions);

    /// <param name="contender">One of <see cref="Contenders"/>.</param>
    /// <param name="steps">That are timed; one before them is not.</param>
    /// <param name="threads">Of libtorch and the fused kernels.</param>
    public static TrainingFigures Run(string contender, int steps, int threads)
    {
        TorchLibrary.Load(threads, tune: !contender.StartsWith(Plain, StringComparison.Ordinal));
        random.manual_seed(1);
        var seeded = new SeededRandom(1, 1);
        // Skewed as words are: a few tokens make up most of the text.
        long[][] sequences =
            [.. Enumerable.Range(0, NumSequences)
                .Select(_ =>
                    Enumerable.Range(0, Shape.MaxPositions + 1).Select(_ => (long)(Shape.VocabSize * Math.Pow(seeded.NextUniform(), 4)))
                        .ToArray())];
        return contender switch
        {
            Plain => RunPlain(sequences, steps, NumSequences),
            PlainMicro => RunPlain(sequences, steps, MicroSequences),
            Products => RunProducts(steps),
            _ => RunOurs(sequences, steps, contender),
        };
    }

    private static TrainingFigures RunPlain(long[][] sequences, int steps, int atOnce)
    {
        using var plain = new PlainLoop(Shape, LearningRate);
        return Time(steps, () => (plain.Step(sequences, atOnce), 0));
    }

    private static TrainingFigures RunOurs(long[][] sequences, int steps, string contender)
    {
        var recipe = new TrainRecipe
        {
            Objective = NextToken.Id, LearningRate = LearningRate, Optimizer = contender == OursMuon ? TrainRecipe.Muon : TrainRecipe.AdamW,
            Precision = contender == OursBfloat16 ? "bfloat16" : "float32", GradientCheckpointing = contender == OursCheckpointing,
        };
        string folder = Directory.CreateTempSubdirectory("flywheel-bench-").FullName;
        try
        {
            string path;
            using (var writer = new TokenDatasetWriter(folder, new DatasetManifest { TokenizerHash = "none", VocabSize = Shape.VocabSize }))
            {
                foreach (long[] sequence in sequences)
                    writer.Add([.. sequence.Select(token => (int)token)], [.. sequence.Select(_ => (byte)1)]);
                path = writer.Complete();
            }
            using TokenDataset data = TokenDataset.Open(path);
            Segment[][] micros =
                [.. Enumerable.Range(0, NumSequences).Select(document => new Segment(document, 0, Shape.MaxPositions + 1))
                    .Chunk(MicroSequences)];
            using DecoderModel model = DecoderModel.CreateRandom(Shape, 1, recipe);
            using var gradients = new GradientExchange(model.Parameters, new SingleRank());
            using var optimizer = new Optimizer(gradients.Owned, recipe);
            var objective = new StepLearner(recipe, null);
            int step = 0;
            return Time(steps, () =>
            {
                gradients.Begin(micros.Length);
                double loss = objective.Accumulate(model, data, micros, gradients.Add).Loss, norm = gradients.Sum();
                long started = Stopwatch.GetTimestamp();
                optimizer.Step(++step, 1, norm);
                return (loss, Stopwatch.GetElapsedTime(started).TotalSeconds);
            });
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Every product of a step's forward and backward pass, on operands that are there already.</summary>
    private static TrainingFigures RunProducts(int steps)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (long channels, long width, long heads, long rows) = (Shape.HiddenSize, Shape.IntermediateSize,
            (long)Shape.NumHeads * Shape.HeadDim, MicroSequences * (long)Shape.MaxPositions);
        (Tensor X, Tensor W, Tensor G, int Times)[] products =
            [.. new (long In, long Out, int Times)[] { (channels, 3 * heads, Shape.NumLayers), (heads, channels, Shape.NumLayers),
                (channels, 2 * width, Shape.NumLayers), (width, channels, Shape.NumLayers), (channels, Shape.VocabSize, 1) }
            .Select(size => (randn(rows, size.In), randn(size.Out, size.In), randn(rows, size.Out), size.Times))];
        return Time(steps, () =>
        {
            for (int micro = 0; micro < NumSequences / MicroSequences; micro++)
            {
                foreach ((Tensor x, Tensor w, Tensor g, int times) in products)
                {
                    for (int i = 0; i < times; i++)
                    {
                        using Tensor y = x.mm(w.t()), dx = g.mm(w), dw = g.t().mm(x);
                    }
                }
            }
            return (0, 0);
        });
    }

    /// <summary>Operations of <see cref="Products"/>.</summary>
    public static double ProductFlops => TokensPerStep * 6.0 * Shape.NumParameters;

    private static TrainingFigures Time(int steps, Func<(double Loss, double Optimizer)> step)
    {
        List<double> seconds = [], optimizer = [];
        double loss = step().Loss;
        for (int i = 0; i < steps; i++)
        {
            long started = Stopwatch.GetTimestamp();
            (loss, double part) = step();
            seconds.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
            optimizer.Add(part);
        }
        return new TrainingFigures(seconds, loss, ProcessMemory.Peak, Median(optimizer));
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
