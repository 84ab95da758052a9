// N packed tokens, C channels, H query heads, K key/value heads, D head dim, F feed-forward width.
namespace Flywheel.Training;

/// <summary>
/// One layer, forward and by hand backward: x + attention(norm(x)), then that + SwiGLU(norm(that)). What can be had again in
/// one pass over memory, the normalised inputs and the branch's product, is not kept for the way back.
/// </summary>
/// <param name="InputNorm">[C].</param>
/// <param name="Qkv">[(H + 2K) D, C].</param>
/// <param name="QNorm">[D]; null in layouts without.</param>
/// <param name="KNorm">[D].</param>
/// <param name="Output">[C, H D].</param>
/// <param name="PostNorm">[C].</param>
/// <param name="GateUp">[2F, C].</param>
/// <param name="Down">[C, F].</param>
/// <param name="Eps">Of the norms.</param>
internal sealed record DecoderLayer(Tensor InputNorm, Projection Qkv, Tensor? QNorm, Tensor? KNorm, Projection Output, Tensor PostNorm,
    Projection GateUp, Projection Down, float Eps)
{
    /// <summary>What the way back needs beside the layer's input.</summary>
    /// <param name="Qkv">[N, (H + 2K) D].</param>
    /// <param name="LogSums">[N, H].</param>
    /// <param name="Mixed">What attention gives, [N, H D].</param>
    /// <param name="Middle">The sum between the halves, [N, C].</param>
    /// <param name="GateUp">[N, 2F].</param>
    public sealed record Kept(Tensor Qkv, Tensor LogSums, Tensor Mixed, Tensor Middle, Tensor GateUp) : IDisposable
    {
        public void Dispose()
        {
            foreach (Tensor tensor in new[] { Qkv, LogSums, Mixed, Middle, GateUp }) tensor.Dispose();
        }
    }

    /// <summary>All but the last product, of x [N, C].</summary>
    public Kept Begin(Tensor x, HeadLayout layout)
    {
        Tensor qkv, gateUp;
        using (Tensor h = RmsNorm.Forward(x, InputNorm, Eps)) qkv = Qkv.Forward(h);
        (Tensor mixed, Tensor logSums) = HeadAttention.Forward(qkv, QNorm, KNorm, layout);
        Tensor middle = Output.Forward(mixed, x);
        using (Tensor h = RmsNorm.Forward(middle, PostNorm, Eps)) gateUp = GateUp.Forward(h);
        return new Kept(qkv, logSums, mixed, middle, gateUp);
    }

    /// <summary>The layer's result, [N, C].</summary>
    public Tensor End(Kept kept)
    {
        using Tensor branch = SwiGlu.Forward(kept.GateUp); // [N, F]
        return Down.Forward(branch, kept.Middle);
    }

    /// <summary>Adds to the weights' gradients.</summary>
    /// <param name="x">The layer's input.</param>
    /// <param name="kept">From <see cref="Begin"/>; used up.</param>
    /// <param name="g">Gradient of the result; becomes that of the input.</param>
    /// <param name="layout">Shapes and documents.</param>
    public void Backward(Tensor x, Kept kept, Tensor g, HeadLayout layout)
    {
        using (kept)
        {
            using (Tensor branch = Down.InputGradient(g))
            {
                SwiGlu.Backward(kept.GateUp, branch);
                Down.Learn(branch, g);
            }
            HalfBackward(kept.Middle, PostNorm, GateUp, kept.GateUp, g);
            kept.GateUp.Dispose();
            using (Tensor dMixed = Output.InputGradient(g))
            {
                Output.Learn(kept.Mixed, g);
                HeadAttention.Backward(kept.Qkv, QNorm, KNorm, dMixed, kept.LogSums, layout);
            }
            HalfBackward(x, InputNorm, Qkv, kept.Qkv, g);
        }
    }

    /// <summary>Back through a norm and the projection that reads it.</summary>
    /// <param name="input">Of the norm.</param>
    /// <param name="norm">Its gains.</param>
    /// <param name="projection">Which reads it.</param>
    /// <param name="dOutput">The projection's gradient.</param>
    /// <param name="sum">The residual's gradient, which the input's is added to.</param>
    private void HalfBackward(Tensor input, Tensor norm, Projection projection, Tensor dOutput, Tensor sum)
    {
        using (Tensor h = RmsNorm.Forward(input, norm, Eps)) projection.Learn(h, dOutput);
        using Tensor dh = projection.InputGradient(dOutput);
        RmsNorm.Backward(input, norm, dh, sum, Eps);
    }
}
