using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>Where kernels add a weight's gradient themselves.</summary>
internal static class Gradients
{
    /// <summary>The weight's <c>grad</c>, zero if it had none.</summary>
    public static Tensor Of(Tensor weight)
    {
        if (weight.grad is { } found) return found;
        using var noGrad = no_grad();
        Tensor zero = zeros(weight.shape);
        weight.grad = zero;
        return weight.grad!;
    }
}
