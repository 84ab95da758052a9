using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>How something is spoken; what is null is said elsewhere.</summary>
public sealed record VoiceSettings
{
    public const double MinSpeed = .25, MaxSpeed = 4, MaxPitch = 12, MinVolume = -40, MaxVolume = 20;

    /// <summary>Id of a voice, such as <c>flite:slt</c>.</summary>
    public string? Voice { get; init; }

    /// <summary>1 is the voice's own, 2 twice as fast.</summary>
    public double? Speed { get; init; }

    /// <summary>Semitones up or down.</summary>
    public double? Pitch { get; init; }

    /// <summary>Decibels louder or quieter.</summary>
    public double? Volume { get; init; }

    /// <summary>One of <see cref="Ssml.EmphasisLevels"/>, beside speed, pitch and volume.</summary>
    public string? Emphasis { get; init; }

    /// <summary>One of <see cref="Flywheel.Voice.SayAs.Kinds"/>, for text that is no markup.</summary>
    public string? SayAs { get; init; }

    /// <summary>These where they say something, else the others.</summary>
    public VoiceSettings Over(VoiceSettings others) => new()
    {
        Voice = Voice ?? others.Voice, Speed = Speed ?? others.Speed, Pitch = Pitch ?? others.Pitch, Volume = Volume ?? others.Volume,
        Emphasis = Emphasis ?? others.Emphasis, SayAs = SayAs ?? others.SayAs,
    };

    /// <exception cref="FlywheelException">A value is out of bounds.</exception>
    public void Validate(string where)
    {
        if (Voice is "") throw new FlywheelException($"{where}: voice is empty");
        Check("speed", Speed, MinSpeed, MaxSpeed);
        Check("pitch", Pitch, -MaxPitch, MaxPitch);
        Check("volume", Volume, MinVolume, MaxVolume);
        Known("emphasis", Emphasis, Ssml.EmphasisLevels);
        Known("say_as", SayAs, Flywheel.Voice.SayAs.Kinds("en"));

        void Known(string field, string? value, IReadOnlyCollection<string> known)
        {
            if (value is not null && !known.Contains(value))
                throw new FlywheelException(
                    $"{where}: {field} is '{(value.Length <= 80 ? value : value[..80])}', expected {NearestName.List([.. known])}");
        }

        void Check(string field, double? value, double min, double max)
        {
            if (value is { } number && !(number >= min && number <= max))
                throw new FlywheelException($"{where}: {field} is {number}, expected {min} to {max}");
        }
    }
}
