using System.Diagnostics;
using Flywheel.Cli;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary>The command line as people call it.</summary>
public sealed class CommandLineTests
{
    private static async Task<(int Code, string Output)> RunAsync(string language, params string[] arguments)
    {
        using var home = new TempFolder();
        var start = new ProcessStartInfo("dotnet", [ServerProcess.Program, .. arguments])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
            Environment = { ["FLYWHEEL_HOME"] = home.Path, ["LANG"] = language, ["LC_ALL"] = language },
        };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync() + await errors;
        await process.WaitForExitAsync();
        return (process.ExitCode, output);
    }

    /// <summary>Numbers are read and written alike, whatever the machine's language.</summary>
    [Fact]
    public async Task Plan_OnAGermanMachine_IsTheSame()
    {
        string[] plan = ["plan", "--gpu", "h100", "--count", "8", "--price", "2.5", "--params", "1.3b"];
        (int code, string output) = await RunAsync("C.UTF-8", plan);
        Assert.Equal((0, output), (code, (await RunAsync("de_DE.UTF-8", plan)).Output));
        Assert.Matches(@"8 x h100: \d\.\d\de15 operations", output);
        Assert.Contains("CUDA) is not wired up", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_OfEveryVerb_ShowsItAsItIsCalled()
    {
        (int code, string output) = await RunAsync("C.UTF-8", "help");
        Assert.Equal(0, code);
        foreach (string verb in Verbs.All.Where(verb => !verb.Hidden).Select(verb => verb.Name))
            Assert.Contains($"\n  {verb} ", output, StringComparison.Ordinal);
        Assert.Contains("\n  test ", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Example: flywheel", output, StringComparison.Ordinal);
        (_, string serve) = await RunAsync("C.UTF-8", "help", "bench", "serve");
        Assert.Contains("./flywheel bench serve [options]", serve, StringComparison.Ordinal);
    }
}
