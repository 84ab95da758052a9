using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Studio.OpenAI;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Tests;

/// <summary>Whatever comes in, what goes out is an answer or OpenAI's error object that names what to mend.</summary>
public sealed class ErrorTests(OneServer one) : IClassFixture<OneServer>
{
    private const string ChatPath = "/v1/chat/completions", TextPath = "/v1/completions";

    private readonly TestServer _server = one.Server;

    [Theory]
    // path, field and value set on a good request, status, param, code, and what the message says
    [InlineData(ChatPath, "model", "\"gpt-9\"", 404, "model", "model_not_found", "gpt-9")]
    [InlineData(ChatPath, "model", "null", 400, "model", "missing_required_parameter", "model")]
    [InlineData(ChatPath, "messages", "[]", 400, "messages", "invalid_value", "empty")]
    [InlineData(ChatPath, "messages", "null", 400, "messages", "missing_required_parameter", "messages")]
    [InlineData(ChatPath, "messages", "\"hello\"", 400, "messages", "invalid_value", "array")]
    [InlineData(ChatPath, "messages", """[{"role": "wizard", "content": "x"}]""", 400, "messages[0].role", "invalid_value", "wizard")]
    [InlineData(ChatPath, "messages", """[{"role": "user"}]""", 400, "messages[0].content", "invalid_value", "missing")]
    [InlineData(ChatPath, "temperature", "3", 400, "temperature", "invalid_value", "0 to 2")]
    [InlineData(ChatPath, "temperature", "\"hot\"", 400, "temperature", "invalid_value", "hot")]
    [InlineData(ChatPath, "temperature", "1e999", 400, "temperature", "invalid_value", "0 to 2")]
    [InlineData(ChatPath, "top_p", "-0.1", 400, "top_p", "invalid_value", "0 to 1")]
    [InlineData(ChatPath, "presence_penalty", "2.5", 400, "presence_penalty", "invalid_value", "-2 to 2")]
    [InlineData(ChatPath, "n", "0", 400, "n", "invalid_value", "1 to 128")]
    [InlineData(ChatPath, "n", "1.5", 400, "n", "invalid_value", "integer")]
    [InlineData(ChatPath, "seed", "12345678901234567890123", 400, "seed", "invalid_value", "integer")]
    [InlineData(ChatPath, "max_tokens", "0", 400, "max_tokens", "invalid_value", "1 to")]
    [InlineData(ChatPath, "max_completion_tokens", "-4", 400, "max_completion_tokens", "invalid_value", "1 to")]
    [InlineData(ChatPath, "stop", "[\"a\", 1]", 400, "stop", "invalid_value", "texts")]
    [InlineData(ChatPath, "stop", "\"\"", 400, "stop", "invalid_value", "empty")]
    [InlineData(ChatPath, "stream", "1", 400, "stream", "invalid_value", "true or false")]
    [InlineData(ChatPath, "stream_options", "{}", 400, "stream_options", "invalid_value", "stream")]
    [InlineData(ChatPath, "top_logprobs", "3", 400, "top_logprobs", "invalid_value", "logprobs")]
    [InlineData(ChatPath, "logprobs", "5", 400, "logprobs", "invalid_value", "true or false")]
    [InlineData(ChatPath, "logit_bias", """{"99999": 1}""", 400, "logit_bias", "invalid_value", "99999")]
    [InlineData(ChatPath, "logit_bias", """{"5": 101}""", 400, "logit_bias.5", "invalid_value", "-100 to 100")]
    [InlineData(ChatPath, "tool_choice", "\"required\"", 400, "tool_choice", "invalid_value", "without 'tools'")]
    [InlineData(ChatPath, "functions", """[{"name": "f"}]""", 400, "functions", "unsupported_parameter", "tools")]
    [InlineData(TextPath, "tools", "[]", 400, "tools", "unknown_parameter", "tools")]
    [InlineData(ChatPath, "grammar", "\"root ::= [\"", 400, "grammar", "invalid_value", "line 1")]
    [InlineData(ChatPath, "response_format", """{"type": "xml"}""", 400, "response_format.type", "invalid_value", "json_schema")]
    [InlineData(ChatPath, "response_format", """{"type": "json_schema", "json_schema": {"name": "x"}}""", 400, "response_format",
        "invalid_value", "missing")]
    [InlineData(ChatPath, "response_format", """{"type": "json_schema", "json_schema": {"schema": {"type": "string", "not": {}}}}""", 400,
        "response_format", "invalid_value", "not")]
    [InlineData(ChatPath, "temprature", "1", 400, "temprature", "unknown_parameter", "temperature")]
    [InlineData(ChatPath, "user", "7", 400, "user", "invalid_value", "text")]
    [InlineData(ChatPath, "metadata", """{"a": 1}""", 400, "metadata", "invalid_value", "16 texts")]
    [InlineData(TextPath, "prompt", "null", 400, "prompt", "missing_required_parameter", "prompt")]
    [InlineData(TextPath, "prompt", "\"\"", 400, "prompt", "invalid_value", "empty")]
    [InlineData(TextPath, "prompt", "[1, -5]", 400, "prompt", "invalid_value", "-5")]
    [InlineData(TextPath, "prompt", "{}", 400, "prompt", "invalid_value", "text")]
    [InlineData(TextPath, "suffix", "\"end\"", 400, "suffix", "unsupported_parameter", "suffix")]
    [InlineData(TextPath, "echo", "true", 400, "echo", "unsupported_parameter", "echo")]
    [InlineData(TextPath, "best_of", "3", 400, "best_of", "unsupported_parameter", "best_of")]
    [InlineData(TextPath, "logprobs", "6", 400, "logprobs", "invalid_value", "0 to 5")]
    [InlineData("/feedback", "inference_id", "\"7\"", 400, "inference_id", "invalid_value", "'7'")]
    [InlineData("/feedback", "metric_name", "\"like\"", 400, "metric_name", "invalid_value", "keep")]
    [InlineData("/feedback", "value", "false", 400, "value", "invalid_value", "true")]
    [InlineData("/feedback", "valeu", "true", 400, "valeu", "invalid_value", "value")]
    [InlineData("/feedback", "tags", "[]", 400, "tags", "invalid_value", "object")]
    [InlineData("/admin/promote", "model", "\"/nowhere\"", 400, "model", "promotion_failed", "/nowhere")]
    public async Task Request_OneFieldWrong_IsRefusedByName(string path, string field, string value, int status, string param, string code,
        string says)
    {
        JsonObject request = Good(path);
        request[field] = "VALUE";
        string body = request.ToJsonString().Replace("\"VALUE\"", value, StringComparison.Ordinal);
        (HttpStatusCode answered, JsonObject answer) = await _server.TryPostAsync(path, body);
        JsonNode error = answer["error"]!;
        Assert.True(status == (int)answered, $"{answered} {answer}");
        Assert.Equal((param, code), ((string)error["param"]!, (string)error["code"]!));
        Assert.Contains(says, (string)error["message"]!, StringComparison.Ordinal);
        Assert.Equal("invalid_request_error", (string)error["type"]!);
    }

