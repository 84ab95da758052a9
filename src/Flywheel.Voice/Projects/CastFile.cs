using Flywheel.Model;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Flywheel.Voice;

/// <summary>
/// Who speaks which role, as YAML: <c>JOHN: flite:rms</c>, or with settings <c>MARY: {voice: flite:slt, speed: 1.1, pitch: -1}</c>.
/// </summary>
public static class CastFile
{
    private static readonly string[] Fields = ["voice", "speed", "pitch", "volume"];

    /// <exception cref="FlywheelException">No such file, or a fault in it; the message names file and line.</exception>
    public static IReadOnlyDictionary<string, VoiceSettings> Read(string path) =>
        File.Exists(path) ? Parse(Utf8File.ReadText(path), path) : throw new FlywheelException($"{path}: there is no such file");

    /// <inheritdoc cref="Read"/>
    public static IReadOnlyDictionary<string, VoiceSettings> Parse(string yaml, string name)
    {
        var cast = new Dictionary<string, VoiceSettings>(StringComparer.Ordinal);
        var stream = new YamlStream();
        if (yaml.Length > 1 << 20) throw new FlywheelException($"{name}: has {yaml.Length} characters, expected at most {1 << 20}");
        try
        {
            stream.Load(new StringReader(yaml));
        }
        catch (YamlException e)
        {
            throw new FlywheelException($"{name} line {e.Start.Line}: not valid YAML: {e.InnerException?.Message ?? e.Message}", e);
        }
        if (stream.Documents.Count == 0) return cast;
        if (stream.Documents[0].RootNode is not YamlMappingNode roles)
            throw new FlywheelException($"{name}: expected a line 'ROLE: VOICE' for each role");
        foreach ((YamlNode role, YamlNode value) in roles.Children)
        {
            string where = $"{name} line {role.Start.Line}: {role}";
            VoiceSettings settings = value switch
            {
                YamlScalarNode { Value.Length: > 0 } voice => new VoiceSettings { Voice = voice.Value },
                YamlMappingNode fields => ReadSettings(fields, where),
                _ => throw new FlywheelException($"{where} is '{value}', expected a voice, or {{voice: VOICE, speed: 1.1}}"),
            };
            settings.Validate(where);
            cast[role.ToString()] = settings;
        }
        return cast;
    }

    private static VoiceSettings ReadSettings(YamlMappingNode fields, string where)
    {
        foreach (YamlNode field in fields.Children.Keys)
            if (!Fields.Contains(field.ToString()))
                throw new FlywheelException($"{where}: the field '{field}' is not known{NearestName.Hint(field.ToString(), Fields)}");
        return new VoiceSettings { Voice = Text("voice"), Speed = Number("speed"), Pitch = Number("pitch"), Volume = Number("volume") };

        string? Text(string field) => fields.Children.TryGetValue(new YamlScalarNode(field), out YamlNode? node) ? node.ToString() : null;
        double? Number(string field) => Text(field) is not { } text ? null
            : double.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, out double number) ? number
            : throw new FlywheelException($"{where}: {field} is '{text}', expected a number");
    }
}
