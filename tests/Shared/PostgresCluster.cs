using System.Diagnostics;
using System.Text;

namespace Flywheel.Testing;

/// <summary>
/// A PostgreSQL server of the tests' own, in a temporary folder, reached by a socket there. Its databases sort by a language's rules, so
/// that what must not depend on them is seen.
/// </summary>
internal sealed class PostgresCluster : IAsyncDisposable
{
    private static readonly Lazy<Task<PostgresCluster>> s_shared = new(async () =>
    {
        PostgresCluster cluster = await StartAsync();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => cluster.DisposeAsync().AsTask().GetAwaiter().GetResult();
        return cluster;
    });

    private readonly TempFolder _folder = new();
    private readonly StringBuilder _log = new();
    private Process? _server;
    private int _numDatabases;

    /// <summary>Folder of the programs, or null where they are not installed.</summary>
    private static string? Programs { get; } = !Directory.Exists("/usr/lib/postgresql") ? null
        : Directory.EnumerateDirectories("/usr/lib/postgresql").Select(version => Path.Combine(version, "bin"))
            .Where(bin => File.Exists(Path.Combine(bin, "initdb"))).OrderByDescending(bin => bin, StringComparer.Ordinal).FirstOrDefault();

    /// <summary>The one of this test process, started when it is first asked for. Skips the test where there is no PostgreSQL.</summary>
    public static Task<PostgresCluster> SharedAsync()
    {
        SkipWhereMissing();
        return s_shared.Value;
    }

    /// <summary>One that a test may kill. Skips the test where there is no PostgreSQL.</summary>
    public static async Task<PostgresCluster> StartAsync()
    {
        SkipWhereMissing();
        var cluster = new PostgresCluster();
        // the server refuses to run as root
        if (Environment.UserName == "root") await RunAsync("chown", ["postgres", cluster._folder.Path], "/");
        await cluster.RunAsUserAsync("initdb", "-D", cluster.Data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync",
            "--no-instructions",
            "--locale=C", "--locale-provider=icu", "--icu-locale=en-US");
        await cluster.BeginAsync();
        return cluster;
    }

    private string Data => _folder["data"];

    /// <summary>Starts the server, also after a kill, and returns when it answers.</summary>
    public async Task BeginAsync()
    {
        for (int attempt = 1; ; attempt++)
        {
            var start = new ProcessStartInfo("env", [.. AsUser(), Path.Combine(Programs!, "postgres"), "-D", Data, "-k", _folder.Path, "-c",
                "listen_addresses=",
                "-c", "max_connections=200"]) { WorkingDirectory = _folder.Path, RedirectStandardError = true };
            _server = Process.Start(start)!;
            _server.ErrorDataReceived += (_, line) =>
            {
                lock (_log) _log.AppendLine(line.Data);
            };
            _server.BeginErrorReadLine();
            var patience = Stopwatch.StartNew();
            while (!_server.HasExited && patience.Elapsed < TimeSpan.FromMinutes(1))
            {
                if ((await Tool.RunAsync(Path.Combine(Programs!, "pg_isready"), ["-q", "-h", _folder.Path], _folder.Path)).Code == 0)
                    return;
                await Task.Delay(20);
            }
            // After a kill the memory of the server before may be in use for a moment.
            lock (_log)
                if (attempt == 50 || !_server.HasExited) throw new InvalidOperationException($"PostgreSQL does not start: {_log}");
            await Task.Delay(100);
        }
    }

    /// <summary>Connection string of a database of this server.</summary>
    public string Connection(string database, string user = "postgres") => $"Host={_folder.Path};Database={database};Username={user}";

    /// <summary>Makes a database.</summary>
    /// <param name="template">One that nobody is connected to, to be copied; null: an empty one.</param>
    /// <returns>Its connection string.</returns>
    public async Task<string> CreateDatabaseAsync(string? template = null)
    {
        string name = $"test{Interlocked.Increment(ref _numDatabases)}";
        await SqlAsync("postgres", $"CREATE DATABASE {name} TEMPLATE {template ?? "template0"}");
        return Connection(name);
    }

    /// <summary>Runs a statement as the administrator; what it prints.</summary>
    public async Task<string> SqlAsync(string database, string sql) => (await RunAsync(Path.Combine(Programs!, "psql"),
        ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", _folder.Path, "-U", "postgres", "-d", database, "-c", sql], _folder.Path))
        .Trim();

    /// <summary>Has a user prove who they are by a password.</summary>
    public async Task AskForPasswordAsync(string user, string password)
    {
        await SqlAsync("postgres", $"CREATE USER {user} PASSWORD '{password}'");
        string file = Path.Combine(Data, "pg_hba.conf");
        await File.WriteAllTextAsync(file, $"local all {user} scram-sha-256\n{await File.ReadAllTextAsync(file)}");
        await SqlAsync("postgres", "SELECT pg_reload_conf()");
    }

    /// <summary>SIGKILL for the server and every process of it.</summary>
    public async Task KillAsync()
    {
        string id = $"{_server!.Id}";
        string[] children = (await Tool.RunAsync("ps", ["-o", "pid=", "--ppid", id], "/")).Output.Split([' ', '\n'],
            StringSplitOptions.RemoveEmptyEntries);
        await Tool.RunAsync("kill", ["-KILL", id, .. children], "/");
        await _server.WaitForExitAsync();
    }

    /// <summary>Ends it as an administrator does who does not wait for those who are connected.</summary>
    public async Task EndAsync()
    {
        await Tool.RunAsync("kill", ["-INT", $"{_server!.Id}"], "/");
        await _server.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is { HasExited: false })
        {
            await Tool.RunAsync("kill", ["-QUIT", $"{_server.Id}"], "/"); // nothing of it is needed any more
            await _server.WaitForExitAsync();
        }
        _server?.Dispose();
        _folder.Dispose();
    }

    private static void SkipWhereMissing()
    {
        if (Programs is null) Assert.Skip("PostgreSQL is not installed (Debian package postgresql)");
    }

    private static string[] AsUser() =>
        Environment.UserName == "root" ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : [];

    private Task<string> RunAsUserAsync(string program, params string[] arguments) =>
        RunAsync("env", [.. AsUser(), Path.Combine(Programs!, program), .. arguments], _folder.Path);

    private static async Task<string> RunAsync(string program, IEnumerable<string> arguments, string folder)
    {
        (int code, string output) = await Tool.RunAsync(program, arguments, folder);
        return code == 0 ? output : throw new InvalidOperationException($"{program} ended with {code}: {output}");
    }
}
