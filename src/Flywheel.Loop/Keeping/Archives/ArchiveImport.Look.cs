using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Keeping;

public sealed partial class ArchiveImport
{
    private sealed partial class Run
    {
        // First: what is in it, whether that can be, and as what it comes in.

        public async Task LookAsync()
        {
            await LookAtGenerationsAsync();
            await LookAtFeedbackAsync();
            await LookAtDocumentsAsync();
            await LookAtChatsAsync();
            await LookAtTranslationsAsync();
            await LookAtTermsAsync();
        }

        private async Task LookAtGenerationsAsync()
        {
            var groups = new Dictionary<Guid, List<Guid>>();
            await foreach ((GenerationLine line, string where) in file.LinesAsync<GenerationLine>("generations", cancellation))
            {
                Check(where, line.App.Length is > 0 and <= MaxApp, "app", line.App, $"1 to {MaxApp} characters");
                Check(where, line.Upstream is null or { Length: > 0 and <= MaxName } && line.Model is null or { Length: <= MaxName },
                    "model", line.Model ?? line.Upstream, $"at most {MaxName} characters");
                Check(where, line.Choice >= 0 && line.PromptTokens >= 0 && line.AnswerTokens >= 0, "choice", line.Choice, "numbers from 0");
                CheckConversation(where, line.Conversation);
                Add(_generations, line.Id, ArchiveText.Fold("", line with { MayTeach = null, User = null }), where);
                if (!groups.TryGetValue(line.Group, out List<Guid>? of)) groups[line.Group] = of = [];
                of.Add(line.Id);
            }
            await ResolveAsync(_generations,
                async ids =>
                    await db.Generations.IgnoreQueryFilters().AsNoTracking().Include(row => row.Payload).Where(row => ids.Contains(row.Id))
                .ToDictionaryAsync(row => row.Id,
                    row => new Existing(IsMine(CuratedExample.PersonOf(row.User, row.Owner), row.Workspace) && row.Payload != null,
                    row.Payload is null ? "" : ArchiveText.Fold("", ArchiveJson.Line(row, null) with { MayTeach = null })), cancellation));
            // Choices of one request stay together, and join no other request: of a request that is here, what is new begins one of its
            // own.
            foreach (Guid[] some in groups.Keys.Chunk(Batch))
            {
                HashSet<Guid> taken =
                    [.. await db.Generations.IgnoreQueryFilters().Where(row => some.Contains(row.Group)).Select(row => row.Group).Distinct()
                        .ToListAsync(cancellation)];
                foreach (Guid group in some)
                {
                    bool isOwn = groups[group].TrueForAll(id => _generations.Here[id] == id)
                        && (!taken.Contains(group) || !groups[group].Exists(_generations.Fresh.Contains));
                    if (isOwn && !taken.Contains(group)) _freeGroups.Add(group);
                    _groups[group] = isOwn ? group : ArchiveText.DerivedId(target, group, "group", 0);
                    // An answer alone may be named as its request is: what names it means the answer.
                    if (!isOwn && !_generations.Here.ContainsKey(group)) _renamed.TryAdd(group, _groups[group]);
                }
            }
        }

        private static void CheckConversation(string where, string? conversation)
        {
            try
            {
                if (conversation is not null) Conversation.Parse(conversation);
            }
            catch (FlywheelException e)
            {
                throw new FlywheelException($"{where}: conversation: {e.Message}", e);
            }
        }

        private async Task LookAtFeedbackAsync()
        {
            await foreach ((FeedbackLine line, string where) in file.LinesAsync<FeedbackLine>("feedback", cancellation))
            {
                // What others' answers got is about what is not here; a review is about another's act; and what the rules of a game said
                // is only this program's to say.
                if (!_generations.Said.ContainsKey(line.About) || line.Metric == Metrics.Review
                    || !FeedbackSourceRules.Of(line.Source).MayBeStated)
                {
                    _feedback.Count.LeftOut++;
                    continue;
                }
                try
                {
                    _ = new FeedbackInput(line.About, line.Metric, JsonNode.Parse(line.Value),
                        tags: JsonNode.Parse(line.Tags) as JsonObject ?? throw new FlywheelException("field 'tags' is no JSON object"));
                }
                catch (Exception e) when (e is FlywheelException or JsonException)
                {
                    _feedback.Count.Damaged++;
                    continue;
                }
                Add(_feedback, line.Id, ArchiveText.Fold("", line with { User = null }), where);
            }
            await ResolveAsync(_feedback,
                async ids => await db.Feedback.IgnoreQueryFilters().AsNoTracking().Where(row => ids.Contains(row.Id))
                .ToDictionaryAsync(row => row.Id,
                    row => new Existing(IsMine(CuratedExample.PersonOf(row.User, row.Owner), row.Workspace),
                        ArchiveText.Fold("", ArchiveJson.Line(row, null))), cancellation));
        }

