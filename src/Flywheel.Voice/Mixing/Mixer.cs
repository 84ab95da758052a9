using System.Globalization;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>What lies under the speech, and how loud the whole is.</summary>
public sealed record MixOptions
{
    public const double MinLoudness = -40, MaxLoudness = -8;

    /// <summary>Music or the original sound: any file that ffmpeg reads, a film too. It begins again when it is shorter. Null:
    /// none.</summary>
    public string? Bed { get; init; }

    /// <summary>The bed is a file that somebody sent (<see cref="VideoFile.Foreign"/>).</summary>
    public bool IsBedForeign { get; init; }

    /// <summary>Of the bed, in decibels, before it is ducked.</summary>
    public double BedVolume { get; init; } = -6;

    /// <summary>The bed's, in seconds.</summary>
    public double FadeIn { get; init; } = 1;

    /// <summary>The bed's, in seconds; it lasts so much longer than the speech.</summary>
    public double FadeOut { get; init; } = 2;

    /// <summary>Seconds of the whole, under which the bed lies once and without fades, as under a film; null: as long as the speech and,
    /// with a bed, the fade out.</summary>
    public double? Length { get; init; }

    /// <summary>Of the whole, in LUFS (EBU R 128): -23 for broadcast, -16 for the web. Null: as it comes.</summary>
    public double? Loudness { get; init; }

    /// <summary>What no peak passes, in dBTP, where <see cref="Loudness"/> is given.</summary>
    public double TruePeak { get; init; } = -1;

    /// <exception cref="FlywheelException">A value is out of bounds, or there is no such bed.</exception>
    public void Validate()
    {
        if (Bed is not null && !File.Exists(Bed)) throw new FlywheelException($"{Bed}: there is no such file");
        Check("the bed's volume", BedVolume, -60, 20);
        Check("fade in", FadeIn, 0, 60);
        Check("fade out", FadeOut, 0, 60);
        Check("loudness", Loudness ?? MinLoudness, MinLoudness, MaxLoudness);
        Check("true peak", TruePeak, -9, 0);

        static void Check(string what, double value, double min, double max)
        {
            if (!(value >= min && value <= max)) throw new FlywheelException($"{what} is {value}, expected {min} to {max}");
        }
    }
}

/// <param name="Seconds">Of the whole.</param>
/// <param name="Loudness">Measured on the result by another filter than the one that set it.</param>
/// <param name="NumClipped">Samples at the end of the range.</param>
/// <param name="Stems">Files of speech and bed as they lie in the mix, before the loudness was set.</param>
public sealed record MixReport(double Seconds, Loudness Loudness, long NumClipped, IReadOnlyList<string> Stems);

/// <summary>Lays speech over a bed that gives way to it, and brings the whole to a loudness; ffmpeg does both.</summary>
public static class Mixer
{
    private const int BedRate = 48_000;

    private static readonly TimeSpan s_limit = TimeSpan.FromHours(2);

    /// <param name="speech">A WAV file.</param>
    /// <param name="path">The result, of any format of <see cref="AudioEncoder"/>; appears when it is whole.</param>
    /// <param name="options">What is done.</param>
    /// <param name="stems">Folder that gets speech.wav and bed.wav; null: none.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">ffmpeg is missing or failed, or an option is wrong.</exception>
    public static async Task<MixReport> MixAsync(string speech, string path, MixOptions options, string? stems = null,
        CancellationToken cancellation = default)
    {
        options.Validate();
        AudioEncoder.Check(path);
        if (!ExternalProgram.Ffmpeg.IsInstalled) throw ExternalProgram.Ffmpeg.Missing;
        using var folder = new WorkFolder();
        string mixed = speech;
        List<string> files = [];
        if (options.Bed is not null) await DuckAsync(speech, folder, mixed = folder["mixed.wav"], options, cancellation);
        else if (options.Length is { } length) // a silent film
            await LoudnessMeter.FilterAsync(speech, mixed = folder["mixed.wav"],
                string.Create(CultureInfo.InvariantCulture, $"apad=whole_dur={length:0.######},atrim=duration={length:0.######}"),
                cancellation);
        if (stems is not null)
        {
            Directory.CreateDirectory(stems);
            foreach ((string from, string name) in options.Bed is null
                ? [(speech, "speech.wav")] : new[] { (folder["speech.wav"], "speech.wav"), (folder["bed.wav"], "bed.wav") })
            {
                files.Add(Path.Combine(stems, name));
                File.Copy(from, files[^1], overwrite: true);
            }
        }
        string whole = folder["whole.wav"];
        if (options.Loudness is { } target) await LoudnessMeter.NormalizeAsync(mixed, whole, target, options.TruePeak, cancellation);
        else await LoudnessMeter.FilterAsync(mixed, whole, "anull", cancellation);
        Loudness loudness = await LoudnessMeter.MeasureAsync(whole, cancellation);
        (double seconds, long numClipped) = Look(whole);
        await AudioEncoder.EncodeAsync(whole, path, cancellation);
        return new MixReport(seconds, loudness, numClipped, files);
    }

