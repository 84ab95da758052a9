using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests.Apps.Translate;

public sealed class TranslateApiTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(context: 512);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Translate_TextWithMemoryAndGlossary_SaysWhereEachSegmentComesFrom()
    {
        await _server.PostAsync("/v1/translate/memory",
            Pair(new() { ["text"] = "Open the blue file.", ["translation"] = "Abra el fichero azul.", ["user"] = "ann" }));
        await _server.PostAsync("/v1/translate/glossary",
            Pair(new() { ["term"] = "file", ["translation"] = "fichero", ["forbidden"] = "archivo" }));

        JsonObject answer = await _server.PostAsync("/v1/translate",
            Pair(new() { ["text"] = "Open the blue file.  Open the blue files.\n\nNothing like it. 42", ["engine"] = "none",
                ["user"] = "bob" }));

        JsonArray segments = answer["segments"]!.AsArray();
        Assert.Equal("Abra el fichero azul.  Abra el fichero azul.\n\n 42", (string)answer["text"]!);
        Assert.Equal(("memory", 1.0), ((string)segments[0]!["engine"]!, (double)segments[0]!["match_score"]!));
        Assert.Equal(1 - 1.0 / 20, (double)segments[1]!["match_score"]!, 9);
        Assert.Equal("Open the blue file.", (string)segments[1]!["match"]!["text"]!);
        Assert.Null(segments.Single(one => (string)one!["source"]! == "Nothing like it.")!["engine"]);

        JsonObject without = await _server.PostAsync("/v1/translate",
            Pair(new() { ["segments"] = new JsonArray("Open the blue file."), ["engine"] = "none", ["memory"] = false }));
        Assert.Equal("", (string)without["segments"]![0]!["target"]!);
        Assert.Null(without["text"]);
    }

    [Fact]
    public async Task Translate_ByTheModel_IsAGenerationOfTheRecord()
    {
        JsonObject answer = await _server.PostAsync("/v1/translate",
            Pair(new() { ["segments"] = new JsonArray("The house is blue.", "123"), ["engine"] = "model", ["user"] = "ann" }));
        JsonNode segment = answer["segments"]![0]!;
        Assert.Equal("model", (string)segment["engine"]!);
        await using FlywheelStore store = await _server.OpenStoreAsync();
        Generation generation = (await store.FindGenerationAsync(Guid.Parse((string)segment["generation_id"]!)))!;
        Assert.Equal(("api", "ann", "Translate from English into Spanish.\nThe house is blue."),
            (generation.App, generation.User, generation.Payload!.Conversation!.Messages[^1].Text));
        Assert.Equal(1, (await store.CountAsync()).Generations); // nothing to translate in a number
        Assert.Equal("123", (string)answer["segments"]![1]!["target"]!);
    }

    [Fact]
    public async Task Translate_ByApertium_IsItsDraftWithTheGlossarysTerm()
    {
        Assert.SkipUnless(Tool.Exists("apertium")
            && (string)(await _server.GetAsync("/v1/translate/engines?source=en&target=es"))["data"]![0]!["status"]! == "ready",
            "apertium with eng-spa is not installed: apt-get install apertium apertium-eng-spa");
        await _server.PostAsync("/v1/translate/glossary",
            Pair(new() { ["term"] = "house", ["translation"] = "vivienda", ["forbidden"] = "casa" }));
        JsonObject answer = await _server.PostAsync("/v1/translate", Pair(new() { ["text"] = "The house is blue." }));
        Assert.Equal("apertium", (string)answer["engine"]!);
        Assert.Equal("La vivienda es azul.", (string)answer["text"]!);
    }

    [Theory]
    [InlineData("""{"text":"a","source":"en","target":"xx"}""", "target")]
    [InlineData("""{"text":"a","source":"en","target":"en"}""", "target")]
    [InlineData("""{"source":"en","target":"es"}""", "text")]
    [InlineData("""{"text":"a","segments":["b"],"source":"en","target":"es"}""", "segments")]
    [InlineData("""{"text":"a","source":"en","target":"es","engine":"deepl"}""", "engine")]
    [InlineData("""{"text":"a","source":"en","target":"zh","engine":"apertium"}""", "engine")]
    [InlineData("""{"text":"a","source":"en","target":"es","wrong":1}""", "wrong")]
    public async Task Translate_WrongField_IsNamed(string body, string field)
    {
        (HttpStatusCode status, JsonObject answer) = await _server.TryPostAsync("/v1/translate", body);
        Assert.Equal((HttpStatusCode.BadRequest, field), (status, (string?)answer["error"]!["param"]));
    }

    [Fact]
    public async Task Translate_WithoutApertium_SaysWhatToInstall()
    {
        await using TestServer bare =
            await TestServer.StartAsync(options: options => options with { Apertium = "no-such-program-as-apertium" });
        (HttpStatusCode status, JsonObject answer) =
            await bare.TryPostAsync("/v1/translate", Pair(new() { ["text"] = "a", ["engine"] = "apertium" }).ToJsonString());
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("apt-get install apertium apertium-eng-spa", (string)answer["error"]!["message"]!, StringComparison.Ordinal);
        JsonObject engines = await bare.GetAsync("/v1/translate/engines?source=en&target=es");
        Assert.Equal("not_installed", (string)engines["data"]![0]!["status"]!);
        // the rest works
        Assert.Equal((string?)engines["default"],
            (string?)(await bare.PostAsync("/v1/translate", Pair(new() { ["text"] = "a" })))["engine"]);
    }

    [Fact]
    public async Task Body_Of200Megabytes_IsRefusedWith413AndWords()
    {
        using var content = new StreamContent(new Zeros(200L << 20));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        content.Headers.ContentLength = 200L << 20;
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/translate/memory/import") { Content = content };
        // The answer comes before the body is sent; a client that sent it all the same would find the connection closed.
        request.Headers.ExpectContinue = true;
        using var handler = new SocketsHttpHandler { Expect100ContinueTimeout = TimeSpan.FromMinutes(2) };
        using var http = new HttpClient(handler) { BaseAddress = new Uri(_server.Server.Url) };
        using HttpResponseMessage response = await http.SendAsync(request);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Contains("larger than", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Memory_ListedSearchedExportedImportedDeleted_IsTheSame()
    {
        JsonObject unit = await _server.PostAsync("/v1/translate/memory",
            Pair(new() { ["text"] = "100% <b>sure</b> & so on", ["translation"] = "100 % <b>seguro</b> y demás" }));
        await _server.PostAsync("/v1/translate/memory", Pair(new() { ["text"] = "Other", ["translation"] = "Otro" }));
        Assert.Equal(1, (int)(await _server.GetAsync("/v1/translate/memory?source=en&target=es&search=100%25"))["total"]!);
        Assert.Single((await _server.GetAsync("/v1/translate/memory?source=en&target=es&limit=1"))["data"]!.AsArray());
        string tmx = await _server.Http.GetStringAsync("/v1/translate/memory/export?source=en&target=es");
        Assert.Equal(HttpStatusCode.OK, (await _server.Http.DeleteAsync($"/v1/translate/memory/{unit["id"]}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await _server.Http.DeleteAsync($"/v1/translate/memory/{unit["id"]}")).StatusCode);
        JsonObject imported = await _server.PostAsync("/v1/translate/memory/import", Pair(new() { ["tmx"] = tmx }));
        Assert.Equal((1, 1), ((int)imported["added"]!, (int)imported["passed_over"]!));
    }

    [Fact]
    public async Task Memory_KeyOfAnotherWorkspaceOrOfTooLittle_SeesAndChangesNothing()
    {
        await using TestServer server = await TestServer.StartAsync(options: options => options with { Url = "http://0.0.0.0:0" });
        await using FlywheelStore store = await server.OpenStoreAsync();
        var keys = new ApiKeys(store, TimeProvider.System);
        string own = (await keys.CreateAsync("own", [Scopes.Inference, Scopes.Feedback], "ann")).Key,
            reader = (await keys.CreateAsync("reader", [Scopes.Inference], "rob")).Key;
        (KeyRow row, string other) = await keys.CreateAsync("other", [Scopes.Inference, Scopes.Feedback], "eve");
        await using (FlywheelDb db = store.Tables())
        {
            db.Workspaces.Add(new WorkspaceRow { Id = "theirs", Name = "Theirs", Created = DateTimeOffset.UnixEpoch });
            db.Keys.Remove(row);
            await db.SaveChangesAsync();
            db.Keys.Add(new KeyRow { Id = row.Id, Name = row.Name, Hash = row.Hash, User = row.User, Scopes = row.Scopes,
                Workspace = "theirs", Created = row.Created });
            await db.SaveChangesAsync();
        }
        JsonObject unit = await SendAsync(HttpMethod.Post, "/v1/translate/memory", own, HttpStatusCode.OK,
            Pair(new() { ["text"] = "Secret words.", ["translation"] = "Palabras secretas." }));
        JsonObject term = await SendAsync(HttpMethod.Post, "/v1/translate/glossary", own, HttpStatusCode.OK,
            Pair(new() { ["term"] = "secret", ["translation"] = "secreto" }));
        Assert.Equal("ann", (string)unit["user"]!);

        Assert.Equal(0,
            (int)(await SendAsync(HttpMethod.Get, "/v1/translate/memory?source=en&target=es", other, HttpStatusCode.OK))["total"]!);
        Assert.Empty(
            (await SendAsync(HttpMethod.Get, "/v1/translate/glossary?source=en&target=es", other, HttpStatusCode.OK))["data"]!.AsArray());
        JsonObject translated = await SendAsync(HttpMethod.Post, "/v1/translate", other, HttpStatusCode.OK,
            Pair(new() { ["text"] = "Secret words.", ["engine"] = "none" }));
        Assert.Null(translated["segments"]![0]!["match"]);
        await SendAsync(HttpMethod.Delete, $"/v1/translate/memory/{unit["id"]}", other, HttpStatusCode.NotFound);
        await SendAsync(HttpMethod.Delete, $"/v1/translate/glossary/{term["id"]}", other, HttpStatusCode.NotFound);

        // Whoever may only ask does not write what others are shown.
        await SendAsync(HttpMethod.Post, "/v1/translate", reader, HttpStatusCode.OK,
            Pair(new() { ["text"] = "Secret words.", ["engine"] = "none" }));
        await SendAsync(HttpMethod.Post, "/v1/translate/memory", reader, HttpStatusCode.Forbidden,
            Pair(new() { ["text"] = "x", ["translation"] = "y" }));
        await SendAsync(HttpMethod.Delete, $"/v1/translate/glossary/{term["id"]}", reader, HttpStatusCode.Forbidden);

        async Task<JsonObject> SendAsync(HttpMethod method, string path, string key, HttpStatusCode expected, JsonObject? body = null)
        {
            using var request = new HttpRequestMessage(method,
                new Uri(new Uri(server.Server.Url.Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal)), path));
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
            if (body is not null) request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
            using var http = new HttpClient();
            using HttpResponseMessage response = await http.SendAsync(request);
            string text = await response.Content.ReadAsStringAsync();
            Assert.True(response.StatusCode == expected, $"{method} {path} answered {response.StatusCode} {text}");
            return JsonNode.Parse(text)!.AsObject();
        }
    }

    private static JsonObject Pair(JsonObject fields)
    {
        (fields["source"], fields["target"]) = ("en", "es");
        return fields;
    }

    /// <summary>So many zeros, which nobody has to keep.</summary>
    private sealed class Zeros(long length) : Stream
    {
        private long _left = length;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count)
        {
            int given = (int)Math.Min(count, _left);
            Array.Clear(buffer, offset, given);
            _left -= given;
            return given;
        }

        public override void Flush() { }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
