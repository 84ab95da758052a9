using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Rollouts;

/// <summary>
/// A release that a turn or a rollout made, watched against the model before it. All of it is read from the record: which releases there
/// are, what was answered, what people said, and whether somebody has looked and keeps it.
/// </summary>
/// <param name="Release">The release.</param>
/// <param name="Former">Hash of the model before it.</param>
/// <param name="Seen">What is known.</param>
public sealed record ReleaseWatch(ReleaseRow Release, string Former, WatchTracker Seen)
{
    /// <summary>A release is watched so long, and until so many people count.</summary>
    public static readonly TimeSpan Lasts = TimeSpan.FromDays(14);

    public const int MostPeople = 500;

    /// <summary>What is known of the former model is so young at most, and so many answers.</summary>
    private static readonly TimeSpan s_before = TimeSpan.FromDays(30);

    private const int MaxAnswers = 5000, MaxGuards = 500;

    /// <summary>The reason of a release that took another back begins so.</summary>
    public const string TakenBack = "taken back: ";

    public DateTimeOffset Until => Release.Time + Lasts;

    /// <summary>What follows.</summary>
    public WatchVerdict Verdict => Seen.Verdict();

    /// <summary>The reason of the release that takes it back.</summary>
    public string Reason => $"{TakenBack}{Release.ModelHash[..12]}, because {Verdict.Reason}";

    private FormerAnswers? Before { get; init; }

    /// <summary>What is watched now; null where nothing is.</summary>
    /// <param name="store">The record.</param>
    /// <param name="now">Observations that are due by then are closed.</param>
    /// <param name="known">Read before, and nothing was said since: then what the former model did is not read again.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<ReleaseWatch?> ReadAsync(FlywheelStore store, DateTimeOffset now, ReleaseWatch? known = null,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        if (await WatchedAsync(db, now, cancellation) is not (var release, var former)) return null;
        FormerAnswers before = known?.Before is { } read && known.Release.Id == release.Id
            ? read : await BeforeAsync(db, release, former, cancellation);
        var seen = new WatchTracker(before.Judged, before.Counted);

