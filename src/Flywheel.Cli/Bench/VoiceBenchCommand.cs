using System.CommandLine;
using Flywheel.Model;
using Flywheel.Voice;
using Spectre.Console;

namespace Flywheel.Cli.Bench;

/// <summary><c>flywheel bench segments</c> and <c>flywheel bench dub</c>: recordings and dubbing, on prompts that people have spoken.</summary>
internal static class VoiceBenchCommand
{
    private static Option<string> Folder() => new("--prompts") { Description = "Folder into which Debian's asterisk-core-sounds-{en,fr,es,it,ru} and their -wav were unpacked (dpkg-deb -x)", Required = true };

    public static Command Segments()
    {
        Option<string> folder = Folder();
        var command = new Command("segments", "Where somebody speaks in a recording: by energy, and by Silero VAD where the home has it, against what is known.\nExample: ./flywheel bench segments --prompts /tmp/prompts") { folder };
        command.SetAction(parse =>
        {
            using SileroVad? vad = SileroVad.FindIn(new FlywheelHome());
            if (vad is null) Console.Error.WriteLine("note: Silero VAD is not here; ./flywheel voice get silero");
            (float[] speech, IReadOnlyList<SpeechSegment> truth) = SegmentBenchmark.Speech(new Prompts(parse.GetValue(folder)!), seed: 1);
            Table table = new Table().Title($"{truth.Count} prompts, {speech.Length / 16_000.0 / 60:F1} minutes").AddColumns("noise", "by", "found as one", "border, median ms", "border, 90 % ms", "false s/min");
            foreach ((string name, double decibels, Func<Random, int, float[]> make) in SegmentBenchmark.Noises)
            {
                float[] noise = make(new Random(2), speech.Length);
                foreach (SileroVad? by in vad is null ? (SileroVad?[])[null] : [null, vad])
                {
                    SegmentFigures figures = SegmentBenchmark.Measure(speech, truth, noise, decibels, by);
                    table.AddRow(name, by is null ? "energy" : "Silero", $"{100 * figures.Found:F1} %", $"{figures.MedianMs:F0}", $"{figures.NinetiethMs:F0}", $"{figures.FalseSeconds:F1}");
                }
            }
            AnsiConsole.Write(table);
        });
        return command;
    }
}
