using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Training.Tests;

[Collection(Alone.Name)]
public sealed class TrainingMemoryTests
{
    private static readonly TrainRecipe s_recipe = new() { Objective = "next-token", Steps = 10, BatchTokens = 8192, MicroTokens = 2048 };

    private static readonly ModelConfig s_large =
        TestModels.Tiny with { HiddenSize = 4096, IntermediateSize = 16384, NumLayers = 32, NumHeads = 32, NumKvHeads = 8, HeadDim = 128,
            VocabSize = 100_000 };

    /// <summary>Bytes that follow from the definition: 4 a weight, 4 a gradient and sum, 8 for the moments, 12 for a checkpoint's
    /// copy.</summary>
    [Fact]
    public void Estimate_OfTheState_IsExact()
    {
        long parameters = s_large.NumParameters;
        TrainingMemory one = TrainingMemory.Estimate(s_large, s_recipe), four = TrainingMemory.Estimate(s_large, s_recipe, 4);
        // 4 micro-batches: the sum of two waits
        Assert.Equal((4 * parameters, 2 * 4 * parameters, 8 * parameters, 12 * parameters),
            (one.Weights, one.Gradients, one.Optimizer, one.Checkpoint));
        // one micro-batch each: nothing waits, three parts arrive
        Assert.Equal((4 * parameters, 4 * parameters + 3 * parameters, 2 * parameters, 3 * parameters),
            (four.Weights, four.Gradients, four.Optimizer, four.Checkpoint));
    }

    [Fact]
    public void Require_MoreThanThereIs_ShowsTheArithmetic()
    {
        var error = Assert.Throws<FlywheelException>(() => TrainingMemory.Estimate(s_large, s_recipe, 2).Require("large", 24L << 30, 2));
        Assert.Matches(
            @"recipe 'large' needs about \d+\.\d\d GiB of memory in each of 2 ranks on this machine, \d+\.\d\d GiB together \(counted, at most 10 ?% off\), and 24\.00 GiB are free: weights \d+\.\d\d GiB \+ gradients .* \+ optimiser .* \+ checkpoint copy .* \+ activations .* \+ libraries 240 MiB; less: a smaller train.micro_tokens", error.Message);
        TrainingMemory.Estimate(TestModels.Tiny, s_recipe).Require("tiny", 1L << 30);
    }

    /// <summary>A count is not trusted beyond its error: what may fit is tried.</summary>
    [Fact]
    public void Require_WithinTheErrorOfTheCount_IsNotRefused()
    {
        TrainingMemory memory = TrainingMemory.Estimate(s_large, s_recipe);
        memory.Require("large", (long)(memory.Total * (1 - TrainingMemory.Error)) + 1);
        Assert.Throws<FlywheelException>(() => memory.Require("large", (long)(memory.Total * (1 - TrainingMemory.Error)) - 1));
    }

    /// <summary>The usual 16 bytes a parameter of mixed precision: two for the weight, two for its gradient, twelve for fp32 copy and
    /// moments, which ranks share.</summary>
    [Fact]
    public void Estimate_InHalfPrecision_HasSixteenBytesAParameter()
    {
        TrainRecipe one = s_recipe with { BatchTokens = 2048 };
        TrainingMemory half = TrainingMemory.Estimate(s_large, one, half: true);
        Assert.Equal(16 * s_large.NumParameters, half.Weights + half.Gradients + half.Optimizer);
        Assert.Equal(0, half.Checkpoint + half.Loading);
        Assert.Equal(12 * s_large.NumParameters / 8,
            TrainingMemory.Estimate(s_large, one with { BatchTokens = 8 * 2048 }, 8, half: true).Optimizer);
    }

    [Fact]
    public void Available_HereAndNow_IsWhatTheSystemHas() =>
    Assert.InRange(TrainingMemory.Available(), 1L << 28, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);

