using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>What stands beside a voice's model, in <c>NAME.onnx.json</c> (rhasspy/piper, MIT: piper_train's config).</summary>
/// <param name="SampleRate">Of the sound.</param>
/// <param name="EspeakVoice">Whose sounds it was trained on.</param>
/// <param name="IsText">It reads letters and no sounds.</param>
/// <param name="Language">As in BCP 47.</param>
/// <param name="Ids">Of each sound, by its Unicode characters.</param>
/// <param name="Speakers">Numbers by name, in order; empty of one speaker.</param>
/// <param name="NumSpeakers">At least 1.</param>
/// <param name="Noise">How much chance there is in the sound.</param>
/// <param name="Length">How long sounds are; 2 is half as fast.</param>
/// <param name="NoiseWidth">How much chance there is in the lengths.</param>
internal sealed record PiperConfig(int SampleRate, string EspeakVoice, bool IsText, string Language,
    IReadOnlyDictionary<string, long[]> Ids, IReadOnlyList<(string Name, int Number)> Speakers, int NumSpeakers, float Noise, float Length,
    float NoiseWidth)
{
    public const string Begin = "^", End = "$", Pad = "_";

    private const int MaxSpeakers = 10_000, MaxSounds = 10_000, MaxBytes = 16 << 20;

    /// <exception cref="FlywheelException">No such file, or not valid; the message names the field.</exception>
    public static PiperConfig Read(string path)
    {
        var file = new FileInfo(path);
        if (!file.Exists) throw new FlywheelException($"{path}: there is no such file; a voice is NAME.onnx with NAME.onnx.json beside it");
        if (file.Length > MaxBytes) throw new FlywheelException($"{path}: has {file.Length} bytes, expected at most {MaxBytes}");
        JsonObject root;
        try
        {
            root = JsonNode.Parse(Utf8File.ReadText(path),
                documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject
                ?? throw new FlywheelException($"{path}: is no JSON object");
        }
        catch (JsonException e)
        {
            throw new FlywheelException($"{path}: not valid JSON: {e.Message}", e);
        }
        var fields = new Fields(path);
        JsonObject scales = fields.Object(root, "inference") ?? [];
        string type = fields.Text(root, "phoneme_type") ?? "espeak";
        if (type is not ("espeak" or "text")) throw fields.Wrong("phoneme_type", root["phoneme_type"], "espeak or text");
        string espeak = fields.Text(fields.Object(root, "espeak") ?? [], "voice")
            ?? (type == "text" ? "" : throw fields.Wrong("espeak.voice", null, "a voice of espeak-ng, such as en-us"));
        string language = (fields.Text(fields.Object(root, "language") ?? [], "code") ?? espeak).Replace('_', '-').ToLowerInvariant();
        if (!VoiceProject.IsLanguage(language)) throw fields.Wrong("language.code", language, "a language such as en_US");
        int speakers = fields.Integer(root, "num_speakers", 1, MaxSpeakers, usual: 1);
        return new PiperConfig(
            fields.Integer(fields.Object(root, "audio") ?? [], "sample_rate", VoiceProject.MinRate, VoiceProject.MaxRate), espeak,
            type == "text", language,
            IdsOf(fields, root), SpeakersOf(fields, root, speakers), speakers,
            fields.Scale(scales, "noise_scale", .667f), fields.Scale(scales, "length_scale", 1), fields.Scale(scales, "noise_w", .8f));
    }

    private static Dictionary<string, long[]> IdsOf(Fields fields, JsonObject root)
    {
        JsonObject map = fields.Object(root, "phoneme_id_map") ?? throw fields.Wrong("phoneme_id_map", null, "numbers of each sound");
        if (map.Count > MaxSounds)
            throw new FlywheelException($"{fields.Path}: phoneme_id_map has {map.Count} entries, expected at most {MaxSounds}");
        var ids = new Dictionary<string, long[]>(StringComparer.Ordinal);
        foreach ((string sound, JsonNode? numbers) in map)
            ids[sound] = numbers is JsonArray { Count: > 0 and < 64 } list
                && list.All(each => each is JsonValue value && value.TryGetValue(out long id) && id is >= 0 and < int.MaxValue)
                ? [.. list.Select(each => each!.GetValue<long>())]
                : throw fields.Wrong($"phoneme_id_map['{sound}']", numbers, "a list of numbers");
        foreach (string sign in new[] { Begin, End, Pad })
            if (!ids.ContainsKey(sign))
                throw fields.Wrong($"phoneme_id_map['{sign}']", null,
                    "its number: it marks begin (^), end ($) or the space between sounds (_)");
        return ids;
    }

    private static IReadOnlyList<(string, int)> SpeakersOf(Fields fields, JsonObject root, int count)
    {
        JsonObject map = fields.Object(root, "speaker_id_map") ?? [];
        if (count == 1) return [];
        var speakers = new List<(string, int)>();
        foreach (string name in map.Select(pair => pair.Key)) speakers.Add((name, fields.Integer(map, name, 0, count - 1)));
        return speakers.Count > 0
            ? [.. speakers.OrderBy(each => each.Item2)] : [.. Enumerable.Range(0, count).Select(number => ($"{number}", number))];
    }

    /// <summary>Reads fields of the file; what is wrong is named with it.</summary>
    private sealed class Fields(string path)
    {
        public string Path => path;

        public FlywheelException Wrong(string field, JsonNode? value, string expected)
        {
            string shown = value?.ToJsonString(JsonText.Compact) ?? "missing";
            return new($"{path}: field '{field}' is {(shown.Length <= 80 ? shown : shown[..80] + "…")}, expected {expected}");
        }

        public JsonObject? Object(JsonObject of, string field) =>
            of[field] switch { null => null, JsonObject value => value, var other => throw Wrong(field, other, "an object") };

        public string? Text(JsonObject of, string field) =>
            of[field] switch { null => null, JsonValue value when value.TryGetValue(out string? text) && text.Length <= 200 => text,
                var other => throw Wrong(field, other, "a text") };

        public int Integer(JsonObject of, string field, int min, int max, int? usual = null) => of[field] switch
        {
            null when usual is { } number => number,
            JsonValue value when value.TryGetValue(out int number) && number >= min && number <= max => number,
            var other => throw Wrong(field, other, $"a number from {min} to {max}"),
        };

        public float Scale(JsonObject of, string field, float usual) => of[field] switch
        {
            null => usual,
            JsonValue value when value.TryGetValue(out double number) && number is >= 0 and <= 10 => (float)number,
            var other => throw Wrong($"inference.{field}", other, "a number from 0 to 10"),
        };
    }
}
