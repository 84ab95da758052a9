using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>The rotation of every position, each [T, D/2]: cos and sin of position times <see cref="RopeFrequencies"/>.</summary>
internal sealed class RopeTable
{
    public RopeTable(ModelConfig config)
    {
        RopeFrequencies frequencies = RopeFrequencies.Compute(config);
        int half = config.HeadDim / 2;
        (Cos, Sin) = (new float[config.MaxPositions * half], new float[config.MaxPositions * half]);
        for (int position = 0; position < config.MaxPositions; position++)
        {
            for (int i = 0; i < half; i++)
            {
                (double sin, double cos) = Math.SinCos(position * frequencies.Inverse[i]);
                (Sin[position * half + i], Cos[position * half + i]) = ((float)(frequencies.AttentionFactor * sin), (float)(frequencies.AttentionFactor * cos));
            }
        }
    }

    public float[] Cos { get; }

    public float[] Sin { get; }
}
