using CsCheck;

namespace Flywheel.Voice.Tests;

public sealed class ResamplingTests
{
    [Theory]
    [InlineData(22_050, 24_000)]
    [InlineData(16_000, 24_000)]
    [InlineData(8_000, 24_000)]
    [InlineData(48_000, 16_000)]
    public void Convert_OfASine_IsThatSineInPlace(int from, int to)
    {
        Clip converted = Resampling.Convert(Sounds.Sine(440, 1, from), to);
        float[] expected = Sounds.Sine(440, 1, to).Samples;
        Assert.Equal((expected.Length, to), (converted.Samples.Length, converted.Rate));
        int edge = to / 20;
        double error = 0;
        for (int i = edge; i < expected.Length - edge; i++) error = Math.Max(error, Math.Abs(expected[i] - converted.Samples[i]));
        Assert.True(error < .01, $"largest difference {error}");
    }

    [Fact]
    public void Convert_OfClipsOfAnyLength_IsAsLong() =>
    Gen.Select(Gen.Int[0, 20_000], Gen.Int[4000, 50_000], Gen.Int[4000, 50_000]).Sample((length, from, to) =>
        Assert.Equal((int)Math.Round(length * (double)to / from), Resampling.Convert(new Clip(new float[length], from), to).Samples.Length),
        iter: 100);

    [Fact]
    public void Convert_ToFewerSamples_LeavesNoAlias() =>
        Assert.InRange(Sounds.Rms(Resampling.Convert(Sounds.Sine(7000, 1, 48_000), 8000).Samples.AsSpan(500..^500)), 0, .01);

    [Fact]
    public void Change_OfAnySpeed_HasTheLengthAndThePitch() => Gen.Select(Gen.Double[.5, 2], Gen.Int[100, 300]).Sample((speed, hertz) =>
    {
        Clip clip = Sounds.Sine(hertz, .6, 16_000), changed = Tempo.Change(clip, speed);
        Assert.Equal((int)Math.Round(clip.Samples.Length / speed), changed.Samples.Length);
        Assert.InRange(Sounds.Pitch(changed) / hertz, .97, 1.03);
        Assert.InRange(Sounds.Rms(changed.Samples.AsSpan(500..^500)) / Sounds.Rms(clip.Samples), .9, 1.1);
    }, iter: 30);

    [Theory]
    [InlineData(-5)]
    [InlineData(4)]
    public void Shift_BySemitones_MovesThePitchAndNotTheLength(double semitones)
    {
        Clip clip = Sounds.Sine(200, 1, 16_000), shifted = Tempo.Shift(clip, semitones);
        Assert.InRange(shifted.Samples.Length, clip.Samples.Length - 1, clip.Samples.Length + 1);
        Assert.Equal(200 * Math.Pow(2, semitones / 12), Sounds.Pitch(shifted), 6.0);
    }

    [Fact]
    public void Change_OfClipsOfAnyLength_Ends() => Gen.Select(Gen.Int[0, 2000], Gen.Double[.25, 4]).Sample((length, speed) =>
        Assert.Equal((int)Math.Round(length / speed), Tempo.Change(new Clip(new float[length], 8000), speed).Samples.Length), iter: 200);

    [Fact]
    public void Trim_OfSilenceAroundSound_LeavesTheSound()
    {
        float[] sound = Sounds.Sine(300, .2, 8000).Samples;
        Clip trimmed = new Clip([.. new float[4000], .. sound, .. new float[2000]], 8000).Trim();
        Assert.InRange(trimmed.Samples.Length, sound.Length, sound.Length + 2 * 64);
        Assert.Empty(new Clip(new float[5000], 8000).Trim().Samples);
    }
}
