using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>Audio files for people and players: WAV by us, the rest by ffmpeg.</summary>
public static class AudioEncoder
{
    private static readonly TimeSpan s_limit = TimeSpan.FromHours(1);

    private static readonly Dictionary<string, string[]> Codecs = new(StringComparer.Ordinal)
    {
        ["wav"] = [],
        ["mp3"] = ["-c:a", "libmp3lame", "-q:a", "2", "-f", "mp3"],
        ["opus"] = ["-c:a", "libopus", "-b:a", "64k", "-f", "ogg"],
        ["flac"] = ["-c:a", "flac", "-f", "flac"],
    };

    /// <summary>Names of the formats, without a dot.</summary>
    public static IReadOnlyCollection<string> Endings => Codecs.Keys;

    /// <exception cref="FlywheelException">The name ends otherwise, or the format needs a program that is missing.</exception>
    public static void Check(string path)
    {
        string ending = EndingOf(path);
        if (!Codecs.ContainsKey(ending))
            throw new FlywheelException(
                $"{path}: is no audio file by its name, expected {NearestName.List([.. Endings.Select(each => "." + each)])}");
        if (ending != "wav" && !ExternalProgram.Ffmpeg.IsInstalled)
            throw new FlywheelException($"{path}: {ExternalProgram.Ffmpeg.Missing.Message}; .wav needs nothing");
    }

    /// <summary>Writes a file of any format from a WAV file that is made for it.</summary>
    /// <param name="path">Appears when it is whole.</param>
    /// <param name="make">Writes the WAV file of the path that it is given.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<T> WriteAsync<T>(string path, Func<string, Task<T>> make, CancellationToken cancellation = default)
    {
        Check(path);
        if (EndingOf(path) == "wav") return await make(path);
        using var folder = new WorkFolder();
        T made = await make(folder["whole.wav"]);
        await EncodeAsync(folder["whole.wav"], path, cancellation);
        return made;
    }

    /// <summary>A WAV file in the format that the other's name says.</summary>
    public static async Task EncodeAsync(string wav, string path, CancellationToken cancellation = default)
    {
        Check(path);
        string temporary = $"{Path.GetFullPath(path)}.{Guid.NewGuid():N}.tmp";
        try
        {
            // A path is one argument; "file:" keeps a name with a colon from being taken for a protocol.
            await ExternalProgram.Ffmpeg.RunAsync(
                ["-v", "error", "-nostdin", "-y", "-i", $"file:{Path.GetFullPath(wav)}", "-map_metadata", "-1", "-fflags", "+bitexact",
                    "-flags:a", "+bitexact", .. Codecs[EndingOf(path)] is { Length: > 0 } codec
                        ? codec : ["-c:a", "pcm_s16le", "-f", "wav"], $"file:{temporary}"],
                limit: s_limit, cancellation: cancellation);
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary); // nothing when it has been renamed
        }
    }

    /// <summary>Encodes samples as they come.</summary>
    /// <param name="format">One of <see cref="Endings"/> but wav.</param>
    /// <param name="sampleRate">Of the samples.</param>
    /// <param name="feed">Writes samples: one channel, 16 bits, little-endian.</param>
    /// <param name="output">Gets the file as it comes.</param>
    /// <param name="cancellation">Gives up.</param>
    public static Task StreamAsync(string format, int sampleRate, Func<Stream, Task> feed, Stream output, CancellationToken cancellation) =>
        ExternalProgram.Ffmpeg.PipeAsync(["-v", "error", "-f", "s16le", "-ar",
            sampleRate.ToString(System.Globalization.CultureInfo.InvariantCulture), "-ac", "1", "-i", "pipe:0",
            "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-flush_packets", "1", .. Codecs[format], "pipe:1"],
            feed, output, s_limit, cancellation: cancellation);

    private static string EndingOf(string path) => Path.GetExtension(path).TrimStart('.').ToLowerInvariant();
}
