using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Keeping;

public sealed partial class ArchiveImport
{
    private sealed partial class Run
    {
        // What is here already, and as what each thing comes in beside it.

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
    }
}
