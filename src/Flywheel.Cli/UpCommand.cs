using System.CommandLine;
using Flywheel.Model;
using Flywheel.Studio;

namespace Flywheel.Cli;

/// <summary><c>flywheel up</c>: the Studio and the API on the current model, until Ctrl-C.</summary>
internal static class UpCommand
{
    public static Command Create()
    {
        var port = new Option<int>("--port") { Description = "Port on this machine; 0 takes a free one", DefaultValueFactory = _ => 5005 };
        var url =
            new Option<string?>("--url") { Description =
                "Listen elsewhere than on loopback, such as http://0.0.0.0:5005; everyone then needs a key (docs/deploy.md)" };
        var host = new Option<string[]>("--host")
            { Description =
                "Names that this server goes by, such as studio.example.com; others are refused, loopback's and the address of --url are known. Everyone then needs a key", DefaultValueFactory = _ => [] };
        var proxy = new Option<string[]>("--proxy")
            { Description =
                "Addresses of the reverse proxies before this server, such as 127.0.0.1 or 10.0.0.0/8; their X-Forwarded headers are believed. Everyone then needs a key", DefaultValueFactory = _ => [] };
        var cors = new Option<string[]>("--cors")
            { Description = "Origins of pages elsewhere that may call the API, such as https://app.example.com",
                DefaultValueFactory = _ => [] };
        var noAuth = new Option<bool>("--no-auth")
            { Description = "Ask nobody for a key, except for administration: a proxy with your own sign-in stands before this server" };
        var model = new Option<string?>("--model")
            { Description = $"Release and serve this model instead of the champion: {ModelCatalog.Names}" };
        var starter = new Option<bool>("--starter") { Description = "Release and serve the starter model again, whatever the champion is" };
        var database = new Option<string?>("--database")
            { Description =
                "Keep the record in a PostgreSQL database instead of a file of the home, such as \"Host=db;Database=flywheel;Username=flywheel\"; several servers may share one. With a password, better give it in FLYWHEEL_DATABASE, which every command reads (docs/deploy.md)" };
        var adapter = new Option<string[]>("--adapter") { Description = "Adapters of that model to load; the API knows each by its name",
            DefaultValueFactory = _ => [] };
        var command = new Command("up",
            "Open the Studio: the page Write and the OpenAI-compatible API, on the current model.\nExample: ./flywheel up --port 8080")
            { port, url, model, starter, adapter, host, proxy, cors, noAuth, database };
        command.SetAction((parse, cancellation) => RunAsync(new StudioOptions
        {
            Home = new FlywheelHome(server: parse.GetValue(database)),
            Url = parse.GetValue(url) ?? $"http://127.0.0.1:{Port(parse.GetValue(port))}",
            Model = Model(parse.GetValue(model), parse.GetValue(starter)),
            Adapters = parse.GetValue(adapter)!,
            StarterModel = ModelCatalog.Starter,
            Hosts = parse.GetValue(host)!,
            Proxies = parse.GetValue(proxy)!,
            CorsOrigins = parse.GetValue(cors)!,
            NoAuth = parse.GetValue(noAuth),
            TurnRecipe = TurnCommand.TryFindRecipe(),
        }, cancellation));
        return command;
    }

    private static async Task RunAsync(StudioOptions options, CancellationToken cancellation)
    {
        ServerEnd end = await StudioServer.RunAsync(options, server => Console.WriteLine($"""
            Flywheel is ready at {server.Url}
              Write    {(server.ChatFault is null ? $"open {server.Url} in a browser: name a product, get three drafts; keep, edit or discard them" : $"not with this model, which only continues texts (POST /v1/completions): {server.ChatFault}")}
              API      {server.Url}/v1 for any OpenAI client; the model is called "flywheel"{Doors(server)}
              Model    {server.Model.Manifest.Name} {server.Model.ShortHash}, {server.Model.Config.NumParameters / 1e6:F1} million parameters{string.Concat(server.Adapters.Select(name => $"\n  Adapter  {name}, for the API a model of this name"))}
              Record   {server.Record}{(options.Model is null ? "" : "\n  Release  this model stays the champion, also at the next start: ./flywheel models rollback goes back to the one before, ./flywheel up --starter to the starter")}
            Next: use it for a while, then run ./flywheel turn in another terminal: it learns from what you did. Ctrl-C stops the server.
            """), cancellation);
        Console.WriteLine($"Stopped. {end}");
    }

    /// <summary>From where else it is reached, and with what.</summary>
    private static string Doors(StudioServer server)
    {
        string others = server.UrlsForOthers is { Count: > 0 } urls
            ? $"\n  Others   {string.Join(", ", urls)}{(server.NeedsKey ? "" : "; NOBODY is asked for a key, as --no-auth says")}" : "";
        string link = server.FirstLink is not { } path
            ? "" : $"\n  Owner    {server.Url}{path}\n           makes the first account, an owner's, who invites the others; opened within a day, used once. (At the server's name it works as well.)";
        return others + link + server switch
        {
            { FirstKey: { } key } =>
                $"\n  Key      {key}\n           everyone needs one; this is the first, shown this once. More: ./flywheel keys create NAME",
            { NeedsKey: true } => "\n  Key      everyone needs one: ./flywheel keys list shows them, ./flywheel keys create NAME makes one",
            _ => "",
        };
    }

    private static string? Model(string? named, bool starter) => !starter ? named
        : named is not null ? throw new FlywheelException("--model and --starter are both given, expected one")
        : ModelCatalog.Starter ?? throw new FlywheelException("--starter: this program was built without a starter model");

    private static int Port(int port) =>
        port is >= 0 and <= 65535 ? port : throw new FlywheelException($"--port is {port}, expected 0 to 65535");
}
