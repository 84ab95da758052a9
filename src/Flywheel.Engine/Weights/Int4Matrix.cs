using Flywheel.Engine.Kernels;

namespace Flywheel.Engine.Weights;

/// <summary>
/// Blocks of 32 in four bits with an fp16 scale (llama.cpp's Q4_0): a nibble n stands for (n - 8) x scale. A block of a
/// panel is [4, panel, 4] bytes: the low nibbles are its first 16 weights, the high ones its last.
/// </summary>
internal sealed unsafe class Int4Matrix : Matrix
{
    private const int Zero = 8, Half16 = KernelTable.Block / 2;

    private readonly KernelTable _kernels;
    private readonly byte* _weights;
    private readonly Half* _scales;
    private readonly int _panel;

    public Int4Matrix(NativeArena arena, KernelTable kernels, int rows, int columns) : base(rows, columns)
    {
        (_kernels, _panel) = (kernels, kernels.IntPanel);
        _weights = arena.Allocate<byte>((long)NumRows * NumColumns / 2);
        _scales = arena.Allocate<Half>((long)NumRows * NumBlocks);
    }

    public override bool IsQuantized => true;

    public override long NumBytes => (long)NumRows * (NumColumns / 2 + NumBlocks * sizeof(Half));

    public override void ReadRow(int row, float* destination)
    {
        for (int block = 0; block < NumBlocks; block++)
        {
            float scale = (float)*ScaleAt(row, block);
            float* target = destination + block * KernelTable.Block;
            for (int i = 0; i < Half16; i++)
            {
                byte pair = *At(row, block, i);
                target[i] = ((pair & 15) - Zero) * scale;
                target[i + Half16] = ((pair >> 4) - Zero) * scale;
            }
        }
    }

    /// <summary>The value that is furthest from zero becomes -8, as Q4_0 has it: the range is not symmetric.</summary>
    protected override void Pack(int row, ReadOnlySpan<float> values)
    {
        for (int block = 0; block < NumBlocks; block++)
        {
            ReadOnlySpan<float> part = values.Slice(block * KernelTable.Block, KernelTable.Block);
            float furthest = 0;
            foreach (float value in part)
                if (MathF.Abs(value) > MathF.Abs(furthest)) furthest = value;
            Half scale = (Half)(furthest / -Zero);
            *ScaleAt(row, block) = scale;
            float inverse = (float)scale != 0 ? 1 / (float)scale : 0;
            for (int i = 0; i < Half16; i++) *At(row, block, i) = (byte)(Nibble(part[i] * inverse) | Nibble(part[i + Half16] * inverse) << 4);
        }

        static int Nibble(float value) => Math.Clamp((int)MathF.Floor(value + Zero + 0.5f), 0, 15);
    }

    protected override void MultiplyPanels(StepInput* x, int rows, float* y, long ldy, bool add, int from, int to)
    {
        for (int output = from; output < to; output += _panel)
            _kernels.MultiplyInt4(_weights + (long)output * NumColumns / 2, _scales + (long)output * NumBlocks, NumBlocks, &x->Quantized, rows, y + output, ldy, add);
    }

    private byte* At(int row, int block, int i) => _weights + (((long)(row / _panel) * NumBlocks + block) * 4 + i / 4) * 4 * _panel + row % _panel * 4 + i % 4;

    private Half* ScaleAt(int row, int block) => _scales + ((long)(row / _panel) * NumBlocks + block) * _panel + row % _panel;
}
