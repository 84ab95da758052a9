// N rows, I inputs, O outputs, r rank.
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>A low-rank adapter on some of a projection's rows: A [r, I] and B [rows, r], trained.</summary>
/// <param name="Module">Its name on disk, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
internal sealed record LoraPart(string Module, Tensor A, Tensor B, long FirstRow);

/// <summary>
/// x W^T, plus a bias, plus scale x A^T B^T of each adapter in its rows (Hu 2021, arXiv 2106.09685): the adapters' products are
/// added into the projection's own output. A weight without gradient is not learnt.
/// </summary>
/// <param name="Weight">[O, I].</param>
/// <param name="Bias">[O].</param>
/// <param name="Adapters">On disjoint rows of the weight.</param>
/// <param name="Scale">Factor of every adapter.</param>
/// <param name="HalfStep">
/// Multiply by W in bfloat16, rows filled up to a multiple of this (<see cref="HalfProducts"/>); 0 multiplies in fp32. Weights stay fp32
/// outside. Only worth it where the processor multiplies
/// bfloat16 (AVX512-BF16: 370 GFLOP/s against 150 on two Zen 4 cores; elsewhere far slower).
/// </param>
internal sealed record Projection(Tensor Weight, Tensor? Bias = null, IReadOnlyList<LoraPart>? Adapters = null, float Scale = 0,
    int HalfStep = 0)
{
    public IReadOnlyList<LoraPart> Adapters { get; } = Adapters ?? [];

    private bool Half => HalfStep > 0;

    /// <param name="x">[N, I].</param>
    /// <param name="residual">Added to the product, [N, O].</param>
    /// <returns>[N, O].</returns>
    public Tensor Forward(Tensor x, Tensor? residual = null)
    {
        Tensor y;
        using (var scope = NewDisposeScope())
        {
            y = Half ? HalfProducts.Of(x, Weight.t(), HalfStep) : Products.WithTransposed(x, Weight, residual);
            if (Half && residual is not null) y.add_(residual);
            if (Bias is not null) y.add_(Bias);
            foreach (LoraPart part in Adapters) Rows(y, part).addmm_(x.mm(part.A.t()), part.B.t(), 1, Scale);
            y.MoveToOuterDisposeScope();
        }
        return y;
    }

    /// <summary>The input's gradient, [N, I].</summary>
    /// <param name="g">The output's gradient, [N, O].</param>
    public Tensor InputGradient(Tensor g)
    {
        Tensor dx;
        using (var scope = NewDisposeScope())
        {
            dx = Half ? HalfProducts.Of(g, Weight, HalfStep) : Products.Of(g, Weight);
            foreach (LoraPart part in Adapters) dx.addmm_(Rows(g, part).mm(part.B), part.A, 1, Scale);
            dx.MoveToOuterDisposeScope();
        }
        return dx;
    }

    /// <summary>Adds to the gradients of weight, bias and adapters.</summary>
    public void Learn(Tensor x, Tensor g)
    {
        using var scope = NewDisposeScope();
        if (Weight.requires_grad) Gradient.Add(Weight, Half ? HalfProducts.OverRows(g, x, HalfStep) : Products.OfTransposed(g, x));
        if (Bias is { requires_grad: true }) Gradient.Add(Bias, g.sum([0L]));
        foreach (LoraPart part in Adapters)
        {
            Tensor rows = Rows(g, part);
            Gradient.Add(part.A, rows.mm(part.B).mul_(Scale).t().mm(x));
            Gradient.Add(part.B, rows.t().mm(x.mm(part.A.t())).mul_(Scale));
        }
    }

    private static Tensor Rows(Tensor tensor, LoraPart part) => tensor.narrow(1, part.FirstRow, part.B.shape[0]);
}
