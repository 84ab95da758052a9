using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Flywheel.Loop;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Apps;

/// <summary>
/// What people keep, for every page: found by its owner only, changed in one transaction, so that two tabs never overwrite each other,
/// and on disk when a call returns. Pages that show a document hear of its changes.
/// </summary>
internal sealed class Documents(FlywheelStore store, TimeProvider time)
{
    /// <summary>Older than that, what a document says becomes a version of its own before it is changed.</summary>
    internal static readonly TimeSpan VersionAfter = TimeSpan.FromMinutes(10);

    private readonly ConcurrentDictionary<Guid, SemaphoreSlim> _changes = [];

    /// <summary>A document was changed: its id.</summary>
    public event Action<Guid>? Changed
    {
        add => _changed.Add(value);
        remove => _changed.Remove(value);
    }

    private readonly Bell _changed = new();

    /// <summary>The document with what it says now, also out of the bin; null when this person has none of that id.</summary>
    public async Task<Document?> FindAsync(Guid id, string user)
    {
        await using FlywheelDb db = store.Tables();
        return (await Of(db, user).Where(row => row.Id == id).Select(Now(db)).SingleOrDefaultAsync()) is { } found ? Read(found) : null;
    }

    /// <summary>A document whosever it is: for who has a secret to it instead of being its owner.</summary>
    public async Task<Document?> FindOfAnyoneAsync(Guid id, string app, string kind)
    {
        await using FlywheelDb db = store.Tables();
        return (await db.Documents.AsNoTracking().Where(row => row.Id == id && row.App == app && row.Kind == kind).Select(Now(db))
            .SingleOrDefaultAsync()) is { } found ? Read(found) : null;
    }

    /// <summary>Those of these documents that there are, in no order.</summary>
    public async Task<IReadOnlyList<Document>> FindAsync(IReadOnlyCollection<Guid> ids, string user)
    {
        await using FlywheelDb db = store.Tables();
        return [.. (await Of(db, user).Where(row => ids.Contains(row.Id)).Select(Now(db)).ToListAsync()).Select(Read)];
    }

    /// <summary>A person's documents of a kind with what they say now, the latest first.</summary>
    public async Task<IReadOnlyList<Document>> ListAsync(string user, string app, string kind, bool deleted = false)
    {
        await using FlywheelDb db = store.Tables();
        return [.. (await Of(db, user).Where(row => row.App == app && row.Kind == kind && (row.Deleted != null) == deleted)
            .OrderByDescending(row => row.Updated).ThenByDescending(row => row.Id).Select(Now(db)).ToListAsync()).Select(Read)];
    }

    /// <summary>Makes a document, or (where its id is there already) has it say <paramref name="body"/> as a new version, out of the
    /// bin.</summary>
    public async Task<Document> PutAsync(Guid id, string user, string app, string kind, string title, string body, string folder = "",
        string tags = "")
    {
        Actor.Demand(Scopes.Inference);
        await using (await LockAsync(id))
        {
            await using FlywheelDb db = store.Tables();
            await using var transaction = await db.Database.BeginTransactionAsync();
            DateTimeOffset now = time.GetUtcNow();
            DocumentRow? row = await db.Documents.SingleOrDefaultAsync(known => known.Id == id);
            if (row is null)
                db.Documents.Add(row = new DocumentRow { Id = id, User = user, App = app, Kind = kind, Folder = folder, Tags = tags,
                    Created = now, Updated = now });
            else if (row.User != user) throw new InvalidOperationException($"document {id} is another person's");
            row.Title = title;
            row.Deleted = null;
            row.Updated = now;
            row.Version++;
            db.DocumentVersions.Add(new DocumentVersion { DocumentId = id, Number = row.Version, Time = now, User = user, Body = body });
            await db.SaveChangesAsync();
            await transaction.CommitAsync();
        }
        _changed.Ring(id);
        return (await FindAsync(id, user))!;
    }

