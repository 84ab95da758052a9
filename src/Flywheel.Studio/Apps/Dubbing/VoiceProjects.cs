using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>A line's sound as a page shows it.</summary>
/// <param name="Seconds">How long it is.</param>
/// <param name="Path">Its outline as an SVG path, <see cref="Columns"/> wide and 2 high, silence at 1.</param>
public sealed record Wave(double Seconds, string Path)
{
    public const int Columns = 160;
}

/// <summary>What the page Voice keeps: each person's projects, and the sound of their lines.</summary>
internal sealed partial class VoiceProjects(Documents documents, Renderer renderer, SpeechEngines engines, VoiceRecord record,
    TimeProvider time)
{
    public const string App = "voice", Kind = "project", ScriptKind = "script";

    /// <summary>Outlines that are kept; they are made again in a moment.</summary>
    private const int MaxWaves = 5000;

    private readonly ConcurrentDictionary<string, Wave> _waves = [];

    /// <summary>One recording at a time is aligned: four hours of sound are gigabytes.</summary>
    private static readonly SemaphoreSlim s_aligning = new(1, 1);

    public event Action<Guid>? Changed
    {
        add => documents.Changed += value;
        remove => documents.Changed -= value;
    }

    public Renderer Renderer => renderer;

    public async Task<(Document Document, VoiceProject Project)?> FindAsync(Guid id, string person) =>
        await documents.FindAsync(id, person) is { App: App, Kind: Kind } document
            ? (document, Own(VoiceProject.Parse(document.Body, "project"), person)) : null;

    /// <summary>A person's projects, the latest first. One that cannot be read has its fault in place of its content.</summary>
    public async Task<IReadOnlyList<Stored<VoiceProject>>> ListAsync(string person, bool deleted = false) =>
        [.. (await documents.ListAsync(person, App, Kind, deleted)).Select(Read)];

    private static Stored<VoiceProject> Read(Document document) =>
        Stored<VoiceProject>.Read(document, json => VoiceProject.Parse(json, "project"));

    /// <summary>A project that need not be readable; null when this person has none of that id.</summary>
    public async Task<Stored<VoiceProject>?> LookAsync(Guid id, string person) =>
        await documents.FindAsync(id, person) is { App: App, Kind: Kind } document && Read(document) is var stored
            ? stored with { Body = stored.Body is { } project ? Own(project, person) : null } : null;

    private VoiceProject Own(VoiceProject project, string person) => renderer.Recordings?.Own(project, person) ?? project;

    /// <summary>Takes a project away for good, with its versions and what was recorded for it and for no other of this person's
    /// projects.</summary>
    public async Task PurgeAsync(Guid id, string person)
    {
        HashSet<string> recorded = [.. (await documents.PurgeAsync(id, person)).SelectMany(HashesIn)];
        if (recorded.Count == 0 || renderer.Recordings is not { } recordings) return;
        await foreach (string body in documents.BodiesAsync(person, App)) recorded.ExceptWith(HashesIn(body));
        foreach (string hash in recorded.Where(hash => recordings.IsOf(hash, person))) recordings.Delete(hash);
    }

    /// <summary>Also of what is no valid project any more.</summary>
    internal static IEnumerable<string> HashesIn(string body) => Hashes().Matches(body).Select(match => match.Value);

    [GeneratedRegex("(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", RegexOptions.CultureInvariant)]
    private static partial Regex Hashes();

    /// <summary>Without what somebody else recorded.</summary>
    public Task<Document> CreateAsync(string person, VoiceProject project) =>
        documents.PutAsync(Guid.CreateVersion7(time.GetUtcNow()), person, App, Kind, project.Name, Own(project, person).ToJson());

    /// <summary>What a person has typed for a project that is not begun yet.</summary>
    public async Task<string> ScriptAsync(string person) => await ScriptOfAsync(person) is { } script ? script.Body : "";

    /// <summary>Puts it on disk if what lies there is still what it was typed over; else nothing is changed.</summary>
    /// <returns>Null, or what another window has written there.</returns>
    public async Task<string?> SaveScriptAsync(string person, string text, string over)
    {
        Guid id = await documents.OnlyAsync(person, App, ScriptKind, script => script, "");
        string? theirs = null;
        await documents.ChangeAsync(id, person, document =>
        {
            if (document.Body.Length > 0 && document.Body != over && document.Body != text) theirs = document.Body;
            else document.Body = text;
            return theirs is null;
        });
        return theirs;
    }

    private async Task<Document?> ScriptOfAsync(string person) =>
        await documents.ListAsync(person, App, ScriptKind) is [var script, ..] ? script : null;

    /// <summary>Reads a script that was pasted or dropped.</summary>
    /// <param name="name">Of the file; its ending says what it is. What has none is plain text.</param>
    /// <exception cref="FlywheelException">A fault in it; the message names the line.</exception>
    public static VoiceProject Read(string name, string text)
    {
        string title = Path.GetFileNameWithoutExtension(name);
        VoiceProject project = Path.GetExtension(name).ToLowerInvariant() switch
        {
            ".srt" => new VoiceProject { Name = title, Lines = ScriptFile.OfCues(Srt.Parse(text, name)) },
            ".vtt" => new VoiceProject { Name = title, Lines = ScriptFile.OfCues(WebVtt.Parse(text, name)) },
            ".json" => VoiceProject.Parse(text, name),
            "" or ".txt" => new VoiceProject { Name = title, Lines = ScriptFile.OfText(text) },
            var other =>
                throw new FlywheelException(
                    $"{name}: is no script by its ending '{other}', expected .srt, .vtt, .txt, .docx, or a project's .json or .zip"),
        };
        project.Validate(name);
        return project.Lines.Count > 0 ? project : throw new FlywheelException($"{name}: has no line to speak");
    }

    /// <summary>Reads a script that was chosen or dropped.</summary>
    /// <exception cref="FlywheelException">A fault in it; the message names the line.</exception>
    public static VoiceProject Read(string name, byte[] file)
    {
        if (!Path.GetExtension(name).Equals(".docx", StringComparison.OrdinalIgnoreCase)) return Read(name, Utf8File.Decode(file, name));
        using var stream = new MemoryStream(file);
        return Filled(new VoiceProject { Name = Path.GetFileNameWithoutExtension(name), Lines = WordScript.Read(stream, name) }, name);
    }

    /// <summary>Reads an archive that was chosen or dropped; what was recorded in it becomes this person's.</summary>
    /// <exception cref="FlywheelException">It is none, or has a fault.</exception>
    public VoiceProject ReadArchive(string name, Stream zip, string person)
    {
        Actor.Demand(Scopes.Inference); // before takes are kept
        return Filled(ProjectArchive.Read(zip, name, renderer.Recordings, person), name);
    }

    private static VoiceProject Filled(VoiceProject project, string name)
    {
        project.Validate(name);
        return project.Lines.Count > 0 ? project : throw new FlywheelException($"{name}: has no line to speak");
    }

    /// <summary>Changes a project; one that would not be valid stays as it is.</summary>
    /// <exception cref="FlywheelException">The change is not valid, or this person has no such project.</exception>
    public async Task<VoiceProject> ChangeAsync(Guid id, string person, Func<VoiceProject, VoiceProject> change)
    {
        VoiceProject? before = null, after = null;
        _ = await documents.ChangeAsync(id, person, document =>
        {
            before = VoiceProject.Parse(document.Body, "project");
            after = Own(change(before), person);
            after.Validate(after.Name);
            (document.Body, document.Title) = (after.ToJson(), after.Name);
            return true;
        });
        if (after is null) throw new FlywheelException($"there is no project {id} of yours");
        await record.ChangedAsync(person, id, before!, after);
        return after;
    }

    /// <summary>Finds the times at which the project's recording says its lines.</summary>
    /// <param name="project">Has a recording with sound.</param>
    /// <param name="lines">What is said in it, in place of the project's lines; null: those.</param>
    /// <param name="vad">Who hears where somebody speaks; null: by energy.</param>
    /// <returns>Puts the times into the project as it is by then: its own lines get nothing else; lines in their place refuse what was
    /// edited meanwhile.</returns>
    /// <exception cref="FlywheelException">Nothing is said in it, or there is none on this machine.</exception>
    public async Task<Func<VoiceProject, VoiceProject>> AlignAsync(VoiceProject project, IReadOnlyList<VoiceLine>? lines,
        SileroVad? vad = null)
    {
        if (project.Original is not { } original || renderer.Recordings?.SoundOf(original) is not { } sound)
            throw new FlywheelException("the project has no recording with sound on this machine; upload one first");
        // Lines without words stay as they are: nothing of the recording is theirs.
        VoiceLine[] spoken = [.. (lines ?? project.Lines).Where(line => line.Text.Any(char.IsLetterOrDigit))];
        if (spoken.Length == 0) throw new FlywheelException("there is no line to align; write or paste what is said in the recording");
        IReadOnlyList<VoiceLine> aligned;
        await s_aligning.WaitAsync();
        try
        {
            aligned = await Task.Run(() => SpeechSegments.Align(WavReader.ReadMono(sound), spoken, vad));
        }
        finally
        {
            s_aligning.Release();
        }
        if (lines is not null) return now => Unchanged(now, project) with { Lines = aligned };
        Dictionary<string, VoiceLine> timed = aligned.ToDictionary(line => line.Id);
        return now =>
            OfSameRecording(now, project)
                with { Lines =
                    [.. now.Lines.Select(line => timed.TryGetValue(line.Id, out VoiceLine? found)
                        ? line with { Start = found.Start, End = found.End } : line)] };
    }

    /// <summary>Puts what was heard in a recording in the place of a project's lines, as it is by then; refuses one whose lines were edited
    /// meanwhile.</summary>
    /// <param name="over">The project that was heard.</param>
    /// <param name="heard">With its lines and their language.</param>
    public static Func<VoiceProject, VoiceProject> Hear(VoiceProject over, VoiceProject heard) => now =>
    {
        bool isKnown = Base(now.Language).Equals(Base(heard.Language), StringComparison.OrdinalIgnoreCase); // en-us says more than en
        return Unchanged(now, over) with
        {
            Language = isKnown ? now.Language : heard.Language, SourceLanguage = heard.SourceLanguage, Original = heard.Original,
            Lines = heard.Lines,
            Voice = isKnown ? now.Voice : now.Voice with { Voice = null }, // that of another language is no voice for it
        };

        static string Base(string language) => language.Split('-', '_')[0];
    };

    /// <summary>A project as it was before an act, with all that was recorded for its lines since: undo takes nobody's voice
    /// away.</summary>
    /// <param name="before">As it was.</param>
    /// <param name="now">As it is.</param>
    /// <param name="undone">Hashes of what was recorded in the very act that is undone.</param>
    public static VoiceProject Restore(VoiceProject before, VoiceProject now, IReadOnlyCollection<string> undone)
    {
        Dictionary<string, VoiceTake[]> recorded =
            now.Lines.ToDictionary(line => line.Id,
                line => line.Takes.Where(take => take.IsRecorded && !undone.Contains(take.Hash)).ToArray());
        HashSet<string> known = [.. before.Lines.Select(line => line.Id)];
        return before
            with { Lines = [.. before.Lines.Select(WithRecorded),
                .. now.Lines.Where(line => !known.Contains(line.Id) && recorded[line.Id].Length > 0)] };

        VoiceLine WithRecorded(VoiceLine line) =>
            recorded.GetValueOrDefault(line.Id, []).Where(take => line.Takes.All(one => one.Hash != take.Hash)).Reverse()
                .Aggregate(line, (with, take) => with.WithUnheard(take));
    }

    /// <summary>Of a project's lines, what cannot be made again.</summary>
    private static string Written(VoiceProject project) =>
        new VoiceProject
            { Lines =
                [.. project.Lines.Select(line =>
                    line with { RenderedHash = null, Takes = [.. line.Takes.Where(take => take.IsRecorded)] })] }.ToJson();

    private static VoiceProject Unchanged(VoiceProject now, VoiceProject over) => Written(OfSameRecording(now, over)) == Written(over) ? now
        : throw new FlywheelException("the lines were changed meanwhile, so they stay as they are now; do it again to replace them");

    private static VoiceProject OfSameRecording(VoiceProject now, VoiceProject over) => now.Original?.Hash == over.Original?.Hash ? now
        : throw new FlywheelException($"the recording '{over.Original?.Name}' is no longer the project's, so its lines stay as they are");

    /// <summary>A line was spoken: recorded, and noted as its latest take, so that a later change marks it stale.</summary>
    public async Task SpokenAsync(Guid id, string person, VoiceProject project, RenderedLine rendered)
    {
        // what a person spoke is in the record since it was
        if (project.Lines.FirstOrDefault(one => one.Id == rendered.LineId) is not { Take: null } line) return;
        await record.SpokenAsync(person, id, project, rendered,
            await engines[rendered.Plan.Voice].VersionAsync(rendered.Plan.Voice, CancellationToken.None));
        if (line.RenderedHash == rendered.Hash && line.Takes.Any(take => take.Hash == rendered.Hash)) return;
        VoiceTake take = rendered.Plan.Take(line, rendered.Clip);
        await ChangeAsync(id, person,
            now => now.Lines.FirstOrDefault(one => one.Id == line.Id) is { } mine ? now.With(mine.With(take)) : now);
    }

    /// <summary>Of several takes this one: the line is again what it was, and the choice is recorded.</summary>
    public async Task<VoiceProject> ChooseAsync(Guid id, string person, string line, VoiceTake take)
    {
        VoiceProject changed = await ChangeAsync(id, person,
            project =>
                project.With(project.Line(line).With(take) with { Text = take.Text, IsMarkup = take.IsMarkup, Marks = take.Marks,
                    Settings = take.Settings, Take = take.IsRecorded ? take.Hash : null }));
        await record.ChosenAsync(person, id, line, take);
        return changed;
    }

    /// <summary>A take that somebody spoke is kept beside the others; it is heard once it is chosen.</summary>
    /// <param name="wav">As the browser recorded it.</param>
    /// <exception cref="FlywheelException">It is no sound to keep, or this person has no such line.</exception>
    public async Task<VoiceTake> RecordedAsync(Guid id, string person, string line, Stream wav)
    {
        if (await FindAsync(id, person) is not var (_, project)) throw new FlywheelException($"there is no project {id} of yours");
        VoiceLine now = project.Line(line);
        now.CheckRoomForTake(); // before anything is kept that no line would name
        (string hash, TimeSpan length) = renderer.Recordings!.AddTake(wav, person);
        var take = new VoiceTake(hash, Math.Round(length.TotalSeconds, 3), now.Text, now.Settings) { IsRecorded = true,
            IsMarkup = now.IsMarkup, Marks = now.Marks, Pieces = [hash] };
        await ChangeAsync(id, person, project => project.With(project.Line(line).WithUnheard(take)));
        await record.RecordedAsync(person, id, project, line, take);
        return take;
    }

    /// <summary>The outline of a take; null where the cache has let go of it.</summary>
    public Wave? WaveOf(VoiceProject project, VoiceTake take)
    {
        if (_waves.TryGetValue(take.Hash, out Wave? known)) return known;
        if (_waves.Count > MaxWaves) _waves.Clear();
        return renderer.Find(take, project.SampleRate) is { } clip
            ? _waves[take.Hash] = new Wave(clip.Duration.TotalSeconds, Outline(Peaks.Of(clip, Wave.Columns))) : null;
    }

    /// <summary>The outline of a line that is rendered.</summary>
    public async Task<Wave> WaveAsync(VoiceProject project, LineState state)
    {
        if (_waves.TryGetValue(state.Hash!, out Wave? known)) return known;
        if (_waves.Count > MaxWaves) _waves.Clear();
        Clip clip = (await renderer.RenderLineAsync(project, state.LineId)).Clip;
        return _waves[state.Hash!] = new Wave(clip.Duration.TotalSeconds, Outline(Peaks.Of(clip, Wave.Columns)));
    }

    private static string Outline(Peaks peaks)
    {
        const float Gain = 1.5f; // speech seldom goes beyond two thirds of full scale
        var path = new StringBuilder("M");
        for (int i = 0; i < peaks.Max.Count; i++)
            path.Append(CultureInfo.InvariantCulture, $"{i},{Math.Max(0, 1 - Gain * peaks.Max[i]):0.##} ");
        for (int i = peaks.Min.Count - 1; i >= 0; i--)
            path.Append(CultureInfo.InvariantCulture, $"{i},{Math.Min(2, 1.02f - Gain * peaks.Min[i]):0.##} ");
        return path.Append('Z').ToString();
    }
}
