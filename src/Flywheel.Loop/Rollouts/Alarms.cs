using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Rollouts;

/// <summary>What may be wrong with the answers or with what is said of them.</summary>
public enum AlarmKind { Length, Repetition, Burst, OnePerson }

/// <param name="Kind">Which rule.</param>
/// <param name="Found">What was found.</param>
/// <param name="Usual">What it is compared with.</param>
public sealed record Alarm(AlarmKind Kind, double Found, double Usual);

/// <summary>
/// Simple rules over the record, stated so that anybody can check them. An alarm changes nothing by itself: it tells a person to look.
/// </summary>
public static class Alarms
{
    /// <summary>Answers of the last day are half as long again as those of the week before, or two thirds as long.</summary>
    public const double LongerThan = 1.5;

    /// <summary>Of the last day's answers, so large a share is a text that another prompt had got on that day. Of our own models: of others
    /// the prompt is not known as tokens.</summary>
    public const double RepeatedShare = 0.2;

    /// <summary>An hour of the last day had so many times the feedback of a mean hour of the week before.</summary>
    public const double BurstFactor = 10;

    /// <summary>So large a share of the last week's feedback is one person's, of at least two.</summary>
    public const double PersonShare = 0.5;

    /// <summary>Fewer answers, or less feedback, show nothing.</summary>
    public const int MinAnswers = 50, MinFeedback = 20;

    /// <summary>Newest texts of the last day that are compared.</summary>
    private const int MaxTexts = 2000;

    public static async Task<IReadOnlyList<Alarm>> ReadAsync(FlywheelStore store, DateTimeOffset now,
        CancellationToken cancellation = default)
    {
        DateTimeOffset day = now.AddDays(-1), week = now.AddDays(-7);
        List<Alarm> alarms = [];
        await using FlywheelDb db = store.AllTables();

        IQueryable<Generation> answers =
            db.Served.Where(row => row.Time >= week && row.FinishReason != Engine.FinishReason.Cancelled
                && row.FinishReason != Engine.FinishReason.Failed && row.NumTokens > 0);
        (int count, double mean) = await MeanAsync(answers.Where(row => row.Time >= day), cancellation);
        (int before, double usual) = await MeanAsync(answers.Where(row => row.Time < day), cancellation);
        if (count >= MinAnswers && before >= MinAnswers && (mean > LongerThan * usual || mean < usual / LongerThan))
            alarms.Add(new(AlarmKind.Length, mean, usual));

        var texts = await answers.Where(row => row.Time >= day && row.Payload != null && row.Upstream == null)
            .OrderByDescending(row => row.Time).Take(MaxTexts)
            .Select(row => new { row.Payload!.Text, row.Payload.PromptTokens }).ToListAsync(cancellation);
        if (texts.Count >= MinAnswers)
        {
            // Who asks the same again may well be told the same.
            int repeated = texts.GroupBy(one => one.Text.Trim())
                .Sum(same => same.DistinctBy(one => string.Join(' ', one.PromptTokens)).Count() - 1);
            if (repeated >= RepeatedShare * texts.Count)
                alarms.Add(new(AlarmKind.Repetition, repeated / (double)texts.Count, RepeatedShare));
        }

        var said = await db.Feedback.Where(row => row.Time >= week && row.Source != FeedbackSource.Simulated
            && !db.Generations.Any(generation => generation.Id == row.GenerationId && generation.Origin != null))
            .Select(row => new { row.Time, row.User, row.Owner }).ToListAsync(cancellation);
        int most = said.Where(one => one.Time >= day).GroupBy(one => (int)(now - one.Time).TotalHours).Select(hour => hour.Count())
            .DefaultIfEmpty().Max();
        double hourly = said.Count(one => one.Time < day) / (6 * 24.0);
        if (most >= MinFeedback && hourly > 0 && most > BurstFactor * hourly) alarms.Add(new(AlarmKind.Burst, most, hourly));

        var people = said.Select(one => CuratedExample.PersonOf(one.User, one.Owner)).Where(person => person.Length > 0)
            .CountBy(person => person).ToList();
        int named = people.Sum(person => person.Value);
        if (people.Count >= 2 && named >= MinFeedback && people.Max(person => person.Value) / (double)named is var share and > PersonShare)
            alarms.Add(new(AlarmKind.OnePerson, share, 1.0 / people.Count));
        return alarms;
    }

    private static async Task<(int Count, double Mean)> MeanAsync(IQueryable<Generation> answers, CancellationToken cancellation)
    {
        int count = await answers.CountAsync(cancellation);
        return (count, count == 0 ? 0 : await answers.AverageAsync(row => row.NumTokens, cancellation));
    }
}
