using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Apps.Write.Bulk;

/// <summary><c>/v1/write/bulk</c>: a table of briefs in, drafts for each row out, for programs.</summary>
internal static class BulkApi
{
    private const int MaxListed = 200;

    private static readonly string[] Actions = ["start", "pause", "resume", "cancel"], States = ["kept", "edited", "discarded", "ready"];

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapPost("/v1/write/bulk", CreateAsync);
        app.MapGet("/v1/write/bulk", ListAsync);
        app.MapGet("/v1/write/bulk/{id}", GetAsync);
        app.MapPost("/v1/write/bulk/{id}", DoAsync);
        app.MapDelete("/v1/write/bulk/{id}", DeleteAsync);
        app.MapGet("/v1/write/bulk/{id}/rows", RowsAsync);
        app.MapPost("/v1/write/bulk/{id}/rows/{row}", ActAsync);
        app.MapGet("/v1/write/bulk/{id}/csv", CsvAsync).Audited("table of briefs");
    }

    /// <summary>A small table to begin with.</summary>
    public static byte[] Example() =>
    [
        .. Encoding.UTF8.Preamble,
        .. Encoding.UTF8.GetBytes("""
            name,what,facts,audience
            Lanternfish,Photo editor,sorts photos by place and date; works offline; edits raw files from most cameras,photographers
            Quill,Text editor,keeps every version; counts words by chapter,novelists
            Harbour Loaf,Bakery,bakes at five every morning; rye and spelt,people who live nearby

            """.ReplaceLineEndings("\r\n")),
    ];

    private static async Task CreateAsync(HttpContext http, BulkBriefs bulks, ModelHost host)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "csv", "name", "columns", "kind", "tone", "length", "drafts", "start", "user");
        string person = body.Text("user", maxLength: 200) ?? "";
        BulkTable table = BulkTable.Read(body.RequiredText("csv"));
        IReadOnlyDictionary<int, string> columns = Columns(body, table);
        string? kind = body.Text("kind");
        if (kind is not null && !CopyAbilities.Kinds(host.Current).Contains(kind))
            throw RequestBody.Wrong("kind", body["kind"], NearestName.List(CopyAbilities.Kinds(host.Current)));
        (string? tone, string? length) = (body.Text("tone", BriefFields.MaxLine), body.Text("length", BriefFields.MaxLine));
        int? drafts = body.Count("drafts", 1, BulkBody.MaxDrafts);
        bool start = body.Flag("start") ?? true;
        Document document = await bulks.CreateAsync(person, body.Text("name", maxLength: 80) ?? "", table);
        await bulks.ChangeAsync(document.Id, person,
            bulk => columns.Aggregate(bulk, (now, column) => now.With(column.Key, column.Value)) with
        {
            Kind = kind ?? bulk.Kind, Tone = tone ?? "", Length = length ?? "", NumDrafts = drafts ?? bulk.NumDrafts,
        });
        if (start) await bulks.StartAsync(document.Id, person);
        await Answers.Json(http, await StateAsync(bulks, document.Id, person));
    }

    /// <summary>Which field columns are; a column that the object does not name is read as its header suggests.</summary>
    private static Dictionary<int, string> Columns(RequestBody body, BulkTable table)
    {
        Dictionary<int, string> columns = [];
        foreach ((string column, JsonNode? field) in body.Object("columns") ?? [])
        {
            int index = table.Columns.ToList().IndexOf(column);
            if (index < 0)
                throw ApiException.BadField("columns",
                    $"field 'columns' names '{column}', expected a column of the table: {NearestName.List(table.Columns)}");
            if (field is not (null or JsonValue)) throw RequestBody.Wrong($"columns.{column}", field, "a field or null");
            string name = field is JsonValue value && value.TryGetValue(out string? text) ? text : "";
            if (field is not null && !BriefFields.Names.Contains(name))
                throw RequestBody.Wrong($"columns.{column}", field, $"null or one of {NearestName.List(BriefFields.Names)}");
            columns[index] = name;
        }
        return columns;
    }

    private static async Task ListAsync(HttpContext http, BulkBriefs bulks)
    {
        string person = PersonOf(http);
        var data = new JsonArray();
        var (whole, damaged) = await bulks.ListAsync(person);
        foreach ((Document document, BulkBody body, JobRow? job) in whole) data.Add(Summary(document, body, job));
        foreach (Damaged one in damaged) data.Add(one.ToJson("write.bulk"));
        await Answers.Json(http, new() { ["object"] = "list", ["data"] = data });
    }

    private static async Task GetAsync(HttpContext http, string id, BulkBriefs bulks) =>
        await Answers.Json(http, await StateAsync(bulks, (await FindAsync(bulks, id, PersonOf(http))).Document.Id, PersonOf(http)));

    private static async Task DoAsync(HttpContext http, string id, BulkBriefs bulks, JobQueue queue)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "action", "user");
        string person = body.Text("user", maxLength: 200) ?? "", action = body.RequiredText("action");
        if (!Actions.Contains(action)) throw RequestBody.Wrong("action", body["action"], NearestName.List(Actions));
        (Document document, BulkBody bulk) = await FindAsync(bulks, id, person);
        if (action == "start") await bulks.StartAsync(document.Id, person);
        else if (bulk.Job is not { } job)
            throw ApiException.BadField("action", $"field 'action' is '{action}', but nothing was begun yet; expected start");
        else await (action switch { "pause" => queue.PauseAsync(job), "resume" => queue.ResumeAsync(job), _ => queue.CancelAsync(job) });
        await Answers.Json(http, await StateAsync(bulks, document.Id, person));
    }

    private static async Task DeleteAsync(HttpContext http, string id, BulkBriefs bulks)
    {
        await bulks.DeleteAsync((await FindAsync(bulks, id, PersonOf(http))).Document.Id, PersonOf(http));
        await Answers.Json(http, new() { ["id"] = id, ["deleted"] = true });
    }

    private static async Task RowsAsync(HttpContext http, string id, BulkBriefs bulks)
    {
        string person = PersonOf(http);
        (int offset, int limit) = (Number(http, "offset", 0, BulkTable.MaxRows), Number(http, "limit", 100, MaxListed));
        (Document document, BulkBody body) = await FindAsync(bulks, id, person);
        BulkTable table = await bulks.TableAsync(body, person);
        int count = Math.Clamp(table.Rows.Count - offset, 0, limit);
        IReadOnlyList<(BriefBody? Brief, string Tags)> briefs = await bulks.RowsAsync(document.Id, person, offset, count);
        var rows = new JsonArray();
        for (int i = 0; i < count; i++)
        {
            BriefFields fields = body.Read(table.Rows[offset + i]);
            rows.Add(new JsonObject
            {
                ["row"] = offset + i,
                ["line"] = table.Rows[offset + i].Line,
                ["name"] = fields.Name,
                ["kind"] = fields.Kind,
                ["drafts"] = new JsonArray([.. (BulkBriefs.Written(briefs[i].Brief)?.Drafts ?? []).Select(draft => new JsonObject
                {
                    ["generation_id"] = draft.Generation.ToString(), ["text"] = draft.Text,
                    ["state"] = JsonNamingPolicy.CamelCase.ConvertName(draft.State.ToString()),
                })]),
            });
        }
        await Answers.Json(http, new() { ["object"] = "list", ["data"] = rows, ["total"] = table.Rows.Count });
    }

    private static async Task ActAsync(HttpContext http, string id, string row, BulkBriefs bulks)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "generation_id", "state", "text", "user");
        string person = body.Text("user", maxLength: 200) ?? "", state = body.RequiredText("state");
        if (!States.Contains(state)) throw RequestBody.Wrong("state", body["state"], NearestName.List(States));
        string text = state == "edited" ? body.RequiredText("text", 20_000) : "";
        (Document document, BulkBody bulk) = await FindAsync(bulks, id, person);
        int index = int.TryParse(row, out int number) && number >= 0 && number < bulk.NumRows ? number
            : throw new ApiException(404, $"there is no row '{Short(row)}' in this table, expected a number from 0 to {bulk.NumRows - 1}",
                "row", "not_found");
        string generation = body.RequiredText("generation_id", 80);
        DraftSet? set = BulkBriefs.Written((await bulks.RowsAsync(document.Id, person, index, 1))[0].Brief);
        Draft draft = set?.Drafts.FirstOrDefault(one => one.Generation.ToString() == generation)
            ?? throw ApiException.BadField("generation_id", $"field 'generation_id' is '{generation}', expected a draft of row {index}");
        await bulks.ActAsync(document.Id, person, index, set!, draft.Generation, Enum.Parse<DraftState>(state, ignoreCase: true), text);
        Draft now =
            BulkBriefs.Written((await bulks.RowsAsync(document.Id, person, index, 1))[0].Brief)!.Drafts.Single(one =>
                one.Generation == draft.Generation);
        await Answers.Json(http, new() { ["generation_id"] = generation, ["text"] = now.Text,
            ["state"] = JsonNamingPolicy.CamelCase.ConvertName(now.State.ToString()) });
    }

    private static async Task<IResult> CsvAsync(HttpContext http, string id, BulkBriefs bulks)
    {
        string person = PersonOf(http);
        (Document document, BulkBody body) = await FindAsync(bulks, id, person);
        byte[] file = await bulks.ExportAsync(document.Id, body, person, Strings.Of("en"));
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.File(file, "text/csv; charset=utf-8", "drafts.csv");
    }

    private static async Task<JsonObject> StateAsync(BulkBriefs bulks, Guid id, string person)
    {
        (Document document, BulkBody body) = (await bulks.FindAsync(id, person))!.Value;
        BulkTable table = await bulks.TableAsync(body, person);
        JsonObject answer = Summary(document, body, await bulks.JobAsync(body));
        answer["columns"] =
            new JsonObject(table.Columns.Index().DistinctBy(column => column.Item)
                .Select(column =>
                    KeyValuePair.Create(column.Item, body.Fields[column.Index] is { Length: > 0 } field ? (JsonNode?)field : null)));
        answer["kind"] = body.Kind;
        answer["left_out"] = new JsonArray([.. bulks.Problems(body, table).Select(problem => new JsonObject
        {
            ["row"] = problem.Index, ["line"] = problem.Line, ["message"] = Strings.Of("en").Format(problem.Message, problem.About),
        })]);
        return answer;
    }

    private static JsonObject Summary(Document document, BulkBody body, JobRow? job) => new()
    {
        ["id"] = document.Id.ToString(),
        ["object"] = "write.bulk",
        ["name"] = document.Title,
        ["created"] = document.Created.ToUnixTimeSeconds(),
        ["state"] = job?.State.ToString().ToLowerInvariant() ?? "new",
        ["message"] = job is { State: JobState.Failed } ? job.Message : null,
        ["rows"] = body.NumRows,
        ["written"] = job is null ? 0 : (int)Math.Round(job.Progress * body.NumGood),
        ["drafts"] = body.NumDrafts,
    };

    private static async Task<(Document Document, BulkBody Body)> FindAsync(BulkBriefs bulks, string id, string person) =>
        (Guid.TryParse(id, out Guid bulk) ? await bulks.FindAsync(bulk, person) : null)
            ?? throw new ApiException(404, $"there is no table of briefs with the id '{Short(id)}' here", "id", "not_found");

    /// <summary>Whose tables: the user of the key; else the one that the caller names.</summary>
    private static string PersonOf(HttpContext http)
    {
        string stated = http.Request.Query["user"].ToString();
        if (stated.Length > 0 && !Caller.MaySee(http.User, stated))
            throw new ApiException(403, $"field 'user' is '{Short(stated)}', but the key is another user's; leave the field out", "user",
                "user_mismatch", "permission_error");
        return Caller.UserOf(http.User) ?? stated;
    }

    private static int Number(HttpContext http, string name, int absent, int max)
    {
        if (http.Request.Query[name].ToString() is not { Length: > 0 } text) return absent;
        return int.TryParse(text, out int number) && number >= 0 && number <= max
            ? number : throw ApiException.BadField(name, $"field '{name}' is '{Short(text)}', expected a number from 0 to {max}");
    }

    private static string Short(string text) => text.Length <= 80 ? text : text[..77] + "...";
}
