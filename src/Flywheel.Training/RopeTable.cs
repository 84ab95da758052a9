using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
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
                (_sin[position * _half + i], _cos[position * _half + i]) = ((float)(frequencies.AttentionFactor * sin),
                    (float)(frequencies.AttentionFactor * cos));
            }
        }
    }

    /// <summary>(a, b) to (a cos - b sin, b cos + a sin) times <paramref name="scale"/>, with a and b the halves of a head; sign -1 turns
    /// back.</summary>
    public void Turn(ReadOnlySpan<float> x, int position, float sign, float scale, Span<float> y)
    {
        ReadOnlySpan<float> cos = _cos.AsSpan(position * _half, _half), sin = _sin.AsSpan(position * _half, _half);
        ReadOnlySpan<float> x1 = x[.._half], x2 = x.Slice(_half, _half);
        Span<float> y1 = y[.._half], y2 = y.Slice(_half, _half);
        ref float a0 = ref MemoryMarshal.GetReference(x1), b0 = ref MemoryMarshal.GetReference(x2),
            c0 = ref MemoryMarshal.GetReference(cos), s0 = ref MemoryMarshal.GetReference(sin);
        int i = 0;
        for (; i <= _half - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            Vector256<float> a = Vector256.LoadUnsafe(ref a0, (nuint)i), b = Vector256.LoadUnsafe(ref b0, (nuint)i);
            Vector256<float> c = Vector256.LoadUnsafe(ref c0, (nuint)i) * scale,
                s = Vector256.LoadUnsafe(ref s0, (nuint)i) * (sign * scale);
            (a * c - b * s).StoreUnsafe(ref MemoryMarshal.GetReference(y1), (nuint)i);
            (b * c + a * s).StoreUnsafe(ref MemoryMarshal.GetReference(y2), (nuint)i);
        }
        for (; i < _half; i++)
        {
            (float a, float b, float c, float s) = (x1[i], x2[i], cos[i] * scale, sin[i] * (sign * scale));
            (y1[i], y2[i]) = (a * c - b * s, b * c + a * s);
        }
    }
}
