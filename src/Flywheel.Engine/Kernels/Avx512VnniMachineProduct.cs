using System.Runtime.InteropServices;
using Flywheel.Model;
using static Flywheel.Engine.Kernels.Gpr;
using static Flywheel.Engine.Kernels.PanelCode;

namespace Flywheel.Engine.Kernels;

/// <summary>Machine code of one product: a panel of 16 outputs of a block type times a fixed number of rows. See
/// <see cref="ScalarKernels"/> for what it computes.</summary>
internal sealed class Avx512VnniMachineProduct
{
    private const int Outputs = 16, Vector = 4 * Outputs, Groups = 8, DMinimumOffset = Outputs * sizeof(ushort);

    // Vector registers: sums of floats are 0 to 11, of integers 12 to 23.
    private const int FirstInt = 12, Sixteen = 24, LowSix = 24, Temporary = 25, Minimum = 26, LowNibbles = 27, Pairs = 28, Product = 29,
        Scale = 30, Weights = 31;

    // With few rows, registers are left for a second sum of integers a row, and for what a super-block's blocks share.
    private const int FewRows = 4, SecondInt = FirstInt + FewRows, HighNibbles = 9, D = 10, DMinimum = 11;

    /// <summary>What half a block of Q6_K reads.</summary>
    private static readonly int[] Packed = [Temporary, Minimum, Pairs];

    /// <summary>
    /// How far ahead many rows fetch weights, and into which cache: the first has too few lines under way to fill the time
    /// that memory takes. Few rows read so fast that the hardware fetches ahead by itself, and better: on Zen 4 one row of
    /// 600m Q4_K_M is 5% faster without, twelve of Q8_0 a third slower.
    /// </summary>
    private const int Ahead = 2048, FetchLevel = 2;

    private const Gpr XStride = Rax, XStride3 = R11, MetaStride = Rbx, MetaStride3 = Rbp, Small = R15;

    private static readonly Gpr[] X = [R8, R9, R10], Meta = [R12, R13, R14], Saved = [Rbx, Rbp, R12, R13, R14, R15];

    private readonly Assembler _code = new();
    private readonly TensorType _type;
    private readonly int _rows;
    private readonly int _blockBytes;

    public Avx512VnniMachineProduct(TensorType type, int rows)
    {
        (_type, _rows, _blockBytes) = (type, rows, PanelLayout.BlockBytes(type) * Outputs);
        foreach (Gpr register in Saved) _code.Push(register);
        LoadConstants();
        _code.Load(W, Field(nameof(ProductJob.Weights)));
        _code.Load(Scales, Field(nameof(ProductJob.Scales)));
        _code.Load(Blocks, Field(nameof(ProductJob.NumBlocks)));
        LoadRows(X, nameof(ProductJob.X), XStride, nameof(ProductJob.XStride), XStride3);
        LoadRows(Meta, nameof(ProductJob.XBlocks), MetaStride, nameof(ProductJob.XBlockStride), MetaStride3);
        for (int row = 0; row < rows; row++) _code.Zero(row);
        _code.Push(Job); // its register counts small scales
        _code.ForEachBlock(type, Small, LoadFactors, AddBlock);
        _code.Pop(Job);
        Store();
        foreach (Gpr register in Saved.Reverse()) _code.Pop(register);
        _code.Return();
    }

    private bool HasFewRows => _rows <= FewRows;

    /// <summary>
    /// Nibbles without another bit: the high ones are multiplied where they are and their sum shifted, which is one shift for
    /// four and two chains of sums that do not wait for each other.
    /// </summary>
    private bool AddsHighNibblesApart => HasFewRows && _type is TensorType.Q4_0 or TensorType.Q4_K;

    public nint Publish() => _code.Publish();

    private void LoadConstants()
    {
        if (_type != TensorType.Q8_0) _code.Fill(LowNibbles, 0x0F0F0F0F);
        if (_type is TensorType.Q5_0 or TensorType.Q5_K) _code.Fill(Sixteen, 0x10101010);
        if (_type == TensorType.Q6_K) _code.Fill(LowSix, 0x3F3F3F3F);
        if (AddsHighNibblesApart) _code.Fill(HighNibbles, 0xF0F0F0F0);
    }

