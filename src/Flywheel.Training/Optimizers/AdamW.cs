using System.Numerics;

namespace Flywheel.Training;

/// <summary>
/// Adam with decoupled weight decay (Kingma and Ba 2014, arXiv 1412.6980; Loshchilov and Hutter 2019, arXiv 1711.05101), one
/// pass over memory.
/// </summary>
internal static unsafe class AdamW
{
    private const float Epsilon = 1e-8f;

    /// <param name="parameter">Updated.</param>
    /// <param name="first">Running mean of the gradient.</param>
    /// <param name="second">Running mean of its square.</param>
    /// <param name="step">Counted from 1.</param>
    /// <param name="rate">This step's learning rate.</param>
    /// <param name="clip">Factor of the gradient.</param>
    /// <param name="decay">Weight decay.</param>
    /// <param name="betas">How much of each running mean is kept.</param>
    public static void Update(Tensor parameter, Tensor first, Tensor second, int step, double rate, float clip, double decay,
        (double First, double Second) betas)
    {
        float scale = (float)(rate / (1 - Math.Pow(betas.First, step))),
            rootCorrection = (float)(1 / Math.Sqrt(1 - Math.Pow(betas.Second, step))), keep = (float)(1 - rate * decay);
        using Tensor gradient = parameter.grad!;
        (nint p, nint g, nint m, nint v) = ((nint)Rows.Floats(parameter), (nint)Rows.Floats(gradient), (nint)Rows.Floats(first),
            (nint)Rows.Floats(second));
        Rows.ForEach(parameter.numel(), 4, (start, end) =>
        {
            int n = end - start;
            Update(new((float*)p + start, n), new((float*)g + start, n), new((float*)m + start, n), new((float*)v + start, n), clip, keep,
                (float)betas.First, (float)betas.Second, scale, rootCorrection);
        });
    }

    private static void Update(Span<float> p, ReadOnlySpan<float> g, Span<float> m, Span<float> v, float clip, float keep, float beta1,
        float beta2, float scale, float rootCorrection)
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
}
