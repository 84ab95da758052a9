using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Loop.Reviews;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio;

/// <summary>
/// <c>/v1/reviews</c>: what people did, for reviewers; and <c>/admin/export</c>, the record as a file. Both show what everybody wrote, so
/// they are for administrators.
/// </summary>
internal static class ReviewEndpoints
{
    public const string Path = "/v1/reviews", PageExport = "/loop/review/export";

    private const int MaxItems = 200;

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet(Path, ListAsync);
        app.MapPost(Path, DecideAsync);
        app.MapGet($"{Path}/agreement", AgreementAsync);
        app.MapGet($"{Path}/export", ExportAsync).Audited("reviews");
        app.MapPost($"{Path}/import", ImportAsync);
        app.MapGet("/admin/export", RecordAsync).Audited("record");
        // A page has a person before it and no key; whether they may is asked here.
        app.MapGet(PageExport,
            async (HttpContext http, ReviewQueue queue) =>
                Visitor.MayReview(http) ? await ExportAsync(http, queue) : Results.StatusCode(StatusCodes.Status403Forbidden))
            .Audited("reviews").ExcludeFromDescription();
    }

    /// <summary><c>GET /v1/reviews</c>: items, what stands out first, and how far the queue is.</summary>
    private static async Task ListAsync(HttpContext http, ReviewQueue queue)
    {
        ReviewFilter filter = FilterOf(http);
        int limit = int.TryParse(Query(http, "limit") ?? "50", out int number) && number is > 0 and <= MaxItems ? number
            : throw ApiException.BadField("limit", $"'limit' is '{Query(http, "limit")}', expected 1 to {MaxItems}");
        ReviewList list = await queue.ListAsync(filter, http.RequestAborted);
        int from = 0;
        if (Query(http, "after") is { } after)
        {
            from = 1 + list.Items.ToList().FindIndex(item => item.Id.ToString() == after);
            if (from == 0) throw ApiException.BadField("after", $"'after' is '{after}', which is no item of this list");
        }
        await Answers.Json(http, new()
        {
            ["object"] = "list",
            ["data"] = new JsonArray([.. list.Items.Skip(from).Take(limit).Select(item => ToJson(item, filter))]),
            ["has_more"] = from + limit < list.Items.Count || list.IsCut,
            ["decided"] = list.NumDecided, ["total"] = list.NumAll,
            ["apps"] = new JsonObject(list.Apps.Select(app => KeyValuePair.Create<string, JsonNode?>(app.App, app.Count))),
            ["signals"] = new JsonArray([.. list.Signals.Select(signal => new JsonObject
            {
                ["code"] = signal.Code, ["items"] = signal.Items, ["decided"] = signal.Decided, ["rejected"] = signal.Rejected,
            })]),
        });
    }

    /// <summary><c>POST /v1/reviews</c>: answered when it is on disk, with the item as it stands then.</summary>
    private static async Task DecideAsync(HttpContext http, ReviewQueue queue)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        ReviewInput input = ReviewInput.FromJson(body.Json) with { Owner = body.Owner, Workspace = Caller.WorkspaceOf(http.User) };
        ReviewReceipt receipt = await queue.DecideAsync(input, CancellationToken.None);
        await Answers.Json(http, new() { ["review_id"] = receipt.Review.ToString(), ["item"] = ToJson(receipt.Item, new()) });
    }

    private static async Task AgreementAsync(HttpContext http, FlywheelStore store)
    {
        ReviewAgreement agreement = await ReviewAgreement.ReadAsync(store, http.RequestAborted);
        JsonObject all = ToJson(agreement.All);
        all["pairs"] = new JsonArray([.. agreement.Pairs.Select(pair =>
        {
            JsonObject two = ToJson(pair);
            two["reviewers"] = new JsonArray(pair.First, pair.Second);
            return two;
        })]);
        await Answers.Json(http, all);

        static JsonObject ToJson(AgreementOfTwo two) => new()
        {
            ["items"] = two.Items, ["agreed"] = two.Agreed, ["agreement"] = two.Items == 0 ? null : two.Share, ["kappa"] = two.Kappa,
            ["too_few"] = two.IsTooFew,
        };
    }

    /// <summary><c>GET /v1/reviews/export?format=jsonl|csv</c>: for people who label elsewhere.</summary>
    private static async Task<IResult> ExportAsync(HttpContext http, ReviewQueue queue)
    {
        string format = Query(http, "format") ?? "jsonl";
        if (format is not ("jsonl" or "csv")) throw ApiException.BadField("format", $"'format' is '{format}', expected jsonl or csv");
        ReviewList list = await queue.ListAsync(FilterOf(http), http.RequestAborted);
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.File(Encoding.UTF8.GetBytes(format == "csv" ? ReviewFile.ToCsv(list.Items) : ReviewFile.ToJsonLines(list.Items)),
            format == "csv" ? "text/csv; charset=utf-8" : "application/jsonl", $"reviews.{format}");
    }

    /// <summary><c>POST /v1/reviews/import {"text", "user"?}</c>: all rows, or none and why.</summary>
    private static async Task ImportAsync(HttpContext http, ReviewQueue queue)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "text", "user");
        string who = body.Owner.Length > 0 ? body.Owner : body.Text("user", ReviewInput.MaxName) ?? "";
        IReadOnlyList<ReviewInput> inputs =
            [.. ReviewFile.Read(body.RequiredText("text"), "field 'text'", who, onlyTheirs: body.Owner.Length > 0)
            .Select(input => input with { Owner = body.Owner, Workspace = Caller.WorkspaceOf(http.User) })];
        (int recorded, IReadOnlyList<string> gone) = await queue.ImportAsync(inputs, "field 'text'", http.RequestAborted);
        await Answers.Json(http, new() { ["recorded"] = recorded,
            ["gone"] = new JsonArray([.. gone.Select(why => JsonValue.Create(why))]) });
    }

    /// <summary><c>GET /admin/export</c>: answers with their feedback.</summary>
    private static async Task<IResult> RecordAsync(HttpContext http, FlywheelStore store)
    {
        string format = RecordExport.FormatOf(Query(http, "format") ?? RecordExport.JsonLines, "field 'format'");
        string? person = Query(http, "user") is { } typed
            ? await PersonName.ResolveAsync(store, typed, "field 'user'", http.RequestAborted) : null;
        var filter = new ExportFilter { App = Query(http, "app"), Person = person, Since = TimeOf("since"), Until = TimeOf("until") };
        return await WholeFile.AnswerAsync(http, store,
            format == RecordExport.Parquet ? "application/vnd.apache.parquet" : "application/jsonl", $"record.{format}",
            file => RecordExport.WriteAsync(store, filter, format, file, http.RequestAborted));

        DateTimeOffset? TimeOf(string field) => Query(http, field) is not { } text ? null
            : RecordExport.TimeOf(text)
                ?? throw ApiException.BadField(field,
                    $"'{field}' is '{text}', expected a date or a time such as 2026-11-30 or 2026-11-30T12:00:00Z");
    }

    private static ReviewFilter FilterOf(HttpContext http)
    {
        string view = Query(http, "view") ?? "open", reviewer = Caller.UserOf(http.User) ?? Query(http, "user") ?? "";
        string? signal = Query(http, "signal");
        if (signal is not null && !ReviewSignals.All.Contains(signal))
            throw ApiException.BadField("signal", $"'signal' is '{signal}', expected {NearestName.List([.. ReviewSignals.All])}");
        return new()
        {
            App = Query(http, "app"), Signal = signal, Reviewer = reviewer,
            View = Enum.TryParse(view, ignoreCase: true, out ReviewView known) && view.All(char.IsAsciiLetter) ? known
                : throw ApiException.BadField("view",
                    $"'view' is '{view}', expected {NearestName.List([.. Enum.GetNames<ReviewView>().Select(name => name.ToLowerInvariant())])}"),
        };
    }

    private static string? Query(HttpContext http, string name) =>
        http.Request.Query[name].ToString() is { Length: > 0 } text ? text : null;

    /// <summary>Who gives a second opinion is not told the first.</summary>
    private static JsonObject ToJson(ReviewItem item, ReviewFilter filter)
    {
        bool blind = filter.View == ReviewView.Second;
        var json = new JsonObject
        {
            ["id"] = item.Id.ToString(), ["generation_id"] = item.GenerationId.ToString(), ["time"] = item.Time.ToUnixTimeSeconds(),
            ["app"] = item.App, ["user"] = item.Person,
            ["did"] = ReviewFile.NameOf(item.Did), ["messages"] = item.Prompt?.ToJson()["messages"]?.DeepClone(),
            ["original"] = item.Original, ["text"] = item.Text,
            ["others"] =
                new JsonArray(
                    [.. item.Others.Select(other => new JsonObject { ["generation_id"] = other.GenerationId.ToString(),
                        ["text"] = other.Text })]),
            ["signals"] =
                new JsonArray(
                    [.. item.Signals.Where(code => !blind || code != ReviewSignals.LowAgreement).Select(code => JsonValue.Create(code))]),
            ["garbage"] = Math.Round(item.Garbage, 3),
        };
        if (blind) return json;
        json["state"] = JsonNamingPolicy.SnakeCaseLower.ConvertName(item.State.Outcome.ToString());
        json["corrected"] = item.State.Text;
        json["labels"] = new JsonArray([.. item.State.Labels.Select(label => JsonValue.Create(label))]);
        json["decisions"] = new JsonArray([.. item.State.Standing.Select(review => new JsonObject
        {
            ["review_id"] = review.Id.ToString(), ["user"] = review.Reviewer, ["decision"] = Review.NameOf(review.Act),
            ["reason"] = review.Reason, ["time"] = review.Time.ToUnixTimeSeconds(),
        })]);
        return json;
    }
}
