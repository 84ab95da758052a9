using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Studio.Access;
using Flywheel.Studio.OpenAI;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Apps.Write.Sharing;

/// <summary><c>/v1/shares</c>: links by which outsiders choose between drafts, for programs.</summary>
internal static class ShareApi
{
    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapPost("/v1/shares", CreateAsync);
        app.MapGet("/v1/shares", ListAsync);
        app.MapGet("/v1/shares/{id}", GetAsync);
        app.MapDelete("/v1/shares/{id}", RevokeAsync);
    }

    private static async Task CreateAsync(HttpContext http, Shares shares, TimeProvider time)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "brief", "set", "days", "user");
        string person = body.Text("user", maxLength: 200) ?? "";
        Guid brief = Id(body, "brief") ?? throw RequestBody.Wrong("brief", null, "the id of a brief");
        (Document document, ShareBody share) = await shares.CreateAsync(person, brief, Id(body, "set"),
            body.Count("days", Shares.MinDays, Shares.MaxDays) ?? Shares.DefaultDays);
        await Answers.Json(http, await StateAsync(http, shares, document, share, time));
    }

    private static Guid? Id(RequestBody body, string field) => body.Text(field, 80) is not { } text ? null
        : Guid.TryParse(text, out Guid id) ? id : throw RequestBody.Wrong(field, body[field], "an id (a UUID)");

    private static async Task ListAsync(HttpContext http, Shares shares, TimeProvider time)
    {
        var data = new JsonArray();
        var (whole, damaged) = await shares.ListAsync(PersonOf(http));
        foreach ((Document document, ShareBody share) in whole) data.Add(await StateAsync(http, shares, document, share, time));
        foreach (Damaged one in damaged) data.Add(one.ToJson("share"));
        await Answers.Json(http, new() { ["object"] = "list", ["data"] = data });
    }

    private static async Task GetAsync(HttpContext http, string id, Shares shares, TimeProvider time)
    {
        (Document document, ShareBody share) = await FindAsync(shares, id, PersonOf(http));
        await Answers.Json(http, await StateAsync(http, shares, document, share, time));
    }

    private static async Task RevokeAsync(HttpContext http, string id, Shares shares)
    {
        string person = PersonOf(http);
        await shares.RevokeAsync((await FindAsync(shares, id, person)).Document.Id, person);
        await Answers.Json(http, new() { ["id"] = id, ["revoked"] = true });
    }

    private static async Task<JsonObject> StateAsync(HttpContext http, Shares shares, Document document, ShareBody share, TimeProvider time)
    {
        ShareTally tally = await shares.TallyAsync(document.Id, share);
        return new()
        {
            ["id"] = document.Id.ToString(),
            ["object"] = "share",
            ["brief"] = share.Brief.ToString(),
            ["url"] = $"{http.Request.Scheme}://{http.Request.Host}/{GuestPages.Root}/{share.Token}",
            ["created"] = document.Created.ToUnixTimeSeconds(),
            ["expires"] = share.Expires.ToUnixTimeSeconds(),
            ["state"] = share.Revoked is not null ? "revoked" : share.IsOpen(time.GetUtcNow()) ? "open" : "expired",
            ["people"] = tally.NumPeople,
            ["none"] = tally.None,
            ["drafts"] =
                new JsonArray(
                    [.. share.Drafts.Select((draft, index) =>
                        new JsonObject { ["generation_id"] = draft.Generation.ToString(), ["text"] = draft.Text,
                            ["chosen"] = tally.Chosen[index] })]),
            ["reasons"] =
                new JsonArray(
                    [.. tally.Reasons.Select(reason => new JsonObject { ["draft"] = reason.Draft == 0 ? null : reason.Draft - 1,
                        ["text"] = reason.Text })]),
        };
    }

    private static async Task<(Document Document, ShareBody Body)> FindAsync(Shares shares, string id, string person) =>
        (Guid.TryParse(id, out Guid share) ? await shares.FindAsync(share, person) : null)
            ?? throw new ApiException(404, $"there is no share with the id '{Short(id)}' here", "id", "not_found");

    /// <summary>Whose links: the user of the key; else the one that the caller names.</summary>
    private static string PersonOf(HttpContext http)
    {
        string stated = http.Request.Query["user"].ToString();
        if (stated.Length > 0 && !Caller.MaySee(http.User, stated))
            throw new ApiException(403, $"field 'user' is '{Short(stated)}', but the key is another user's; leave the field out", "user",
                "user_mismatch", "permission_error");
        return Caller.UserOf(http.User) ?? stated;
    }

    private static string Short(string text) => text.Length <= 80 ? text : text[..77] + "...";
}
