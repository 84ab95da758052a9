using System.Globalization;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>Scripts as lines of a project: subtitles with their times, or plain text in which each line is one.</summary>
public static class ScriptFile
{
    /// <summary>Endings of the files that are read.</summary>
    public static IReadOnlyList<string> Endings { get; } = [".srt", ".vtt", ".txt", ".docx", ".json"];

    /// <summary>After a paragraph of plain text.</summary>
    private static readonly TimeSpan s_paragraph = TimeSpan.FromMilliseconds(900);

    /// <param name="path">.srt, .vtt, .txt, .docx, or a project's .json.</param>
    /// <param name="roles">Names that are labels of speakers whatever their letters are.</param>
    /// <exception cref="FlywheelException">No such file, or a fault in it; the message names file and line.</exception>
    public static VoiceProject Read(string path, IReadOnlyCollection<string>? roles = null)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: there is no such file");
        string ending = Path.GetExtension(path).ToLowerInvariant();
        var project = new VoiceProject { Name = Path.GetFileNameWithoutExtension(path) };
        project = ending switch
        {
            ".srt" or ".vtt" => project with { Lines = OfCues(SubtitleFile.Read(path), roles) },
            ".txt" => project with { Lines = OfText(Utf8File.ReadText(path), roles) },
            ".docx" => project with { Lines = OfWord(path, roles) },
            ".json" => VoiceProject.Read(path),
            _ => throw new FlywheelException($"{path}: is no script by its name, expected {NearestName.List([.. Endings])}"),
        };
        project.Validate(path);
        return project;
    }

    /// <summary>
    /// Subtitles in the order of their times. Labels of speakers become roles and descriptions of sound are left out; when several speak in
    /// one cue, each gets a share of its time by the length of the text.
    /// </summary>
    public static IReadOnlyList<VoiceLine> OfCues(IEnumerable<Cue> cues, IReadOnlyCollection<string>? roles = null)
    {
        var lines = new List<VoiceLine>();
        foreach (Cue cue in cues.OrderBy(cue => cue.Start))
        {
            IReadOnlyList<(string? Role, string Text)> spoken = SpeakerLabels.Split(cue.Text, roles);
            double all = spoken.Sum(part => part.Text.Length), before = 0;
            TimeSpan At(double letters) =>
                TimeSpan.FromMilliseconds(Math.Round((cue.Start + (cue.End - cue.Start) * (letters / all)).TotalMilliseconds));
            foreach ((string? role, string text) in spoken)
            {
                lines.Add(new VoiceLine { Id = Id(lines.Count), Start = At(before), End = At(before + text.Length), Role = role ?? cue.Role,
                    Text = text });
                before += text.Length;
            }
        }
        return lines;
    }

    /// <summary>Each line that is not blank; after a blank one a longer pause.</summary>
    public static IReadOnlyList<VoiceLine> OfText(string text, IReadOnlyCollection<string>? roles = null)
    {
        var lines = new List<VoiceLine>();
        foreach (string written in text.TrimStart('\uFEFF').ReplaceLineEndings("\n").Split('\n'))
        {
            if (string.IsNullOrWhiteSpace(written))
            {
                if (lines.Count > 0) lines[^1] = lines[^1] with { Pause = s_paragraph };
                continue;
            }
            foreach ((string? role, string said) in SpeakerLabels.Split(written.Trim(), roles))
                lines.Add(new VoiceLine { Id = Id(lines.Count), Role = role, Text = said });
        }
        return lines;
    }

    private static IReadOnlyList<VoiceLine> OfWord(string path, IReadOnlyCollection<string>? roles)
    {
        using FileStream file = File.OpenRead(path);
        return WordScript.Read(file, path, roles);
    }

    private static string Id(int index) => (index + 1).ToString(CultureInfo.InvariantCulture);
}
