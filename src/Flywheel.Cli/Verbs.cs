using System.CommandLine;
using Flywheel.Cli.Bench;

namespace Flywheel.Cli;

/// <summary>Every verb of the command line, in the order in which a person meets them.</summary>
internal static class Verbs
{
    public static IEnumerable<Command> All =>
    [
        UpCommand.Create(),
        TurnCommand.Create(),
        RolloutCommand.Create(),
        LineageCommand.Create(),
        ModelsCommand.Create(),
        KeysCommand.Create(),
        PeopleCommand.Create(),
        WorkspacesCommand.Create(),
        ReviewCommand.Create(),
        RetentionCommand.Create(),
        ForgetCommand.Create(),
        RebuildCommand.Create(),
        BackupCommand.Create(),
        RestoreCommand.Create(),
        DemoCommand.Create(),
        SimulateCommand.Create(),
        DataCommand.Create(),
        DraftsCommand.Create(),
        TasksCommand.Create(),
        PlayCommand.Create(),
        TranslateCommand.Create(),
        TrainCommand.Create(),
        RankCommand.Create(),
        RunsCommand.Create(),
        SweepCommand.Create(),
        ScalingCommand.Create(),
        ExperimentCommand.Create(),
        PlanCommand.Create(),
        ImportCommand.Create(),
        ExportCommand.Create(),
        VoiceCommand.Create(),
        BenchCommand.Create(),
        TestCommand.Create(),
    ];
}
