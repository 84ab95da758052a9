namespace Flywheel.Voice;

/// <summary>What is said in a recording.</summary>
/// <param name="Model">Name of the file that heard it.</param>
/// <param name="Language">As in BCP 47: the one that was stated, or that was heard.</param>
/// <param name="Seconds">Of the recording.</param>
/// <param name="Segments">In order.</param>
public sealed record Transcript(string Model, string Language, double Seconds, IReadOnlyList<TranscriptSegment> Segments)
{
    /// <summary>Segments that begin and end where somebody speaks: Whisper's times are coarse.</summary>
    /// <param name="speech">Where somebody does.</param>
    public Transcript SnapTo(IReadOnlyList<SpeechSegment> speech) => this with
    {
        Segments = [.. Segments.Select(segment =>
        {
            SpeechSegment[] within = [.. speech.Where(each => each.Start < segment.End && each.End > segment.Start)];
            return within.Length == 0
                ? segment : segment with { Start = Math.Max(segment.Start, within[0].Start), End = Math.Min(segment.End, within[^1].End) };
        })],
    };

    public string Text => string.Join(' ', Segments.Select(segment => segment.Text)).Trim();

    public IReadOnlyList<Cue> Cues => [.. Segments.Where(segment => segment.Text.Length > 0)
        .Select(segment => new Cue(TimeSpan.FromMilliseconds(Math.Round(1000 * segment.Start)),
            TimeSpan.FromMilliseconds(Math.Round(1000 * segment.End)), segment.Text))];
}

/// <param name="Start">In seconds.</param>
/// <param name="End">In seconds.</param>
/// <param name="Text">Without space around it.</param>
/// <param name="Probability">Mean of its tokens'.</param>
/// <param name="NoSpeech">How likely it is that nobody speaks in it.</param>
/// <param name="Tokens">Ids.</param>
/// <param name="Words">In order.</param>
public sealed record TranscriptSegment(double Start, double End, string Text, double Probability, double NoSpeech,
    IReadOnlyList<int> Tokens, IReadOnlyList<TranscriptWord> Words);

/// <param name="Text">Without space around it.</param>
/// <param name="Start">In seconds.</param>
/// <param name="End">In seconds.</param>
public sealed record TranscriptWord(string Text, double Start, double End);

/// <summary>How a recording is heard.</summary>
public sealed record TranscriptOptions
{
    /// <summary>Two letters; null: the model hears which.</summary>
    public string? Language { get; init; }

    /// <summary>Written in English, whatever is spoken.</summary>
    public bool Translate { get; init; }

    /// <summary>What it should look like, words that may come.</summary>
    public string Prompt { get; init; } = "";

    /// <summary>0: the likeliest, and more chance only where that goes in circles.</summary>
    public double Temperature { get; init; }
}
