using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Reviews;

/// <summary>Which items are asked for.</summary>
public sealed record ReviewFilter
{
    /// <summary>Application or task; null: all.</summary>
    public string? App { get; init; }

    /// <summary>A code of <see cref="ReviewSignals"/>; null: with or without.</summary>
    public string? Signal { get; init; }

    public ReviewView View { get; init; } = ReviewView.Open;

    /// <summary>Who asks: what is open, or a second opinion, depends on it.</summary>
    public string Reviewer { get; init; } = "";
}

/// <summary>
/// Open: nobody has decided. Second: another reviewer has, and the one who asks has not. Disputed: they disagree. Decided: it is settled.
/// </summary>
public enum ReviewView { Open, Second, Disputed, Decided, All }

/// <summary>What is in the queue.</summary>
/// <param name="Items">Those that were asked for: what stands out first, then the oldest.</param>
/// <param name="NumDecided">How many of the application's items are settled.</param>
/// <param name="NumAll">How many items the application has.</param>
/// <param name="Apps">Applications and how many items each has.</param>
/// <param name="Signals">Of each code: how many items have it, how many of those are settled, and how many were rejected: what it is
/// worth.</param>
/// <param name="IsCut">There is more than is shown.</param>
public sealed record ReviewList(IReadOnlyList<ReviewItem> Items, int NumDecided, int NumAll, IReadOnlyList<(string App, int Count)> Apps,
    IReadOnlyList<(string Code, int Items, int Decided, int Rejected)> Signals, bool IsCut)
{
    /// <summary>
    /// The same after an item of its application was decided on: what is counted changes by that one, and nothing is read again. Items stay
    /// where they are, whether or not they still are what was asked for.
    /// </summary>
    /// <param name="before">As it was counted.</param>
    /// <param name="after">As it is now; see <see cref="ReviewSignals.Keep"/>.</param>
    public ReviewList With(ReviewItem before, ReviewItem after)
    {
        int Settled(ReviewItem item, string? code = null) =>
            ReviewQueue.IsSettled(item) && (code is null || item.Signals.Contains(code)) ? 1 : 0;
        int Has(ReviewItem item, string code) => item.Signals.Contains(code) ? 1 : 0;
        int Rejected(ReviewItem item, string code) => item.State.Outcome == ReviewOutcome.Rejected ? Has(item, code) : 0;
        Dictionary<string, (int Items, int Decided, int Rejected)> counts =
            Signals.ToDictionary(one => one.Code, one => (one.Items, one.Decided, one.Rejected));
        return this with
        {
            Items = [.. Items.Select(item => item.Id == after.Id ? after : item)],
            NumDecided = NumDecided + Settled(after) - Settled(before),
            Signals = [.. ReviewSignals.All.Select(code =>
            {
                (int items, int decided, int rejected) = counts.GetValueOrDefault(code);
                return (code, items + Has(after, code) - Has(before, code), decided + Settled(after, code) - Settled(before, code),
                    rejected + Rejected(after, code) - Rejected(before, code));
            }).Where(one => one.Item2 > 0)],
        };
    }
}

/// <summary>What became of a review.</summary>
/// <param name="Review">Its id.</param>
/// <param name="Item">The item as it stands with it.</param>
public sealed record ReviewReceipt(Guid Review, ReviewItem Item);

/// <summary>An item is not in the queue any more; HTTP answers 409.</summary>
public sealed class ReviewGoneException(string message) : FlywheelException(message);

/// <summary>
/// What people did and no released model has learnt yet, for a reviewer: exactly what the next turn would find, that of the shared model or
/// of the workspace's own. Reviews are feedback about
/// the same generation, whose person is the reviewer, so that they are durable, forgotten and exported as feedback is.
/// </summary>
public sealed class ReviewQueue(FlywheelStore store, TimeProvider? time = null)
{
    /// <summary>So many requests are looked at, the oldest first.</summary>
    public const int MaxRequests = 2000;

    private readonly TimeProvider time = time ?? TimeProvider.System;

