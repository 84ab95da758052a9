using Flywheel.Cli.Bench;
using Flywheel.Engine;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

public class QualityBenchmarkTests
{
    // A trained model on text of its kind: eight bits cost next to nothing, four bits cost something.
    [Fact]
    public async Task Run_TrainedModel_FormatsAreOrdered()
    {
        ModelFolder model = ModelFolder.Open(TestFiles.Shared("models", "stories260K"));
        const string text =
            "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big dog. The dog was very happy and wanted to play with her. Lily's mom said it was time to go home.";
        var figures = await QualityBenchmark.RunAsync(model, text);
        Assert.Equal(ExportType.All, figures.Where(found => found.Kv == KvType.Fp32).Select(found => found.Weights));
        foreach (QualityFigures found in figures)
            TestContext.Current.TestOutputHelper?.WriteLine($"{found.Weights.Name} {found.Kv}: {found.Ours}");
        Quality Of(string type, KvType kv = KvType.Fp32) => figures.Single(found => found.Weights.Name == type && found.Kv == kv).Ours;
        Quality exact = Of("f32"), int8 = Of("q8_0"), int4 = Of("q4_0");
        Assert.InRange(exact.Perplexity, 1.2, 20);
        Assert.Equal(0, exact.Divergence, 1e-12);
        Assert.Equal(1, exact.SameBest);
        Assert.InRange(int8.Perplexity / exact.Perplexity, 0.99, 1.01);
        Assert.InRange(int8.Divergence, 0, 0.005);
        Assert.InRange(int4.Divergence, int8.Divergence, 0.5);
        Quality half = Of("f32", KvType.Int16), bytes = Of("f32", KvType.Int8);
        Assert.InRange(half.Perplexity / exact.Perplexity, 0.9995, 1.0005);
        Assert.InRange(half.Divergence, 0, 1e-6);
        // Measured 1.010 in this short text, 1.0007 in a long one: heads of 8 numbers, and a first token (BOS) whose key is far larger than
        // the others.
        Assert.InRange(bytes.Perplexity / exact.Perplexity, 0.988, 1.012);
        Assert.InRange(bytes.Divergence, half.Divergence, 2e-3);
    }

    /// <summary>The same file in both: products, attention, rotation and both types of smaller cache cost the same.</summary>
    [Fact]
    public async Task Run_BesideLlamaCpp_EveryFormatIsAsExact()
    {
        string build = Path.GetDirectoryName(LlamaCpp.Find("llama-perplexity"))!, first = Path.Combine(TestFiles.Root, "models", "first");
        string text =
            string.Join("\n\n",
                File.ReadLines(Path.Combine(first, "regression.jsonl")).Where((_, i) => i % 2 == 0)
                    .Select(line => string.Join('\n', Conversation.Parse(line).Messages.Select(message => message.Text))));
        foreach ((ExportType type, KvType kv, Quality ours,
            Quality? theirs) in await QualityBenchmark.RunAsync(ModelFolder.Open(first), text, build))
        {
            TestContext.Current.TestOutputHelper?.WriteLine($"{type.Name} {kv}: {ours} {theirs}");
            Assert.InRange(ours.Perplexity / theirs!.Perplexity, 0.998, 1.002);
            Assert.InRange(ours.Divergence, 0, theirs.Divergence * 1.1 + 1e-5);
        }
    }
}
