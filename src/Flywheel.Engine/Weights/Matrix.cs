using System.Runtime.InteropServices;
using Flywheel.Engine.Kernels;
using Flywheel.Model;

namespace Flywheel.Engine.Weights;

/// <summary>Fills one row of a matrix, all of it.</summary>
internal delegate void RowReader(int row, Span<float> destination);

/// <summary>What a product reads, in the forms that weights want: fp32 [rows, K], and int8 blocks.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct StepInput
{
    public float* Floats;
    public Int8Rows Quantized;
}

/// <summary>Rows of a matrix that are stored alike, one after the other: first and count are multiples of
/// <see cref="Matrix.RowUnit"/>.</summary>
internal unsafe readonly record struct Band(TensorType Type, int FirstRow, int NumRows, nint Weights, nint Scales)
{
    public int EndRow => FirstRow + NumRows;
}

/// <summary>
/// A weight matrix [N, K], y = W x, in panels of neighbouring rows (<see cref="PanelLayout"/>). Bands of rows may be of
/// different types: files mix them. N is padded to a multiple of 16 and K to a multiple of 32, with zeros.
/// </summary>
internal sealed unsafe class Matrix
{
    /// <summary>Rows are padded to this, and work is split in multiples of it.</summary>
    public const int RowUnit = 16;

    /// <summary>Part of the second-level cache that rows of x may take while all panels pass over them; a panel is unpacked for each such
    /// part.</summary>
    private const int CachedInputBytes = 192 * 1024;

    private readonly KernelTable _kernels;
    private readonly Band[] _bands;

    public Matrix(KernelTable kernels, int columns, Band[] bands)
    {
        (_kernels, _bands, NumColumns) = (kernels, bands, columns);
        NumRows = bands[^1].EndRow;
        ReadsFloats = bands.Any(band => PanelLayout.IsPlain(band.Type));
        ReadsInt8 = bands.Any(band => !PanelLayout.IsPlain(band.Type));
        NumBytes =
            bands.Sum(band =>
                band.NumRows * (PanelLayout.BlockBytes(band.Type) * NumBlocks + PanelLayout.ScaleBytes(band.Type, NumBlocks)));
    }

    public int NumRows { get; }

    public int NumColumns { get; }

    /// <summary>Its input is wanted as fp32.</summary>
    public bool ReadsFloats { get; }

    /// <summary>Its input is wanted as int8 blocks.</summary>
    public bool ReadsInt8 { get; }

    /// <summary>Bytes that one product reads.</summary>
    public long NumBytes { get; }

    private long NumBlocks => NumColumns / KernelTable.Block;

    /// <summary>From rows of numbers, rounded to <paramref name="type"/>.</summary>
    public static Matrix Create(NativeArena arena, KernelTable kernels, TensorType type, int rows, int columns, RowReader read)
    {
        int padded = Pad(columns, KernelTable.Block), numRows = Pad(rows, RowUnit);
        long blocks = padded / KernelTable.Block;
        var band = new Band(type, 0, numRows, (nint)arena.Allocate<byte>(numRows * PanelLayout.BlockBytes(type) * blocks),
            (nint)arena.Allocate<byte>(numRows * PanelLayout.ScaleBytes(type, blocks)));
        float[] values = new float[padded];
        byte[] packed = new byte[type.NumBytes(padded)];
        for (int row = 0; row < rows; row++)
        {
            read(row, values.AsSpan(0, columns));
            Quantization.Quantize(type, values, packed);
            Pack(kernels, band, blocks, row, packed);
        }
        return new Matrix(kernels, padded, [band]);
    }

    /// <summary>Puts a row of a file's bytes into its panel.</summary>
    public static void Pack(KernelTable kernels, Band band, long blocks, int row, ReadOnlySpan<byte> bytes)
    {
        const int panel = KernelTable.Panel;
        int first = row / panel * panel;
        PanelLayout.PackRow(band.Type, bytes, (byte*)band.Weights + first * PanelLayout.BlockBytes(band.Type) * blocks,
            (byte*)band.Scales + first * PanelLayout.ScaleBytes(band.Type, blocks), panel, row - first, kernels.Int8Bias);
    }

