using System.Text.Json;
using System.Text.Json.Serialization;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// What is to be spoken: lines in order, who speaks them, how words are said. A value that is never changed: an edit is a new one. It holds
/// no sound; sound follows from it (<see cref="Renderer"/>).
/// </summary>
public sealed record VoiceProject
{
    public const int MaxLines = 100_000, MinRate = 8000, MaxRate = 192_000, MaxLanguageLength = 35;

    public string Name { get; init; } = "";

    /// <summary>Of the text, as in BCP 47: <c>en-us</c>, <c>it</c>.</summary>
    public string Language { get; init; } = "en-us";

    /// <summary>Of the original, where the lines are a translation; null where they are none.</summary>
    public string? SourceLanguage { get; init; }

    /// <summary>Samples a second of all that is rendered.</summary>
    public int SampleRate { get; init; } = 24_000;

    /// <summary>How lines are spoken whose role and which themselves do not say otherwise.</summary>
    public VoiceSettings Voice { get; init; } = new();

    /// <summary>How each role speaks.</summary>
    public IReadOnlyDictionary<string, VoiceSettings> Cast { get; init; } = new Dictionary<string, VoiceSettings>();

    /// <summary>Pronunciations of this project alone.</summary>
    public IReadOnlyList<Pronunciation> Dictionary { get; init; } = [];

    /// <summary>The recording or film that is dubbed, or whose words the lines are; null without one.</summary>
    public VoiceOriginal? Original { get; init; }

    /// <summary>In the order in which they are spoken.</summary>
    public IReadOnlyList<VoiceLine> Lines { get; init; } = [];

    private static JsonSerializerOptions Json { get; } = new(JsonText.Indented)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        AllowDuplicateProperties = false,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        Converters = { new SecondsConverter() },
    };

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <exception cref="FlywheelException">Not a valid project; the message names the field.</exception>
    public static VoiceProject Parse(string json, string name)
    {
        VoiceProject project;
        try
        {
            project = JsonSerializer.Deserialize<VoiceProject>(json, Json)
                ?? throw new FlywheelException($"{name}: is null, expected a project");
        }
        catch (JsonException e)
        {
            throw new FlywheelException($"{name}: {e.Message}", e);
        }
        project.Validate(name);
        return project;
    }

    /// <exception cref="FlywheelException">No such file, or not a valid project.</exception>
    public static VoiceProject Read(string path) =>
        File.Exists(path) ? Parse(Utf8File.ReadText(path), path) : throw new FlywheelException($"{path}: there is no such file");

    /// <summary>The line of an id.</summary>
    /// <exception cref="FlywheelException">There is none.</exception>
    public VoiceLine Line(string id) =>
        Lines.FirstOrDefault(line => line.Id == id) ?? throw new FlywheelException($"there is no line '{id}' in the project");

    /// <summary>The project with a line in place of the one of its id.</summary>
    public VoiceProject With(VoiceLine line) => this with { Lines = [.. Lines.Select(each => each.Id == line.Id ? line : each)] };

    /// <summary>A language is part of files' names, so it holds nothing but letters, digits, '-' and '_'.</summary>
    public static bool IsLanguage(string text) =>
        text.Length is > 0 and <= MaxLanguageLength && text.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_');

    /// <summary>What holds for a line: its own, else its role's, else the project's.</summary>
    public VoiceSettings SettingsOf(VoiceLine line) =>
        line.Settings.Over(line.Role is not null && Cast.TryGetValue(line.Role, out VoiceSettings? role) ? role : new()).Over(Voice);

    /// <param name="where">What messages begin with.</param>
    /// <exception cref="FlywheelException">A value is wrong; the message names line and field.</exception>
    public void Validate(string where)
    {
        if (Lines.Count > MaxLines) throw new FlywheelException($"{where}: has {Lines.Count} lines, expected at most {MaxLines}");
        if (SampleRate is < MinRate or > MaxRate)
            throw new FlywheelException($"{where}: sample_rate is {SampleRate}, expected {MinRate} to {MaxRate}");
        if (Language.Length == 0) throw new FlywheelException($"{where}: language is empty, expected one such as en-us");
        if (!IsLanguage(Language))
            throw new FlywheelException(
                $"{where}: language is '{Language}', expected one such as en-us: at most {MaxLanguageLength} letters, digits, '-' and '_'");
        CheckFilled($"{where}: lines", Lines);
        CheckFilled($"{where}: dictionary", Dictionary);
        foreach ((string role, VoiceSettings? settings) in Cast)
            if (settings is null) throw new FlywheelException($"{where}: cast.{role} is null, expected how the role speaks");
        Original?.Validate($"{where}: original");
        Voice.Validate($"{where}: voice");
        foreach ((string role, VoiceSettings settings) in Cast) settings.Validate($"{where}: cast.{role}");
        for (int i = 0; i < Dictionary.Count; i++) Dictionary[i].Validate($"{where}: dictionary[{i}]");
        var ids = new HashSet<string>(StringComparer.Ordinal);
        foreach (VoiceLine line in Lines)
        {
            if (line.Id.Length == 0 || !ids.Add(line.Id))
                throw new FlywheelException(
                    $"{where}: the id '{line.Id}' is {(line.Id.Length == 0 ? "empty" : "that of two lines")}, expected one of its own for each line");
            line.Validate($"{where}: line '{line.Id}'");
        }
    }

    /// <summary>Refuses entries that a file gave as null: the reader looks at fields alone.</summary>
    internal static void CheckFilled<T>(string where, IReadOnlyList<T> entries) where T : class
    {
        for (int i = 0; i < entries.Count; i++)
            if ((object?)entries[i] is null) throw new FlywheelException($"{where}[{i}] is null, expected a value");
    }

    /// <summary>Times are numbers of seconds.</summary>
    private sealed class SecondsConverter : JsonConverter<TimeSpan>
    {
        public override TimeSpan Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.Number && reader.TryGetDecimal(out decimal seconds) && Math.Abs(seconds) < 1e9m
                ? TimeSpan.FromTicks((long)(seconds * TimeSpan.TicksPerSecond)) : throw new JsonException("expected a number of seconds");

        public override void Write(Utf8JsonWriter writer, TimeSpan value, JsonSerializerOptions options) =>
            writer.WriteNumberValue((decimal)value.Ticks / TimeSpan.TicksPerSecond);
    }
}

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
