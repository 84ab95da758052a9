// W a hidden matrix [R, C].
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// Muon (Jordan 2024, kellerjordan.github.io/posts/muon): momentum whose singular values are all brought to about 1 before
/// the step, so that every direction of a matrix learns at one speed. The orthogonal factor comes from five matrix
/// polynomials with the coefficients of Polar Express (Amsel 2025, arXiv 2505.16932).
/// </summary>
internal static class Muon
{
    /// <summary>Momentum begins lower, while gradients still turn quickly.</summary>
    private const double FirstMomentum = 0.85, Momentum = 0.95;

    private const int MomentumWarmup = 300;

    /// <summary>Paper's table for 5 steps: p(x) = a x + b x^3 + c x^5, each the best for what the one before leaves.</summary>
    private static readonly (double A, double B, double C)[] s_polynomials =
    [
        (8.156554524902461, -22.48329292557795, 15.878769915207462),
        (4.042929935166739, -2.808917465908714, 0.5000178451051316),
        (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
        (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
        (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
    ];

    /// <param name="parameter">Updated.</param>
    /// <param name="momentum">Running mean of the gradient.</param>
    /// <param name="step">Counted from 1.</param>
    /// <param name="rate">This step's learning rate.</param>
    /// <param name="clip">Factor of the gradient.</param>
    /// <param name="decay">Weight decay.</param>
    public static void Update(Parameter parameter, Tensor momentum, int step, double rate, float clip, double decay)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        double kept = FirstMomentum + (Momentum - FirstMomentum) * Math.Min(1, (step - 1) / (double)MomentumWarmup);
        using Tensor gradient = parameter.Tensor.grad!;
        momentum.mul_(kept).add_(gradient, (1 - kept) * clip);
        Tensor direction = momentum.mul(kept).add_(gradient, (1 - kept) * clip); // Nesterov: looks one step ahead
        parameter.Tensor.mul_(1 - rate * decay);
        long row = 0;
        foreach (long rows in parameter.HiddenRows)
        {
            // A tall matrix's update keeps the size of what it maps to.
            double size = Math.Sqrt(Math.Max(1, rows / (double)direction.shape[1]));
            parameter.Tensor.narrow(0, row, rows).add_(Orthogonal(direction.narrow(0, row, rows)), -rate * size);
            row += rows;
        }
    }

    /// <summary>U V^T of a matrix U S V^T, nearly: its singular values end near 1.</summary>
    internal static unsafe Tensor Orthogonal(Tensor matrix)
    {
        bool tall = matrix.shape[0] > matrix.shape[1];
        Tensor wide = tall ? matrix.t() : matrix, x = Arena.Empty(wide.shape); // the Gram matrix is then the smaller one
        double norm = Math.Sqrt(Rows.SumOfSquares(new(Rows.Floats(matrix), (int)matrix.numel())));
        x.copy_(wide).mul_(1 / (norm * 1.02 + 1e-6)); // the polynomials want singular values up to 1, with the paper's safety of 2%
        foreach ((double a, double b, double c) in s_polynomials)
        {
            using var scope = NewDisposeScope();
            Tensor gram = Products.WithTransposed(x, x), factor = Products.Of(gram, gram);
            factor.mul_(c).add_(gram, b); // b G + c G^2
            Tensor next = Products.Of(factor, x);
            next.add_(x, a);
            x.Dispose();
            x = next.MoveToOuterDisposeScope();
        }
        return tall ? x.t() : x;
    }
}
