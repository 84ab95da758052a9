using Flywheel.Loop;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Apps.Console;

/// <summary>What a model was asked for, what it took, and how much of it people kept.</summary>
/// <param name="Name">Of an application, a person, a model or a day.</param>
public sealed record UsageLine(string Name)
{
    /// <summary>Texts that were generated, drafts that ranking held back included.</summary>
    public long Texts { get; set; }

    public long PromptTokens { get; set; }

    public long AnswerTokens { get; set; }

    /// <summary>Texts that a person kept, as they were or edited.</summary>
    public long Kept { get; set; }

    /// <summary>Of the time in which the model ran, the share of these texts: by tokens, prompt and answer alike.</summary>
    public double BusySeconds { get; set; }

    public long Tokens => PromptTokens + AnswerTokens;
}

/// <summary>The use of a period, whole and by application, person, model and day.</summary>
public sealed record Usage(UsageLine All, IReadOnlyList<UsageLine> Applications, IReadOnlyList<UsageLine> People,
    IReadOnlyList<UsageLine> Models, IReadOnlyList<UsageLine> Days)
{
    /// <summary>Reads it from the record.</summary>
    /// <param name="store">The record.</param>
    /// <param name="since">Its beginning.</param>
    /// <param name="zone">Offset of the clock by which days are told.</param>
    /// <param name="person">Only this person's; everyone's when null.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<Usage> ReadAsync(FlywheelStore store, DateTimeOffset since, TimeSpan zone, string? person = null,
        CancellationToken cancellation = default)
    {
        var all = new UsageLine("");
        Dictionary<string, UsageLine> applications = [], people = [], models = [], days = [];
        HashSet<Guid> kept = await KeptAsync(store, since, cancellation);
        await using FlywheelDb db = store.Tables();
        var rows =
            db.Served.AsNoTracking()
                .Where(row => row.Time >= since && (person == null || (row.Owner != "" ? row.Owner : row.User) == person))
                .OrderBy(row => row.Time)
            .Select(row => new { row.Id, row.Time, row.App, row.User, row.Owner, row.ModelHash, row.NumPromptTokens, row.NumTokens,
                row.LatencyMs }).AsAsyncEnumerable();
        // Answers run side by side: busy is when at least one did.
        DateTimeOffset busyUntil = DateTimeOffset.MinValue;
        double busy = 0;
        await foreach (var row in rows.WithCancellation(cancellation))
        {
            DateTimeOffset end = row.Time.AddMilliseconds(row.LatencyMs), begin = row.Time > busyUntil ? row.Time : busyUntil;
            if (end > begin) busy += (end - begin).TotalSeconds;
            if (end > busyUntil) busyUntil = end;
            foreach (UsageLine line in (UsageLine[])[all, Line(applications, row.App),
                Line(people, row.Owner.Length > 0 ? row.Owner : row.User), Line(models, row.ModelHash),
                Line(days, $"{row.Time.ToOffset(zone):yyyy-MM-dd}")])
            {
                line.Texts++;
                line.PromptTokens += row.NumPromptTokens;
                line.AnswerTokens += row.NumTokens;
                if (kept.Contains(row.Id)) line.Kept++;
            }
        }
        foreach (UsageLine line in (UsageLine[])[all, .. applications.Values, .. people.Values, .. models.Values, .. days.Values])
            line.BusySeconds = all.Tokens == 0 ? 0 : busy * line.Tokens / all.Tokens;
        return new Usage(all, Sorted(applications), Sorted(people), Sorted(models),
            [.. days.Values.OrderBy(line => line.Name, StringComparer.Ordinal)]);

        static IReadOnlyList<UsageLine> Sorted(Dictionary<string, UsageLine> lines) =>
            [.. lines.Values.OrderByDescending(line => line.Tokens)];

        static UsageLine Line(Dictionary<string, UsageLine> lines, string name) =>
            lines.TryGetValue(name, out UsageLine? line) ? line : lines[name] = new UsageLine(name);
    }

    /// <summary>How many texts each model gave, by its hash.</summary>
    public static async Task<IReadOnlyDictionary<string, long>> AnswersByModelAsync(FlywheelStore store,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Served.GroupBy(row => row.ModelHash).Select(group => new { group.Key, Count = group.LongCount() })
            .ToDictionaryAsync(group => group.Key, group => group.Count, cancellation);
    }

    /// <summary>Texts that somebody kept and did not take back. An act is later than its text, so none of the period is missed.</summary>
    private static async Task<HashSet<Guid>> KeptAsync(FlywheelStore store, DateTimeOffset since, CancellationToken cancellation)
    {
        Dictionary<(Guid Generation, string Person), List<(Guid Id, bool Kept)>> acts = [];
        await using FlywheelDb db = store.Tables();
        await foreach (Feedback row in db.Feedback.AsNoTracking().Where(row => row.Time >= since).OrderBy(row => row.Sequence)
            .AsAsyncEnumerable().WithCancellation(cancellation))
        {
            (Guid, string) about = (row.GenerationId, row.Owner.Length > 0 ? row.Owner : row.User);
            List<(Guid Id, bool Kept)> said = acts.TryGetValue(about, out var earlier) ? earlier : acts[about] = [];
            if (FeedbackKind.Named(row.Metric).Effect(row) is FeedbackEffect.Act act) said.Add((row.Id, act.Kept));
            else if (FeedbackKind.Named(row.Metric).Effect(row) is FeedbackEffect.TakeBack back)
                said.RemoveAll(one => back.Only is null || one.Id == back.Only);
        }
        return [.. acts.Where(pair => pair.Value is [.., (_, true)]).Select(pair => pair.Key.Generation)];
    }
}
