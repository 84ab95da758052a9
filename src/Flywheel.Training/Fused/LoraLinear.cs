// N rows, I inputs, O outputs, r rank.
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>A low-rank adapter on some of a projection's rows: A [r, I] and B [rows, r], trained.</summary>
/// <param name="Module">Its name on disk, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
internal sealed record LoraPart(string Module, Tensor A, Tensor B, long FirstRow);

/// <summary>
/// x W^T + scale x A^T B^T with W frozen (Hu 2021, arXiv 2106.09685): the adapters' products are added into the projection's
/// own output, and the backward pass computes no gradient of W.
/// </summary>
internal sealed class LoraLinear : autograd.SingleTensorFunction<LoraLinear>
{
    public override string Name => nameof(LoraLinear);

    /// <param name="x">[N, I].</param>
    /// <param name="weight">[O, I], without gradient.</param>
    /// <param name="parts">Adapters on disjoint rows of the weight.</param>
    /// <param name="scale">Factor of every adapter.</param>
    /// <param name="halfProducts">Multiply by W in bfloat16.</param>
    public static Tensor Apply(Tensor x, Tensor weight, IReadOnlyList<LoraPart> parts, float scale, bool halfProducts) =>
        apply([x, weight, scale, halfProducts, parts.Select(part => part.FirstRow).ToArray(), .. parts.SelectMany(part => new[] { part.A, part.B })]);

    public override Tensor forward(autograd.AutogradContext context, params object[] arguments)
    {
        (Tensor x, Tensor weight, float scale, bool half, long[] rows) = ((Tensor)arguments[0], (Tensor)arguments[1], (float)arguments[2], (bool)arguments[3], (long[])arguments[4]);
        Tensor[] factors = [.. arguments.Skip(5).Cast<Tensor>()];
        Tensor y = half ? HalfLinear.Product(x, weight.t()) : Products.WithTransposed(x, weight); // [N, O]
        List<Tensor> saved = [x, weight, .. factors];
        for (int i = 0; i < rows.Length; i++)
        {
            (Tensor a, Tensor b) = (factors[2 * i], factors[2 * i + 1]);
            Tensor inner = x.mm(a.t()); // [N, r]
            y.narrow(1, rows[i], b.shape[0]).addmm_(inner, b.t(), 1, scale);
            saved.Add(inner);
        }
        context.save_for_backward(saved);
        context.save_data("scale", scale);
        context.save_data("half", half);
        context.save_data("rows", rows);
        return y;
    }

    public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
    {
        List<Tensor> saved = context.get_saved_variables();
        (float scale, bool half, long[] rows) = ((float)context.get_data("scale"), (bool)context.get_data("half"), (long[])context.get_data("rows"));
        Tensor x = saved[0], dx = half ? HalfLinear.Product(gradient, saved[1]) : Products.Of(gradient.contiguous(), saved[1]);
        List<Tensor> gradients = [dx, null!, null!, null!, null!];
        for (int i = 0; i < rows.Length; i++)
        {
            (Tensor a, Tensor b, Tensor inner) = (saved[2 + 2 * i], saved[3 + 2 * i], saved[2 + 2 * rows.Length + i]);
            Tensor g = gradient.narrow(1, rows[i], b.shape[0]); // [N, rows]
            Tensor dInner = g.mm(b).mul_(scale); // [N, r]
            dx.addmm_(dInner, a);
            gradients.Add(dInner.t().mm(x));
            gradients.Add(g.t().mm(inner).mul_(scale));
        }
        return gradients;
    }
}
