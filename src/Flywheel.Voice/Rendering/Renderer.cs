using System.Collections.Concurrent;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// Makes sound of projects, a line or all of it. Each call of an engine is cached by what it says, so an edit renders one line, and a
/// rendering that was killed goes on where it was.
/// </summary>
/// <param name="engines">Who speaks.</param>
/// <param name="cache">Where sounds are kept.</param>
/// <param name="scopes">Dictionaries beyond the projects' own, as they are when a line is planned.</param>
/// <param name="recordings">Where recorded takes lie; null: there are none.</param>
public sealed partial class Renderer(SpeechEngines engines, SegmentCache cache, DictionaryScopes? scopes = null,
    Recordings? recordings = null)
{
    /// <summary>Engines at a time, of all renderers: each takes a core.</summary>
    private static readonly SemaphoreSlim s_places = new(Environment.ProcessorCount);

    /// <summary>Between lines that have no times.</summary>
    public static readonly TimeSpan UsualPause = TimeSpan.FromMilliseconds(350);

    private readonly ConcurrentDictionary<string, Task> _running = new(StringComparer.Ordinal);
    private long _numCalls;

    /// <summary>Calls of engines so far; what the cache holds needs none.</summary>
    public long NumEngineCalls => Interlocked.Read(ref _numCalls);

    /// <summary>What a line is made of, and the hash of its sound.</summary>
    /// <exception cref="FlywheelException">The line cannot be spoken; the message says why.</exception>
    public async Task<LinePlan> PlanAsync(VoiceProject project, string lineId, CancellationToken cancellation = default) =>
        await (await PlannerOfAsync(project, cancellation)).PlanAsync(project.Line(lineId), cancellation);

    /// <summary>Where each line stands: what its sound would be, whether it is there, whether what was heard is out of date.</summary>
    public async Task<IReadOnlyList<LineState>> StatesAsync(VoiceProject project, CancellationToken cancellation = default)
    {
        Planner planner = await PlannerOfAsync(project, cancellation);
        var states = new List<LineState>();
        foreach (VoiceLine line in project.Lines)
        {
            try
            {
                LinePlan plan = await planner.PlanAsync(line, cancellation);
                states.Add(new LineState(line.Id, plan.Hash, IsReady(plan), IsStale(line, plan), null));
            }
            catch (FlywheelException e)
            {
                states.Add(new LineState(line.Id, null, false, line.RenderedHash is not null, e.Message));
            }
        }
        return states;
    }

    /// <summary>The sound of one line, from the cache where it has it.</summary>
    /// <exception cref="FlywheelException">The line cannot be spoken; the message names it.</exception>
    public async Task<RenderedLine> RenderLineAsync(VoiceProject project, string lineId, CancellationToken cancellation = default)
    {
        LinePlan plan = await PlanAsync(project, lineId, cancellation);
        return new RenderedLine(lineId, plan, await RenderAsync(plan, cancellation));
    }

    /// <summary>The whole project as one WAV file, its lines at their times.</summary>
    /// <param name="project">What is spoken.</param>
    /// <param name="path">The file; it appears when it is whole.</param>
    /// <param name="progress">Told after each line.</param>
    /// <param name="cancellation">Stops; what was rendered stays in the cache.</param>
    /// <exception cref="FlywheelException">A line cannot be spoken; the message names it.</exception>
    public async Task<RenderReport> RenderAsync(VoiceProject project, string path, IProgress<RenderProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        long before = NumEngineCalls;
        FittedProject fitted = await FitAsync(project, progress, cancellation);
        string temporary = $"{Path.GetFullPath(path)}.{Guid.NewGuid():N}.tmp";
        try
        {
            await using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16))
            {
                using (var writer = new WavWriter(stream, project.SampleRate))
                    for (int i = 0; i < fitted.Plans.Count; i++)
                    {
                        Clip clip = await RenderAsync(fitted, i, cancellation);
                        writer.WriteSilence(fitted.Placements[i].Start - writer.NumFrames);
                        writer.Write(clip.Samples);
                    }
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch (IOException e) when (FullDisk.Is(e))
        {
            throw FullDisk.Named(path, e);
        }
        finally
        {
            File.Delete(temporary); // nothing when it has been renamed
        }
        return RenderReport.Create(project, fitted.Plans, fitted.Placements, NumEngineCalls - before);
    }

    /// <summary>Where all lines of the project lie and how they fit, without writing a file.</summary>
    /// <exception cref="FlywheelException">A line cannot be spoken; the message names it.</exception>
    public async Task<RenderReport> FitReportAsync(VoiceProject project, IProgress<RenderProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        long before = NumEngineCalls;
        FittedProject fitted = await FitAsync(project, progress, cancellation);
        return RenderReport.Create(project, fitted.Plans, fitted.Placements, NumEngineCalls - before);
    }

    /// <summary>Each line as a file of its own, as it is spoken in the whole.</summary>
    /// <param name="project">What is spoken.</param>
    /// <param name="folder">Gets files such as <c>0001-JOHN.wav</c>.</param>
    /// <param name="cancellation">Stops.</param>
    /// <returns>Paths in the order of the lines.</returns>
    public async Task<IReadOnlyList<string>> WriteLinesAsync(VoiceProject project, string folder, CancellationToken cancellation = default)
    {
        FittedProject fitted = await FitAsync(project, null, cancellation);
        Directory.CreateDirectory(folder);
        var paths = new List<string>();
        for (int i = 0; i < fitted.Plans.Count; i++)
        {
            string role = FileName(project.Lines[i].Role ?? "line");
            paths.Add(Path.Combine(folder, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{i + 1:0000}-{role}.wav")));
            WavWriter.WriteFile(paths[^1], await RenderAsync(fitted, i, cancellation));
        }
        return paths;
    }

    /// <summary>Each role as a file of its own, its lines at their times: laid over each other they are the whole.</summary>
    /// <param name="project">What is spoken.</param>
    /// <param name="folder">Gets files such as <c>JOHN.wav</c>.</param>
    /// <param name="cancellation">Stops.</param>
    public async Task<IReadOnlyList<string>> WriteStemsAsync(VoiceProject project, string folder, CancellationToken cancellation = default)
    {
        FittedProject fitted = await FitAsync(project, null, cancellation);
        Directory.CreateDirectory(folder);
        var paths = new List<string>();
        foreach (IGrouping<string, int> role in Enumerable.Range(0, project.Lines.Count)
            .GroupBy(i => FileName(project.Lines[i].Role ?? "line"), StringComparer.OrdinalIgnoreCase))
        {
            paths.Add(Path.Combine(folder, $"{role.Key}.wav"));
            await using var stream = new FileStream(paths[^1], FileMode.Create, FileAccess.ReadWrite, FileShare.None, 1 << 16);
            using var writer = new WavWriter(stream, project.SampleRate);
            foreach (int i in role)
            {
                Clip clip = await RenderAsync(fitted, i, cancellation);
                writer.WriteSilence(fitted.Placements[i].Start - writer.NumFrames);
                writer.Write(clip.Samples);
            }
        }
        return paths;
    }

    private static string FileName(string role) => string.Concat(role.Select(letter => char.IsLetterOrDigit(letter) ? letter : '-'));

    /// <summary>A project whose lines are rendered and laid.</summary>
    /// <param name="Plans">Of the texts that were chosen.</param>
    /// <param name="Placements">Of each line.</param>
    private sealed record FittedProject(IReadOnlyList<LinePlan> Plans, IReadOnlyList<Placement> Placements);

    private async Task<Clip> RenderAsync(FittedProject fitted, int line, CancellationToken cancellation) =>
        Tempo.Change(await RenderAsync(fitted.Plans[line], cancellation), fitted.Placements[line].Speed);

    private async Task<FittedProject> FitAsync(VoiceProject project, IProgress<RenderProgress>? progress, CancellationToken cancellation)
    {
        Planner planner = await PlannerOfAsync(project, cancellation);
        List<LinePlan> plans = [.. await PlanAllAsync(project, cancellation)];
        long[] lengths = await RenderAllAsync(plans, progress, cancellation);
        FitLine[] lines = [.. lengths.Select((length, i) => FitLineOf(project, i, length))];
        // Shorter texts are spoken only where they are needed.
        IReadOnlyList<bool> needsShorter = Fit.NeedsShorter(lines, project.SampleRate);
        var shorter = new Dictionary<int, IReadOnlyList<LinePlan>>();
        for (int i = 0; i < lines.Length; i++)
        {
            if (!needsShorter[i] || project.Lines[i].Alternates.Count == 0 || project.Lines[i].Take is not null) continue;
            var alternates = new List<LinePlan>();
            foreach (string text in project.Lines[i].Alternates)
                alternates.Add(await planner.PlanAsync(project.Lines[i], text, project.Lines[i].IsMarkup, cancellation));
            shorter[i] = alternates;
            lines[i] = lines[i] with { Lengths = [lengths[i], .. await RenderAllAsync(alternates, null, cancellation)] };
        }
        IReadOnlyList<Placement> placements = Fit.Place(lines, project.SampleRate);
        for (int i = 0; i < plans.Count; i++)
            if (placements[i].Choice > 0) plans[i] = shorter[i][placements[i].Choice - 1];
        return new FittedProject(plans, placements);
    }

    private static FitLine FitLineOf(VoiceProject project, int i, long length)
    {
        VoiceLine line = project.Lines[i];
        return new FitLine(At(line.Start), At(line.End), [length],
            At((i > 0 ? project.Lines[i - 1].Pause ?? UsualPause : TimeSpan.Zero) + (line.PauseBefore ?? TimeSpan.Zero))!.Value);

        long? At(TimeSpan? time) => time is { } set ? Time.ToSamples(set, project.SampleRate) : null;
    }

    /// <summary>Plans of all lines; a line that cannot be spoken is found before anything is rendered.</summary>
    internal async Task<IReadOnlyList<LinePlan>> PlanAllAsync(VoiceProject project, CancellationToken cancellation)
    {
        Planner planner = await PlannerOfAsync(project, cancellation);
        var plans = new List<LinePlan>(project.Lines.Count);
        foreach (VoiceLine line in project.Lines) plans.Add(await planner.PlanAsync(line, cancellation));
        return plans;
    }

    /// <summary>Renders several plans at a time, and keeps of each only how long it is.</summary>
    /// <returns>Samples of each.</returns>
    internal async Task<long[]> RenderAllAsync(IReadOnlyList<LinePlan> plans, IProgress<RenderProgress>? progress,
        CancellationToken cancellation)
    {
        long[] lengths = new long[plans.Count];
        int numDone = 0;
        var together = new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellation };
        await Parallel.ForAsync(0, plans.Count, together, async (i, stop) =>
        {
            lengths[i] = (await RenderAsync(plans[i], stop)).Samples.Length;
            progress?.Report(new RenderProgress(Interlocked.Increment(ref numDone), plans.Count, plans[i].LineId));
        });
        return lengths;
    }

    /// <summary>A take as it was; null where the cache has let go of a part of it.</summary>
    public Clip? Find(VoiceTake take, int sampleRate)
    {
        if (take.IsRecorded) return recordings?.Find(take.Hash, sampleRate);
        var pieces = new List<float[]>();
        foreach (string piece in take.Pieces)
        {
            if (!VoiceTake.IsHash(piece)) pieces.Add(new float[int.Parse(piece, System.Globalization.CultureInfo.InvariantCulture)]);
            else if (cache.Find(piece) is { } clip && clip.Rate == sampleRate) pieces.Add(clip.Samples);
            else return null;
        }
        return new Clip([.. pieces.SelectMany(samples => samples)], sampleRate);
    }

    internal async Task<Clip> RenderAsync(LinePlan plan, CancellationToken cancellation)
    {
        var pieces = new List<float[]>();
        foreach (PlanPiece piece in plan.Pieces)
            pieces.Add(piece switch
            {
                PlannedSpeech speech => (await SpeechAsync(plan, speech, cancellation)).Samples,
                PlannedRecording recorded => recordings?.Find(recorded.Hash, plan.SampleRate)?.Samples
                    ?? throw new FlywheelException($"line '{plan.LineId}': its recorded take cannot be read; choose another take"),
                _ => new float[((PlannedPause)piece).NumSamples],
            });
        return new Clip(pieces.Count == 1 ? pieces[0] : [.. pieces.SelectMany(samples => samples)], plan.SampleRate);
    }

    internal async Task<Planner> PlannerOfAsync(VoiceProject project, CancellationToken cancellation) =>
        new(engines, project, scopes is null ? [] : await scopes(cancellation), recordings);

    /// <summary>From the cache, else made; the same sound is made once, however many ask for it at a time.</summary>
    private async Task<Clip> SpeechAsync(LinePlan plan, PlannedSpeech speech, CancellationToken cancellation)
    {
        for (; ; )
        {
            if (cache.Find(speech.Hash) is { } known) return known;
            var mine = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Task running = _running.GetOrAdd(speech.Hash, mine.Task);
            if (running != mine.Task)
            {
                await running.WaitAsync(cancellation); // then it is in the cache, or it failed and is tried here
                continue;
            }
            try
            {
                if (cache.Find(speech.Hash) is { } just) return just;
                await MakeAsync(speech, plan.SampleRate, cancellation);
                return cache.Find(speech.Hash)
                    ?? throw new FlywheelException($"{cache.PathOf(speech.Hash)}: what was just written cannot be read");
            }
            catch (FlywheelException e)
            {
                throw new FlywheelException($"line '{plan.LineId}': {e.Message}", e);
            }
            finally
            {
                _running.TryRemove(speech.Hash, out _);
                mine.SetResult();
            }
        }
    }

    private async Task MakeAsync(PlannedSpeech speech, int sampleRate, CancellationToken cancellation)
    {
        await s_places.WaitAsync(cancellation);
        try
        {
            Interlocked.Increment(ref _numCalls);
            Clip spoken = await engines[speech.Utterance.Voice].SpeakAsync(speech.Utterance, cancellation);
            cache.Add(speech.Hash, Resampling.Convert(spoken.Trim(), sampleRate).Gain(speech.Volume));
        }
        finally
        {
            s_places.Release();
        }
    }
}

/// <summary>Dictionaries that hold for all projects, the widest first (system, team).</summary>
public delegate ValueTask<IReadOnlyList<IReadOnlyList<Pronunciation>>> DictionaryScopes(CancellationToken cancellation);

/// <param name="LineId">Of the line.</param>
/// <param name="Plan">What it was made of.</param>
/// <param name="Clip">The sound.</param>
public sealed record RenderedLine(string LineId, LinePlan Plan, Clip Clip)
{
    /// <summary>Names the sound.</summary>
    public string Hash => Plan.Hash;
}

/// <param name="NumDone">Lines that are rendered.</param>
/// <param name="NumLines">All.</param>
/// <param name="LineId">The line that was rendered last.</param>
public sealed record RenderProgress(int NumDone, int NumLines, string LineId);

/// <param name="LineId">Of the line.</param>
/// <param name="Hash">Of the sound that it would have now; null when it cannot be spoken.</param>
/// <param name="IsReady">The sound is there.</param>
/// <param name="IsStale">Something else was rendered and heard last.</param>
/// <param name="Fault">Why it cannot be spoken.</param>
public sealed record LineState(string LineId, string? Hash, bool IsReady, bool IsStale, string? Fault);
