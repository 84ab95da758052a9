using System.Runtime.InteropServices;
using Flywheel.Engine.Kernels;

namespace Flywheel.Engine.Weights;

/// <summary>Fills one row of a matrix, all of it. Called by several threads.</summary>
internal delegate void RowReader(int row, Span<float> destination);

/// <summary>
/// A weight matrix [N, K], y = W x, stored in panels of neighbouring rows so that a product reads memory in one stream
/// and keeps one sum a lane. N is padded to a multiple of 16 and K to a multiple of 32, with zeros.
/// </summary>
internal sealed unsafe class Matrix
{
    /// <summary>Rows are padded to this, and work is split in multiples of it.</summary>
    public const int RowUnit = 16;

    private readonly float* _floats;
    private readonly sbyte* _bytes;
    private readonly Half* _scales;
    private readonly KernelTable _kernels;

    public Matrix(NativeArena arena, KernelTable kernels, WeightFormat format, int rows, int columns, RowReader read)
    {
        NumRows = Pad(rows, RowUnit);
        NumColumns = Pad(columns, KernelTable.Block);
        Format = format;
        _kernels = kernels;
        if (format == WeightFormat.Fp32)
        {
            _floats = arena.Allocate<float>((long)NumRows * NumColumns);
        }
        else
        {
            _bytes = arena.Allocate<sbyte>((long)NumRows * NumColumns);
            _scales = arena.Allocate<Half>((long)NumRows * NumColumns / KernelTable.Block);
        }
        Parallel.For(0, NumRows / RowUnit, () => new float[NumColumns], (unit, _, buffer) =>
        {
            for (int row = unit * RowUnit; row < Math.Min(rows, (unit + 1) * RowUnit); row++)
            {
                read(row, buffer.AsSpan(0, columns));
                if (format == WeightFormat.Fp32) PackFp32(row, buffer);
                else PackInt8(row, buffer);
            }
            return buffer;
        }, _ => { });
    }

    public WeightFormat Format { get; }

    public int NumRows { get; }

    public int NumColumns { get; }

    /// <summary>Bytes that one product reads.</summary>
    public long NumBytes => Format == WeightFormat.Fp32 ? 4L * NumRows * NumColumns : (long)NumRows * NumColumns + (long)NumRows * NumColumns / KernelTable.Block * sizeof(Half);

    public static int Pad(int n, int unit) => (n + unit - 1) / unit * unit;

    /// <summary>y[rows, from..to] (+)= x W^T for outputs <paramref name="from"/> to <paramref name="to"/>, multiples of 16.</summary>
    public void Multiply(in StepInput x, int rows, float* y, long ldy, bool add, int from, int to)
    {
        // As many rows of x as stay in the second-level cache while all panels pass over them.
        int atOnce = Math.Max(4, 128 * 1024 / (NumColumns * (Format == WeightFormat.Fp32 ? 4 : 1)) & ~3);
        for (int row = 0; row < rows; row += atOnce)
        {
            int count = Math.Min(atOnce, rows - row);
            float* target = y + row * ldy;
            if (Format == WeightFormat.Fp32)
            {
                for (int output = from; output < to; output += KernelTable.Fp32Panel)
                    _kernels.MultiplyFp32(_floats + (long)output * NumColumns, NumColumns, x.Floats + (long)row * NumColumns, NumColumns, count, target + output, ldy, add);
                continue;
            }
            int blocks = NumColumns / KernelTable.Block;
            var part = new Int8Rows { Values = x.Quantized.Values + (long)row * NumColumns, Blocks = x.Quantized.Blocks + (long)row * blocks };
            for (int output = from; output < to; output += _kernels.Int8Panel)
                _kernels.MultiplyInt8(_bytes + (long)output * NumColumns, _scales + (long)output * blocks, blocks, &part, count, target + output, ldy, add);
        }
    }

    /// <summary>Unpacks one row, as an embedding is looked up.</summary>
    public void ReadRow(int row, float* destination)
    {
        if (Format == WeightFormat.Fp32)
        {
            float* panel = _floats + (long)(row / KernelTable.Fp32Panel) * KernelTable.Fp32Panel * NumColumns + row % KernelTable.Fp32Panel;
            for (int k = 0; k < NumColumns; k++) destination[k] = panel[(long)k * KernelTable.Fp32Panel];
            return;
        }
        int panelRows = _kernels.Int8Panel;
        sbyte* values = _bytes + (long)(row / panelRows) * panelRows * NumColumns + row % panelRows * 4;
        Half* scales = _scales + (long)(row / panelRows) * panelRows * (NumColumns / KernelTable.Block) + row % panelRows;
        for (int k = 0; k < NumColumns; k++)
            destination[k] = Unbiased(values[(long)(k / 4) * 4 * panelRows + k % 4]) * (float)scales[k / KernelTable.Block * panelRows];
    }

    /// <summary>With a bias the byte is unsigned; without one it is as it is.</summary>
    private int Unbiased(sbyte stored) => _kernels.Int8Bias == 0 ? stored : (byte)stored - _kernels.Int8Bias;

    private void PackFp32(int row, ReadOnlySpan<float> values)
    {
        float* panel = _floats + (long)(row / KernelTable.Fp32Panel) * KernelTable.Fp32Panel * NumColumns + row % KernelTable.Fp32Panel;
        for (int k = 0; k < values.Length; k++) panel[(long)k * KernelTable.Fp32Panel] = values[k];
    }

    private void PackInt8(int row, ReadOnlySpan<float> values)
    {
        int panelRows = _kernels.Int8Panel, bias = _kernels.Int8Bias;
        sbyte* packed = _bytes + (long)(row / panelRows) * panelRows * NumColumns + row % panelRows * 4;
        Half* scales = _scales + (long)(row / panelRows) * panelRows * (NumColumns / KernelTable.Block) + row % panelRows;
        for (int start = 0; start < values.Length; start += KernelTable.Block)
        {
            float largest = 0;
            foreach (float value in values.Slice(start, KernelTable.Block)) largest = MathF.Max(largest, MathF.Abs(value));
            Half scale = (Half)(largest / 127f);
            scales[start / KernelTable.Block * panelRows] = scale;
            float inverse = (float)scale > 0 ? 1 / (float)scale : 0;
            for (int k = start; k < start + KernelTable.Block; k++)
                packed[(long)(k / 4) * 4 * panelRows + k % 4] = (sbyte)(bias + (int)Math.Clamp(MathF.Round(values[k] * inverse), -127f, 127f));
        }
    }
}

/// <summary>What a product reads, in the form that the weights want: fp32 [rows, K], or int8 blocks.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct StepInput
{
    public float* Floats;
    public Int8Rows Quantized;
}
