using System.IO.Compression;
using System.Text.Json;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>Everything that is recorded of one person, for them to take along: a zip of JSON lines, a file a kind.</summary>
public static class PersonExport
{
    /// <param name="store">The record.</param>
    /// <param name="person">The user.</param>
    /// <param name="zip">Where to.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task WriteAsync(FlywheelStore store, string person, Stream zip, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.AllTables();
        await using ZipArchive archive = await ZipArchive.CreateAsync(zip, ZipArchiveMode.Create, leaveOpen: true, entryNameEncoding: null, cancellation);
        var rows = new PersonRows(db, person);
        await AddAsync("generations", rows.Generations.Where(row => row.Payload != null).OrderBy(row => row.Time).Select(row => new
        {
            row.Id, row.Time, row.App, row.ModelHash, row.Payload!.Conversation, row.Payload.Text, row.NumPromptTokens, row.NumTokens,
        }), row => new { id = row.Id, time = row.Time, app = row.App, model = row.ModelHash, conversation = row.Conversation?.ToString(), text = row.Text, prompt_tokens = row.NumPromptTokens, answer_tokens = row.NumTokens });
        await AddAsync("feedback", db.Feedback.Where(row => row.User == person || row.Owner == person).OrderBy(row => row.Sequence),
            row => new { id = row.Id, time = row.Time, about = row.GenerationId, metric = row.Metric, value = row.Value, tags = row.Tags });
        await AddAsync("documents", rows.Documents.OrderBy(row => row.Created), row => new { id = row.Id, app = row.App, kind = row.Kind, title = row.Title, folder = row.Folder, tags = row.Tags, created = row.Created, updated = row.Updated, deleted = row.Deleted });
        await AddAsync("document-versions", db.DocumentVersions.Where(row => rows.Documents.Any(document => document.Id == row.DocumentId)).OrderBy(row => row.DocumentId).ThenBy(row => row.Number),
            row => new { document = row.DocumentId, number = row.Number, time = row.Time, body = row.Body });
        await AddAsync("chats", rows.Conversations.OrderBy(row => row.Created), row => new { id = row.Id, title = row.Title, created = row.Created, updated = row.Updated, deleted = row.Deleted });
        await AddAsync("chat-messages", db.ConversationMessages.Where(row => rows.Conversations.Any(chat => chat.Id == row.ConversationId)).OrderBy(row => row.ConversationId).ThenBy(row => row.Time),
            row => new { id = row.Id, chat = row.ConversationId, parent = row.ParentId, generation = row.GenerationId, time = row.Time, body = row.Body });
        await AddAsync("translations", db.TranslationUnits.Where(row => row.User == person).OrderBy(row => row.Created),
            row => new { id = row.Id, from = row.SourceLanguage, to = row.TargetLanguage, source = row.Source, target = row.Target, context = row.Context, created = row.Created, updated = row.Updated });
        await AddAsync("terms", rows.Terms.OrderBy(row => row.Created), row => new { id = row.Id, from = row.SourceLanguage, to = row.TargetLanguage, source = row.Source, target = row.Target, forbidden = row.Forbidden, note = row.Note });
        await AddAsync("stored-answers", db.Answers.Where(row => row.User == person).OrderBy(row => row.Sequence), row => new { id = row.Id, kind = row.Kind, time = row.Time, model = row.Model, input = row.Input, answer = row.Answer });
        await AddAsync("account", rows.Accounts, row => new { name = row.Name, display_name = row.DisplayName, user = row.User, role = row.Role.ToString(), created = row.Created, last_sign_in = row.LastSignIn });
        await AddAsync("keys", rows.Keys.OrderBy(row => row.Created), row => new { id = row.Id, name = row.Name, scopes = row.Scopes, created = row.Created, expires = row.Expires, revoked = row.Revoked, last_used = row.LastUsed });
        await AddAsync("passkeys", db.Passkeys.Where(row => rows.Accounts.Any(account => account.Id == row.AccountId)).OrderBy(row => row.Created), row => new { name = row.Name, created = row.Created, last_used = row.LastUsed });
        await AddAsync("audit", db.Audit.Where(row => row.Who == person || row.Whom == person).OrderBy(row => row.Id), row => new { time = row.Time, did = row.Who == person, act = row.Act, about = row.About });

        async Task AddAsync<TRow, TLine>(string name, IQueryable<TRow> query, Func<TRow, TLine> line)
        {
            await using Stream stream = await archive.CreateEntry($"{name}.jsonl").OpenAsync(cancellation);
            await foreach (TRow row in query.AsAsyncEnumerable().WithCancellation(cancellation))
            {
                await JsonSerializer.SerializeAsync(stream, line(row), JsonText.Compact, cancellation);
                await stream.WriteAsync("\n"u8.ToArray(), cancellation);
            }
        }
    }
}
