using System.Text.Json;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>What a dubbing job is to do: a project as it was when it was ordered, spoken in its own language, in others, or both.</summary>
public sealed record DubOrder
{
    public const int MaxLanguages = 16;

    /// <summary>The project's JSON, so that a later edit changes no running job.</summary>
    public required string Project { get; init; }

    /// <summary>The page's project; null of an order over the API.</summary>
    public Guid? Document { get; init; }

    /// <summary>Each once; the project's own is spoken as it stands.</summary>
    public required IReadOnlyList<string> Languages { get; init; }

    /// <summary>Id of the voice of a language; where none is named, one that speaks it.</summary>
    public IReadOnlyDictionary<string, string> Voices { get; init; } = new Dictionary<string, string>();

    /// <summary>Of <see cref="AudioEncoder.Endings"/>.</summary>
    public string Format { get; init; } = "wav";

    /// <summary>In LUFS; null: as it comes.</summary>
    public double? Loudness { get; init; }

    /// <summary>Who is asked for shorter texts of lines that are too long (<see cref="Serving.Shortener"/>); null: nobody.</summary>
    public string? Shorten { get; init; }

    public string ToJson() => JsonSerializer.Serialize(this, JsonText.Compact);

    public static DubOrder Parse(string json) => JsonSerializer.Deserialize<DubOrder>(json, JsonText.Compact)!;

    /// <exception cref="FlywheelException">A value is wrong; the message names the field.</exception>
    public void Validate()
    {
        VoiceProject project = VoiceProject.Parse(Project, "field 'script'");
        if (project.Lines.Count == 0) throw new FlywheelException("field 'script' has no line to speak");
        if (Languages.Count is 0 or > MaxLanguages)
            throw new FlywheelException($"field 'languages' has {Languages.Count} entries, expected 1 to {MaxLanguages}");
        if (Languages.GroupBy(language => language).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new FlywheelException($"field 'languages' names '{twice.Key}' twice");
        foreach (string language in Languages.Where(language => language != project.Language))
        {
            if (Language.Find(language) is null || !VoiceProject.IsLanguage(language))
                throw new FlywheelException(
                    $"field 'languages' names '{language}', expected {NearestName.List([.. Language.All.Select(one => one.Tag)])}, or the script's own '{project.Language}'");
            if (DubTranslation.TagOf(project.Language) == language)
                throw new FlywheelException(
                    $"field 'languages' names '{language}', which the script is written in; its own is '{project.Language}'");
            if (project.Lines.FirstOrDefault(line => line.IsMarkup) is { } markup)
                throw new FlywheelException($"line '{markup.Id}' is markup, which is not translated; expected text");
        }
        if (Voices.Keys.FirstOrDefault(language => !Languages.Contains(language)) is { } unused)
            throw new FlywheelException($"field 'voices' names '{unused}', which is none of the languages {string.Join(", ", Languages)}");
        // Names of files begin with the language and end with the format.
        if (!AudioEncoder.Endings.Contains(Format))
            throw new FlywheelException($"field 'response_format' is '{Format}', expected {NearestName.List([.. AudioEncoder.Endings])}");
        AudioEncoder.Check($"dub.{Format}");
        if (Loudness is not null)
        {
            new MixOptions { Loudness = Loudness }.Validate();
            if (!ExternalProgram.Ffmpeg.IsInstalled) throw ExternalProgram.Ffmpeg.Missing;
        }
    }
}

/// <summary>What came of one language.</summary>
/// <param name="Language">Of the speech.</param>
/// <param name="NumLines">Spoken.</param>
/// <param name="NumEngineCalls">What was not in the cache when it was rendered for the last time.</param>
/// <param name="Fit">How the lines fit their times; null where none has one.</param>
/// <param name="Sound">Measured on the speech.</param>
/// <param name="Loudness">Measured on the file; null without ffmpeg.</param>
/// <param name="Files">Their names.</param>
public sealed record DubResult(string Language, int NumLines, long NumEngineCalls, FitSummary? Fit, SoundCheck Sound, Loudness? Loudness,
    IReadOnlyList<string> Files);
