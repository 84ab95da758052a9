using Flywheel.Model;

namespace Flywheel.Engine;

public sealed record EngineOptions
{
    public WeightFormat Weights { get; init; } = WeightFormat.Q8_0;

    /// <summary>How keys and values are held; null for fp32 beside fp32 weights and int16 beside others.</summary>
    public KvType? Kv { get; init; }

    internal KvType KvType => Kv ?? (Weights == WeightFormat.Fp32 ? KvType.Fp32 : KvType.Int16);

    /// <summary>Kernel threads; 0 takes the number of cores.</summary>
    public int Threads { get; init; }

    /// <summary>Sequences that decode in one step; further requests wait in a queue.</summary>
    public int MaxBatch { get; init; } = 32;

    /// <summary>Requests that may wait; one more is refused. One user alone may fill half.</summary>
    public int MaxQueue { get; init; } = 256;

    /// <summary>
    /// Memory for keys and values, of running and of remembered texts; 0 takes up to a quarter of what the weights leave.
    /// </summary>
    public long CacheBytes { get; init; }

    /// <summary>Memory that a model may take; null asks the system.</summary>
    public long? AvailableBytes { get; init; }

    /// <summary>
    /// A small model of the same vocabulary that guesses tokens, which the model checks several at once; null guesses by
    /// looking up repetitions. Only the pace changes.
    /// </summary>
    public ModelFolder? Draft { get; init; }

    public WeightFormat DraftWeights { get; init; } = WeightFormat.Q8_0;

    /// <summary>
    /// Guess tokens of texts that repeat themselves and check several at once. Only the pace changes; benchmarks turn it off.
    /// </summary>
    public bool Speculate { get; init; } = true;
}
