using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests.Apps.Tasks;

/// <summary>Tasks that files describe, over the API: what is there, what goes in, what comes out, and that it is recorded.</summary>
public sealed class TaskApiTests
{
    internal const string Morse = """
        name: morse
        title: {en: Morse, zh-CN: 摩尔斯电码}
        about: {en: From letters to Morse code., zh-CN: 把字母变成摩尔斯电码。}
        licence: Apache-2.0
        fields:
          - {name: text, label: {en: Text, zh-CN: 文字}, max_length: 20}
        form: {ask: "Morse: {{ text|upper }}", max_tokens: 8}
        metrics: [exact]
        sources:
          - {source: draw, limit: 10, draws: [{name: text, of: [a, b]}], answer: "{{ '.-' if text == 'a' else '-...' }}"}
        examples:
          - {fields: {text: a}, answer: .-}
        """;

    internal const string Say = """
        name: say
        title: {en: Say, zh-CN: 读}
        about: {en: From a word to phones., zh-CN: 把单词变成音素。}
        licence: Apache-2.0
        fields:
          - {name: word, label: {en: Word, zh-CN: 单词}, max_length: 20}
        output: {modality: phone}
        form: {ask: "Say {{ word }}", max_tokens: 12}
        """;

    [Fact]
    public async Task Tasks_ListedAndShown_SayWhatTheFileSays()
    {
        await using TestServer server = await StartAsync(Say, Morse);
        JsonObject[] all = [.. (await server.GetAsync("/v1/tasks"))["data"]!.AsArray().Select(task => task!.AsObject())];
        Assert.Subset(all.Select(task => (string)task["id"]!).ToHashSet(), new HashSet<string> { "morse", "say" });
        JsonObject morse = await server.GetAsync("/v1/tasks/morse");
        Assert.Equal("摩尔斯电码", (string?)morse["title"]!["zh-CN"]);
        Assert.Equal(20, (int)morse["fields"]![0]!["max_length"]!);
        Assert.Equal(".-", (string?)morse["examples"]![0]!["answer"]);
        Assert.False((bool)morse["trained"]!);
        Assert.Null(morse["evaluation"]);
        using HttpResponseMessage missing = await server.Http.GetAsync("/v1/tasks/mors");
        Assert.Equal(HttpStatusCode.NotFound, missing.StatusCode);
        Assert.Contains("the task 'mors' does not exist; did you mean 'morse'?", await missing.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Ask_Fields_AreAnsweredRecordedAndCanBeCorrected()
    {
        await using TestServer server = await StartAsync(Morse);
        JsonObject body = new() { ["fields"] = new JsonObject { ["text"] = "sos" }, ["user"] = "ann", ["seed"] = 3 };
        JsonObject answer = await server.PostAsync("/v1/tasks/morse", body);
        Assert.Equal("text", (string?)answer["modality"]);
        Assert.Equal((string?)answer["answer"],
            (string?)(await server.PostAsync("/v1/tasks/morse", (JsonObject)body.DeepClone()))["answer"]);
        Guid id = Guid.Parse((string)answer["generation_id"]!);
        await server.PostAsync("/feedback", new() { ["inference_id"] = id.ToString(), ["metric_name"] = "demonstration",
            ["value"] = "... --- ...", ["user"] = "ann" });
        await using FlywheelStore store = await server.OpenStoreAsync();
        await using FlywheelDb db = store.Tables();
        Generation recorded = await db.Generations.Include(row => row.Payload).SingleAsync(row => row.Id == id);
        Assert.Equal(("tasks/morse", "ann"), (recorded.App, recorded.User));
        Assert.Equal(new Conversation([Message.User("Morse: SOS")]), recorded.Payload!.Conversation);
        Assert.Equal("\"... --- ...\"", (await db.Feedback.SingleAsync(row => row.GenerationId == id)).Value);
    }

    /// <summary>However wild the model: what it says is phones and the end, nothing else, and a correction must be phones too.</summary>
    [Fact]
    public async Task Ask_OutputOfSymbols_IsConfinedToThem()
    {
        await using TestServer server = await StartAsync(Say);
        IReadOnlyDictionary<string, string> phones = ReservedTokens.Symbols("phone");
        for (int seed = 0; seed < 8; seed++)
        {
            JsonObject answer = await server.PostAsync("/v1/tasks/say",
                new() { ["fields"] = new JsonObject { ["word"] = "cat" }, ["seed"] = seed, ["temperature"] = 2 });
            string output = (string)answer["output"]!;
            Assert.NotEmpty(output);
            Assert.All(output.Split(' '), symbol => Assert.Contains(symbol, phones.Keys));
            string id = (string)answer["generation_id"]!;
            if (seed > 0) continue;
            (HttpStatusCode status, JsonObject refused) =
                await server.TryPostAsync("/feedback",
                    new JsonObject { ["inference_id"] = id, ["metric_name"] = "demonstration", ["value"] = "k a t" }.ToJsonString());
            Assert.Equal(HttpStatusCode.BadRequest, status);
            Assert.StartsWith("field 'value' holds 'k', expected symbols of 'phone'", (string)refused["error"]!["message"]!,
                StringComparison.Ordinal);
            await server.PostAsync("/feedback", new() { ["inference_id"] = id, ["metric_name"] = "demonstration", ["value"] = "K AE1 T" });
        }
        await using FlywheelStore store = await server.OpenStoreAsync();
        await using FlywheelDb db = store.Tables();
        HashSet<int> allowed = [.. phones.Values.Select(token => server.Server.Model.Tokenizer.SpecialTokens[token]),
            .. server.Server.Model.Config.EosTokenIds];
        Assert.All(await db.Generations.Include(row => row.Payload).ToListAsync(), row =>
        {
            Assert.All(row.Payload!.Tokens, token => Assert.Contains(token, allowed));
            Assert.Equal("phone", row.Payload.Conversation!.AnswerModality);
            Assert.NotEmpty(row.Payload.Text);
        });
    }

    [Fact]
    public async Task Ask_WrongFields_AreRefusedByNameWithNothingRecorded()
    {
        await using TestServer server = await StartAsync(Morse,
            Say.Replace("modality: phone", "modality: othello", StringComparison.Ordinal), "name: broken\ntitle: x");
        foreach ((string path, string body, HttpStatusCode status, string? param, string message) in new[]
        {
            ("morse", """{"fields": {"text": ""}}""", HttpStatusCode.BadRequest, "fields.text",
                "field 'fields.text' is missing or empty, expected a text"),
            ("morse", """{"fields": {"txt": "a"}}""", HttpStatusCode.BadRequest, "fields.txt",
                "field 'fields.txt' is unknown to the task 'morse'; did you mean 'text'?"),
            ("morse", """{"fields": {"text": {"a": 1}}}""", HttpStatusCode.BadRequest, "fields.text",
                "field 'fields.text' is '{\"a\":1}', expected a text"),
            ("morse", """{"fields": "a"}""", HttpStatusCode.BadRequest, "fields", "field 'fields' is \"a\", expected an object"),
            ("morse", """{"text": "a"}""", HttpStatusCode.BadRequest, "text", "field 'text' is not known here"),
            ("morse", """{"fields": {"text": "a"}, "seed": "x"}""", HttpStatusCode.BadRequest, "seed", "field 'seed' is \"x\""),
            ("morse", """{"fields": {"text": "a"}, "model": "nobody"}""", HttpStatusCode.NotFound, "model",
                "the model 'nobody' does not exist"),
            ("say", """{"fields": {"word": "a"}}""", HttpStatusCode.BadRequest, null,
                "the task 'say' needs tokens of 'othello', which this model's vocabulary does not have"),
            ("broken", """{"fields": {}}""", HttpStatusCode.InternalServerError, null, "the task 'broken' is not usable"),
            ("..%2f..", """{"fields": {}}""", HttpStatusCode.NotFound, "name", "the task '..%2f..' does not exist"),
            ("none", """{"fields": {}}""", HttpStatusCode.NotFound, "name", "the task 'none' does not exist"),
        })
        {
            (HttpStatusCode answered, JsonObject error) = await server.TryPostAsync($"/v1/tasks/{path}", body);
            string told = (string)error["error"]!["message"]!;
            Assert.True(status == answered && told.StartsWith(message, StringComparison.Ordinal)
                && param == (string?)error["error"]!["param"], $"{path} {body}: {answered} {error}");
        }
        await using FlywheelStore store = await server.OpenStoreAsync();
        Assert.Equal(0, (await store.CountAsync()).Generations);
    }

    [Fact]
    public async Task Ask_FileThatWasChanged_CountsAtOnce()
    {
        await using TestServer server = await StartAsync(Morse);
        string file = Path.Combine(server.Home.Path, "tasks", "morse", "task.yaml");
        File.WriteAllText(file, Morse.Replace("max_length: 20", "max_length: 2", StringComparison.Ordinal));
        (_, JsonObject error) = await server.TryPostAsync("/v1/tasks/morse", """{"fields": {"text": "sos"}}""");
        Assert.Equal("field 'fields.text' has 3 characters, expected at most 2", (string?)error["error"]!["message"]);
        Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);
        using HttpResponseMessage gone = await server.Http.GetAsync("/v1/tasks/morse");
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    /// <summary>A server on a model that has tokens for phones, with tasks in its home.</summary>
    internal static async Task<TestServer> StartAsync(params string[] tasks)
    {
        Tokenizer tokenizer = Tokenizer.Train(["Morse: SOS ... --- .- say the word cat", "Say cat"], 320,
            [.. ReservedTokens.Groups["phone"]]);
        TestServer server = await TestServer.StartAsync(tokenizer: tokenizer);
        foreach (string yaml in tasks)
        {
            string folder =
                Directory.CreateDirectory(Path.Combine(server.Home.Path, "tasks", yaml.Split('\n')[0]["name: ".Length..].Trim())).FullName;
            File.WriteAllText(Path.Combine(folder, "task.yaml"), yaml);
        }
        return server;
    }
}