        private async Task LookAtDocumentsAsync()
        {
            Dictionary<Guid, (DocumentLine Line, string Where)> lines = [];
            Dictionary<Guid, (string Said, int Last, bool HasShown)> said = [];
            await foreach ((DocumentLine line, string where) in file.LinesAsync<DocumentLine>("documents", cancellation))
            {
                Check(where, line.App.Length is > 0 and <= MaxApp && line.Kind.Length is > 0 and <= MaxName, "app",
                    $"{line.App}' and kind '{line.Kind}", $"1 to {MaxApp} and 1 to {MaxName} characters");
                Check(where, line.Title.Length <= MaxTitle && line.Folder.Length <= MaxTitle && line.Tags.Length <= MaxTitle, "title",
                    line.Title, $"title, folder and tags of at most {MaxTitle} characters");
                if (!lines.TryAdd(line.Id, (line, where))) throw Twice(where, line.Id);
                said[line.Id] = (ArchiveText.Fold("", line with { User = null }), 0, false);
            }
            await foreach ((VersionLine line, string where) in file.LinesAsync<VersionLine>("document-versions", cancellation))
            {
                if (!said.TryGetValue(line.Document, out var before))
                    throw new FlywheelException($"{where}: document is '{line.Document}', which is not in documents.jsonl");
                if (line.Number <= before.Last)
                    throw new FlywheelException(
                        $"{where}: number is {line.Number}, expected versions of a document in their order, more than {before.Last}");
                DocumentLine document = lines[line.Document].Line;
                bool isShown = line.Number == document.Version;
                if (isShown && rules(document.App, document.Kind, line.Body, OwnerOf(document)) is { } rule)
                    _rules[line.Document] = (document, rule);
                said[line.Document] = (ArchiveText.Fold(before.Said, line), line.Number, isShown || before.HasShown);
            }
            HashSet<string> ones = new(StringComparer.Ordinal);
            foreach ((Guid id, (DocumentLine line, string where)) in lines)
            {
                if (!said[id].HasShown)
                    throw new FlywheelException($"{where}: version is {line.Version}, which is not in document-versions.jsonl");
                if (!_rules.TryGetValue(id, out var taken))
                {
                    _documents.Count.Damaged++;
                    continue;
                }
                DocumentRule rule = taken.Rule;
                if (!rule.IsTaken) _documents.Count.LeftOut++;
                else if (rule.IsOnlyOne && !ones.Add($"{rule.Id}\n{rule.Owner ?? OwnerOf(line)}\n{line.App}\n{line.Kind}"))
                    _documents.Count.Stayed++;
                else if (!await HasOneAsync(line, rule)) Add(_documents, id, said[id].Said, where);
                else if (await SaysAsync(rule.Id ?? id) == said[id].Said) _documents.Count.Known++;
                else _documents.Count.Stayed++;
            }
            await ResolveAsync(_documents, async ids =>
            {
                Dictionary<Guid, Existing> found = [];
                foreach (DocumentRow row in await db.Documents.IgnoreQueryFilters().AsNoTracking().Where(row => ids.Contains(row.Id))
                    .ToListAsync(cancellation))
                    found[row.Id] = new(IsMine(row.User, row.Workspace), await SaysAsync(row.Id));
                return found;
            // A kept text has the id of the answer that it is.
            }, id => _rules[id].Rule.Id ?? _generations.Here.GetValueOrDefault(id, id));
        }

        /// <summary>Whether there is one already of a kind of which there is but one, or under the id that it must have.</summary>
        private async Task<bool> HasOneAsync(DocumentLine line, DocumentRule rule)
        {
            if (rule.Id is { } id) return await db.Documents.IgnoreQueryFilters().AnyAsync(row => row.Id == id, cancellation);
            string owner = rule.Owner ?? OwnerOf(line);
            return rule.IsOnlyOne
                && await db.Documents.AnyAsync(row => row.User == owner && row.App == line.App && row.Kind == line.Kind, cancellation);
        }

