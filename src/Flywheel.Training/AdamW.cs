using System.Numerics;
using System.Numerics.Tensors;
using Flywheel.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101) and global clipping, one pass over
/// memory. Decay applies to matrices only: gains and biases have no scale to shrink towards.
/// </summary>
internal sealed unsafe class AdamW : IDisposable
{
    private const float Epsilon = 1e-8f;

    /// <summary>Floats summed in fp32 before the sum goes on in double.</summary>
    private const int NormBlock = 4096;

    private readonly TrainRecipe _recipe;
    private readonly List<(string Name, Tensor Tensor)> _parameters;

    public AdamW(IReadOnlyList<(string Name, Tensor Tensor)> parameters, TrainRecipe recipe)
    {
        (_parameters, _recipe) = ([.. parameters], recipe);
        Moments = [.. parameters.Select(parameter => (zeros_like(parameter.Tensor, requires_grad: false).DetachFromDisposeScope(), zeros_like(parameter.Tensor, requires_grad: false).DetachFromDisposeScope()))];
        foreach ((_, Tensor parameter) in parameters) parameter.grad = zeros_like(parameter, requires_grad: false).DetachFromDisposeScope();
    }

    /// <summary>Running mean and mean square of each parameter's gradient.</summary>
    public IReadOnlyList<(Tensor First, Tensor Second)> Moments { get; }

    /// <summary>Updates the parameters and clears their gradients; touches nothing when a gradient is not finite.</summary>
    /// <param name="step">Counted from 1.</param>
    /// <param name="rate">This step's learning rate.</param>
    /// <returns>Norm of the whole gradient before clipping.</returns>
    public double Step(int step, double rate)
    {
        double norm = GradientNorm();
        if (!double.IsFinite(norm)) return norm;
        float clip = _recipe.ClipNorm > 0 && norm > _recipe.ClipNorm ? (float)(_recipe.ClipNorm / norm) : 1;
        float beta1 = (float)_recipe.Beta1, beta2 = (float)_recipe.Beta2;
        float scale = (float)(rate / (1 - Math.Pow(_recipe.Beta1, step))), rootCorrection = (float)(1 / Math.Sqrt(1 - Math.Pow(_recipe.Beta2, step)));
        for (int i = 0; i < _parameters.Count; i++)
        {
            Tensor parameter = _parameters[i].Tensor;
            float keep = parameter.dim() >= 2 ? (float)(1 - rate * _recipe.WeightDecay) : 1;
            (nint p, nint g, nint m, nint v) = ((nint)Rows.Floats(parameter), (nint)Rows.Floats(parameter.grad!), (nint)Rows.Floats(Moments[i].First), (nint)Rows.Floats(Moments[i].Second));
            Rows.ForEach(parameter.numel(), 4, (_, first, end) =>
            {
                int n = end - first;
                Update(new((float*)p + first, n), new((float*)g + first, n), new((float*)m + first, n), new((float*)v + first, n), clip, keep, beta1, beta2, scale, rootCorrection);
            });
        }
        return norm;
    }

    private static void Update(Span<float> p, Span<float> g, Span<float> m, Span<float> v, float clip, float keep, float beta1, float beta2, float scale, float rootCorrection)
    {
        int i = 0;
        for (; i <= p.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> gradient = new Vector<float>(g[i..]) * clip;
            Vector<float> mean = new Vector<float>(m[i..]) * beta1 + gradient * (1 - beta1);
            Vector<float> square = new Vector<float>(v[i..]) * beta2 + gradient * gradient * (1 - beta2);
            mean.CopyTo(m[i..]);
            square.CopyTo(v[i..]);
            Vector<float> divisor = Vector.SquareRoot(square) * rootCorrection + new Vector<float>(Epsilon);
            (new Vector<float>(p[i..]) * keep - mean * scale / divisor).CopyTo(p[i..]);
        }
        for (; i < p.Length; i++)
        {
            float gradient = g[i] * clip;
            m[i] = m[i] * beta1 + gradient * (1 - beta1);
            v[i] = v[i] * beta2 + gradient * gradient * (1 - beta2);
            p[i] = p[i] * keep - m[i] * scale / (MathF.Sqrt(v[i]) * rootCorrection + Epsilon);
        }
        g.Clear();
    }

    private double GradientNorm()
    {
        double sum = 0;
        foreach ((_, Tensor parameter) in _parameters)
        {
            var gradient = new ReadOnlySpan<float>(Rows.Floats(parameter.grad!), checked((int)parameter.numel()));
            for (int at = 0; at < gradient.Length; at += NormBlock)
                sum += TensorPrimitives.SumOfSquares(gradient[at..Math.Min(at + NormBlock, gradient.Length)]);
        }
        return Math.Sqrt(sum);
    }

    public void Dispose()
    {
        foreach ((Tensor first, Tensor second) in Moments)
        {
            first.Dispose();
            second.Dispose();
        }
    }
}
