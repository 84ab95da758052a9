using Flywheel.Engine;
using Flywheel.Model;
using Flywheel.Testing;
using static TorchSharp.torch;

namespace Flywheel.Training.Tests;

/// <summary>What was trained is what is served: trainer and engine give the same logits for the same folder.</summary>
public sealed class EngineAgreementTests
{
    [Theory]
    [InlineData("qwen3", true)]
    [InlineData("llama", false)]
    [InlineData("qwen2", true)]
    public async Task Logits_OfTrainerAndEngine_WithinOneInTenThousand(string type, bool tied)
    {
        using var home = new TempFolder();
        Tokenizer tokenizer = Tokenizer.Train(["the wheel turns, the wheel turns"], 290);
        ModelConfig config = TestModels.Tiny with { ModelType = type, TieEmbeddings = tied, RopeTheta = 500_000 };
        using DecoderModel trained = TestModels.Random(config, seed: 5);
        ModelFolder folder = ModelFolder.Create(home["models"], config, tokenizer, TensorType.F32, trained.Read,
            new ModelManifest { Name = "agreement" });
        using TokenDataset data = TokenDataset.Open(TestModels.Dataset(home.Path, tokenizer.VocabSize, "none", [2, 17, 64], seed: 3));
        await using InferenceEngine engine = InferenceEngine.Load(folder, new EngineOptions { Weights = WeightFormat.Fp32, Threads = 2 });
        for (int document = 0; document < 3; document++)
        {
            long[] ids = new long[data.Length(document)];
            data.ReadTokens(document, 0, ids);
            int[] tokens = [.. ids.Select(id => (int)id)];
            float[] expected;
            using (var scope = NewDisposeScope())
                // the last token is only a target
                expected = [.. trained.Logits(TestModels.Batch(data, true, document))[tokens.Length - 2].data<float>()];
            float[] actual = await engine.LogitsAsync(tokens[..^1], TestContext.Current.CancellationToken);
            double worst = expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max();
            Assert.True(worst < 1e-4,
                $"{type}, {tokens.Length} tokens: largest difference {worst:g3} of logits up to {expected.Max(Math.Abs):g3}");
        }
    }
}
