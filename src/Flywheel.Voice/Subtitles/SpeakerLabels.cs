using System.Text.RegularExpressions;

namespace Flywheel.Voice;

/// <summary>
/// The labels of subtitles for the deaf and hard of hearing: <c>[JOHN] Hello.</c>, <c>JOHN: Hello.</c>, a dash before each speaker,
/// and descriptions of sound such as <c>[door slams]</c>, <c>(laughs)</c> and <c>♪ music ♪</c>, which nobody speaks.
/// </summary>
public static partial class SpeakerLabels
{
    /// <summary>What is spoken and by whom; a description of sound alone gives nothing.</summary>
    /// <param name="text">Of a cue, lines separated by \n.</param>
    /// <param name="roles">Names that are labels whatever their letters are; else a label is in capitals.</param>
    public static IReadOnlyList<(string? Role, string Text)> Split(string text, IReadOnlyCollection<string>? roles = null)
    {
        var spoken = new List<(string? Role, string Text)>();
        bool isNew = true; // the next line begins an utterance and is no continuation
        foreach (string line in text.Split('\n'))
        {
            string rest = line.Trim();
            if (Dash().Match(rest) is { Success: true } dash && (text.Contains('\n', StringComparison.Ordinal) || spoken.Count == 0))
            {
                rest = rest[dash.Length..];
                isNew = true;
            }
            string? role = null;
            if (Label().Match(rest) is { Success: true } label && Name(label, rest, roles) is { } name)
                (role, rest, isNew) = (name, rest[label.Length..], true);
            rest = Spaces().Replace(Sound().Replace(rest, " "), " ").Trim();
            if (rest.Length == 0)
            {
                if (role is null) continue;
                spoken.Add((role, "")); // a label on a line of its own: what follows is its text
                isNew = false;
                continue;
            }
            if (isNew || spoken.Count == 0) spoken.Add((role, rest));
            else spoken[^1] = (spoken[^1].Role, $"{spoken[^1].Text} {rest}".Trim());
            isNew = false;
        }
        return [.. spoken.Where(part => part.Text.Length > 0)];
    }

    private static string? Name(Match label, string text, IReadOnlyCollection<string>? roles)
    {
        string name = label.Groups["name"].Value.Trim();
        if (roles?.FirstOrDefault(role => string.Equals(role, name, StringComparison.OrdinalIgnoreCase)) is { } known) return known;
        if (name.Any(char.IsLower) || !name.Any(char.IsLetter) || name.Split(' ').Length > 4) return null;
        // In brackets with nothing behind it, capitals are more often a sound: [DOOR SLAMS].
        return label.Groups["bracket"].Success && string.IsNullOrWhiteSpace(text[label.Length..]) ? null : name;
    }

    [GeneratedRegex(@"^[-–—]\s*(?=\S)", RegexOptions.CultureInvariant)]
    private static partial Regex Dash();

    [GeneratedRegex(@"^(?:(?<bracket>[\[(])(?<name>[^\[\]()]{1,40})[\])]:?|(?<name>[\p{L}\p{M}][\p{L}\p{M}\p{N} .'’#-]{0,39}):)(?=\s|$)\s*",
        RegexOptions.CultureInvariant)]
    private static partial Regex Label();

    [GeneratedRegex(@"\[[^\[\]]*\]|^\([^()]*\)$|[♪♫][^♪♫]*[♪♫]|[♪♫].*$", RegexOptions.CultureInvariant)]
    private static partial Regex Sound();

    [GeneratedRegex(@"\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Spaces();
}
