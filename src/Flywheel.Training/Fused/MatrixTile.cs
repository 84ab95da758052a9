using System.Runtime.Intrinsics.X86;

namespace Flywheel.Training;

/// <summary>One tile of a product: C = A B, or start + A B.</summary>
internal unsafe struct TileJob
{
    /// <summary>First element, floats from one row to the next, and from one k to the next.</summary>
    public float* A;

    public nint ARow, ADepth;

    /// <summary>At most <see cref="MatrixTile.NumRows"/>.</summary>
    public int Rows;

    /// <summary>[Depth, <see cref="MatrixTile.NumColumns"/>].</summary>
    public float* B;

    public int Depth;

    public float* C;

    public nint CRow;

    /// <summary>What the product is added to, or null; may be <see cref="C"/>.</summary>
    public float* Start;

    public nint StartRow;
}

/// <summary>The innermost product, for one instruction set. Every element is summed in the order of k, one product at a time.</summary>
internal sealed unsafe class MatrixTile(int numColumns, delegate*<TileJob*, void> multiply)
{
    public const int NumRows = 6, MaxColumns = 64;

    /// <summary>The widest that this processor has.</summary>
    public static MatrixTile Best { get; } = Avx512F.IsSupported ? Avx512Tile.Tile : Fma.IsSupported ? Avx2Tile.Tile : PlainTile.Tile;

    public int NumColumns => numColumns;

    public void Multiply(ref TileJob job)
    {
        fixed (TileJob* pointer = &job) multiply(pointer);
    }
}
