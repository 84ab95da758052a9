using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Flywheel.Model;
using static Flywheel.Engine.Kernels.Gpr;
using static Flywheel.Engine.Kernels.PanelCode;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// Machine code for AVX2 of the loops of <see cref="PanelProduct{TDot}"/> that the compiler makes least of: one or two rows
/// times a panel as it is stored, and four times an unpacked one. A panel of 16 outputs is two halves.
/// </summary>
internal sealed class Avx2MachineProduct
{
    /// <summary>Rows of the loop over an unpacked panel.</summary>
    public const int ManyRows = 4;

    private const int Outputs = 16, Halves = 2, Vector = 32, Group = Halves * Vector, Groups = 8;

    /// <summary>Where minima's factors lie, behind those of scales.</summary>
    private const int Minima = Outputs * sizeof(ushort);

    // Vector registers. One or two rows: sums of floats are 0 to 1 or 3, of integers 2 to 3 or 4 to 7, and one leaves 4 to 7 for what a
    // super-block's blocks share. Four rows: sums of integers are 0 to 7, of floats in memory.
    private const int Factor = 4, MinimumFactor = 6, Weights = 8, More = 9, X = 10, Product = 11, Second = 12, Ones = 13, Mask = 14,
        Scale = 15;

    private const Gpr Sums = Rdx, XRow = R8, XStride = Rax, XStride3 = R11, Meta = R9, MetaStride = R10, MetaStride3 = Rdi, Small = R11;

    /// <summary>[type, rows]; 0 where there is none, and everywhere if the machine lacks something. Made by the first product that
    /// asks.</summary>
    private static readonly nint[] s_code = AssembleAll();

    private readonly Assembler _code = new(Vector);
    private readonly TensorType _type;
    private readonly int _rows;

    /// <param name="type">Of the panel, one that <see cref="Has"/> says.</param>
    /// <param name="rows">1, 2 or <see cref="ManyRows"/>.</param>
    private Avx2MachineProduct(TensorType type, int rows)
    {
        (_type, _rows) = (type, rows);
        _code.Fill(Ones, 0x00010001);
        if (rows == ManyRows) OverUnpacked();
        else OverStored();
        _code.Return();
    }

    /// <summary>What is not there is left to the C# version, which is as fast or seldom wanted.</summary>
    private static bool Has(TensorType type, int rows) =>
        type == TensorType.Q6_K || (rows < ManyRows && type is TensorType.Q4_0 or TensorType.Q4_K);

    /// <summary>For so many rows (1, 2 or <see cref="ManyRows"/>); 0 where there is none.</summary>
    public static nint Code(TensorType type, int rows) => s_code[Index(type, rows)];

    private static int Index(TensorType type, int rows) => (int)type * (ManyRows + 1) + rows;

    private static nint[] AssembleAll()
    {
        TensorType[] types = Enum.GetValues<TensorType>();
        var code = new nint[Index(types.Max(), ManyRows) + 1];
        const int halfPrecision = 29; // F16C, a bit of its own beside AVX2's
        if (!OperatingSystem.IsLinux() || !Avx2.IsSupported || !Fma.IsSupported || (X86Base.CpuId(1, 0).Ecx >> halfPrecision & 1) == 0)
            return code;
        foreach (TensorType type in types)
            foreach (int rows in new[] { 1, 2, ManyRows })
                if (Has(type, rows)) code[Index(type, rows)] = new Avx2MachineProduct(type, rows)._code.Publish();
        return code;
    }

    /// <summary>(job)</summary>
    private void OverStored()
    {
        _code.Fill(Mask, _type == TensorType.Q6_K ? 0x3F3F3F3Fu : 0x0F0F0F0F);
        LoadRows();
        _code.Load(W, Field(nameof(ProductJob.Weights)));
        _code.Load(Scales, Field(nameof(ProductJob.Scales)));
        for (int sum = 0; sum < Halves * _rows; sum++) _code.Zero(sum);
        _code.Push(Job); // its register counts small scales
        _code.ForEachBlock(_type, Small, LoadFactors, AddBlock);
        _code.Pop(Job);
        Store();
    }

