namespace Flywheel.Model.Tests;

/// <summary>
/// Against values of transformers' published formulas (modeling_rope_utils.py, 4.5x), evaluated in Python in fp64.
/// </summary>
public class RopeFrequenciesTests
{
    private static ModelConfig Config(int headDim, float theta, RopeScaling? scaling) => new()
    {
        HiddenSize = 8, IntermediateSize = 8, NumLayers = 1, NumHeads = 2, NumKvHeads = 1, HeadDim = headDim, VocabSize = 8,
        MaxPositions = 64,
        RopeTheta = theta, RopeScaling = scaling,
    };

    [Fact]
    public void Compute_NoScaling_IsThePlainSeries()
    {
        RopeFrequencies found = RopeFrequencies.Compute(Config(6, 1000, null));
        Assert.Equal([1, 0.1, 0.01], found.Inverse.Select(value => Math.Round(value, 12)));
        Assert.Equal(1, found.AttentionFactor);
    }

    [Fact]
    public void Compute_Linear_DividesEveryFrequency()
    {
        RopeFrequencies plain = RopeFrequencies.Compute(Config(64, 10_000, null)),
            found = RopeFrequencies.Compute(Config(64, 10_000, new() { Type = RopeScalingType.Linear, Factor = 8 }));
        Assert.Equal(plain.Inverse.Select(value => value / 8), found.Inverse);
        Assert.Equal(1, found.AttentionFactor);
    }

    [Fact]
    public void Compute_Llama3OfLlama32_EqualsTransformers()
    {
        RopeFrequencies found =
            RopeFrequencies.Compute(Config(64, 500_000,
                new() { Type = RopeScalingType.Llama3, Factor = 32, LowFreqFactor = 1, HighFreqFactor = 4, OriginalMaxPositions = 8192 }));
        AssertEqual(found, (0, 1), (8, 0.0376060309), (13, 0.00483942135), (14, 0.00321144599), (15, 0.00129054793), (16, 0.000429556797),
            (17, 9.7082878e-05), (20, 8.57025549e-06), (31, 9.41830673e-08));
        Assert.Equal(1, found.AttentionFactor);
    }

    [Fact]
    public void Compute_YarnOfQwen3_EqualsTransformers()
    {
        RopeFrequencies found =
            RopeFrequencies.Compute(Config(128, 1_000_000,
                new() { Type = RopeScalingType.Yarn, Factor = 4, OriginalMaxPositions = 32768 }));
        AssertEqual(found, (0, 1), (20, 0.0133352143), (23, 0.00697830585), (24, 0.00537532149), (30, 0.00106436098), (35, 0.000246258407),
            (39, 6.49039432e-05), (40, 4.44569853e-05), (41, 3.58253143e-05), (63, 3.1023444e-07));
        Assert.Equal(1.138629436f, found.AttentionFactor);
    }

    [Fact]
    public void Compute_YarnWithOptions_EqualsTransformers()
    {
        var scaling = new RopeScaling { Type = RopeScalingType.Yarn, Factor = 2.5, OriginalMaxPositions = 2048, BetaFast = 16, BetaSlow = 2,
            Truncate = false };
        RopeFrequencies found = RopeFrequencies.Compute(Config(64, 10_000, scaling));
        AssertEqual(found, (0, 1), (8, 0.1), (10, 0.0562341325), (12, 0.0276105529), (14, 0.0125728967), (16, 0.00540929536),
            (18, 0.0022493653), (20, 0.00126491106), (31, 5.33408573e-05));
        Assert.Equal(1.0916290731874154, found.AttentionFactor, 1e-7);
        Assert.Equal(0.75f, RopeFrequencies.Compute(Config(64, 10_000, scaling with { AttentionFactor = 0.75 })).AttentionFactor);
        // (0.1 * 2 * ln 2.5 + 1) / (0.1 * 0.5 * ln 2.5 + 1)
        Assert.Equal(1.1314225,
            RopeFrequencies.Compute(Config(64, 10_000, scaling with { MScale = 2, MScaleAllDim = 0.5 })).AttentionFactor, 1e-6);
    }

    [Theory]
    [InlineData("factor", 0.5)]
    [InlineData("factor", double.NaN)]
    [InlineData("original_max_position_embeddings", 0)]
    [InlineData("low_freq_factor", 0)]
    [InlineData("high_freq_factor", 1)]
    public void Validate_Llama3OutOfRange_NamesTheField(string field, double value)
    {
        var scaling = new RopeScaling { Type = RopeScalingType.Llama3, Factor = 8, OriginalMaxPositions = 8192 };
        scaling.Validate("config.json");
        AssertNames(field, field switch
        {
            "factor" => scaling with { Factor = value },
            "original_max_position_embeddings" => scaling with { OriginalMaxPositions = (int)value },
            "low_freq_factor" => scaling with { LowFreqFactor = value },
            _ => scaling with { HighFreqFactor = value },
        });
    }

    [Theory]
    [InlineData("beta_slow", 0)]
    [InlineData("beta_fast", 0.5)]
    [InlineData("attention_factor", -1)]
    [InlineData("mscale", double.PositiveInfinity)]
    [InlineData("original_max_position_embeddings", -1)]
    public void Validate_YarnOutOfRange_NamesTheField(string field, double value)
    {
        var scaling = new RopeScaling { Type = RopeScalingType.Yarn, Factor = 8, OriginalMaxPositions = 8192 };
        scaling.Validate("config.json");
        AssertNames(field, field switch
        {
            "beta_slow" => scaling with { BetaSlow = value },
            "beta_fast" => scaling with { BetaFast = value },
            "attention_factor" => scaling with { AttentionFactor = value },
            "mscale" => scaling with { MScale = value },
            _ => scaling with { OriginalMaxPositions = null },
        });
    }

    private static void AssertNames(string field, RopeScaling scaling) =>
        Assert.StartsWith($"config.json: rope_scaling.{field} is ",
            Assert.Throws<FlywheelException>(() => scaling.Validate("config.json")).Message);

    private static void AssertEqual(RopeFrequencies found, params (int Index, double Value)[] expected)
    {
        foreach ((int index, double value) in expected) Assert.Equal(1, found.Inverse[index] / value, 1e-7);
    }
}
