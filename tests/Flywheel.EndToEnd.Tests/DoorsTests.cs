using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary>The program beyond loopback: keys from the command line, a turn that reaches the server that it belongs to.</summary>
public sealed partial class DoorsTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Turn_ServerListensOnEveryAddress_Promotes()
    {
        await using ServerProcess server = await ServerProcess.StartAsync(_folder["home"], "--model", Model().Path, "--url",
            "http://0.0.0.0:0");
        string key = await FirstKeyAsync(server);
        for (int person = 0; person < 8; person++)
            for (int ask = 0; ask < 4; ask++)
            {
                JsonNode answer = await PostAsync(server, "/v1/chat/completions", key, new()
                {
                    ["model"] = "flywheel", ["user"] = $"person {person}", ["max_tokens"] = 8,
                    ["messages"] = new JsonArray(new JsonObject { ["role"] = "user",
                        ["content"] = $"Write a tagline.\nName: Wheel {person}{ask}" }),
                });
                await PostAsync(server, "/feedback", key,
                    new() { ["inference_id"] = (string)answer["choices"]![0]!["generation_id"]!, ["metric_name"] = "demonstration",
                        ["value"] = $"Write with wheel {person}{ask}.", ["user"] = $"person {person}" });
            }
        File.WriteAllLines(_folder["regression.jsonl"], [.. new[] { "wheel", "cart" }
            .Select(thing =>
                new Conversation([Message.User($"Say what a {thing} is."), Message.Assistant($"A {thing} turns.")]).ToString())]);
        File.WriteAllText(_folder["turn.yaml"], """
            name: mini
            seed: 3
            curate: { min_train: 4, min_held_out: 2 }
            stages:
              - train: { objective: supervised, steps: 3, batch_tokens: 512, micro_tokens: 512, learning_rate: 1e-3 }
            gate: { regression: regression.jsonl, regression_margin: 5, sanity_prompts: 1, max_tokens: 8 }
            """);

        (int code, string output) = await ServerProcess.RunAsync(_folder["home"], "turn", "--recipe", _folder["turn.yaml"], "--force");

        Assert.True(code == 0, output);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        string champion = (await store.ChampionAsync())!.Hash;
        Assert.NotEqual(Model().Hash, champion);
        // the running server swapped
        Assert.Equal(champion, (string)JsonNode.Parse(await server.Http.GetStringAsync("/health"))!["model_hash"]!);
    }

    [Fact]
    public async Task Keys_CreateListRevoke_HoldForTheRunningServer()
    {
        await using ServerProcess server = await ServerProcess.StartAsync(_folder["home"], "--model", Model().Path, "--url",
            "http://0.0.0.0:0");
        string away = new UriBuilder(server.Url) { Host = $"{Network.OwnAddress()}" }.Uri.ToString();
        string first = await FirstKeyAsync(server);
        Assert.Equal(46, first.Length);
        Assert.Contains(new Uri(away).Authority, server.Output, StringComparison.Ordinal); // what to tell the others

        (int code, string made) = await ServerProcess.RunAsync(_folder["home"], "keys", "create", "laptop", "--scope", "inference",
            "--user", "ann", "--expires", "30d");
        Assert.True(code == 0, made);
        string key = Key().Match(made).Value;
        Assert.StartsWith(key, made, StringComparison.Ordinal); // alone on the first line, for scripts
        Assert.Equal(401, await StatusAsync(away, "v1/models", null));
        Assert.Equal(200, await StatusAsync(away, "v1/models", key));
        Assert.Equal(403, await StatusAsync(away, "feedback", key, post: true));
        Assert.Equal(403, await StatusAsync(away, "admin/status", key));
        (_, string listed) = await ServerProcess.RunAsync(_folder["home"], "keys", "list");
        Assert.Matches("laptop .* ann .* inference .* valid", listed);
        Assert.DoesNotContain(key, listed, StringComparison.Ordinal);

        (code, string revoked) = await ServerProcess.RunAsync(_folder["home"], "keys", "revoke", "laptop");
        Assert.True(code == 0, revoked);
        Assert.Equal(401, await StatusAsync(away, "v1/models", key));
        Assert.Equal(200, await StatusAsync(away, "v1/models", first));
        Assert.Matches("laptop .* revoked", (await ServerProcess.RunAsync(_folder["home"], "keys")).Output);
        (code, string none) = await ServerProcess.RunAsync(_folder["home"], "keys", "revoke", "laptop");
        Assert.Equal(2, code);
        Assert.Contains("'laptop'", none, StringComparison.Ordinal);
    }

    /// <summary>Whoever owns the home lets people in and mends what no owner can mend any more.</summary>
    [Fact]
    public async Task People_InviteResetDisable_FromTheCommandLine()
    {
        (int code, string made) = await ServerProcess.RunAsync(_folder["home"], "people", "invite", "Ann", "--role", "owner");
        Assert.True(code == 0, made);
        string token = Link().Match(made).Groups[1].Value;
        Assert.StartsWith("http://127.0.0.1:5005/join/", made, StringComparison.Ordinal); // alone on the first line, for scripts
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        var accounts = new Accounts(store, TimeProvider.System);
        AccountRow ann = await accounts.AcceptAsync(token, "ann", "Ann", "plum lantern quay");

        (code, string reset) = await ServerProcess.RunAsync(_folder["home"], "people", "reset", "ANN");
        Assert.True(code == 0, reset);
        await accounts.AcceptAsync(Link().Match(reset).Groups[1].Value, "", "", "another lantern quay");
        Assert.NotNull(await accounts.SignInAsync("ann", "another lantern quay"));
        (code, string refused) = await ServerProcess.RunAsync(_folder["home"], "people", "disable", "ann");
        Assert.Equal(2, code);
        Assert.Contains("only owner", refused, StringComparison.Ordinal);
        (_, string listed) = await ServerProcess.RunAsync(_folder["home"], "people");
        Assert.Matches("ann .* owner .* open", listed);
        Assert.Equal([AuditAct.Password, AuditAct.ResetLink, AuditAct.Join, AuditAct.Invite],
            (await store.AuditAsync(10)).Select(row => row.Act));
        Assert.Equal([ann.User, Actor.CommandLine], (await store.AuditAsync(2)).Select(row => row.Who));
    }

    [Theory]
    [InlineData("keys", "create", "x", "--scope", "everything", "inference, feedback, admin")]
    [InlineData("keys", "create", "x", "--expires", "soon", "30d")]
    [InlineData("keys", "create", "x", "--expires", "2020-01-01", "is over")]
    [InlineData("up", "--port", "0", "--host", "https://x", "--host")]
    [InlineData("up", "--port", "0", "--proxy", "everyone", "--proxy")]
    [InlineData("up", "--port", "0", "--cors", "*", "--cors")]
    [InlineData("up", "--model", "x", "--url", "http://localhost:0", "--url")]
    public async Task Setting_NotReadable_IsNamedWithWhatWasExpected(string verb, string one, string two, string three, string four,
        string says)
    {
        (int code, string output) = await ServerProcess.RunAsync(_folder["home"], verb, one, two, three, four);
        Assert.Equal(2, code);
        Assert.Contains(says, output.ReplaceLineEndings(" "), StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
    }

    /// <summary>The key that the first start prints, below the line that says that it is ready.</summary>
    internal static async Task<string> FirstKeyAsync(ServerProcess server)
    {
        for (int attempt = 0; !Key().IsMatch(server.Output); attempt++)
        {
            Assert.True(attempt < 600, $"no key was printed: {server.Output}");
            await Task.Delay(50);
        }
        return Key().Match(server.Output).Value;
    }

    private ModelFolder Model() => TinyModel.Create(_folder["models"], context: 256);

    private static async Task<JsonNode> PostAsync(ServerProcess server, string path, string key, JsonObject body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post,
            path) { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using HttpResponseMessage response = await server.Http.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return JsonNode.Parse(text)!;
    }

    private static async Task<int> StatusAsync(string server, string path, string? key, bool post = false)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(post ? HttpMethod.Post : HttpMethod.Get, server + path);
        if (post) request.Content = new StringContent("{}", Encoding.UTF8, "application/json");
        if (key is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return (int)(await http.SendAsync(request)).StatusCode;
    }

    [GeneratedRegex("/join/([A-Za-z0-9_-]{43})")]
    private static partial Regex Link();

    [GeneratedRegex("fw_[A-Za-z0-9_-]{43}")]
    private static partial Regex Key();
}
