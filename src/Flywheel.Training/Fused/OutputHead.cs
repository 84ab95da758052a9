// M predicted tokens, C channels, V vocabulary.
using System.Numerics.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// The output matrix and the cross-entropy in one: sum over rows of weight * -log softmax(x W^T)[target]. The logits exist
/// only a chunk of rows at a time, [chunk, V]; gradients are computed on the way forward (Wijmans 2024, arXiv 2411.09009,
/// has the idea). A frozen matrix costs no gradient.
/// </summary>
internal sealed unsafe class OutputHead : autograd.SingleTensorFunction<OutputHead>
{
    /// <summary>Rows of logits at once: 16 MB at a vocabulary of 8192.</summary>
    private const int ChunkRows = 512;

    public override string Name => nameof(OutputHead);

    /// <param name="x">[M, C], normalised.</param>
    /// <param name="matrix">[V, C].</param>
    /// <param name="targets">[M].</param>
    /// <param name="weights">[M], such as 1 / number of targets in the whole step.</param>
    /// <param name="zWeight">
    /// Factor of the squared logarithm of each row's softmax denominator, which keeps logits from drifting (Chowdhery 2022, arXiv
    /// 2204.02311).
    /// </param>
    /// <param name="logProbs">Takes the log-probability of each target, [M].</param>
    /// <param name="halfProducts">Compute the gradients' products in bfloat16; logits are fp32 always.</param>
    /// <returns>The weighted loss, a scalar.</returns>
    public static Tensor Loss(Tensor x, Tensor matrix, long[] targets, float[] weights, float zWeight, float[] logProbs, bool halfProducts) =>
        apply(x, matrix, targets, weights, zWeight, logProbs, halfProducts);

    /// <summary>Log-probability of each target, [M]; nothing is kept for a gradient.</summary>
    public static float[] LogProbs(Tensor x, Tensor matrix, long[] targets)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        float[] logProbs = new float[targets.Length];
        ForEachChunk(x, matrix, targets, (logits, first, _) => CrossEntropy(logits, targets, null, 0, logProbs, null, first));
        return logProbs;
    }

    public override Tensor forward(autograd.AutogradContext context, params object[] arguments)
    {
        (Tensor x, Tensor matrix, long[] targets, float[] weights) = ((Tensor)arguments[0], (Tensor)arguments[1], (long[])arguments[2], (float[])arguments[3]);
        (float zWeight, float[] logProbs, bool half) = ((float)arguments[4], (float[])arguments[5], (bool)arguments[6]);
        using Tensor? halfMatrix = half ? matrix.to(bfloat16) : null;
        Tensor dx = empty_like(x);
        Tensor? dMatrix = matrix.requires_grad ? zeros_like(matrix, requires_grad: false) : null;
        float[] logSums = new float[targets.Length];
        ForEachChunk(x, matrix, targets, (logits, first, rows) =>
        {
            CrossEntropy(logits, targets, weights, zWeight, logProbs, logSums, first);
            using Tensor slice = dx.narrow(0, first, rows), input = x.narrow(0, first, rows);
            using var scope = NewDisposeScope();
            if (half)
            {
                Tensor g = logits.to(bfloat16);
                slice.copy_(g.mm(halfMatrix!));
                dMatrix?.add_(g.t().mm(input.to(bfloat16)));
            }
            else
            {
                Products.Set(slice, logits, matrix);
                if (dMatrix is not null) Products.AddTransposed(dMatrix, logits, input);
            }
        });
        context.save_for_backward(dMatrix is null ? [dx] : [dx, dMatrix]);
        double loss = 0;
        for (int i = 0; i < logProbs.Length; i++) loss += zWeight * (double)logSums[i] * logSums[i] - (double)weights[i] * logProbs[i];
        return tensor((float)loss);
    }

    public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
    {
        List<Tensor> saved = context.get_saved_variables();
        return [saved[0].mul(gradient), saved.Count > 1 ? saved[1].mul(gradient) : null!, null!, null!, null!, null!, null!];
    }

    private static void ForEachChunk(Tensor x, Tensor matrix, long[] targets, Action<Tensor, int, int> body)
    {
        for (int first = 0; first < targets.Length; first += ChunkRows)
        {
            int rows = Math.Min(ChunkRows, targets.Length - first);
            using Tensor input = x.narrow(0, first, rows), logits = Products.WithTransposed(input, matrix); // [rows, V]
            body(logits, first, rows);
        }
    }

    /// <summary>
    /// Writes each row's log-probability and logarithm of the softmax's denominator; with weights, turns its logits into the
    /// gradient weight * (softmax - onehot) + 2 zWeight * logSum * softmax.
    /// </summary>
    private static void CrossEntropy(Tensor logits, long[] targets, float[]? weights, float zWeight, float[] logProbs, float[]? logSums, int firstRow)
    {
        int vocabulary = (int)logits.shape[1];
        nint start = (nint)Rows.Floats(logits);
        Rows.ForEach(logits.shape[0], vocabulary, (_, first, end) =>
        {
            for (int row = first; row < end; row++)
            {
                var values = new Span<float>((float*)start + (long)row * vocabulary, vocabulary);
                int target = (int)targets[firstRow + row];
                float max = TensorPrimitives.Max<float>(values), atTarget = values[target] - max, sum = Exponential.Replace(values, max);
                double logSum = Math.Log(sum);
                logProbs[firstRow + row] = (float)(atTarget - logSum);
                if (weights is null || logSums is null) continue;
                logSums[firstRow + row] = (float)(max + logSum);
                TensorPrimitives.Multiply(values, (weights[firstRow + row] + 2 * zWeight * logSums[firstRow + row]) / sum, values);
                values[target] -= weights[firstRow + row];
            }
        });
    }
}
