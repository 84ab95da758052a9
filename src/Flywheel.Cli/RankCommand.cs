using System.CommandLine;
using Flywheel.Model;
using Flywheel.Training;

namespace Flywheel.Cli;

/// <summary><c>flywheel rank JOB</c>: one of the processes that <c>flywheel train --ranks</c> starts, or the pilot of a run.</summary>
internal static class RankCommand
{
    private const string Verb = "rank";

    public static Command Create()
    {
        var job = new Argument<string>("job") { Description = "The job's file" };
        var pilot = new Option<bool>("--pilot") { Description = "Measure its beginning" };
        var command = new Command(Verb, "One rank of a training; started by './flywheel train'.") { job, pilot };
        command.Hidden = true;
        command.SetAction((parse, cancellation) =>
            Task.Run(() => Run(parse.GetValue(job)!, parse.GetValue(pilot), cancellation), CancellationToken.None));
        return command;
    }

    /// <summary>What starts this program as a rank; the job's file follows.</summary>
    public static IReadOnlyList<string> CommandLine()
    {
        string self = Environment.ProcessPath!;
        return Path.GetFileNameWithoutExtension(self) == "dotnet" ? [self, typeof(RankCommand).Assembly.Location, Verb] : [self, Verb];
    }

    /// <summary>The forecast of a run in this process, measured in another one.</summary>
    public static TrainingForecast Pilot(TrainingJob job, CancellationToken cancellation) =>
        new Supervisor { Launcher = [], RankCommand = CommandLine(), Note = Console.Error.WriteLine }.Forecast(job, cancellation).Here();

    private static int Run(string jobFile, bool pilot, CancellationToken cancellation)
    {
        ICollectives? world = null;
        try
        {
            world = World.Join();
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            if (world.Rank == 0) StopAtEndOfInput(stop);
            RankBeat.Start(world.Rank, world.Size, Console.Out);
            TrainingJob training = TrainingJobFile.Load(jobFile);
            if (!pilot) TrainingRun.Run(training, world, progress => new RankMessage(progress).Write(Console.Out), stop.Token);
            else if (TrainingPilot.Run(training, world, stop.Token) is var forecast && world.Rank == 0)
                new RankMessage(Forecast: forecast).Write(Console.Out);
        }
        catch (OperationCanceledException)
        {
            // All ranks have agreed to stop and written a checkpoint.
        }
        catch (FlywheelException e)
        {
            return Fail(world, e, error => new RankMessage(Error: error).Write(Console.Out));
        }
        world?.Dispose();
        return 0;
    }

    /// <summary>Says what is wrong and ends all ranks: the others may wait for this one.</summary>
    internal static int Fail(ICollectives? world, FlywheelException error, Action<string> write)
    {
        if (world is { Rank: > 0 }) Thread.Sleep(1000); // what all ranks have met is said by the first, which then ends the others
        write(world is { Rank: > 0 } ? $"rank {world.Rank}: {error.Message}" : error.Message);
        if (world is { Size: > 1 })
        {
            Thread.Sleep(200); // the launcher has read the line before it is told to end everything
            world.Abort(ExitCodes.UserError);
        }
        return ExitCodes.UserError;
    }

    /// <summary>The supervisor holds the other end; it closes it to ask for a stop, and the system does when it dies.</summary>
    private static void StopAtEndOfInput(CancellationTokenSource stop) => new Thread(() =>
    {
        while (Console.In.Read() >= 0) { }
        try
        {
            stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The run has ended.
        }
    }) { IsBackground = true }.Start();
}
