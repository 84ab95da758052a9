using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Flywheel.Model.Tests;

/// <summary>Against a server that speaks the hub's protocol: redirects to another host, ranges, checksums, and everything that goes
/// wrong.</summary>
public sealed class HubTests : IAsyncLifetime
{
    private const string Commit = "0123456789abcdef0123456789abcdef01234567", Token = "hf_secret";

    private readonly TempFolder _folder = new();
    private readonly ConcurrentDictionary<string, byte[]> _files = new();
    private readonly ConcurrentQueue<(string Path, string? Range, string? Authorization)> _requests = new();
    // each answers one request for bytes, or lets it through
    private readonly ConcurrentQueue<Func<HttpContext, Task<bool>>> _faults = new();
    private WebApplication _hub = null!, _storage = null!;

    private string Endpoint => _hub.Urls.First();

    public async ValueTask InitializeAsync()
    {
        _storage = await StartAsync(app => app.MapGet("/{file}", async (string file, HttpContext context) =>
        {
            Record(context);
            if (_faults.TryDequeue(out Func<HttpContext, Task<bool>>? fault) && await fault(context)) return;
            await Results.Bytes(_files[file], enableRangeProcessing: true).ExecuteAsync(context);
        }));
        _hub = await StartAsync(app =>
        {
            app.MapGet("/api/models/acme/tiny/revision/{revision}", (string revision, HttpContext context) =>
            {
                Record(context);
                if (Uri.UnescapeDataString(revision) is not ("main" or "refs/pr/1" or Commit)) return Results.NotFound();
                var siblings = new JsonArray();
                foreach ((string name, byte[] bytes) in _files)
                {
                    bool large = name.EndsWith(".safetensors", StringComparison.Ordinal)
                        || name.EndsWith(".gguf", StringComparison.Ordinal);
                    siblings.Add(new JsonObject { ["rfilename"] = name, ["size"] = bytes.Length,
                        ["blobId"] = large ? new string('0', 40) : Blob(bytes),
                        ["lfs"] = large ? new JsonObject { ["sha256"] = Convert.ToHexStringLower(SHA256.HashData(bytes)),
                            ["size"] = bytes.Length, ["pointerSize"] = 130 } : null });
                }
                siblings.Add(new JsonObject { ["rfilename"] = "onnx/model.onnx", ["size"] = 5 });
                siblings.Add(new JsonObject { ["rfilename"] = "../../evil.json", ["size"] = 5 });
                return Results.Text(new JsonObject { ["sha"] = Commit, ["siblings"] = siblings }.ToJsonString(), "application/json");
            });
            app.MapGet("/acme/tiny/resolve/{commit}/{file}", (string commit, string file, HttpContext context) =>
            {
                Record(context);
                return commit == Commit ? Results.Redirect($"{_storage.Urls.First()}/{file}") : Results.NotFound();
            });
            app.MapGet("/api/models/acme/private/revision/main",
                (HttpContext context) => context.Request.Headers.Authorization == $"Bearer {Token}"
                    ? Results.StatusCode(403) : Results.Unauthorized());
            app.MapGet("/api/models/acme/broken/revision/main", () => Results.Text("{\"sha\": 5}"));
        });
        ModelFolder model = ModelFolder.Create(_folder["made"], ModelFolderTests.TinyConfig, TokenizerTests.Small, TensorType.F32, Values,
            new ModelManifest { Name = "tiny" });
        foreach (string file in Directory.GetFiles(model.Path))
            if (Path.GetFileName(file) != "flywheel.json") _files[Path.GetFileName(file)] = File.ReadAllBytes(file);
        _files["README.md"] = Encoding.UTF8.GetBytes("---\nlicense: mit\n---\n");

        static float[] Values(string name) =>
            [.. Enumerable.Range(0,
                (int)ModelFolderTests.TinyConfig.Tensors().First(tensor => tensor.Name == name).Shape.Aggregate(1L, (a, b) => a * b))
                .Select(i => i % 7 - 3f)];
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        await _storage.DisposeAsync();
        _folder.Dispose();
    }