    public static int Pad(int n, int unit) => (n + unit - 1) / unit * unit;

    /// <summary>y[rows, from..to] (+)= x W^T for outputs <paramref name="from"/> to <paramref name="to"/>, multiples of 16.</summary>
    public void Multiply(in StepInput x, int rows, float* y, long ldy, bool add, int from, int to)
    {
        int atOnce = Math.Max(4, CachedInputBytes / (NumColumns * (ReadsFloats ? sizeof(float) : 1)) & ~3);
        for (int row = 0; row < rows; row += atOnce)
        {
            var job = new ProductJob
            {
                NumBlocks = NumBlocks,
                X = x.Quantized.Values + (long)row * NumColumns,
                XStride = NumColumns,
                XBlocks = x.Quantized.Blocks + row * NumBlocks,
                XBlockStride = NumBlocks * sizeof(Int8Block),
                Floats = x.Floats + (long)row * NumColumns,
                FloatStride = (long)NumColumns * sizeof(float),
                YStride = ldy * sizeof(float),
                Add = add ? 1 : 0,
                NumRows = Math.Min(atOnce, rows - row),
            };
            foreach (Band band in _bands)
            {
                job.Type = band.Type;
                long bytes = PanelLayout.BlockBytes(band.Type) * NumBlocks, scaleBytes = PanelLayout.ScaleBytes(band.Type, NumBlocks);
                for (int output = Math.Max(from, band.FirstRow); output < Math.Min(to, band.EndRow); output += KernelTable.Panel)
                {
                    job.Weights = (byte*)band.Weights + (output - band.FirstRow) * bytes;
                    job.Scales = (byte*)band.Scales + (output - band.FirstRow) * scaleBytes;
                    job.Y = y + row * ldy + output;
                    _kernels.Multiply(&job);
                }
            }
        }
    }

    /// <summary>Unpacks one row, as an embedding is looked up.</summary>
    public void ReadRow(int row, float* destination)
    {
        if ((uint)row >= (uint)NumRows) throw new InvalidOperationException($"row {row} of {NumRows} was asked for");
        int index = 0;
        while (row >= _bands[index].EndRow) index++;
        Band band = _bands[index];
        const int panel = KernelTable.Panel;
        int output = (row - band.FirstRow) % panel;
        long first = row - band.FirstRow - output;
        byte* weights = (byte*)band.Weights + first * PanelLayout.BlockBytes(band.Type) * NumBlocks;
        byte* scales = (byte*)band.Scales + first * PanelLayout.ScaleBytes(band.Type, NumBlocks);
        if (PanelLayout.IsPlain(band.Type))
        {
            for (long k = 0; k < NumColumns; k++) destination[k] = PanelLayout.PlainValue(band.Type, weights, k * panel + output);
            return;
        }
        Span<byte> numbers = stackalloc byte[KernelTable.Block];
        for (int block = 0; block < NumBlocks; block++)
        {
            PanelLayout.Unpack(band.Type, weights + (long)block * PanelLayout.BlockBytes(band.Type) * panel, panel, output, numbers);
            float minimum = PanelLayout.HasMinimum(band.Type) ? PanelLayout.Minimum(band.Type, scales, panel, output, block) : 0;
            for (int half = 0; half < 2; half++)
            {
                float scale = PanelLayout.Scale(band.Type, scales, panel, output, block, half);
                for (int i = half * KernelTable.Block / 2; i < (half + 1) * KernelTable.Block / 2; i++)
                    destination[block * KernelTable.Block + i] =
                        scale * PanelLayout.Signed(band.Type, numbers[i], _kernels.Int8Bias) - minimum;
            }
        }
    }
}
