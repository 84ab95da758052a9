using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel people</c>: who has an account at the server of this home, also for owners who cannot sign in any more.</summary>
internal static class PeopleCommand
{
    public static Command Create()
    {
        var list = new Command("list", "List people: sign-in name, role, when they signed in last; and open invitations.");
        list.SetAction((_, cancellation) => ListAsync(cancellation));

        var label = new Argument<string>("NAME") { Description = "Whom you invite, as you call them", DefaultValueFactory = _ => "" };
        var role = new Option<string>("--role") { Description = $"What they may do: {Roles.Names}",
            DefaultValueFactory = _ => Roles.NameOf(AccountRole.Editor) };
        var expires = new Option<string?>("--expires")
            { Description =
                $"When the link ends, in days or hours (30d, 12h); without it after {Accounts.InvitationLives.TotalDays:F0} days" };
        var invite = new Command("invite",
            "Print a link by which somebody makes their account. It works once.\nExample: ./flywheel people invite Ben --role reviewer")
            { label, role, expires };
        invite.SetAction((parse, cancellation) =>
            InviteAsync(parse.GetValue(label)!, Roles.Parse(parse.GetValue(role)!), parse.GetValue(expires), cancellation));

        var act = new Option<string?>("--act") { Description = $"Only this: {string.Join(", ", AuditAct.All)}" };
        var count = new Option<int>("--count") { Description = "How many", DefaultValueFactory = _ => 50 };
        var audit = new Command("audit", "Who did what when, the latest first.\nExample: ./flywheel people audit --act role") { act,
            count };
        audit.SetAction((parse, cancellation) => AuditAsync(parse.GetValue(act), parse.GetValue(count), cancellation));

        var newRole = new Argument<string>("ROLE") { Description = Roles.Names };
        Argument<string> whose = Who();
        var change = new Command("role", "Give somebody another role.\nExample: ./flywheel people role ben owner") { whose, newRole };
        change.SetAction((parse, cancellation) =>
            ChangeAsync(parse.GetValue(whose)!,
                (accounts, row) => accounts.SetRoleAsync(row.Id, Roles.Parse(parse.GetValue(newRole)!), cancellation),
            (_, row, _) => Task.FromResult($"{row.Name} is now: {Roles.NameOf(row.Role)}."), cancellation));

        var command = new Command("people",
            "People who sign in at this home's server: invite, list, role, disable, enable, reset, audit; export and import what is recorded of one (docs/accounts.md).\nExample: ./flywheel people invite Ann --role owner")
        {
            invite, list, change,
            One("disable", "Make an account open nothing from now on, nor keys of that person.",
                (accounts, row, cancellation) => accounts.DisableAsync(row.Id, cancellation), SayDisabledAsync),
            One("enable", "Open an account that was disabled.", (accounts, row, cancellation) => accounts.EnableAsync(row.Id, cancellation),
                (_, row, _) => Task.FromResult($"{row.Name} can sign in again.")),
            Reset(), audit, Export(), Import(),
        };
        command.SetAction((_, cancellation) => ListAsync(cancellation));
        return command;
    }

    private static Command One(string verb, string what, Func<Accounts, AccountRow, CancellationToken, Task<AccountRow>> change, Says says)
    {
        Argument<string> who = Who();
        var command = new Command(verb, $"{what}\nExample: ./flywheel people {verb} ben") { who };
        command.SetAction((parse, cancellation) =>
            ChangeAsync(parse.GetValue(who)!, (accounts, row) => change(accounts, row, cancellation), says, cancellation));
        return command;
    }

    private static Command Reset()
    {
        Argument<string> who = Who();
        var command = new Command("reset", "Print a link by which somebody chooses a new password.\nExample: ./flywheel people reset ann")
            { who };
        command.SetAction(async (parse, cancellation) =>
        {
            await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
            var accounts = new Accounts(store, TimeProvider.System);
            (InvitationRow row, string token) = await accounts.ResetAsync((await accounts.GetAsync(parse.GetValue(who)!, cancellation)).Id,
                cancellation);
            SayLink(store, row, token, "chooses a new password");
        });
        return command;
    }

    private static Command Export()
    {
        Argument<string> who = Who();
        var file = new Argument<string>("FILE") { Description = "Where to, such as ann.zip" };
        var command = new Command("export",
            "Write everything that is recorded of somebody into a zip: texts, feedback, documents, chats, translations, voice projects with their takes.\n"
            + "Example: ./flywheel people export ann ann.zip") { who, file };
        command.SetAction(async (parse, cancellation) =>
        {
            await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
            string person = await PersonName.ResolveAsync(store, parse.GetValue(who)!, "WHO", cancellation);
            ArchiveFiles.Export(store, parse.GetValue(file)!, person, "everything of a person", $"Everything of {parse.GetValue(who)}",
                (archives, zip) => archives.ExportAsync(person, zip, cancellation));
        });
        return command;
    }

    private static Command Import()
    {
        var file = new Argument<string>("FILE") { Description = "A zip of people export, or of the account page" };
        var user = new Option<string>("--user") { Description = "Whose it becomes: a sign-in name, or a user as requests name them",
            Required = true };
        var workspace = new Option<string>("--workspace") { Description = "Where; without it default",
            DefaultValueFactory = _ => WorkspaceRow.Default };
        Option<bool> teach = ArchiveFiles.Teach();
        var command = new Command("import",
            "Put such a zip into this home, all of it or nothing. What is here is never changed.\nExample: ./flywheel people import ann.zip --user ann") { file, user, workspace, teach };
        command.SetAction(async (parse, cancellation) =>
        {
            await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
            string person = await PersonName.ResolveAsync(store, parse.GetValue(user)!, "--user", cancellation);
            await ArchiveFiles.ImportAsync(store, parse.GetValue(file)!,
                new ArchiveTarget(person, parse.GetValue(workspace)!) { MayTeach = parse.GetValue(teach) }, cancellation);
        });
        return command;
    }

