using System.Runtime.InteropServices;
using Flywheel.Engine.Kernels;

namespace Flywheel.Engine.Weights;

/// <summary>Fills one row of a matrix, all of it. Called by several threads.</summary>
internal delegate void RowReader(int row, Span<float> destination);

/// <summary>What a product reads, in the form that the weights want: fp32 [rows, K], or int8 blocks.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct StepInput
{
    public float* Floats;
    public Int8Rows Quantized;
}

/// <summary>
/// A weight matrix [N, K], y = W x, stored in panels of neighbouring rows so that a product reads memory in one stream
/// and keeps one sum a lane. N is padded to a multiple of 16 and K to a multiple of 32, with zeros.
/// </summary>
internal abstract unsafe class Matrix
{
    /// <summary>Rows are padded to this, and work is split in multiples of it.</summary>
    public const int RowUnit = 16;

    /// <summary>Part of the second-level cache that rows of x may take while all panels pass over them.</summary>
    private const int CachedInputBytes = 128 * 1024;

    protected Matrix(int rows, int columns)
    {
        NumRows = Pad(rows, RowUnit);
        NumColumns = Pad(columns, KernelTable.Block);
    }

    public int NumRows { get; }

    public int NumColumns { get; }

    /// <summary>Its input is int8 blocks.</summary>
    public abstract bool IsQuantized { get; }

    /// <summary>Bytes that one product reads.</summary>
    public abstract long NumBytes { get; }

    protected int NumBlocks => NumColumns / KernelTable.Block;

    public static Matrix Create(NativeArena arena, KernelTable kernels, WeightFormat format, int rows, int columns, RowReader read)
    {
        Matrix matrix = format switch
        {
            WeightFormat.Fp32 => new Fp32Matrix(arena, kernels, rows, columns),
            WeightFormat.Int8 => new Int8Matrix(arena, kernels, rows, columns),
            _ => new Int4Matrix(arena, kernels, rows, columns),
        };
        Parallel.For(0, matrix.NumRows / RowUnit, () => new float[matrix.NumColumns], (unit, _, buffer) =>
        {
            for (int row = unit * RowUnit; row < Math.Min(rows, (unit + 1) * RowUnit); row++)
            {
                read(row, buffer.AsSpan(0, columns));
                matrix.Pack(row, buffer);
            }
            return buffer;
        }, _ => { });
        return matrix;
    }

    public static int Pad(int n, int unit) => (n + unit - 1) / unit * unit;

    /// <summary>y[rows, from..to] (+)= x W^T for outputs <paramref name="from"/> to <paramref name="to"/>, multiples of 16.</summary>
    public void Multiply(in StepInput x, int rows, float* y, long ldy, bool add, int from, int to)
    {
        int atOnce = Math.Max(4, CachedInputBytes / (NumColumns * (IsQuantized ? 1 : sizeof(float))) & ~3);
        for (int row = 0; row < rows; row += atOnce)
        {
            var part = new StepInput
            {
                Floats = x.Floats + (long)row * NumColumns,
                Quantized = new Int8Rows { Values = x.Quantized.Values + (long)row * NumColumns, Blocks = x.Quantized.Blocks + (long)row * NumBlocks },
            };
            MultiplyPanels(&part, Math.Min(atOnce, rows - row), y + row * ldy, ldy, add, from, to);
        }
    }

    /// <summary>Unpacks one row, as an embedding is looked up.</summary>
    public abstract void ReadRow(int row, float* destination);

    protected abstract void Pack(int row, ReadOnlySpan<float> values);

    protected abstract void MultiplyPanels(StepInput* x, int rows, float* y, long ldy, bool add, int from, int to);
}
