using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Keeping;

public sealed partial class ArchiveImport
{
    private sealed partial class Run
    {
        private async Task LookAtChatsAsync()
        {
            Dictionary<Guid, (ChatLine Line, string Where)> lines = [];
            Dictionary<Guid, (string Chat, List<string> Messages)> said = [];
            Dictionary<Guid, (Guid Chat, Guid? Parent, string Where)> messages = [];
            HashSet<Guid> damaged = [];
            await foreach ((ChatLine line, string where) in file.LinesAsync<ChatLine>("chats", cancellation))
            {
                Check(where, line.App.Length is > 0 and <= MaxApp, "app", line.App, $"1 to {MaxApp} characters");
                Check(where, line.Title.Length <= MaxTitle && line.Folder.Length <= MaxTitle && line.Tags.Length <= MaxTitle, "title",
                    line.Title, $"title, folder and tags of at most {MaxTitle} characters");
                if (!lines.TryAdd(line.Id, (line, where))) throw Twice(where, line.Id);
                said[line.Id] = (ArchiveText.Fold("", line with { User = null }), []);
            }
            await foreach ((MessageLine line, string where) in file.LinesAsync<MessageLine>("chat-messages", cancellation))
            {
                if (!lines.ContainsKey(line.Chat))
                    throw new FlywheelException($"{where}: chat is '{line.Chat}', which is not in chats.jsonl");
                if (!IsMessage(line.Body)) damaged.Add(line.Chat);
                if (!messages.TryAdd(line.Id, (line.Chat, line.Parent, where))) throw Twice(where, line.Id);
                said[line.Chat].Messages.Add(ArchiveText.Fold("", line));
            }
            CheckTree(messages);
            foreach ((Guid id, (ChatLine line, string where)) in lines)
            {
                if (line.Leaf is { } leaf && !(messages.TryGetValue(leaf, out var last) && last.Chat == id))
                    throw new FlywheelException($"{where}: leaf is '{leaf}', expected a message of the chat");
                if (damaged.Contains(id)) _chats.Count.Damaged++;
                else Add(_chats, id, Whole(said[id].Chat, said[id].Messages), where);
            }
            await ResolveAsync(_chats, async ids =>
            {
                Dictionary<Guid, Existing> found = [];
                foreach (ConversationRow row in await db.Conversations.IgnoreQueryFilters().AsNoTracking().Include(one => one.Messages)
                    .Where(one => ids.Contains(one.Id)).ToListAsync(cancellation))
                    found[row.Id] = new(IsMine(row.User, row.Workspace),
                        Whole(ArchiveText.Fold("", ArchiveJson.Line(row, null)),
                            row.Messages.Select(one => ArchiveText.Fold("", ArchiveJson.Line(one)))));
                return found;
            });
            foreach (Guid[] some in messages.Keys.Where(id => _chats.Fresh.Contains(messages[id].Chat)).Chunk(Batch))
            {
                HashSet<Guid> taken =
                    [.. await db.ConversationMessages.Where(row => some.Contains(row.Id)).Select(row => row.Id).ToListAsync(cancellation)];
                foreach (Guid id in some)
                {
                    _messages[id] = taken.Contains(id) || _chats.Here[messages[id].Chat] != messages[id].Chat
                        ? ArchiveText.DerivedId(target, id, _chats.Here[messages[id].Chat].ToString(), 0) : id;
                    if (_messages[id] != id) _renamed.TryAdd(id, _messages[id]);
                }
            }
        }

        /// <summary>Messages of one moment have their order by their ids, which may be others here.</summary>
        private static string Whole(string chat, IEnumerable<string> messages) =>
            ArchiveText.Fold(chat, string.Join('\n', messages.Order(StringComparer.Ordinal).Select(one => one[..32])));

        /// <summary>As the page reads it.</summary>
        private static bool IsMessage(string body)
        {
            try
            {
                return JsonNode.Parse(body, documentOptions: new() { AllowDuplicateProperties = false }) is JsonObject message
                    && message["role"] is JsonValue role && role.TryGetValue(out string? _)
                    && message["content"] is JsonValue content && content.TryGetValue(out string? _);
            }
            catch (Exception e) when (e is JsonException or InvalidOperationException)
            {
                return false;
            }
        }

        /// <summary>Each message follows one of its own chat, and none follows itself.</summary>
        private void CheckTree(Dictionary<Guid, (Guid Chat, Guid? Parent, string Where)> messages)
        {
            var rooted = new HashSet<Guid>();
            foreach ((Guid id, var message) in messages)
            {
                cancellation.ThrowIfCancellationRequested();
                HashSet<Guid> way = [];
                for ((Guid at, var one) = (id, message); rooted.Add(at);)
                {
                    way.Add(at);
                    if (one.Parent is not { } parent) break;
                    if (!messages.TryGetValue(parent, out var next) || next.Chat != one.Chat)
                        throw new FlywheelException($"{one.Where}: parent is '{parent}', expected a message of the same chat");
                    if (way.Contains(parent))
                        throw new FlywheelException($"{one.Where}: parent is '{parent}', which follows this message itself");
                    (at, one) = (parent, next);
                }
            }
        }
    }
}
