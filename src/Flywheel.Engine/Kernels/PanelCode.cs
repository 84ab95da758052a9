using System.Runtime.InteropServices;
using Flywheel.Model;
using static Flywheel.Engine.Kernels.Gpr;

namespace Flywheel.Engine.Kernels;

/// <summary>What the kinds of machine code of products over stored panels have in common: where a job's parts are, and the walk over its
/// blocks.</summary>
internal static class PanelCode
{
    public const Gpr Job = Rdi, W = Rsi, Scales = Rdx, Blocks = Rcx;

    /// <summary>Where a super-block's small scales end. The job's register: who walks saves the job.</summary>
    private const Gpr SmallEnd = Rdi;

    private const int Outputs = KernelTable.Panel, SmallBytes = 2 * Outputs;

    public static Address Field(string name) => new(Job, (int)Marshal.OffsetOf<ProductJob>(name));

    /// <summary>Repeats a block until <see cref="Blocks"/> is 0, with <see cref="Scales"/> on its scales or on those of its
    /// super-block.</summary>
    /// <param name="code">To write to.</param>
    /// <param name="type">Of the panel.</param>
    /// <param name="small">Register for the small scales that follow a super-block's d (and dmin).</param>
    /// <param name="superBlock">Writes what a super-block's blocks share.</param>
    /// <param name="block">Writes a block, and goes on to the weights and inputs of the next.</param>
    public static void ForEachBlock(this Assembler code, TensorType type, Gpr small, Action superBlock, Action block)
    {
        int start = code.Position;
        if (!PanelLayout.HasSuperBlocks(type))
        {
            block();
            code.Add(Scales, Outputs * sizeof(ushort));
            code.Add(Blocks, -1);
            code.JumpIfNotZero(start);
            return;
        }
        code.LoadAddress(small, new Address(Scales, PanelLayout.SmallOffset(type, Outputs)));
        code.LoadAddress(SmallEnd, new Address(small, PanelLayout.SuperBlocks * SmallBytes));
        superBlock();
        int loop = code.Position;
        block();
        code.Add(small, SmallBytes);
        code.Compare(small, SmallEnd);
        code.JumpIfNotZero(loop);
        code.LoadAddress(Scales, new Address(SmallEnd, 0)); // where the small scales end, the next super-block begins
        code.Add(Blocks, -PanelLayout.SuperBlocks);
        code.JumpIfNotZero(start);
    }
}
