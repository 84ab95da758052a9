using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Apps.Chat;

/// <summary>Conversations that people keep: a tree of messages each, found by their owner only.</summary>
internal sealed class Chats(FlywheelStore store, TimeProvider time)
{
    public const string App = "chat";

    private const int MaxTitle = 60, MaxListed = 200;

    /// <summary>A conversation was changed: its id.</summary>
    public event Action<Guid>? Changed
    {
        add => _changed.Add(value);
        remove => _changed.Remove(value);
    }

    private readonly Bell _changed = new();

    /// <summary>A person's conversations in which every word of the search stands, the latest first.</summary>
    public async Task<IReadOnlyList<ConversationRow>> ListAsync(string person, string search)
    {
        await using FlywheelDb db = store.Tables();
        IQueryable<ConversationRow> rows = db.Conversations.AsNoTracking()
            .Where(row => row.User == person && row.App == App && row.Deleted == null);
        foreach (string word in search.Split(' ', StringSplitOptions.RemoveEmptyEntries).Take(8))
        {
            string like = $"%{Escape(word)}%", inside = $"%{Escape(JsonSerializer.Serialize(word, JsonText.Compact)[1..^1])}%";
            rows = rows.Where(row => EF.Functions.Like(row.Title, like, "\\")
                || db.ConversationMessages.Any(message =>
                    message.ConversationId == row.Id && EF.Functions.Like(message.Body, inside, "\\")));
        }
        return await rows.OrderByDescending(row => row.Updated).Take(MaxListed).ToListAsync();

        static string Escape(string text) =>
            text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("%", "\\%", StringComparison.Ordinal)
                .Replace("_", "\\_", StringComparison.Ordinal);
    }

    public async Task<ChatTree?> FindAsync(Guid id, string person)
    {
        await using FlywheelDb db = store.Tables();
        ConversationRow? row = await db.Conversations.AsNoTracking().Include(one => one.Messages)
            .SingleOrDefaultAsync(one => one.Id == id && one.User == person && one.App == App);
        return row is null ? null : new ChatTree(row);
    }

    /// <summary>Adds a message after another and shows its branch; with no conversation, begins one, of the id <paramref name="begin"/>
    /// where it is given.</summary>
    public async Task<(Guid Conversation, Guid Message)> AddAsync(Guid? conversation, string person, Guid? parent, Role role, string text,
        Guid? generation = null, Guid? begin = null)
    {
        Actor.Demand(Scopes.Inference);
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync();
        DateTimeOffset now = time.GetUtcNow();
        ConversationRow row;
        if (conversation is { } id) row = await OwnAsync(db, id, person);
        else db.Conversations.Add(row = new ConversationRow { Id = begin ?? Guid.CreateVersion7(now), User = person, App = App,
            Created = now, Updated = now });
        if (row.Title.Length == 0 && role == Role.User) row.Title = TitleOf(text);
        var message = new ConversationMessage { Id = Guid.CreateVersion7(now), ConversationId = row.Id, ParentId = parent,
            GenerationId = generation, Time = now, Body = ChatTree.BodyOf(role, text) };
        db.ConversationMessages.Add(message);
        (row.Leaf, row.Updated) = (message.Id, now);
        await db.SaveChangesAsync();
        await transaction.CommitAsync();
        _changed.Ring(row.Id);
        return (row.Id, message.Id);
    }

    public Task ShowAsync(Guid id, string person, Guid leaf) => ChangeAsync(id, person, row => row.Leaf = leaf);

    public Task RenameAsync(Guid id, string person, string title) => ChangeAsync(id, person, row => row.Title = TitleOf(title));

    public Task DeleteAsync(Guid id, string person, bool deleted = true) =>
        ChangeAsync(id, person, row => row.Deleted = deleted ? time.GetUtcNow() : null);

    private async Task ChangeAsync(Guid id, string person, Action<ConversationRow> change)
    {
        Actor.Demand(Scopes.Inference);
        await using (FlywheelDb db = store.Tables())
        {
            change(await OwnAsync(db, id, person));
            await db.SaveChangesAsync();
        }
        _changed.Ring(id);
    }

