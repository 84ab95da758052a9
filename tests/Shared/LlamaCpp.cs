namespace Flywheel.Testing;

/// <summary>A build of llama.cpp, the yardstick of our files: FLYWHEEL_LLAMA_CPP names the folder of its programs.</summary>
internal static class LlamaCpp
{
    /// <summary>The path of a program; the test is skipped where there is no build.</summary>
    public static string Find(string program)
    {
        string folder = Environment.GetEnvironmentVariable("FLYWHEEL_LLAMA_CPP") ?? "", path = Path.Combine(folder, program);
        if (folder.Length == 0 || !File.Exists(path)) Assert.Skip($"FLYWHEEL_LLAMA_CPP names no folder with {program}");
        return path;
    }

    /// <summary>What a program prints.</summary>
    public static async Task<string> RunAsync(string program, params string[] arguments)
    {
        string path = Find(program);
        (int code, string output) = await Tool.RunAsync(path, arguments, Path.GetDirectoryName(path)!);
        Assert.True(code == 0, $"{program} {string.Join(' ', arguments)} ended with {code}:\n{output}");
        return output;
    }
}
