// M predicted tokens, C channels, V vocabulary.
using System.Numerics.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// The output matrix and the cross-entropy in one: sum over rows of weight * -log softmax(x W^T)[target]. The logits exist
/// only a chunk of rows at a time, [chunk, V], and become their gradient there (Wijmans 2024, arXiv 2411.09009, has the
/// idea). A frozen matrix costs no gradient.
/// </summary>
internal static unsafe class OutputHead
{
    /// <summary>Rows of logits at once: 16 MB at a vocabulary of 8192.</summary>
    internal const int ChunkRows = 512;

    private static readonly int HalfStep = HalfProducts.RowStep(ChunkRows);

    /// <param name="x">[M, C], normalised.</param>
    /// <param name="matrix">[V, C].</param>
    /// <param name="targets">[M].</param>
    /// <param name="weights">[M], such as 1 / number of targets in the whole step.</param>
    /// <param name="zWeight">
    /// Factor of the squared logarithm of each row's softmax denominator, which keeps logits from drifting (Chowdhery 2022, arXiv
    /// 2204.02311).
    /// </param>
    /// <param name="logProbs">Takes the log-probability of each target, [M].</param>
    /// <param name="half">Compute the gradients' products in bfloat16; logits are fp32 always.</param>
    /// <returns>The weighted loss, its gradient by x, and by the matrix unless that is frozen.</returns>
    public static (double Loss, Tensor Dx, Tensor? DMatrix) Learn(Tensor x, Tensor matrix, long[] targets, float[] weights, float zWeight,
        float[] logProbs, bool half)
    {
        using Tensor? halfMatrix = half ? matrix.to(bfloat16) : null;
        Tensor dx = Arena.Empty(x.shape);
        Tensor? dMatrix = !matrix.requires_grad ? null : half || targets.Length == 0
            ? Arena.Zeros(matrix.shape) : Arena.Empty(matrix.shape);
        float[] logSums = new float[targets.Length];
        ForEachChunk(x, matrix, targets, (logits, first, rows) =>
        {
            CrossEntropy(logits, targets, weights, zWeight, logProbs, logSums, first);
            using Tensor slice = dx.narrow(0, first, rows), input = x.narrow(0, first, rows);
            if (half)
            {
                HalfProducts.Set(slice, logits, halfMatrix!, HalfStep);
                if (dMatrix is null) return;
                using Tensor chunk = HalfProducts.OverRows(logits, input, HalfStep);
                dMatrix.add_(chunk);
                return;
            }
            Products.Set(slice, logits, matrix);
            if (dMatrix is not null) Products.SetTransposed(dMatrix, logits, input, add: first > 0);
        });
        double loss = 0;
        for (int i = 0; i < logProbs.Length; i++) loss += zWeight * (double)logSums[i] * logSums[i] - (double)weights[i] * logProbs[i];
        return (loss, dx, dMatrix);
    }

    /// <summary>Log-probability of each target, [M].</summary>
    public static float[] LogProbs(Tensor x, Tensor matrix, long[] targets)
    {
        float[] logProbs = new float[targets.Length];
        ForEachChunk(x, matrix, targets, (logits, first, _) => CrossEntropy(logits, targets, null, 0, logProbs, null, first));
        return logProbs;
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
    private static void CrossEntropy(Tensor logits, long[] targets, float[]? weights, float zWeight, float[] logProbs, float[]? logSums,
        int firstRow)
    {
        int vocabulary = (int)logits.shape[1];
        nint start = (nint)Rows.Floats(logits);
        Rows.ForEach(logits.shape[0], vocabulary, (first, end) =>
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
