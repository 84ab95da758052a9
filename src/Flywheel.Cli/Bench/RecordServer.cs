using System.Diagnostics;
using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Cli.Bench;

/// <summary>
/// A server in a process of its own that answers small mock generations: at <c>/on</c> once they are recorded durably, at <c>/off</c> at
/// once. <c>/keep?of=ID</c> is feedback about one, whose key is that id.
/// </summary>
internal sealed class RecordServer : IAsyncDisposable
{
    /// <summary>Of a prompt, and of an answer.</summary>
    public const int Tokens = 30;

    private readonly Process _process;

    private RecordServer(Process process, string url) => (_process, Url) = (process, url);

    public string Url { get; }

    /// <param name="home">Where it records.</param>
    /// <param name="database">Connection string of PostgreSQL; null: SQLite.</param>
    /// <param name="program">The program to start; null: this one.</param>
    public static async Task<RecordServer> StartAsync(string home, string? database, string? program = null)
    {
        var start = new ProcessStartInfo("dotnet", [program ?? typeof(RecordServer).Assembly.Location, "bench", "record", "--serve", home])
            { RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["FLYWHEEL_DATABASE"] = database ?? "";
        start.Environment["DOTNET_TieredCompilation"] = "0"; // as `up` runs
        Process process = Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start");
        return new(process, await process.StandardOutput.ReadLineAsync()
            ?? throw new FlywheelException("the server to measure ended before it answered; what it said above tells why"));
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.StandardInput.Close();
            await _process.WaitForExitAsync();
        }
        _process.Dispose();
    }

    /// <summary>The process itself: says its address and answers until its input ends.</summary>
    public static async Task ServeAsync(FlywheelHome home, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(home, cancellation: cancellation);
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        await using WebApplication app = builder.Build();
        int served = 0;
        app.MapPost("/off", () => Next().Id);
        app.MapPost("/on", async () =>
        {
            Generation generation = Next();
            await store.RecordAsync(generation);
            return generation.Id;
        });
        app.MapPost("/keep", async (Guid of) => (await store.AddFeedbackAsync(new(of, Metrics.Keep, true, idempotencyKey: $"{of}"))).Id);
        await app.StartAsync(cancellation);
        Console.WriteLine(app.Urls.First());
        await Task.Run(() => Console.In.ReadToEnd(), cancellation);
        await app.StopAsync(cancellation);

        Generation Next() => RecordBenchmark.Example(Interlocked.Increment(ref served), Tokens);
    }
}
