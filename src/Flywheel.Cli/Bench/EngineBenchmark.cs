using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Cli.Bench;

/// <summary>What a benchmark found; medians over alternating runs.</summary>
/// <param name="Model">Name of the model or shape.</param>
/// <param name="Kernels">Kernel table used.</param>
/// <param name="Threads">Kernel threads.</param>
/// <param name="WeightBytes">Bytes of weights that one step reads.</param>
/// <param name="Ours">Tokens a second of this engine.</param>
/// <param name="Theirs">Tokens a second of llama.cpp on the same file, where it was asked for.</param>
/// <param name="BatchDecodePerSecond">Tokens a second of <see cref="EngineBenchmark.BatchStreams"/> streams together.</param>
/// <param name="ReadBytesPerSecond">The most that a plain loop over memory reads with the same threads.</param>
public sealed record EngineFigures(string Model, string Kernels, int Threads, long WeightBytes, Pace Ours, Pace? Theirs,
    double BatchDecodePerSecond, double ReadBytesPerSecond)
{
    /// <summary>Part of the memory bandwidth that one stream's decoding uses.</summary>
    public double BandwidthUsed => Ours.Decode * WeightBytes / ReadBytesPerSecond;
}

/// <summary>Tokens a second.</summary>
/// <param name="Prefill">Of a prompt of <see cref="EngineBenchmark.PromptTokens"/>.</param>
/// <param name="Decode">Of one stream, <see cref="EngineBenchmark.AnswerTokens"/> tokens.</param>
/// <param name="DeepDecode">Of one stream after a long context; 0 when not measured.</param>
public sealed record Pace(double Prefill, double Decode, double DeepDecode);

/// <summary>What to measure.</summary>
public sealed record EngineLoad
{
    /// <summary>Alternating runs that the medians are of.</summary>
    public int Runs { get; init; } = 5;

    /// <summary>Tokens of context for a further measurement of decoding; 0 for none.</summary>
    public int Depth { get; init; }

    /// <summary>Build folder of llama.cpp to compare with.</summary>
    public string? Versus { get; init; }
}

/// <summary>Measures the engine as a caller sees it, against the memory bandwidth and against llama.cpp in the same minutes.</summary>
public static class EngineBenchmark
{
    public const int PromptTokens = 512, AnswerTokens = 128, DeepAnswerTokens = 32, BatchStreams = 16;
    private const long ReadBytes = 512L << 20; // of 128 MiB, two L3 caches kept a part from pass to pass
    private const int ReadPasses = 10;

    /// <param name="name">Names the model in the figures.</param>
    /// <param name="file">Its weights; a GGUF file if llama.cpp is to run it too.</param>
    /// <param name="config">Its shape.</param>
    /// <param name="options">The engine's.</param>
    /// <param name="load">What to measure.</param>
    public static async Task<EngineFigures> RunAsync(string name, IWeightFile file, ModelConfig config, EngineOptions options,
        EngineLoad load)
    {
        if (load.Versus is not null && file is not GgufFile)
            throw new FlywheelException(
                $"{file.Path} is no GGUF file, which llama.cpp needs; expected --shape or a model folder with model.gguf");
        LlamaBench? llama = load.Versus is { } build ? new LlamaBench(build) : null;
        int threads = options.Threads == 0 ? Environment.ProcessorCount : options.Threads;
        int prompt = Math.Min(PromptTokens, config.MaxPositions / 2), answer = Math.Min(AnswerTokens, config.MaxPositions / 4);
        int depth = Math.Min(load.Depth, config.MaxPositions - DeepAnswerTokens);
        // random weights repeat themselves
        await using InferenceEngine engine = InferenceEngine.Load(file, config with { EosTokenIds = [] }, null,
            options with { Speculate = false });
        using var reader = new ReadLoop(threads);
        List<double> prefill = [], decode = [], deep = [], batch = [], read = [], theirPrefill = [], theirDecode = [], theirDeep = [];
        for (int run = -1; run < load.Runs; run++) // the first warms up
        {
            await Measure(read, () => Task.FromResult(reader.BytesPerSecond()));
            await Measure(prefill, () => PrefillAsync(engine, prompt, run, config));
            if (llama is not null) await Measure(theirPrefill, () => llama.RunAsync(file.Path, threads, prompt, 0));
            await Measure(decode, () => DecodeAsync(engine, 1, answer));
            if (llama is not null) await Measure(theirDecode, () => llama.RunAsync(file.Path, threads, 0, answer));
            await Measure(batch, () => DecodeAsync(engine, BatchStreams, answer / 2));
            if (depth == 0) continue;
            await Measure(deep, () => DeepDecodeAsync(engine, depth, config));
            if (llama is not null) await Measure(theirDeep, () => llama.RunAsync(file.Path, threads, 0, DeepAnswerTokens, depth));

            async Task Measure(List<double> figures, Func<Task<double>> measure)
            {
                // llama-bench warms up by itself
                if (run < 0 && (figures == theirPrefill || figures == theirDecode || figures == theirDeep || figures == deep)) return;
                double figure = await measure();
                if (run >= 0) figures.Add(figure);
            }
        }
        Pace? theirs = llama is null ? null : new Pace(Median(theirPrefill), Median(theirDecode), Median(theirDeep));
        return new EngineFigures(name, engine.Kernels, threads, engine.BytesPerStep,
            new Pace(Median(prefill), Median(decode), Median(deep)), theirs, Median(batch), Median(read));
    }