    /// <summary>Makes a document unless one of that id is there, which then stays as it is.</summary>
    /// <returns>The document; null when the id is another person's or another workspace's.</returns>
    public async Task<Document?> AddAsync(Guid id, string user, string app, string kind, string title, string body)
    {
        Actor.Demand(Scopes.Inference);
        await using (await LockAsync(id))
        {
            await using FlywheelDb db = store.Tables();
            if (await db.Documents.IgnoreQueryFilters().AnyAsync(row => row.Id == id)) return await FindAsync(id, user);
            DateTimeOffset now = time.GetUtcNow();
            db.Documents.Add(new DocumentRow { Id = id, User = user, App = app, Kind = kind, Title = title, Created = now, Updated = now,
                Version = 1, Folder = "", Tags = "" });
            db.DocumentVersions.Add(new DocumentVersion { DocumentId = id, Number = 1, Time = now, User = user, Body = body });
            try
            {
                await db.SaveChangesAsync();
            }
            catch (DbUpdateException)
            {
                if (await FindAsync(id, user) is { } theirs) return theirs; // another server of this record was quicker
                throw;
            }
        }
        _changed.Ring(id);
        return await FindAsync(id, user);
    }

    /// <summary>
    /// The one document of a kind that a person has, such as a setting, and that can be read: the latest; made where there is none, once
    /// however many ask for it at once.
    /// </summary>
    /// <returns>Its id.</returns>
    public async Task<Guid> OnlyAsync<T>(string user, string app, string kind, Func<string, T> parse, string body) where T : class
    {
        foreach ((Document document, _) in (await ListAsync(user, app, kind)).Readable(parse)) return document.Id;
        // Of a damaged or deleted one the number goes up.
        for (int number = 0; ; number++)
        {
            Guid id =
                new(SHA256.HashData(Encoding.UTF8.GetBytes($"{app}\n{kind}\n{user}\n{Actor.Workspace ?? WorkspaceRow.Default}\n{number}"))
                    .AsSpan(0, 16));
            if (await AddAsync(id, user, app, kind, "", body) is { Deleted: null } made && made.Readable(parse) is not null) return id;
        }
    }

    /// <summary>
    /// Changes a document: reads what it says now, writes what <paramref name="change"/> makes of it. What it said for a while stays as a
    /// version; short steps of one sitting are one version.
    /// </summary>
    /// <param name="change">Gets the document to edit; returns false to leave it as it is.</param>
    /// <param name="keepVersion">What it says now becomes a version however young it is.</param>
    /// <returns>The document, or null when this person has none of that id.</returns>
    public async Task<Document?> ChangeAsync(Guid id, string user, Func<Document, bool> change, bool keepVersion = false)
    {
        Actor.Demand(Scopes.Inference);
        Document document;
        await using (await LockAsync(id))
        {
            await using FlywheelDb db = store.Tables();
            await using var transaction = await db.Database.BeginTransactionAsync();
            DocumentRow? row = await db.Documents.SingleOrDefaultAsync(known => known.Id == id && known.User == user);
            if (row is null) return null;
            DocumentVersion version = await db.DocumentVersions.SingleAsync(known => known.DocumentId == id && known.Number == row.Version);
            document = Read(new Found(row, version.Body, version.Time));
            if (!change(document)) return document;
            DateTimeOffset now = time.GetUtcNow();
            if (document.Body != version.Body)
            {
                if (keepVersion || now - version.Time > VersionAfter)
                {
                    row.Version++;
                    db.DocumentVersions.Add(new DocumentVersion { DocumentId = id, Number = row.Version, Time = now, User = user,
                        Body = document.Body });
                    document.VersionTime = now;
                }
                else version.Body = document.Body;
            }
            (row.Title, row.Folder, row.Tags, row.Deleted, row.Updated) = (document.Title, document.Folder, document.Tags, document.Deleted,
                now);
            document.Version = row.Version;
            document.Updated = now;
            await db.SaveChangesAsync();
            await transaction.CommitAsync();
        }
        _changed.Ring(id);
        return document;
    }

    /// <summary>Into the bin, or out of it again.</summary>
    public Task<Document?> DeleteAsync(Guid id, string user, bool deleted = true) => ChangeAsync(id, user, document =>
    {
        document.Deleted = deleted ? time.GetUtcNow() : null;
        return true;
    });

