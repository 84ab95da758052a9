using Flywheel.Loop;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Apps.Console;

/// <summary>Somebody of whom something is recorded.</summary>
/// <param name="Name">The user of their key, else as their requests name them.</param>
/// <param name="Texts">Answers to them.</param>
/// <param name="Feedback">What they said.</param>
/// <param name="Documents">What they keep.</param>
/// <param name="Last">When they last asked; null when they never did.</param>
public sealed record RecordedPerson(string Name, int Texts, int Feedback, int Documents, DateTimeOffset? Last);

/// <summary>Everybody of whom something is recorded.</summary>
public static class People
{
    /// <param name="store">The record.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>Who asked last comes first.</returns>
    public static async Task<IReadOnlyList<RecordedPerson>> ReadAsync(FlywheelStore store, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables(); // forgetting takes a person out of every workspace
        var texts = await db.Generations.GroupBy(row => row.Owner != "" ? row.Owner : row.User)
            .Select(group => new { group.Key, Count = group.Count(), Last = group.Max(row => row.Time) }).ToListAsync(cancellation);
        var feedback = await db.Feedback.GroupBy(row => row.Owner != "" ? row.Owner : row.User)
            .Select(group => new { group.Key, Count = group.Count() })
            .ToDictionaryAsync(group => group.Key, group => group.Count, cancellation);
        var documents = await db.Documents.GroupBy(row => row.User)
            .Select(group => new { group.Key, Count = group.Count() })
            .ToDictionaryAsync(group => group.Key, group => group.Count, cancellation);
        Dictionary<string, (int Count, DateTimeOffset Last)> asked =
            texts.ToDictionary(group => group.Key, group => (group.Count, group.Last));
        return [.. asked.Keys.Union(feedback.Keys).Union(documents.Keys).Where(name => name.Length > 0)
            .Select(name => new RecordedPerson(name, asked.TryGetValue(name, out var mine) ? mine.Count : 0,
                feedback.GetValueOrDefault(name),
                documents.GetValueOrDefault(name), asked.ContainsKey(name) ? mine.Last : null))
            .OrderByDescending(person => person.Last).ThenBy(person => person.Name, StringComparer.Ordinal)];
    }
}
