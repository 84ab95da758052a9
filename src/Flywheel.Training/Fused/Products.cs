// A [M, K], B [K, N] or, transposed, [N, K], C [M, N]; all contiguous fp32.
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>Products of tensors, without gradients: ours where the processor has a kernel for it, else libtorch's.</summary>
internal static class Products
{
    private static readonly MatrixTile? s_tile = MatrixTile.Best == PlainTile.Tile ? null : MatrixTile.Best;

    /// <summary>A B^T, or <paramref name="start"/> + A B^T.</summary>
    public static Tensor WithTransposed(Tensor a, Tensor b, Tensor? start = null)
    {
        if (s_tile is null)
        {
            using Tensor transposed = b.t();
            return start is null ? a.mm(transposed) : addmm(start, a, transposed, 1, 1);
        }
        Tensor c = Arena.Empty(a.shape[0], b.shape[0]);
        Multiply(c, MatrixView.Of(a), MatrixView.Of(b).Transposed, a.shape[1], start is null ? null : MatrixView.Of(start));
        return c;
    }

    /// <summary>A B.</summary>
    public static Tensor Of(Tensor a, Tensor b)
    {
        Tensor c = Arena.Empty(a.shape[0], b.shape[1]);
        Set(c, a, b);
        return c;
    }

    /// <summary>C = A B.</summary>
    public static void Set(Tensor c, Tensor a, Tensor b)
    {
        if (s_tile is not null) Multiply(c, MatrixView.Of(a), MatrixView.Of(b), a.shape[1], null);
        else
        {
            using Tensor product = a.mm(b);
            c.copy_(product);
        }
    }

    /// <summary>A^T B, with A [K, M].</summary>
    public static Tensor OfTransposed(Tensor a, Tensor b)
    {
        Tensor c = Arena.Empty(a.shape[1], b.shape[1]);
        SetTransposed(c, a, b, add: false);
        return c;
    }

    /// <summary>C = A^T B, or C += A^T B, with A [K, M].</summary>
    public static void SetTransposed(Tensor c, Tensor a, Tensor b, bool add)
    {
        if (s_tile is not null) Multiply(c, MatrixView.Of(a).Transposed, MatrixView.Of(b), a.shape[0], add ? MatrixView.Of(c) : null);
        else
        {
            using Tensor transposed = a.t(), product = transposed.mm(b);
            _ = add ? c.add_(product) : c.copy_(product);
        }
    }

    private static void Multiply(Tensor c, MatrixView a, MatrixView b, long k, MatrixView? start) =>
        MatrixProduct.Multiply(s_tile!, (int)c.shape[0], (int)c.shape[1], (int)k, a, b, MatrixView.Of(c), start);
}
