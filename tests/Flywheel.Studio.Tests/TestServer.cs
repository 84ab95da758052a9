using System.Net;
using System.Net.Http.Json;
using System.Reflection;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Flywheel.Studio.Tests;

/// <summary>One server for all tests of a class, which ask it and leave nothing that another of them would see.</summary>
public class OneServer : IAsyncLifetime
{
    internal TestServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await StartAsync();

    private protected virtual Task<TestServer> StartAsync() => TestServer.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}

/// <summary>A real server on a free port of loopback, on a home and a tiny model of its own.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly TempFolder _folder;

    private TestServer(TempFolder folder) => _folder = folder;

    public FlywheelHome Home => new(_folder["home"]);

    public required StudioServer Server { get; init; }

    public required HttpClient Http { get; init; }

    public static async Task<TestServer> StartAsync(EngineOptions? engine = null, int context = 256, Action<string>? edit = null,
        MinDataRate? slowestReader = null,
        Tokenizer? tokenizer = null, TimeSpan? drainTime = null, Func<StudioOptions, StudioOptions>? options = null)
    {
        var folder = new TempFolder();
        ModelFolder model = TinyModel.Create(folder["models"], context: context, tokenizer: tokenizer);
        if (edit is not null)
        {
            edit(model.Path);
            File.Delete(Path.Combine(model.Path, "flywheel.json")); // a model from elsewhere
        }
        var given = new StudioOptions
        {
            Home = new FlywheelHome(folder["home"]),
            Url = "http://127.0.0.1:0",
            StarterModel = model.Path,
            Engine = engine ?? new EngineOptions { Threads = 1 },
            SlowestReader = slowestReader ?? new(4096, TimeSpan.FromSeconds(5)),
            DrainTime = drainTime ?? TimeSpan.FromSeconds(20),
        };
        StudioServer server = await StudioServer.StartAsync(options?.Invoke(given) ?? given);
        return new TestServer(folder) { Server = server,
            Http = new HttpClient(new AdminSecretHandler(given.Home)) { BaseAddress = new Uri(server.Url) } };
    }

    public ModelFolder AnotherModel(int seed) => TinyModel.Create(_folder["models"], seed);

    public string NewPath(string name) => _folder[name];

    /// <summary>What the server itself uses.</summary>
    public T Service<T>() where T : notnull => Service<T>(Server);

    public static T Service<T>(StudioServer server) where T : notnull =>
        ((WebApplication)typeof(StudioServer).GetField("_app", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(server)!).Services
            .GetRequiredService<T>();

    public Task<FlywheelStore> OpenStoreAsync() => FlywheelStore.OpenAsync(Home);

    /// <summary>Posts JSON and expects success.</summary>
    public async Task<JsonObject> PostAsync(string path, JsonObject body)
    {
        (HttpStatusCode status, JsonObject answer) = await TryPostAsync(path, body.ToJsonString());
        Assert.True(status == HttpStatusCode.OK, $"{path} {body} answered {status} {answer}");
        return answer;
    }

    public async Task<(HttpStatusCode Status, JsonObject Body)> TryPostAsync(string path, string body,
        string contentType = "application/json")
    {
        using var content = new StringContent(body, Encoding.UTF8, contentType);
        using HttpResponseMessage response = await Http.PostAsync(path, content);
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject());
    }

    public async Task<JsonObject> GetAsync(string path) => (await Http.GetFromJsonAsync<JsonObject>(path))!;

    /// <summary>The events of a stream, each one's JSON; <c>[DONE]</c> must be the last and is left out.</summary>
    public async Task<List<JsonObject>> StreamAsync(string path, JsonObject body)
    {
        body["stream"] = true;
        using var content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await Http.PostAsync(path, content);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        string[] events = (await response.Content.ReadAsStringAsync()).Split("\n\n");
        Assert.Equal("", events[^1]); // each event ends with an empty line
        Assert.Equal("data: [DONE]", events[^2]);
        return [.. events[..^2].Select(text => JsonNode.Parse(Assert.IsType<string>(text)["data: ".Length..])!.AsObject())];
    }

    public static JsonObject Chat(string text = "Write a tagline.", int maxTokens = 12) => new()
    {
        ["model"] = "flywheel",
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = text }),
        ["max_tokens"] = maxTokens,
        ["seed"] = 7,
    };

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await Server.DisposeAsync();
        _folder.Dispose();
    }
}