    private void LoadRows()
    {
        _code.Load(Blocks, Field(nameof(ProductJob.NumBlocks)));
        _code.Load(XRow, Field(nameof(ProductJob.X)));
        _code.Load(XStride, Field(nameof(ProductJob.XStride)));
        _code.Load(Meta, Field(nameof(ProductJob.XBlocks)));
        _code.Load(MetaStride, Field(nameof(ProductJob.XBlockStride)));
    }

    private void LoadFactors()
    {
        if (!SharesFactors) return;
        for (int half = 0; half < Halves; half++)
        {
            _code.LoadHalves(Factor + half, new Address(Scales, half * Vector / 2));
            if (PanelLayout.HasMinimum(_type)) _code.LoadHalves(MinimumFactor + half, new Address(Scales, Minima + half * Vector / 2));
        }
    }

    private void AddBlock()
    {
        if (_type == TensorType.Q6_K) AddSixBits();
        else
        {
            AddNibbles();
            for (int half = 0; half < Halves; half++)
            {
                if (PanelLayout.HasSuperBlocks(_type)) LoadScale(Factor, 0, 0, half);
                else _code.LoadHalves(Scale, new Address(Scales, half * Vector / 2));
                AddSums(half);
                if (!PanelLayout.HasMinimum(_type)) continue;
                LoadScale(MinimumFactor, Minima, Outputs, half);
                for (int row = 0; row < _rows; row++)
                {
                    _code.BroadcastInt(Product, MetaField(row, nameof(Int8Block.NegativeSum)));
                    _code.MultiplyAdd(Float(row, half), Scale, Product);
                }
            }
        }
        Advance(PanelLayout.BlockBytes(_type) * Outputs);
    }

    private bool SharesFactors => _rows == 1;

    /// <param name="factors">Registers of the super-block's factors.</param>
    /// <param name="d">Where these lie among the scales.</param>
    /// <param name="small">Where the block's own lie among its small ones.</param>
    /// <param name="half">Of the panel.</param>
    private void LoadScale(int factors, int d, int small, int half)
    {
        int factor = SharesFactors ? factors + half : Product;
        _code.LoadBytes(Scale, new Address(Small, small + half * Outputs / Halves), signed: _type == TensorType.Q6_K);
        if (!SharesFactors) _code.LoadHalves(factor, new Address(Scales, d + half * Vector / 2));
        _code.ConvertToFloats(Scale, Scale);
        _code.Multiply(Scale, factor, Scale);
    }

    /// <summary>A block's products of nibbles are small enough to be summed in words: 8 x 2 x 15 x 127 is 30,480.</summary>
    private void AddNibbles()
    {
        for (int group = 0; group < Groups / 2; group++)
        {
            for (int half = 0; half < Halves; half++)
            {
                _code.LoadInts(More, new Address(W, group * Group + half * Vector));
                _code.And(Weights, More, Mask);
                AddNumbers(group, half);
                _code.ShiftWordsRight(More, More, 4);
                _code.And(Weights, More, Mask);
                AddNumbers(group + Groups / 2, half);
            }
        }
        for (int row = 0; row < _rows; row++)
        {
            if (_type == TensorType.Q4_0) LoadBias(Second, row, 0);
            for (int half = 0; half < Halves; half++)
            {
                _code.MultiplyWords(Int(row, half), Int(row, half), Ones);
                if (_type == TensorType.Q4_0) _code.AddInts(Int(row, half), Int(row, half), Second);
            }
        }

        void AddNumbers(int group, int half)
        {
            for (int row = 0; row < _rows; row++)
            {
                _code.BroadcastInt(X, XField(row, group));
                _code.MultiplyBytes(group == 0 ? Int(row, half) : Product, Weights, X);
                if (group > 0) _code.AddWords(Int(row, half), Int(row, half), Product);
            }
        }
    }

