namespace Flywheel.Voice;

/// <summary>The American English sounds of flite's and festival's voices (the CMU dictionary's ARPAbet, in lower case), by IPA.</summary>
internal static class ArpabetPhones
{
    public static IpaTable Table { get; } = new(new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["ɑ"] = "aa", ["ɑː"] = "aa", ["ɒ"] = "aa", ["a"] = "aa", ["æ"] = "ae", ["ʌ"] = "ah", ["ɐ"] = "ah", ["ə"] = "ax",
        ["ɔ"] = "ao", ["ɔː"] = "ao", ["oː"] = "ao", ["aʊ"] = "aw", ["aɪ"] = "ay", ["ɛ"] = "eh", ["e"] = "eh",
        ["ɝ"] = "er", ["ɚ"] = "er", ["ɜː"] = "er", ["ɜ"] = "er", ["ɜːɹ"] = "er", ["əɹ"] = "er", ["eɪ"] = "ey",
        ["ɪ"] = "ih", ["ᵻ"] = "ih", ["iː"] = "iy", ["i"] = "iy", ["oʊ"] = "ow", ["əʊ"] = "ow", ["o"] = "ow", ["ɔɪ"] = "oy", ["ʊ"] = "uh",
        ["uː"] = "uw", ["u"] = "uw",
        ["b"] = "b", ["tʃ"] = "ch", ["d"] = "d", ["ð"] = "dh", ["f"] = "f", ["ɡ"] = "g", ["h"] = "hh", ["dʒ"] = "jh", ["k"] = "k",
        ["l"] = "l", ["ɫ"] = "l",
        ["m"] = "m", ["n"] = "n", ["ŋ"] = "ng", ["p"] = "p", ["ɹ"] = "r", ["r"] = "r", ["s"] = "s", ["ʃ"] = "sh", ["t"] = "t", ["ɾ"] = "t",
        ["θ"] = "th",
        ["v"] = "v", ["w"] = "w", ["j"] = "y", ["z"] = "z", ["ʒ"] = "zh",
    });

    /// <summary>Whether a sound is a syllable's middle.</summary>
    public static bool IsVowel(string phone) => phone[0] is 'a' or 'e' or 'i' or 'o' or 'u';

    /// <summary>Sounds with a stress mark carried from where its syllable begins to the syllable's vowel.</summary>
    /// <returns>Of a vowel its stress, 0 to 2; of a consonant -1.</returns>
    public static IReadOnlyList<(string Phone, int Stress)> Stressed(string ipa, string voice)
    {
        var sounds = new List<(string, int)>();
        IReadOnlyList<(string Phone, int Stress)> mapped = Table.Map(ipa, voice);
        bool isMarked = mapped.Any(sound => sound.Stress == 1);
        int pending = isMarked ? 0 : 1; // a word of one's own has a stress, on its first syllable when nothing is said
        foreach ((string phone, int stress) in mapped)
        {
            if (stress > 0) pending = stress;
            if (!IsVowel(phone)) sounds.Add((phone, -1));
            else (_, pending) = (0, Add(pending));

            int Add(int level)
            {
                sounds.Add((phone, level));
                return 0;
            }
        }
        return sounds;
    }
}
