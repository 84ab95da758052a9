// Shapes: rows = tokens of the step; K = inputs of a matrix, in blocks of 32; a panel = P neighbouring outputs stored
// interleaved, so that a product reads memory in one stream and keeps one sum a lane.
using System.Runtime.InteropServices;
using Flywheel.Model;

namespace Flywheel.Engine.Kernels;

/// <summary>Inputs of a matrix product, quantised: blocks of 32 values in int8 with one scale.</summary>
internal unsafe struct Int8Rows
{
    /// <summary>[rows, K]</summary>
    public sbyte* Values;

    /// <summary>[rows, K / 32]</summary>
    public Int8Block* Blocks;
}

/// <summary>What belongs to 32 quantised values. Sums are stored as what a product takes off again for weights that are stored raised by a
/// constant.</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct Int8Block
{
    public float Scale;

    /// <summary>-128 times the sum of the values.</summary>
    public int BiasedSum;

    /// <summary>-128 times the sum of the first 16 values.</summary>
    public int BiasedFirst;

    /// <summary>-Scale times the sum: what a weight block's minimum is multiplied with.</summary>
    public float NegativeSum;
}

/// <summary>One panel of weights times some rows: y [rows, P] (+)= x [rows, K] W^T. Strides are in bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ProductJob
{
    /// <summary>The panel's numbers, laid out as <see cref="PanelLayout"/> says.</summary>
    public byte* Weights;

    /// <summary>The panel's scales; not used by plain numbers.</summary>
    public byte* Scales;

    public long NumBlocks;

    public sbyte* X;
    public long XStride;
    public Int8Block* XBlocks;
    public long XBlockStride;

    /// <summary>The same inputs unrounded, for plain numbers.</summary>
    public float* Floats;

    public long FloatStride;

    public float* Y;
    public long YStride;

    /// <summary>Not 0 to add to y.</summary>
    public long Add;

    public int NumRows;
    public TensorType Type;

    /// <summary>The job of the rows from <paramref name="row"/> on.</summary>
    public readonly ProductJob From(int row)
    {
        ProductJob rest = this;
        rest.X += row * XStride;
        rest.XBlocks = (Int8Block*)((byte*)XBlocks + row * XBlockStride);
        rest.Floats = (float*)((byte*)Floats + row * FloatStride);
        rest.Y = (float*)((byte*)Y + row * YStride);
        rest.NumRows -= row;
        return rest;
    }
}
