namespace Flywheel.Voice;

/// <summary>A program that speaks.</summary>
public interface ISpeechEngine
{
    /// <summary>The first part of its voices' ids, such as <c>espeak</c>.</summary>
    string Name { get; }

    ExternalProgram Program { get; }

    /// <summary>Of program and data: another version may sound otherwise.</summary>
    /// <param name="voice">One of the engine's.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="Model.FlywheelException">It is not installed.</exception>
    Task<string> VersionAsync(Voice voice, CancellationToken cancellation);

    /// <summary>The voices that are installed.</summary>
    /// <exception cref="Model.FlywheelException">It is not installed.</exception>
    Task<IReadOnlyList<Voice>> VoicesAsync(CancellationToken cancellation);

    /// <summary>The voice of a name, also one that is made of others and not listed; null when there is none.</summary>
    Task<Voice?> FindAsync(string name, CancellationToken cancellation);

    /// <summary>A pronunciation in the engine's own notation.</summary>
    /// <param name="voice">One of the engine's.</param>
    /// <param name="ipa">In the International Phonetic Alphabet.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="Model.FlywheelException">A sound that the voice does not have; the message names it.</exception>
    Task<string> PhonesAsync(Voice voice, string ipa, CancellationToken cancellation);

    /// <summary>Speaks in one call.</summary>
    /// <returns>As the engine made it, silence at its ends included.</returns>
    /// <exception cref="Model.FlywheelException">The engine failed.</exception>
    Task<Clip> SpeakAsync(Utterance utterance, CancellationToken cancellation);
}

/// <summary>Who can speak.</summary>
/// <param name="Engine">Name of its engine.</param>
/// <param name="Name">The engine's name for it.</param>
/// <param name="Language">As in BCP 47: <c>en-us</c>.</param>
/// <param name="Gender"><c>male</c> or <c>female</c>, when the engine says it.</param>
/// <param name="Title">In words.</param>
public sealed record Voice(string Engine, string Name, string Language, string? Gender, string Title)
{
    /// <summary>What projects and requests name it by.</summary>
    public string Id => $"{Engine}:{Name}";
}

/// <summary>What is spoken in one call of an engine.</summary>
/// <param name="Voice">One of the engine's.</param>
/// <param name="Parts">In order.</param>
/// <param name="Speed">1 is the voice's own; 2 is twice as fast.</param>
/// <param name="Pitch">In semitones; 0 is the voice's own.</param>
public sealed record Utterance(Voice Voice, IReadOnlyList<SpeechPart> Parts, double Speed = 1, double Pitch = 0);

/// <summary>Text as it is spoken, or a word with its pronunciation.</summary>
/// <param name="Text">Of a pronunciation: the word that it is for.</param>
/// <param name="Ipa">In the International Phonetic Alphabet; null when the engine knows.</param>
public readonly record struct SpeechPart(string Text, string? Ipa = null);
