using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Voice;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>
/// Renders a project in one or several languages. What is translated and what is finished lies in the job's folder, what is rendered in the
/// cache:
/// after a pause or a crash it goes on there and renders nothing twice.
/// </summary>
internal sealed class DubJob(Renderer renderer, SpeechEngines engines, Translator translator, Glossary glossary, Shortener shortener,
    DubFolders folders, JobQueue queue, TimeProvider time)
{
    public const string Kind = "dub";

    public async Task<string?> RunAsync(JobContext job, CancellationToken cancellation)
    {
        bool isDone = false;
        try
        {
            string results = await SpeakAsync(job, cancellation);
            isDone = true;
            return results;
        }
        finally
        {
            // Deleted or ended meanwhile: whoever did that could not take away what was being written.
            JobRow? now = await queue.FindStateAsync(job.Id, CancellationToken.None);
            if (now is null || (!isDone && now.Wish == JobWish.Cancel)) folders.Delete(job.Id);
        }
    }

    private async Task<string> SpeakAsync(JobContext job, CancellationToken cancellation)
    {
        DubOrder order = DubOrder.Parse(job.Input);
        order.Validate();
        // Again: between order and work a recording may have been deleted, or have become nobody's by forgetting somebody.
        VoiceProject project = VoiceProject.Parse(order.Project, "script");
        if (renderer.Recordings is { } recordings) project = DubApi.Own(project, recordings, job.User);
        string folder = folders.Create(job.Id, job.User);
        var results = new List<DubResult>();
        foreach ((int number, string language) in order.Languages.Index())
        {
            string done = Path.Combine(folder, $"{language}.result.json");
            if (!File.Exists(done))
            {
                RenderProgress? latest = null;
                string stage = $"{language}: …";
                Task<DubResult> work = OneAsync(order, project, language, folder, job, new Progress(progress => latest = progress),
                    what => stage = what, cancellation);
                DubResult result = await job.ReportWhileAsync(work, Now, time);
                AtomicFile.WriteText(done, JsonSerializer.Serialize(result, JsonText.Compact));

                (double, string?, string?)? Now() => latest is not { } at ? (number / (double)order.Languages.Count, stage, null)
                    : ((number + at.NumDone / (double)at.NumLines) / order.Languages.Count,
                        string.Create(CultureInfo.InvariantCulture, $"{language}: {at.NumDone:N0} / {at.NumLines:N0}"), null);
            }
            results.Add(JsonSerializer.Deserialize<DubResult>(await File.ReadAllTextAsync(done, cancellation), JsonText.Compact)!);
            await job.ReportAsync((number + 1.0) / order.Languages.Count, $"{language}: {results[^1].NumLines} / {results[^1].NumLines}");
        }
        return JsonSerializer.Serialize(results, JsonText.Compact);
    }

    private async Task<DubResult> OneAsync(DubOrder order, VoiceProject project, string language, string folder, JobContext job,
        IProgress<RenderProgress> progress, Action<string> say, CancellationToken cancellation)
    {
        string kept = Path.Combine(folder, $"{language}.project.json");
        // A translation is made once: another one would be other lines, rendered again.
        if (File.Exists(kept)) project = VoiceProject.Read(kept);
        else
        {
            if (language != project.Language)
            {
                say($"{language}: {project.Lines.Count} …");
                await job.CheckLimitAsync(cancellation);
                string from = DubTranslation.TagOf(project.Language);
                project = await DubTranslation.TranslateAsync(project, language, translator,
                    new LanguagePair(job.Workspace, from, language), await translator.DefaultEngineAsync(from, language, cancellation),
                    new DraftCaller(job.User, "", Kind), _ => { }, cancellation);
                project = await DubTranslation.RecastAsync(project,
                    order.Voices.GetValueOrDefault(language) ?? (await engines.ForLanguageAsync(language, cancellation)).Id, engines,
                    cancellation);
            }
            else if (order.Voices.GetValueOrDefault(language) is { } voice)
                project = project with { Voice = project.Voice with { Voice = voice } };
            AtomicFile.WriteText(kept, project.ToJson());
        }
        string speech = Path.Combine(folder, $"{language}.speech.wav"), sound = Path.Combine(folder, $"{language}.{order.Format}");
        if (order.Shorten is { } who && !File.Exists(kept + ".short"))
        {
            project = await ShortenAsync(project, kept, who, job, await renderer.FitReportAsync(project, progress, cancellation),
                cancellation);
            AtomicFile.WriteText(kept, project.ToJson());
            AtomicFile.WriteText(kept + ".short", ""); // asked once: other texts would be other lines
        }
        RenderReport report = await renderer.RenderAsync(project, speech, progress, cancellation);
        SoundCheck check = SoundCheck.Of(speech);
        Loudness? loudness = null;
        if (order.Loudness is not null)
            loudness =
                (await Mixer.MixAsync(speech, sound, new MixOptions { Loudness = order.Loudness }, cancellation: cancellation)).Loudness;
        else
        {
            if (ExternalProgram.Ffmpeg.IsInstalled && check.PeakDb > -120)
                loudness = await LoudnessMeter.MeasureAsync(speech, cancellation);
            if (order.Format == "wav") File.Move(speech, sound, overwrite: true);
            else await AudioEncoder.EncodeAsync(speech, sound, cancellation);
        }
        if (File.Exists(speech)) File.Delete(speech);
        SubtitleFile.Write(Path.Combine(folder, $"{language}.srt"), report.Cues(project));
        SubtitleFile.Write(Path.Combine(folder, $"{language}.vtt"), report.Cues(project));
        AtomicFile.WriteText(Path.Combine(folder, $"{language}.report.json"), report.ToJson());
        string[] film = [];
        if (project.Original is { IsFilm: true } original)
        {
            say($"{language}: {original.Name} …");
            film = [$"{language}{original.Ending}"];
            await FilmDub.WriteAsync(renderer, project, Path.Combine(folder, film[0]), order.Loudness, cancellation);
        }
        return new DubResult(language, report.NumLines, report.NumEngineCalls, report.Fit, check, loudness,
            [$"{language}.{order.Format}", .. film, $"{language}.srt", $"{language}.vtt", $"{language}.report.json",
                $"{language}.project.json"]);
    }

    /// <summary>The project with shorter texts for the lines that are too long at the greatest speed, to choose from when they are
    /// laid.</summary>
    private async Task<VoiceProject> ShortenAsync(VoiceProject project, string kept, string who, JobContext job, RenderReport report,
        CancellationToken cancellation)
    {
        string askedFile = kept + ".asked";
        HashSet<string> asked = File.Exists(askedFile)
            ? JsonSerializer.Deserialize<HashSet<string>>(await File.ReadAllTextAsync(askedFile, cancellation))! : [];
        var caller = new TranscriptCaller(job.User, "", job.Workspace);
        PeoplesTexts people = await shortener.PeoplesAsync(project.Language, caller, cancellation);
        Dictionary<string, DurationModel?> durations =
            report.Lines.Zip(project.Lines).Where(pair => pair.First.Text is null && !pair.Second.IsMarkup)
                .GroupBy(pair => pair.First.Voice)
            .ToDictionary(voice => voice.Key,
                voice => DurationModel.Learn([.. voice.Select(pair => (pair.Second.Text, pair.First.SecondsNatural)).Distinct()]));
        TermList? terms = project.SourceLanguage is { } from
            ? await glossary.ListAsync(new LanguagePair(job.Workspace, from.Split('-')[0], project.Language.Split('-')[0]),
                cancellation) : null;
        foreach ((LineReport line, VoiceLine text) in report.Lines.Zip(project.Lines)
            .Where(pair => pair.First.Flag is not null && !pair.Second.IsMarkup && !asked.Contains(pair.Second.Id)).ToArray())
        {
            try
            {
                if (who != Shortener.Rules) await job.CheckLimitAsync(cancellation);
            }
            catch (KeyLimitException)
            {
                // What was asked today is not paid for again tomorrow.
                AtomicFile.WriteText(kept, project.ToJson());
                AtomicFile.WriteText(askedFile, JsonSerializer.Serialize(asked));
                throw;
            }
            DurationModel? duration = durations.GetValueOrDefault(line.Voice);
            ShorterAnswer answer =
                await shortener.SuggestAsync(new LongLine(text.Text, project.Language,
                    Math.Max(1, (int)(text.Text.Length * line.SecondsAvailable!.Value / line.SecondsNatural)))
            {
                Predict = duration is null ? null : duration.Predict,
                Kept = terms is null || text.Source is null ? [] : [.. terms.Find(text.Source).Select(found => found.Term.Target)],
            }, people, who, caller, cancellation);
            IReadOnlyList<string> all =
                [.. text.Alternates.Concat(answer.Suggestions.Select(one => one.Text)).Distinct().Take(VoiceLine.MaxAlternates)];
            project = project.With(text with { Alternates = all });
            asked.Add(text.Id);
        }
        return project;
    }

    /// <summary>Told at once, on the thread that works.</summary>
    private sealed class Progress(Action<RenderProgress> tell) : IProgress<RenderProgress>
    {
        public void Report(RenderProgress value) => tell(value);
    }
}