    /// <summary>How long a WAV file is, and how many of its samples are at the end of their range.</summary>
    public static (double Seconds, long NumClipped) Look(string wav)
    {
        using WavReader reader = WavReader.Open(wav);
        float[] piece = new float[8192 * reader.NumChannels];
        long count = 0, clipped = 0;
        for (int read; (read = reader.Read(piece)) > 0; count += read)
            foreach (float sample in piece.AsSpan(0, read))
                if (Math.Abs(sample) >= 32767f / 32768) clipped++;
        return ((double)count / reader.NumChannels / reader.Rate, clipped);
    }

    private static async Task DuckAsync(string speech, WorkFolder folder, string mixed, MixOptions options, CancellationToken cancellation)
    {
        double length = options.Length ?? Look(speech).Seconds + options.FadeOut;
        string Text(double number) => number.ToString("0.######", CultureInfo.InvariantCulture);
        // The bed is compressed by the level of the speech; both go into the mix as they are, so that words keep their level.
        bool isOnce = options.Length is not null;
        string shape = isOnce ? $"apad=whole_dur={Text(length)},atrim=duration={Text(length)}"
            : $"atrim=duration={Text(length)},afade=t=in:d={Text(options.FadeIn)},afade=t=out:st={Text(Math.Max(0, length - options.FadeOut))}:d={Text(options.FadeOut)}";
        string graph = string.Join(';',
            $"[0:a]aresample={BedRate},pan=stereo|c0=c0|c1=c0,apad=whole_dur={Text(length)},asplit=3[key][over][stem]",
            $"[1:a]aresample={BedRate}{(isOnce ? ":async=1:first_pts=0" : "")},aformat=channel_layouts=stereo,volume={Text(options.BedVolume)}dB,{shape}[bed]",
            "[bed][key]sidechaincompress=threshold=0.015:ratio=10:attack=15:release=400[ducked]",
            "[ducked]asplit=2[under][bedstem]",
            "[over][under]amix=inputs=2:duration=first:dropout_transition=0:normalize=0[mix]");
        await ExternalProgram.Ffmpeg.RunAsync(["-v", "error", "-nostdin", "-y", "-i", $"file:{Path.GetFullPath(speech)}", "-stream_loop",
            isOnce ? "0" : "-1", .. options.IsBedForeign ? VideoFile.Foreign : [], "-i", $"file:{Path.GetFullPath(options.Bed!)}",
            "-filter_complex", graph, .. Output("[mix]", mixed, "pcm_f32le"), .. Output("[stem]", folder["speech.wav"], "pcm_s16le"),
            .. Output("[bedstem]", folder["bed.wav"], "pcm_s16le")],
            limit: s_limit, cancellation: cancellation);

        string[] Output(string label, string file, string codec) =>
            ["-map", label, "-t", Text(length), "-c:a", codec, "-fflags", "+bitexact", "-flags:a", "+bitexact", $"file:{file}"];
    }
}
