using System.Collections.Concurrent;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>Where lines lie before all of them are rendered, and any stretch of the whole as sound.</summary>
public sealed partial class Renderer
{
    /// <summary>Characters a second of a voice of which nothing is known yet.</summary>
    private const double UsualRate = 14;

    /// <summary>No line is spoken faster to fit its time.</summary>
    public const double MaxSpeed = 1 + Fit.MaxThousandths / 1000.0;

    /// <summary>Where recorded takes lie; null: there are none.</summary>
    public Recordings? Recordings => recordings;

    private readonly ConcurrentDictionary<string, long> _lengths = new(StringComparer.Ordinal);

    /// <summary>
    /// Where each line lies: exactly where everything is rendered, else by the length that is expected. Nothing is rendered for it; a line
    /// that cannot be
    /// spoken has its fault and an expected length.
    /// </summary>
    public async Task<IReadOnlyList<LaidLine>> LayAsync(VoiceProject project, CancellationToken cancellation = default)
    {
        Planner planner = await PlannerOfAsync(project, cancellation);
        IReadOnlyDictionary<string, DurationModel> durations = DurationModel.OfProject(project);
        int count = project.Lines.Count;
        var plans = new LinePlan?[count];
        string?[] faults = new string?[count];
        var fits = new FitLine[count];
        for (int i = 0; i < count; i++)
        {
            VoiceLine line = project.Lines[i];
            try
            {
                plans[i] = await planner.PlanAsync(line, cancellation);
            }
            catch (FlywheelException e)
            {
                faults[i] = e.Message;
            }
            fits[i] = FitLineOf(project, i, LengthOf(plans[i]) ?? Expected(line, line.Text));
        }
        IReadOnlyList<bool> needsShorter = Fit.NeedsShorter(fits, project.SampleRate);
        var shorter = new Dictionary<int, IReadOnlyList<LinePlan>>();
        for (int i = 0; i < count; i++)
        {
            VoiceLine line = project.Lines[i];
            if (!needsShorter[i] || plans[i] is null || line.Alternates.Count == 0 || line.Take is not null) continue;
            try
            {
                var alternates = new List<LinePlan>();
                foreach (string text in line.Alternates) alternates.Add(await planner.PlanAsync(line, text, line.IsMarkup, cancellation));
                shorter[i] = alternates;
                fits[i] =
                    fits[i] with { Lengths = [.. fits[i].Lengths,
                        .. alternates.Select((plan, n) => LengthOf(plan) ?? Expected(line, line.Alternates[n]))] };
            }
            catch (FlywheelException e)
            {
                faults[i] = e.Message;
            }
        }
        IReadOnlyList<Placement> placements = Fit.Place(fits, project.SampleRate);
        return [.. project.Lines.Select((line, i) =>
        {
            LinePlan? plan = placements[i].Choice > 0 ? shorter[i][placements[i].Choice - 1] : plans[i];
            return new LaidLine(line.Id, placements[i], faults[i] is null ? plan : null, project.SampleRate)
            {
                IsReady = faults[i] is null && IsReady(plan!),
                IsStale = IsStale(line, plans[i]),
                Fault = faults[i],
            };
        })];

        long Expected(VoiceLine line, string text)
        {
            VoiceSettings settings = project.SettingsOf(line);
            double natural = durations.TryGetValue(settings.Voice ?? "", out DurationModel? model) && !line.IsMarkup
                ? model.Predict(text) : text.Length / UsualRate;
            return (long)Math.Round(natural / (settings.Speed ?? 1) * project.SampleRate);
        }
    }

    /// <summary>A stretch of the whole, its lines as they lie in it. What of it is not rendered yet is rendered now.</summary>
    /// <param name="project">What is spoken. A line that cannot be is silent.</param>
    /// <param name="from">Not negative.</param>
    /// <param name="length">Of the stretch; after the last line there is silence.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>The sound, and the lines of it that had not been rendered.</returns>
    public async Task<(Clip Clip, IReadOnlyList<RenderedLine> Rendered)> PartAsync(VoiceProject project, TimeSpan from, TimeSpan length,
        CancellationToken cancellation = default)
    {
        long first = Time.ToSamples(from, project.SampleRate), count = Time.ToSamples(length, project.SampleRate);
        var rendered = new List<RenderedLine>();
        LaidLine[] heard;
        for (; ; )
        {
            heard = [
                .. (await LayAsync(project, cancellation)).Where(line =>
                    line.Plan is not null && line.Placement.Start < first + count && line.Placement.End > first)];
            LaidLine[] waiting = [.. heard.Where(line => !line.IsReady)];
            if (waiting.Length == 0) break;
            // What is rendered has another length than was expected, and what follows moves.
            foreach (LaidLine line in waiting)
            {
                Clip clip = await RenderAsync(line.Plan!, cancellation);
                if (line.Placement.Choice == 0) rendered.Add(new RenderedLine(line.Id, line.Plan!, clip));
            }
        }
        float[] samples = new float[count];
        foreach (LaidLine line in heard)
        {
            float[] spoken = Tempo.Change(await RenderAsync(line.Plan!, cancellation), line.Placement.Speed).Samples;
            long at = line.Placement.Start - first;
            for (long i = Math.Max(0, -at); i < spoken.Length && at + i < count; i++) samples[at + i] += spoken[i];
        }
        return (new Clip(samples, project.SampleRate), rendered);
    }

