using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Flywheel.Loop.Rollouts;

/// <summary>
/// Which arm a person falls to: a pure function of the record's secret, the rollout and the person, so that it is the same on every
/// server and after every crash, and nobody can choose a name that falls to an arm. A larger share keeps whom a smaller one had.
/// </summary>
/// <param name="salt">Secret of the record.</param>
/// <param name="rollout">Another rollout splits otherwise.</param>
public readonly struct RolloutSplit(byte[] salt, long rollout)
{
    /// <summary>Name of the record's secret.</summary>
    public const string Secret = "rollout";

    /// <summary>The person's place in [0, 1), uniform over people.</summary>
    public double PlaceOf(string unit)
    {
        byte[] hash = HMACSHA256.HashData(salt, Encoding.UTF8.GetBytes($"{rollout}\n{unit}"));
        return (BinaryPrimitives.ReadUInt64BigEndian(hash) >> 11) * (1.0 / (1UL << 53));
    }

    /// <summary>Whether the person falls to the candidate at a share.</summary>
    public bool IsCandidate(string unit, double share) => PlaceOf(unit) < share;
}
