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
