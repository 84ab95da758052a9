using System.CommandLine;
using System.Globalization;
using Flywheel.Data;
using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Cli;

/// <summary><c>flywheel voice get</c> and <c>flywheel voice add</c>: models that listen and speak, which lie in the home's folder
/// voice.</summary>
internal static class VoiceFiles
{
    private const string Silero = "silero", Piper = "piper", Whisper = "whisper";

    public static Command Get()
    {
        var what = new Argument<string>("what") { Description = "silero: tells speech from everything else in a recording (2.3 MB, MIT)" };
        var command = new Command("get",
            "Fetch a model that others publish, checked by its hash; FLYWHEEL_MIRROR and NPM_CONFIG_REGISTRY name other places.\nExample: ./flywheel voice get silero") { what };
        command.SetAction(parse =>
        {
            if (parse.GetValue(what) is var asked && asked != Silero) throw new FlywheelException($"what is '{asked}', expected {Silero}");
            var home = new FlywheelHome();
            string path = SileroVad.PathIn(home);
            SileroVadPackage.Fetch(home, path);
            using (SileroVad.Open(path)) Console.WriteLine($"{path}: Silero VAD, which from now on finds where somebody speaks");
        });
        return command;
    }

    public static Command Add()
    {
        var kind =
            new Argument<string>("kind") { Description =
                "piper: a voice, NAME.onnx with NAME.onnx.json beside it; whisper: a model that writes down recordings, in whisper.cpp's ggml form" };
        var file = new Argument<string>("file") { Description = "It is looked through and copied into the home" };
        var command = new Command("add",
            "Put in a model of your own: a voice in Piper's form, or a Whisper file. Files may also be put into the folders piper and whisper of the home's folder voice.\nExample: ./flywheel voice add whisper ggml-base.bin") { kind, file };
        command.SetAction(async (parse, cancellation) =>
        {
            var home = new FlywheelHome();
            string path = parse.GetValue(file)!;
            switch (parse.GetValue(kind))
            {
                case Piper:
                    Voice.Voice voice = await new PiperEngine(PiperEngine.FolderIn(home)).AddAsync(path, cancellation);
                    Console.WriteLine($"{voice.Id}: speaks {voice.Language}. ./flywheel voice say \"...\" --voice {voice.Id} -o out.wav");
                    break;
                case Whisper:
                    using (var transcriber = Transcriber.In(home))
                    {
                        WhisperFile added = transcriber.Add(path);
                        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                            $"{added.Name}: {(added.IsMultilingual ? "many languages" : "English")}, {added.NumBytes / 1e6:0.0} MB. ./flywheel voice transcribe FILE --model {added.Name} -o out.srt"));
                    }
                    break;
                case var other:
                    throw new FlywheelException($"kind is '{other}', expected {Piper} or {Whisper}");
            }
        });
        return command;
    }
}
