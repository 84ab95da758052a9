using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests;

/// <summary><c>/v1/audio/shorten</c>: who offers shorter texts, what is let through, and what becomes of it.</summary>
public sealed class ShortenTests
{
    private const string Line = "Por favor marque el 7 en este momento.";

    private static JsonObject Request(string who) =>
        new() { ["text"] = Line, ["language"] = "es-mx", ["max_characters"] = 14, ["shorten"] = who, ["user"] = "ann" };

    [Fact]
    public async Task Shorten_ByRulesAndAModel_OffersWhatKeepsTheLineAndLearnsWhatIsTaken()
    {
        await using FakeUpstream fake = await FakeUpstream.StartAsync();
        await using TestServer server = await TestServer.StartAsync();
        File.WriteAllText(Path.Combine(server.Home.Path, Upstreams.FileName),
            $"upstreams:\n  - {{name: short, base_url: {fake.Url}, model: shortener, may_train: true}}\n");

        JsonObject byRule = await server.PostAsync("/v1/audio/shorten", Request("rules"));
        JsonNode one = Assert.Single((JsonArray)byRule["data"]!)!;
        Assert.Equal(("Marque el 7 ahora.", "rule", false), ((string)one["text"]!, (string)one["origin"]!, (bool)one["fits"]!));

        // Of four texts one lost the number, one is no shorter, two are good; the longest that fits is first.
        JsonObject byModel = await server.PostAsync("/v1/audio/shorten", Request("short"));
        Assert.Contains("Shorten this Spanish line for dubbing to at most 14 characters.", fake.Asked.ToJsonString(),
            StringComparison.Ordinal);
        Assert.Equal([("Marque el 7.", "model", true), ("Marque el 7 ahora.", "model", false)],
            ((JsonArray)byModel["data"]!).Select(each => ((string)each!["text"]!, (string)each["origin"]!, (bool)each["fits"]!)));
        Assert.Equal(2, ((JsonArray)byModel["refused"]!).Count);
        Assert.Contains("the number 7 is not in it", (string)byModel["refused"]![0]!, StringComparison.Ordinal);

        // What is taken, and what an edit makes of it, is an example; the edit is offered for the same line from now on.
        foreach ((string id, JsonNode value, string metric) in new[] { ((string)byModel["data"]![0]!["generation_id"]!,
            JsonValue.Create(true), "keep"), ((string)one["generation_id"]!, (JsonNode)"Ahora el 7.", "demonstration") })
            await server.PostAsync("/feedback", new JsonObject { ["inference_id"] = id, ["metric_name"] = metric, ["value"] = value,
                ["user"] = "ann" });
        JsonObject again = await server.PostAsync("/v1/audio/shorten", Request("rules"));
        Assert.Equal(("Ahora el 7.", "people", true),
            ((string)again["data"]![0]!["text"]!, (string)again["data"]![0]!["origin"]!, (bool)again["data"]![0]!["fits"]!));
        await using FlywheelStore store = await FlywheelStore.OpenAsync(server.Home);
        await using FlywheelDb db = store.Tables();
        List<Guid?> groups = [.. await db.Generations.Where(row => row.App == "voice").Select(row => (Guid?)row.Group).ToListAsync()];
        (List<Shown> shown, List<Feedback> feedback) =
            await FeedbackReader.LoadAsync(db, Upstreams.Read(server.Home), groups, withTokens: false, default);
        Assert.Equal(["Ahora el 7.", "Marque el 7."],
            Curator.Curate(shown, feedback, new CurationRules(1, _ => true))
                .Where(row => row is { Drop: null, Kind: ExampleKind.Supervised }).Select(row => row.Preferred)
                .Order(StringComparer.Ordinal));

        // A model that does not follow orders is asked all the same, and what it writes is looked through; what is wrong is named.
        (HttpStatusCode status, JsonObject answer) = await server.TryPostAsync("/v1/audio/shorten", Request("nobody").ToJsonString());
        Assert.Equal((HttpStatusCode.BadRequest, "shorten"), (status, (string)answer["error"]!["param"]!));
        JsonObject none = Request("rules");
        none["max_characters"] = 0;
        Assert.Equal("max_characters",
            (string)(await server.TryPostAsync("/v1/audio/shorten", none.ToJsonString())).Item2["error"]!["param"]!);
    }

