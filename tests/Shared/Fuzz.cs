namespace Flywheel.Testing;

/// <summary>How long the fuzz tests run: FLYWHEEL_FUZZ multiplies their inputs.</summary>
internal static class Fuzz
{
    private static readonly int s_factor = int.TryParse(Environment.GetEnvironmentVariable("FLYWHEEL_FUZZ"), out int factor) && factor > 0
        ? factor : 1;

    public static int Iterations(int usual) => usual * s_factor;
}
