using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>One utterance.</summary>
public sealed record VoiceLine
{
    public const int MaxTextLength = 20_000, MaxAlternates = 20, MaxTakes = 6, MaxRecorded = 12;

    private static readonly TimeSpan s_longest = TimeSpan.FromHours(24);

    /// <summary>Of no other line of the project; it stays when the line moves.</summary>
    public required string Id { get; init; }

    /// <summary>When it begins; null when it follows on the line before.</summary>
    public TimeSpan? Start { get; init; }

    /// <summary>When it should have ended; only with a start.</summary>
    public TimeSpan? End { get; init; }

    /// <summary>Who speaks.</summary>
    public string? Role { get; init; }

    public required string Text { get; init; }

    /// <summary>Of a translation: the original text.</summary>
    public string? Source { get; init; }

    /// <summary>Of a translation: what a machine wrote, before anybody edited it.</summary>
    public string? Draft { get; init; }

    /// <summary>The text is SSML (<see cref="Ssml"/>).</summary>
    public bool IsMarkup { get; init; }

    /// <summary>Parts of the text that are said in a way of their own; of text that is no markup.</summary>
    public IReadOnlyList<TextMark> Marks { get; init; } = [];

    /// <summary>What differs from the role's.</summary>
    public VoiceSettings Settings { get; init; } = new();

    /// <summary>Silence before it where it has no start, beside the pause after the line before; null: none.</summary>
    public TimeSpan? PauseBefore { get; init; }

    /// <summary>Silence after it, before a line without a start; null: the usual.</summary>
    public TimeSpan? Pause { get; init; }

    /// <summary>Shorter texts that may stand for it when it does not fit its time.</summary>
    public IReadOnlyList<string> Alternates { get; init; } = [];

    /// <summary>Hash of what was last rendered and heard (<see cref="LinePlan.Hash"/>); null when nothing was.</summary>
    public string? RenderedHash { get; init; }

    /// <summary>How it sounded so far and what was recorded for it, the latest first, to compare and to go back to.</summary>
    public IReadOnlyList<VoiceTake> Takes { get; init; } = [];

    /// <summary>Hash of the recorded take that is heard in place of a voice; null: a voice speaks.</summary>
    public string? Take { get; init; }

    /// <summary>The line with another text, in which its marks go with their words.</summary>
    public VoiceLine WithText(string text) => this with { Text = text, Marks = TextMarks.Follow(Marks, Text, text) };

    /// <summary>The line as markup: what its marks say is written into it; a text without marks is markup as it stands.</summary>
    public VoiceLine AsMarkup() =>
        this with { IsMarkup = true, Text = Marks.Count > 0 ? TextMarks.ToMarkup(Text, Marks) : Text, Marks = [] };

    /// <summary>The line with one more take that was heard; one that is there already becomes the latest.</summary>
    public VoiceLine With(VoiceTake take) => WithUnheard(take) with { RenderedHash = take.Hash };

    /// <summary>The line with one more take. What is rendered makes way in time, since it can be rendered again; what was recorded never
    /// does.</summary>
    /// <exception cref="FlywheelException">More are recorded than a line keeps.</exception>
    public VoiceLine WithUnheard(VoiceTake take)
    {
        VoiceTake[] all = [take, .. Takes.Where(known => known.Hash != take.Hash)];
        HashSet<VoiceTake> late = [.. all.Where(one => !one.IsRecorded).Skip(MaxTakes)];
        if (all.Count(one => one.IsRecorded) > MaxRecorded) CheckRoomForTake();
        return this with { Takes = [.. all.Where(one => !late.Contains(one))] };
    }

    /// <exception cref="FlywheelException">As many takes are recorded as a line keeps.</exception>
    public void CheckRoomForTake()
    {
        if (Takes.Count(take => take.IsRecorded) >= MaxRecorded)
            throw new RefusedTakeException(RefusedTake.Full, $"line '{Id}' has {MaxRecorded} recorded takes; delete one first",
                MaxRecorded);
    }

    /// <summary>The line without a take. Where that was heard, a voice speaks again.</summary>
    public VoiceLine Without(string take) =>
        this with { Take = Take == take ? null : Take, Takes = [.. Takes.Where(known => known.Hash != take)] };

