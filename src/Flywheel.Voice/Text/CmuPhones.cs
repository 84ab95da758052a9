using System.Globalization;
using System.Text;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>Pronunciations in the notation of the CMU dictionary, in which the task <c>pronunciation</c> is taught: <c>S IY1 K W AH0
/// L</c>.</summary>
public static class CmuPhones
{
    /// <summary>Stress is 0 or 1, as the task has it; a weak vowel is AH0.</summary>
    /// <exception cref="FlywheelException">A sound that American English does not have; the message names it.</exception>
    public static string OfIpa(string ipa) => string.Join(' ', ArpabetPhones.Stressed(ipa, "of the CMU dictionary").Select(sound =>
        sound.Stress < 0 ? sound.Phone.ToUpperInvariant()
        : sound.Phone == "ax" ? "AH0"
        : string.Create(CultureInfo.InvariantCulture, $"{sound.Phone.ToUpperInvariant()}{Math.Min(sound.Stress, 1)}")));

    /// <summary>What an entry says of an English word; null where it is no English word that the task could be asked about, or cannot be
    /// said in its phones.</summary>
    /// <param name="entry">A respelling is said by espeak-ng; without it, it gives nothing.</param>
    /// <param name="language">Of the text, where the entry is for all languages.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<string?> OfAsync(Pronunciation entry, string language, CancellationToken cancellation = default)
    {
        const int longest = 40; // of the task
        string word = entry.Word.Trim(), spoken = entry.Language.Length > 0 ? entry.Language : language;
        if (!spoken.StartsWith("en", StringComparison.OrdinalIgnoreCase) || word.Length > longest
            || !word.All(letter => char.IsAsciiLetter(letter) || letter == '\'')) return null;
        try
        {
            if (entry.Ipa is not null) return OfIpa(entry.Ipa);
            var espeak = new ExternalProgram("espeak-ng", "espeak-ng");
            if (!espeak.IsInstalled) return null;
            (byte[] ipa, _) = await espeak.RunAsync(["--stdin", "-b", "1", "-q", "--ipa", "-v", "en-us"],
                Encoding.UTF8.GetBytes(entry.Respelling!), cancellation: cancellation);
            return OfIpa(Encoding.UTF8.GetString(ipa).Trim());
        }
        catch (FlywheelException)
        {
            return null; // it is spoken by voices that have the sound; there is nothing to teach
        }
    }
}
