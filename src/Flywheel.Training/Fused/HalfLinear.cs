// N rows, I inputs, O outputs.
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// x W^T with bfloat16 factors and an fp32 result, and its gradients likewise: mixed precision (Micikevicius 2018, arXiv
/// 1710.03740) without loss scaling, which bfloat16's range makes needless. Weights stay fp32 outside. Only worth it where
/// the processor multiplies bfloat16 (AVX512-BF16: 370 GFLOP/s against 150 on two Zen 4 cores; elsewhere far slower).
/// </summary>
internal sealed class HalfLinear : autograd.SingleTensorFunction<HalfLinear>
{
    public override string Name => nameof(HalfLinear);

    /// <param name="x">[N, I].</param>
    /// <param name="weight">[O, I].</param>
    public static Tensor Apply(Tensor x, Tensor weight) => apply(x, weight);

    public override Tensor forward(autograd.AutogradContext context, params object[] arguments)
    {
        Tensor x = ((Tensor)arguments[0]).to(bfloat16), weight = ((Tensor)arguments[1]).to(bfloat16);
        context.save_for_backward([x, weight]);
        return Product(x, weight.t()); // [N, O]
    }

    public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
    {
        List<Tensor> saved = context.get_saved_variables();
        Tensor g = gradient.to(bfloat16);
        return [Product(g, saved[1]), Product(g.t(), saved[0])];
    }

    /// <summary>Of fp32 or bfloat16 matrices, in bfloat16, as fp32.</summary>
    public static Tensor Product(Tensor a, Tensor b) => a.to(bfloat16).mm(b.to(bfloat16)).to(float32);
}
