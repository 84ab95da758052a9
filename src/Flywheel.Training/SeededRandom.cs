namespace Flywheel.Training;

/// <summary>
/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same numbers on every platform and version, which a run that must
/// be repeated to the bit needs.
/// </summary>
internal struct SeededRandom(ulong seed, ulong stream)
{
    private ulong _state = Mix(seed + 0x9E3779B97F4A7C15 * (stream + 1));

    public ulong Next() => Mix(_state += 0x9E3779B97F4A7C15);

    /// <summary>Uniform in [0, <paramref name="bound"/>); the bias of the multiplication is below 2^-32 for our bounds.</summary>
    public int Next(int bound) => (int)Math.BigMul(Next(), (ulong)bound, out _);

    /// <summary>Uniform in [0, 1).</summary>
    public double NextUniform() => (Next() >> 11) * (1.0 / (1L << 53));

    /// <summary>Standard normal (Box and Muller 1958).</summary>
    public double NextNormal()
    {
        double u = ((Next() >> 11) + 1) * (1.0 / (1L << 53)), v = NextUniform();
        return Math.Sqrt(-2 * Math.Log(u)) * Math.Cos(2 * Math.PI * v);
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
