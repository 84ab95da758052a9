// N tokens, H query heads, K key/value heads, D head dim.
using System.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>What <see cref="HeadSplit"/> needs to know of the model and the batch.</summary>
/// <param name="Positions">Position of each token in its document, [N].</param>
internal sealed record HeadLayout(int NumHeads, int NumKvHeads, int HeadDim, bool QkNorm, float Eps, RopeTable Rope, int[] Positions);

/// <summary>
/// From the fused projection [N, (H + 2K) D] to q, k and v, each [N, H, D]: RMSNorm on every query and key head, rotary
/// positions, key and value heads repeated for their group (libtorch's CPU flash attention knows no groups).
/// As composites these are a dozen passes over memory; here it is one.
/// </summary>
internal sealed unsafe class HeadSplit : autograd.MultiTensorFunction<HeadSplit>
{
    public override string Name => nameof(HeadSplit);

    /// <param name="qkv">[N, (H + 2K) D].</param>
    /// <param name="qNorm">[D]; not read without <see cref="HeadLayout.QkNorm"/>.</param>
    /// <param name="kNorm">[D].</param>
    /// <param name="layout">Shapes and positions.</param>
    public static (Tensor Q, Tensor K, Tensor V) Apply(Tensor qkv, Tensor qNorm, Tensor kNorm, HeadLayout layout)
    {
        List<Tensor> heads = apply(qkv, qNorm, kNorm, layout);
        return (heads[0], heads[1], heads[2]);
    }

    public override List<Tensor> forward(autograd.AutogradContext context, params object[] arguments)
    {
        (Tensor qkv, Tensor qNorm, Tensor kNorm, var layout) = ((Tensor)arguments[0], (Tensor)arguments[1], (Tensor)arguments[2], (HeadLayout)arguments[3]);
        context.save_for_backward([qkv, qNorm, kNorm]);
        context.save_data("layout", layout);
        (int numHeads, int numKv, int dim) = (layout.NumHeads, layout.NumKvHeads, layout.HeadDim);
        int group = numHeads / numKv, width = (numHeads + 2 * numKv) * dim, half = dim / 2;
        long n = qkv.shape[0];
        Tensor[] outputs = [empty(n, numHeads, dim), empty(n, numHeads, dim), empty(n, numHeads, dim)];
        nint[] bases = [.. outputs.Select(tensor => (nint)Rows.Floats(tensor))];
        (nint source, nint qWeight, nint kWeight) = ((nint)Rows.Floats(qkv), (nint)Rows.Floats(qNorm), (nint)Rows.Floats(kNorm));
        Rows.ForEach(n, width, (_, first, end) =>
        {
            Span<float> normed = new float[dim];
            for (int row = first; row < end; row++)
            {
                ReadOnlySpan<float> cos = layout.Rope.Cos.AsSpan(layout.Positions[row] * half, half), sin = layout.Rope.Sin.AsSpan(layout.Positions[row] * half, half);
                for (int head = 0; head < numHeads + 2 * numKv; head++)
                {
                    ReadOnlySpan<float> x = new((float*)source + (long)row * width + head * dim, dim);
                    (int kind, int local) = Kind(head, numHeads, numKv);
                    int outHead = kind == 0 ? local : local * group;
                    Span<float> y = new((float*)bases[kind] + (row * (long)numHeads + outHead) * dim, dim);
                    if (kind == 2) x.CopyTo(y);
                    else
                    {
                        if (layout.QkNorm) RmsNorm.Normalise(x, new((float*)(kind == 0 ? qWeight : kWeight), dim), normed, layout.Eps);
                        else x.CopyTo(normed);
                        Rotate(normed, cos, sin, 1, y);
                    }
                    if (kind == 0) continue;
                    for (int copy = 1; copy < group; copy++) y.CopyTo(new((float*)bases[kind] + (row * (long)numHeads + outHead + copy) * dim, dim));
                }
            }
        });
        return [.. outputs];
    }

