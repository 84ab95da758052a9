using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Studio.Tests;

/// <summary>What the two completion endpoints answer, and that the record says exactly the same.</summary>
public sealed class ChatTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Chat_Plain_IsRecordedExactlyAsAnswered()
    {
        JsonObject request = TestServer.Chat();
        request["n"] = 3;
        request["logprobs"] = true;
        request["top_logprobs"] = 2;
        request["user"] = "ada";
        request["temperature"] = 1.3;
        request["stop"] = "zq";
        JsonObject answer = await _server.PostAsync("/v1/chat/completions", request);

        Assert.Equal("chat.completion", (string)answer["object"]!);
        Assert.Equal(_server.Server.Model.Hash, (string)answer["model_hash"]!);
        JsonArray choices = answer["choices"]!.AsArray();
        Assert.Equal(3, choices.Count);
        Assert.Equal($"chatcmpl-{(string)choices[0]!["generation_id"]!}", (string)answer["id"]!);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        int sampled = 0;
        var groups = new HashSet<Guid>();
        foreach (JsonNode? choice in choices)
        {
            Generation record = (await store.FindGenerationAsync(Guid.Parse((string)choice!["generation_id"]!)))!;
            Assert.Equal((string)choice["message"]!["content"]!, record.Payload!.Text);
            Assert.Equal((string)choice["finish_reason"]!, record.FinishReason.ToString().ToLowerInvariant());
            Assert.Equal((int)choice["index"]!, record.Choice);
            Assert.Equal(("ada", "api", _server.Server.Model.Hash), (record.User, record.App, record.ModelHash));
            Assert.Equal((int)answer["usage"]!["prompt_tokens"]!, record.Payload.PromptTokens.Length);
            Assert.Equal(1.3f, record.Payload.Sampler.Temperature);
            Assert.Equal(["zq"], record.Payload.Stop);
            Assert.Equal("Write a tagline.", record.Payload.Conversation!.Messages[0].Text);
            JsonArray tokens = choice["logprobs"]!["content"]!.AsArray();
            Assert.Equal(record.Payload.Logprobs.Take(tokens.Count), tokens.Select(token => (float)token!["logprob"]!));
            Assert.All(tokens, token => Assert.Equal(2, token!["top_logprobs"]!.AsArray().Count));
            sampled += record.NumTokens;
            groups.Add(record.Group);
        }
        Assert.Equal(sampled, (int)answer["usage"]!["completion_tokens"]!);
        Assert.Single(groups);
    }

    [Fact]
    public async Task Chat_WithSchema_AnswerFitsAndTheGrammarIsRecorded()
    {
        JsonObject request = TestServer.Chat(maxTokens: 200);
        request["response_format"] = JsonNode.Parse("""
            {"type": "json_schema", "json_schema": {"name": "copy", "strict": true, "schema": {"type": "object", "additionalProperties": false, "required": ["tagline", "tone"],
            "properties": {"tagline": {"type": "string", "maxLength": 20}, "tone": {"enum": ["plain", "warm"]}}}}}
            """);
        JsonObject answer = await _server.PostAsync("/v1/chat/completions", request);
        JsonNode choice = answer["choices"]![0]!;
        Assert.Equal("stop", (string)choice["finish_reason"]!);
        JsonObject copy = JsonNode.Parse((string)choice["message"]!["content"]!)!.AsObject();
        Assert.Equal(["tagline", "tone"], copy.Select(pair => pair.Key));
        Assert.Contains((string)copy["tone"]!, new[] { "plain", "warm" });
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation record = (await store.FindGenerationAsync(Guid.Parse((string)choice["generation_id"]!)))!;
        Assert.Contains("tagline", record.Payload!.Sampler.Grammar);
    }

    // What llama.cpp's own server tests ask of forms (tools/server/tests/unit/test_chat_completion.py), put to ours.
    [Theory]
    [InlineData("response_format", """{"type": "json_object", "schema": {"const": "42"}}""", "^\"42\"$")]
    [InlineData("response_format", """{"type": "json_schema", "json_schema": {"schema": {"const": "foooooo"}}}""", "^\"foooooo\"$")]
    [InlineData("response_format", """{"type": "json_object", "schema": {"items": [{"type": "integer"}], "minItems": 1, "maxItems": 1}}""",
        "^\\[\\s*-?[0-9]+\\s*\\]$")]
    [InlineData("response_format", """{"type": "sound"}""", null)]
    [InlineData("response_format", """{"type": "json_object", "schema": 123}""", null)]
    [InlineData("response_format", """{"type": "json_object", "schema": {"type": 123}}""", null)]
    [InlineData("response_format", """{"type": "json_object", "schema": {"type": "hiccup"}}""", null)]
    [InlineData("grammar", "\"root ::= \\\"a\\\"{5,5}\"", "^aaaaa$")]
    [InlineData("grammar", "\"root ::= this is (not valid GBNF\"", null)]
    public async Task Form_AsLlamaServerIsAsked_FitsOrIsRefused(string field, string value, string? pattern)
    {
        JsonObject request = TestServer.Chat(maxTokens: 100);
        request[field] = JsonNode.Parse(value);
        (System.Net.HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync("/v1/chat/completions", request.ToJsonString());
        if (pattern is null)
        {
            Assert.Equal(System.Net.HttpStatusCode.BadRequest, status);
            Assert.NotEmpty((string)answer["error"]!["message"]!);
            return;
        }
        Assert.Equal("stop", (string)answer["choices"]![0]!["finish_reason"]!);
        Assert.Matches(pattern, (string)answer["choices"]![0]!["message"]!["content"]!);
    }

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/completions")]
    public async Task Stream_SameSeed_EqualsPlain(string path)
    {
        JsonObject request = TestServer.Chat(maxTokens: 40);
        if (path == "/v1/completions")
        {
            request.Remove("messages");
            request["prompt"] = new JsonArray("Write a", "The wheel");
            request["logprobs"] = 1;
        }
        else request["logprobs"] = true;
        request["n"] = 2;
        request["temperature"] = 1.5;
        JsonObject plain = await _server.PostAsync(path, request);
        request["stream_options"] = new JsonObject { ["include_usage"] = true };
        List<JsonObject> events = await _server.StreamAsync(path, request);

        foreach (JsonNode usage in new[] { plain["usage"]!, events[^1]["usage"]! })
            Assert.True(usage.AsObject().Remove("prompt_tokens_details")); // the second request finds its prompt in the cache
        Assert.Equal(plain["usage"]!.ToJsonString(), events[^1]["usage"]!.ToJsonString());
        Assert.Empty(events[^1]["choices"]!.AsArray());
        Assert.All(events[..^1], chunk => Assert.True(chunk.ContainsKey("usage") && chunk["usage"] is null));
        foreach (JsonNode? whole in plain["choices"]!.AsArray())
        {
            JsonNode[] chunks =
                [.. events[..^1].Select(chunk => chunk["choices"]![0]!).Where(choice => (int)choice["index"]! == (int)whole!["index"]!)];
            string text = string.Concat(chunks.Select(choice => (string?)(choice["delta"]?["content"] ?? choice["text"])));
            Assert.Equal((string)(whole!["message"]?["content"] ?? whole["text"])!, text);
            Assert.All(chunks[..^1], choice => Assert.Null(choice["finish_reason"]));
            Assert.Equal((string)whole["finish_reason"]!, (string)chunks[^1]["finish_reason"]!);
            Assert.Single(chunks.Select(choice => (string)choice["generation_id"]!).Distinct());
            Assert.Equal(Entries(whole), chunks.SelectMany(Entries));
        }

        static IEnumerable<string> Entries(JsonNode choice) => choice["logprobs"] switch
        {
            null => [],
            var chat when chat["content"] is JsonArray content => content.Select(entry => entry!.ToJsonString()),
            var text =>
                text["tokens"]!.AsArray()
                    .Select((token, i) =>
                        $"{token} {text["token_logprobs"]![i]} {text["text_offset"]![i]} {text["top_logprobs"]![i]!.ToJsonString()}"),
        };
    }

    [Fact]
    public async Task Completion_OfTokenIds_IsThatOfTheirText()
    {
        int[] ids = _server.Server.Model.Tokenizer.Encode("The wheel");
        JsonObject OfPrompt(JsonNode prompt) => new() { ["model"] = "flywheel", ["prompt"] = prompt, ["seed"] = 3, ["max_tokens"] = 16 };
        JsonObject byText = await _server.PostAsync("/v1/completions", OfPrompt("The wheel"));
        JsonObject byIds = await _server.PostAsync("/v1/completions", OfPrompt(new JsonArray([.. ids.Select(id => JsonValue.Create(id))])));
        Assert.Equal((string)byText["choices"]![0]!["text"]!, (string)byIds["choices"]![0]!["text"]!);
        Assert.StartsWith("cmpl-", (string)byText["id"]!);
    }

    [Fact]
    public async Task Chat_WithoutSeed_DrawsOneThatReplays()
    {
        JsonObject request = TestServer.Chat(maxTokens: 30);
        request.Remove("seed");
        request["temperature"] = 1.5;
        JsonObject first = await _server.PostAsync("/v1/chat/completions", request);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation record = (await store.FindGenerationAsync(Guid.Parse((string)first["choices"]![0]!["generation_id"]!)))!;
        request["seed"] = unchecked((long)record.Payload!.Sampler.Seed);
        JsonObject again = await _server.PostAsync("/v1/chat/completions", request);
        Assert.Equal((string)first["choices"]![0]!["message"]!["content"]!, (string)again["choices"]![0]!["message"]!["content"]!);
    }

    [Fact]
    public async Task Chat_NothingSaid_SamplesAsTheModelsFileSays()
    {
        ModelFolder other = _server.AnotherModel(seed: 2);
        File.WriteAllText(Path.Combine(other.Path, "generation_config.json"),
            """{"do_sample": true, "temperature": 0.7, "top_p": 0.9, "top_k": 40}""");
        await _server.PostAsync("/admin/promote", new() { ["model"] = other.Path });
        JsonObject answer = await _server.PostAsync("/v1/chat/completions", TestServer.Chat());
        await using FlywheelStore store = await _server.OpenStoreAsync();
        SamplerOptions used =
            (await store.FindGenerationAsync(Guid.Parse((string)answer["choices"]![0]!["generation_id"]!)))!.Payload!.Sampler;
        Assert.Equal(new SamplerOptions { Temperature = 0.7f, TopP = 0.9f, TopK = 40, Seed = 7 }, used);
    }

    [Fact]
    public async Task Chat_MaxTokens_EndsWithLength()
    {
        JsonObject request = TestServer.Chat(maxTokens: 3);
        JsonObject bias = [];
        foreach (int end in _server.Server.Model.Config.EosTokenIds) bias[$"{end}"] = -100;
        request["logit_bias"] = bias;
        JsonObject answer = await _server.PostAsync("/v1/chat/completions", request);
        Assert.Equal("length", (string)answer["choices"]![0]!["finish_reason"]!);
        Assert.Equal(3, (int)answer["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Client_GoesAwayInTheMiddle_GenerationIsRecordedAsCancelled()
    {
        await using TestServer server = await TestServer.StartAsync(context: 8192);
        JsonObject request = TestServer.Chat(maxTokens: 8000);
        JsonObject bias = [];
        foreach (int end in server.Server.Model.Config.EosTokenIds) bias[$"{end}"] = -100;
        request["logit_bias"] = bias;
        request["stream"] = true;
        string id;
        using (var message = new HttpRequestMessage(HttpMethod.Post,
            "/v1/chat/completions") { Content = new StringContent(request.ToJsonString(), null, "application/json") })
        using (HttpResponseMessage response = await server.Http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead))
        using (var reader = new StreamReader(await response.Content.ReadAsStreamAsync()))
            id = (string)JsonNode.Parse((await reader.ReadLineAsync())!["data: ".Length..])!["choices"]![0]!["generation_id"]!;

        await using FlywheelStore store = await server.OpenStoreAsync();
        Generation? record = null;
        for (int i = 0; i < 600 && record is null; i++)
        {
            await Task.Delay(50);
            record = await store.FindGenerationAsync(Guid.Parse(id));
        }
        Assert.Equal(FinishReason.Cancelled, record?.FinishReason);
        Assert.InRange(record!.NumTokens, 0, 7999);
        for (int i = 0; i < 600 && (int)(await server.GetAsync("/admin/status"))["running"]! > 0; i++) await Task.Delay(50);
        Assert.Equal(0, (int)(await server.GetAsync("/admin/status"))["running"]!);
    }

    [Fact]
    public async Task Queue_Full_Answers429AndSaysWhenToComeBack()
    {
        await using TestServer server = await TestServer.StartAsync(new() { Threads = 1, MaxBatch = 2, MaxQueue = 1 });
        JsonObject request = TestServer.Chat();
        request["n"] = 8;
        using HttpResponseMessage response = await server.Http.PostAsync("/v1/chat/completions",
            new StringContent(request.ToJsonString(), null, "application/json"));
        Assert.Equal(429, (int)response.StatusCode);
        Assert.InRange(response.Headers.RetryAfter!.Delta!.Value, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(2));
        Assert.Equal("rate_limit_exceeded", (string)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["code"]!);

        // Those that were let in leave at the engine's next step: a client that keeps coming back gets its place.
        HttpResponseMessage again;
        int attempts = 0;
        do
        {
            await Task.Delay(100, TestContext.Current.CancellationToken);
            again = await server.Http.PostAsync("/v1/chat/completions",
                new StringContent(TestServer.Chat().ToJsonString(), null, "application/json"));
        }
        while ((int)again.StatusCode == 429 && ++attempts < 300);
        Assert.Equal(200, (int)again.StatusCode);
    }
}
