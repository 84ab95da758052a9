using Flywheel.Loop;
using Flywheel.Loop.Reviews;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Apps.Console;

/// <summary>A feedback beside the text that it is about.</summary>
/// <param name="Row">As it was given.</param>
/// <param name="Text">What the person saw; null where it is not recorded, or only counts of it are.</param>
/// <param name="Brief">What the text was asked for, where it was a brief.</param>
/// <param name="IsOrphan">Its generation is not recorded.</param>
public sealed record SaidFeedback(Feedback Row, string? Text, string? Brief, bool IsOrphan)
{
    public string Person => Row.Owner.Length > 0 ? Row.Owner : Row.User;

    /// <summary>Its value without JSON's quotes.</summary>
    public string Words => Row.Metric != Metrics.Review ? Row.Value.StartsWith('"') ? Row.Text : Row.Value
        : Review.Read(Row) is var review
        ? string.Join(": ", new[] { Review.NameOf(review.Act), review.Reason ?? review.Label ?? review.Text }.OfType<string>()) : "";
}

/// <summary>The latest feedback.</summary>
public static class FeedbackList
{
    /// <summary>How many are shown.</summary>
    public const int Page = 100;

    /// <param name="store">The record.</param>
    /// <param name="search">What the feedback or the text that it is about must hold, or its person's name; empty for any.</param>
    /// <param name="metric">Name of a kind; empty for any.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>Newest first.</returns>
    public static async Task<IReadOnlyList<SaidFeedback>> ReadAsync(FlywheelStore store, string search, string metric,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        IQueryable<Feedback> wanted = db.Feedback.AsNoTracking();
        if (metric.Length > 0) wanted = wanted.Where(row => row.Metric == metric);
        if (search.Trim() is { Length: > 0 } words)
            wanted = wanted.Where(row => EF.Functions.Like(row.Value, Pattern(words), "\\")
                || EF.Functions.Like(row.User, Pattern(words), "\\") || EF.Functions.Like(row.Owner, Pattern(words), "\\")
                || db.Generations.Any(generation => generation.Id == row.GenerationId
                    && EF.Functions.Like(generation.Payload!.Text, Pattern(words), "\\")));
        List<Feedback> rows = await wanted.OrderByDescending(row => row.Sequence).Take(Page).ToListAsync(cancellation);
        Guid[] ids = [.. rows.Select(row => row.GenerationId).Distinct()];
        Dictionary<Guid, Generation> generations =
            await db.Generations.AsNoTracking().Include(row => row.Payload).Where(row => ids.Contains(row.Id))
                .ToDictionaryAsync(row => row.Id, cancellation);
        return [.. rows.Select(row =>
        {
            GenerationPayload? payload = generations.GetValueOrDefault(row.GenerationId)?.Payload;
            Brief? brief = payload?.Conversation is { } conversation ? Brief.Find(conversation) : null;
            return new SaidFeedback(row, payload?.Text, brief is null ? null : $"{brief.Name}: {string.Join(" · ", brief.Facts)}",
                !generations.ContainsKey(row.GenerationId));
        })];
    }

    private static string Pattern(string words) =>
        $"%{words.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("%", "\\%", StringComparison.Ordinal).Replace("_", "\\_", StringComparison.Ordinal)}%";
}