    /// <summary>What makes training smaller is counted as such.</summary>
    [Fact]
    public void Estimate_OfSmallerSettings_IsSmaller()
    {
        TrainingMemory plain = TrainingMemory.Estimate(s_large, s_recipe);
        Assert.True(TrainingMemory.Estimate(s_large, s_recipe with { GradientCheckpointing = true }).Activations < plain.Activations / 3);
        Assert.True(TrainingMemory.Estimate(s_large, s_recipe with { MicroTokens = 1024 }).Activations < plain.Activations);
        Assert.True(TrainingMemory.Estimate(s_large, s_recipe with { Optimizer = TrainRecipe.Muon }).Optimizer < plain.Optimizer * 0.6);
        TrainingMemory adapter = TrainingMemory.Estimate(s_large,
            s_recipe with { Lora = new LoraRecipe { Rank = 8, Targets = ["q_proj"] } });
        Assert.Equal(8L * (4096 + 4096) * 32 * 8, adapter.Optimizer);
    }

    /// <summary>The count against what the same training takes: two steps of four micro-batches that are full.</summary>
    [Theory]
    [InlineData("next-token", false, false, true, 6)]
    [InlineData("next-token", false, false, false, 2)]
    [InlineData("next-token", false, true, true, 6)]
    [InlineData("supervised", true, false, true, 6)]
    [InlineData("supervised", true, true, false, 6)]
    [InlineData("preference", false, false, true, 3)]
    [InlineData("preference", true, true, true, 8)]
    public void Estimate_OfATraining_IsWithinATenthOfWhatItTakes(string objective, bool lora, bool checkpointing, bool tied, int layers)
    {
        using var folder = new TempFolder();
        ModelConfig config = new() { HiddenSize = 96, IntermediateSize = 256, NumLayers = layers, NumHeads = 6, NumKvHeads = 3,
            HeadDim = 32, VocabSize = 1500, MaxPositions = 256, TieEmbeddings = tied };
        var recipe = new TrainRecipe
        {
            Objective = objective, Steps = 2, BatchTokens = 4096, MicroTokens = 1024, GradientCheckpointing = checkpointing,
            Lora = lora ? new LoraRecipe { Rank = 4 } : null,
        };
        ModelFolder? start = null;
        if (lora)
        {
            Dictionary<string, long[]> shapes = config.Tensors().ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
            start = ModelFolder.Create(folder["models"], config, Tokenizer.Train(["training"], 300), TensorType.F32,
                name => new float[shapes[name].Aggregate((a, b) => a * b)],
                new ModelManifest { Name = "zeros", Created = DateTimeOffset.UnixEpoch });
        }
        using TokenDataset data =
            TokenDataset.Open(TestModels.Dataset(folder.Path, config.VocabSize, "none", Enumerable.Repeat(129, 64), 3,
                pairs: objective == "preference"));
        TorchLibrary.Load(2);
        GC.Collect();
        GC.WaitForPendingFinalizers(); // tensors that other tests left
        Arena.GiveBack();
        long before = Arena.HighWater;
        using DecoderModel model = start is null ? DecoderModel.CreateRandom(config, 1, recipe) : DecoderModel.Load(start, recipe);
        using var gradients = new GradientExchange(model.Parameters, new SingleRank());
        using var optimizer = new Optimizer(gradients.Owned, recipe);
        var trainer = new StepLearner(recipe, new double[data.NumDocuments]);
        var order = new DataOrder(data, recipe, 1, config.MaxPositions);
        for (int step = 0; step < 2; step++)
        {
            List<List<Segment>> micros = order.Step(step);
            Assert.Equal((4, 1024), (micros.Count, micros[0].Sum(segment => segment.NumInputs)));
            gradients.Begin(micros.Count);
            trainer.Accumulate(model, data, micros, gradients.Add);
            optimizer.Step(step + 1, 1, gradients.Sum());
        }
        TrainingMemory memory = TrainingMemory.Estimate(config, recipe);
        long counted = memory.Weights + memory.Gradients + memory.Optimizer + memory.Activations, taken = Arena.HighWater - before;
        Assert.True(Math.Abs(counted - taken) < 0.1 * taken, $"counted {counted:N0} ({memory}), taken {taken:N0}");
    }
}