    /// <summary>Takes a document out of the record with all that it ever said. It cannot be taken back.</summary>
    /// <returns>What its versions said; empty when this person has none of that id.</returns>
    public async Task<IReadOnlyList<string>> PurgeAsync(Guid id, string user)
    {
        Actor.Demand(Scopes.Inference);
        string[] said;
        await using (await LockAsync(id))
        {
            await using FlywheelDb db = store.Tables();
            await using var transaction = await db.Database.BeginTransactionAsync();
            if (!await db.Documents.AnyAsync(row => row.Id == id && row.User == user)) return [];
            said = await db.DocumentVersions.Where(row => row.DocumentId == id).Select(row => row.Body).ToArrayAsync();
            await db.DocumentVersions.Where(row => row.DocumentId == id).ExecuteDeleteAsync();
            await db.Documents.Where(row => row.Id == id).ExecuteDeleteAsync();
            await transaction.CommitAsync();
        }
        _changed.Ring(id);
        return said;
    }

    /// <summary>What all versions of a person's documents of an application say, in whatever workspace, one after the other.</summary>
    public async IAsyncEnumerable<string> BodiesAsync(string user, string app)
    {
        await using FlywheelDb db = store.Tables();
        await foreach (string body in db.DocumentVersions.IgnoreQueryFilters().AsNoTracking()
            .Where(row => db.Documents.Any(owner => owner.Id == row.DocumentId && owner.User == user && owner.App == app))
            .Select(row => row.Body).AsAsyncEnumerable())
            yield return body;
    }

    /// <summary>Every version, the latest first.</summary>
    public async Task<IReadOnlyList<DocumentVersion>> VersionsAsync(Guid id, string user)
    {
        await using FlywheelDb db = store.Tables();
        return await db.DocumentVersions.AsNoTracking()
            .Where(row => row.DocumentId == id && db.Documents.Any(owner => owner.Id == id && owner.User == user))
            .OrderByDescending(row => row.Number).ToListAsync();
    }

    private static IQueryable<DocumentRow> Of(FlywheelDb db, string user) => db.Documents.AsNoTracking().Where(row => row.User == user);

    private static System.Linq.Expressions.Expression<Func<DocumentRow, Found>> Now(FlywheelDb db) => row => new Found(
        row, db.DocumentVersions.Where(version => version.DocumentId == row.Id && version.Number == row.Version)
            .Select(version => version.Body).Single(),
        db.DocumentVersions.Where(version => version.DocumentId == row.Id && version.Number == row.Version).Select(version => version.Time)
            .Single());

    private static Document Read(Found found) => new()
    {
        Id = found.Row.Id, Workspace = found.Row.Workspace, App = found.Row.App, Kind = found.Row.Kind, Created = found.Row.Created,
        Updated = found.Row.Updated, Version = found.Row.Version,
        VersionTime = found.Time, Title = found.Row.Title, Folder = found.Row.Folder, Tags = found.Row.Tags, Deleted = found.Row.Deleted,
        Body = found.Body,
    };

    // Within this process callers wait in line instead of meeting at the database's lock.
    private async Task<Turnstile> LockAsync(Guid id)
    {
        SemaphoreSlim one = _changes.GetOrAdd(id, _ => new SemaphoreSlim(1, 1));
        await one.WaitAsync();
        return new Turnstile(one);
    }

    private readonly record struct Turnstile(SemaphoreSlim One) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            One.Release();
            return ValueTask.CompletedTask;
        }
    }

    private sealed record Found(DocumentRow Row, string Body, DateTimeOffset Time);
}

/// <summary>A document as a page works with it.</summary>
internal sealed class Document
{
    public required Guid Id { get; init; }

    public string Workspace { get; init; } = WorkspaceRow.Default;

    public required string App { get; init; }

    public required string Kind { get; init; }

    public DateTimeOffset Created { get; init; }

    public DateTimeOffset Updated { get; set; }

    public int Version { get; set; }

    public DateTimeOffset VersionTime { get; set; }

    public string Title { get; set; } = "";

    public string Folder { get; set; } = "";

    /// <summary>A line each.</summary>
    public string Tags { get; set; } = "";

    public DateTimeOffset? Deleted { get; set; }

    public required string Body { get; set; }

    public IReadOnlyList<string> TagList => Tags.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
