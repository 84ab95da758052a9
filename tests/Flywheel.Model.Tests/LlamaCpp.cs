using Flywheel.Testing;

namespace Flywheel.Model.Tests;

/// <summary>A build of llama.cpp, the yardstick of our files: FLYWHEEL_LLAMA_CPP names the folder of its programs.</summary>
internal static class LlamaCpp
{
    /// <summary>What a program prints; the test is skipped where there is no build.</summary>
    public static async Task<string> RunAsync(string program, params string[] arguments)
    {
        string folder = Environment.GetEnvironmentVariable("FLYWHEEL_LLAMA_CPP") ?? "";
        string path = Path.Combine(folder, program);
        if (folder.Length == 0 || !File.Exists(path)) Assert.Skip($"FLYWHEEL_LLAMA_CPP names no folder with {program}");
        (int code, string output) = await Tool.RunAsync(path, arguments, folder);
        Assert.True(code == 0, $"{program} {string.Join(' ', arguments)} ended with {code}:\n{output}");
        return output;
    }
}