        private async Task<string> SaysAsync(Guid id)
        {
            if (await db.Documents.IgnoreQueryFilters().AsNoTracking()
                .SingleOrDefaultAsync(row => row.Id == id, cancellation) is not { } row) return "";
            string said = ArchiveText.Fold("", ArchiveJson.Line(row, null));
            await foreach (DocumentVersion version in db.DocumentVersions.AsNoTracking().Where(one => one.DocumentId == id)
                .OrderBy(one => one.Number).AsAsyncEnumerable().WithCancellation(cancellation))
                said = ArchiveText.Fold(said, ArchiveJson.Line(version));
            return said;
        }

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

        private async Task LookAtTranslationsAsync()
        {
            await foreach ((TranslationLine line, string where) in file.LinesAsync<TranslationLine>("translations", cancellation))
            {
                CheckLanguages(where, line.From, line.To);
                Check(where, line.Source.Length is > 0 and <= TranslationMemory.MaxLength
                    && line.Target.Length is > 0 and <= TranslationMemory.MaxLength && line.Context.Length <= TranslationMemory.MaxLength,
                    "source", line.Source.Length,
                    $"source and target of 1 to {TranslationMemory.MaxLength} characters, and a context of no more");
                Add(_translations, line.Id, ArchiveText.Fold("", Plain(line)), where);
            }
            await ResolveAsync(_translations,
                async ids => await db.TranslationUnits.IgnoreQueryFilters().AsNoTracking().Where(row => ids.Contains(row.Id))
                .ToDictionaryAsync(row => row.Id,
                    row => new Existing(IsMine(row.User, row.Workspace), ArchiveText.Fold("", Plain(ArchiveJson.Line(row, null)))),
                    cancellation));

            // The document may be left out; the pair is the same.
            static TranslationLine Plain(TranslationLine line) => line with { User = null, Document = null, Segment = null };
        }

        private async Task LookAtTermsAsync()
        {
            if (!file.HasLines("terms")) return;
            // A glossary has one entry for a term, whoever wrote it; a person may have had it in several workspaces.
            _glossary = await TermsAsync();
            Dictionary<(string, string, string), (string, string, string)> terms =
                _glossary.ToDictionary(row => (row.From, row.To, row.Source), row => (row.Target, row.Forbidden, row.Note));
            Dictionary<(string, string), int> sizes = terms.Keys.CountBy(term => (term.Item1, term.Item2)).ToDictionary();
            await foreach ((TermLine line, string where) in file.LinesAsync<TermLine>("terms", cancellation))
            {
                CheckLanguages(where, line.From, line.To);
                try
                {
                    if (new TermInput(line.Source, line.Target, line.Forbidden, line.Note).Checked() is var clean
                        && (clean.Source, clean.Target, clean.Forbidden, clean.Note) != (line.Source, line.Target, line.Forbidden,
                            line.Note))
                        throw new FlywheelException("the term is not written as the glossary keeps it: in one line, without blanks around");
                }
                catch (FlywheelException e)
                {
                    throw new FlywheelException($"{where}: {e.Message}", e);
                }
                if (terms.TryAdd((line.From, line.To, line.Source), (line.Target, line.Forbidden, line.Note)))
                {
                    int size = sizes[(line.From, line.To)] = sizes.GetValueOrDefault((line.From, line.To)) + 1;
                    if (size > Glossary.MaxTerms)
                        throw new FlywheelException(
                            $"{where}: the glossary would have {size} terms from {line.From} to {line.To}, "
                            + $"expected at most {Glossary.MaxTerms}");
                    Add(_terms, line.Id, ArchiveText.Fold("", line with { User = null }), where);
                }
                else if (terms[(line.From, line.To, line.Source)] == (line.Target, line.Forbidden, line.Note)) _terms.Count.Known++;
                else _terms.Count.Stayed++;
            }
            await ResolveAsync(_terms, async ids => await db.Terms.IgnoreQueryFilters().AsNoTracking().Where(row => ids.Contains(row.Id))
                .ToDictionaryAsync(row => row.Id, _ => new Existing(IsMine: false, ""), cancellation));
        }

        /// <summary>Whether what decided how it comes in is as it was: what is here, what is free, and what there is one of.</summary>
        public async Task<bool> StillHoldsAsync() =>
            await AreAsync(_generations, db.Generations) && await AreAsync(_feedback, db.Feedback)
            && await AreAsync(_documents, db.Documents) && await AreAsync(_chats, db.Conversations)
            && await AreAsync(_translations, db.TranslationUnits) && await AreAsync(_terms, db.Terms)
            && await AreFreeAsync(_messages.Values, ids => db.ConversationMessages.Where(row => ids.Contains(row.Id)).Select(row => row.Id))
            && await AreFreeAsync(_freeGroups,
                ids => db.Generations.IgnoreQueryFilters().Where(row => ids.Contains(row.Group)).Select(row => row.Group))
            && await AreOnlyOnesAsync()
            && (_glossary is null || (await TermsAsync()).SetEquals(_glossary));

