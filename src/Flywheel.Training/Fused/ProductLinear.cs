// N rows, I inputs, O outputs.
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>x W^T, or x W^T + a residual, in fp32 by <see cref="Products"/>.</summary>
internal sealed class ProductLinear : autograd.SingleTensorFunction<ProductLinear>
{
    public override string Name => nameof(ProductLinear);

    /// <param name="x">[N, I].</param>
    /// <param name="weight">[O, I]; without gradient it is not learnt.</param>
    /// <param name="residual">Added to the product, [N, O].</param>
    public static Tensor Apply(Tensor x, Tensor weight, Tensor? residual = null) => apply(residual is null ? [x, weight] : [x, weight, residual]);

    public override Tensor forward(autograd.AutogradContext context, params object[] arguments)
    {
        (Tensor x, Tensor weight) = ((Tensor)arguments[0], (Tensor)arguments[1]);
        Tensor? residual = arguments.Length > 2 ? (Tensor)arguments[2] : null;
        context.save_for_backward([x, weight]);
        context.save_data("residual", residual is not null);
        return Products.WithTransposed(x, weight, residual); // [N, O]
    }

    public override List<Tensor> backward(autograd.AutogradContext context, Tensor gradient)
    {
        using var noGrad = no_grad();
        List<Tensor> saved = context.get_saved_variables();
        (Tensor x, Tensor weight, Tensor g) = (saved[0], saved[1], gradient.contiguous());
        Tensor dx = Products.Of(g, weight); // [N, I]
        // A micro-batch's gradient is whole before it is added to another's: ranks add whole ones too, and get the same bits.
        Tensor dWeight = weight.requires_grad ? Products.OfTransposed(g, x) : null!; // [O, I]
        return (bool)context.get_data("residual") ? [dx, dWeight, gradient] : [dx, dWeight];
    }
}