    private static async Task<WebApplication> StartAsync(Action<WebApplication> map)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        WebApplication app = builder.Build();
        map(app);
        await app.StartAsync();
        return app;
    }

    private void Record(HttpContext context) =>
        _requests.Enqueue((context.Request.Path, context.Request.Headers.Range, context.Request.Headers.Authorization));

    private static string Blob(byte[] bytes)
    {
#pragma warning disable CA5350 // git's
        return Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {bytes.Length}\0"), .. bytes]));
#pragma warning restore CA5350
    }

    private async Task<(string Path, string Source)> FetchAsync(string reference, string? token = "",
        IProgress<HubProgress>? progress = null)
    {
        using var client = new HubClient(Endpoint, token, TimeSpan.FromMilliseconds(5), TimeSpan.FromSeconds(2));
        return await client.FetchAsync(HubReference.Parse(reference), _folder["cache"], progress, TestContext.Current.CancellationToken);
    }

    private async Task<string> ErrorAsync(string reference, string? token = "") =>
        (await Assert.ThrowsAsync<FlywheelException>(() => FetchAsync(reference, token))).Message;

    /// <summary>The first request for a file gets a part of it; then the answer ends, or the connection breaks.</summary>
    private void Cut(string file, int bytes, bool abort)
    {
        bool done = false;
        foreach (string _ in _files.Keys)
            _faults.Enqueue(async context =>
            {
                if (done || context.Request.Path != "/" + file) return false;
                done = true;
                await context.Response.Body.WriteAsync(_files[file].AsMemory(0, bytes));
                await context.Response.Body.FlushAsync();
                if (abort) context.Abort();
                return true;
            });
    }

    private static Func<HttpContext, Task<bool>> Answer(int status, string? retryAfter = null) => context =>
    {
        context.Response.StatusCode = status;
        if (retryAfter is not null) context.Response.Headers.RetryAfter = retryAfter;
        return Task.FromResult(true);
    };

    [Fact]
    public async Task Fetch_Model_ImportsAsTheModelThatItIs()
    {
        var seen = new ConcurrentBag<HubProgress>();
        (string path, string source) = await FetchAsync("hf:acme/tiny", Token, new Report(seen.Add));
        Assert.Equal($"hf:acme/tiny@{Commit}", source);
        ModelFolder model = ModelImport.Import(path, _folder["models"], DateTimeOffset.UnixEpoch, source);
        Assert.Equal(ModelFolder.Open(Directory.GetDirectories(_folder["made"]).Single()).Hash, model.Hash);
        Assert.Equal(("tiny", source, "mit"), (model.Manifest.Name, model.Manifest.Source, model.Manifest.Licence));
        Assert.Contains(seen,
            one => one.File == "model.safetensors" && one.Done == one.Total && one.Total == _files["model.safetensors"].Length);
        Assert.DoesNotContain(Directory.GetFiles(_folder["cache"], "*", SearchOption.AllDirectories),
            file => file.Contains("evil", StringComparison.Ordinal) || file.EndsWith(".part", StringComparison.Ordinal));
        // The token goes to the hub and to nobody else.
        Assert.All(_requests,
            request =>
                Assert.Equal(request.Path.Contains("acme", StringComparison.Ordinal) ? $"Bearer {Token}" : null,
                    string.IsNullOrEmpty(request.Authorization) ? null : request.Authorization));
    }

    private sealed class Report(Action<HubProgress> report) : IProgress<HubProgress>
    {
        void IProgress<HubProgress>.Report(HubProgress value) => report(value);
    }

    [Theory]
    [InlineData("hf:acme/tiny@refs/pr/1")]
    [InlineData("hf:acme/tiny@" + Commit)]
    public async Task Fetch_Revision_IsAskedFor(string reference) => Assert.EndsWith(Commit, (await FetchAsync(reference)).Source);

    [Fact]
    public async Task Fetch_AnswerEndsEarly_GoesOnWhereItEnded()
    {
        int half = _files["model.safetensors"].Length / 2;
        Cut("model.safetensors", half, abort: false);
        (string path, _) = await FetchAsync("hf:acme/tiny");
        Assert.Equal(_files["model.safetensors"], File.ReadAllBytes(Path.Combine(path, "model.safetensors")));
        Assert.Equal([null, $"bytes={half}-"],
            _requests.Where(request => request.Path == "/model.safetensors").Select(request => request.Range is "" ? null : request.Range));
    }

    [Fact]
    public async Task Fetch_ConnectionBreaks_IsMended()
    {
        Cut("model.safetensors", 1000, abort: true);
        (string path, _) = await FetchAsync("hf:acme/tiny");
        Assert.Equal(_files["model.safetensors"], File.ReadAllBytes(Path.Combine(path, "model.safetensors")));
    }

    [Fact]
    public async Task Fetch_StoppedBefore_FetchesOnlyTheRest()
    {
        (string path, _) = await FetchAsync("hf:acme/tiny");
        File.Move(Path.Combine(path, "model.safetensors"), Path.Combine(path, "model.safetensors.part"));
        using (FileStream part = File.OpenWrite(Path.Combine(path, "model.safetensors.part"))) part.SetLength(100);
        _requests.Clear();
        await FetchAsync("hf:acme/tiny");
        Assert.Equal("bytes=100-", Assert.Single(_requests, request => request.Path == "/model.safetensors").Range);
        Assert.Equal(_files["model.safetensors"], File.ReadAllBytes(Path.Combine(path, "model.safetensors")));
        Assert.DoesNotContain(_requests, request => request.Path == "/tokenizer.json");
    }

    [Fact]
    public async Task Fetch_DamagedRest_StartsOver()
    {
        (string path, _) = await FetchAsync("hf:acme/tiny");
        File.Delete(Path.Combine(path, "model.safetensors"));
        File.WriteAllBytes(Path.Combine(path, "model.safetensors.part"), new byte[100]);
        await FetchAsync("hf:acme/tiny");
        Assert.Equal(_files["model.safetensors"], File.ReadAllBytes(Path.Combine(path, "model.safetensors")));
    }

    [Theory]
    [InlineData("model.safetensors")] // sha256
    [InlineData("config.json")] // git's name
    public async Task Fetch_WrongChecksum_KeepsNothing(string file)
    {
        byte[] damaged = [.. _files[file]];
        damaged[^2] ^= 1;
        foreach (string _ in _files.Keys)
            _faults.Enqueue(async context =>
            {
                if (context.Request.Path != "/" + file) return false;
                await context.Response.Body.WriteAsync(damaged);
                return true;
            });
        Assert.Contains("the hub says", await ErrorAsync("hf:acme/tiny"));
        Assert.DoesNotContain(Directory.GetFiles(_folder["cache"], "*", SearchOption.AllDirectories),
            found => Path.GetFileName(found).StartsWith(file, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Fetch_BusyServer_IsAskedAgain()
    {
        _faults.Enqueue(Answer(429, "0"));
        _faults.Enqueue(Answer(503));
        _faults.Enqueue(Answer(500));
        (string path, _) = await FetchAsync("hf:acme/tiny");
        Assert.Equal(_files["model.safetensors"], File.ReadAllBytes(Path.Combine(path, "model.safetensors")));
    }

    [Fact]
    public async Task Fetch_AlwaysBusy_GivesUpAndSaysSo()
    {
        for (int i = 0; i < 100; i++) _faults.Enqueue(Answer(429, "0"));
        string message = await ErrorAsync("hf:acme/tiny");
        Assert.Contains("answers 429", message);
        Assert.Contains("given up after 6 attempts", message);
    }

    [Fact]
    public async Task Fetch_ServerThatStalls_IsAskedAgain()
    {
        _faults.Enqueue(async context =>
        {
            context.Response.ContentLength = 1000;
            await context.Response.Body.WriteAsync(new byte[1]);
            await context.Response.Body.FlushAsync();
            await Task.Delay(TimeSpan.FromSeconds(30), context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            return true;
        });
        Assert.True(File.Exists(Path.Combine((await FetchAsync("hf:acme/tiny")).Path, "config.json")));
    }

    [Fact]
    public async Task Fetch_MoreBytesThanStated_IsRefused()
    {
        foreach (string _ in _files.Keys)
            _faults.Enqueue(async context =>
            {
                if (context.Request.Path != "/model.safetensors") return false;
                await context.Response.Body.WriteAsync(new byte[_files["model.safetensors"].Length + 1]);
                return true;
            });
        Assert.Contains("sends more than", await ErrorAsync("hf:acme/tiny"));
    }

    [Theory]
    [InlineData("hf:acme/private", "", "401", "HF_TOKEN")]
    [InlineData("hf:acme/private", Token, "403", "conditions")]
    [InlineData("hf:acme/nothing", "", "404", "no such model")]
    [InlineData("hf:acme/tiny@nowhere", "", "404", "'nowhere'")]
    [InlineData("hf:acme/broken", "", "malformed", "list of files")]
    [InlineData("hf:acme/tiny:other.gguf", "", "no file 'other.gguf'", "model.safetensors")]
    public async Task Fetch_Refused_SaysWhy(string reference, string token, string expected, string also)
    {
        string message = await ErrorAsync(reference, token);
        Assert.Contains(expected, message);
        Assert.Contains(also, message);
    }

    [Fact]
    public async Task Fetch_OnlyGgufFiles_TakesTheOneThatIsNamed()
    {
        _files.Clear();
        ModelExport.ToGguf(ModelFolder.Open(Directory.GetDirectories(_folder["made"]).Single()), _folder["x.gguf"],
            ExportType.Parse("q8_0"));
        _files["tiny-q8_0.gguf"] = File.ReadAllBytes(_folder["x.gguf"]);
        Assert.Equal(_files["tiny-q8_0.gguf"], File.ReadAllBytes((await FetchAsync("hf:acme/tiny")).Path));
        _files["tiny-f32.gguf"] = [1, 2, 3];
        Assert.Contains("2 GGUF files; name one, such as hf:acme/tiny:", await ErrorAsync("hf:acme/tiny"));
        (string path, string source) = await FetchAsync("hf:acme/tiny:tiny-q8_0.gguf");
        Assert.Equal(($"hf:acme/tiny@{Commit}:tiny-q8_0.gguf", "tiny"),
            (source, ModelImport.Import(path, _folder["models"], DateTimeOffset.UnixEpoch, source).Manifest.Name));
    }

    [Fact]
    public async Task Fetch_NoServer_GivesUpAndSaysSo()
    {
        await _hub.StopAsync(TestContext.Current.CancellationToken);
        Assert.Contains("given up", await ErrorAsync("hf:acme/tiny"));
    }

    [Theory]
    [InlineData("hf:")]
    [InlineData("hf:name")]
    [InlineData("hf:a/b/c")]
    [InlineData("hf:../../etc")]
    [InlineData("hf:a/b@")]
    [InlineData("hf:a/b:../x.gguf")]
    [InlineData("hf:a/b?x=1")]
    public void Parse_NoModel_IsRefused(string text) =>
    Assert.Contains("expected hf:owner/name", Assert.Throws<FlywheelException>(() => HubReference.Parse(text)).Message);

    [Fact]
    public void Client_NoAddress_IsRefused() =>
    Assert.Contains("HF_ENDPOINT", Assert.Throws<FlywheelException>(() => new HubClient("ftp://x")).Message);
}
