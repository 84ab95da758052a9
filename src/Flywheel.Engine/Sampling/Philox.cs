namespace Flywheel.Engine.Sampling;

/// <summary>
/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a random number is a pure
/// function of key and counter, so a request's draws do not depend on what else runs.
/// </summary>
internal static class Philox
{
    private const int Rounds = 10;

    public static (uint, uint, uint, uint) Block((uint A, uint B, uint C, uint D) counter, (uint A, uint B) key)
    {
        for (int round = 0; round < Rounds; round++)
        {
            ulong first = (ulong)counter.A * 0xD2511F53, second = (ulong)counter.C * 0xCD9E8D57;
            counter = ((uint)(second >> 32) ^ counter.B ^ key.A, (uint)second, (uint)(first >> 32) ^ counter.D ^ key.B, (uint)first);
            key = (key.A + 0x9E3779B9, key.B + 0xBB67AE85);
        }
        return counter;
    }

    /// <summary>A number from 0 to 1 (excluded) with 53 random bits.</summary>
    public static double Uniform(ulong seed, ulong position)
    {
        (uint a, uint b, _, _) = Block(((uint)position, (uint)(position >> 32), 0, 0), ((uint)seed, (uint)(seed >> 32)));
        return (((ulong)a << 32 | b) >> 11) * (1.0 / (1UL << 53));
    }
}
