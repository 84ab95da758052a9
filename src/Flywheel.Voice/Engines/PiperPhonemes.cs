using System.Text;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// Texts as voices in Piper's form read them: sentences of sounds, one Unicode character each, as espeak-ng says them in IPA, with the
/// signs at which
/// voices pause between them (rhasspy/piper-phonemize, MIT).
/// </summary>
internal sealed partial class PiperPhonemes(PiperConfig config, ExternalProgram espeak)
{
    /// <summary>Of a sentence, some 45 seconds: a model computes with the square of its length, and holds it all in memory.</summary>
    internal const int MaxSounds = 600;

    private const string Vowels = "aeiouyæøœɐɑɒɔəɘɚɛɜɝɞɤɨɪɯɵɶʉʊʌʏᵻ";

    /// <summary>A sentence each, of numbers for the model.</summary>
    /// <exception cref="FlywheelException">A pronunciation has a sound that the voice does not have.</exception>
    public async Task<IReadOnlyList<long[]>> IdsAsync(IReadOnlyList<SpeechPart> parts, string voice, CancellationToken cancellation)
    {
        var sentences = new List<StringBuilder>();
        bool isOpen = false;
        foreach (SpeechPart part in parts)
        {
            if (part.Ipa is not null) Say(Spoken(part.Ipa, voice), "");
            else
                foreach (Match clause in Clauses().Matches(part.Text))
                    if (clause.Groups["words"].Value is var words && words.Any(char.IsLetterOrDigit))
                        Say(await SoundsAsync(words, cancellation), Sign(clause.Groups["sign"].Value));
                    else if (isOpen) Say("", Sign(clause.Groups["sign"].Value)); // the sign behind a pronounced word
        }
        return [.. sentences.SelectMany(sentence => Divided(sentence.ToString().TrimEnd())).Select(Numbers)];

        void Say(string sounds, string sign)
        {
            if (!isOpen) sentences.Add(new StringBuilder());
            StringBuilder sentence = sentences[^1];
            if (isOpen && sounds.Length > 0 && sentence.Length > 0 && sentence[^1] != ' ') sentence.Append(' ');
            sentence.Append(sounds).Append(sign);
            if (sign is "," or ":" or ";") sentence.Append(' ');
            isOpen = sign is not ("." or "?" or "!");
        }
    }

    /// <summary>A pronunciation as the voice reads it: stress stands before the vowel, as espeak-ng writes it.</summary>
    /// <exception cref="FlywheelException">The voice does not have a sound; the message names it.</exception>
    public string Spoken(string ipa, string voice)
    {
        if (config.IsText) throw new FlywheelException($"pronunciation '{ipa}': the voice {voice} reads letters, expected a respelling");
        var spoken = new StringBuilder();
        string stress = "";
        foreach (Rune rune in Decomposed(IpaTable.Normalize(ipa).Replace('\'', 'ˈ').Replace(',', 'ˌ')).EnumerateRunes())
        {
            string sound = rune.ToString();
            if (sound is "ˈ" or "ˌ")
            {
                stress = sound;
                continue;
            }
            string known = config.Ids.ContainsKey(sound) ? sound : sound == "ɡ" && config.Ids.ContainsKey("g") ? "g"
                : throw new FlywheelException(
                    $"pronunciation '{ipa}': the voice {voice} has no sound '{sound}'; it has {string.Join(' ', config.Ids.Keys.Where(each => each.Any(char.IsLetter)).Order(StringComparer.Ordinal))}");
            if (stress.Length > 0 && Vowels.Contains(sound, StringComparison.Ordinal)) (spoken, stress) = (spoken.Append(stress), "");
            spoken.Append(known);
        }
        return spoken.Length > 0
            ? spoken.ToString() : throw new FlywheelException($"pronunciation '{ipa}': has no sound in it, expected IPA");
    }

    private async Task<string> SoundsAsync(string words, CancellationToken cancellation)
    {
        if (config.IsText) return Decomposed(words.Trim().ToLowerInvariant());
        (byte[] output, _) = await espeak.RunAsync(["--stdin", "-b", "1", "-q", "--ipa", "-v", config.EspeakVoice],
            Encoding.UTF8.GetBytes(words.Replace("[[", "[ [", StringComparison.Ordinal)), cancellation: cancellation);
        // Words of another language have its name around them.
        string sounds = Flags().Replace(Encoding.UTF8.GetString(output), "");
        return Decomposed(
            Spaces().Replace(sounds.Replace("_", "", StringComparison.Ordinal).Replace("\u200D", "", StringComparison.Ordinal), " ")
                .Trim());
    }

    /// <summary>Between words, where a sentence is too long for the model.</summary>
    private static IEnumerable<string> Divided(string sounds)
    {
        while (sounds.Length > MaxSounds)
        {
            int end = sounds.LastIndexOf(' ', MaxSounds);
            // no word is so long: a script without spaces
            if (end < MaxSounds / 2) end = char.IsLowSurrogate(sounds[MaxSounds]) ? MaxSounds - 1 : MaxSounds;
            yield return sounds[..end].TrimEnd();
            sounds = sounds[end..].TrimStart();
        }
        yield return sounds;
    }

    /// <summary>What the voice has no number for is left out, as where it was trained.</summary>
    private long[] Numbers(string sounds)
    {
        long[] pad = config.Ids[PiperConfig.Pad];
        var ids = new List<long>([.. config.Ids[PiperConfig.Begin], .. pad]);
        foreach (Rune rune in sounds.EnumerateRunes())
            if (config.Ids.TryGetValue(rune.ToString(), out long[]? known)) ids.AddRange([.. known, .. pad]);
        return [.. ids, .. config.Ids[PiperConfig.End]];
    }

    private static string Decomposed(string text) => UnicodeNormalizer.Normalize(text, compatible: false, compose: false);

    private static string Sign(string sign) => sign.Length == 0 ? "" : sign[^1] switch
    {
        '.' or '…' or '。' => ".", '?' or '？' => "?", '!' or '！' => "!", ';' or '；' => ";", ':' or '：' => ":", _ => ",",
    };

    /// <summary>A point or comma within a number is no end.</summary>
    [GeneratedRegex(@"(?<words>(?:[^.,;:!?…。，、；：！？]|[.,;:!?…](?=[^\s'""”’)\]]))*)(?<sign>[.,;:!?…。，、；：！？]*)['""”’)\]]*",
        RegexOptions.CultureInvariant)]
    private static partial Regex Clauses();

    [GeneratedRegex(@"\([a-z-]+\)", RegexOptions.CultureInvariant)]
    private static partial Regex Flags();

    [GeneratedRegex(@"\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Spaces();
}
