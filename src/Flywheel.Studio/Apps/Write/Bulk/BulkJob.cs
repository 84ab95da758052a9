using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop.Jobs;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Write.Bulk;

/// <summary>Writes the rows of a table of briefs, one after another. Ended by a crash, it goes on with the first row that has no
/// drafts.</summary>
internal sealed class BulkJob(BulkBriefs bulks, Documents documents, Briefs briefs, DraftWriter writer, TimeProvider time)
{
    public async Task<string?> RunAsync(JobContext job, CancellationToken cancellation)
    {
        Guid id = Guid.Parse((string)JsonNode.Parse(job.Input)!["bulk"]!);
        if (await bulks.FindAsync(id, job.User) is not var (document, body)) throw new BulkException("bulk.gone");
        BulkTable table = await bulks.TableAsync(body, job.User);
        HashSet<int> bad = [.. bulks.Problems(body, table).Select(problem => problem.Index)];
        int[] rows = [.. Enumerable.Range(0, table.Rows.Count).Where(index => !bad.Contains(index))];
        for (int done = 0; done < rows.Length; done++)
        {
            cancellation.ThrowIfCancellationRequested();
            Guid row = BulkBriefs.RowId(id, rows[done]);
            if (await documents.FindAsync(row, job.User) is { } known
                && (known.Tags == BulkBriefs.TooLong || BulkBriefs.Written(Stored.Read(known.Body, BriefBody.Parse)) is not null)) continue;
            await job.CheckLimitAsync(cancellation);
            await WriteAsync(row, job.User, document.Title, body.Read(table.Rows[rows[done]]), body.NumDrafts, cancellation);
            await job.ReportAsync((done + 1.0) / rows.Length,
                string.Create(CultureInfo.InvariantCulture, $"{document.Title}: {done + 1:N0} of {rows.Length:N0}"));
        }
        return JsonSerializer.Serialize(new { rows = rows.Length, left_out = bad.Count }, JsonText.Compact);
    }

    private async Task WriteAsync(Guid row, string person, string folder, BriefFields fields, int numDrafts, CancellationToken cancellation)
    {
        fields = fields.SaidBy(await briefs.FormsAsync(person));
        await PutAsync([]);
        IReadOnlyList<KeptText> examples = await briefs.ExamplesAsync(person, fields.Kind, row);
        LiveSet live;
        while (true)
        {
            try
            {
                live = await writer.StartAsync(row, person, fields, fields.ToBrief().ToConversation(), "", examples, numDrafts,
                    Priority.Batch);
                break;
            }
            catch (PromptTooLongException)
            {
                await documents.ChangeAsync(row, person, document =>
                {
                    document.Tags = BulkBriefs.TooLong;
                    return true;
                });
                return;
            }
            catch (QueueFullException full)
            {
                await Task.Delay(full.RetryAfter, time, cancellation); // those who wait for every word come first
            }
            catch (Exception) when (cancellation.IsCancellationRequested)
            {
                throw new OperationCanceledException(cancellation); // a stopping server takes nothing new
            }
        }
        await using (cancellation.Register(live.Stop)) await live.Running;
        if (!live.Failed && live.IsWhole) return;
        // Half a text is none: the row is written anew.
        await PutAsync([]);
        cancellation.ThrowIfCancellationRequested();
        throw new InvalidOperationException($"the drafts of '{fields.Name}' could not be recorded");

        Task PutAsync(List<DraftSet> sets) =>
            documents.PutAsync(row, person, Briefs.App, Briefs.RowKind, fields.Name,
                new BriefBody { Fields = fields, Sets = sets }.ToJson(), folder);
    }
}
