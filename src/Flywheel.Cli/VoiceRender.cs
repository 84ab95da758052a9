using System.CommandLine;
using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Cli;

/// <summary><c>flywheel voice render</c>: scripts and subtitles, one or a folder of them.</summary>
internal static class VoiceRender
{
    public static Command Create()
    {
        var script = new Argument<string>("script") { Description = $"{NearestName.List([.. ScriptFile.Endings])}, or a folder of them" };
        var voice = new Option<string?>("--voice") { Description = "Who speaks when the cast says nothing; when not given, a voice of the language" };
        var language = new Option<string?>("--language") { Description = "Of the text, such as en-us or it" };
        var speed = new Option<double?>("--speed") { Description = "1 is the voice's own, 2 twice as fast" };
        var cast = new Option<string?>("--cast") { Description = "Who speaks which role: YAML with lines such as 'JOHN: flite:rms'" };
        var dictionary = new Option<string[]>("--dictionary") { Description = "Pronunciations, .csv or .pls; of several the last counts most" };
        var output = new Option<string>("--output", "-o") { Description = $"File to write ({NearestName.List(AudioEncoder.Endings)}); of a folder of scripts, a folder", Required = true };
        var format = new Option<string>("--format") { Description = "Of the files of a folder", DefaultValueFactory = _ => "wav" };
        var report = new Option<string?>("--report") { Description = "JSON with what became of each line; of a folder of scripts, a folder" };
        var command = new Command("render", "Speak a script. Subtitles keep their times, labels such as [JOHN] become roles. What was rendered before is not rendered again, also after a crash.\nExample: ./flywheel voice render film.srt --voice flite:slt --cast cast.yaml -o film.mp3")
            { script, voice, language, speed, cast, dictionary, output, format, report };
        command.SetAction(async (parse, cancellation) =>
        {
            string path = parse.GetValue(script)!, to = parse.GetValue(output)!;
            string[] dictionaries = parse.GetValue(dictionary) ?? [];
            IReadOnlyDictionary<string, VoiceSettings> roles = parse.GetValue(cast) is { } file ? CastFile.Read(file) : new Dictionary<string, VoiceSettings>();
            var settings = new VoiceSettings { Voice = parse.GetValue(voice), Speed = parse.GetValue(speed) };
            settings.Validate("render");
            if (!Directory.Exists(path))
            {
                await RenderOneAsync(path, to, parse.GetValue(report));
                return;
            }
            string ending = $".{parse.GetValue(format)!.TrimStart('.').ToLowerInvariant()}";
            string[] scripts = [.. Directory.EnumerateFiles(path).Where(each => ScriptFile.Endings.Contains(Path.GetExtension(each).ToLowerInvariant())).Order(StringComparer.Ordinal)];
            if (scripts.Length == 0) throw new FlywheelException($"{path}: holds no script, expected files that end with {NearestName.List([.. ScriptFile.Endings])}");
            if (scripts.GroupBy(Path.GetFileNameWithoutExtension).FirstOrDefault(same => same.Count() > 1) is { } twice)
                throw new FlywheelException($"{path}: {string.Join(" and ", twice.Select(Path.GetFileName))} would both be written as {twice.Key}{ending}");
            Directory.CreateDirectory(to);
            if (parse.GetValue(report) is { } reports) Directory.CreateDirectory(reports);
            foreach (string each in scripts)
            {
                string name = Path.GetFileNameWithoutExtension(each);
                await RenderOneAsync(each, Path.Combine(to, name + ending), parse.GetValue(report) is { } folder ? Path.Combine(folder, $"{name}.json") : null);
            }

            Task RenderOneAsync(string from, string target, string? made)
            {
                VoiceProject project = ScriptFile.Read(from, [.. roles.Keys]);
                if (SubtitleFile.IsSubtitles(from))
                    foreach ((Cue first, Cue second) in Cue.Overlaps(SubtitleFile.Read(from)))
                        Console.Error.WriteLine($"note: {from}: the cue of {second} begins before that of {first} ends; it is spoken after it");
                foreach (string role in roles.Keys.Except(project.Lines.Select(line => line.Role).OfType<string>()))
                    Console.Error.WriteLine($"note: {from}: nobody in it is '{role}', whom the cast names");
                project = project with
                {
                    Language = parse.GetValue(language) ?? project.Language,
                    Voice = settings.Over(project.Voice),
                    Cast = project.Cast.Where(role => !roles.ContainsKey(role.Key)).Concat(roles).ToDictionary(),
                };
                return VoiceCommand.RenderAsync(project, dictionaries, target, made, cancellation);
            }
        });
        return command;
    }
}
