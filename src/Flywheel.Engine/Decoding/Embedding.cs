using System.Numerics.Tensors;

namespace Flywheel.Engine;

/// <summary>How the states of a text's tokens become one vector.</summary>
public enum Pooling
{
    Mean,

    /// <summary>The last token has seen the whole text.</summary>
    LastToken,
}

/// <summary>The model's state after its final norm, pooled over a text.</summary>
internal sealed unsafe class EmbeddingSequence(int[] tokens, int hiddenSize, Pooling pooling, bool normalize) : ReadingSequence(tokens)
{
    private readonly double[] _sum = new double[hiddenSize];

    public override bool ReadsStates => true;

    protected override float[] Values
    {
        get
        {
            double scale = normalize ? 1 / Math.Max(TensorPrimitives.Norm<double>(_sum), double.Epsilon) : pooling == Pooling.Mean
                ? 1.0 / PromptLength : 1;
            return [.. _sum.Select(value => (float)(value * scale))];
        }
    }

    public override bool Wants(int position) => pooling == Pooling.Mean || position == PromptLength - 1;

    /// <summary>In order of position, one by one, so that the sum does not depend on how the text was cut into steps.</summary>
    public override void Read(float* states, long ld, int count, int position, LogitsReader reader, int threadId)
    {
        if (position == 0 || pooling == Pooling.LastToken) Array.Clear(_sum); // it may be read a second time
        for (int i = 0; i < count; i++, states += ld)
            for (int c = 0; c < _sum.Length; c++) _sum[c] += states[c];
    }
}
