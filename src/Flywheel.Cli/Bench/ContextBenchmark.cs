using System.Diagnostics;
using Flywheel.Engine;
using Flywheel.Engine.Weights;
using Flywheel.Model;

namespace Flywheel.Cli.Bench;

/// <summary>What a long text costs.</summary>
/// <param name="Kv">How keys and values are held.</param>
/// <param name="Context">Tokens of the prompt.</param>
/// <param name="CacheBytes">Keys and values of so many tokens.</param>
/// <param name="PrefillPerSecond">Prompt tokens a second, from the first to the last.</param>
/// <param name="DecodePerSecond">Tokens a second of one stream after the prompt.</param>
public sealed record ContextFigures(KvType Kv, int Context, long CacheBytes, double PrefillPerSecond, double DecodePerSecond);

/// <summary>How reading and writing slow down as the text before grows, where attention and not the weights is the price.</summary>
public static class ContextBenchmark
{
    private const int AnswerTokens = 64;

    /// <param name="file">Weights.</param>
    /// <param name="shape">Their shape; how far it reaches does not matter.</param>
    /// <param name="options">Weights, cache and threads.</param>
    /// <param name="contexts">Lengths in tokens.</param>
    /// <exception cref="FlywheelException">A length is not positive.</exception>
    public static async Task<IReadOnlyList<ContextFigures>> RunAsync(IWeightFile file, ModelConfig shape, EngineOptions options,
        IReadOnlyList<int> contexts)
    {
        if (contexts.FirstOrDefault(length => length < 1, 1) is < 1 and int wrong)
            throw new FlywheelException($"context is {wrong}, expected at least 1");
        ModelConfig config = shape with { MaxPositions = contexts.Max() + AnswerTokens + 1 };
        await using InferenceEngine engine = InferenceEngine.Load(file, config, null, options with { Speculate = false, MaxBatch = 1 });
        await engine.LogitsAsync([.. Enumerable.Range(0, Math.Min(256, contexts.Max()))]); // warms up
        var figures = new List<ContextFigures>();
        foreach (int context in contexts)
        {
            int[] prompt = [.. Enumerable.Range(0, context).Select(i => (i * 31 + context) % config.VocabSize)];
            long start = Stopwatch.GetTimestamp(), first = 0, last = 0;
            await foreach (SampledToken _ in engine.Submit(new GenerationRequest { PromptTokens = prompt, MaxTokens = AnswerTokens + 1,
                Sampler = new() { Temperature = 0 } }).Tokens)
            {
                last = Stopwatch.GetTimestamp();
                if (first == 0) first = last;
            }
            using var pool = new KvPool(new DecoderShape(config), options.KvType, 0);
            figures.Add(new ContextFigures(options.KvType, context, KvPool.PagesFor(context) * pool.PageBytes,
                context / Stopwatch.GetElapsedTime(start, first).TotalSeconds,
                AnswerTokens / Stopwatch.GetElapsedTime(first, last).TotalSeconds));
        }
        return figures;
    }
}