/// <summary>Where dubbing jobs put their files: a folder each in the home's <c>dubs</c>, which says whose it is.</summary>
internal sealed class DubFolders(FlywheelHome home)
{
    /// <summary>Jobs whose projects are remembered; they are looked up again in a moment.</summary>
    private const int MaxRemembered = 10_000;

    private readonly ConcurrentDictionary<Guid, Guid?> _documents = [];

    /// <summary>The page's project of a job that was looked at before: it never changes, and an order holds a whole project.</summary>
    public bool TryDocumentOf(Guid job, out Guid? document) => _documents.TryGetValue(job, out document);

    /// <summary>The page's project of a job with its payload; null of one over the API.</summary>
    public Guid? DocumentOf(JobRow job)
    {
        if (_documents.Count > MaxRemembered) _documents.Clear();
        return _documents.GetOrAdd(job.Id, _ => DubOrder.Parse(job.Payload!.Input).Document);
    }

    public string Of(Guid job) => Path.Combine(home.Path, "dubs", job.ToString("N"));

    /// <summary>Takes a job's files away.</summary>
    public void Delete(Guid job)
    {
        string folder = Of(job), leaving = $"{folder}.{Guid.NewGuid():N}.tmp";
        try
        {
            Directory.Move(folder, leaving); // gone at once, however long the rest takes
        }
        catch (DirectoryNotFoundException)
        {
            return; // it has none, or another window has just taken it away
        }
        Directory.Delete(leaving, recursive: true);
    }

