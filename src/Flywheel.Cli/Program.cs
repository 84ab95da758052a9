namespace Flywheel.Cli; internal static class Program { private static void Main() { } }
