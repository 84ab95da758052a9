using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Weights;
using Flywheel.Model;

namespace Flywheel.Engine.Bench;

/// <summary>What a benchmark found; medians over alternating runs.</summary>
/// <param name="Model">Name of the model or shape.</param>
/// <param name="Kernels">Kernel table used.</param>
/// <param name="Threads">Kernel threads.</param>
/// <param name="WeightBytes">Bytes of weights that one step reads.</param>
/// <param name="PrefillPerSecond">Prompt tokens a second, prompts of <see cref="EngineBenchmark.PromptTokens"/>.</param>
/// <param name="DecodePerSecond">Tokens a second of one stream, <see cref="EngineBenchmark.AnswerTokens"/> tokens.</param>
/// <param name="BatchDecodePerSecond">Tokens a second of <see cref="EngineBenchmark.BatchStreams"/> streams together.</param>
/// <param name="ReadBytesPerSecond">What a plain loop over memory reads with the same threads.</param>
public sealed record EngineFigures(string Model, string Kernels, int Threads, long WeightBytes, double PrefillPerSecond, double DecodePerSecond, double BatchDecodePerSecond, double ReadBytesPerSecond)
{
    /// <summary>Part of the memory bandwidth that one stream's decoding uses.</summary>
    public double BandwidthUsed => DecodePerSecond * WeightBytes / ReadBytesPerSecond;
}

/// <summary>Measures the engine as a caller sees it, against the memory bandwidth of the same minute.</summary>
public static class EngineBenchmark
{
    public const int PromptTokens = 512, AnswerTokens = 128, BatchStreams = 16;
    private const long ReadBytes = 512L << 20;

    /// <summary>Shapes of well-known models, filled with random weights: 14m, 135m (SmolLM2), 600m (Qwen3-0.6B).</summary>
    public static IReadOnlyDictionary<string, ModelConfig> Shapes { get; } = new Dictionary<string, ModelConfig>
    {
        ["14m"] = new() { ModelType = "llama", VocabSize = 8192, HiddenSize = 384, NumLayers = 6, NumHeads = 6, NumKvHeads = 6, HeadDim = 64, IntermediateSize = 1024, MaxPositions = 2048 },
        ["135m"] = new() { ModelType = "llama", VocabSize = 49152, HiddenSize = 576, NumLayers = 30, NumHeads = 9, NumKvHeads = 3, HeadDim = 64, IntermediateSize = 1536, MaxPositions = 8192 },
        ["600m"] = new() { VocabSize = 151936, HiddenSize = 1024, NumLayers = 28, NumHeads = 16, NumKvHeads = 8, HeadDim = 128, IntermediateSize = 3072, MaxPositions = 40960 },
    };

    /// <summary>A model of one of <see cref="Shapes"/>.</summary>
    public static Task<EngineFigures> RunShapeAsync(string shape, EngineOptions options, int runs)
    {
        ModelConfig config = Shape(shape);
        return MeasureAsync(shape, config, options, runs, (arena, table) => DecoderWeights.Load(arena, table, config, Random, options.Weights));
    }

    internal static ModelConfig Shape(string name) =>
        Shapes.TryGetValue(name, out ModelConfig? config) ? config : throw new FlywheelException($"shape is '{name}', expected one of {string.Join(", ", Shapes.Keys)}");