    /// <summary>
    /// The fourth group lies in the upper bits of three others: those of the first are its lowest. Bits are shifted in words,
    /// and none comes to a neighbour's place.
    /// </summary>
    private void AddSixBits()
    {
        for (int part = 0; part < 2; part++)
        {
            const int fourth = Scale;
            StartRaised(part);
            for (int half = 0; half < Halves; half++)
            {
                Take(fourth, Weights, 2);
                Take(Second, More, 1);
                _code.ShiftWordsRight(Second, Second, 2);
                _code.Or(fourth, fourth, Second);
                AddPair(Weights, 2, More, 1);
                Take(Second, Weights, 0);
                _code.ShiftWordsRight(Second, Second, 4);
                _code.Or(fourth, fourth, Second);
                _code.ShiftWordsRight(fourth, fourth, 2);
                AddPair(Weights, 0, fourth, 3);
                LoadScale(Factor, 0, part * Outputs, half);
                AddSums(half);

                // A group's numbers, and what lies above them.
                void Take(int upper, int numbers, int group)
                {
                    _code.LoadInts(upper, new Address(W, (3 * part + group) * Group + half * Vector));
                    _code.And(numbers, upper, Mask);
                    _code.Xor(upper, upper, numbers);
                }

                void AddPair(int a, int groupOfA, int b, int groupOfB)
                {
                    for (int row = 0; row < _rows; row++)
                    {
                        _code.BroadcastInt(X, XField(row, part * Groups / 2 + groupOfA));
                        _code.MultiplyBytes(Product, a, X);
                        _code.BroadcastInt(X, XField(row, part * Groups / 2 + groupOfB));
                        _code.MultiplyBytes(X, b, X);
                        _code.AddWords(Product, Product, X); // two products of numbers up to 63 fit: 4 x 63 x 127 is 32,004
                        _code.MultiplyWords(Product, Product, Ones);
                        _code.AddInts(Int(row, half), Int(row, half), Product);
                    }
                }
            }
        }
    }

    /// <summary>Sums begin with what the raised numbers will have too much.</summary>
    private void StartRaised(int part)
    {
        for (int row = 0; row < _rows; row++)
        {
            LoadBias(Int(row, 0), row, part);
            _code.Copy(Int(row, 1), Int(row, 0));
        }
    }

    private void LoadBias(int vector, int row, int part)
    {
        _code.BroadcastInt(vector,
            MetaField(row, _type == TensorType.Q6_K && part == 0 ? nameof(Int8Block.BiasedFirst) : nameof(Int8Block.BiasedSum)));
        if (part == 1)
        {
            _code.BroadcastInt(Product, MetaField(row, nameof(Int8Block.BiasedFirst)));
            _code.SubtractInts(vector, vector, Product);
        }
        _code.ShiftIntsRight(vector, vector, (byte)(7 - int.Log2(PanelLayout.Bias(_type, int8Bias: 0))));
    }

    private void AddSums(int half)
    {
        for (int row = 0; row < _rows; row++)
        {
            _code.ConvertToFloats(Int(row, half), Int(row, half));
            _code.BroadcastInt(Product, MetaField(row, nameof(Int8Block.Scale)));
            _code.Multiply(Product, Scale, Product);
            _code.MultiplyAdd(Float(row, half), Int(row, half), Product);
        }
    }

    private void Advance(int weightBytes)
    {
        _code.Add(W, weightBytes);
        _code.Add(XRow, PanelLayout.Block);
        _code.Add(Meta, Marshal.SizeOf<Int8Block>());
    }

