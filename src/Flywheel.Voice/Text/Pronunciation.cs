using System.Text.Json.Serialization;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>How a word is said: by its sounds, or as if it were written otherwise.</summary>
public sealed record Pronunciation
{
    public const int MaxWordLength = 200, MaxSpokenLength = 1000;

    /// <summary>A word or a few, matched whole and whatever the case.</summary>
    public required string Word { get; init; }

    /// <summary>Of the text: <c>en</c> holds for <c>en-us</c> too; empty for all.</summary>
    public string Language { get; init; } = "";

    /// <summary>Id of the voice; empty for all.</summary>
    public string Voice { get; init; } = "";

    /// <summary>In the International Phonetic Alphabet.</summary>
    public string? Ipa { get; init; }

    /// <summary>What is read in the word's place.</summary>
    public string? Respelling { get; init; }

    /// <summary>How narrowly it is meant; of two that hold, the narrower counts.</summary>
    [JsonIgnore]
    internal int Narrowness => (Voice.Length > 0 ? 1000 : 0) + Language.Length;

    /// <param name="where">What the message begins with.</param>
    /// <exception cref="FlywheelException">Not one of both ways, or an empty word.</exception>
    public void Validate(string where)
    {
        if (Word.Trim().Length == 0) throw new FlywheelException($"{where}: the word is empty");
        if (Word.Length > MaxWordLength)
            throw new FlywheelException($"{where}: the word has {Word.Length} characters, expected at most {MaxWordLength}");
        if (string.IsNullOrWhiteSpace(Ipa) == string.IsNullOrWhiteSpace(Respelling))
            throw new FlywheelException(
                $"{where}: '{Word}' has {(string.IsNullOrWhiteSpace(Ipa) ? "neither IPA nor a respelling" : "IPA and a respelling")}, expected one of both");
        if ((Ipa ?? Respelling)!.Length > MaxSpokenLength)
            throw new FlywheelException(
                $"{where}: '{Word}' is said in {(Ipa ?? Respelling)!.Length} characters, expected at most {MaxSpokenLength}");
    }

    internal bool IsFor(string language, string voice) =>
        (Voice.Length == 0 || Voice == voice)
        && (Language.Length == 0 || language.Equals(Language, StringComparison.OrdinalIgnoreCase)
            || language.StartsWith(Language + "-", StringComparison.OrdinalIgnoreCase));
}
