using System.IO.Compression;
using System.Text.Json;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Keeping;

/// <summary>
/// Everything that is recorded of one person, wherever, or of everybody in one workspace, to take along: a zip of JSON lines, a file a
/// kind.
/// <see cref="ArchiveImport"/> reads it. Keys, passkeys, the account, the audit and answers that clients stored are in a person's for them
/// to
/// look at; they open nothing, and are not imported.
/// </summary>
public static class ArchiveExport
{
    private static readonly byte[] s_end = [(byte)'\n'];

    /// <summary>Of one person.</summary>
    /// <param name="store">The record.</param>
    /// <param name="person">The user.</param>
    /// <param name="zip">Where to.</param>
    /// <param name="more">Adds files: what people recorded lies in no table.</param>
    /// <param name="cancellation">Ends it.</param>
    public static Task WriteAsync(FlywheelStore store, string person, Stream zip, Func<ArchiveWriter, Task>? more = null,
        CancellationToken cancellation = default) =>
        WriteAsync(store, person, null, zip, more, cancellation);

    /// <summary>Of one person in one workspace, without what is theirs everywhere: the account, keys, passkeys, the audit.</summary>
    /// <inheritdoc cref="WriteAsync(FlywheelStore, string, Stream, Func{ArchiveWriter, Task}?, CancellationToken)"/>
    public static Task WriteInWorkspaceAsync(FlywheelStore store, string person, string workspace, Stream zip,
        Func<ArchiveWriter, Task>? more = null, CancellationToken cancellation = default) =>
        WriteAsync(store, person, workspace, zip, more, cancellation);

    /// <summary>Of everybody in a workspace.</summary>
    /// <inheritdoc cref="WriteAsync(FlywheelStore, string, Stream, Func{ArchiveWriter, Task}?, CancellationToken)"/>
    public static Task WriteWorkspaceAsync(FlywheelStore store, string workspace, Stream zip, Func<ArchiveWriter, Task>? more = null,
        CancellationToken cancellation = default) =>
        WriteAsync(store, null, workspace, zip, more, cancellation);

