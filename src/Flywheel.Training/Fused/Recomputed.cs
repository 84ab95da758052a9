using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// Keeps only a block's input and computes the block again on the way back (gradient checkpointing: Chen 2016, arXiv
/// 1604.06174): the same operations on the same numbers, so the same gradients to the bit, for a third more work.
/// </summary>
internal sealed class Recomputed : autograd.SingleTensorFunction<Recomputed>
{
    public override string Name => nameof(Recomputed);

    /// <param name="x">The input; must have a gradient, or nothing below the block is learnt.</param>
    /// <param name="block">Called twice; its weights get their gradients in the second pass.</param>
    public static Tensor Apply(Tensor x, Func<Tensor, Tensor> block) => apply(x, block);

    public override Tensor forward(autograd.AutogradContext context, params object[] arguments)
    {
        (Tensor x, var block) = ((Tensor)arguments[0], (Func<Tensor, Tensor>)arguments[1]);
        context.save_for_backward([x]);
        context.save_data("block", block);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return block(x).MoveToOuterDisposeScope();
    }

    public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
    {
        using var withGrad = enable_grad();
        using var scope = NewDisposeScope();
        Tensor x = context.get_saved_variables()[0].detach().requires_grad_(true);
        Tensor y = ((Func<Tensor, Tensor>)context.get_data("block"))(x);
        y.backward([gradient]);
        return [x.grad!.MoveToOuterDisposeScope(), null!];
    }
}