    private delegate Task<string> Says(FlywheelStore store, AccountRow row, CancellationToken cancellation);

    private static Argument<string> Who() => new("WHO") { Description = "Sign-in name or id" };

    private static async Task InviteAsync(string label, AccountRole role, string? expires, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        (InvitationRow row, string token) = await new Accounts(store, TimeProvider.System).InviteAsync(role, label.Trim(),
            KeysCommand.ReadExpiry(expires, now) - now, cancellation);
        SayLink(store, row, token, $"makes an account with the role {Roles.NameOf(role)}");
    }

    private static void SayLink(FlywheelStore store, InvitationRow row, string token, string does)
    {
        string server = RunningServer.Find(store.Home)?.Url ?? "http://127.0.0.1:5005";
        Console.WriteLine($"""
            {server}/join/{token}
            Who opens this {does}. It works once, until {row.Expires:yyyy-MM-dd HH:mm} UTC, and is shown this once.
            For other machines put the name by which they reach the server before /join/.
            """);
    }

    private static async Task ChangeAsync(string who, Func<Accounts, AccountRow, Task<AccountRow>> change, Says says,
        CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        var accounts = new Accounts(store, TimeProvider.System);
        Console.WriteLine(await says(store, await change(accounts, await accounts.GetAsync(who, cancellation)), cancellation));
    }

    /// <summary>Keys are of the account by its user. One whose user is called like the account is an application's own name for somebody,
    /// and goes on opening.</summary>
    internal static async Task<string> SayDisabledAsync(FlywheelStore store, AccountRow account, CancellationToken cancellation)
    {
        var keys = new ApiKeys(store, TimeProvider.System);
        KeyRow[] alive = [.. (await keys.ListAsync(cancellation)).Where(key => keys.WhyDead(key) is null)];
        string[] dead = [.. alive.Where(key => key.User == account.User).Select(key => $"'{key.Name}'")];
        KeyRow[] open =
            [.. alive.Where(key => key.User != account.User && string.Equals(key.User, account.Name, StringComparison.OrdinalIgnoreCase))];
        return $"{account.Name} is disabled: sessions{(dead.Length > 0 ? $" and keys ({string.Join(", ", dead)})" : "")} open nothing any more."
            + string.Concat(
                open.Select(key =>
                    $"\nThe key '{key.Name}' still opens: its user is called '{key.User}', but it is not the account's. ./flywheel keys revoke {key.Id}"));
    }

    private static async Task ListAsync(CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        var accounts = new Accounts(store, TimeProvider.System);
        IReadOnlyList<AccountRow> rows = await accounts.ListAsync(cancellation);
        if (rows.Count == 0) Console.WriteLine("Nobody has an account yet. Make the first: ./flywheel people invite Ann --role owner");
        else
        {
            Table table = new Table().AddColumns("sign-in name", "name", "role", "made", "last sign-in", "state");
            foreach (AccountRow row in rows)
                table.AddRow(Markup.Escape(row.Name), Markup.Escape(row.DisplayName), Roles.NameOf(row.Role), Time(row.Created),
                    row.LastSignIn is null ? "never" : Time(row.LastSignIn),
                    row.Disabled is { } off ? $"[red]disabled {Time(off)}[/]" : row.LockedUntil > TimeProvider.System.GetUtcNow()
                        ? $"[yellow]closed until {Time(row.LockedUntil)}[/]" : "[green]open[/]");
            AnsiConsole.Write(table);
        }
        foreach (InvitationRow row in await accounts.InvitationsAsync(cancellation))
            Console.WriteLine(
                $"Invited as {Roles.NameOf(row.Role)}{(row.Label.Length > 0 ? $": {row.Label}" : "")}, until {Time(row.Expires)}{(row.AccountId is null ? "" : " (a new password)")}");
        Console.WriteLine("Times are UTC.");
    }

    private static async Task AuditAsync(string? act, int count, CancellationToken cancellation)
    {
        if (act is not null && !AuditAct.All.Contains(act))
            throw new FlywheelException($"--act is '{act}', expected one of {string.Join(", ", AuditAct.All)}");
        if (count is < 1 or > 100_000) throw new FlywheelException($"--count is {count}, expected 1 to 100000");
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        Dictionary<string, string> names =
            (await new Accounts(store, TimeProvider.System).ListAsync(cancellation)).ToDictionary(row => row.User, row => row.Name);
        Table table = new Table().AddColumns("time", "who", "did", "to", "about");
        foreach (AuditRow row in await store.AuditAsync(count, act: act, cancellation: cancellation))
            table.AddRow(Time(row.Time), Markup.Escape(names.GetValueOrDefault(row.Who, row.Who)), row.Act,
                Markup.Escape(names.GetValueOrDefault(row.Whom, row.Whom)), Markup.Escape(row.About));
        AnsiConsole.Write(table);
        Console.WriteLine("Times are UTC.");
    }

    private static string Time(DateTimeOffset? time) => time is { } known ? $"{known:yyyy-MM-dd HH:mm}" : "";
}
