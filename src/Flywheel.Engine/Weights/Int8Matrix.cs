using Flywheel.Engine.Kernels;

namespace Flywheel.Engine.Weights;

/// <summary>Blocks of 32 in int8 with an fp16 scale (llama.cpp's Q8_0), in panels [K / 4, panel, 4].</summary>
internal sealed unsafe class Int8Matrix : Matrix
{
    private readonly KernelTable _kernels;
    private readonly sbyte* _weights;
    private readonly Half* _scales;
    private readonly int _panel;

    public Int8Matrix(NativeArena arena, KernelTable kernels, int rows, int columns) : base(rows, columns)
    {
        (_kernels, _panel) = (kernels, kernels.IntPanel);
        _weights = arena.Allocate<sbyte>((long)NumRows * NumColumns);
        _scales = arena.Allocate<Half>((long)NumRows * NumBlocks);
    }

    public override bool IsQuantized => true;

    public override long NumBytes => (long)NumRows * (NumColumns + NumBlocks * sizeof(Half));

    public override void ReadRow(int row, float* destination)
    {
        for (int k = 0; k < NumColumns; k++)
        {
            sbyte stored = *At(row, k);
            int weight = _kernels.Int8Bias == 0 ? stored : (byte)stored - _kernels.Int8Bias;
            destination[k] = weight * (float)*ScaleAt(row, k / KernelTable.Block);
        }
    }

    protected override void Pack(int row, ReadOnlySpan<float> values)
    {
        for (int block = 0; block < NumBlocks; block++)
        {
            ReadOnlySpan<float> part = values.Slice(block * KernelTable.Block, KernelTable.Block);
            float largest = 0;
            foreach (float value in part) largest = MathF.Max(largest, MathF.Abs(value));
            Half scale = (Half)(largest / 127f);
            *ScaleAt(row, block) = scale;
            float inverse = scale > Half.Zero ? 1 / (float)scale : 0;
            for (int i = 0; i < part.Length; i++)
                *At(row, block * KernelTable.Block + i) = (sbyte)(_kernels.Int8Bias + (int)Math.Clamp(MathF.Round(part[i] * inverse), -127f, 127f));
        }
    }

    protected override void MultiplyPanels(StepInput* x, int rows, float* y, long ldy, bool add, int from, int to)
    {
        for (int output = from; output < to; output += _panel)
            _kernels.MultiplyInt8(_weights + (long)output * NumColumns, _scales + (long)output * NumBlocks, NumBlocks, &x->Quantized, rows, y + output, ldy, add);
    }

    private sbyte* At(int row, int k) => _weights + ((long)(row / _panel) * NumColumns + k / 4 * 4) * _panel + row % _panel * 4 + k % 4;

    private Half* ScaleAt(int row, int block) => _scales + ((long)(row / _panel) * NumBlocks + block) * _panel + row % _panel;
}
