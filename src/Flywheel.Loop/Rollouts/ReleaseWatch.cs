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

    /// <summary>What is watched now; null where nothing is.</summary>
    /// <param name="store">The record.</param>
    /// <param name="now">Observations that are due by then are closed.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<ReleaseWatch?> ReadAsync(FlywheelStore store, DateTimeOffset now, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        if (await WatchedAsync(db, now, cancellation) is not (var release, var former)) return null;
        (List<Answer> before, Dictionary<Guid, List<Feedback>> saidBefore) = await AnswersAsync(db, former, release.Time - s_before, release.Time, newest: true, cancellation);
        double? slow = RolloutHistory.SlowOf(before.Where(answer => answer.End != Engine.FinishReason.Failed).Select(answer => answer.LatencyMs).TakeLast(MaxGuards));
        var counted = new WatchedAnswers { SlowMs = slow };
        foreach (Answer[] request in Requests(before).TakeLast(MaxGuards)) counted.Add(Failed(request), Slow(request), Tokens(request));
        var judged = new Dictionary<string, double[]>(StringComparer.Ordinal);
        foreach (var person in Requests(before).GroupBy(request => request[0].Person).Where(person => person.Key.Length > 0))
        {
            double[] values = [.. person.Select(request => ValueOf(request, saidBefore)).OfType<double>()];
            if (values.Length > 0) judged[person.Key] = values;
        }
        var seen = new WatchTracker(judged, counted);

        (List<Answer> after, Dictionary<Guid, List<Feedback>> saidAfter) = await AnswersAsync(db, release.ModelHash, release.Time, now, newest: false, cancellation);
        Dictionary<Guid, Answer[]> requests = Requests(after).ToDictionary(request => request[0].Group);
        Dictionary<Guid, Guid> groups = after.ToDictionary(answer => answer.Id, answer => answer.Group);
        var sofar = new Dictionary<Guid, List<Feedback>>();
        IEnumerable<(DateTimeOffset Time, long Order, Answer[]? Request, Feedback? Said)> events =
            requests.Values.Select(request => (request[0].Time, 0L, (Answer[]?)request, (Feedback?)null))
            .Concat(saidAfter.Values.SelectMany(said => said).Select(said => (said.Time, said.Sequence, (Answer[]?)null, (Feedback?)said)));
        foreach ((DateTimeOffset time, long _, Answer[]? request, Feedback? said) in events.OrderBy(one => one.Time).ThenBy(one => one.Order))
        {
            if (seen.NumPeople >= MostPeople) break;
            if (request is not null)
            {
                seen.Answered(time, request[0].Person, Failed(request), Slow(request), Tokens(request));
                continue;
            }
            Answer[] about = requests[groups[said!.GenerationId]];
            if (!sofar.TryGetValue(said.GenerationId, out List<Feedback>? acts)) sofar[said.GenerationId] = acts = [];
            acts.Add(said);
            seen.Judged(time, about[0].Person, about[0].Group, ValueOf(about, sofar));
        }
        seen.Advance(now);
        return new(release, former, seen);

        static double Tokens(Answer[] request) => request.Average(answer => answer.Tokens);

        static bool Failed(Answer[] request) => request.Any(answer => answer.End == Engine.FinishReason.Failed);

        bool Slow(Answer[] request) => request.Max(answer => answer.LatencyMs) > (slow ?? double.PositiveInfinity);
    }

    /// <summary>How much there is to read: it is read again when that has changed.</summary>
    public static async Task<(long Release, int Answers, int Said)> CountAsync(FlywheelStore store, DateTimeOffset now, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        if (await WatchedAsync(db, now, cancellation) is not (var release, _)) return default;
        return (release.Id, await db.Generations.CountAsync(row => row.ModelHash == release.ModelHash && row.Time >= release.Time, cancellation),
            await db.Feedback.CountAsync(row => row.Time >= release.Time, cancellation));
    }

    /// <summary>
    /// Makes the former model the champion again, in the record. A turn that had promoted the other has rejected it then: what it learnt has
    /// reached nobody who stays, and is open for the next.
    /// </summary>
    /// <param name="store">The record.</param>
    /// <param name="reason">What the release says.</param>
    /// <param name="now">When.</param>
    /// <exception cref="FlywheelException">Another model was released meanwhile.</exception>
    public async Task TakeBackAsync(FlywheelStore store, string reason, DateTimeOffset now)
    {
        Actor.Demand(Scopes.Admin);
        await using FlywheelDb db = store.AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync();
        if (await db.Releases.OrderByDescending(row => row.Id).Select(row => row.Id).FirstOrDefaultAsync() != Release.Id)
            throw new FlywheelException($"another model was released meanwhile, so {Release.ModelHash[..12]} is not taken back");
        await FlywheelStore.AddReleaseAsync(db, new ReleaseRow { Time = now, ModelHash = Former, Reason = reason[..Math.Min(1000, reason.Length)] }, CancellationToken.None);
        if (Release.TurnId is { } id && await db.Turns.SingleOrDefaultAsync(turn => turn.Id == id) is { State: TurnState.Promoted } turn)
            (turn.State, turn.Reason) = (TurnState.Rejected, $"{reason} (it had been promoted because {turn.Reason})"); // a blank after a name: by it the name is found when its person is forgotten
        await db.SaveChangesAsync();
        await transaction.CommitAsync();
    }

    /// <summary>Notes that a person has looked and keeps the release: it is watched no longer.</summary>
    /// <exception cref="FlywheelException">Nothing is watched.</exception>
    public static async Task KeepAsync(FlywheelStore store, DateTimeOffset now, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        ReleaseRow release;
        await using (FlywheelDb db = store.AllTables())
            (release, _) = await WatchedAsync(db, now, cancellation) ?? throw new FlywheelException("no release is watched, so there is none to keep");
        await store.NoteAsync(AuditAct.Keep, about: KeptAs(release), cancellation: cancellation);
    }

    private static string KeptAs(ReleaseRow release) => FormattableString.Invariant($"{release.ModelHash[..12]} release {release.Id}");

    /// <summary>The last release, where a turn or a rollout made it, and the model before it.</summary>
    private static async Task<(ReleaseRow Release, string Former)?> WatchedAsync(FlywheelDb db, DateTimeOffset now, CancellationToken cancellation)
    {
        List<ReleaseRow> last = await db.Releases.AsNoTracking().OrderByDescending(row => row.Id).Take(2).ToListAsync(cancellation);
        if (last is not [var release, var before] || before.ModelHash == release.ModelHash || now - release.Time > Lasts) return null;
        if (release.TurnId is null && !release.Reason.StartsWith("turn ", StringComparison.Ordinal) && !release.Reason.StartsWith("rollout ", StringComparison.Ordinal)) return null;
        string kept = KeptAs(release);
        return await db.Audit.AnyAsync(row => row.Act == AuditAct.Keep && row.About == kept, cancellation) ? null : (release, before.ModelHash);
    }

    private sealed record Answer(Guid Id, Guid Group, DateTimeOffset Time, string Person, Engine.FinishReason End, double LatencyMs, int Tokens);

    private static IEnumerable<Answer[]> Requests(List<Answer> answers) => answers.GroupBy(answer => answer.Group).Select(group => group.ToArray());

    /// <summary>A model's answers in their order, and what the people who had asked said of them. In the arena, and where drafts of two models are
    /// shown, people say which is better, and not how good one is.</summary>
    private static async Task<(List<Answer> Answers, Dictionary<Guid, List<Feedback>> Said)> AnswersAsync(FlywheelDb db, string model, DateTimeOffset from, DateTimeOffset until,
        bool newest, CancellationToken cancellation)
    {
        IQueryable<Generation> of = db.Generations.AsNoTracking().Where(row => row.ModelHash == model && row.Time >= from && row.Time <= until && row.Upstream == null
            && row.AdapterHash == null && row.App != ArenaResults.App && row.FinishReason != Engine.FinishReason.Cancelled && !(row.Rollout != null && row.Propensity == 1));
        var rows = await (newest ? of.OrderByDescending(row => row.Time) : of.OrderBy(row => row.Time)).Take(MaxAnswers)
            .Select(row => new { row.Id, row.Group, row.Time, row.User, row.Owner, row.FinishReason, row.LatencyMs, row.NumTokens }).ToListAsync(cancellation);
        List<Answer> answers = [.. rows.Select(row => new Answer(row.Id, row.Group, row.Time, CuratedExample.PersonOf(row.User, row.Owner), row.FinishReason, row.LatencyMs, row.NumTokens))
            .OrderBy(answer => answer.Time).ThenBy(answer => answer.Id)];
        Dictionary<Guid, string> people = answers.ToDictionary(answer => answer.Id, answer => answer.Person);
        List<Feedback> said = [];
        foreach (Guid[] ids in people.Keys.Chunk(500))
            said.AddRange(await db.Feedback.AsNoTracking().Where(row => ids.Contains(row.GenerationId) && row.Source == FeedbackSource.Person).ToListAsync(cancellation));
        return (answers, said.Where(row => CuratedExample.PersonOf(row.User, row.Owner) is var who && (who.Length == 0 || who == people[row.GenerationId]))
            .OrderBy(row => row.Sequence).GroupBy(row => row.GenerationId).ToDictionary(row => row.Key, row => row.ToList()));
    }

    private static double? ValueOf(Answer[] request, Dictionary<Guid, List<Feedback>> said) => request.Select(answer => RolloutHistory.ValueOf(said.GetValueOrDefault(answer.Id))).Max();
}