    /// <summary>Each prompt is a new one, so that nothing is remembered.</summary>
    private static async Task<double> PrefillAsync(InferenceEngine engine, int count, int run, ModelConfig config)
    {
        long start = Stopwatch.GetTimestamp();
        await engine.LogitsAsync(Prompt(count, run, config));
        return count / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>From one prompt token each until all have ended: every step is one of decoding.</summary>
    private static async Task<double> DecodeAsync(InferenceEngine engine, int streams, int count)
    {
        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, streams).Select(async i =>
        {
            await foreach (SampledToken _ in Submit(engine, [i + 1], count))
            {
                // only the time counts
            }
        }));
        return streams * (double)count / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>From the first token of an answer to its last.</summary>
    private static async Task<double> DeepDecodeAsync(InferenceEngine engine, int depth, ModelConfig config)
    {
        long start = 0;
        await foreach (SampledToken _ in Submit(engine, Prompt(depth, 0, config), DeepAnswerTokens))
            if (start == 0) start = Stopwatch.GetTimestamp();
        return (DeepAnswerTokens - 1) / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static IAsyncEnumerable<SampledToken> Submit(InferenceEngine engine, int[] prompt, int count) =>
        engine.Submit(new GenerationRequest { PromptTokens = prompt, MaxTokens = count, Sampler = new() { Temperature = 0 } }).Tokens;

    private static int[] Prompt(int count, int run, ModelConfig config) =>
        [.. Enumerable.Range(0, count).Select(i => (i * 31 + run * 97 + 5000) % config.VocabSize)];

    private static double Median(List<double> values)
    {
        if (values.Count == 0) return 0;
        values.Sort();
        return values[values.Count / 2];
    }

    /// <summary>
    /// Threads that add up memory of huge pages, larger than any cache, each its part. Of many short passes the best counts:
    /// what a neighbour or the host takes from a pass says nothing about the memory.
    /// </summary>
    private sealed unsafe class ReadLoop : IDisposable
    {
        /// <summary>2 KiB.</summary>
        private const int ReadAhead = 256;

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
            double best = 0;
            for (int pass = 0; pass < ReadPasses; pass++)
            {
                long start = Stopwatch.GetTimestamp();
                _team.Run([_team.Size]);
                best = Math.Max(best, ReadBytes / Stopwatch.GetElapsedTime(start).TotalSeconds);
            }
            return best;
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
                if (Sse.IsSupported) // some machines read faster so
                {
                    Sse.Prefetch1(p + ReadAhead);
                    Sse.Prefetch1(p + ReadAhead + 8);
                }
                a += Vector256.Load(p);
                b += Vector256.Load(p + 4);
                c += Vector256.Load(p + 8);
                d += Vector256.Load(p + 12);
            }
            Interlocked.Add(ref _sink, Vector256.Sum(a + b + c + d));
        }
    }
}