    /// <summary>What people did, by the names of <see cref="Metrics"/>; comments and what is taken back are nothing by
    /// themselves.</summary>
    private static readonly string[] s_acts = [Metrics.Keep, Metrics.Discard, Metrics.Demonstration, Metrics.Rating];

    public async Task<ReviewList> ListAsync(ReviewFilter filter, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        List<Guid> promoted = await FeedbackReader.PromotedAsync(db, cancellation);
        // Referees are never wrong, and nobody has to look at what a program played.
        List<Guid> groups = await db.Feedback
            .Where(row => s_acts.Contains(row.Metric) && row.Source != FeedbackSource.Referee
                && !db.ExampleFeedback.Any(source => source.FeedbackId == row.Id
                && db.Examples.Any(example => example.Id == source.ExampleId && promoted.Contains(example.TurnId)
                    && example.DropReason != DropReasons.NotShared)))
            .Join(db.Generations.Where(generation => generation.Store == StoreLevel.Full && generation.Consent != Consent.Refused),
                row => row.GenerationId, generation => generation.Id,
                (row, generation) => new { row.Sequence, generation.Group })
            .GroupBy(row => row.Group).Select(request => new { request.Key, First = request.Min(row => row.Sequence) })
            .OrderBy(request => request.First).Take(MaxRequests + 1).Select(request => request.Key).ToListAsync(cancellation);
        bool cut = groups.Count > MaxRequests;
        IReadOnlyList<ReviewItem> all = await ItemsAsync(db, [.. groups.Take(MaxRequests).Select(group => (Guid?)group)], promoted,
            cancellation);
        List<ReviewItem> app = [.. all.Where(item => filter.App is null || item.App == filter.App)];
        List<ReviewItem> wanted =
            [.. app.Where(item => (filter.Signal is null || item.Signals.Contains(filter.Signal)) && IsIn(item, filter))
            .OrderByDescending(item => item.Signals.Count > 0).ThenBy(item => item.Time).ThenBy(item => item.Id)];
        return new(wanted, app.Count(IsSettled), app.Count,
            [.. all.GroupBy(item => item.App).Select(group => (group.Key, group.Count()))
                .OrderBy(group => group.Key, StringComparer.Ordinal)],
            [.. ReviewSignals.All.Select(code => (Code: code, Having: app.Where(item => item.Signals.Contains(code)).ToList()))
                .Where(signal => signal.Having.Count > 0)
                .Select(signal => (signal.Code, signal.Having.Count, signal.Having.Count(IsSettled),
                    signal.Having.Count(item => item.State.Outcome == ReviewOutcome.Rejected)))],
            cut);
    }

    /// <summary>Whether it is clear what becomes of an item.</summary>
    public static bool IsSettled(ReviewItem item) => item.State.Outcome is not (ReviewOutcome.Open or ReviewOutcome.Disputed);

    private static bool IsIn(ReviewItem item, ReviewFilter filter) => filter.View switch
    {
        ReviewView.Open => item.State.Outcome == ReviewOutcome.Open,
        ReviewView.Second => item.State.Standing.Count > 0 && item.State.By(filter.Reviewer) is null,
        ReviewView.Disputed => item.State.Outcome == ReviewOutcome.Disputed,
        ReviewView.Decided => IsSettled(item),
        _ => true,
    };

