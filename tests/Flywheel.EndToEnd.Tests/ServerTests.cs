using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary>The server as a process: how it starts, what it refuses, how it ends.</summary>
public sealed class ServerTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Up_InARunningHome_IsRefusedAndNamesTheOther()
    {
        await using ServerProcess server = await StartAsync();
        Assert.Equal(server.Url, RunningServer.Find(new FlywheelHome(_folder["home"]))?.Url);
        Assert.Equal(server.Pid, RunningServer.Find(new FlywheelHome(_folder["home"]))?.Pid);
        (int code, string output) = await ServerProcess.RunAsync(_folder["home"], "up", "--port", "0");
        Assert.Equal(2, code);
        Assert.Contains(server.Url, output.ReplaceLineEndings(""), StringComparison.Ordinal);
        await server.KillAsync();
        Assert.Null(RunningServer.Find(new FlywheelHome(_folder["home"]))); // what it left behind is not believed
    }

    [Fact]
    public async Task Up_PortInUse_NamesThePortAndWhatToDo()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        int port = ((IPEndPoint)other.LocalEndpoint).Port;
        (int code, string output) = await ServerProcess.RunAsync(_folder["home"], "up", "--port", $"{port}", "--model", Model().Path);
        Assert.Equal(2, code);
        Assert.Contains($"port {port} is in use", output.ReplaceLineEndings(" "), StringComparison.Ordinal);
        Assert.Contains("--port", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Up_ModelMissing_SaysWhichFolder()
    {
        (int code, string output) = await ServerProcess.RunAsync(_folder["home"], "up", "--port", "0", "--model", _folder["nowhere"]);
        Assert.Equal(2, code);
        Assert.Contains("nowhere", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nonsense", "--url")]
    [InlineData("http://999.1.1.1:5005", "--url")]
    [InlineData("http://192.0.2.1:0", "192.0.2.1")]
    public async Task Up_AddressUnusable_SaysWhichWasExpected(string url, string says)
    {
        (int code, string output) = await ServerProcess.RunAsync(_folder["home"], "up", "--url", url, "--model", Model().Path);
        Assert.Equal(2, code);
        Assert.Contains(says, output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Up_HomeCannotBeMade_SaysWhere()
    {
        File.WriteAllText(_folder["file"], "");
        (int code, string output) = await ServerProcess.RunAsync(Path.Combine(_folder["file"], "home"), "up", "--port", "0", "--model",
            Model().Path);
        Assert.Equal(2, code);
        Assert.Contains("cannot write to the home", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task Signal_StreamRunning_LetsItEndThenLeavesAndSaysSo(string signal)
    {
        await using ServerProcess server = await StartAsync(context: 2048);
        JsonObject bias = [];
        foreach (int end in Model(2048).Config.EosTokenIds) bias[$"{end}"] = -100;
        var request = new JsonObject { ["model"] = "flywheel", ["prompt"] = "The wheel", ["max_tokens"] = 1500, ["stream"] = true,
            ["logit_bias"] = bias };
        using var message = new HttpRequestMessage(HttpMethod.Post,
            "/v1/completions") { Content = new StringContent(request.ToJsonString(), null, "application/json") };
        using HttpResponseMessage response = await server.Http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        await lines.ReadLineAsync();
        Task<int> ending = server.SignalAsync(signal);
        string rest = await lines.ReadToEndAsync();
        Assert.EndsWith("data: [DONE]\n\n", rest, StringComparison.Ordinal);
        Assert.Contains("\"length\"", rest, StringComparison.Ordinal);
        Assert.Equal(0, await ending);
        Assert.Contains("Stopped. 1 answer still ran and was finished", server.Output, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_folder["home"], "server.json")));
    }

    private ModelFolder Model(int context = 256) => TinyModel.Create(_folder["models"], context: context);

    private Task<ServerProcess> StartAsync(int context = 256) => ServerProcess.StartAsync(_folder["home"], "--model", Model(context).Path);
}
