namespace Flywheel.Data;

/// <summary>
/// Finds texts that are nearly one seen before by MinHash with banding (Broder 1997, "On the resemblance and containment of
/// documents"; Leskovec et al., "Mining of Massive Datasets", 3.4). Deterministic: the same texts in the same order give the same answer.
/// </summary>
/// <param name="threshold">Least resemblance (Jaccard index of the sets of five-word stretches) of what counts as near, from 0.5 to
/// 1.</param>
public sealed class NearDuplicates(double threshold)
{
    /// <summary>128 values in 32 bands of 4: at a resemblance of 0.8, one pair in 20 million shares no band, at 0.5 one in eight.</summary>
    private const int NumValues = 128, BandSize = 4, Stretch = 5;

    private readonly List<HashSet<ulong>> _texts = [];
    private readonly Dictionary<(int Band, ulong Hash), List<int>> _bands = [];

    /// <summary>Takes the text in; false when it is nearly one that was taken in before, and then leaves it out.</summary>
    public bool Add(string text)
    {
        HashSet<ulong> stretches = Stretches(text);
        ulong[] bands = Bands(stretches);
        IEnumerable<int> candidates = bands.Index().SelectMany(band => _bands.GetValueOrDefault((band.Index, band.Item)) ?? []).Distinct();
        if (candidates.Any(candidate => Resemblance(_texts[candidate], stretches) >= threshold)) return false;
        foreach ((int band, ulong hash) in bands.Index())
        {
            if (!_bands.TryGetValue((band, hash), out List<int>? members)) _bands[(band, hash)] = members = [];
            members.Add(_texts.Count);
        }
        _texts.Add(stretches);
        return true;
    }

    /// <summary>The Jaccard index of the five-word stretches of two texts, from 0 to 1.</summary>
    public static double Resemblance(string left, string right) => Resemblance(Stretches(left), Stretches(right));

    private static double Resemblance(HashSet<ulong> left, HashSet<ulong> right)
    {
        int shared = left.Count(right.Contains);
        return (double)shared / (left.Count + right.Count - shared);
    }

    /// <summary>Hashes of all stretches of five words, of the whole text where it is shorter; never empty.</summary>
    private static HashSet<ulong> Stretches(string text)
    {
        string[] words = TextCleaner.Normalise(text).Split(' ');
        HashSet<ulong> hashes = [];
        for (int i = 0; i == 0 || i + Stretch <= words.Length; i++)
            hashes.Add(StableHash.Of(string.Join(' ', words.Skip(i).Take(Stretch))));
        return hashes;
    }

    /// <summary>Of each band a hash of the least values that its permutations give.</summary>
    private static ulong[] Bands(HashSet<ulong> stretches)
    {
        ulong[] bands = new ulong[NumValues / BandSize];
        for (int value = 0; value < NumValues; value++)
        {
            ulong seed = Mix((ulong)value + 1), least = ulong.MaxValue;
            foreach (ulong hash in stretches) least = Math.Min(least, Mix(hash ^ seed));
            bands[value / BandSize] = Mix(bands[value / BandSize] ^ least);
        }
        return bands;
    }

    /// <summary>The finaliser of SplitMix64 (Steele et al. 2014): a bijection that scatters.</summary>
    private static ulong Mix(ulong x)
    {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
