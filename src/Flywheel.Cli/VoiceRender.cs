using System.CommandLine;
using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Cli;

/// <summary><c>flywheel voice render</c>: scripts and subtitles, one or a folder of them.</summary>
internal static class VoiceRender
{
    public static Command Create()
    {
        var script = new Argument<string>("script")
            { Description =
                $"{NearestName.List([.. ScriptFile.Endings])}, a folder of them, or a recording, which a Whisper file writes down first" };
        var voice = new Option<string?>("--voice")
            { Description = "Who speaks when the cast says nothing; when not given, a voice of the language" };
        var language = new Option<string?>("--language") { Description = "Of the text, such as en-us or it" };
        var speed = new Option<double?>("--speed") { Description = "1 is the voice's own, 2 twice as fast" };
        var cast = new Option<string?>("--cast") { Description = "Who speaks which role: YAML with lines such as 'JOHN: flite:rms'" };
        var dictionary = new Option<string[]>("--dictionary")
            { Description = "Pronunciations, .csv or .pls; of several the last counts most" };
        var output = new Option<string>("--output",
            "-o") { Description = $"File to write ({NearestName.List(AudioEncoder.Endings)}); of a folder of scripts, a folder",
                Required = true };
        var format = new Option<string>("--format") { Description = "Of the files of a folder", DefaultValueFactory = _ => "wav" };
        var translate = new Option<string?>("--translate")
            { Description = "Speak it in another language, such as en-es: by this home's translation memory and glossary, and Apertium" };
        var bed =
            new Option<string?>("--bed") { Description =
                "Music or original sound that gives way to the speech: any file that ffmpeg reads" };
        var video = new Option<string?>("--video")
            { Description =
                "Film that gets the speech over its own sound, which gives way; its picture is copied as it is, and the output is a film" };
        var bedVolume = new Option<double>("--bed-volume") { Description = "Of the bed, in decibels",
            DefaultValueFactory = _ => new MixOptions().BedVolume };
        var loudness = new Option<double?>("--loudness")
            { Description = "Bring the whole to so many LUFS: -23 for broadcast, -16 for the web" };
        var stems = new Option<string?>("--stems") { Description = "Folder that gets speech and bed as files of their own" };
        var lines = new Option<string?>("--lines") { Description = "Folder that gets each line as a file of its own" };
        var report = new Option<string?>("--report")
            { Description = "JSON with what became of each line; of a folder of scripts, a folder" };
        var command = new Command("render",
            "Speak a script. Subtitles keep their times, labels such as [JOHN] become roles. What was rendered before is not rendered again, also after a crash.\nExample: ./flywheel voice render film.srt --voice flite:slt --cast cast.yaml -o film.mp3")
            { script, voice, language, speed, cast, dictionary, translate, bed, video, bedVolume, loudness, stems, lines, output, format,
                report };
        command.SetAction(async (parse, cancellation) =>
        {
            string path = parse.GetValue(script)!, to = parse.GetValue(output)!;
            string[] dictionaries = parse.GetValue(dictionary) ?? [];
            IReadOnlyDictionary<string, VoiceSettings> roles = parse.GetValue(cast) is { } file
                ? CastFile.Read(file) : new Dictionary<string, VoiceSettings>();
            var settings = new VoiceSettings { Voice = parse.GetValue(voice), Speed = parse.GetValue(speed) };
            settings.Validate("render");
            MixOptions? mix = parse.GetValue(bed) is null && parse.GetValue(loudness) is null && parse.GetValue(stems) is null ? null
                : new MixOptions { Bed = parse.GetValue(bed), BedVolume = parse.GetValue(bedVolume), Loudness = parse.GetValue(loudness) };
            string? film = parse.GetValue(video);
            if (film is not null)
            {
                if (parse.GetValue(bed) is not null)
                    throw new FlywheelException("--bed and --video were both given, expected one: a film's own sound is the bed");
                if (Directory.Exists(path)) throw new FlywheelException($"--video is {film}, expected one script, and {path} is a folder");
                (double seconds, bool hasSound) = await VideoFile.LookAsync(film, cancellation);
                mix = (mix ?? new MixOptions { BedVolume = parse.GetValue(bedVolume), Loudness = parse.GetValue(loudness) })
                    with { Bed = hasSound ? film : null, Length = seconds };
            }
            mix?.Validate();
            if (!Directory.Exists(path))
            {
                CheckOutputs(path, to, parse.GetValue(report));
                await RenderOneAsync(path, to, parse.GetValue(report));
                return;
            }
            string ending = $".{parse.GetValue(format)!.TrimStart('.').ToLowerInvariant()}";
            string[] scripts =
                [.. Directory.EnumerateFiles(path).Where(each => ScriptFile.Endings.Contains(Path.GetExtension(each).ToLowerInvariant()))
                    .Order(StringComparer.Ordinal)];
            if (scripts.Length == 0)
                throw new FlywheelException(
                    $"{path}: holds no script, expected files that end with {NearestName.List([.. ScriptFile.Endings])}");
            if (scripts.GroupBy(Path.GetFileNameWithoutExtension).FirstOrDefault(same => same.Count() > 1) is { } twice)
                throw new FlywheelException(
                    $"{path}: {string.Join(" and ", twice.Select(Path.GetFileName))} would both be written as {twice.Key}{ending}");
            foreach (string each in scripts) CheckOutputs(each, TargetOf(each), ReportOf(each));
            Directory.CreateDirectory(to);
            if (parse.GetValue(report) is { } reports) Directory.CreateDirectory(reports);
            foreach (string each in scripts) await RenderOneAsync(each, TargetOf(each), ReportOf(each));

            string TargetOf(string from) => Path.Combine(to, Path.GetFileNameWithoutExtension(from) + ending);

            string? ReportOf(string from) =>
                parse.GetValue(report) is { } folder ? Path.Combine(folder, $"{Path.GetFileNameWithoutExtension(from)}.json") : null;

            string? Folder(Option<string?> option, string from) =>
                parse.GetValue(option) is { } folder ? Directory.Exists(path)
                    ? Path.Combine(folder, Path.GetFileNameWithoutExtension(from)) : folder : null;

            void CheckOutputs(string from, string target, string? made)
            {
                string? tracks = Folder(stems, from);
                InputFiles.RefuseOverwriting([from, film, parse.GetValue(bed), parse.GetValue(cast), .. dictionaries],
                    [target, made, .. tracks is null ? [] : new[] { Path.Combine(tracks, "speech.wav"), Path.Combine(tracks, "bed.wav") }]);
            }

            // A recording is written down first.
            async Task<VoiceProject> HearAsync(string from)
            {
                (_, Transcript transcript) = await VoiceTranscribe.HearAsync(from, model: null,
                    new TranscriptOptions { Language = parse.GetValue(language)?.Split('-')[0].ToLowerInvariant() }, cancellation);
                if (transcript.Cues.Count == 0) throw new FlywheelException($"{from}: {transcript.Model} hears nothing said in it");
                Console.Error.WriteLine(
                    $"note: {from}: written down by {transcript.Model} as '{transcript.Language}', {transcript.Cues.Count} {(transcript.Cues.Count == 1 ? "line" : "lines")}; ./flywheel voice transcribe writes them into a file that can be corrected");
                return VoiceTranscribe.ProjectOf(from, transcript);
            }

            async Task RenderOneAsync(string from, string target, string? made)
            {
                VoiceProject project = ScriptFile.Endings.Contains(Path.GetExtension(from).ToLowerInvariant())
                    ? ScriptFile.Read(from, [.. roles.Keys]) : await HearAsync(from);
                if (SubtitleFile.IsSubtitles(from))
                    foreach ((Cue first, Cue second) in Cue.Overlaps(SubtitleFile.Read(from)))
                        Console.Error.WriteLine(
                            $"note: {from}: the cue of {second} begins before that of {first} ends; it is spoken after it");
                foreach (string role in roles.Keys.Except(project.Lines.Select(line => line.Role).OfType<string>()))
                    Console.Error.WriteLine($"note: {from}: nobody in it is '{role}', whom the cast names");
                project = project with
                {
                    Language = parse.GetValue(language) ?? project.Language,
                    Voice = settings.Over(project.Voice),
                    Cast = project.Cast.Where(role => !roles.ContainsKey(role.Key)).Concat(roles).ToDictionary(),
                };
                if (parse.GetValue(translate) is { } pair) project = await VoiceTranslation.TranslateAsync(project, pair, cancellation);
                await VoiceCommand.RenderAsync(project, dictionaries, target, made, cancellation, mix, Folder(stems, from),
                    Folder(lines, from), film);
            }
        });
        return command;
    }
}
