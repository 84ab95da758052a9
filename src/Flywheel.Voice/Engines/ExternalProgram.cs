using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// A program of the system that is started as a process of its own, never through a shell: each argument is one argument, texts go in by
/// standard input or by file. It has a time limit and ends with its children when it passes it or when the caller gives up.
/// </summary>
/// <param name="Name">As it is found in PATH.</param>
/// <param name="Package">Debian's package that brings it.</param>
public sealed record ExternalProgram(string Name, string Package)
{
    private const int MaxErrorText = 2000;

    public static ExternalProgram Ffmpeg { get; } = new("ffmpeg", "ffmpeg");

    /// <summary>The program's full path; null when it is not installed.</summary>
    public string? Path => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator)
        .Where(folder => folder.Length > 0).Select(folder => System.IO.Path.Combine(folder, Name)).FirstOrDefault(File.Exists);

    public bool IsInstalled => Path is not null;

    public FlywheelException Missing => new($"{Name} is not installed, which this needs; apt-get install {Package}");

    /// <summary>Runs to the end.</summary>
    /// <param name="arguments">Each is one argument.</param>
    /// <param name="input">Standard input; empty when null.</param>
    /// <param name="limit">The process is ended after it.</param>
    /// <param name="success">The exit code that means that all is well.</param>
    /// <param name="cancellation">Ends the process.</param>
    /// <returns>What it wrote to standard output, and to standard error.</returns>
    /// <exception cref="FlywheelException">It is not installed, failed, or took too long.</exception>
    public async Task<(byte[] Output, string Errors)> RunAsync(IEnumerable<string> arguments, byte[]? input = null, TimeSpan? limit = null,
        int success = 0, CancellationToken cancellation = default)
    {
        var output = new MemoryStream();
        string errors = await PipeAsync(arguments, stdin => stdin.WriteAsync(input ?? [], cancellation).AsTask(), output, limit, success,
            cancellation);
        return (output.ToArray(), errors);
    }

    /// <summary>Runs to the end, its input written while its output is read.</summary>
    /// <param name="arguments">Each is one argument.</param>
    /// <param name="feed">Writes standard input; what it throws ends the process.</param>
    /// <param name="output">Gets standard output as it comes.</param>
    /// <param name="limit">The process is ended after it.</param>
    /// <param name="success">The exit code that means that all is well.</param>
    /// <param name="cancellation">Ends the process.</param>
    /// <returns>What it wrote to standard error.</returns>
    /// <exception cref="FlywheelException">It is not installed, failed, or took too long.</exception>
    public async Task<string> PipeAsync(IEnumerable<string> arguments, Func<Stream, Task> feed, Stream output, TimeSpan? limit = null,
        int success = 0, CancellationToken cancellation = default)
    {
        var start = new ProcessStartInfo(Path ?? throw Missing, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = System.IO.Path.GetTempPath(),
        };
        start.Environment["LC_ALL"] = "C.UTF-8";
        TimeSpan most = limit ?? TimeSpan.FromMinutes(2);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        ending.CancelAfter(most);
        using Process process = Start(start);
        try
        {
            Task copying = CopyAsync(process.StandardOutput.BaseStream, output, ending.Token);
            Task<string> errors = ReadEndAsync(process.StandardError, ending.Token);
            Task feeding = FeedAsync(process.StandardInput.BaseStream, feed, ending.Token);
            await await Task.WhenAny(copying, feeding); // a listener who is gone must not leave the other end waiting
            await feeding;
            await copying;
            string said = await errors;
            await process.WaitForExitAsync(ending.Token);
            if (process.ExitCode == success) return said;
            throw new FlywheelException($"{Name} failed with exit code {process.ExitCode}{(said.Length > 0 ? $": {said.Trim()}" : "")}");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new FlywheelException($"{Name} was ended after {most.TotalSeconds:0} seconds, which is more than it may take");
        }
        finally
        {
            End(process);
        }
    }

    private Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new FlywheelException($"{start.FileName} cannot be started: {e.Message}", e);
        }
    }

    private static async Task FeedAsync(Stream stdin, Func<Stream, Task> feed, CancellationToken cancellation)
    {
        try
        {
            await using (stdin) await feed(stdin).WaitAsync(cancellation);
        }
        catch (IOException)
        {
            // It ended without reading all: its exit code tells whether that is a failure.
        }
    }

    /// <summary>Passes on what there is at once: somebody may listen already.</summary>
    private static async Task CopyAsync(Stream from, Stream to, CancellationToken cancellation)
    {
        byte[] piece = new byte[1 << 14];
        for (int read; (read = await from.ReadAsync(piece, cancellation)) > 0;)
        {
            await to.WriteAsync(piece.AsMemory(0, read), cancellation);
            await to.FlushAsync(cancellation);
        }
    }

    /// <summary>The end of what it says: there the reason stands.</summary>
    private static async Task<string> ReadEndAsync(StreamReader reader, CancellationToken cancellation)
    {
        var text = new StringBuilder();
        char[] piece = new char[1024];
        for (int read; (read = await reader.ReadAsync(piece, cancellation)) > 0;)
        {
            text.Append(piece, 0, read);
            if (text.Length > 2 * MaxErrorText) text.Remove(0, text.Length - MaxErrorText);
        }
        return text.ToString();
    }

    private static void End(Process process)
    {
        try
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception)
        {
            // It has just ended by itself.
        }
    }
}