    /// <summary>A colleague's words in somebody else's suggestion are found by whom they came from: they go when that person is forgotten,
    /// and none is made of what was taken back.</summary>
    [Fact]
    public async Task Shorten_ByAColleaguesText_OffersWhatStandsAndForgetsItWithThem()
    {
        using var folder = new TempFolder();
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"]));
        var shortener = new Shortener(store, null!, TimeProvider.System); // no model is asked
        await SayAsync("ann", "Ahora el 7.");
        Guid wrong = await SayAsync("ann", "Ya el 7.");
        await store.AddFeedbackAsync(new FeedbackInput(wrong, Metrics.Retract, true, "ann"));
        ShorterSuggestion offered = Assert.Single(await OfferedAsync("bob"), one => one.Origin == "people");
        Assert.Equal("Ahora el 7.", offered.Text);
        // What somebody wrote without letting models learn from it is nobody's example, nor is it by way of a colleague's answer.
        await SayAsync("eve", "El 7 ya.");
        await using (FlywheelDb rows = store.Tables())
            await rows.Generations.Where(row => row.User == "eve")
                .ExecuteUpdateAsync(row => row.SetProperty(answer => answer.Consent, Consent.Refused));
        Assert.Equal("Ahora el 7.", Assert.Single(await OfferedAsync("bob"), one => one.Origin == "people").Text);
        await store.AddFeedbackAsync(new FeedbackInput(offered.Id, Metrics.Keep, true, "bob"));
        await using FlywheelDb db = store.Tables();
        var turn = new TurnRow { Id = Guid.NewGuid(), Number = 1, Started = DateTimeOffset.UnixEpoch, Ended = DateTimeOffset.UnixEpoch,
            State = TurnState.Rejected, Champion = "", Recipe = "" };
        db.Turns.Add(turn);
        db.Examples.Add(new ExampleRow { TurnId = turn.Id, Kind = ExampleKind.Supervised, Split = Split.Train, User = "bob",
            GenerationId = offered.Id });
        await db.SaveChangesAsync();
        Assert.Equal([1], (await new Forget(store).PreviewAsync("ann")).Turns); // which has learnt it from bob
        await db.Examples.ExecuteDeleteAsync();
        await db.Turns.ExecuteDeleteAsync();
        await new Forget(store).RunAsync("ann");
        Assert.DoesNotContain("Ahora",
            string.Join('\n', (await db.Generations.Include(row => row.Payload).ToListAsync()).Select(row => row.Payload?.Text)),
            StringComparison.Ordinal);
        (List<Shown> shown, List<Feedback> feedback) =
            await FeedbackReader.LoadAsync(db, new Upstreams(), [offered.Id], withTokens: false, default);
        Assert.DoesNotContain(Curator.Curate(shown, feedback, new CurationRules(1, _ => true)), row => row.Drop is null);

        async Task<IReadOnlyList<ShorterSuggestion>> OfferedAsync(string user)
        {
            var caller = new TranscriptCaller(user, "", WorkspaceRow.Default);
            PeoplesTexts people = await shortener.PeoplesAsync("es-mx", caller, TestContext.Current.CancellationToken);
            return (await shortener.SuggestAsync(new LongLine(Line, "es-mx", 14), people, Shortener.Rules, caller,
                TestContext.Current.CancellationToken)).Suggestions;
        }

        async Task<Guid> SayAsync(string user, string text)
        {
            Guid about = (await OfferedAsync(user)).Single(one => one.Origin == "rule").Id;
            await store.AddFeedbackAsync(new FeedbackInput(about, Metrics.Demonstration, text, user));
            return about;
        }
    }
}
