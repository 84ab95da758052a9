// N rows of a micro-batch, I inputs, O outputs.
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// Products in bfloat16 with an fp32 result: mixed precision (Micikevicius 2018, arXiv 1710.03740) without loss scaling, which
/// bfloat16's range makes needless. libtorch multiplies.
/// </summary>
internal static class HalfProducts
{
    /// <summary>Numbers of rows that products know: libtorch's oneDNN keeps what it compiles for each.</summary>
    public const int MaxRowCounts = 8;

    /// <summary>Of what it keeps for one shape, as measured.</summary>
    public const long KernelBytes = 2_250_000;

    /// <summary>
    /// What rows are filled up to a multiple of, with zeros. Two micro-batches hardly ever have equally many rows, so that a run
    /// would grow by the kernels of a whole layer in each step; most are nearly full, so that most are filled up to one size.
    /// </summary>
    /// <param name="maxRows">Of a micro-batch.</param>
    public static int RowStep(int maxRows) => (maxRows + MaxRowCounts - 1) / MaxRowCounts;

    /// <summary>A B, the rows of A being those of a micro-batch.</summary>
    /// <param name="a">[N, I].</param>
    /// <param name="b">[I, O], in fp32 or bfloat16.</param>
    /// <param name="step">From <see cref="RowStep"/>.</param>
    /// <returns>[N, O].</returns>
    public static Tensor Of(Tensor a, Tensor b, int step)
    {
        Tensor product = Arena.Empty(a.shape[0], b.shape[1]);
        Set(product, a, b, step);
        return product;
    }

    /// <summary>C = A B.</summary>
    public static void Set(Tensor c, Tensor a, Tensor b, int step)
    {
        using var scope = NewDisposeScope();
        c.copy_(FilledUp(a, step).mm(b.to(bfloat16)).narrow(0, 0, a.shape[0]));
    }

    /// <summary>A^T B, summed over the rows of a micro-batch.</summary>
    /// <param name="a">[N, O].</param>
    /// <param name="b">[N, I].</param>
    /// <param name="step">From <see cref="RowStep"/>.</param>
    /// <returns>[O, I].</returns>
    public static Tensor OverRows(Tensor a, Tensor b, int step)
    {
        Tensor product = Arena.Empty(a.shape[1], b.shape[1]);
        using var scope = NewDisposeScope();
        product.copy_(FilledUp(a, step).t().mm(FilledUp(b, step)));
        return product;
    }

    private static Tensor FilledUp(Tensor rows, int step)
    {
        long count = rows.shape[0], whole = (count + step - 1) / step * step;
        Tensor half = empty(whole, rows.shape[1], dtype: bfloat16);
        half.narrow(0, 0, count).copy_(rows);
        if (whole > count) half.narrow(0, count, whole - count).zero_();
        return half;
    }
}