    private void Store()
    {
        _code.Load(Rax, Field(nameof(ProductJob.Y)));
        _code.Load(Rcx, Field(nameof(ProductJob.YStride)));
        _code.Load(Rdx, Field(nameof(ProductJob.Add)));
        _code.Test(Rdx);
        int store = _code.JumpIfZero();
        ForEachSum((row, half, y) => _code.AddFloats(Float(row, half), Float(row, half), y));
        _code.Land(store);
        ForEachSum((row, half, y) => _code.StoreFloats(y, Float(row, half)));

        void ForEachSum(Action<int, int, Address> body)
        {
            for (int row = 0; row < _rows; row++)
                for (int half = 0; half < Halves; half++) body(row, half, new Address(Rax, half * Vector, row == 0 ? null : Rcx));
        }
    }

    /// <summary>(job, unpacked panel, sums [4, 16]); <see cref="PanelUnpacked"/>. Of numbers up to 63.</summary>
    private void OverUnpacked()
    {
        const int end = Groups * Group;
        LoadRows();
        _code.LoadAddress(XStride3, new Address(XStride, 0, XStride, 2));
        _code.LoadAddress(MetaStride3, new Address(MetaStride, 0, MetaStride, 2));
        int loop = _code.Position;
        for (int part = 0; part < 2; part++)
        {
            StartRaised(part);
            for (int group = part * Groups / 2; group < (part + 1) * Groups / 2; group += 2) AddPair(group);
            ScaleSums(part == 0 ? nameof(PanelUnpacked.Scale) : nameof(PanelUnpacked.Second));
        }
        Advance(end + Marshal.SizeOf<PanelUnpacked>());
        _code.Add(Blocks, -1);
        _code.JumpIfNotZero(loop);

        void AddPair(int group)
        {
            int[] registers = [Weights, More, Mask, Scale]; // of a group's halves, then the next one's
            for (int i = 0; i < registers.Length; i++) _code.LoadInts(registers[i], new Address(W, group * Group + i * Vector));
            for (int row = 0; row < _rows; row++)
            {
                _code.BroadcastInt(X, XField(row, group));
                _code.MultiplyBytes(Product, registers[0], X);
                _code.MultiplyBytes(Second, registers[1], X);
                for (int half = 0; half < Halves; half++)
                {
                    int sum = half == 0 ? Product : Second;
                    _code.BroadcastInt(X, XField(row, group + 1));
                    _code.MultiplyBytes(X, registers[Halves + half], X);
                    _code.AddWords(sum, sum, X);
                    _code.MultiplyWords(sum, sum, Ones);
                    _code.AddInts(Int(row, half), Int(row, half), sum);
                }
            }
        }

        void ScaleSums(string scale)
        {
            for (int row = 0; row < _rows; row++)
            {
                _code.BroadcastInt(X, MetaField(row, nameof(Int8Block.Scale)));
                for (int half = 0; half < Halves; half++)
                {
                    var sum = new Address(Sums, (row * Halves + half) * Vector);
                    _code.Multiply(Product, X, new Address(W, end + (int)Marshal.OffsetOf<PanelUnpacked>(scale) + half * Vector));
                    _code.LoadInts(Second, sum);
                    _code.ConvertToFloats(Int(row, half), Int(row, half));
                    _code.MultiplyAdd(Second, Int(row, half), Product);
                    _code.StoreFloats(sum, Second);
                }
            }
        }
    }

    private static int Float(int row, int half) => row * Halves + half;

    private int Int(int row, int half) => (_rows == ManyRows ? 0 : Halves * _rows) + row * Halves + half;

    private static Address XField(int row, int group) => Row(XRow, row, XStride, XStride3).Plus(4 * group);

    private static Address MetaField(int row, string name) =>
        Row(Meta, row, MetaStride, MetaStride3).Plus((int)Marshal.OffsetOf<Int8Block>(name));

    private static Address Row(Gpr first, int row, Gpr stride, Gpr stride3) => row switch
    {
        0 => new(first, 0),
        3 => new(first, 0, stride3),
        _ => new(first, 0, stride, row),
    };
}
