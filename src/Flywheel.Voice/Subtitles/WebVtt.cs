using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace Flywheel.Voice;

/// <summary>WebVTT subtitles (W3C, 2019): cues with text and the speaker of <c>&lt;v Name&gt;</c>; style, region and position are left
/// out.</summary>
public static partial class WebVtt
{
    /// <inheritdoc cref="Srt.Parse"/>
    public static IReadOnlyList<Cue> Parse(string text, string name)
    {
        var reader = new CueReader(text, name);
        if (!Signature().IsMatch(reader.Peek))
            throw reader.Wrong(1, $"the file begins with '{CueReader.Short(reader.Peek)}', expected WEBVTT");
        reader.TakeBlock();
        var cues = new List<Cue>();
        for (reader.SkipBlank(); !reader.IsAtEnd; reader.SkipBlank())
        {
            if (NoCue().IsMatch(reader.Peek))
            {
                reader.TakeBlock();
                continue;
            }
            if (!reader.Peek.Contains("-->", StringComparison.Ordinal))
            {
                int number = reader.Number;
                string identifier = reader.Take();
                if (reader.IsAtEnd || string.IsNullOrWhiteSpace(reader.Peek))
                    throw reader.Wrong(number, $"'{CueReader.Short(identifier)}' stands alone, expected a cue's times after its name");
            }
            int line = reader.Number;
            (TimeSpan start, TimeSpan end) = reader.TakeTimes(needsHours: false);
            cues.AddRange(Voices(string.Join('\n', reader.TakeBlock())).Select(voice => new Cue(start, end, voice.Text, voice.Role, line)));
        }
        return cues;
    }

    public static string Write(IEnumerable<Cue> cues)
    {
        var text = new StringBuilder("WEBVTT\n\n");
        foreach (Cue cue in cues)
        {
            string plain = Escape(string.Join('\n', Srt.Lines(cue.Text)));
            text.Append(Cue.Clock(cue.Start, '.')).Append(" --> ").Append(Cue.Clock(cue.End, '.')).Append('\n')
                .Append(cue.Role is null ? plain : $"<v {Escape(cue.Role)}>{plain}").Append("\n\n");
        }
        return text.ToString();
    }

    /// <summary>A cue in which several speak holds several voice spans.</summary>
    private static IEnumerable<(string? Role, string Text)> Voices(string payload)
    {
        string? role = null;
        int from = 0;
        foreach (Match match in VoiceTag().Matches(payload))
        {
            if (Plain(payload[from..match.Index]) is { Length: > 0 } before) yield return (role, before);
            role = match.Groups["name"].Success ? Decode(match.Groups["name"].Value) : null;
            from = match.Index + match.Length;
        }
        if (Plain(payload[from..]) is { Length: > 0 } rest) yield return (role, rest);
    }

    private static string Plain(string payload) =>
        string.Join('\n', Tag().Replace(payload, "").Split('\n').Select(line => Decode(line)).Where(line => line.Length > 0));

    private static string Decode(string text) => WebUtility.HtmlDecode(text).Replace("\u200E", "", StringComparison.Ordinal)
        .Replace("\u200F", "", StringComparison.Ordinal).ReplaceLineEndings(" ").Trim();

    private static string Escape(string text) => text.Replace("&", "&amp;", StringComparison.Ordinal)
        .Replace("<", "&lt;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal);

    [GeneratedRegex(@"^WEBVTT([ \t].*)?$", RegexOptions.CultureInvariant)]
    private static partial Regex Signature();

    [GeneratedRegex(@"^(NOTE|STYLE|REGION)([ \t]|$)", RegexOptions.CultureInvariant)]
    private static partial Regex NoCue();

    [GeneratedRegex(@"<v(\.[^\s<>]*)?(\s+(?<name>[^<>]*))?>|</v>", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex VoiceTag();

    [GeneratedRegex(@"<[^<>]*>", RegexOptions.CultureInvariant)]
    private static partial Regex Tag();
}
