using System.CommandLine;
using System.Text.Json;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;

namespace Flywheel.Cli;

/// <summary><c>flywheel forget</c>: a person is taken out of the record, the datasets and the models that learnt from them.</summary>
internal static class ForgetCommand
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    public static Command Create()
    {
        var user = new Option<string?>("--user") { Description = "Who: a sign-in name, or as requests, feedback and keys name them" };
        var yes = new Option<bool>("--yes") { Description = "Do not ask" };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say what would be removed and trained again" };
        var ledger = new Option<bool>("--ledger") { Description = "Show what was forgotten; with --user, of that person only" };
        var command = new Command("forget",
            "Forget a person: what is recorded of them is removed, and models that were trained with their acts are trained again as if they had "
            + "never acted, or retired. Killed, it goes on when it is run again (docs/forget.md).\nExample: ./flywheel forget --user ann")
            { user, yes, dryRun, ledger };
        command.SetAction((parse, cancellation) => parse.GetValue(ledger) ? LedgerAsync(parse.GetValue(user), cancellation)
            : RunAsync(parse.GetValue(user) ?? throw new FlywheelException("--user is missing, expected the name of a person"),
                parse.GetValue(yes),
                parse.GetValue(dryRun), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string typed, bool yes, bool dryRun, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        string person = await PersonName.ResolveAsync(store, typed, "--user", cancellation);
        // Once the account is gone, its sign-in name means nobody any more.
        string again = typed.StartsWith(PersonName.Recorded, StringComparison.Ordinal) ? typed : person;
        if (again != typed)
            Console.WriteLine($"'{typed}' is recorded as '{person}'. Interrupted, ./flywheel forget --user {person} goes on.");
        ForgetPreview preview = await new Forget(store).PreviewAsync(person, cancellation);
        string hash = await Forget.HashOfAsync(store, person, cancellation);
        bool begun = (await Forget.LedgerAsync(store, cancellation)).Any(row => row.Person == hash && row.Finished is null);
        if (begun) Console.WriteLine("It was begun before and goes on.");
        else Write(preview, typed);
        if (dryRun)
        {
            Console.WriteLine("Nothing was done.");
            return 0;
        }
        if (!begun && !yes && !Ask(typed)) return ExitCodes.Rejected;

        var queue = new JobQueue(store);
        var forget = new ForgetJob(store, queue, TimeProvider.System) { Progress = new() { Say = Console.WriteLine } };
        JobRow job = await forget.EnqueueAsync(person, cancellation: cancellation);
        if (RunningServer.Find(store.Home) is { } server) Console.WriteLine($"The server at {server.Url} does it.");
        using var done = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        // A server that runs may be quicker; whoever claims the job does it.
        Task work = RunningServer.Find(store.Home) is null
            ? new JobWorker(queue,
                new Dictionary<string, JobHandler> { [ForgetJob.Kind] = forget.RunAsync }).RunAsync(done.Token) : Task.CompletedTask;
        for (string said = ""; ; await Task.Delay(s_pause, cancellation))
        {
            job = await queue.FindAsync(job.Id, cancellation);
            if (job.Message != said && work.IsCompleted) Console.WriteLine(said = job.Message);
            if (job.State is JobState.Done or JobState.Failed or JobState.Cancelled or JobState.Paused) break;
        }
        await done.CancelAsync();
        await work;
        if (job.State != JobState.Done)
            throw new FlywheelException(
                $"{job.Message} (the job is {job.State.ToString().ToLowerInvariant()}; ./flywheel forget --user {again} goes on with it)");
        Write((await Forget.LedgerAsync(store, cancellation)).First(row => row.Person == hash));
        return 0;
    }

    private static bool Ask(string person)
    {
        if (Console.IsInputRedirected)
            throw new FlywheelException($"forgetting '{person}' cannot be taken back, and nobody can be asked here: say --yes");
        Console.Write("This cannot be taken back. Type the name again to forget them: ");
        if (Console.ReadLine()?.Trim() == person) return true;
        Console.WriteLine("That is another name. Nothing was done.");
        return false;
    }

    private static void Write(ForgetPreview preview, string person)
    {
        Console.WriteLine($"Of '{person}' will be removed: {Counts(preview.Counts)}.");
        if (preview.Turns.Count > 0) Console.WriteLine($"Curated again without them: turn {string.Join(", ", preview.Turns)}.");
        Console.WriteLine(preview.Models.Count == 0 ? "No model was trained with their acts."
            : $"Trained with their acts, and trained again without or retired: {string.Join(", ", preview.Models.Select(model => model[..12]))}{(preview.Champion ? ", among them the one that serves" : "")}.");
        Console.WriteLine("Backups that were made before still hold them (docs/backup.md).");
    }

    private static void Write(DeletionRow row)
    {
        string state = row.Finished is { } finished ? $"forgotten at {finished:yyyy-MM-dd HH:mm} UTC" : "under way";
        Console.WriteLine(
            $"{row.Person[..16]} {state}: {Counts(JsonSerializer.Deserialize<Dictionary<string, int>>(row.Counts, JsonText.Compact)!)}.");
        foreach (ForgottenModel model in JsonSerializer.Deserialize<ForgottenModel[]>(row.Models, JsonText.Compact)!)
            Console.WriteLine(
                $"  model {model.Before[..12]} -> {model.After?[..12] ?? "none"}{(model.Learnt ? "" : " (not trained with their acts)")}: {model.How}");
    }

    private static string Counts(IReadOnlyDictionary<string, int> counts) => counts.Values.Sum() == 0 ? "nothing"
        : string.Join(", ", counts.Where(count => count.Value > 0).Select(count => $"{count.Value} {count.Key}"));

    private static async Task<int> LedgerAsync(string? person, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        string? hash = person is null ? null : await Forget.HashOfAsync(store, person, cancellation);
        DeletionRow[] rows = [.. (await Forget.LedgerAsync(store, cancellation)).Where(row => hash is null || row.Person == hash)];
        foreach (DeletionRow row in rows) Write(row);
        if (rows.Length == 0) Console.WriteLine(person is null ? "Nobody was forgotten here." : $"'{person}' was not forgotten here.");
        return 0;
    }
}