    /// <summary>One item by its id.</summary>
    /// <exception cref="FlywheelException">There is no such feedback.</exception>
    /// <exception cref="ReviewGoneException">It is none that can be reviewed, or none any more; the message says why.</exception>
    public async Task<ReviewItem> FindAsync(Guid id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        Feedback row = await db.Feedback.AsNoTracking().SingleOrDefaultAsync(found => found.Id == id, cancellation)
            ?? throw new FlywheelException($"field 'item' is '{id}', which is no item of the queue");
        if (!s_acts.Contains(row.Metric)) throw new ReviewGoneException($"field 'item' is '{id}', a {row.Metric}, which is not reviewed");
        List<Guid> promoted = await FeedbackReader.PromotedAsync(db, cancellation);
        TurnRow? learnt = await db.Turns.AsNoTracking()
            .Where(turn => promoted.Contains(turn.Id) && db.Examples.Any(example => example.TurnId == turn.Id
                && example.DropReason != DropReasons.NotShared
                && db.ExampleFeedback.Any(source => source.ExampleId == example.Id && source.FeedbackId == id)))
            .OrderBy(turn => turn.Number).FirstOrDefaultAsync(cancellation);
        if (learnt is not null)
            throw new ReviewGoneException(
                $"field 'item' is '{id}', which turn {learnt.Number} has settled: a released model was made of that turn");
        Guid? group =
            await db.Generations.Where(generation => generation.Id == row.GenerationId && generation.Payload != null)
                .Select(generation => (Guid?)generation.Group)
            .FirstOrDefaultAsync(cancellation)
            ?? throw new ReviewGoneException($"field 'item' is '{id}', whose answer is not in the record");
        return (await ItemsAsync(db, [group], promoted, cancellation)).FirstOrDefault(item => item.Id == id)
            ?? throw new ReviewGoneException(
                $"field 'item' is '{id}', which is none any more: the person has done something else with that answer, or taken it back");
    }

