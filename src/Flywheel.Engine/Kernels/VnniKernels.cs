using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using static Flywheel.Engine.Kernels.Gpr;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// Integer products with AVX-512 VNNI: one instruction multiplies 64 weights by 4 values of x. .NET 10 has no intrinsic
/// for it, so the loop is assembled at start, once for every number of rows up to 12.
/// </summary>
internal static unsafe class VnniKernels
{
    /// <summary>Two sums a row, the weights, a scale and a product fit the 32 registers.</summary>
    private const int MaxRows = 12;

    private const int Outputs = 16;

    private static readonly nint[] Code8 = IsAvailable() ? Assemble(nibbles: false) : [];
    private static readonly nint[] Code4 = IsAvailable() ? Assemble(nibbles: true) : [];

    public static KernelTable Table { get; } = new()
    {
        Name = "vnni",
        IsSupported = Avx512Attention.IsSupported && Code8.Length > 0 && Code8.Concat(Code4).All(function => function != 0),
        IntPanel = Outputs,
        Int8Bias = 128, // the instruction takes unsigned weights; the inputs' sums take the bias off again
        MultiplyFp32 = VectorKernels.Table.MultiplyFp32,
        MultiplyInt8 = &MultiplyInt8,
        MultiplyInt4 = &MultiplyInt4,
        Quantize = VectorKernels.Table.Quantize,
        RmsNorm = VectorKernels.Table.RmsNorm,
        SwiGlu = VectorKernels.Table.SwiGlu,
        Rotate = VectorKernels.Table.Rotate,
        AttendSpan = &TiledAttention<Avx512Attention>.AttendSpan,
        FoldSpans = VectorKernels.Table.FoldSpans,
        LogSumExp = VectorKernels.Table.LogSumExp,
        Exponentials = VectorKernels.Table.Exponentials,
    };

    private static bool IsAvailable() =>
        OperatingSystem.IsLinux() && Avx512BW.IsSupported && (X86Base.CpuId(7, 0).Ecx >> 11 & 1) == 1;

    private static void MultiplyInt8(sbyte* panel, Half* scales, int blocks, Int8Rows* x, int rows, float* y, long ldy, bool add) => Multiply(Code8, panel, scales, blocks, x, rows, y, ldy, add);

    private static void MultiplyInt4(byte* panel, Half* scales, int blocks, Int8Rows* x, int rows, float* y, long ldy, bool add) => Multiply(Code4, panel, scales, blocks, x, rows, y, ldy, add);

    private static void Multiply(nint[] code, void* panel, Half* scales, int blocks, Int8Rows* x, int rows, float* y, long ldy, bool add)
    {
        long k = (long)blocks * KernelTable.Block;
        var job = new Job { Weights = panel, Scales = scales, Blocks = blocks, XStride = k, BlockStride = (long)blocks * sizeof(Int8Block), YStride = ldy * sizeof(float), Add = add ? 1 : 0, LowNibbles = 0x0F0F0F0F };
        for (int row = 0; row < rows; row += MaxRows)
        {
            job.X = x->Values + row * k;
            job.XBlocks = x->Blocks + (long)row * blocks;
            job.Y = y + row * ldy;
            ((delegate* unmanaged[SuppressGCTransition]<Job*, void>)code[Math.Min(MaxRows, rows - row)])(&job);
        }
    }

    /// <summary>[rows] functions; entry 0 is not used.</summary>
    private static nint[] Assemble(bool nibbles) => [1, .. Enumerable.Range(1, MaxRows).Select(rows => Assemble(rows, nibbles))];

