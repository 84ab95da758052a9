using System.Collections.Concurrent;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Translation;

/// <summary>Two languages, in the order of translation.</summary>
/// <param name="Workspace">Whose memory and glossary it is.</param>
/// <param name="From">BCP 47 tag of the source's language.</param>
/// <param name="To">BCP 47 tag of the target's language.</param>
public sealed record LanguagePair(string Workspace, string From, string To);

/// <summary>What the memory is asked.</summary>
/// <param name="Source">The text to be translated.</param>
/// <param name="Context">The text before it; empty at a beginning.</param>
public sealed record MemoryQuery(string Source, string Context = "");

/// <summary>
/// Every approved pair of texts of a workspace, on disk when a call returns, and found again at once. Only the server writes it; other
/// processes read what is there when they start.
/// </summary>
public sealed class TranslationMemory(FlywheelStore store, TimeProvider time) : IDisposable
{
    /// <summary>Longer texts are no segments.</summary>
    public const int MaxLength = 10_000;

    /// <summary>Most units that one import brings.</summary>
    public const int MaxImported = 250_000;

    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly ConcurrentDictionary<LanguagePair, MemoryIndex> _indices = [];

    /// <summary>
    /// Likest units for each query. Those of other people whose work is held out are left out: what one of them wrote would come back as
    /// another's, and a model would be tested on what it learnt.
    /// </summary>
    /// <param name="pair">Where to look.</param>
    /// <param name="person">Who asks.</param>
    /// <param name="queries">The texts.</param>
    /// <param name="count">Matches of each, at most.</param>
    /// <param name="exactOnly">Only those of the same source.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task<IReadOnlyList<IReadOnlyList<MemoryMatch>>> FindAsync(LanguagePair pair, string person,
        IReadOnlyList<MemoryQuery> queries, int count = 5, bool exactOnly = false, CancellationToken cancellation = default)
    {
        MemoryIndex index = await IndexAsync(pair, cancellation);
        if (index.Count == 0) return [.. queries.Select(_ => (IReadOnlyList<MemoryMatch>)[])];
        HashSet<string> hidden = await HeldOutAsync(cancellation);
        hidden.Remove(person);
        return [.. queries.Select(query => index.Find(query.Source, query.Context, count, exactOnly, unit => !hidden.Contains(unit.User)))];
    }

    /// <summary>Reads everything anew when it is next asked: rows were removed elsewhere.</summary>
    public void Reload() => _indices.Clear();

    /// <summary>Stores a pair. The unit of the same segment, or else the same person's of the same source and context, is
    /// replaced.</summary>
    /// <exception cref="FlywheelException">A text is empty or too long.</exception>
    public async Task<TranslationUnit> AddAsync(LanguagePair pair, string person, string source, string target, string context = "",
        Guid? document = null, int? segment = null, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Inference);
        (source, target, context) = (source.Trim(), target.Trim(), context.Trim());
        Check("source", source);
        Check("target", target);
        await _writing.WaitAsync(cancellation);
        try
        {
            await using FlywheelDb db = store.Tables();
            DateTimeOffset now = time.GetUtcNow();
            TranslationUnit? unit = await Of(db, pair)
                .FirstOrDefaultAsync(row => row.DocumentId == document && row.Segment == segment && row.Source == source
                && (document != null || (row.User == person && row.Context == context)), cancellation);
            if (unit is null)
                db.TranslationUnits.Add(unit = new TranslationUnit
                {
                    Id = Guid.CreateVersion7(now), Workspace = pair.Workspace, User = person, SourceLanguage = pair.From,
                    TargetLanguage = pair.To,
                    Source = source, Target = target, Context = context.Length <= MaxLength ? context : "", DocumentId = document,
                    Segment = segment, Created = now, Updated = now,
                });
            else (unit.Target, unit.Updated) = (target, now);
            await db.SaveChangesAsync(cancellation);
            if (_indices.TryGetValue(pair, out MemoryIndex? index)) index.Put(unit);
            return unit;
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Deletes a unit; false when the workspace has none of that id.</summary>
    public Task<bool> DeleteAsync(string workspace, Guid id, CancellationToken cancellation = default) =>
        DeleteAsync(workspace, row => row.Id == id, cancellation);

    /// <summary>Takes back what a document's segment had put here.</summary>
    public Task<bool> ForgetAsync(string workspace, Guid document, int segment, CancellationToken cancellation = default) =>
        DeleteAsync(workspace, row => row.DocumentId == document && row.Segment == segment, cancellation);

    private async Task<bool> DeleteAsync(string workspace, System.Linq.Expressions.Expression<Func<TranslationUnit, bool>> which,
        CancellationToken cancellation)
    {
        Actor.Demand(Scopes.Inference);
        await _writing.WaitAsync(cancellation);
        try
        {
            await using FlywheelDb db = store.Tables();
            List<TranslationUnit> rows = await db.TranslationUnits.Where(row => row.Workspace == workspace).Where(which)
                .ToListAsync(cancellation);
            db.TranslationUnits.RemoveRange(rows);
            await db.SaveChangesAsync(cancellation);
            foreach (TranslationUnit row in rows)
                if (_indices.TryGetValue(new(workspace, row.SourceLanguage, row.TargetLanguage), out MemoryIndex? index))
                    index.Remove(row.Id);
            return rows.Count > 0;
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Units in which every word of a search stands, the latest first, and how many there are.</summary>
    public async Task<(IReadOnlyList<TranslationUnit> Units, int Total)> ListAsync(LanguagePair pair, string search = "", int skip = 0,
        int take = 100, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        IQueryable<TranslationUnit> rows = Of(db, pair).AsNoTracking();
        foreach (string word in search.Split(' ', StringSplitOptions.RemoveEmptyEntries).Take(8))
        {
            string like =
                $"%{word.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("%", "\\%", StringComparison.Ordinal).Replace("_", "\\_", StringComparison.Ordinal)}%";
            rows = rows.Where(row => EF.Functions.Like(row.Source, like, "\\") || EF.Functions.Like(row.Target, like, "\\"));
        }
        return (await rows.OrderByDescending(row => row.Updated).ThenByDescending(row => row.Id).Skip(skip).Take(take)
            .ToListAsync(cancellation), await rows.CountAsync(cancellation));
    }

    /// <summary>Pairs of languages that the workspace has units of, with how many.</summary>
    public async Task<IReadOnlyList<(string From, string To, int Count)>> PairsAsync(string workspace,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        var pairs = await db.TranslationUnits.Where(row => row.Workspace == workspace)
            .GroupBy(row => new { row.SourceLanguage, row.TargetLanguage })
            .Select(group => new { group.Key.SourceLanguage, group.Key.TargetLanguage, Count = group.Count() }).ToListAsync(cancellation);
        return [.. pairs.OrderByDescending(pair => pair.Count).Select(pair => (pair.SourceLanguage, pair.TargetLanguage, pair.Count))];
    }

    /// <summary>Writes the units of a pair as TMX 1.4.</summary>
    public async Task ExportAsync(LanguagePair pair, Stream stream, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        Tmx.Write(stream, pair.From,
            await Of(db, pair).AsNoTracking().OrderBy(row => row.Created).ThenBy(row => row.Id).ToListAsync(cancellation));
    }

    /// <summary>Takes in the units of a TMX file that have both languages; those that are there already are passed over. All or
    /// nothing.</summary>
    /// <returns>How many were new, and how many were there already or had not both languages.</returns>
    /// <exception cref="FlywheelException">No TMX, or more than an import may hold.</exception>
    public async Task<(int Added, int Passed)> ImportAsync(LanguagePair pair, string person, Stream tmx,
        CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Inference);
        List<TmxUnit> read = [];
        int passed = 0;
        foreach (TmxUnit? unit in Tmx.Read(tmx, pair.From, pair.To))
        {
            if (unit is null || unit.Source.Length is 0 or > MaxLength || unit.Target.Length is 0 or > MaxLength) passed++;
            else if (read.Count == MaxImported)
                throw new FlywheelException(
                    $"the TMX file has more than {MaxImported} units, expected at most that many in one import; split it");
            else read.Add(unit);
        }
        MemoryIndex index = await IndexAsync(pair, cancellation);
        await _writing.WaitAsync(cancellation);
        try
        {
            await using FlywheelDb db = store.Tables();
            HashSet<(string, string, string)> known =
                [.. (await Of(db, pair).AsNoTracking().Select(row => new { row.Source, row.Target, row.Context }).ToListAsync(cancellation))
                    .Select(row => (row.Source, row.Target, row.Context))];
            DateTimeOffset now = time.GetUtcNow();
            List<TranslationUnit> fresh = [];
            foreach (TmxUnit unit in read)
            {
                if (!known.Add((unit.Source, unit.Target, unit.Context)))
                {
                    passed++;
                    continue;
                }
                fresh.Add(new TranslationUnit
                {
                    Id = Guid.CreateVersion7(now), Workspace = pair.Workspace, User = person, SourceLanguage = pair.From,
                    TargetLanguage = pair.To,
                    Source = unit.Source, Target = unit.Target, Context = unit.Context, Created = unit.Changed ?? now,
                    Updated = unit.Changed ?? now,
                });
            }
            await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
            db.ChangeTracker.AutoDetectChangesEnabled = false;
            foreach (TranslationUnit[] some in fresh.Chunk(2000))
            {
                db.TranslationUnits.AddRange(some);
                await db.SaveChangesAsync(cancellation);
                db.ChangeTracker.Clear();
            }
            await transaction.CommitAsync(cancellation);
            foreach (TranslationUnit unit in fresh) index.Put(unit);
            return (fresh.Count, passed);
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task<MemoryIndex> IndexAsync(LanguagePair pair, CancellationToken cancellation)
    {
        if (_indices.TryGetValue(pair, out MemoryIndex? known)) return known;
        await _writing.WaitAsync(cancellation); // nothing is written between reading the rows and being told of new ones
        try
        {
            if (_indices.TryGetValue(pair, out known)) return known;
            var index = new MemoryIndex();
            await using FlywheelDb db = store.Tables();
            await foreach (TranslationUnit unit in Of(db, pair).AsNoTracking().AsAsyncEnumerable().WithCancellation(cancellation))
                index.Put(unit);
            return _indices[pair] = index;
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task<HashSet<string>> HeldOutAsync(CancellationToken cancellation)
    {
        await using FlywheelDb db = store.Tables();
        var people = await db.Examples.Where(row => row.Split == Split.HeldOut && row.PromptHash != null)
            .Select(row => new { row.User, row.Owner }).Distinct().ToListAsync(cancellation);
        return [.. people.Select(row => CuratedExample.PersonOf(row.User, row.Owner)).Where(name => name.Length > 0)];
    }

    private static IQueryable<TranslationUnit> Of(FlywheelDb db, LanguagePair pair) =>
        db.TranslationUnits.Where(row => row.Workspace == pair.Workspace && row.SourceLanguage == pair.From
            && row.TargetLanguage == pair.To);

    private static void Check(string field, string text)
    {
        if (text.Length is 0 or > MaxLength)
            throw new FlywheelException($"field '{field}' has {text.Length} characters, expected 1 to {MaxLength}");
    }

    public void Dispose() => _writing.Dispose();
}
