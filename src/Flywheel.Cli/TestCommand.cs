using System.CommandLine;
using Flywheel.Model;

namespace Flywheel.Cli;

/// <summary><c>flywheel test</c>: the launcher runs it before this program is built; here it is only explained.</summary>
internal static class TestCommand
{
    public static Command Create()
    {
        var projects = new Argument<string[]>("project") { Description = "Test projects to run, such as Engine Model; without any, all",
            Arity = ArgumentArity.ZeroOrMore };
        var command = new Command("test", "Build everything and run the tests.\nExample: ./flywheel test Engine Model") { projects };
        command.SetAction((Action<ParseResult>)(_ =>
            throw new FlywheelException("tests are run by the launcher in the project's folder: ./flywheel test")));
        return command;
    }
}
