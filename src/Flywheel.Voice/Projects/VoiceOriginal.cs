using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>A recording or film that was uploaded for a project; it lies among the home's <see cref="Recordings"/>.</summary>
/// <param name="Hash">Names it there.</param>
/// <param name="Name">Of the file; its ending says what it is.</param>
/// <param name="Seconds">How long it is.</param>
/// <param name="HasSound">A film may have none.</param>
public sealed record VoiceOriginal(string Hash, string Name, double Seconds, bool HasSound)
{
    public const int MaxNameLength = 200;

    /// <summary>In the record: what a Whisper file wrote down of it, which edits of the lines correct; null: none did.</summary>
    public Guid? Heard { get; init; }

    /// <summary>Of recordings that are taken; films have <see cref="VideoFile.Endings"/>.</summary>
    public static IReadOnlyList<string> SoundEndings { get; } = [".wav", ".mp3", ".m4a", ".ogg", ".opus", ".flac"];

    /// <summary>With a dot, in small letters.</summary>
    public string Ending => Path.GetExtension(Name).ToLowerInvariant();

    public bool IsFilm => VideoFile.IsOne(Name);

    internal void Validate(string where)
    {
        if (!VoiceTake.IsHash(Hash))
            throw new FlywheelException($"{where}: hash is '{(Hash.Length <= 80 ? Hash : Hash[..80])}', expected 64 digits 0-9 and a-f");
        if (Name.Length > MaxNameLength || !(IsFilm || SoundEndings.Contains(Ending)))
            throw new FlywheelException(
                $"{where}: name is '{(Name.Length <= 80 ? Name : Name[..80])}', expected at most {MaxNameLength} letters that end with {NearestName.List([.. SoundEndings, .. VideoFile.Endings])}");
        if (!(Seconds is > 0 and <= 86_400))
            throw new FlywheelException($"{where}: seconds is {Seconds}, expected more than 0 and at most 86400");
    }
}
