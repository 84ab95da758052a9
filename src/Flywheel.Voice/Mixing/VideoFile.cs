using System.Globalization;
using System.Text;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>Films: their sound out, a dubbed one in. The picture is copied packet by packet, with its times, so that films of a varying
/// frame rate keep theirs.</summary>
public static class VideoFile
{
    /// <summary>
    /// Stand before a file that somebody sent: only forms that hold their sound and picture themselves are read, since lists of other files
    /// would make ffmpeg
    /// read those of this machine.
    /// </summary>
    internal static readonly string[] Foreign = ["-format_whitelist",
        "wav,w64,mp3,ogg,flac,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,aiff,amr,asf,avi,caf,mpeg,mpegts", "-protocol_whitelist", "file"];

    private static readonly TimeSpan s_limit = TimeSpan.FromHours(2);

    private static readonly Dictionary<string, string[]> Codecs = new(StringComparer.Ordinal)
    {
        [".mp4"] = ["-c:a", "aac", "-b:a", "192k", "-movflags", "+faststart"], [".mov"] = ["-c:a", "aac", "-b:a", "192k"],
        [".mkv"] = ["-c:a", "libopus", "-b:a", "128k"], [".webm"] = ["-c:a", "libopus", "-b:a", "128k"],
    };

    /// <summary>ISO 639-2 codes, which containers want, of the languages that the engines speak most.</summary>
    private static readonly Dictionary<string, string> Languages =
        "en eng es spa fr fra de deu it ita pt por ru rus zh zho ja jpn ko kor nl nld pl pol cs ces ca cat fi fin sv swe tr tur ar ara hi hin mr mar te tel uk ukr da dan ro ron el ell hu hun gl glg eu eus"
        .Split(' ').Chunk(2).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);

    private static ExternalProgram Probe { get; } = new("ffprobe", "ffmpeg");

    public static IReadOnlyCollection<string> Endings => Codecs.Keys;

    public static bool IsOne(string path) => Codecs.ContainsKey(Path.GetExtension(path).ToLowerInvariant());

    /// <summary>How long a film is, and whether it has a sound track.</summary>
    /// <exception cref="FlywheelException">No such file, no picture in it, or ffmpeg is missing.</exception>
    public static async Task<(double Seconds, bool HasSound)> LookAsync(string path, CancellationToken cancellation = default)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: there is no such file");
        if (!Probe.IsInstalled) throw Probe.Missing;
        (byte[] output, _) =
            await Probe.RunAsync(["-v", "error", .. Foreign, "-show_entries", "stream=codec_type:format=duration", "-of", "default=nw=1",
                $"file:{Path.GetFullPath(path)}"], cancellation: cancellation);
        string said = Encoding.UTF8.GetString(output);
        if (!said.Contains("codec_type=video", StringComparison.Ordinal))
            throw new FlywheelException($"{path}: has no picture, expected a film");
        return said.Split('\n').FirstOrDefault(line => line.StartsWith("duration=", StringComparison.Ordinal)) is { } line
            && double.TryParse(line["duration=".Length..], CultureInfo.InvariantCulture, out double seconds)
            ? (seconds,
                said.Contains("codec_type=audio", StringComparison.Ordinal))
                : throw new FlywheelException($"{path}: does not say how long it is");
    }

    /// <summary>The sound of a film or of any file that ffmpeg reads, as mono; silence where a film's sound begins late.</summary>
    /// <param name="path">The film.</param>
    /// <param name="wav">The result.</param>
    /// <param name="rate">Samples a second.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">There is no sound in it.</exception>
    public static async Task ExtractAsync(string path, string wav, int rate = 16_000, CancellationToken cancellation = default)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: there is no such file");
        await ExternalProgram.Ffmpeg.RunAsync(["-v", "error", "-nostdin", "-y", "-i", $"file:{Path.GetFullPath(path)}", "-map", "0:a:0",
            "-vn", "-af", "aresample=async=1:first_pts=0", "-ac", "1",
            "-ar", rate.ToString(CultureInfo.InvariantCulture), "-c:a", "pcm_s16le", $"file:{Path.GetFullPath(wav)}"], limit: s_limit,
            cancellation: cancellation);
    }

    /// <summary>
    /// The same of a file that somebody sent (<see cref="Foreign"/>).
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="wav">The result.</param>
    /// <param name="name">What the sender calls it, for messages.</param>
    /// <param name="rate">Samples a second.</param>
    /// <param name="most">What is longer is cut off.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">There is no sound in it.</exception>
    public static async Task ExtractForeignAsync(string path, string wav, string name, int rate, TimeSpan most,
        CancellationToken cancellation = default)
    {
        string full = Path.GetFullPath(path);
        try
        {
            await ExternalProgram.Ffmpeg.RunAsync(["-v", "error", "-nostdin", "-y", .. Foreign, "-i", $"file:{full}",
                "-map", "0:a:0", "-vn", "-af", "aresample=async=1:first_pts=0", "-t",
                most.TotalSeconds.ToString("0", CultureInfo.InvariantCulture), "-ac", "1", "-ar",
                rate.ToString(CultureInfo.InvariantCulture), "-c:a", "pcm_s16le", $"file:{Path.GetFullPath(wav)}"], limit: s_limit,
                cancellation: cancellation);
        }
        catch (FlywheelException e)
        {
            throw new FlywheelException(
                $"{name}: no sound can be read from it: {e.Message.Split('\n')[0].Replace($"file:{full}", name, StringComparison.Ordinal)}",
                e);
        }
    }

    /// <summary>The film with another sound. Picture, subtitles and chapters are those of the film.</summary>
    /// <param name="film">Its picture is copied unchanged.</param>
    /// <param name="sound">A WAV file.</param>
    /// <param name="path">.mp4, .mov, .mkv or .webm; appears when it is whole.</param>
    /// <param name="language">Of the sound.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">ffmpeg failed; the container may not take the film's picture.</exception>
    public static async Task MuxAsync(string film, string sound, string path, string language, CancellationToken cancellation = default)
    {
        string ending = Path.GetExtension(path).ToLowerInvariant();
        if (!Codecs.TryGetValue(ending, out string[]? codec))
            throw new FlywheelException($"{path}: is no film by its name, expected {NearestName.List([.. Endings])}");
        string temporary = $"{Path.GetFullPath(path)}.{Guid.NewGuid():N}{ending}";
        string[] subtitles = ending == ".mkv" ? ["-map", "0:s?", "-c:s", "copy"] : [];
        try
        {
            await ExternalProgram.Ffmpeg.RunAsync(["-v", "error", "-nostdin", "-y", .. Foreign, "-i", $"file:{Path.GetFullPath(film)}",
                "-i", $"file:{Path.GetFullPath(sound)}", "-map", "0:v:0", "-map", "1:a:0", .. subtitles,
                "-c:v", "copy", .. codec, "-map_metadata", "0", "-map_chapters", "0", "-metadata:s:a:0",
                $"language={Languages.GetValueOrDefault(language.Split('-')[0].ToLowerInvariant(), "und")}", $"file:{temporary}"],
                limit: s_limit, cancellation: cancellation);
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary); // nothing when it has been renamed
        }
    }
}