    /// <summary>What a person said last about each of these answers: null where they took it back or said nothing.</summary>
    public async Task<IReadOnlyDictionary<Guid, bool>> RatingsAsync(IReadOnlyCollection<Guid> generations, string person)
    {
        await using FlywheelDb db = store.Tables();
        var said = await db.Feedback.AsNoTracking()
            .Where(row => generations.Contains(row.GenerationId) && row.User == person
                && (row.Metric == Metrics.Rating || row.Metric == Metrics.Retract))
            .OrderBy(row => row.Sequence).Select(row => new { row.GenerationId, row.Metric, row.Value }).ToListAsync();
        var ratings = new Dictionary<Guid, bool>();
        foreach (var one in said)
        {
            if (one.Metric == Metrics.Retract) ratings.Remove(one.GenerationId);
            else ratings[one.GenerationId] = JsonNode.Parse(one.Value)!.GetValue<double>() > 0.5;
        }
        return ratings;
    }

    private static async Task<ConversationRow> OwnAsync(FlywheelDb db, Guid id, string person) =>
        await db.Conversations.SingleOrDefaultAsync(row => row.Id == id && row.User == person && row.App == App)
            ?? throw new FlywheelException($"there is no conversation {id} of yours");

    private static string TitleOf(string text)
    {
        string line = string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        if (line.Length <= MaxTitle) return line;
        int end = char.IsHighSurrogate(line[MaxTitle - 2]) ? MaxTitle - 2 : MaxTitle - 1;
        return line[..end] + "…";
    }
}

/// <summary>A conversation with its branches.</summary>
public sealed class ChatTree
{
    private readonly Dictionary<Guid, ConversationMessage> _messages;
    private readonly ILookup<Guid?, ConversationMessage> _after;

    public ChatTree(ConversationRow row)
    {
        Row = row;
        _messages = row.Messages.ToDictionary(message => message.Id);
        _after = row.Messages.OrderBy(message => message.Time).ThenBy(message => message.Id).ToLookup(message => message.ParentId);
        for (Guid? at = row.Leaf; at is { } id && _messages.TryGetValue(id, out ConversationMessage? message)
            && Path.Count <= _messages.Count; at = message.ParentId) Path.Insert(0, message);
    }

    public ConversationRow Row { get; }

    /// <summary>The branch that is shown, from the first message on.</summary>
    public List<ConversationMessage> Path { get; } = [];

    /// <summary>The message and those that were tried in its place, in the order of time.</summary>
    public IReadOnlyList<ConversationMessage> Siblings(ConversationMessage message) =>
        [.. _after[message.ParentId].Where(one => RoleOf(one) == RoleOf(message))];

    /// <summary>The end of the branch on which a message was last gone on with.</summary>
    public Guid LeafUnder(ConversationMessage message)
    {
        while (_after[message.Id].LastOrDefault() is { } next) message = next;
        return message.Id;
    }

    /// <summary>Who speaks; of a damaged message whoever must have.</summary>
    public static Role RoleOf(ConversationMessage message) =>
        Read(message)?.Role ?? (message.GenerationId is null ? Role.User : Role.Assistant);

    /// <summary>What was said; nothing where that cannot be read.</summary>
    public static string TextOf(ConversationMessage message) => Read(message)?.Text ?? "";

    /// <summary>It cannot be read any more: the page says so in its place, models are not shown it, the rest of the chat works.</summary>
    public static bool IsDamaged(ConversationMessage message) => Read(message) is null;

    private static Said? Read(ConversationMessage message) => Stored.Read(message.Body, body =>
    {
        JsonNode said = JsonNode.Parse(body) ?? throw new FormatException("it says null");
        string role = said["role"]?.GetValue<string>() ?? throw new FormatException("it says no role");
        return new Said(role switch { "system" => Role.System, "user" => Role.User, _ => Role.Assistant },
            said["content"]?.GetValue<string>() ?? throw new FormatException("it says no content"));
    });

    private sealed record Said(Role Role, string Text);

    public static string BodyOf(Role role, string text) =>
        new JsonObject { ["role"] = role switch { Role.System => "system", Role.User => "user", _ => "assistant" },
            ["content"] = text }.ToJsonString(JsonText.Compact);

    /// <summary>As the model reads the branch up to and with a message.</summary>
    public Conversation Upto(Guid message)
    {
        List<Message> messages = [];
        for (Guid? at = message; at is { } id && _messages.TryGetValue(id, out ConversationMessage? one); at = one.ParentId)
            if (Read(one) is var (role, text))
                messages.Insert(0, role switch { Role.System => Message.System(text), Role.User => Message.User(text),
                    _ => Message.Assistant(text) });
        return new Conversation(messages);
    }
}
