using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>As EBU R 128 measures it.</summary>
/// <param name="Integrated">Of the whole, in LUFS; -70 of silence.</param>
/// <param name="Range">In LU.</param>
/// <param name="TruePeak">In dBTP, between the samples too.</param>
public sealed record Loudness(double Integrated, double Range, double TruePeak);

/// <summary>Loudness of files, measured and set by ffmpeg.</summary>
public static partial class LoudnessMeter
{
    /// <summary>What a result may differ from what was asked.</summary>
    private const double Tolerance = .2;

    private const int MaxCorrections = 4;

    private static readonly TimeSpan s_limit = TimeSpan.FromHours(2);

    /// <summary>By the filter ebur128.</summary>
    /// <exception cref="FlywheelException">ffmpeg is missing, or cannot read the file.</exception>
    public static async Task<Loudness> MeasureAsync(string path, CancellationToken cancellation = default)
    {
        string said = await ReportAsync(path, "ebur128=peak=true:framelog=verbose", cancellation);
        double Last(Regex pattern) =>
            pattern.Matches(said) is { Count: > 0 } found
                && double.TryParse(found[^1].Groups[1].Value, CultureInfo.InvariantCulture, out double number)
                ? number : double.NegativeInfinity;
        return new Loudness(Math.Max(-70, Last(IntegratedLine())), Math.Max(0, Last(RangeLine())), Last(PeakLine()));
    }

    /// <summary>Brings a file to a loudness: loudnorm in two passes, then what is still missing by gain and a limiter.</summary>
    /// <param name="from">Any sound file.</param>
    /// <param name="to">A WAV file.</param>
    /// <param name="target">In LUFS.</param>
    /// <param name="truePeak">What no peak passes, in dBTP.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">The file is silent, or the loudness cannot be reached under that peak.</exception>
    public static async Task NormalizeAsync(string from, string to, double target, double truePeak,
        CancellationToken cancellation = default)
    {
        string Text(double number) => number.ToString("0.##", CultureInfo.InvariantCulture);
        string said = await ReportAsync(from, $"loudnorm=I={Text(target)}:TP={Text(truePeak)}:LRA=11:print_format=json", cancellation);
        JsonNode measured = JsonNode.Parse(said[said.LastIndexOf('{')..(said.LastIndexOf('}') + 1)])!;
        double Number(string field) =>
            double.TryParse((string?)measured[field], CultureInfo.InvariantCulture, out double number) ? number : double.NegativeInfinity;
        if (!(Number("input_i") > -70)) throw new FlywheelException($"{from}: is silent, so it cannot be brought to {target} LUFS");
        // With a range that is no smaller than the file's, the second pass is one gain for all of it, as long as the peaks allow.
        double range = Math.Clamp(Math.Ceiling(Number("input_lra")), 11, 50);
        string second =
            $"loudnorm=I={Text(target)}:TP={Text(truePeak)}:LRA={Text(range)}:measured_I={Text(Number("input_i"))}:measured_TP={Text(Math.Max(-99, Number("input_tp")))}"
            + $":measured_LRA={Text(Number("input_lra"))}:measured_thresh={Text(Number("input_thresh"))}:offset={Text(Number("target_offset"))}:linear=true";
        await FilterAsync(from, to, second, cancellation);
        double gain = 0;
        for (int i = 0; i < MaxCorrections; i++)
        {
            double missing = target - (await MeasureAsync(to, cancellation)).Integrated;
            if (Math.Abs(missing) <= Tolerance) return;
            gain += missing;
            string limit = Math.Pow(10, (truePeak - .3) / 20).ToString("0.####", CultureInfo.InvariantCulture);
            await FilterAsync(from, to, $"{second},volume={Text(gain)}dB,alimiter=limit={limit}:level=false:attack=2:release=60",
                cancellation);
        }
        Loudness reached = await MeasureAsync(to, cancellation);
        if (Math.Abs(target - reached.Integrated) > .5)
            throw new FlywheelException(
                $"{from}: reaches {reached.Integrated:0.0} LUFS under peaks of {truePeak:0.0} dBTP, not {target:0.0}; ask for less");
    }

    /// <summary>A filter over a file, at the file's rate.</summary>
    internal static async Task FilterAsync(string from, string to, string filter, CancellationToken cancellation)
    {
        int rate;
        using (WavReader reader = WavReader.Open(from)) rate = reader.Rate;
        await ExternalProgram.Ffmpeg.RunAsync(["-v", "error", "-nostdin", "-y", "-i", $"file:{Path.GetFullPath(from)}", "-af", filter,
            "-ar", rate.ToString(CultureInfo.InvariantCulture),
            "-c:a", "pcm_s16le", "-fflags", "+bitexact", "-flags:a", "+bitexact", $"file:{Path.GetFullPath(to)}"], limit: s_limit,
            cancellation: cancellation);
    }

    private static async Task<string> ReportAsync(string path, string filter, CancellationToken cancellation) =>
        (await ExternalProgram.Ffmpeg.RunAsync(["-v", "info", "-hide_banner", "-nostats", "-nostdin", "-i",
            $"file:{Path.GetFullPath(path)}", "-af", filter, "-f", "null", "-"],
            limit: s_limit, cancellation: cancellation)).Errors;

    [GeneratedRegex(@"I:\s+(-?[\d.]+) LUFS")]
    private static partial Regex IntegratedLine();

    [GeneratedRegex(@"LRA:\s+(-?[\d.]+) LU\b")]
    private static partial Regex RangeLine();

    [GeneratedRegex(@"Peak:\s+(-?[\d.]+) dBFS")]
    private static partial Regex PeakLine();
}