    /// <summary>Takes away the folders of jobs that are no more, and what was left half-deleted.</summary>
    /// <param name="jobs">Those that there are.</param>
    /// <param name="before">What was written later stays.</param>
    /// <returns>How many.</returns>
    public int Sweep(IReadOnlySet<Guid> jobs, DateTimeOffset before)
    {
        var all = new DirectoryInfo(Path.Combine(home.Path, "dubs"));
        if (!all.Exists) return 0;
        DirectoryInfo[] lost =
            [.. all.EnumerateDirectories()
                .Where(one => one.LastWriteTimeUtc < before
                    && (one.Extension == ".tmp" || (Guid.TryParseExact(one.Name, "N", out Guid job) && !jobs.Contains(job))))];
        foreach (DirectoryInfo one in lost) one.Delete(recursive: true);
        return lost.Length;
    }

    public string Create(Guid job, string user)
    {
        string folder = Directory.CreateDirectory(Of(job)).FullName;
        AtomicFile.WriteText(Path.Combine(folder, "file.json"), JsonSerializer.Serialize(new { user }, JsonText.Compact));
        return folder;
    }

    /// <summary>A finished file; null when the job has none of that name.</summary>
    public string? Find(JobRow job, string file) =>
        ResultsOf(job).SelectMany(result => result.Files).Contains(file) && Path.Combine(Of(job.Id), file) is var path && File.Exists(path)
            ? path : null;

    /// <summary>What is finished so far, of a running job too.</summary>
    public IReadOnlyList<DubResult> ResultsOf(JobRow job) => ResultsOf(job.Id, DubOrder.Parse(job.Payload!.Input).Languages);

    /// <summary>What is finished so far of the languages that a job speaks.</summary>
    public IReadOnlyList<DubResult> ResultsOf(Guid job, IReadOnlyList<string> languages) => [.. languages
        .Select(language => Path.Combine(Of(job), $"{language}.result.json")).Where(File.Exists)
        .Select(path => JsonSerializer.Deserialize<DubResult>(File.ReadAllText(path), JsonText.Compact)!)];

    public static string MediaType(string file) => DubbingEndpoints.MediaType(file);
}
