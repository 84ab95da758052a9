using System.Numerics;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>The rotation of every position, each [T, D/2]: cos and sin of position times <see cref="RopeFrequencies"/>.</summary>
internal sealed class RopeTable
{
    private readonly float[] _cos, _sin;
    private readonly int _half;

    public RopeTable(ModelConfig config)
    {
        RopeFrequencies frequencies = RopeFrequencies.Compute(config);
        _half = config.HeadDim / 2;
        (_cos, _sin) = (new float[config.MaxPositions * _half], new float[config.MaxPositions * _half]);
        for (int position = 0; position < config.MaxPositions; position++)
        {
            for (int i = 0; i < _half; i++)
            {
                (double sin, double cos) = Math.SinCos(position * frequencies.Inverse[i]);
                (_sin[position * _half + i], _cos[position * _half + i]) = ((float)(frequencies.AttentionFactor * sin), (float)(frequencies.AttentionFactor * cos));
            }
        }
    }

    /// <summary>(a, b) to (a cos - b sin, b cos + a sin) with a and b the halves of a head; sign -1 turns back.</summary>
    public void Turn(ReadOnlySpan<float> x, int position, float sign, Span<float> y)
    {
        ReadOnlySpan<float> cos = _cos.AsSpan(position * _half, _half), sin = _sin.AsSpan(position * _half, _half);
        int i = 0;
        for (; i <= _half - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> a = new(x[i..]), b = new(x[(_half + i)..]), c = new(cos[i..]), s = new Vector<float>(sin[i..]) * sign;
            (a * c - b * s).CopyTo(y[i..]);
            (b * c + a * s).CopyTo(y[(_half + i)..]);
        }
        for (; i < _half; i++)
        {
            (float a, float b, float c, float s) = (x[i], x[_half + i], cos[i], sin[i] * sign);
            (y[i], y[_half + i]) = (a * c - b * s, b * c + a * s);
        }
    }
}