    [Theory]
    [InlineData("", "not valid JSON")]
    [InlineData("{\"model\": ", "not valid JSON")]
    [InlineData("[]", "a JSON object")]
    [InlineData("null", "a JSON object")]
    [InlineData("{\"n\": 1, \"n\": 2}", "not valid JSON")]
    [InlineData("{\"model\": \"\\ud800\"}", "not valid JSON")]
    [InlineData("{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"\\udc00\"}]}]}", "not valid JSON")]
    public async Task Body_NotAnObject_SaysSo(string body, string says)
    {
        foreach (string path in new[] { ChatPath, TextPath, "/feedback", "/admin/promote" })
        {
            (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(path, body);
            Assert.Equal(HttpStatusCode.BadRequest, status);
            Assert.Contains(says, (string)answer["error"]!["message"]!, StringComparison.Ordinal);
            Assert.Equal("invalid_json", (string)answer["error"]!["code"]!);
        }
    }

    [Fact]
    public async Task Body_NotUtf8_IsRefused()
    {
        byte[][] bodies = [[0xFF], [.. "{\"mo"u8, 0xFF, .. "\": 1}"u8], [.. "{\"model\": \"a"u8, 0xC3, .. "\"}"u8],
            [.. "{\"logit_bias\": {\"\\ud800\": 1}}"u8], [.. "{\"\\udc00\": 1}"u8]];
        foreach (string path in new[] { ChatPath, TextPath, "/feedback", "/admin/promote" })
            foreach (byte[] body in bodies)
            {
                using var content = new ByteArrayContent(body);
                content.Headers.ContentType = new("application/json");
                await AssertErrorAsync(await _server.Http.PostAsync(path, content), 400, "invalid_json");
            }
    }

    [Fact]
    public async Task Prompt_LongerThanTheContext_TellsTheNumbers()
    {
        JsonObject request = TestServer.Chat(string.Concat(Enumerable.Repeat("zxq ", 400)));
        (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync(ChatPath, request.ToJsonString());
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal("context_length_exceeded", (string)answer["error"]!["code"]!);
        Assert.Contains("256", (string)answer["error"]!["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Routes_Unknown_AnswerErrorObjects()
    {
        await AssertErrorAsync(await _server.Http.GetAsync("/v1/engines"), 404, "unknown_url");
        await AssertErrorAsync(await _server.Http.GetAsync("/v1/models/gpt-9"), 404, "model_not_found");
        await AssertErrorAsync(await _server.Http.PutAsync(ChatPath, null), 405, "method_not_allowed");
        await AssertErrorAsync(await _server.Http.DeleteAsync("/feedback"), 405, "method_not_allowed");
        await AssertErrorAsync(await _server.Http.PostAsync(ChatPath, new StringContent("{}")), 415, "unsupported_media_type");
        // Refused on its length alone; a client that asks first is told before it sends.
        using var large = new HttpRequestMessage(HttpMethod.Post,
            ChatPath) { Content = new StringContent(new string(' ', 5 << 20), null, "application/json") };
        large.Headers.ExpectContinue = true;
        await AssertErrorAsync(await _server.Http.SendAsync(large), 413, "request_too_large");
    }

    [Fact]
    public void Disk_Full_IsSaidInPlainWords()
    {
        var full = new DbUpdateException("An error occurred while saving.",
            new SqliteException("SQLite Error 13: 'database or disk is full'.", 13));
        Assert.Equal((507, "insufficient_storage"), (ErrorAnswers.From(full).Status, ErrorAnswers.From(full).Code));
        Assert.Equal(500,
            ErrorAnswers.From(new DbUpdateException("An error occurred while saving.", new SqliteException("SQLite Error 19", 19))).Status);
    }

    [Fact]
    public async Task Requests_Mutated_NeverFailOnOurSide()
    {
        Gen<string> value = Gen.OneOf(
            Gen.OneOf("null", "true", "[]", "{}", "0", "-1", "1e400", "-0.0", "1.5", "9223372036854775808", "\"\"", "\"\\u0000\"", "[[]]",
                "[null]", "[1,[2]]", "{\"\":{}}", "\"\\ud83d\\ude00\""),
            Gen.Int.Select(number => $"{number}"),
            Gen.String[0, 20].Select(text => JsonValue.Create(text.Replace('\ud800', '?')).ToJsonString()));
        string[] fields = ["model", "messages", "prompt", "n", "seed", "stop", "stream", "stream_options", "max_tokens",
            "max_completion_tokens", "temperature", "top_p", "top_k", "min_p",
            "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "user", "metadata",
            "store", "tools", "tool_choice", "grammar", "service_tier", "response_format", "echo", "best_of",
            "inference_id", "metric_name", "value", "tags", "idempotency_key", "dryrun", "whatever"];
        Gen<(string Path, string Body)> request =
            from path in Gen.OneOf(ChatPath, TextPath, "/feedback")
            from changes in Gen.Select(Gen.OneOf(fields), value).Array[1, 3]
            from cut in Gen.Frequency((9, Gen.Const(0)), (1, Gen.Int[1, 60]))
            select (path, Mutated(path, changes)[..^Math.Min(cut, 20)]);
        await request.SampleAsync(async one =>
        {
            using HttpResponseMessage response = await _server.Http.PostAsync(one.Path,
                new StringContent(one.Body, Encoding.UTF8, "application/json"));
            string answer = await response.Content.ReadAsStringAsync();
            Assert.True((int)response.StatusCode < 500, $"{one.Path} {one.Body}: {(int)response.StatusCode} {answer}");
            if (response.IsSuccessStatusCode) Assert.DoesNotContain("\"error\"", answer, StringComparison.Ordinal);
            else Assert.NotEmpty((string)JsonNode.Parse(answer)!["error"]!["message"]!);
        }, iter: 600, seed: "0N0XIzNsQ0O2", threads: 4);

        static string Mutated(string path, (string Field, string Value)[] changes)
        {
            JsonObject body = Good(path);
            var text = new StringBuilder("{");
            foreach ((string field, JsonNode? good) in body)
                if (!changes.Any(change => change.Field == field)) text.Append($"\"{field}\":{good!.ToJsonString()},");
            foreach ((string field, string value) in changes.DistinctBy(change => change.Field)) text.Append($"\"{field}\":{value},");
            return text.ToString().TrimEnd(',') + "}";
        }
    }

    // Deep inside requests of every kind: a piece of one is replaced by an odd value or by a piece of another.
    [Fact]
    public async Task Requests_MutatedInside_NeverFailOnOurSide()
    {
        string[] odd = ["null", "true", "[]", "{}", "-1", "1e400", "1e-400", "99999999999999999999", "\"\"", "\"#\"", "\"\\u0000\"",
            "[null]", "[[[]]]", "{\"\":0}", "\"function\"", "{\"$ref\":\"#\"}", "{\"type\":\"object\"}", "{\"allOf\":[{},{}]}"];
        (string Path, string Body)[] good =
        [
            (ChatPath,
                """{"model":"flywheel","max_tokens":4,"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"}]},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"r"}],"tools":[{"type":"function","function":{"name":"f","description":"d","strict":true,"parameters":{"type":"object","properties":{"a":{"type":"integer","minimum":1},"b":{"type":"array","items":{"$ref":"#/$defs/x"}}},"required":["a"],"$defs":{"x":{"enum":["p",null]}}}}}],"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false,"logprobs":true,"top_logprobs":1}"""),
            (ChatPath,
                """{"model":"flywheel","max_tokens":4,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"t"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"anyOf":[{"type":"string","pattern":"^a{1,3}|b$","maxLength":9},{"type":"number","exclusiveMinimum":0.5,"maximum":7},{"oneOf":[{"const":1},{"type":"null"}]},{"prefixItems":[{"format":"date"}],"items":false}]}}}}"""),
            (TextPath,
                """{"model":"flywheel","max_tokens":4,"prompt":["a",[1,2]],"n":2,"grammar":"root ::= [a-c]{1,3} | \"x\" root","logit_bias":{"5":3},"stop":["z"]}"""),
            ("/v1/embeddings",
                """{"model":"flywheel","input":["a","b"],"encoding_format":"base64","dimensions":3,"pooling":"last","user":"u"}"""),
            ("/admin/adapters", """{"folder":"x","name":"y"}"""),
        ];
        var random = new Random(31);
        string[] pieces = [.. odd, .. good.SelectMany(one => Nodes(JsonNode.Parse(one.Body)!)).Select(node => node.ToJsonString())];
        for (int i = 0; i < 1200; i++)
        {
            (string path, string body) = good[random.Next(good.Length)];
            JsonNode root = JsonNode.Parse(body)!;
            for (int change = random.Next(1, 4); change > 0; change--)
            {
                JsonNode[] all = [.. Nodes(root).Where(node => node.Parent is not null)];
                if (all.Length == 0) break;
                all[random.Next(all.Length)].ReplaceWith(JsonNode.Parse(pieces[random.Next(pieces.Length)]));
            }
            string sent = root.ToJsonString();
            if (random.Next(20) == 0) sent = sent[..random.Next(sent.Length)];
            using HttpResponseMessage response = await _server.Http.PostAsync(path,
                new StringContent(sent, Encoding.UTF8, "application/json"));
            string answer = await response.Content.ReadAsStringAsync();
            Assert.True((int)response.StatusCode < 500, $"{path} {sent}: {(int)response.StatusCode} {answer}");
            if (response.IsSuccessStatusCode) Assert.DoesNotContain("internal_error", answer, StringComparison.Ordinal);
            else Assert.NotEmpty((string)JsonNode.Parse(answer)!["error"]!["message"]!);
        }

        static IEnumerable<JsonNode> Nodes(JsonNode node) => (node switch
        {
            JsonObject fields => fields.Select(field => field.Value),
            JsonArray items => items,
            _ => [],
        }).OfType<JsonNode>().SelectMany(Nodes).Prepend(node);
    }

    private static JsonObject Good(string path) => path switch
    {
        ChatPath => TestServer.Chat(maxTokens: 4),
        TextPath => new() { ["model"] = "flywheel", ["prompt"] = "The wheel", ["max_tokens"] = 4 },
        "/feedback" => new() { ["inference_id"] = Guid.NewGuid().ToString(), ["metric_name"] = "keep", ["value"] = true },
        _ => new() { ["model"] = "flywheel" },
    };

    private static async Task AssertErrorAsync(HttpResponseMessage response, int status, string code)
    {
        using HttpResponseMessage answered = response;
        string body = await answered.Content.ReadAsStringAsync();
        Assert.True((int)answered.StatusCode == status, $"{(int)answered.StatusCode} {body}");
        Assert.Equal(code, (string)JsonNode.Parse(body)!["error"]!["code"]!);
    }
}