    private static nint Assemble(int rows, bool nibbles)
    {
        const int weights = 31, scale = 30, product = 29, pairs = 28, lowNibbles = 27, firstInt = 12; // sums of floats are 0 to 11, of integers 12 to 23
        const int half = KernelTable.Block / 2;
        int blockBytes = Outputs * KernelTable.Block / (nibbles ? 2 : 1);
        const Gpr job = Rdi, w = Rsi, scales = Rdx, blocks = Rcx, xStride = Rax, xStride3 = R11, metaStride = Rbx, metaStride3 = Rbp;
        Gpr[] x = [R8, R9, R10], meta = [R12, R13, R14], saved = [Rbx, Rbp, R12, R13, R14];
        var code = new Assembler();
        foreach (Gpr register in saved) code.Push(register);
        code.Load(w, Field(nameof(Job.Weights)));
        code.Load(scales, Field(nameof(Job.Scales)));
        code.Load(blocks, Field(nameof(Job.Blocks)));
        Rows(x, nameof(Job.X), xStride, nameof(Job.XStride), xStride3);
        Rows(meta, nameof(Job.XBlocks), metaStride, nameof(Job.BlockStride), metaStride3);
        for (int row = 0; row < rows; row++) code.Zero(row);
        if (nibbles) code.BroadcastInt(lowNibbles, Field(nameof(Job.LowNibbles)));

        int loop = code.Position;
        for (int row = 0; row < rows; row++)
        {
            code.BroadcastInt(firstInt + row, Row(meta, row, metaStride, metaStride3).Plus((int)Marshal.OffsetOf<Int8Block>(nameof(Int8Block.BiasedSum))));
            if (nibbles) code.ShiftIntsRight(firstInt + row, firstInt + row, 4); // their bias is 8 instead of 128
        }
        for (int at = 0; at < blockBytes; at += 4 * Outputs)
        {
            var source = new Address(w, at);
            code.Prefetch(source.Plus(2048));
            if (!nibbles)
            {
                code.LoadInts(weights, source);
                AddProducts(at / Outputs);
                continue;
            }
            code.LoadInts(pairs, source);
            code.And(weights, pairs, lowNibbles);
            AddProducts(at / Outputs);
            code.ShiftWordsRight(pairs, pairs, 4);
            code.And(weights, pairs, lowNibbles);
            AddProducts(at / Outputs + half);
        }
        code.LoadHalves(scale, new Address(scales, 0));
        for (int row = 0; row < rows; row++)
        {
            code.ConvertToFloats(firstInt + row, firstInt + row);
            code.MultiplyByBroadcast(product, scale, Row(meta, row, metaStride, metaStride3));
            code.MultiplyAdd(row, firstInt + row, product);
        }
        code.Add(w, blockBytes);
        code.Add(scales, Outputs * sizeof(ushort));
        for (int tile = 0; tile * 4 < rows; tile++)
        {
            code.Add(x[tile], KernelTable.Block);
            code.Add(meta[tile], sizeof(Int8Block));
        }
        code.Add(blocks, -1);
        code.JumpIfNotZero(loop);

        code.Load(Rax, Field(nameof(Job.Y)));
        code.Load(Rcx, Field(nameof(Job.YStride)));
        code.Load(Rdx, Field(nameof(Job.Add)));
        code.Test(Rdx);
        int store = code.JumpIfZero();
        code.LoadAddress(Rsi, new Address(Rax, 0));
        for (int row = 0; row < rows; row++)
        {
            code.AddFloats(row, row, new Address(Rsi, 0));
            code.Add(Rsi, Rcx);
        }
        code.Land(store);
        for (int row = 0; row < rows; row++)
        {
            code.StoreFloats(new Address(Rax, 0), row);
            code.Add(Rax, Rcx);
        }
        foreach (Gpr register in saved.Reverse()) code.Pop(register);
        code.Return();
        return code.Publish();

        Address Field(string name) => new(job, (int)Marshal.OffsetOf<Job>(name));

        // Four weights of every output, times the same four values of each row.
        void AddProducts(int k)
        {
            for (int row = 0; row < rows; row++) code.DotBytes(firstInt + row, weights, Row(x, row, xStride, xStride3).Plus(k));
        }

        // Rows 0, 4 and 8 get a register, the three after each are reached by one, two and three strides.
        void Rows(Gpr[] bases, string start, Gpr stride, string strideField, Gpr stride3)
        {
            code.Load(stride, Field(strideField));
            code.LoadAddress(stride3, new Address(stride, 0, stride, 2));
            code.Load(bases[0], Field(start));
            for (int tile = 1; tile * 4 < rows; tile++) code.LoadAddress(bases[tile], new Address(bases[tile - 1], 0, stride, 4));
        }

        static Address Row(Gpr[] bases, int row, Gpr stride, Gpr stride3) => (row % 4) switch
        {
            0 => new(bases[row / 4], 0),
            1 => new(bases[row / 4], 0, stride),
            2 => new(bases[row / 4], 0, stride, 2),
            _ => new(bases[row / 4], 0, stride3),
        };
    }

    /// <summary>What an assembled function is given. Strides are in bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Job
    {
        public void* Weights;
        public Half* Scales;
        public long Blocks;
        public sbyte* X;
        public long XStride;
        public Int8Block* XBlocks;
        public long BlockStride;
        public float* Y;
        public long YStride;
        public long Add;
        public long LowNibbles;
    }
}
