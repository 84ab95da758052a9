using System.CommandLine;
using System.Globalization;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Voice;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel voice</c>: speech from text and subtitles, by the speech engines of this machine.</summary>
internal static class VoiceCommand
{
    public static Command Create()
    {
        var language = new Option<string?>("--language") { Description = "Only voices of a language, such as en or it" };
        var voices = new Command("voices",
            "List the voices of this machine, and what to install for more.\nExample: ./flywheel voice voices --language en") { language };
        voices.SetAction((parse, cancellation) => VoicesAsync(parse.GetValue(language), cancellation));

        var text = new Argument<string>("text") { Description = "What to say; - reads standard input" };
        var voice = new Option<string?>("--voice") { Description = "Id of a voice; when not given, one that speaks English" };
        var speed = new Option<double?>("--speed") { Description = "1 is the voice's own, 2 twice as fast" };
        var pitch = new Option<double?>("--pitch") { Description = "Semitones up or down" };
        var volume = new Option<double?>("--volume") { Description = "Decibels louder or quieter" };
        var isMarkup = new Option<bool>("--ssml") { Description = "The text is SSML: break, prosody, say-as, phoneme, emphasis, sub" };
        var dictionary = new Option<string[]>("--dictionary")
            { Description = "Pronunciations, .csv or .pls; of several the last counts most" };
        var output = new Option<string>("--output", "-o") { Description = $"File to write: {NearestName.List(AudioEncoder.Endings)}",
            Required = true };
        var say = new Command("say", "Speak a text.\nExample: ./flywheel voice say \"Hello there.\" --voice flite:slt -o hello.wav") { text,
            voice, speed, pitch, volume, isMarkup, dictionary, output };
        say.SetAction((parse, cancellation) =>
        {
            string said = parse.GetValue(text)!;
            var settings = new VoiceSettings { Voice = parse.GetValue(voice), Speed = parse.GetValue(speed), Pitch = parse.GetValue(pitch),
                Volume = parse.GetValue(volume) };
            settings.Validate("say");
            var line = new VoiceLine { Id = "1", Text = said == "-" ? Console.In.ReadToEnd() : said, IsMarkup = parse.GetValue(isMarkup) };
            var project = new VoiceProject { Voice = settings, Lines = [line] };
            project.Validate("say");
            return RenderAsync(project, parse.GetValue(dictionary) ?? [], parse.GetValue(output)!, report: null, cancellation);
        });

        Command render = VoiceRender.Create();
        Command align = VoiceAlign.Create();
        return new Command("voice",
            "Speech and dubbing by the speech engines of this machine (docs/voice.md).\nExample: ./flywheel voice render film.srt --voice flite:slt -o film.wav") { voices, say, render, align, VoiceShorten.Create(), VoiceTranscribe.Create(), VoiceFiles.Get(), VoiceFiles.Add() };
    }

    /// <summary>Renders, encodes, and says what came of it.</summary>
    internal static async Task RenderAsync(VoiceProject project, IReadOnlyList<string> dictionaries, string output, string? report,
        CancellationToken cancellation,
        MixOptions? mix = null, string? stems = null, string? lines = null, string? video = null)
    {
        if (video is null) AudioEncoder.Check(output);
        else if (!VideoFile.IsOne(output))
            throw new FlywheelException($"{output}: is no film by its name, expected {NearestName.List([.. VideoFile.Endings])}");
        SegmentCache cache = SegmentCache.In(new FlywheelHome());
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        var shared = new VoiceDictionaries(store, TimeProvider.System);
        IReadOnlyList<Pronunciation>[] given = [.. dictionaries.Select(DictionaryFile.Read)];
        var renderer = new Renderer(SpeechEngines.In(new FlywheelHome()), cache,
            async stop => [.. await shared.ScopesAsync(stop), .. given], Recordings.In(new FlywheelHome()));
        RenderReport made;
        MixReport? mixed = null;
        if (mix is null)
            made = await AudioEncoder.WriteAsync(output, wav => renderer.RenderAsync(project, wav, cancellation: cancellation),
                cancellation);
        else
        {
            string speech = Directory.CreateTempSubdirectory("flywheel-speech-").FullName;
            try
            {
                made = await renderer.RenderAsync(project, Path.Combine(speech, "speech.wav"), cancellation: cancellation);
                if (mix.Length is { } length && made.Seconds > length + .05)
                    Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                        $"note: the speech lasts {made.Seconds:0.0} seconds and {video} {length:0.0}; what is said after its end is cut off"));
                string sound = video is null ? output : Path.Combine(speech, "mixed.wav");
                mixed = await Mixer.MixAsync(Path.Combine(speech, "speech.wav"), sound, mix, stems, cancellation);
                if (video is not null) await VideoFile.MuxAsync(video, sound, output, project.Language, cancellation);
            }
            finally
            {
                Directory.Delete(speech, recursive: true);
            }
        }
        if (lines is not null) await renderer.WriteLinesAsync(project, lines, cancellation);
        cache.Trim();
        if (report is not null) AtomicFile.WriteText(report, made.ToJson());
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{output}: {mixed?.Seconds ?? made.Seconds:0.0} seconds, {made.NumLines} {(made.NumLines == 1 ? "line" : "lines")}, {made.NumEngineCalls} calls of engines (the rest was there)"));
        if (made.Fit is { } fit)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"Of {fit.NumTimed} lines with a time {fit.NumShortened} took a shorter text, {fit.NumFaster} are spoken faster, {fit.ShareAbove:P1} are too long at 1.2 (the worst by {fit.LargestOverrun:0.00} s); the end drifts by {1000 * fit.EndDrift:0} ms"));
        foreach (LineReport line in made.Lines.Where(line => line.Flag is not null).Take(20))
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  line {line.Id} is too long by {line.Overrun:0.00} s"));
        if (mixed is not null)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"Loudness {mixed.Loudness.Integrated:0.0} LUFS, range {mixed.Loudness.Range:0.0} LU, true peak {mixed.Loudness.TruePeak:0.0} dBTP, {mixed.NumClipped} samples clipped"));
    }

    private static async Task VoicesAsync(string? language, CancellationToken cancellation)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("voice", "language", "gender", "name");
        foreach (ISpeechEngine engine in SpeechEngines.In(new FlywheelHome()).All)
        {
            if (!engine.Program.IsInstalled)
            {
                table.AddRow(engine.Name, "", "", Markup.Escape($"not installed; apt-get install {engine.Program.Package}"));
                continue;
            }
            foreach (Voice.Voice voice in await engine.VoicesAsync(cancellation))
                if (language is null || voice.Language == language || voice.Language.Split('-')[0] == language)
                    table.AddRow(Markup.Escape(voice.Id), voice.Language, voice.Gender ?? "", Markup.Escape(voice.Title));
        }
        AnsiConsole.Write(table);
        foreach (string fault in new PiperEngine(PiperEngine.FolderIn(new FlywheelHome())).Faults())
            Console.Error.WriteLine($"note: {fault}");
        Console.WriteLine("espeak's voices have variants: espeak:en-us+f3 is a woman's. More festival voices: apt-cache search festvox");
    }
}
