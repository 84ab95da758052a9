using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Flywheel.Voice;

/// <summary>What a line is made of, before it sounds: calls of an engine and exact pauses.</summary>
/// <param name="LineId">Of the project's line.</param>
/// <param name="Voice">Who speaks.</param>
/// <param name="Pieces">In order.</param>
/// <param name="SampleRate">Of the sound.</param>
public sealed record LinePlan(string LineId, Voice Voice, IReadOnlyList<PlanPiece> Pieces, int SampleRate)
{
    /// <summary>
    /// Names the sound: it changes when anything does that can be heard (text, pronunciation, voice, settings, the engine's version), and
    /// with nothing else.
    /// </summary>
    public string Hash { get; } = Pieces is [PlannedRecording recorded]
        ? recorded.Hash : Hashes.Of(string.Join('\n', Pieces.Select(piece => piece switch
    {
        PlannedSpeech speech => speech.Hash,
        PlannedPause pause => string.Create(CultureInfo.InvariantCulture, $"pause {pause.NumSamples} {SampleRate}"),
        _ => throw new InvalidOperationException($"{piece.GetType()} is no piece of a plan"),
    })));

    /// <summary>The sound as a take of the line that it was made from.</summary>
    public VoiceTake Take(VoiceLine line, Clip clip) => new(Hash, Math.Round(clip.Duration.TotalSeconds, 3), line.Text, line.Settings)
    {
        IsMarkup = line.IsMarkup,
        Marks = line.Marks,
        Pieces = [
            .. Pieces.Select(piece => piece is PlannedSpeech speech
                ? speech.Hash : ((PlannedPause)piece).NumSamples.ToString(CultureInfo.InvariantCulture))],
    };
}

/// <summary>A part of a line.</summary>
public abstract record PlanPiece;

/// <summary>One call of an engine.</summary>
/// <param name="Utterance">What it is asked.</param>
/// <param name="Volume">In decibels, ours to apply.</param>
/// <param name="Hash">Names the sound.</param>
public sealed record PlannedSpeech(Utterance Utterance, double Volume, string Hash) : PlanPiece
{
    /// <summary>Raised when we make something else of the same words.</summary>
    private const string Version = "1";

    internal static PlannedSpeech Create(Utterance utterance, double volume, int sampleRate, string engineVersion)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"speech {Version}\n{utterance.Voice.Id}\n{engineVersion}\n{utterance.Speed:0.####} {utterance.Pitch:0.####} {volume:0.####} {sampleRate}\n");
        // Lengths first, so that no text can look like another's parts.
        foreach (SpeechPart part in utterance.Parts)
            text.Append(CultureInfo.InvariantCulture, $"{part.Text.Length} {part.Ipa?.Length ?? -1}\n{part.Text}\n{part.Ipa}\n");
        return new PlannedSpeech(utterance, volume, Hashes.Of(text.ToString()));
    }
}

/// <summary>Silence.</summary>
/// <param name="NumSamples">To the sample.</param>
public sealed record PlannedPause(long NumSamples) : PlanPiece;

/// <summary>What somebody spoke: the whole of a line.</summary>
/// <param name="Hash">Of the home's <see cref="Recordings"/>.</param>
public sealed record PlannedRecording(string Hash) : PlanPiece
{
    /// <summary>Who speaks it, for reports.</summary>
    public static Voice VoiceOf(string language) => new("recorded", "microphone", language, null, "Recorded");
}

internal static class Hashes
{
    public static string Of(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