    /// <summary>Weights that keep activations in range.</summary>
    internal static void Random(string name, long start, Span<float> values)
    {
        bool norm = name.EndsWith("norm.weight", StringComparison.Ordinal);
        ulong state = ((ulong)start + 1) * 0x9E3779B97F4A7C15 ^ (ulong)name.Length << 32;
        foreach (ref float value in values)
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            value = norm ? 1 : ((int)(state >> 40) - (1 << 23)) * (0.07f / (1 << 23));
        }
    }

    /// <summary>A model folder.</summary>
    public static Task<EngineFigures> RunModelAsync(ModelFolder model, EngineOptions options, int runs)
    {
        return MeasureAsync(model.ShortHash, model.Config, options, runs, (arena, table) =>
        {
            using IWeightFile file = model.OpenWeights();
            return DecoderWeights.Load(arena, table, model.Config, file, options.Weights);
        });
    }

    private static async Task<EngineFigures> MeasureAsync(string name, ModelConfig config, EngineOptions options, int runs, Func<NativeArena, KernelTable, DecoderWeights> load)
    {
        long bytes = 0;
        int threads = options.Threads == 0 ? Environment.ProcessorCount : options.Threads;
        int prompt = Math.Min(PromptTokens, config.MaxPositions / 2), answer = Math.Min(AnswerTokens, config.MaxPositions / 4);
        await using InferenceEngine engine = InferenceEngine.Load(name, (arena, table) =>
        {
            DecoderWeights weights = load(arena, table);
            bytes = weights.BytesPerStep;
            return weights;
        }, config with { EosTokenIds = [] }, null, options with { Speculate = false }); // random weights repeat themselves
        using var reader = new ReadLoop(threads);
        var prefill = new List<double>();
        var decode = new List<double>();
        var batch = new List<double>();
        var read = new List<double>();
        for (int run = -1; run < runs; run++) // the first warms up
        {
            double readRate = reader.BytesPerSecond();
            double prefillRate = await PrefillAsync(engine, prompt, run, config);
            double decodeRate = await DecodeAsync(engine, 1, answer);
            double batchRate = await DecodeAsync(engine, BatchStreams, answer / 2);
            if (run < 0) continue;
            read.Add(readRate);
            prefill.Add(prefillRate);
            decode.Add(decodeRate);
            batch.Add(batchRate);
        }
        return new EngineFigures(name, KernelTable.Select(Environment.GetEnvironmentVariable(KernelTable.EnvironmentVariable)).Name, threads, bytes, Median(prefill), Median(decode), Median(batch), Median(read));
    }

    /// <summary>Each prompt is a new one, so that nothing is remembered.</summary>
    private static async Task<double> PrefillAsync(InferenceEngine engine, int count, int run, ModelConfig config)
    {
        int[] prompt = [.. Enumerable.Range(0, count).Select(i => (i * 31 + run * 97 + 5000) % config.VocabSize)];
        long start = Stopwatch.GetTimestamp();
        await engine.LogitsAsync(prompt);
        return count / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>From one prompt token each until all have ended: every step is one of decoding.</summary>
    private static async Task<double> DecodeAsync(InferenceEngine engine, int streams, int count)
    {
        async Task ReadAsync(int i)
        {
            await foreach (SampledToken _ in engine.Submit(new GenerationRequest { PromptTokens = [i + 1], MaxTokens = count, Sampler = new() { Temperature = 0 } }).Tokens)
            {
                // only the time counts
            }
        }

        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, streams).Select(ReadAsync));
        return streams * (double)count / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }

    /// <summary>Threads that add up a block of memory larger than any cache, each its part.</summary>
    private sealed unsafe class ReadLoop : IDisposable
    {
        private readonly NativeArena _arena = new();
        private readonly long* _block;
        private readonly KernelTeam _team;
        private long _sink;

        public ReadLoop(int threads)
        {
            _block = _arena.Allocate<long>(ReadBytes / sizeof(long));
            _team = new KernelTeam(threads, 1, (_, piece, _) => Read(piece));
        }

        public double BytesPerSecond()
        {
            long start = Stopwatch.GetTimestamp();
            _team.Run([_team.Size]);
            return ReadBytes / Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        public void Dispose()
        {
            _team.Dispose();
            _arena.Dispose();
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Read(int id)
        {
            long numbers = ReadBytes / sizeof(long) / _team.Size;
            long* p = _block + numbers * id;
            Vector256<long> a = default, b = default, c = default, d = default;
            for (long i = 0; i + 16 <= numbers; i += 16, p += 16)
            {
                a += Vector256.Load(p);
                b += Vector256.Load(p + 4);
                c += Vector256.Load(p + 8);
                d += Vector256.Load(p + 12);
            }
            Interlocked.Add(ref _sink, Vector256.Sum(a + b + c + d));
        }
    }
}