        private async Task<bool> AreAsync<TRow>(Ids ids, IQueryable<TRow> rows) where TRow : class
        {
            foreach (KeyValuePair<Guid, Guid>[] some in ids.Here.Chunk(Batch))
            {
                Guid[] here = [.. some.Select(one => one.Value)];
                HashSet<Guid> found =
                    [.. await rows.IgnoreQueryFilters().Select(row => EF.Property<Guid>(row, nameof(DocumentRow.Id)))
                        .Where(id => here.Contains(id)).ToListAsync(cancellation)];
                if (some.Any(one => found.Contains(one.Value) == ids.Fresh.Contains(one.Key))) return false;
            }
            return true;
        }

        private async Task<bool> AreFreeAsync(IEnumerable<Guid> ids, Func<Guid[], IQueryable<Guid>> here)
        {
            foreach (Guid[] some in ids.Chunk(Batch)) if (await here(some).AnyAsync(cancellation)) return false;
            return true;
        }

        private async Task<bool> AreOnlyOnesAsync()
        {
            foreach (Guid id in _documents.Fresh)
                if (_rules[id].Rule is { IsOnlyOne: true } rule && await HasOneAsync(_rules[id].Line, rule)) return false;
            return true;
        }

        private async Task<HashSet<(string From, string To, string Source, string Target, string Forbidden, string Note)>> TermsAsync() =>
            [.. (await db.Terms.AsNoTracking()
                .Select(row => new { row.SourceLanguage, row.TargetLanguage, row.Source, row.Target, row.Forbidden, row.Note })
                .ToListAsync(cancellation))
                .Select(row => (row.SourceLanguage, row.TargetLanguage, row.Source, row.Target, row.Forbidden, row.Note))];

        private bool IsMine(string user, string workspace) =>
            workspace == target.Workspace && (user == target.Person || target.People.Values.Contains(user));

        private static void Add(Ids ids, Guid id, string said, string where)
        {
            if (id == Guid.Empty) throw new FlywheelException($"{where}: id is empty, expected a UUID");
            if (!ids.Said.TryAdd(id, said)) throw Twice(where, id);
        }

        private static FlywheelException Twice(string where, Guid id) => new($"{where}: the id '{id}' is there twice, expected once");

        private static void Check(string where, bool isRight, string field, object? value, string expected)
        {
            if (!isRight) throw new FlywheelException($"{where}: {field} is '{ArchiveFile.Short($"{value}")}', expected {expected}");
        }

        private static void CheckLanguages(string where, params string[] languages)
        {
            foreach (string language in languages)
                Check(where, ArchiveText.Language().IsMatch(language), "language", language, "a tag such as en or pt-BR");
        }

        /// <summary>As what each comes in: under its own id where that is free, not at all where the same is here, else under a new
        /// one.</summary>
        private async Task ResolveAsync(Ids ids, Func<Guid[], Task<Dictionary<Guid, Existing>>> findAsync, Func<Guid, Guid>? first = null)
        {
            const int maxTries = 100;
            List<(Guid Id, Guid As)> open = [.. ids.Said.Keys.Select(id => (id, first?.Invoke(id) ?? id))];
            for (int tried = 1; open.Count > 0; tried++)
            {
                List<(Guid, Guid)> next = [];
                foreach ((Guid Id, Guid As)[] some in open.Chunk(Batch))
                {
                    Dictionary<Guid, Existing> found = await findAsync([.. some.Select(one => one.As)]);
                    foreach ((Guid id, Guid @as) in some)
                    {
                        if (found.TryGetValue(@as, out Existing? here) && !(here.IsMine && here.Said == ids.Said[id]))
                        {
                            if (tried == maxTries)
                                throw new FlywheelException(
                                    $"'{id}' of {ids.Count.Name}.jsonl was imported {maxTries} times and changed after each; delete some of them");
                            next.Add((id, ArchiveText.DerivedId(target, id, ids.Said[id], tried)));
                            continue;
                        }
                        ids.Here[id] = @as;
                        if (@as != id) _renamed.TryAdd(id, @as);
                        if (here is not null) ids.Count.Known++;
                        else
                        {
                            ids.Fresh.Add(id);
                            ids.Count.Imported++;
                            if (@as != id && !(ids == _documents && _rules[id].Rule.Id == @as)) ids.Count.Renamed++;
                        }
                    }
                }
                open = next;
            }
        }
    }
}
