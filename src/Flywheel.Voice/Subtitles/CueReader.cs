using System.Globalization;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>What readers of subtitles share: lines with their numbers, and the line of times.</summary>
internal sealed partial class CueReader(string text, string name)
{
    private readonly string[] _lines = text.TrimStart('\uFEFF').ReplaceLineEndings("\n").Split('\n');
    private int _next;

    public bool IsAtEnd => _next >= _lines.Length;

    /// <summary>Of the line that comes next, from 1.</summary>
    public int Number => _next + 1;

    /// <summary>The line that comes next; it is not taken.</summary>
    public string Peek => _lines[_next];

    public string Take() => _lines[_next++];

    public void SkipBlank()
    {
        while (!IsAtEnd && string.IsNullOrWhiteSpace(Peek)) _next++;
    }

    /// <summary>Lines up to a blank one.</summary>
    public IReadOnlyList<string> TakeBlock()
    {
        var block = new List<string>();
        while (!IsAtEnd && !string.IsNullOrWhiteSpace(Peek)) block.Add(Take());
        return block;
    }

    public FlywheelException Wrong(int line, string what) => new($"{name}: line {line}: {what}");

    /// <summary>Takes a line such as <c>00:00:01,500 --> 00:00:04,000</c>; what follows the times is settings of the display.</summary>
    public (TimeSpan Start, TimeSpan End) TakeTimes(bool needsHours)
    {
        int number = Number;
        string line = Take();
        Match match = Times().Match(line);
        string form = needsHours ? "00:00:01,500 --> 00:00:04,000" : "00:01.500 --> 00:04.000";
        if (!match.Success || needsHours && !match.Groups["h1"].Success)
            throw Wrong(number, $"'{Short(line)}' are no times, expected {form}");
        TimeSpan start = Clock(match, "1", number), end = Clock(match, "2", number);
        if (end < start) throw Wrong(number, $"the cue ends at {match.Groups["t2"].Value}, before it begins at {match.Groups["t1"].Value}");
        return (start, end);
    }

    public static string Short(string text) => text.Length <= 60 ? text : $"{text[..57]}...";

    private TimeSpan Clock(Match match, string which, int line)
    {
        int Part(string name) =>
            match.Groups[name + which] is { Success: true } group ? int.Parse(group.Value, CultureInfo.InvariantCulture) : 0;
        int minutes = Part("m"), seconds = Part("s");
        if (minutes > 59 || seconds > 59)
            throw Wrong(line, $"'{match.Groups["t" + which].Value}' is no time: minutes and seconds go to 59");
        return new TimeSpan(0, Part("h"), minutes, seconds, Part("f"));
    }

    // 0 to 9 and not the digits of every script, which \d takes and no parser reads.
    [GeneratedRegex(@"^\s*(?<t1>((?<h1>[0-9]{1,4}):)?(?<m1>[0-9]{1,2}):(?<s1>[0-9]{1,2})[,.](?<f1>[0-9]{3}))\s*-->\s*"
        + @"(?<t2>((?<h2>[0-9]{1,4}):)?(?<m2>[0-9]{1,2}):(?<s2>[0-9]{1,2})[,.](?<f2>[0-9]{3}))(\s.*)?$",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex Times();
}
