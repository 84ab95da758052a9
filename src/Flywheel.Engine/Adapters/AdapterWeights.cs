// r rank, R ranks of the parts of a joint matrix together, N outputs, K inputs.
using Flywheel.Engine.Kernels;
using Flywheel.Model;

namespace Flywheel.Engine.Weights;

/// <summary>What an adapter adds to one of the engine's matrices: y += B (A x), in fp32, with the adapter's scale in B.</summary>
/// <param name="A">[R, K]</param>
/// <param name="B">[N, R], its rows in the order of the matrix that it is added to.</param>
internal sealed record LowRank(Matrix A, Matrix B);

/// <summary>The matrices of a layer that an adapter adds to.</summary>
internal enum Adapted { Qkv, Output, GateUp, Down }

/// <summary>
/// A LoRA adapter (Hu et al. 2021, arXiv 2106.09685) beside the weights of its base: rows of one step may each have
/// another. It is freed when it is unloaded and its last request has ended.
/// </summary>
internal sealed unsafe class AdapterWeights
{
    private readonly NativeArena _arena;
    private int _numUsers = 1; // whoever loaded it

    private AdapterWeights(AdapterFolder folder, int number, NativeArena arena)
    {
        (Hash, Number, _arena) = (folder.Hash, number, arena);
        Root = new PageNode { Hash = (ulong)number * 0x9E3779B97F4A7C15, Ready = true };
    }

    public string Hash { get; }

    /// <summary>From 1 in order of loading.</summary>
    public int Number { get; }

    /// <summary>Stands before the first page of all texts that are read with it: they share pages with no others.</summary>
    public PageNode Root { get; }

    /// <summary>[layers][<see cref="Adapted"/>], null where nothing is added.</summary>
    public LowRank?[][] Layers { get; private set; } = [];

    /// <summary>[rows of a step, R of the matrix at work]: A x of its rows.</summary>
    public float* Lowered { get; private set; }

    /// <exception cref="FlywheelException">Its matrices are not those of the model.</exception>
    public static AdapterWeights Load(AdapterFolder folder, DecoderShape shape, KernelTable kernels, int number, int maxRows)
    {
        folder.CheckFits(shape.Config, "the served model");
        var arena = new NativeArena();
        try
        {
            var weights = new AdapterWeights(folder, number, arena);
            weights.Layers =
                [.. Enumerable.Range(0, shape.Config.NumLayers)
                    .Select(index => weights.ReadLayer(folder, shape, kernels, $"model.layers.{index}."))];
            int widest = weights.Layers.SelectMany(layer => layer).Max(pair => pair?.B.NumColumns ?? 0);
            weights.Lowered = arena.Allocate<float>((long)maxRows * widest);
            return weights;
        }
        catch
        {
            arena.Dispose();
            throw;
        }
    }

    /// <summary>One user more; there must be one already.</summary>
    public void Use() => Interlocked.Increment(ref _numUsers);

    /// <summary>Ends one use; the last frees it.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _numUsers) == 0) _arena.Dispose();
    }

    private LowRank?[] ReadLayer(AdapterFolder folder, DecoderShape shape, KernelTable kernels, string prefix)
    {
        int rank = folder.Config.Rank;
        float scale = folder.Config.Scale;
        return
        [
            Join(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], shape.QkvRows, shape.Config.HiddenSize, shape.QkvRow),
            Join(["self_attn.o_proj"], shape.Config.HiddenSize, shape.QueryColumns, row => (0, row), shape.SpreadHeads),
            Join(["mlp.gate_proj", "mlp.up_proj"], 2 * shape.FeedForward, shape.Config.HiddenSize, shape.GateUpRow),
            Join(["mlp.down_proj"], shape.Config.HiddenSize, shape.Config.IntermediateSize, row => (0, row)),
        ];

        // Parts that the adapter leaves alone take no columns.
        LowRank? Join(string[] modules, int rows, int columns, Func<int, (int Part, int Row)> source,
            Action<ReadOnlySpan<float>, Span<float>>? spread = null)
        {
            var parts = new (float[] A, float[] B, int First)?[modules.Length];
            int ranks = 0;
            for (int i = 0; i < modules.Length; i++)
            {
                if (!folder.TryRead(prefix + modules[i], out float[]? a, out float[]? b)) continue;
                parts[i] = (a, b, ranks);
                ranks += rank;
            }
            if (ranks == 0) return null;
            // [R][K]
            float[][] lines =
                [.. parts.Where(part => part is not null).SelectMany(part => part!.Value.A.Chunk(part.Value.A.Length / rank))];
            return new LowRank(
                Matrix.Create(_arena, kernels, TensorType.F32, ranks, columns, (row, values) =>
                {
                    if (spread is null) lines[row].CopyTo(values);
                    else spread(lines[row], values);
                }),
                Matrix.Create(_arena, kernels, TensorType.F32, rows, ranks, (row, values) =>
                {
                    values.Clear();
                    (int part, int from) = source(row);
                    if (from < 0 || parts[part] is not var (_, b, first)) return;
                    for (int i = 0; i < rank; i++) values[first + i] = scale * b[from * rank + i];
                }));
        }
    }
}
