// N packed tokens, H query heads, K key/value heads, D head dim.
namespace Flywheel.Training;

/// <summary>What <see cref="HeadAttention"/> needs to know of the model and the batch.</summary>
/// <param name="Lengths">Tokens of each document; their sum is N.</param>
internal sealed record HeadLayout(int NumHeads, int NumKvHeads, int HeadDim, float Eps, RopeTable Rope, long[] Lengths)
{
    public int Width => (NumHeads + 2 * NumKvHeads) * HeadDim;

    public int NumUnits => Lengths.Length * NumKvHeads;
}

/// <summary>
/// From the fused projection [N, (H + 2K) D] to what the output projection reads, [N, H D]: RMSNorm on every query and key
/// head, rotary positions that start again with each document, causal attention inside it. Only the input and the logarithm of
/// each softmax's denominator are kept for the way back (Dao 2022, arXiv 2205.14135).
/// </summary>
/// <remarks>A document and key head is one unit of work, computed by one thread, so that results do not depend on their number.</remarks>
internal static unsafe class HeadAttention
{
    /// <param name="qkv">[N, (H + 2K) D].</param>
    /// <param name="qNorm">[D]; null in layouts without.</param>
    /// <param name="kNorm">[D].</param>
    /// <param name="layout">Shapes and documents.</param>
    /// <returns>[N, H D] and [N, H].</returns>
    public static (Tensor Mixed, Tensor LogSums) Forward(Tensor qkv, Tensor? qNorm, Tensor? kNorm, HeadLayout layout)
    {
        long n = qkv.shape[0];
        Tensor output = Arena.Empty(n, layout.NumHeads * layout.HeadDim), logSums = Arena.Empty(n, layout.NumHeads);
        (nint x, nint qWeight, nint kWeight, nint y, nint sums) = ((nint)Rows.Floats(qkv), Address(qNorm), Address(kNorm),
            (nint)Rows.Floats(output), (nint)Rows.Floats(logSums));
        ForEachUnit(layout,
            (_, start, length, head) =>
                new AttentionUnit(layout, head, length, (float*)x + start * layout.Width, (float*)qWeight, (float*)kWeight)
            .Forward((float*)y + start * layout.NumHeads * layout.HeadDim,
                new Span<float>((float*)sums + start * layout.NumHeads, length * layout.NumHeads)));
        return (output, logSums);
    }

    /// <param name="qkv">What went in; becomes its gradient.</param>
    /// <param name="qNorm">Learns, unless it is frozen.</param>
    /// <param name="kNorm">Learns, unless it is frozen.</param>
    /// <param name="g">Gradient of what came out.</param>
    /// <param name="logSums">From <see cref="Forward"/>.</param>
    /// <param name="layout">Shapes and documents.</param>
    public static void Backward(Tensor qkv, Tensor? qNorm, Tensor? kNorm, Tensor g, Tensor logSums, HeadLayout layout)
    {
        float[] dNorms = new float[layout.NumUnits * 2 * layout.HeadDim];
        fixed (float* pinned = dNorms)
        {
            (nint x, nint qWeight, nint kWeight, nint dy, nint sums, nint norms) =
                ((nint)Rows.Floats(qkv), Address(qNorm), Address(kNorm), (nint)Rows.Floats(g), (nint)Rows.Floats(logSums), (nint)pinned);
            ForEachUnit(layout,
                (unit, start, length, head) =>
                    new AttentionUnit(layout, head, length, (float*)x + start * layout.Width, (float*)qWeight, (float*)kWeight)
                .Backward((float*)dy + start * layout.NumHeads * layout.HeadDim,
                    new ReadOnlySpan<float>((float*)sums + start * layout.NumHeads, length * layout.NumHeads),
                    (float*)norms + unit * 2L * layout.HeadDim));
        }
        if (qNorm is not { requires_grad: true } || kNorm is null) return;
        Span<float> total = dNorms.AsSpan(0, 2 * layout.HeadDim);
        for (int unit = 1; unit < layout.NumUnits; unit++)
            System.Numerics.Tensors.TensorPrimitives.Add(total, dNorms.AsSpan(unit * total.Length, total.Length), total);
        Gradient.Add(qNorm, total[..layout.HeadDim]);
        Gradient.Add(kNorm, total[layout.HeadDim..]);
    }

    private static nint Address(Tensor? norm) => norm is null ? 0 : (nint)Rows.Floats(norm);

    /// <param name="layout">Shapes and documents.</param>
    /// <param name="body">Takes the unit, the first token and the length of its document, and its key head.</param>
    private static void ForEachUnit(HeadLayout layout, Action<int, long, int, int> body)
    {
        long[] starts = new long[layout.Lengths.Length];
        for (int i = 1; i < starts.Length; i++) starts[i] = starts[i - 1] + layout.Lengths[i - 1];
        int[] longestFirst = [.. Enumerable.Range(0, layout.NumUnits).OrderByDescending(unit => layout.Lengths[unit / layout.NumKvHeads])];
        int next = -1;
        Rows.Team(Math.Min(Rows.NumThreads, layout.NumUnits), _ =>
        {
            for (int place; (place = Interlocked.Increment(ref next)) < longestFirst.Length;)
            {
                (int document, int head) = (longestFirst[place] / layout.NumKvHeads, longestFirst[place] % layout.NumKvHeads);
                if (layout.Lengths[document] > 0) body(longestFirst[place], starts[document], (int)layout.Lengths[document], head);
            }
        });
    }
}
