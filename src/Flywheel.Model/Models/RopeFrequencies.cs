namespace Flywheel.Model;

/// <summary>
/// How far each pair of a head turns from one position to the next (Su et al. 2021, arXiv 2104.09864), with the model's
/// scaling: what engine and trainer both fill their tables from.
/// </summary>
/// <param name="Inverse">[D / 2]: radians a position.</param>
/// <param name="AttentionFactor">Factor of every cos and sin.</param>
public sealed record RopeFrequencies(double[] Inverse, float AttentionFactor)
{
    public static RopeFrequencies Compute(ModelConfig config)
    {
        int half = config.HeadDim / 2;
        double[] plain = [.. Enumerable.Range(0, half).Select(i => Math.Pow(config.RopeTheta, -2.0 * i / config.HeadDim))];
        return config.RopeScaling switch
        {
            null => new(plain, 1),
            { Type: RopeScalingType.Linear } linear => new([.. plain.Select(frequency => frequency / linear.Factor)], 1),
            { Type: RopeScalingType.Llama3 } llama => new([.. plain.Select(frequency => Llama3(frequency, llama))], 1),
            { } yarn => new(Yarn(plain, config, yarn), YarnAttention(yarn)),
        };
    }

    private static double Llama3(double frequency, RopeScaling scaling)
    {
        double turns = (double)scaling.OriginalMaxPositions! * frequency / (2 * Math.PI);
        double kept = Math.Clamp((turns - scaling.LowFreqFactor) / (scaling.HighFreqFactor - scaling.LowFreqFactor), 0, 1);
        return Blend(frequency, scaling.Factor, kept);
    }

    private static double[] Yarn(double[] plain, ModelConfig config, RopeScaling scaling)
    {
        double low = Dimension(scaling.BetaFast), high = Dimension(scaling.BetaSlow);
        if (scaling.Truncate) (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, config.HeadDim - 1));
        if (low == high) high += 0.001; // a ramp needs a width; this one is transformers'
        return [.. plain.Select((frequency, i) => Blend(frequency, scaling.Factor, 1 - Math.Clamp((i - low) / (high - low), 0, 1)))];

        // Index of the pair that turns so many times over the original length.
        double Dimension(double turns) =>
            config.HeadDim * Math.Log((double)scaling.OriginalMaxPositions! / (turns * 2 * Math.PI)) / (2 * Math.Log(config.RopeTheta));
    }

    private static float YarnAttention(RopeScaling scaling)
    {
        if (scaling.AttentionFactor is { } given) return (float)given;
        if (scaling is { MScale: { } mScale, MScaleAllDim: { } all }) return (float)(Size(mScale) / Size(all));
        return (float)Size(1);

        double Size(double mScale) => scaling.Factor <= 1 ? 1 : 0.1 * mScale * Math.Log(scaling.Factor) + 1;
    }

    private static double Blend(double frequency, double factor, double kept) => kept * frequency + (1 - kept) * frequency / factor;
}
