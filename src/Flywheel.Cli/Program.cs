using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Flywheel.Cli;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Training;
using Spectre.Console;

// Named as it is called: the launcher in the project's folder.
var root = new Command("./flywheel", "Flywheel: own your model loop. Train, serve, learn from people, prove it is better, release, repeat.")
    { new HelpOption(), new VersionOption() };
foreach (Command verb in Verbs.All) root.Add(verb);

// Ctrl-C and SIGTERM cancel the verb's token; a verb then ends what it does cleanly within the time limit.
var invocation = new InvocationConfiguration { EnableDefaultExceptionHandler = false,
    ProcessTerminationTimeout = TimeSpan.FromSeconds(30) };
IAnsiConsole errors = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
// A pipe or a file has no width: nothing is wrapped or cut there for want of columns.
if (Console.IsErrorRedirected) errors.Profile.Width = 10_000;
if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 200;
try
{
    string[] line = args switch { [] or ["help"] => ["--help"], ["help", .. var verb] => [.. verb, "--help"], _ => args };
    ParseResult parsed = root.Parse(line);
    if (parsed.Action is ParseErrorAction wrong) wrong.ShowHelp = false; // what is wrong would scroll away above it
    int code = await parsed.InvokeAsync(invocation);
    if (parsed.Errors.Count == 0) return code;
    Command asked = parsed.CommandResult.Command;
    errors.MarkupLineInterpolated($"see: ./flywheel help{Words(asked)}");
    return ExitCodes.UserError;
}
catch (FlywheelException e)
{
    errors.MarkupLineInterpolated($"[red]error:[/] {e.Message}");
    return e is RanksLostException ? ExitCodes.RanksLost : ExitCodes.UserError;
}
catch (Exception e) when (StoreFaults.Of(e) is { } fault)
{
    errors.MarkupLineInterpolated($"[red]error:[/] {Away(fault)} ({e.GetBaseException().Message})");
    return ExitCodes.UserError;
}
catch (OperationCanceledException)
{
    errors.MarkupLine("[yellow]stopped[/]");
    return ExitCodes.Cancelled;
}

string Words(Command command) => command == root ? "" : $"{Words((Command)command.Parents.First())} {command.Name}";

// The record was opened, and then its database went.
static string Away(StoreFault fault) => fault switch
{
    StoreFault.Full => "the disk of the record's database is full; make room and run the command again",
    StoreFault.Locked => "the record's database is locked by another program; run the command again when that has ended",
    _ => "the record's database does not answer any more; see that it runs and run the command again",
};