    private void LoadFactors()
    {
        if (!HasFewRows) return;
        _code.LoadHalves(D, new Address(Scales, 0));
        if (PanelLayout.HasMinimum(_type)) _code.LoadHalves(DMinimum, new Address(Scales, DMinimumOffset));
    }

    private void AddBlock()
    {
        int parts = _type == TensorType.Q6_K ? 2 : 1; // each with a scale of its own
        for (int part = 0; part < parts; part++)
        {
            StartSums(part);
            for (int group = part * Groups / parts; group < (part + 1) * Groups / parts; group++) AddGroup(group);
            if (PanelLayout.HasSuperBlocks(_type)) LoadScale(Scale, D, 0, part * Outputs);
            else _code.LoadHalves(Scale, new Address(Scales, 0));
            AddSums();
        }
        if (PanelLayout.HasMinimum(_type))
        {
            LoadScale(Minimum, DMinimum, DMinimumOffset, Outputs);
            for (int row = 0; row < _rows; row++) _code.MultiplyAddBroadcast(row, Minimum, MetaField(row, nameof(Int8Block.NegativeSum)));
        }
        Advance();
    }

    private void LoadScale(int zmm, int d, int half, int small)
    {
        if (!HasFewRows) _code.LoadHalves(d = zmm, new Address(Scales, half));
        _code.LoadBytes(Temporary, new Address(Small, small), signed: _type == TensorType.Q6_K);
        _code.ConvertToFloats(Temporary, Temporary);
        _code.Multiply(zmm, d, Temporary);
    }

    /// <summary>Sums begin with what the raised numbers will have too much.</summary>
    private void StartSums(int half)
    {
        for (int row = 0; row < _rows; row++)
        {
            int sum = FirstInt + row;
            if (AddsHighNibblesApart) _code.Zero(SecondInt + row);
            if (PanelLayout.HasMinimum(_type))
            {
                _code.Zero(sum);
                continue;
            }
            _code.BroadcastInt(sum,
                MetaField(row, _type == TensorType.Q6_K && half == 0 ? nameof(Int8Block.BiasedFirst) : nameof(Int8Block.BiasedSum)));
            if (half == 1) _code.SubtractBroadcast(sum, sum, MetaField(row, nameof(Int8Block.BiasedFirst)));
            int shift = 7 - int.Log2(PanelLayout.Bias(_type, int8Bias: 128));
            if (shift > 0) _code.ShiftIntsRight(sum, sum, (byte)shift);
        }
    }

    /// <summary>Four weights of every output, times the same four values of each row.</summary>
    private void AddGroup(int group)
    {
        int pair = group % (Groups / 2);
        if (_type == TensorType.Q8_0)
        {
            LoadVector(Weights, group);
            Dot(FirstInt, Weights, group);
        }
        else if (_type == TensorType.Q6_K)
        {
            AddSixBits(group / (Groups / 2), pair);
            Dot(FirstInt, Weights, group);
        }
        else if (!AddsHighNibblesApart)
        {
            if (group < Groups / 2) LoadVector(Pairs, pair);
            else
            {
                _code.LoadInts(Pairs, new Address(W, pair * Vector));
                _code.ShiftWordsRight(Pairs, Pairs, 4);
            }
            _code.And(Weights, Pairs, LowNibbles);
            if (_type is TensorType.Q5_0 or TensorType.Q5_K) AddFifthBits(group);
            Dot(FirstInt, Weights, group);
        }
        else if (group < Groups / 2)
        {
            LoadVector(Pairs, pair);
            _code.And(Weights, Pairs, LowNibbles);
            _code.And(Pairs, Pairs, HighNibbles);
            Dot(FirstInt, Weights, group);
            Dot(SecondInt, Pairs, group + Groups / 2);
        }
    }

    private void LoadVector(int zmm, int vector)
    {
        if (!HasFewRows) _code.Prefetch(new Address(W, vector * Vector + Ahead), FetchLevel);
        _code.LoadInts(zmm, new Address(W, vector * Vector));
    }