    /// <summary>
    /// Records what a reviewer says; completes when it is on disk. Two who decide on the same item at once are both heard: where they
    /// disagree it is disputed, and waits.
    /// </summary>
    /// <exception cref="NotAllowedException">Whose call it is may not give feedback.</exception>
    /// <exception cref="FlywheelException">A field is wrong.</exception>
    /// <exception cref="ReviewGoneException">The item is not in the queue any more.</exception>
    public async Task<ReviewReceipt> DecideAsync(ReviewInput input, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Feedback);
        ReviewItem item = await FindAsync(input.Item, cancellation);
        FeedbackReceipt receipt =
            (await store.AddAsync([RowOf(item, input, ReviewOf(item, input), input.IdempotencyKey)], cancellation))[0];
        try
        {
            return new(receipt.Id, await FindAsync(item.Id, cancellation));
        }
        catch (ReviewGoneException)
        {
            return new(receipt.Id, item with { State = ReviewState.Of([]) }); // what was undone was all that held it in the queue
        }
    }

    /// <summary>Records the answers of a file, all together: all, or none where one is wrong. What stands already is not recorded again,
    /// and the
    /// last of several answers of a reviewer about an item counts.</summary>
    /// <param name="inputs">In their order.</param>
    /// <param name="name">Of the file, for errors.</param>
    /// <param name="cancellation">Ends it before anything is recorded.</param>
    /// <returns>How many stand, and about which items nothing can be said any more, since the person has gone on.</returns>
    /// <exception cref="FlywheelException">Items that never were, or answers that do not fit theirs: each is named, and none is
    /// taken.</exception>
    public async Task<(int Recorded, IReadOnlyList<string> Gone)> ImportAsync(IReadOnlyList<ReviewInput> inputs, string name,
        CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Feedback);
        List<string> faults = [], gone = [];
        Dictionary<Guid, ReviewItem> items = [];
        Dictionary<(Guid, string), Review?> standing = [];
        List<Feedback> rows = [];
        int recorded = 0;
        foreach (ReviewInput input in inputs)
        {
            try
            {
                if (!items.TryGetValue(input.Item, out ReviewItem? item))
                    items[input.Item] = item = await FindAsync(input.Item, cancellation);
                Review said = ReviewOf(item, input);
                recorded++;
                if (input.Act == ReviewAct.Label)
                {
                    if (!item.State.Labelled.Any(one => one.Reviewer == said.Reviewer && one.Label == said.Label))
                        rows.Add(RowOf(item, input, said, KeyOf(said, null)));
                    continue;
                }
                Review? before = standing.TryGetValue((item.Id, said.Reviewer), out Review? earlier)
                    ? earlier : item.State.By(said.Reviewer);
                if (before is not null && (before.Act, before.Text, before.Reason) == (said.Act, said.Text, said.Reason)) continue;
                rows.Add(RowOf(item, input, said, KeyOf(said, before)));
                standing[(item.Id, said.Reviewer)] = said;
            }
            catch (ReviewGoneException e)
            {
                gone.Add(e.Message);
            }
            catch (FlywheelException e) when (e is not NotAllowedException)
            {
                faults.Add(e.Message);
            }
        }
        if (faults.Count > 0)
            throw new FlywheelException(
                $"{name}: {faults.Count} answers cannot be taken, and none was:\n  {string.Join("\n  ", faults.Take(ReviewFile.MaxNamed))}");
        cancellation.ThrowIfCancellationRequested();
        if (rows.Count > 0) await store.AddAsync(rows, CancellationToken.None);
        return (recorded, gone);

        // Two who bring one file at once record it once; brought again after something else was said, it is said anew.
        static string KeyOf(Review said, Review? before) =>
            "import-" + CuratedDataset.Hex($"{said.Of}\n{said.Act}\n{said.Text}\n{said.Reason}\n{said.Label}\n{before?.Id}")[..32];
    }

    private static Feedback RowOf(ReviewItem item, ReviewInput input, Review review, string? key) => new()
    {
        Id = review.Id, Time = review.Time, GenerationId = item.GenerationId, Metric = Metrics.Review, Value = review.ToValue(),
        User = input.Reviewer,
        Owner = input.Owner, Workspace = input.Workspace, IdempotencyKey = key,
    };

    /// <summary>What a reviewer says of an item.</summary>
    /// <exception cref="FlywheelException">It does not fit the item.</exception>
    private Review ReviewOf(ReviewItem item, ReviewInput input)
    {
        input.Checked();
        string who = CuratedExample.PersonOf(input.Reviewer, input.Owner);
        if (input.Text is { } same && Curator.IsSameText(same, item.Text))
        {
            if (item.Did is ReviewedAct.Discarded or ReviewedAct.RatedDown)
                throw new FlywheelException(
                    $"field 'text' is the text of '{item.Id}', which the person did not want; expected another one");
            // What changes nothing approves, unless it takes back what another reviewer has made of it.
            if (!item.State.Standing.Any(review => review.Act == ReviewAct.Correct && review.Reviewer != who))
                input = input with { Act = ReviewAct.Approve, Text = null };
        }
        if (input.Text is { } text && item.Prompt?.AnswerModality is { } modality) _ = new SymbolsPart(modality, text, "field 'text'");
        if (input.Act == ReviewAct.Correct && item.Prompt is null)
            throw new FlywheelException(
                $"field 'decision' is 'correct', but '{item.Id}' is about a plain completion, of which no conversation can be learnt; expected approve or reject");
        bool? agrees = null;
        if (input.Act == ReviewAct.Compare)
        {
            Guid[] known = [item.GenerationId, .. item.Others.Select(other => other.GenerationId)];
            foreach ((string field, Guid given) in new[] { ("preferred", input.Preferred!.Value), ("over", input.Over!.Value) })
                if (!known.Contains(given))
                    throw new FlywheelException($"field '{field}' is '{given}', expected one of the item's: {string.Join(", ", known)}");
            if (input.Preferred != item.GenerationId && input.Over != item.GenerationId)
                throw new FlywheelException(
                    $"fields 'preferred' and 'over' both name texts that the person did not take, expected one to be '{item.GenerationId}'");
            agrees = input.Preferred == item.GenerationId;
        }
        DateTimeOffset now = time.GetUtcNow();
        var review = new Review(Guid.CreateVersion7(now), item.Id, who, input.Act)
        {
            Time = now, Text = input.Text, Label = input.Label?.Trim(), Agrees = agrees,
            Reason = input.Reason ?? (agrees == false ? "the other text is better" : null),
        };
        if (input.Act == ReviewAct.Undo && item.State.By(who) is null && item.State.Labels.Count == 0)
            throw new FlywheelException(
                $"field 'decision' is 'undo', but nothing that {(who.Length == 0 ? "this reviewer" : $"'{who}'")} decided about '{item.Id}' stands");
        return review;
    }

    /// <summary>Every review of the record that decides something, by item, in the order in which they came.</summary>
    internal static async Task<ILookup<Guid, Review>> ReviewsAsync(FlywheelDb db, CancellationToken cancellation)
    {
        List<Feedback> rows = await db.Feedback.AsNoTracking().Where(row => row.Metric == Metrics.Review).OrderBy(row => row.Sequence)
            .ToListAsync(cancellation);
        return rows.Select(Review.Read).ToLookup(review => review.Of);
    }

    private async Task<IReadOnlyList<ReviewItem>> ItemsAsync(FlywheelDb db, IEnumerable<Guid?> groups, List<Guid> promoted,
        CancellationToken cancellation)
    {
        (List<Shown> shown, List<Feedback> feedback) =
            await FeedbackReader.LoadAsync(db, Upstreams.Read(store.Home), groups, false, cancellation);
        Dictionary<Guid, Feedback> rows = feedback.ToDictionary(row => row.Id);
        // As a turn of the usual recipe would, but for what only its model knows.
        (IReadOnlyList<Curator.Finding> findings, IReadOnlyList<CuratedExample> curated) =
            Curator.Find(shown.OrderBy(answer => answer.Id), feedback.OrderBy(row => row.Sequence),
            new CurationRules(new CurateRecipe().MinCharacters, _ => true) { Judged = true });
        // Once a turn has learnt from an act, it is settled; other answers to the same request may still be open.
        HashSet<Guid> learnt = [];
        foreach (Guid[] ids in rows.Keys.Chunk(500))
            learnt.UnionWith(await db.ExampleFeedback.Where(source => ids.Contains(source.FeedbackId)
                && db.Examples.Any(example => example.Id == source.ExampleId && promoted.Contains(example.TurnId)
                    && example.DropReason != DropReasons.NotShared))
                .Select(source => source.FeedbackId).ToListAsync(cancellation));

        HashSet<Guid> used = [.. curated.Where(row => row.Drop is null).SelectMany(row => row.FeedbackIds)];
        Dictionary<Guid, string> leftOut = curated.Where(row => row.Drop is not null)
            .SelectMany(row => row.FeedbackIds.Select(id => (id, row.Drop!)))
            .Where(pair => !used.Contains(pair.id)).DistinctBy(pair => pair.id).ToDictionary(pair => pair.id, pair => pair.Item2);
        ILookup<(string, string), bool> verdicts =
            findings.Select(finding => (finding.Verdict, Liked: finding.Verdict.Kept ?? finding.Verdict.Opinion!.Value.Reward > 0))
            .ToLookup(pair => ReviewSignals.KeyOf(pair.Verdict.Answer.Prompt, pair.Verdict.Text), pair => pair.Liked);
        return ReviewSignals.Mark(
            [.. findings.Where(finding => finding.Item is { } id && !learnt.Contains(id)).Select(finding => Item(finding, rows))], verdicts,
            leftOut.Where(pair => !DropReasons.OfReview(pair.Value)).ToDictionary());
    }

    private static ReviewItem Item(Curator.Finding finding, Dictionary<Guid, Feedback> rows)
    {
        Curator.Verdict verdict = finding.Verdict;
        return new()
        {
            Id = finding.Item!.Value, GenerationId = verdict.Answer.Id, Time = rows[finding.Item.Value].Time, App = verdict.Answer.App,
            Person = CuratedExample.PersonOf(finding.Speaker.User, finding.Speaker.Owner), Prompt = verdict.Answer.Prompt,
            Original = verdict.Answer.Text.Trim(),
            Text = verdict.Text, State = finding.State,
            Did = verdict.Kept == true ? verdict.Edited ? ReviewedAct.Edited : ReviewedAct.Kept : verdict.Kept == false
                ? ReviewedAct.Discarded
                : verdict.Opinion!.Value.Reward > 0 ? ReviewedAct.RatedUp : ReviewedAct.RatedDown,
            Others = [
                .. finding.Request
                    .Where(other => other.Answer.Id != verdict.Answer.Id && other.Kept != true && other.Answer.Text.Trim().Length > 0)
                .Select(other => (other.Answer.Id, other.Answer.Text.Trim()))],
        };
    }
}
