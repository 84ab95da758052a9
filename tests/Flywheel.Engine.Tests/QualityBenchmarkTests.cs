using Flywheel.Engine.Bench;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

public class QualityBenchmarkTests
{
    // A trained model on text of its kind: eight bits cost next to nothing, four bits cost something.
    [Fact]
    public async Task Run_TrainedModel_FormatsAreOrdered()
    {
        ModelFolder model = ModelFolder.Open(TestFiles.Shared("models", "stories260K"));
        const string text = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big dog. The dog was very happy and wanted to play with her. Lily's mom said it was time to go home.";
        var figures = await QualityBenchmark.RunAsync(model, text, positions: 40);
        Assert.Equal(Enum.GetValues<WeightFormat>(), figures.Where(found => found.Kv == KvType.Fp32).Select(found => found.Format));
        QualityFigures Of(WeightFormat format, KvType kv = KvType.Fp32) => figures.Single(found => found.Format == format && found.Kv == kv);
        QualityFigures exact = Of(WeightFormat.Fp32), int8 = Of(WeightFormat.Q8_0), int4 = Of(WeightFormat.Q4_0);
        Assert.InRange(exact.Perplexity, 1.2, 20);
        Assert.Equal(0, exact.Divergence, 1e-12);
        Assert.Equal(1, exact.SameBest);
        Assert.InRange(int8.Perplexity / exact.Perplexity, 0.99, 1.01);
        Assert.InRange(int8.Divergence, 0, 0.005);
        Assert.InRange(int4.Divergence, int8.Divergence, 0.5);
        QualityFigures half = Of(WeightFormat.Fp32, KvType.Fp16), bytes = Of(WeightFormat.Fp32, KvType.Int8);
        Assert.InRange(half.Perplexity / exact.Perplexity, 0.9995, 1.0005);
        Assert.InRange(half.Divergence, 0, 1e-6);
        // Measured 1.010: heads of 8 numbers, and a first token (BOS) whose key is far larger than the others.
        Assert.InRange(bytes.Perplexity / exact.Perplexity, 0.98, 1.02);
        Assert.InRange(bytes.Divergence, half.Divergence, 5e-3);
    }
}