    internal void Validate(string where)
    {
        if (Start > s_longest || End > s_longest)
            throw new FlywheelException(
                $"{where}: its time is {(End ?? Start)!.Value.TotalHours:0.#} hours, expected at most {s_longest.TotalHours:0}");
        if (Text.Length > MaxTextLength)
            throw new FlywheelException($"{where}: text has {Text.Length} characters, expected at most {MaxTextLength}; divide it");
        if (Start < TimeSpan.Zero) throw new FlywheelException($"{where}: start is {Start.Value.TotalSeconds:0.###}, expected at least 0");
        if (End is not null && (Start is null || End < Start))
            throw new FlywheelException($"{where}: end is {End.Value.TotalSeconds:0.###}, expected it only with a start and not before it");
        if (Pause < TimeSpan.Zero || Pause > TimeSpan.FromMinutes(10))
            throw new FlywheelException($"{where}: pause is {Pause.Value.TotalSeconds:0.###} seconds, expected 0 to 600");
        if (PauseBefore < TimeSpan.Zero || PauseBefore > TimeSpan.FromMinutes(10))
            throw new FlywheelException($"{where}: pause_before is {PauseBefore.Value.TotalSeconds:0.###} seconds, expected 0 to 600");
        TextMarks.Validate(where, Text, IsMarkup, Marks);
        VoiceProject.CheckFilled($"{where}: alternates", Alternates);
        VoiceProject.CheckFilled($"{where}: takes", Takes);
        if (Alternates.Count > MaxAlternates)
            throw new FlywheelException($"{where}: has {Alternates.Count} alternates, expected at most {MaxAlternates}");
        foreach (string text in Alternates)
            if (text.Length > MaxTextLength)
                throw new FlywheelException($"{where}: an alternate has {text.Length} characters, expected at most {MaxTextLength}");
        int recorded = Takes.Count(take => take.IsRecorded);
        if (Takes.Count - recorded > MaxTakes)
            throw new FlywheelException($"{where}: has {Takes.Count - recorded} rendered takes, expected at most {MaxTakes}");
        if (recorded > MaxRecorded) throw new FlywheelException($"{where}: has {recorded} recorded takes, expected at most {MaxRecorded}");
        foreach (VoiceTake take in Takes) take.Validate(where);
        if (Take is not null && !Takes.Any(take => take.IsRecorded && take.Hash == Take))
            throw new FlywheelException(
                $"{where}: take is '{(Take.Length <= 80 ? Take : Take[..80])}', expected the hash of one of its recorded takes");
        Settings.Validate(where);
    }
}

/// <summary>One rendering of a line, with what it was made of, so that it can be heard and taken again after edits.</summary>
/// <param name="Hash">Names the sound (<see cref="LinePlan.Hash"/>).</param>
/// <param name="Seconds">How long it is.</param>
/// <param name="Text">As it was then.</param>
/// <param name="Settings">The line's own, as they were then.</param>
public sealed record VoiceTake(string Hash, double Seconds, string Text, VoiceSettings Settings)
{
    private const int MaxPieces = 1000, HashLength = 64;

    /// <summary>Ten minutes at 48 kHz: a file must not be able to ask for any amount of memory.</summary>
    private const long MaxSilence = 600 * 48_000;

    /// <summary>Sounds of the cache by their hashes, in order; silences as numbers of samples.</summary>
    public IReadOnlyList<string> Pieces { get; init; } = [];

    /// <summary>The text was SSML then.</summary>
    public bool IsMarkup { get; init; }

    /// <summary>Of the text as it was then.</summary>
    public IReadOnlyList<TextMark> Marks { get; init; } = [];

    /// <summary>Somebody spoke it into a microphone; its one piece is among the home's <see cref="Recordings"/>.</summary>
    public bool IsRecorded { get; init; }

    internal static bool IsHash(string text) => text.Length == HashLength && text.All(char.IsAsciiHexDigitLower);

    internal void Validate(string where)
    {
        Settings.Validate($"{where}: take");
        if (!IsHash(Hash))
            throw new FlywheelException($"{where}: a take's hash is '{Shown(Hash)}', expected {HashLength} digits 0-9 and a-f");
        if (!(Seconds is >= 0 and <= 86_400)) throw new FlywheelException($"{where}: a take's seconds are {Seconds}, expected 0 to 86400");
        if (Text.Length > VoiceLine.MaxTextLength)
            throw new FlywheelException($"{where}: a take's text has {Text.Length} characters, expected at most {VoiceLine.MaxTextLength}");
        TextMarks.Validate($"{where}: a take", Text, IsMarkup, Marks);
        if (Pieces.Count > MaxPieces)
            throw new FlywheelException($"{where}: a take has {Pieces.Count} pieces, expected at most {MaxPieces}");
        VoiceProject.CheckFilled($"{where}: a take's pieces", Pieces);
        if (IsRecorded && !(Pieces is [var sound] && sound == Hash))
            throw new FlywheelException(
                $"{where}: a recorded take's pieces are {string.Join(", ", Pieces.Take(3).Select(Shown))}, expected its hash alone");
        long silence = 0;
        foreach (string piece in Pieces.Where(piece => !IsHash(piece)))
        {
            if (piece.Length is 0 or > 8 || !piece.All(char.IsAsciiDigit))
                throw new FlywheelException(
                    $"{where}: a take's piece is '{Shown(piece)}', expected the hash of a sound ({HashLength} digits 0-9 and a-f) or a number of samples");
            silence += int.Parse(piece, System.Globalization.CultureInfo.InvariantCulture);
        }
        if (silence > MaxSilence)
            throw new FlywheelException($"{where}: a take's silences have {silence} samples, expected at most {MaxSilence}");
    }

    private static string Shown(string text) => text.Length <= 80 ? text : text[..80] + "…";
}
