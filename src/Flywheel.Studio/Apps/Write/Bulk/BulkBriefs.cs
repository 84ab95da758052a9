using System.Text;
using System.Text.Json;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.Apps.Write.Bulk;

/// <summary>
/// Tables of briefs. Each row that is written is a brief of its own with drafts like any other, so that what a person does with them
/// is kept, recorded and learnt from in the same way.
/// </summary>
internal sealed class BulkBriefs(Documents documents, Briefs briefs, JobQueue queue, ModelHost host, TimeProvider time) : IDisposable
{
    public const string BulkKind = "bulk", TableKind = "bulk-table", Job = "bulk";

    /// <summary>A row whose brief the model cannot read in one go bears this.</summary>
    public const string TooLong = "too-long";

    private readonly SemaphoreSlim _starting = new(1, 1);

    /// <summary>Keeps a table, its columns guessed.</summary>
    /// <exception cref="BulkException">It is no table of briefs.</exception>
    public async Task<Document> CreateAsync(string person, string name, BulkTable table)
    {
        Guid id = Guid.CreateVersion7(time.GetUtcNow()), file = Guid.CreateVersion7(time.GetUtcNow());
        name = name.Trim() is { Length: > 0 } given ? given[..Math.Min(given.Length, 80)] : "briefs.csv";
        await documents.PutAsync(file, person, Briefs.App, TableKind, name, JsonSerializer.Serialize(table, CopyJson.Options));
        var body = new BulkBody { Table = file, NumRows = table.Rows.Count, Fields = BulkColumns.Guess(table.Columns),
            Kind = CopyAbilities.Kinds(host.Current)[0] };
        return await documents.PutAsync(id, person, Briefs.App, BulkKind, name, body.ToJson());
    }

    public async Task<(Document Document, BulkBody Body)?> FindAsync(Guid id, string person) =>
        await documents.FindAsync(id, person) is { App: Briefs.App, Kind: BulkKind, Deleted: null } document
            ? document.Readable(BulkBody.Parse) : null;

    /// <summary>A person's tables with the jobs that write, and those that cannot be read any more.</summary>
    public async Task<(IReadOnlyList<(Document Document, BulkBody Body, JobRow? Job)> Whole, IReadOnlyList<Damaged> Damaged)> ListAsync(
        string person)
    {
        Dictionary<Guid, JobRow> jobs = (await queue.ListAsync(user: person, kind: Job, count: 1000)).ToDictionary(job => job.Id);
        var (whole, damaged) = (await documents.ListAsync(person, Briefs.App, BulkKind)).Sorted(BulkBody.Parse);
        return ([.. whole.Select(one => (one.Document, one.Body, one.Body.Job is { } job ? jobs.GetValueOrDefault(job) : null))], damaged);
    }

    /// <exception cref="BulkException">Its rows are damaged in the record.</exception>
    public async Task<BulkTable> TableAsync(BulkBody body, string person) =>
        (await documents.FindAsync(body.Table, person)).Readable(json =>
            JsonSerializer.Deserialize<BulkTable>(json, CopyJson.Options)!)?.Body ?? throw new BulkException("bulk.damaged");

    /// <summary>The job that writes; null before it was begun.</summary>
    public async Task<JobRow?> JobAsync(BulkBody body) => body.Job is { } job ? await queue.FindAsync(job) : null;

    /// <summary>Rows that cannot be written by the model that serves now.</summary>
    public IReadOnlyList<BulkProblem> Problems(BulkBody body, BulkTable table)
    {
        IReadOnlyList<string> kinds = CopyAbilities.Kinds(host.Current);
        return [.. table.Rows.Index().Select(one => (one.Index, one.Item.Line, Problem: body.Problem(one.Item, table.Columns.Count, kinds)))
            .Where(one => one.Problem is not null)
            .Select(one => new BulkProblem(one.Index, one.Line, one.Problem!.Value.Message, one.Problem.Value.About))];
    }

    /// <summary>Changes how a table is read.</summary>
    /// <exception cref="BulkException">It was begun.</exception>
    public async Task ChangeAsync(Guid id, string person, Func<BulkBody, BulkBody> change)
    {
        bool begun = false;
        await documents.ChangeAsync(id, person, document =>
        {
            BulkBody body = BulkBody.Parse(document.Body);
            begun = body.Job is not null;
            if (!begun) document.Body = change(body).ToJson();
            return !begun;
        });
        if (begun) throw new BulkException("bulk.begun");
    }