    /// <summary>The sound of a line or of one of its shorter texts, at speed 1, where it is rendered.</summary>
    /// <param name="project">Holds the line.</param>
    /// <param name="lineId">Of the line.</param>
    /// <param name="hash">Names the sound.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>Null: the line sounds otherwise now, or is not rendered.</returns>
    public async Task<Clip?> FindAsync(VoiceProject project, string lineId, string hash, CancellationToken cancellation = default)
    {
        Planner planner = await PlannerOfAsync(project, cancellation);
        VoiceLine line = project.Line(lineId);
        if (await planner.PlanAsync(line, cancellation) is var own && own.Hash == hash)
            return IsReady(own) ? await RenderAsync(own, cancellation) : null;
        foreach (string text in line.Alternates)
            if (await planner.PlanAsync(line, text, line.IsMarkup, cancellation) is var plan && plan.Hash == hash)
                return IsReady(plan) ? await RenderAsync(plan, cancellation) : null;
        return null;
    }

    private bool IsReady(LinePlan plan) => plan.Pieces.OfType<PlannedSpeech>().All(speech => cache.Contains(speech.Hash));

    /// <summary>Something else was heard last; a recording is of another text.</summary>
    private static bool IsStale(VoiceLine line, LinePlan? plan) =>
        line.Take is { } recorded ? line.Takes.First(take => take.Hash == recorded).Text != line.Text
        : line.RenderedHash is not null && line.RenderedHash != plan?.Hash;

    /// <summary>Samples of a line that is rendered; null of one that is not.</summary>
    private long? LengthOf(LinePlan? plan)
    {
        if (plan is null) return null;
        long length = 0;
        foreach (PlanPiece piece in plan.Pieces)
        {
            if (piece is PlannedPause pause) length += pause.NumSamples;
            else if (piece is PlannedRecording recorded)
            {
                string key = $"{recorded.Hash} {plan.SampleRate}";
                if (!_lengths.TryGetValue(key, out long known))
                {
                    if (recordings?.Find(recorded.Hash, plan.SampleRate) is not { } clip) return null;
                    known = _lengths[key] = clip.Samples.Length;
                }
                length += known;
            }
            else if (piece is PlannedSpeech speech && cache.Contains(speech.Hash))
            {
                if (!_lengths.TryGetValue(speech.Hash, out long known))
                {
                    if (cache.LengthOf(speech.Hash, plan.SampleRate) is not { } read) return null;
                    known = _lengths[speech.Hash] = read;
                }
                length += known;
            }
            else return null;
        }
        return length;
    }
}

/// <summary>A line on the time axis, as <see cref="Renderer.LayAsync"/> lays it. Times in seconds.</summary>
public sealed class LaidLine
{
    internal LaidLine(string id, Placement placement, LinePlan? plan, int sampleRate)
    {
        (Id, Placement, Plan) = (id, placement, plan);
        (Start, End, Overrun, Delay) = (Seconds(placement.Start), Seconds(placement.End), Seconds(placement.Over),
            Seconds(placement.Delay));

        double Seconds(long samples) => Math.Round((double)samples / sampleRate, 6);
    }

    public string Id { get; }

    /// <summary>When it begins to sound.</summary>
    public double Start { get; }

    public double End { get; }

    /// <summary>What it takes more than its time, at the greatest speed.</summary>
    public double Overrun { get; }

    /// <summary>By how much it begins late, because the line before overran.</summary>
    public double Delay { get; }

    /// <summary>1 to 1.2.</summary>
    public double Speed => Placement.Speed;

    /// <summary>0 is the line's text, 1 its first shorter one.</summary>
    public int Choice => Placement.Choice;

    /// <summary>Of its sound at speed 1; null when it cannot be spoken.</summary>
    public string? Hash => Plan?.Hash;

    /// <summary>The sound is there, so its length is exact.</summary>
    public required bool IsReady { get; init; }

    /// <summary>Something else was rendered and heard last.</summary>
    public required bool IsStale { get; init; }

    /// <summary>Why it cannot be spoken.</summary>
    public required string? Fault { get; init; }

    internal Placement Placement { get; }

    internal LinePlan? Plan { get; }
}
