using System.Diagnostics;

namespace Flywheel.Loop.Tests;

/// <summary>Runs the tests, or plays the child process that a test starts in order to kill it.</summary>
internal static class Program
{
    private const string Role = "FLYWHEEL_TEST_CHILD";

    public static async Task<int> Main(string[] args)
    {
        switch (Environment.GetEnvironmentVariable(Role))
        {
            case nameof(KillTests):
                await KillTests.RecordForEver(args[0], args[1]);
                return 0;
            case nameof(JobTests):
                await JobTests.WorkForEver(args[0], args[1], args[2]);
                return 0;
            case nameof(ForgetTests):
                await ForgetTests.ForgetAloud(args[0]);
                return 0;
            case nameof(Games.GameLoopTests):
                await Games.GameLoopTests.PlayOneTurn(args[0]);
                return 0;
            case nameof(TurnTests):
                await TurnTests.TurnAloud(args[0]);
                return 0;
            default:
                return await Xunit.MicrosoftTestingPlatform.TestPlatformTestFramework.RunAsync(args,
                    SelfRegisteredExtensions.AddSelfRegisteredExtensions);
        }
    }

    /// <summary>Starts this executable again; its standard output can be read.</summary>
    public static Process StartChild(string role, params string[] arguments)
    {
        bool hosted = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet";
        var start = new ProcessStartInfo(Environment.ProcessPath!,
            hosted ? [typeof(Program).Assembly.Location, .. arguments] : arguments) { RedirectStandardOutput = true };
        start.Environment[Role] = role;
        return Process.Start(start)!;
    }
}