    private void Dot(int firstSum, int weights, int group)
    {
        for (int row = 0; row < _rows; row++) _code.DotBytes(firstSum + row, weights, Row(X, row, XStride, XStride3).Plus(4 * group));
    }

    private void AddFifthBits(int group)
    {
        const int plane = Vector * Groups / 2;
        if (group == 0 && !HasFewRows) _code.Prefetch(new Address(W, plane + Ahead), FetchLevel);
        _code.LoadMask(new Address(W, plane + group * sizeof(ulong)));
        _code.AddBytesMasked(Weights, Sixteen);
    }

    /// <summary>Whole words shift; what crosses bytes is overwritten or masked.</summary>
    private void AddSixBits(int half, int group)
    {
        if (group < Packed.Length)
        {
            LoadVector(Packed[group], half * Packed.Length + group);
            _code.And(Weights, Packed[group], LowSix);
            return;
        }
        _code.ShiftWordsRight(Packed[1], Packed[1], 2);
        _code.Blend(Packed[2], Packed[1], LowSix);
        _code.ShiftWordsRight(Packed[0], Packed[0], 4);
        _code.Blend(Packed[2], Packed[0], LowNibbles);
        _code.ShiftWordsRight(Weights, Packed[2], 2);
        _code.And(Weights, Weights, LowSix);
    }

    private void AddSums()
    {
        for (int row = 0; row < _rows; row++)
        {
            if (AddsHighNibblesApart)
            {
                _code.ShiftIntsRight(SecondInt + row, SecondInt + row, 4);
                _code.AddInts(FirstInt + row, FirstInt + row, SecondInt + row);
            }
            _code.ConvertToFloats(FirstInt + row, FirstInt + row);
            _code.MultiplyByBroadcast(Product, Scale, MetaField(row, nameof(Int8Block.Scale)));
            _code.MultiplyAdd(row, FirstInt + row, Product);
        }
    }

    private void Advance()
    {
        _code.Add(W, _blockBytes);
        for (int tile = 0; tile * 4 < _rows; tile++)
        {
            _code.Add(X[tile], PanelLayout.Block);
            _code.Add(Meta[tile], Marshal.SizeOf<Int8Block>());
        }
    }

    private void Store()
    {
        _code.Load(Rax, Field(nameof(ProductJob.Y)));
        _code.Load(Rcx, Field(nameof(ProductJob.YStride)));
        _code.Load(Rdx, Field(nameof(ProductJob.Add)));
        _code.Test(Rdx);
        int store = _code.JumpIfZero();
        _code.LoadAddress(Rsi, new Address(Rax, 0));
        for (int row = 0; row < _rows; row++)
        {
            _code.AddFloats(row, row, new Address(Rsi, 0));
            _code.Add(Rsi, Rcx);
        }
        _code.Land(store);
        for (int row = 0; row < _rows; row++)
        {
            _code.StoreFloats(new Address(Rax, 0), row);
            _code.Add(Rax, Rcx);
        }
    }

    /// <summary>Rows 0, 4 and 8 get a register, the three after each are reached by one, two and three strides.</summary>
    private void LoadRows(Gpr[] bases, string start, Gpr stride, string strideField, Gpr stride3)
    {
        _code.Load(stride, Field(strideField));
        _code.LoadAddress(stride3, new Address(stride, 0, stride, 2));
        _code.Load(bases[0], Field(start));
        for (int tile = 1; tile * 4 < _rows; tile++) _code.LoadAddress(bases[tile], new Address(bases[tile - 1], 0, stride, 4));
    }

    private static Address MetaField(int row, string name) =>
        Row(Meta, row, MetaStride, MetaStride3).Plus((int)Marshal.OffsetOf<Int8Block>(name));

    private static Address Row(Gpr[] bases, int row, Gpr stride, Gpr stride3) => (row % 4) switch
    {
        0 => new(bases[row / 4], 0),
        1 => new(bases[row / 4], 0, stride),
        2 => new(bases[row / 4], 0, stride, 2),
        _ => new(bases[row / 4], 0, stride3),
    };
}
