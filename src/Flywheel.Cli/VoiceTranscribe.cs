using System.CommandLine;
using System.Globalization;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Studio.Serving;
using Flywheel.Voice;

namespace Flywheel.Cli;

/// <summary><c>flywheel voice transcribe</c>: what is said in a recording, by a Whisper file of the home.</summary>
internal static class VoiceTranscribe
{
    public static Command Create()
    {
        var recording = new Argument<string>("recording") { Description = "Sound or film: any file that ffmpeg reads" };
        var model = new Option<string?>("--model")
            { Description = "Name of a Whisper file (./flywheel voice add whisper FILE); when not given, the first" };
        var language = new Option<string?>("--language")
            { Description = "What is spoken, such as en or fr; when not given, the model hears it" };
        var translate = new Option<bool>("--to-english") { Description = "Write English, whatever is spoken" };
        var prompt = new Option<string?>("--prompt") { Description = "Words that may come, and what the text should look like" };
        var output = new Option<string>("--output", "-o") { Description = "Subtitles (.srt, .vtt), a text (.txt) or a project (.json)",
            Required = true };
        var command = new Command("transcribe",
            "Write down what is said in a recording. Words of the dictionaries and of earlier corrections are listened for.\nExample: ./flywheel voice transcribe interview.mp3 -o interview.srt") { recording, model, language, translate, prompt, output };
        command.SetAction(async (parse, cancellation) =>
        {
            (string from, string to) = (parse.GetValue(recording)!, parse.GetValue(output)!);
            string ending = Path.GetExtension(to).ToLowerInvariant();
            if (ending is not (".srt" or ".vtt" or ".txt" or ".json"))
                throw new FlywheelException($"{to}: expected a name that ends with .srt, .vtt, .txt or .json");
            InputFiles.RefuseOverwriting([from], [to]);
            (Guid id, Transcript transcript) = await HearAsync(from, parse.GetValue(model), new TranscriptOptions
            {
                Language = parse.GetValue(language)?.Split('-')[0].ToLowerInvariant(), Translate = parse.GetValue(translate),
                Prompt = parse.GetValue(prompt) ?? "",
            }, cancellation);
            if (ending == ".json") AtomicFile.WriteText(to, ProjectOf(from, transcript).ToJson());
            else if (ending == ".txt") AtomicFile.WriteText(to, transcript.Text + "\n");
            else SubtitleFile.Write(to, transcript.Cues);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{to}: {transcript.Segments.Count} {(transcript.Segments.Count == 1 ? "line" : "lines")} of {transcript.Seconds:0.0} seconds, heard by {transcript.Model} as '{transcript.Language}'; in the record as {id}"));
        });
        return command;
    }

    /// <summary>Hears a recording and records it.</summary>
    public static async Task<(Guid Id, Transcript Transcript)> HearAsync(string path, string? model, TranscriptOptions options,
        CancellationToken cancellation)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: there is no such file");
        var home = new FlywheelHome();
        using Transcriber transcriber = Transcriber.In(home);
        transcriber.Find(model);
        Clip clip = await Transcripts.ReadAsync(path, path, scratch: null, cancellation);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(home, cancellation: cancellation);
        return await new Transcripts(store, transcriber, new VoiceDictionaries(store, TimeProvider.System), TimeProvider.System)
            .HearAsync(Path.GetFileName(path), _ => Task.FromResult(clip), model, options,
                new TranscriptCaller(Environment.UserName, "", WorkspaceRow.Default), cancellation);
    }

    public static VoiceProject ProjectOf(string path, Transcript transcript)
    {
        var project = new VoiceProject { Name = Path.GetFileNameWithoutExtension(path), Language = transcript.Language,
            Lines = ScriptFile.OfCues(transcript.Cues) };
        project.Validate(path);
        return project;
    }
}
