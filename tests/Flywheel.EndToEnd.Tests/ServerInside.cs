using Flywheel.Engine;
using Flywheel.Model;
using Flywheel.Studio;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary>
/// The server of <c>flywheel up</c> in the process of the tests: it answers on a port as any other, and what one test had compiled serves
/// the next, which is most of what a process of its own costs.
/// </summary>
internal sealed class ServerInside : TestedServer
{
    private readonly StudioServer _server;

    private ServerInside(StudioServer server) => _server = server;

    /// <summary>Starts on a free port.</summary>
    public static async Task<ServerInside> StartAsync(string home, string model)
    {
        StudioServer server = await StudioServer.StartAsync(new StudioOptions
        {
            Home = new FlywheelHome(home),
            Url = "http://127.0.0.1:0",
            Model = model,
            StarterModel = ModelCatalog.Starter,
            TurnRecipe = Path.Combine(TestFiles.Root, "recipes", "turn.yaml"),
            Engine = new EngineOptions { Threads = 1 },
        });
        return new ServerInside(server) { Url = server.Url,
            Http = new HttpClient(new AdminSecretHandler(new FlywheelHome(home))) { BaseAddress = new Uri(server.Url),
                Timeout = TimeSpan.FromMinutes(2) } };
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await _server.DisposeAsync();
    }
}
