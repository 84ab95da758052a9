// N packed tokens, H query heads, K key/value heads, D head dim.
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>What <see cref="HeadAttention"/> needs to know of the model and the batch.</summary>
/// <param name="Lengths">Tokens of each document; their sum is N.</param>
internal sealed record HeadLayout(int NumHeads, int NumKvHeads, int HeadDim, bool QkNorm, float Eps, RopeTable Rope, long[] Lengths)
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
internal sealed unsafe class HeadAttention : autograd.SingleTensorFunction<HeadAttention>
{
    public override string Name => nameof(HeadAttention);

    /// <param name="qkv">[N, (H + 2K) D].</param>
    /// <param name="qNorm">[D]; not read without <see cref="HeadLayout.QkNorm"/>.</param>
    /// <param name="kNorm">[D].</param>
    /// <param name="layout">Shapes and documents.</param>
    public static Tensor Apply(Tensor qkv, Tensor qNorm, Tensor kNorm, HeadLayout layout) => apply(qkv, qNorm, kNorm, layout);

    public override Tensor forward(autograd.AutogradContext context, params object[] arguments)
    {
        (Tensor qkv, Tensor qNorm, Tensor kNorm, var layout) = ((Tensor)arguments[0], (Tensor)arguments[1], (Tensor)arguments[2], (HeadLayout)arguments[3]);
        long n = qkv.shape[0];
        Tensor output = empty(n, layout.NumHeads * layout.HeadDim);
        float[] logSums = new float[n * layout.NumHeads];
        context.save_for_backward([qkv, qNorm, kNorm]);
        context.save_data("layout", layout);
        context.save_data("logSums", logSums);
        (nint x, nint qWeight, nint kWeight, nint y) = ((nint)Rows.Floats(qkv), (nint)Rows.Floats(qNorm), (nint)Rows.Floats(kNorm), (nint)Rows.Floats(output));
        ForEachUnit(layout, (_, start, length, head) => new AttentionUnit(layout, head, length, (float*)x + start * layout.Width, (float*)qWeight, (float*)kWeight)
            .Forward((float*)y + start * layout.NumHeads * layout.HeadDim, logSums.AsSpan(checked((int)(start * layout.NumHeads)), length * layout.NumHeads)));
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
    {
        List<Tensor> saved = context.get_saved_variables();
        (Tensor qkv, Tensor qNorm, Tensor kNorm, Tensor g) = (saved[0], saved[1], saved[2], gradient.contiguous());
        (var layout, float[] logSums) = ((HeadLayout)context.get_data("layout"), (float[])context.get_data("logSums"));
        Tensor dx = empty_like(qkv), dNorms = zeros(layout.NumUnits, 2, layout.HeadDim);
        (nint x, nint qWeight, nint kWeight, nint dy, nint to, nint norms) =
            ((nint)Rows.Floats(qkv), (nint)Rows.Floats(qNorm), (nint)Rows.Floats(kNorm), (nint)Rows.Floats(g), (nint)Rows.Floats(dx), (nint)Rows.Floats(dNorms));
        ForEachUnit(layout, (unit, start, length, head) => new AttentionUnit(layout, head, length, (float*)x + start * layout.Width, (float*)qWeight, (float*)kWeight)
            .Backward((float*)dy + start * layout.NumHeads * layout.HeadDim, logSums.AsSpan(checked((int)(start * layout.NumHeads)), length * layout.NumHeads),
                (float*)to + start * layout.Width, (float*)norms + unit * 2L * layout.HeadDim));
        Tensor sums = dNorms.sum([0L]);
        return [dx, sums[0], sums[1], null!];
    }

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
