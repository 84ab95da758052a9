using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.OpenAI;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Apps.Translate;

/// <summary><c>/v1/translate</c>: texts, the translation memory and the glossary, for programs.</summary>
internal static class TranslateApi
{
    private const int MaxSegments = 2000, MaxText = 500_000, MaxListed = 1000;

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapPost("/v1/translate", TranslateAsync);
        app.MapGet("/v1/translate/engines", EnginesAsync);
        app.MapGet("/v1/translate/memory", ListMemoryAsync);
        app.MapPost("/v1/translate/memory", AddMemoryAsync);
        app.MapDelete("/v1/translate/memory/{id}", DeleteMemoryAsync);
        app.MapGet("/v1/translate/memory/export", ExportMemoryAsync).Audited("translation memory");
        app.MapPost("/v1/translate/memory/import", ImportMemoryAsync);
        app.MapGet("/v1/translate/glossary", ListGlossaryAsync);
        app.MapPost("/v1/translate/glossary", AddTermAsync);
        app.MapDelete("/v1/translate/glossary/{id}", DeleteTermAsync);
        app.MapGet("/v1/translate/glossary/export", ExportGlossaryAsync).Audited("glossary");
        app.MapPost("/v1/translate/glossary/import", ImportGlossaryAsync);
    }

    private static async Task TranslateAsync(HttpContext http, Translator translator)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "text", "segments", "source", "target", "engine", "memory", "glossary", "user");
        LanguagePair pair = PairOf(http, body.RequiredText("source", 35), body.RequiredText("target", 35));
        (IReadOnlyList<string> segments, IReadOnlyList<string>? between) = Segments(body, pair.From);
        var caller = new DraftCaller(body.Text("user", maxLength: 200) ?? "", body.Owner, "api");
        string? engine = body.Text("engine") switch
        {
            "none" => null,
            null or "auto" => await translator.DefaultEngineAsync(pair.From, pair.To, http.RequestAborted),
            { } name => translator.Engine(name)?.Name
                ?? throw RequestBody.Wrong("engine", body["engine"],
                    $"auto, none or one of {string.Join(", ", translator.Engines.Select(one => one.Name))}"),
        };
        IReadOnlyList<TranslatedSegment> translated = await translator.TranslateAsync(new TranslationOrder
        {
            Segments = segments, Pair = pair, Engine = engine, UseMemory = body.Flag("memory") ?? true,
            UseGlossary = body.Flag("glossary") ?? true, Caller = caller,
        }, http.RequestAborted);
        var answer = new JsonObject { ["object"] = "translation", ["source"] = pair.From, ["target"] = pair.To, ["engine"] = engine };
        if (between is not null) answer["text"] = string.Concat(translated.Select((one, i) => one.Target + between[i]));
        answer["segments"] = new JsonArray([.. translated.Select(ToJson)]);
        await Answers.Json(http, answer);
    }

    /// <summary>Either a text, cut into sentences, with what stands after each; or segments as they are.</summary>
    private static (IReadOnlyList<string>, IReadOnlyList<string>?) Segments(RequestBody body, string from)
    {
        if (body["segments"] is not null)
        {
            if (body["text"] is not null)
                throw ApiException.BadField("segments", "field 'segments' is given beside 'text', expected one of them");
            IReadOnlyList<string> given = body.Texts("segments", MaxSegments);
            return given.FirstOrDefault(text => text.Length > TranslationMemory.MaxLength) is { } longest
                ? throw ApiException.BadField("segments",
                    $"field 'segments' has a text of {longest.Length} characters, expected at most {TranslationMemory.MaxLength}")
                    : (given, null);
        }
        List<Sentence> sentences =
            [.. body.RequiredText("text", MaxText).Split('\n')
                .SelectMany((line, i) => (i == 0 ? [] : (Sentence[])[new("", "\n")]).Concat(Segmenter.Split(line, from)))];
        if (sentences.Count > 2 * MaxSegments)
            throw ApiException.BadField("text",
                $"field 'text' has more than {2 * MaxSegments} sentences and line ends, expected fewer; send it in parts");
        return ([.. sentences.Select(one => one.Text)], [.. sentences.Select(one => one.After)]);
    }

    private static JsonNode ToJson(TranslatedSegment segment) => new JsonObject
    {
        ["source"] = segment.Source,
        ["target"] = segment.Target,
        ["engine"] = segment.Origin.Length > 0 ? segment.Origin : null,
        ["match_score"] = segment.Score,
        ["generation_id"] = segment.Generation?.ToString(),
        ["match"] = segment.Match is { } match ? new JsonObject { ["id"] = match.Unit.Id.ToString(), ["text"] = match.Unit.Source,
            ["translation"] = match.Unit.Target, ["score"] = match.Score, ["same_context"] = match.SameContext } : null,
        ["issues"] =
            new JsonArray(
                [.. segment.Issues.Select(issue => new JsonObject { ["kind"] = NameOf(issue.Kind), ["what"] = issue.What,
                    ["about"] = issue.About.Length > 0 ? issue.About : null, ["fixed"] = issue.Fixed })]),
    };

    private static string NameOf(IssueKind kind) => System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString());

    private static async Task EnginesAsync(HttpContext http, Translator translator)
    {
        LanguagePair pair = PairOf(http);
        var engines = new JsonArray();
        foreach (IDraftEngine engine in translator.Engines)
        {
            EngineState state = await engine.StateAsync(pair.From, pair.To, http.RequestAborted);
            engines.Add(new JsonObject { ["name"] = engine.Name,
                ["status"] = System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(state.Status.ToString()),
                ["remedy"] = state.Remedy });
        }
        await Answers.Json(http, new() { ["object"] = "list", ["data"] = engines,
            ["default"] = await translator.DefaultEngineAsync(pair.From, pair.To, http.RequestAborted) });
    }

    private static async Task ListMemoryAsync(HttpContext http, TranslationMemory memory)
    {
        (int skip, int take) = (Number(http, "offset", 0, int.MaxValue), Number(http, "limit", 100, MaxListed));
        (IReadOnlyList<TranslationUnit> units, int total) =
            await memory.ListAsync(PairOf(http), http.Request.Query["search"].ToString(), skip, take, http.RequestAborted);
        await Answers.Json(http, new() { ["object"] = "list", ["data"] = new JsonArray([.. units.Select(ToJson)]), ["total"] = total });
    }

    private static async Task AddMemoryAsync(HttpContext http, TranslationMemory memory)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "source", "target", "text", "translation", "context", "user");
        LanguagePair pair = PairOf(http, body.RequiredText("source", 35), body.RequiredText("target", 35));
        TranslationUnit unit = await memory.AddAsync(pair, body.Text("user", maxLength: 200) ?? "",
            body.RequiredText("text", TranslationMemory.MaxLength),
            body.RequiredText("translation", TranslationMemory.MaxLength), body.Text("context", TranslationMemory.MaxLength) ?? "",
            cancellation: CancellationToken.None);
        await Answers.Json(http, ToJson(unit));
    }

    private static async Task DeleteMemoryAsync(HttpContext http, string id, TranslationMemory memory) =>
        await DeletedAsync(http, id, Guid.TryParse(id, out Guid unit)
            && await memory.DeleteAsync(Caller.WorkspaceOf(http.User), unit, CancellationToken.None), "unit of the memory");

    private static async Task<IResult> ExportMemoryAsync(HttpContext http, TranslationMemory memory)
    {
        LanguagePair pair = PairOf(http);
        using var stream = new MemoryStream();
        await memory.ExportAsync(pair, stream, http.RequestAborted);
        return FileOf(http, stream.ToArray(), "application/xml", $"flywheel-{pair.From}-{pair.To}.tmx");
    }

    private static async Task ImportMemoryAsync(HttpContext http, TranslationMemory memory)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "source", "target", "tmx", "user");
        LanguagePair pair = PairOf(http, body.RequiredText("source", 35), body.RequiredText("target", 35));
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(WithoutDeclaration(body.RequiredText("tmx"))));
        (int added, int passed) = await memory.ImportAsync(pair, body.Text("user", maxLength: 200) ?? "", stream, CancellationToken.None);
        await Answers.Json(http, new() { ["added"] = added, ["passed_over"] = passed });
    }

    // The text is in JSON's encoding now, whatever its first line says.
    private static string WithoutDeclaration(string xml) =>
        xml.StartsWith("<?xml", StringComparison.Ordinal) && xml.IndexOf("?>", StringComparison.Ordinal) is > 0 and int end
            ? xml[(end + 2)..] : xml;

    private static async Task ListGlossaryAsync(HttpContext http, Glossary glossary) =>
        await Answers.Json(http, new() { ["object"] = "list",
            ["data"] = new JsonArray([.. (await glossary.ListAsync(PairOf(http), http.RequestAborted)).Rows.Select(ToJson)]) });

    private static async Task AddTermAsync(HttpContext http, Glossary glossary)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "source", "target", "term", "translation", "forbidden", "note", "user");
        LanguagePair pair = PairOf(http, body.RequiredText("source", 35), body.RequiredText("target", 35));
        var term = new TermInput(body.RequiredText("term"), body.Text("translation") ?? "", string.Join(';', body.Texts("forbidden", 20)),
            body.Text("note") ?? "");
        await Answers.Json(http,
            ToJson(await glossary.PutAsync(pair, body.Text("user", maxLength: 200) ?? "", term, CancellationToken.None)));
    }

    private static async Task DeleteTermAsync(HttpContext http, string id, Glossary glossary) =>
        await DeletedAsync(http, id, Guid.TryParse(id, out Guid term)
            && await glossary.DeleteAsync(Caller.WorkspaceOf(http.User), term, CancellationToken.None), "term");

    private static async Task<IResult> ExportGlossaryAsync(HttpContext http, Glossary glossary)
    {
        LanguagePair pair = PairOf(http);
        return FileOf(http, GlossaryCsv.Write((await glossary.ListAsync(pair, http.RequestAborted)).Rows), "text/csv; charset=utf-8",
            $"flywheel-glossary-{pair.From}-{pair.To}.csv");
    }

    private static async Task ImportGlossaryAsync(HttpContext http, Glossary glossary)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "source", "target", "csv", "user");
        LanguagePair pair = PairOf(http, body.RequiredText("source", 35), body.RequiredText("target", 35));
        IReadOnlyList<TermRow> terms = await glossary.PutAsync(pair, body.Text("user", maxLength: 200) ?? "",
            GlossaryCsv.Read(body.RequiredText("csv")), CancellationToken.None);
        await Answers.Json(http, new() { ["put"] = terms.Count });
    }

    private static JsonObject ToJson(TranslationUnit unit) => new()
    {
        ["id"] = unit.Id.ToString(), ["source"] = unit.SourceLanguage, ["target"] = unit.TargetLanguage, ["text"] = unit.Source,
        ["translation"] = unit.Target,
        ["context"] = unit.Context.Length > 0 ? unit.Context : null, ["user"] = unit.User, ["created"] = unit.Created.ToUnixTimeSeconds(),
        ["updated"] = unit.Updated.ToUnixTimeSeconds(),
    };

    private static JsonObject ToJson(TermRow term) => new()
    {
        ["id"] = term.Id.ToString(), ["source"] = term.SourceLanguage, ["target"] = term.TargetLanguage, ["term"] = term.Source,
        ["translation"] = term.Target,
        ["forbidden"] =
            new JsonArray([.. term.Forbidden.Split("; ", StringSplitOptions.RemoveEmptyEntries).Select(text => JsonValue.Create(text))]),
            ["note"] = term.Note, ["user"] = term.User,
    };

    private static async Task DeletedAsync(HttpContext http, string id, bool deleted, string what)
    {
        if (!deleted)
            throw new ApiException(404, $"there is no {what} with the id '{(id.Length <= 80 ? id : id[..77] + "...")}' here", "id",
                "not_found");
        await Answers.Json(http, new() { ["id"] = id, ["deleted"] = true });
    }

    private static IResult FileOf(HttpContext http, byte[] content, string type, string name)
    {
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.File(content, type, name);
    }

    private static LanguagePair PairOf(HttpContext http) =>
        PairOf(http, http.Request.Query["source"].ToString(), http.Request.Query["target"].ToString());

    /// <summary>The languages of a request, in the workspace of its key.</summary>
    private static LanguagePair PairOf(HttpContext http, string from, string to)
    {
        string source = Tag("source", from), target = Tag("target", to);
        return source == target
            ? throw ApiException.BadField("target", $"field 'target' is '{to}', the language of the source; expected another") : new(
                Caller.WorkspaceOf(http.User), source, target);
    }

    private static string Tag(string field, string tag) => Language.Find(tag)?.Tag
        ?? throw ApiException.BadField(field,
            $"field '{field}' is '{tag}', expected a language: one of {string.Join(", ", Language.All.Select(one => one.Tag))}");

    private static int Number(HttpContext http, string name, int absent, int max)
    {
        if (http.Request.Query[name].ToString() is not { Length: > 0 } text) return absent;
        return int.TryParse(text, out int number) && number >= 0 && number <= max
            ? number : throw ApiException.BadField(name, $"field '{name}' is '{text}', expected a number from 0 to {max}");
    }
}