        (List<Answer> after, Dictionary<Guid, List<Feedback>> saidAfter) =
            await AnswersAsync(db, release.ModelHash, release.Time, now, newest: false, cancellation);
        Dictionary<Guid, Answer[]> requests = Requests(after).ToDictionary(request => request[0].Group);
        Dictionary<Guid, Guid> groups = after.ToDictionary(answer => answer.Id, answer => answer.Group);
        var sofar = new Dictionary<Guid, List<Feedback>>();
        IEnumerable<(DateTimeOffset Time, long Order, Answer[]? Request, Feedback? Said)> events =
            requests.Values.Select(request => (request[0].Time, 0L, (Answer[]?)request, (Feedback?)null))
            .Concat(saidAfter.Values.SelectMany(said => said).Select(said => (said.Time, said.Sequence, (Answer[]?)null, (Feedback?)said)));
        foreach ((DateTimeOffset time, long _, Answer[]? request,
            Feedback? said) in events.OrderBy(one => one.Time).ThenBy(one => one.Order))
        {
            if (seen.NumPeople >= MostPeople) break;
            if (request is not null)
            {
                seen.Answered(time, request[0].Person, Failed(request), Slow(request, before.Counted.SlowMs), Tokens(request));
                continue;
            }
            Answer[] about = requests[groups[said!.GenerationId]];
            if (!sofar.TryGetValue(said.GenerationId, out List<Feedback>? acts)) sofar[said.GenerationId] = acts = [];
            acts.Add(said);
            double?[] values = ValuesOf(about, sofar);
            seen.Judged(time, about[0].Person, about[0].Group, values.Max(), RolloutHistory.IsFinal(values));
        }
        seen.Advance(now);
        return new(release, former, seen) { Before = before };
    }

    /// <param name="Judged">By person.</param>
    /// <param name="Counted">Its last.</param>
    private sealed record FormerAnswers(IReadOnlyDictionary<string, double[]> Judged, WatchedAnswers Counted);

    private static async Task<FormerAnswers> BeforeAsync(FlywheelDb db, ReleaseRow release, string former, CancellationToken cancellation)
    {
        (List<Answer> before, Dictionary<Guid, List<Feedback>> said) =
            await AnswersAsync(db, former, release.Time - s_before, release.Time, newest: true, cancellation);
        double? slow =
            RolloutHistory.SlowOf(before.Where(answer => answer.End != Engine.FinishReason.Failed).Select(answer => answer.LatencyMs)
                .TakeLast(MaxGuards));
        var counted = new WatchedAnswers { SlowMs = slow };
        foreach (Answer[] request in Requests(before).TakeLast(MaxGuards))
            counted.Add(Failed(request), Slow(request, slow), Tokens(request));
        var judged = new Dictionary<string, double[]>(StringComparer.Ordinal);
        foreach (var person in Requests(before).GroupBy(request => request[0].Person).Where(person => person.Key.Length > 0))
        {
            double[] values = [.. person.Select(request => ValuesOf(request, said).Max()).OfType<double>()];
            if (values.Length > 0) judged[person.Key] = values;
        }
        return new(judged, counted);
    }

    private static double Tokens(Answer[] request) => request.Average(answer => answer.Tokens);

    private static bool Failed(Answer[] request) => request.Any(answer => answer.End == Engine.FinishReason.Failed);

    private static bool Slow(Answer[] request, double? than) => request.Max(answer => answer.LatencyMs) > (than ?? double.PositiveInfinity);

    /// <summary>How much there is to read: it is read again when that has changed. Both are looked up in an index. What is forgotten goes
    /// with
    /// its answers, so fewer of them are a change, too.</summary>
    /// <returns>The release, answers of its model, and the last that was said of any.</returns>
    public static async Task<(long Release, int Answers, long Said)> CountAsync(FlywheelStore store, DateTimeOffset now,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        if (await WatchedAsync(db, now, cancellation) is not (var release, _)) return default;
        return (release.Id, await db.Served.CountAsync(row => row.ModelHash == release.ModelHash, cancellation),
            await db.Feedback.MaxAsync(row => (long?)row.Sequence, cancellation) ?? 0);
    }

    /// <summary>
    /// Makes the former model the champion again, in the record. A turn that had promoted the other has rejected it then: what it learnt
    /// has
    /// reached nobody who stays, and is open for the next.
    /// </summary>
    /// <param name="store">The record.</param>
    /// <param name="reason">What the release says.</param>
    /// <param name="now">When.</param>
    /// <exception cref="FlywheelException">Another model was released meanwhile, or somebody keeps this one.</exception>
    public async Task TakeBackAsync(FlywheelStore store, string reason, DateTimeOffset now)
    {
        Actor.Demand(Scopes.Admin);
        await using FlywheelDb db = store.AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync();
        await LockAsync(db, Release.Id);
        if (await db.Releases.OrderByDescending(row => row.Id).Select(row => row.Id).FirstOrDefaultAsync() != Release.Id)
            throw new FlywheelException($"another model was released meanwhile, so {Release.ModelHash[..12]} is not taken back");
        if (await WatchedAsync(db, now, CancellationToken.None) is null)
            throw new FlywheelException(
                $"{Release.ModelHash[..12]} is watched no longer, so it is not taken back: somebody keeps it, or an upstream answers in its place");
        await FlywheelStore.AddReleaseAsync(db, new ReleaseRow { Time = now, ModelHash = Former,
            Reason = reason[..Math.Min(1000, reason.Length)] }, CancellationToken.None);
        if (Release.TurnId is { } id && await db.Turns.SingleOrDefaultAsync(turn => turn.Id == id) is { State: TurnState.Promoted } turn)
            // a blank after a name: by it the name is found when its person is forgotten
            (turn.State, turn.Reason) = (TurnState.Rejected, $"{reason} (it had been promoted because {turn.Reason})");
        await db.SaveChangesAsync();
        await transaction.CommitAsync();
    }

    /// <summary>Notes that a person has looked and keeps the release: it is watched no longer.</summary>
    /// <exception cref="FlywheelException">Nothing is watched.</exception>
    public static async Task KeepAsync(FlywheelStore store, DateTimeOffset now, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        await using FlywheelDb db = store.AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Releases.OrderByDescending(row => row.Id).Select(row => (long?)row.Id).FirstOrDefaultAsync(cancellation) is { } last)
            await LockAsync(db, last);
        (ReleaseRow release, _) = await WatchedAsync(db, now, cancellation)
            ?? throw new FlywheelException("no release is watched, so there is none to keep");
        db.Audit.Add(AuditAct.Row(AuditAct.Keep, now, about: KeptAs(release)));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Who keeps a release and who takes it back wait for each other, on whatever server: each writes its row before it
    /// looks.</summary>
    private static Task<int> LockAsync(FlywheelDb db, long release) =>
        db.Releases.Where(row => row.Id == release).ExecuteUpdateAsync(change => change.SetProperty(row => row.Reason, row => row.Reason));

    private static string KeptAs(ReleaseRow release) => FormattableString.Invariant($"{release.ModelHash[..12]} release {release.Id}");

    /// <summary>The last release, where a turn or a rollout made it, and the model before it. Null where that model had not answered, or
    /// this
    /// one does not any more, because an upstream did or does: taken back would bring a model that nobody chose.</summary>
    private static async Task<(ReleaseRow Release, string Former)?> WatchedAsync(FlywheelDb db, DateTimeOffset now,
        CancellationToken cancellation)
    {
        List<ReleaseRow> last = await db.Releases.AsNoTracking().OrderByDescending(row => row.Id).Take(2).ToListAsync(cancellation);
        if (last is not [var release, var before] || before.ModelHash == release.ModelHash || now - release.Time > Lasts) return null;
        if (release.TurnId is null && !release.Reason.StartsWith("turn ", StringComparison.Ordinal)
            && !release.Reason.StartsWith("rollout ", StringComparison.Ordinal)) return null;
        List<RolloutRow> since = await db.Rollouts.AsNoTracking().Where(row => row.Started >= before.Time).OrderBy(row => row.Id)
            .ToListAsync(cancellation);
        if (since.LastOrDefault(row => row.Started <= release.Time) is { } earlier
            && (IsUpstream(earlier.Champion) || IsUpstream(earlier.Winner))) return null;
        if (since.LastOrDefault() is { } latest && latest.Started >= release.Time && IsUpstream(latest.Winner)) return null;
        string kept = KeptAs(release);
        return await db.Audit.AnyAsync(row => row.Act == AuditAct.Keep && row.About == kept, cancellation)
            ? null : (release, before.ModelHash);

        static bool IsUpstream(string arm) => arm.StartsWith(Upstream.Prefix, StringComparison.Ordinal);
    }

    private sealed record Answer(Guid Id, Guid Group, DateTimeOffset Time, string Person, Engine.FinishReason End, double LatencyMs,
        int Tokens);

    private static IEnumerable<Answer[]> Requests(List<Answer> answers) =>
        answers.GroupBy(answer => answer.Group).Select(group => group.ToArray());

    /// <summary>A model's answers in their order, and what the people who had asked said of them. In the arena, and where drafts of two
    /// models are
    /// shown, people say which is better, and not how good one is.</summary>
    private static async Task<(List<Answer> Answers, Dictionary<Guid, List<Feedback>> Said)> AnswersAsync(FlywheelDb db, string model,
        DateTimeOffset from, DateTimeOffset until,
        bool newest, CancellationToken cancellation)
    {
        IQueryable<Generation> of = db.Served.AsNoTracking()
            .Where(row => row.ModelHash == model && row.Time >= from && row.Time <= until && row.Upstream == null
            && row.AdapterHash == null && row.App != ArenaResults.App && row.FinishReason != Engine.FinishReason.Cancelled
            && !(row.Rollout != null && row.Propensity == 1));
        var rows = await (newest ? of.OrderByDescending(row => row.Time) : of.OrderBy(row => row.Time)).Take(MaxAnswers)
            .Select(row => new { row.Id, row.Group, row.Time, row.User, row.Owner, row.FinishReason, row.LatencyMs, row.NumTokens })
            .ToListAsync(cancellation);
        List<Answer> answers =
            [.. rows.Select(row => new Answer(row.Id, row.Group, row.Time, CuratedExample.PersonOf(row.User, row.Owner), row.FinishReason,
                row.LatencyMs, row.NumTokens))
            .OrderBy(answer => answer.Time).ThenBy(answer => answer.Id)];
        Dictionary<Guid, string> people = answers.ToDictionary(answer => answer.Id, answer => answer.Person);
        List<Feedback> said = [];
        foreach (Guid[] ids in people.Keys.Chunk(500))
            said.AddRange(await db.Feedback.AsNoTracking()
                .Where(row => ids.Contains(row.GenerationId) && row.Source == FeedbackSource.Person).ToListAsync(cancellation));
        return (answers,
            said.Where(row => CuratedExample.PersonOf(row.User, row.Owner) is var who
                && (who.Length == 0 || who == people[row.GenerationId]))
            .OrderBy(row => row.Sequence).GroupBy(row => row.GenerationId).ToDictionary(row => row.Key, row => row.ToList()));
    }

    /// <summary>What became of each answer to a request; the best is what the person got.</summary>
    private static double?[] ValuesOf(Answer[] request, Dictionary<Guid, List<Feedback>> said) =>
        [.. request.Select(answer => RolloutHistory.ValueOf(said.GetValueOrDefault(answer.Id)))];
}
