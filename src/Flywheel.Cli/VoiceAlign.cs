using System.CommandLine;
using System.Globalization;
using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Cli;

/// <summary><c>flywheel voice align</c>: when each line of a text is said in a recording.</summary>
internal static class VoiceAlign
{
    private const int Rate = 16_000;

    public static Command Create()
    {
        var recording = new Argument<string>("recording") { Description = "Sound or film: any file that ffmpeg reads" };
        var script = new Argument<string>("script") { Description = "What is said in it, all of it and in order: .txt or .docx" };
        var output = new Option<string>("--output", "-o") { Description = "Subtitles (.srt, .vtt) or a project (.json)", Required = true };
        var command = new Command("align",
            "Give the lines of a text the times at which a recording says them, by its pauses. It hears no words: the text must be the recording's.\nExample: ./flywheel voice align interview.mp3 interview.txt -o interview.srt") { recording, script, output };
        command.SetAction(async (parse, cancellation) =>
        {
            (string sound, string text, string to) = (parse.GetValue(recording)!, parse.GetValue(script)!, parse.GetValue(output)!);
            if (Path.GetExtension(to).ToLowerInvariant() is not (".srt" or ".vtt" or ".json"))
                throw new FlywheelException($"{to}: expected a name that ends with .srt, .vtt or .json");
            VoiceProject project = ScriptFile.Read(text);
            if (project.Lines.Count == 0)
                throw new FlywheelException($"{text}: has no line; the recording's text is needed, since nothing here hears words");
            string folder = Directory.CreateTempSubdirectory("flywheel-align-").FullName;
            try
            {
                string wav = Path.Combine(folder, "sound.wav");
                await VideoFile.ExtractAsync(sound, wav, Rate, cancellation);
                using SileroVad? vad = SileroVad.FindIn(new FlywheelHome());
                if (vad is null)
                    Console.Error.WriteLine(
                        "note: speech is found by its energy, which noise and music have too; ./flywheel voice get silero brings what tells them apart");
                project = project with { Lines = SpeechSegments.Align(WavReader.ReadMono(wav), project.Lines, vad) };
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
            if (to.EndsWith(".json", StringComparison.OrdinalIgnoreCase)) AtomicFile.WriteText(to, project.ToJson());
            else SubtitleFile.Write(to, project.Lines.Select(line => new Cue(line.Start!.Value, line.End!.Value, line.Text, line.Role)));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{to}: {project.Lines.Count} lines, from {project.Lines[0].Start!.Value.TotalSeconds:0.0} to {project.Lines[^1].End!.Value.TotalSeconds:0.0} s"));
        });
        return command;
    }
}
