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
    }
}