    public override List<Tensor> backward(autograd.AutogradContext context, List<Tensor> gradients)
    {
        List<Tensor> saved = context.get_saved_variables();
        (Tensor qkv, Tensor qNorm, Tensor kNorm) = (saved[0], saved[1], saved[2]);
        var layout = (HeadLayout)context.get_data("layout");
        (int numHeads, int numKv, int dim) = (layout.NumHeads, layout.NumKvHeads, layout.HeadDim);
        int group = numHeads / numKv, width = (numHeads + 2 * numKv) * dim, half = dim / 2;
        long n = qkv.shape[0];
        Tensor[] g = [.. gradients.Select(gradient => gradient.contiguous())];
        nint[] bases = [.. g.Select(tensor => (nint)Rows.Floats(tensor))];
        Tensor dx = empty_like(qkv), dNorms = zeros(Rows.NumThreads, 2, dim);
        (nint source, nint dSource, nint qWeight, nint kWeight, nint dWeights) =
            ((nint)Rows.Floats(qkv), (nint)Rows.Floats(dx), (nint)Rows.Floats(qNorm), (nint)Rows.Floats(kNorm), (nint)Rows.Floats(dNorms));
        Rows.ForEach(n, 2 * width, (part, first, end) =>
        {
            Span<float> sum = new float[dim], unrotated = new float[dim], scratch = new float[dim];
            for (int row = first; row < end; row++)
            {
                ReadOnlySpan<float> cos = layout.Rope.Cos.AsSpan(layout.Positions[row] * half, half), sin = layout.Rope.Sin.AsSpan(layout.Positions[row] * half, half);
                for (int head = 0; head < numHeads + 2 * numKv; head++)
                {
                    (int kind, int local) = Kind(head, numHeads, numKv);
                    int outHead = kind == 0 ? local : local * group;
                    new ReadOnlySpan<float>((float*)bases[kind] + (row * (long)numHeads + outHead) * dim, dim).CopyTo(sum);
                    for (int copy = 1; kind != 0 && copy < group; copy++)
                    {
                        ReadOnlySpan<float> other = new((float*)bases[kind] + (row * (long)numHeads + outHead + copy) * dim, dim);
                        System.Numerics.Tensors.TensorPrimitives.Add(sum, other, sum);
                    }
                    Span<float> output = new((float*)dSource + (long)row * width + head * dim, dim);
                    if (kind == 2)
                    {
                        sum.CopyTo(output);
                        continue;
                    }
                    Rotate(sum, cos, sin, -1, layout.QkNorm ? unrotated : output);
                    if (!layout.QkNorm) continue;
                    ReadOnlySpan<float> x = new((float*)source + (long)row * width + head * dim, dim);
                    RmsNorm.NormaliseBackward(x, new((float*)(kind == 0 ? qWeight : kWeight), dim), unrotated, output, new((float*)dWeights + (part * 2 + kind) * dim, dim), scratch, layout.Eps);
                }
            }
        });
        Tensor norms = dNorms.sum([0L]);
        return [dx, norms[0], norms[1], null!];
    }

    /// <summary>0 query, 1 key, 2 value, and the head's number among its kind.</summary>
    private static (int Kind, int Local) Kind(int head, int numHeads, int numKv) =>
        head < numHeads ? (0, head) : head < numHeads + numKv ? (1, head - numHeads) : (2, head - numHeads - numKv);

    /// <summary>(a, b) to (a cos - b sin, b cos + a sin) with a and b the halves of the head; sign -1 turns back.</summary>
    private static void Rotate(ReadOnlySpan<float> x, ReadOnlySpan<float> cos, ReadOnlySpan<float> sin, float sign, Span<float> y)
    {
        int half = x.Length / 2, i = 0;
        for (; i <= half - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> a = new(x[i..]), b = new(x[(half + i)..]), c = new(cos[i..]), s = new Vector<float>(sin[i..]) * sign;
            (a * c - b * s).CopyTo(y[i..]);
            (b * c + a * s).CopyTo(y[(half + i)..]);
        }
        for (; i < half; i++)
        {
            (float a, float b, float c, float s) = (x[i], x[half + i], cos[i], sin[i] * sign);
            (y[i], y[half + i]) = (a * c - b * s, b * c + a * s);
        }
    }
}
