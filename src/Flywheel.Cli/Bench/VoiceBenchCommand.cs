using System.CommandLine;
using Flywheel.Model;
using Flywheel.Voice;
using Spectre.Console;

namespace Flywheel.Cli.Bench;

/// <summary><c>flywheel bench segments</c> and <c>flywheel bench dub</c>: recordings and dubbing, on prompts that people have
/// spoken.</summary>
internal static class VoiceBenchCommand
{
    private static Option<string> Folder() =>
        new("--prompts")
            { Description = "Folder into which Debian's asterisk-core-sounds-{en,fr,es,it,ru} and their -wav were unpacked (dpkg-deb -x)",
                Required = true };

    public static Command Segments()
    {
        Option<string> folder = Folder();
        var command = new Command("segments",
            "Where somebody speaks in a recording: by energy, and by Silero VAD where the home has it, against what is known.\nExample: ./flywheel bench segments --prompts /tmp/prompts") { folder };
        command.SetAction(parse =>
        {
            using SileroVad? vad = SileroVad.FindIn(new FlywheelHome());
            if (vad is null) Console.Error.WriteLine("note: Silero VAD is not here; ./flywheel voice get silero");
            (float[] speech, IReadOnlyList<SpeechSegment> truth) = SegmentBenchmark.Speech(new Prompts(parse.GetValue(folder)!), seed: 1);
            Table table = new Table().Title($"{truth.Count} prompts, {speech.Length / 16_000.0 / 60:F1} minutes")
                .AddColumns("noise", "by", "found as one", "border, median ms", "border, 90 % ms", "false s/min");
            foreach ((string name, double decibels, Func<Random, int, float[]> make) in SegmentBenchmark.Noises)
            {
                float[] noise = make(new Random(2), speech.Length);
                foreach (SileroVad? by in vad is null ? (SileroVad?[])[null] : [null, vad])
                {
                    SegmentFigures figures = SegmentBenchmark.Measure(speech, truth, noise, decibels, by);
                    table.AddRow(name, by is null ? "energy" : "Silero", $"{100 * figures.Found:F1} %", $"{figures.MedianMs:F0}",
                        $"{figures.NinetiethMs:F0}", $"{figures.FalseSeconds:F1}");
                }
            }
            AnsiConsole.Write(table);
        });
        return command;
    }

    public static Command Dub()
    {
        Option<string> folder = Folder();
        var minutes = new Option<double>("--minutes") { Description = "Of English time", DefaultValueFactory = _ => 20 };
        var only = new Option<string[]>("--voice") { Description = "Only these; all when not given",
            DefaultValueFactory = _ => [.. DubBenchmark.Voices.Select(each => each.Voice)], AllowMultipleArgumentsPerToken = true };
        var command = new Command("dub",
            "The prompts in four languages with the times of the English ones: what overlaps, drifts, is too long, and whether it is the same twice.\nExample: ./flywheel bench dub --prompts /tmp/prompts") { folder, minutes, only };
        command.SetAction(async (parse, cancellation) =>
        {
            var prompts = new Prompts(parse.GetValue(folder)!);
            SpeechEngines engines = SpeechEngines.Default;
            Table table = new Table().AddColumns("language", "voice", "shorter texts", "lines", "minutes", "overlaps", "end drift ms",
                "too long at 1.2", "shortened", "faster", "worst over s", "same twice");
            foreach ((string language, string voice) in DubBenchmark.Voices.Where(each => parse.GetValue(only)!.Contains(each.Voice)))
            {
                if (!(await engines.VoicesAsync(cancellation)).Any(each => each.Id == voice))
                {
                    table.AddRow(language, voice, "", "not installed");
                    continue;
                }
                foreach (bool shorter in language is "es" or "fr" ? new[] { false, true } : [false])
                {
                    DubFigures figures = await DubBenchmark.RunAsync(prompts, engines, language, voice, shorter, parse.GetValue(minutes),
                        cancellation);
                    table.AddRow(language, voice, shorter ? "rules" : "none", $"{figures.Lines}", $"{figures.Minutes:F1}",
                        $"{figures.Overlaps}", $"{figures.DriftMs:F0}", $"{100 * figures.ShareAbove:F1} %", $"{figures.Shortened}",
                        $"{figures.Faster}", $"{figures.WorstOver:F2}", figures.IsSame ? "yes" : "NO");
                    Console.Error.WriteLine($"{language} {voice} {(shorter ? "with" : "without")} shorter texts: {figures}");
                }
            }
            AnsiConsole.Write(table);
        });
        return command;
    }
}
