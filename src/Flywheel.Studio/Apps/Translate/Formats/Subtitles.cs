using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Translate.Formats;

/// <summary>SubRip: numbers and times stay to the letter, each subtitle is one segment, and what grew is broken into lines again.</summary>
internal sealed partial class Subtitles : PieceFormat
{
    /// <summary>Characters of a line that viewers read in time (Netflix, BBC: 37 to 42).</summary>
    private const int MaxLine = 42;

    public override string Name => "srt";

    public override string Extension => ".srt";

    public override string MediaType => "application/x-subrip";

    protected override IReadOnlyList<Piece> Parse(string text)
    {
        List<Piece> pieces = [];
        List<(string Text, string End)> lines = [.. Lines(text)];
        int cues = 0;
        for (int i = 0; i < lines.Count;)
        {
            if (lines[i].Text.Trim().Length == 0)
            {
                pieces.Add(new(lines[i].Text + lines[i++].End));
                continue;
            }
            int first = i;
            if (Number().IsMatch(lines[i].Text) && i + 1 < lines.Count) pieces.Add(new(lines[i].Text + lines[i++].End));
            if (!Times().IsMatch(lines[i].Text))
                throw new FlywheelException(
                    $"the SRT file, line {i + 1}: is '{(lines[i].Text.Length <= 60 ? lines[i].Text : lines[i].Text[..57] + "...")}', expected {(i == first ? "a number, or " : "")}times such as 00:00:01,000 --> 00:00:03,500");
            pieces.Add(new(lines[i].Text + lines[i++].End));
            cues++;
            List<(string Text, string End)> said = [];
            while (i < lines.Count && lines[i].Text.Trim().Length > 0) said.Add(lines[i++]);
            if (said.Count == 0) continue;
            string all = string.Join('\n', said.Select(line => line.Text.Trim()));
            if (all.Any(char.IsLetterOrDigit)) pieces.Add(new("", new TextBlock(all, IsWhole: true)));
            else pieces.Add(new(string.Join(said[0].End, said.Select(line => line.Text))));
            pieces.Add(new(said[^1].End));
        }
        return cues > 0
            ? pieces : throw new FlywheelException("the SRT file has no subtitle, expected a number, a line of times and a text");
    }

    /// <summary>An empty line would end the subtitle, and an arrow of times begin another.</summary>
    protected override string Fit(TextBlock block, string text)
    {
        string[] lines =
            [.. text.Replace("-->", "→", StringComparison.Ordinal)
                .Split(['\n', '\r'], StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
        if (lines.Length != 1 || lines[0].Length <= MaxLine) return string.Join('\n', lines);
        // As few lines as hold it, as even as its words allow.
        int count = (lines[0].Length + MaxLine - 1) / MaxLine, at = 0;
        List<string> broken = [];
        for (int left = count; left > 1; left--)
        {
            int ideal = at + (lines[0].Length - at) / left;
            int after = lines[0].IndexOf(' ', ideal), before = lines[0].LastIndexOf(' ', ideal, ideal - at);
            int cut = after < 0 ? before : before <= at ? after : after - ideal < ideal - before ? after : before;
            if (cut <= at) break;
            broken.Add(lines[0][at..cut].Trim());
            at = cut + 1;
        }
        broken.Add(lines[0][at..].Trim());
        return string.Join('\n', broken.Where(line => line.Length > 0));
    }

    [GeneratedRegex(@"^\s*[0-9]+\s*$")]
    private static partial Regex Number();

    [GeneratedRegex(@"^\s*[0-9]+:[0-9]{1,2}:[0-9]{1,2}[,.][0-9]{1,3}\s*-->\s*[0-9]+:[0-9]{1,2}:[0-9]{1,2}[,.][0-9]{1,3}(?:\s.*)?$")]
    private static partial Regex Times();
}
