using System.Text.Json.Nodes;
using System.Threading.Channels;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Flywheel.Studio.Apps.Chat.Arena;

/// <summary><c>/v1/arena</c>: two anonymous models answer one prompt, for programs.</summary>
internal static class ArenaApi
{
    private const int MaxModels = 32;

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/arena/models", ModelsAsync);
        app.MapPost("/v1/arena/rounds", StartAsync);
        app.MapGet("/v1/arena/rounds/{id}", GetAsync);
        app.MapPost("/v1/arena/rounds/{id}/choice", ChooseAsync);
        app.MapGet("/v1/arena/results", ResultsAsync);
    }

    private static async Task ModelsAsync(HttpContext http, Contestants contestants) => await Answers.Json(http, new()
    {
        ["object"] = "list",
        ["data"] = new JsonArray([.. (await contestants.ListAsync()).Select(one => new JsonObject
        {
            ["id"] = one.Id, ["object"] = "arena.model", ["name"] = one.Name, ["model_hash"] = one.Hash, ["adapter_hash"] = one.AdapterHash,
            ["ready"] = one.IsReady,
        })]),
    });

    private static async Task StartAsync(HttpContext http, Arenas arenas, Contestants contestants, TimeProvider time)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "messages", "models", "user", "max_tokens", "max_completion_tokens", "stream");
        Conversation said =
            Conversation.FromJson(body["messages"] as JsonArray
                ?? throw (body["messages"] is { } wrong ? RequestBody.Wrong("messages", wrong, "an array of messages")
            : ApiException.BadField("messages", "field 'messages' is missing, expected an array of messages",
                "missing_required_parameter")));
        if (said.Messages is not [.., { Role: Role.User }])
            throw ApiException.BadField("messages",
                "field 'messages' does not end with a message of the user, which is what the two models answer");
        IReadOnlyList<Contestant> all = await contestants.ListAsync();
        IReadOnlyList<string> wanted = body.Texts("models", MaxModels) is { Count: > 0 } named ? named : Arenas.Usual(all);
        Contestant[] among = [.. wanted.Select(one => Contestants.Find(all, one)).DistinctBy(one => one.Id)];
        if (among.Length < 2)
            throw new ApiException(409, all.Count < 2
                ? "only one model can be asked here, and a round needs two: import another (./flywheel import), or describe an upstream in upstreams.yaml"
                : "field 'models' names one model, expected two or more, of which two are drawn", "models", "one_model");
        string person = body.Text("user", maxLength: 200) ?? "";
        int maxTokens = body.Count("max_completion_tokens", 1, int.MaxValue)
            ?? body.Count("max_tokens", 1, int.MaxValue) ?? Arenas.MaxTokens;
        var id = Guid.CreateVersion7(time.GetUtcNow());
        if (body.Flag("stream") != true)
        {
            await arenas.StartAsync(id, person, body.Owner, said, among, maxTokens, cancellation: http.RequestAborted);
            await (arenas.Find(id)?.Running ?? Task.CompletedTask);
            http.RequestAborted.ThrowIfCancellationRequested();
            await Answers.Json(http, Shown(id, (await arenas.FindAsync(id, person))!));
            return;
        }
        var pieces = Channel.CreateUnbounded<(int Side, string Text)>(new UnboundedChannelOptions { SingleReader = true });
        await arenas.StartAsync(id, person, body.Owner, said, among, maxTokens, (side, text) => pieces.Writer.TryWrite((side, text)),
            http.RequestAborted);
        Task running = arenas.Find(id)?.Running ?? Task.CompletedTask;
        _ = running.ContinueWith(_ => pieces.Writer.TryComplete(), TaskScheduler.Default);
        var stream = new EventStream(http);
        await foreach ((int side, string text) in pieces.Reader.ReadAllAsync(http.RequestAborted))
            if (text.Length > 0)
                await stream.SendAsync(new() { ["id"] = id.ToString(), ["object"] = "arena.round.chunk", ["answer"] = Letter(side),
                    ["delta"] = text });
        await stream.SendAsync(Shown(id, (await arenas.FindAsync(id, person))!));
        await stream.EndAsync();
    }

    private static async Task GetAsync(HttpContext http, string id, Arenas arenas)
    {
        string person = PersonOf(http);
        Guid round = IdOf(id);
        await Answers.Json(http, Shown(round, await arenas.FindAsync(round, person) ?? throw Arenas.NotFound(round)));
    }

    private static async Task ChooseAsync(HttpContext http, string id, Arenas arenas)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "choice", "user");
        ArenaChoice choice = ArenaResults.Named(body.RequiredText("choice"))
            ?? throw RequestBody.Wrong("choice", body["choice"], "a, b, both_good or both_bad");
        Guid round = IdOf(id);
        await Answers.Json(http,
            Shown(round, await arenas.ChooseAsync(round, body.Text("user", maxLength: 200) ?? "", body.Owner, choice)));
    }

    private static async Task ResultsAsync(HttpContext http, FlywheelStore store)
    {
        IReadOnlyDictionary<string, string> names = await ArenaNames.ReadAsync(store, http.RequestAborted);
        await Answers.Json(http, new()
        {
            ["object"] = "list",
            ["data"] = new JsonArray([.. (await ArenaResults.ReadAsync(store, http.RequestAborted)).Select(pair => new JsonObject
            {
                ["object"] = "arena.pair",
                ["first"] = Model(pair.First),
                ["second"] = Model(pair.Second),
                ["choices"] = pair.NumChoices,
                ["people"] = pair.NumPeople,
                ["first_wins"] = pair.FirstWins,
                ["second_wins"] = pair.SecondWins,
                ["both_good"] = pair.BothGood,
                ["both_bad"] = pair.BothBad,
                ["win_rate"] = new JsonObject { ["estimate"] = pair.Rate.Estimate, ["low"] = pair.Rate.Low, ["high"] = pair.Rate.High,
                    ["level"] = 0.95, ["unit"] = pair.CountsPeople ? "person" : "choice" },
            })]),
        });

        JsonObject Model(string id) => new() { ["id"] = id, ["name"] = ArenaNames.Of(names, id) };
    }

    /// <summary>Models are named only when nobody can choose any more.</summary>
    private static JsonObject Shown(Guid id, ArenaRound round) => new()
    {
        ["id"] = id.ToString(),
        ["object"] = "arena.round",
        ["state"] = round.Choice is not null ? "chosen" : round.IsOver ? "void" : round.IsReady ? "ready" : "writing",
        ["left_out"] = round.LeftOut,
        ["choice"] = round.Choice is { } choice ? ArenaResults.NameOf(choice) : null,
        ["answers"] = new JsonArray([.. round.Sides.Select((side, at) =>
        {
            var answer = new JsonObject { ["answer"] = Letter(at), ["state"] = side.State.ToString().ToLowerInvariant(),
                ["generation_id"] = side.Generation.ToString(),
                ["message"] = new JsonObject { ["role"] = "assistant", ["content"] = side.Text } };
            if (round.IsOver) (answer["model"], answer["name"], answer["fault"]) = (side.Id, side.Name, side.Fault);
            return answer;
        })]),
    };

    private static string Letter(int side) => side == 0 ? "a" : "b";

    private static Guid IdOf(string id) => Guid.TryParse(id, out Guid round) ? round
        : throw new ApiException(404,
            $"'{(id.Length <= 80 ? id : id[..77] + "...")}' is no round, expected the id that POST /v1/arena/rounds gave", "id",
            "not_found");

    private static string PersonOf(HttpContext http)
    {
        string stated = http.Request.Query["user"].ToString();
        if (stated.Length > 0 && !Caller.MaySee(http.User, stated))
            throw new ApiException(403, "field 'user' names another user than the key's; leave it out", "user", "user_mismatch",
                "permission_error");
        return Caller.UserOf(http.User) ?? stated;
    }
}

/// <summary>What people call the models of results.</summary>
internal static class ArenaNames
{
    public static async Task<IReadOnlyDictionary<string, string>> ReadAsync(FlywheelStore store,
        CancellationToken cancellation = default) =>
        (await store.ModelsAsync(cancellation)).ToDictionary(row => row.Hash, row => row.Name.Length > 0 ? row.Name : row.ShortHash);

    /// <summary>The adapter's name where there is one; else the model's; a hash that nobody knows shows its beginning.</summary>
    public static string Of(IReadOnlyDictionary<string, string> names, string id)
    {
        if (id.StartsWith(Upstream.Prefix, StringComparison.Ordinal)) return id[Upstream.Prefix.Length..];
        string hash = id[(id.IndexOf('+') + 1)..];
        return names.GetValueOrDefault(hash, hash[..Math.Min(12, hash.Length)]);
    }

    /// <summary>The beginning of the hash that tells two of one name apart; empty of an upstream.</summary>
    public static string HashOf(string id) =>
        id.StartsWith(Upstream.Prefix, StringComparison.Ordinal) ? "" : id[(id.IndexOf('+') + 1)..][..12];
}
