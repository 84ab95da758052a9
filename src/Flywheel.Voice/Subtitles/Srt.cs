using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Flywheel.Voice;

/// <summary>
/// SubRip subtitles. Blocks of a number, a line of times and lines of text, with a blank line between; there is no standard, so what
/// common programs write is read: numbers that are wrong or missing, a point for the comma, <c>&lt;i&gt;</c> and <c>{\an8}</c>, which
/// are left out of the text.
/// </summary>
public static partial class Srt
{
    /// <param name="text">Of the file.</param>
    /// <param name="name">Of the file, for messages.</param>
    /// <returns>In the order of the file. Cues without text are left out.</returns>
    /// <exception cref="Model.FlywheelException">A fault; the message names file and line.</exception>
    public static IReadOnlyList<Cue> Parse(string text, string name)
    {
        var reader = new CueReader(text, name);
        var cues = new List<Cue>();
        for (reader.SkipBlank(); !reader.IsAtEnd; reader.SkipBlank())
        {
            if (Counter().IsMatch(reader.Peek))
            {
                int number = reader.Number;
                string counter = reader.Take();
                if (reader.IsAtEnd)
                    throw reader.Wrong(number, $"the file ends after the number {counter.Trim()}, expected the cue's times");
            }
            int line = reader.Number;
            (TimeSpan start, TimeSpan end) = reader.TakeTimes(needsHours: true);
            string plain = Plain(reader.TakeBlock());
            if (plain.Length > 0) cues.Add(new Cue(start, end, plain, Line: line));
        }
        return cues;
    }

    /// <summary>Numbered from 1 in the order given; a role that is not in the text stands before it as a label.</summary>
    public static string Write(IEnumerable<Cue> cues)
    {
        var text = new StringBuilder();
        int number = 0;
        foreach (Cue cue in cues)
            text.Append(CultureInfo.InvariantCulture, $"{++number}\n{Cue.Clock(cue.Start, ',')} --> {Cue.Clock(cue.End, ',')}\n")
                .Append(cue.Role is null ? "" : $"[{cue.Role}] ").AppendJoin('\n', Lines(cue.Text)).Append("\n\n");
        return text.ToString();
    }

    /// <summary>A blank line would end the cue.</summary>
    internal static IEnumerable<string> Lines(string text) =>
        text.ReplaceLineEndings("\n").Split('\n').Where(line => !string.IsNullOrWhiteSpace(line));

    private static string Plain(IEnumerable<string> lines) =>
        string.Join('\n', lines.Select(line => Markup().Replace(line, "").Trim()).Where(line => line.Length > 0));

    [GeneratedRegex(@"^\s*\d+\s*$", RegexOptions.CultureInvariant)]
    private static partial Regex Counter();

    [GeneratedRegex(@"</?(i|b|u|s|font|v|c|ruby|rt)(\s[^<>]*)?>|\{\\[^{}]*\}",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture)]
    private static partial Regex Markup();
}