    private static async Task WriteAsync(FlywheelStore store, string? person, string? workspace, Stream zip,
        Func<ArchiveWriter, Task>? more, CancellationToken cancellation)
    {
        // At one moment: else what is begun between two queries would be named in one file and missing in another.
        await using FlywheelDb db = await store.Database.OpenSnapshotAsync(cancellation);
        db.Workspace = workspace; // a person's is what they have in all of them
        await using ZipArchive made = await ZipArchive.CreateAsync(zip, ZipArchiveMode.Create, leaveOpen: true, entryNameEncoding: null,
            cancellation);
        var archive = new ArchiveWriter(made);
        var users = new HashSet<string>(StringComparer.Ordinal);
        string? User(string user) => person is null && users.Add(user) is var _ ? user : null;

        IQueryable<Generation> generations = db.Generations.AsNoTracking().Include(row => row.Payload)
            .Where(row => row.Payload != null && (person == null || row.User == person || row.Owner == person));
        IQueryable<Feedback> feedback = db.Feedback.AsNoTracking()
            .Where(row => person == null || row.User == person || row.Owner == person);
        IQueryable<DocumentRow> documents = db.Documents.AsNoTracking().Where(row => person == null || row.User == person);
        IQueryable<ConversationRow> chats = db.Conversations.AsNoTracking().Where(row => person == null || row.User == person);
        await AddAsync("generations", generations.OrderBy(row => row.Time).ThenBy(row => row.Id),
            row => ArchiveJson.Line(row, User(CuratedExample.PersonOf(row.User, row.Owner))));
        await AddAsync("feedback", feedback.OrderBy(row => row.Sequence),
            row => ArchiveJson.Line(row, User(CuratedExample.PersonOf(row.User, row.Owner))));
        await AddAsync("documents", documents.OrderBy(row => row.Created).ThenBy(row => row.Id),
            row => ArchiveJson.Line(row, User(row.User)));
        await AddAsync("document-versions",
            db.DocumentVersions.AsNoTracking().Where(row => documents.Any(document => document.Id == row.DocumentId))
                .OrderBy(row => row.DocumentId).ThenBy(row => row.Number), ArchiveJson.Line);
        await AddAsync("chats", chats.OrderBy(row => row.Created).ThenBy(row => row.Id), row => ArchiveJson.Line(row, User(row.User)));
        await AddAsync("chat-messages",
            db.ConversationMessages.AsNoTracking().Where(row => chats.Any(chat => chat.Id == row.ConversationId))
                .OrderBy(row => row.ConversationId).ThenBy(row => row.Time).ThenBy(row => row.Id), ArchiveJson.Line);
        await AddAsync("translations",
            db.TranslationUnits.AsNoTracking().Where(row => person == null || row.User == person).OrderBy(row => row.Created)
                .ThenBy(row => row.Id), row => ArchiveJson.Line(row, User(row.User)));
        await AddAsync("terms",
            db.Terms.AsNoTracking().Where(row => person == null || row.User == person).OrderBy(row => row.Created).ThenBy(row => row.Id),
            row => ArchiveJson.Line(row, User(row.User)));
        if (person is not null && workspace is null) await AddOwnAsync(person);
        if (more is not null) await more(archive);

        HashSet<string> named = person is null ? users : [person];
        Dictionary<string, string> names = await db.Accounts.Where(row => named.Contains(row.User))
            .ToDictionaryAsync(row => row.User, row => row.Name, cancellation);
        await using Stream manifest = await made.CreateEntry(ArchiveManifest.Entry).OpenAsync(cancellation);
        await JsonSerializer.SerializeAsync(manifest, new ArchiveManifest
        {
            FlywheelArchive = ArchiveManifest.Version, Scope = person is null ? ArchiveManifest.Workspace : ArchiveManifest.Person,
            Created = TimeProvider.System.GetUtcNow(),
            Files = archive.Files,
            People = [.. named.Order(StringComparer.Ordinal).Select(user => new ArchivePerson(user, names.GetValueOrDefault(user)))],
        }, ArchiveJson.Options, cancellation);

        async Task AddOwnAsync(string user)
        {
            var rows = new PersonRows(db, user);
            await AddAsync("stored-answers", db.Answers.Where(row => row.User == user).OrderBy(row => row.Sequence),
                row => new { id = row.Id, kind = row.Kind, time = row.Time, model = row.Model, input = row.Input, answer = row.Answer });
            await AddAsync("account", rows.Accounts,
                row => new { name = row.Name, display_name = row.DisplayName, user = row.User, role = row.Role.ToString(),
                    created = row.Created, last_sign_in = row.LastSignIn });
            await AddAsync("keys", rows.Keys.OrderBy(row => row.Created),
                row => new { id = row.Id, name = row.Name, scopes = row.Scopes, created = row.Created, expires = row.Expires,
                    revoked = row.Revoked, last_used = row.LastUsed });
            await AddAsync("passkeys", rows.Passkeys.OrderBy(row => row.Created),
                row => new { name = row.Name, created = row.Created, last_used = row.LastUsed });
            await AddAsync("audit", db.Audit.Where(row => row.Who == user || row.Whom == user).OrderBy(row => row.Id),
                row => new { time = row.Time, did = row.Who == user, act = row.Act, about = row.About });
        }

        Task AddAsync<TRow, TLine>(string name, IQueryable<TRow> query, Func<TRow, TLine> line) =>
            archive.AddAsync($"{name}.jsonl", CompressionLevel.Optimal, async stream =>
            {
                await foreach (TRow row in query.AsAsyncEnumerable().WithCancellation(cancellation))
                {
                    await JsonSerializer.SerializeAsync(stream, line(row), ArchiveJson.Options, cancellation);
                    await stream.WriteAsync(s_end, cancellation);
                }
            }, cancellation);
    }
}
