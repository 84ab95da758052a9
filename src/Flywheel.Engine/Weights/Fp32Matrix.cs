using Flywheel.Engine.Kernels;

namespace Flywheel.Engine.Weights;

/// <summary>Panels [K, 16] of fp32.</summary>
internal sealed unsafe class Fp32Matrix : Matrix
{
    private const int Panel = KernelTable.Fp32Panel;

    private readonly KernelTable _kernels;
    private readonly float* _weights;

    public Fp32Matrix(NativeArena arena, KernelTable kernels, int rows, int columns) : base(rows, columns)
    {
        _kernels = kernels;
        _weights = arena.Allocate<float>((long)NumRows * NumColumns);
    }

    public override bool IsQuantized => false;

    public override long NumBytes => (long)NumRows * NumColumns * sizeof(float);

    public override void ReadRow(int row, float* destination)
    {
        for (int k = 0; k < NumColumns; k++) destination[k] = *At(row, k);
    }

    protected override void Pack(int row, ReadOnlySpan<float> values)
    {
        for (int k = 0; k < values.Length; k++) *At(row, k) = values[k];
    }

    protected override void MultiplyPanels(StepInput* x, int rows, float* y, long ldy, bool add, int from, int to)
    {
        for (int output = from; output < to; output += Panel)
            _kernels.MultiplyFp32(_weights + (long)output * NumColumns, NumColumns, x->Floats, NumColumns, rows, y + output, ldy, add);
    }

    private float* At(int row, int k) => _weights + ((long)(row / Panel) * NumColumns + k) * Panel + row % Panel;
}
