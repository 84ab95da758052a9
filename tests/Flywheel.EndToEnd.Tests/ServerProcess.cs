using System.Diagnostics;
using System.Text;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary>The program as people run it, <c>flywheel up</c>, in a process of its own.</summary>
internal sealed class ServerProcess : TestedServer
{
    private readonly Process _process;

    private readonly StringBuilder _output;

    private ServerProcess(Process process, StringBuilder output) => (_process, _output) = (process, output);

    public int Pid => _process.Id;

    public string Output
    {
        get
        {
            lock (_output) return _output.ToString();
        }
    }

    public static string Program => Path.Combine(TestFiles.Root, "artifacts", "bin", "Flywheel.Cli", "release", "flywheel.dll");

    /// <summary>Starts on a free port and returns when it answers.</summary>
    /// <param name="home">The home; the next start on it finds what this one recorded.</param>
    /// <param name="arguments">Of <c>up</c>, such as --model.</param>
    public static async Task<ServerProcess> StartAsync(string home, params string[] arguments)
    {
        bool placed = arguments.Contains("--port") || arguments.Contains("--url");
        Process process = Launch(home, ["up", .. placed ? [] : (string[])["--port", "0"], .. arguments]);
        var output = new StringBuilder();
        var ready = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        void Read(string? line)
        {
            if (line is null) return;
            lock (output) output.AppendLine(line);
            if (line.StartsWith("Flywheel is ready at ", StringComparison.Ordinal))
                ready.TrySetResult(line["Flywheel is ready at ".Length..].Trim());
        }
        process.OutputDataReceived += (_, line) => Read(line.Data);
        process.ErrorDataReceived += (_, line) => Read(line.Data);
        process.EnableRaisingEvents = true;
        process.Exited += (_, _) => ready.TrySetException(new InvalidOperationException($"the server ended before it was ready: {output}"));
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        string url = await ready.Task.WaitAsync(TimeSpan.FromMinutes(2));
        return new ServerProcess(process, output) { Url = url,
            Http = new HttpClient(new AdminSecretHandler(new FlywheelHome(home))) { BaseAddress = new Uri(url),
                Timeout = TimeSpan.FromMinutes(2) } };
    }

    /// <summary>Runs the program to its end.</summary>
    public static async Task<(int Code, string Output)> RunAsync(string home, params string[] arguments)
    {
        using Process process = Launch(home, arguments);
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync() + await errors;
        await process.WaitForExitAsync();
        return (process.ExitCode, output);
    }

    /// <summary>SIGKILL: no handler runs, nothing is flushed.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>A shell that runs the tests in the background lets them, and what they start, ignore SIGINT; a terminal does not.</summary>
    public static readonly string[] Interruptible = ["--default-signal=INT", "dotnet"];

    /// <summary>As Ctrl-C does.</summary>
    public Task<int> InterruptAsync() => SignalAsync("INT");

    /// <summary>INT as Ctrl-C sends it, or TERM as a service manager does; the exit code.</summary>
    public async Task<int> SignalAsync(string signal)
    {
        await Tool.RunAsync("kill", [$"-{signal}", $"{Pid}"], ".");
        await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(40));
        return _process.ExitCode;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        if (!_process.HasExited) await KillAsync();
        _process.Dispose();
    }

    private static Process Launch(string home, string[] arguments)
    {
        // From a folder that is not the project's: nothing may depend on where the caller stands.
        var start = new ProcessStartInfo("env", [.. Interruptible, Program, .. arguments]) { WorkingDirectory = Path.GetTempPath(),
            RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["FLYWHEEL_HOME"] = home;
        start.Environment["DOTNET_NOLOGO"] = "1";
        return Process.Start(start)!;
    }
}