    /// <summary>Begins to write; does nothing when that was begun before.</summary>
    /// <exception cref="BulkException">No row can be written, or no column is the name.</exception>
    public async Task StartAsync(Guid id, string person)
    {
        await _starting.WaitAsync();
        try
        {
            if (await FindAsync(id, person) is not var (_, body)) throw new BulkException("bulk.gone");
            if (body.Job is not null) return;
            if (!body.Fields.Contains("name")) throw new BulkException("bulk.no-name");
            BulkTable table = await TableAsync(body, person);
            IReadOnlyList<BulkProblem> problems = Problems(body, table);
            if (problems.Count == table.Rows.Count)
                throw new BulkException("bulk.none-good", problems[0].Line,
                    Shell.Strings.Of("en").Format(problems[0].Message, problems[0].About));
            // Were the server to end between the two, the rows would be written once all the same: a row knows that it is.
            JobRow job = await queue.EnqueueAsync(Job, JsonSerializer.Serialize(new { bulk = id }, JsonText.Compact), person);
            await ChangeAsync(id, person, now => now with { Job = job.Id, NumGood = table.Rows.Count - problems.Count });
        }
        finally
        {
            _starting.Release();
        }
    }

    /// <summary>Into the bin, or out of it again; a job that still writes is ended.</summary>
    public async Task DeleteAsync(Guid id, string person, bool deleted = true)
    {
        if (deleted && await FindAsync(id, person) is var (_, body)
            && await JobAsync(body) is { State: JobState.Queued or JobState.Running or JobState.Paused } job)
            await queue.CancelAsync(job.Id);
        await documents.DeleteAsync(id, person, deleted);
    }

    /// <summary>The document of a row's brief: the same whenever it is asked for, so that a row is written once.</summary>
    public static Guid RowId(Guid bulk, int index) => HashedId.Of($"{bulk:N}/{index}");

    /// <summary>Briefs of the rows from <paramref name="first"/> on; null of one that was not begun.</summary>
    public async Task<IReadOnlyList<(BriefBody? Brief, string Tags)>> RowsAsync(Guid bulk, string person, int first, int count)
    {
        Guid[] ids = [.. Enumerable.Range(first, count).Select(index => RowId(bulk, index))];
        Dictionary<Guid, Document> found = (await documents.FindAsync(ids, person)).ToDictionary(document => document.Id);
        return [.. ids.Select(id => found.TryGetValue(id, out Document? document)
            ? (Stored.Read(document.Body, BriefBody.Parse), document.Tags) : ((BriefBody?)null, ""))];
    }

    /// <summary>What a person did with a draft of a row; see <see cref="Briefs.ActAsync"/>.</summary>
    public Task ActAsync(Guid bulk, string person, int row, DraftSet set, Guid generation, DraftState state, string text = "") =>
        briefs.ActAsync(RowId(bulk, row), person, set, generation, state, text);

    /// <summary>The table with what was written: the input's columns, the text that was chosen, each draft, and why a row was left
    /// out.</summary>
    public async Task<byte[]> ExportAsync(Guid bulk, BulkBody body, string person, Shell.Strings words)
    {
        const int together = 200;
        BulkTable table = await TableAsync(body, person);
        Dictionary<int, BulkProblem> problems = Problems(body, table).ToDictionary(problem => problem.Index);
        var csv = new StringBuilder();
        Line([.. table.Columns, "chosen", .. Enumerable.Range(1, body.NumDrafts).Select(number => $"draft {number}"), "problem"]);
        for (int first = 0; first < table.Rows.Count; first += together)
        {
            int count = Math.Min(together, table.Rows.Count - first);
            IReadOnlyList<(BriefBody? Brief, string Tags)> briefs = await RowsAsync(bulk, person, first, count);
            for (int i = 0; i < count; i++)
            {
                IReadOnlyList<Draft> drafts = Written(briefs[i].Brief)?.Drafts ?? [];
                IEnumerable<string> input = table.Rows[first + i].Cells.Concat(Enumerable.Repeat("", table.Columns.Count))
                    .Take(table.Columns.Count);
                string problem = problems.TryGetValue(first + i, out BulkProblem? known) && drafts.Count == 0
                    ? words.Format(known.Message, known.About) : briefs[i].Tags == TooLong ? words["write.too-long"] : "";
                Line([.. input, string.Join("\n\n", drafts.Where(draft => draft.IsChosen).Select(draft => draft.Text)),
                    .. Enumerable.Range(0, body.NumDrafts)
                        .Select(number => number < drafts.Count && drafts[number].State != DraftState.Discarded ? drafts[number].Text : ""),
                        problem]);
            }
        }
        // the mark without which Excel reads another encoding
        return [.. Encoding.UTF8.Preamble, .. Encoding.UTF8.GetBytes(csv.ToString())];

        void Line(IEnumerable<string> cells) => csv.AppendJoin(table.Delimiter, cells.Select(CopyExport.Cell)).Append("\r\n");
    }

    /// <summary>What was written first for a row and is whole; null when nothing is.</summary>
    public static DraftSet? Written(BriefBody? brief) =>
        brief?.Sets.LastOrDefault(set => set.Drafts.All(draft => draft.State is not (DraftState.Writing or DraftState.Lost)));

    public void Dispose() => _starting.Dispose();
}
