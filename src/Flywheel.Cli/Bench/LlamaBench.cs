using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Cli.Bench;

/// <summary>llama.cpp's own benchmark, as a yardstick of the same minute.</summary>
internal sealed class LlamaBench
{
    private readonly string _program;

    /// <param name="build">Build folder of llama.cpp, or the folder of its programs.</param>
    /// <exception cref="FlywheelException">There is no llama-bench.</exception>
    public LlamaBench(string build) => _program = FindProgram(build, "llama-bench");

    public static string FindProgram(string build, string name)
    {
        string[] places = [Path.Combine(build, "bin", name), Path.Combine(build, name)];
        return places.FirstOrDefault(File.Exists)
            ?? throw new FlywheelException($"{places[0]}: no such file; expected the build folder of llama.cpp");
    }

    /// <summary>Tokens a second, once, with flash attention or without it, whichever is faster.</summary>
    /// <param name="model">GGUF file.</param>
    /// <param name="threads">Threads.</param>
    /// <param name="prompt">Prompt tokens to read, or 0.</param>
    /// <param name="answer">Tokens to write, or 0.</param>
    /// <param name="depth">Tokens that are in the cache before.</param>
    /// <exception cref="FlywheelException">It fails, for instance because it does not know the model.</exception>
    public async Task<double> RunAsync(string model, int threads, int prompt, int answer, int depth = 0)
    {
        string[] arguments = ["-m", model, "-t", Text(threads), "-p", Text(prompt), "-n", Text(answer), "-d", Text(depth), "-r", "1", "-fa",
            "0,1", "-o", "json"];
        (int code, string output, string errors) = await RunAsync(_program, arguments);
        if (code != 0)
            throw new FlywheelException(
                $"{_program} {string.Join(' ', arguments)} failed with exit code {code}: {errors.Trim().Split('\n')[^1]}");
        return JsonNode.Parse(output)!.AsArray().Max(run => (double)run!["avg_ts"]!);

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
    }

    public static async Task<(int Code, string Output, string Errors)> RunAsync(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        // What our launcher sets for libtorch would slow its threads down to a third.
        foreach (string ours in new[] { "OMP_WAIT_POLICY", "LD_PRELOAD", "MALLOC_CONF" }) start.Environment.Remove(ours);
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await errors);
    }
}
