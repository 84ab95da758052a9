using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>Subtitles in SubRip (.srt) and WebVTT (.vtt) files.</summary>
public static class SubtitleFile
{
    /// <summary>Whether the name is that of a subtitle file.</summary>
    public static bool IsSubtitles(string path) => Path.GetExtension(path).ToLowerInvariant() is ".srt" or ".vtt";

    /// <exception cref="FlywheelException">No such file, or a fault in it; the message names file and line.</exception>
    public static IReadOnlyList<Cue> Read(string path)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: there is no such file");
        string text = Utf8File.ReadText(path);
        return IsVtt(path) ? WebVtt.Parse(text, path) : Srt.Parse(text, path);
    }

    public static void Write(string path, IEnumerable<Cue> cues) =>
        AtomicFile.WriteText(path, IsVtt(path) ? WebVtt.Write(cues) : Srt.Write(cues));

    private static bool IsVtt(string path) => IsSubtitles(path)
        ? string.Equals(Path.GetExtension(path), ".vtt", StringComparison.OrdinalIgnoreCase)
        : throw new FlywheelException($"{path}: is no subtitle file by its name, expected .srt or .vtt");
}
