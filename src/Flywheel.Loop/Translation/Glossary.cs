using System.Collections.Concurrent;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Translation;

/// <summary>A term as a person writes it.</summary>
public sealed record TermInput(string Source, string Target, string Forbidden = "", string Note = "")
{
    public const int MaxLength = 200, MaxNote = 1000;

    /// <exception cref="FlywheelException">A field is missing or too long.</exception>
    public TermInput Checked()
    {
        var clean = new TermInput(OneLine(Source), OneLine(Target),
            string.Join("; ",
                Forbidden.Split([';', '；', '\n'], StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Distinct()),
                OneLine(Note));
        foreach ((string name, string text, int max) in new[] { ("source", clean.Source, MaxLength), ("target", clean.Target, MaxLength),
            ("forbidden", clean.Forbidden, MaxNote), ("note", clean.Note, MaxNote) })
            if (text.Length > max) throw new FlywheelException($"field '{name}' has {text.Length} characters, expected at most {max}");
        if (clean.Source.Length == 0) throw new FlywheelException("field 'source' is empty, expected a term");
        if (clean.Target.Length == 0 && clean.Forbidden.Length == 0)
            throw new FlywheelException(
                "field 'target' is empty, expected the term's translation (or, in 'forbidden', what must not stand for it)");
        return clean;
    }

    private static string OneLine(string text) => MemoryIndex.Plain(text);
}

/// <summary>A workspace's terms for each pair of languages.</summary>
public sealed class Glossary(FlywheelStore store, TimeProvider time)
{
    public const int MaxTerms = 20_000;

    private readonly ConcurrentDictionary<LanguagePair, TermList> _lists = [];

    /// <summary>The terms of a pair, ready to be found in texts.</summary>
    public async Task<TermList> ListAsync(LanguagePair pair, CancellationToken cancellation = default)
    {
        if (_lists.TryGetValue(pair, out TermList? known)) return known;
        await using FlywheelDb db = store.Tables();
        return _lists[pair] =
            new TermList(await Of(db, pair).AsNoTracking().OrderBy(row => row.Source).ThenBy(row => row.Id).ToListAsync(cancellation));
    }

    /// <summary>Reads everything anew when it is next asked: rows were removed elsewhere.</summary>
    public void Reload() => _lists.Clear();

    /// <summary>Adds a term, or changes the one of the same source.</summary>
    /// <exception cref="FlywheelException">A field is missing or too long, or the glossary is full.</exception>
    public async Task<TermRow> PutAsync(LanguagePair pair, string person, TermInput term, CancellationToken cancellation = default) =>
        (await PutAsync(pair, person, [term], cancellation))[0];

    /// <summary>The same of many, all or none of them.</summary>
    public async Task<IReadOnlyList<TermRow>> PutAsync(LanguagePair pair, string person, IReadOnlyList<TermInput> terms,
        CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Inference);
        List<TermRow> put = [];
        DateTimeOffset now = time.GetUtcNow();
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        Dictionary<string, TermRow> rows = (await Of(db, pair).ToListAsync(cancellation)).GroupBy(row => row.Source)
            .ToDictionary(group => group.Key, group => group.First());
        foreach (TermInput given in terms)
        {
            TermInput term = given.Checked();
            if (!rows.TryGetValue(term.Source, out TermRow? row))
                db.Terms.Add(rows[term.Source] = row = new TermRow
                {
                    Id = Guid.CreateVersion7(now), Workspace = pair.Workspace, User = person, SourceLanguage = pair.From,
                    TargetLanguage = pair.To,
                    Source = term.Source, Target = term.Target, Created = now, Updated = now,
                });
            (row.Target, row.Forbidden, row.Note, row.User, row.Updated) = (term.Target, term.Forbidden, term.Note, person, now);
            put.Add(row);
        }
        if (rows.Count > MaxTerms) throw new FlywheelException($"the glossary would have {rows.Count} terms, expected at most {MaxTerms}");
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        _lists.TryRemove(pair, out _);
        return put;
    }

    /// <summary>Deletes a term; false when the workspace has none of that id.</summary>
    public async Task<bool> DeleteAsync(string workspace, Guid id, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Inference);
        await using FlywheelDb db = store.Tables();
        if (await db.Terms.SingleOrDefaultAsync(row => row.Id == id && row.Workspace == workspace, cancellation) is not { } row)
            return false;
        db.Terms.Remove(row);
        await db.SaveChangesAsync(cancellation);
        _lists.TryRemove(new(workspace, row.SourceLanguage, row.TargetLanguage), out _);
        return true;
    }

    private static IQueryable<TermRow> Of(FlywheelDb db, LanguagePair pair) =>
        db.Terms.Where(row => row.Workspace == pair.Workspace && row.SourceLanguage == pair.From && row.TargetLanguage == pair.To);
}

/// <summary>A term that stands in a source.</summary>
/// <param name="Start">Where, in characters.</param>
/// <param name="Length">How long it is there.</param>
public sealed record TermFound(TermRow Term, int Start, int Length);

/// <summary>Terms that are looked for in texts; of two that overlap, the longer.</summary>
public sealed class TermList
{
    private readonly ILookup<string, (TermRow Row, IReadOnlyList<(int Start, int Length)> Words)> _byBeginning;

    public TermList(IReadOnlyList<TermRow> rows)
    {
        Rows = rows;
        _byBeginning = rows.Select(row => (Row: row, Words: Words.Split(row.Source)))
            .ToLookup(term => term.Words.Count == 0 ? "" : Beginning(term.Row.Source.AsSpan(term.Words[0].Start, term.Words[0].Length)));
    }

    public IReadOnlyList<TermRow> Rows { get; }

    public IReadOnlyList<TermFound> Find(string text)
    {
        if (Rows.Count == 0) return [];
        IReadOnlyList<(int Start, int Length)> words = Words.Split(text);
        IEnumerable<string> beginnings = words.Select(word => Beginning(text.AsSpan(word.Start, word.Length))).Distinct().Append("");
        List<TermFound> found = [.. beginnings.SelectMany(beginning => _byBeginning[beginning])
            .SelectMany(term =>
                Words.Find(text, words, term.Row.Source, term.Words).Select(place => new TermFound(term.Row, place.Start, place.Length)))
            .OrderByDescending(one => one.Length).ThenBy(one => one.Start)];
        List<TermFound> kept = [];
        foreach (TermFound one in found)
            if (!kept.Any(other => one.Start < other.Start + other.Length && other.Start < one.Start + one.Length)) kept.Add(one);
        return [.. kept.OrderBy(one => one.Start)];
    }

    // Forms of a word of four letters and more share their first three.
    private static string Beginning(ReadOnlySpan<char> word) => word[..Math.Min(3, word.Length)].ToString().ToLowerInvariant();
}
