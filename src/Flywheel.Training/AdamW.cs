using System.Numerics;
using Flywheel.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101), one pass over memory, for the
/// parameters that this rank owns. Decay applies to matrices only: gains and biases have no scale to shrink towards.
/// </summary>
internal sealed unsafe class AdamW : IDisposable
{
    private const float Epsilon = 1e-8f;

    private readonly TrainRecipe _recipe;
    private readonly (string Name, Tensor Tensor)[] _parameters;
    private readonly (Tensor First, Tensor Second)[] _moments;

    public AdamW(IEnumerable<(string Name, Tensor Tensor)> parameters, TrainRecipe recipe)
    {
        (_parameters, _recipe) = ([.. parameters], recipe);
        _moments = [.. _parameters.Select(parameter => (zeros_like(parameter.Tensor, requires_grad: false).DetachFromDisposeScope(), zeros_like(parameter.Tensor, requires_grad: false).DetachFromDisposeScope()))];
    }

    /// <summary>What a checkpoint keeps: running mean and mean square of each parameter's gradient.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> State =>
        _parameters.SelectMany((parameter, i) => new[] { ($"first.{parameter.Name}", _moments[i].First), ($"second.{parameter.Name}", _moments[i].Second) });

    /// <summary>Updates the parameters from their <c>grad</c>.</summary>
    /// <param name="step">Counted from 1.</param>
    /// <param name="rate">This step's learning rate.</param>
    /// <param name="norm">Of the gradient of all parameters, for clipping.</param>
    public void Step(int step, double rate, double norm)
    {
        float clip = _recipe.ClipNorm > 0 && norm > _recipe.ClipNorm ? (float)(_recipe.ClipNorm / norm) : 1;
        float beta1 = (float)_recipe.Beta1, beta2 = (float)_recipe.Beta2;
        float scale = (float)(rate / (1 - Math.Pow(_recipe.Beta1, step))), rootCorrection = (float)(1 / Math.Sqrt(1 - Math.Pow(_recipe.Beta2, step)));
        for (int i = 0; i < _parameters.Length; i++)
        {
            Tensor parameter = _parameters[i].Tensor;
            float keep = parameter.dim() >= 2 ? (float)(1 - rate * _recipe.WeightDecay) : 1;
            (nint p, nint g, nint m, nint v) = ((nint)Rows.Floats(parameter), (nint)Rows.Floats(parameter.grad!), (nint)Rows.Floats(_moments[i].First), (nint)Rows.Floats(_moments[i].Second));
            Rows.ForEach(parameter.numel(), 4, (_, first, end) =>
            {
                int n = end - first;
                Update(new((float*)p + first, n), new((float*)g + first, n), new((float*)m + first, n), new((float*)v + first, n), clip, keep, beta1, beta2, scale, rootCorrection);
            });
        }
    }

    private static void Update(Span<float> p, ReadOnlySpan<float> g, Span<float> m, Span<float> v, float clip, float keep, float beta1, float beta2, float scale, float rootCorrection)
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
    }

    public void Dispose()
    {
        foreach ((Tensor first, Tensor second) in _moments)
        {
            first.Dispose();
            second.Dispose();
        }
    }
}
