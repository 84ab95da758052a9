namespace Flywheel.Voice;

/// <summary>What markup says, in order: something spoken, or a pause.</summary>
public abstract record MarkupPiece;

/// <param name="Text">As it is written.</param>
/// <param name="Ipa">How it is pronounced, when the markup says so.</param>
/// <param name="IsLiteral">Not to be looked up in dictionaries.</param>
/// <param name="Prosody">How it is spoken.</param>
public sealed record SpokenPiece(string Text, string? Ipa, bool IsLiteral, Prosody Prosody) : MarkupPiece;

/// <param name="Length">Not negative.</param>
public sealed record BreakPiece(TimeSpan Length) : MarkupPiece;

/// <summary>Changes of speaking.</summary>
/// <param name="Speed">A factor.</param>
/// <param name="Pitch">In semitones.</param>
/// <param name="Volume">In decibels.</param>
public readonly record struct Prosody(double Speed, double Pitch, double Volume)
{
    public static Prosody Plain { get; } = new(1, 0, 0);

    /// <summary>One within the other.</summary>
    public Prosody With(Prosody inner) => new(Speed * inner.Speed, Pitch + inner.Pitch, Volume + inner.Volume);
}
