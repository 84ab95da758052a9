using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel workspaces</c>: which workspaces this home has and who is in them, also for owners who cannot sign in any
/// more.</summary>
internal static class WorkspacesCommand
{
    private static readonly string s_roles = string.Join(", ", Workspaces.MemberRoles.Select(Roles.NameOf));

    public static Command Create()
    {
        var list = new Command("list", "List workspaces: id, name, how many are in, whether the shared model learns from it.");
        list.SetAction((_, cancellation) => ListAsync(cancellation));

        var name = new Argument<string>("NAME") { Description = "What people call it" };
        var made = new Option<string?>("--id") { Description = "As it stands in addresses; without it made from the name" };
        var create = new Command("create",
            "Make a workspace, with nobody in it but the owners.\nExample: ./flywheel workspaces create \"Copy team\" --id copy-team")
            { name, made };
        create.SetAction((parse, cancellation) => DoAsync(async (workspaces, _) =>
        {
            WorkspaceRow row = await workspaces.CreateAsync(parse.GetValue(made), parse.GetValue(name)!, cancellation);
            return $"The workspace '{row.Id}' is made. Put people in: ./flywheel workspaces add {row.Id} ann --role editor";
        }, cancellation));

        Argument<string> whose = Id(), into = Id(), outOf = Id();
        var members = new Command("members",
            "List who is in a workspace, beside the owners of the home.\nExample: ./flywheel workspaces members copy-team") { whose };
        members.SetAction((parse, cancellation) => MembersAsync(parse.GetValue(whose)!, cancellation));

        Argument<string> who = Who(), gone = Who();
        var role = new Option<string>("--role") { Description = $"What they may do there: {s_roles}",
            DefaultValueFactory = _ => Roles.NameOf(AccountRole.Editor) };
        var add = new Command("add",
            "Put somebody into a workspace, or give them another role there.\nExample: ./flywheel workspaces add copy-team ann --role reviewer") { into, who, role };
        add.SetAction((parse, cancellation) => DoAsync(async (workspaces, accounts) =>
        {
            AccountRow account = await accounts.GetAsync(parse.GetValue(who)!, cancellation);
            AccountRole given = Roles.Parse(parse.GetValue(role)!);
            await workspaces.PutAsync(parse.GetValue(into)!, account.Id, given, cancellation);
            return $"{account.Name} is in '{parse.GetValue(into)}' now: {Roles.NameOf(given)}.";
        }, cancellation));
        var remove = new Command("remove",
            "Take somebody out of a workspace; what they made in it stays.\nExample: ./flywheel workspaces remove copy-team ann") { outOf,
                gone };
        remove.SetAction((parse, cancellation) => DoAsync(async (workspaces, accounts) =>
        {
            AccountRow account = await accounts.GetAsync(parse.GetValue(gone)!, cancellation);
            await workspaces.PutAsync(parse.GetValue(outOf)!, account.Id, null, cancellation);
            return $"{account.Name} is not in '{parse.GetValue(outOf)}' any more.";
        }, cancellation));

        var newName = new Argument<string>("NAME") { Description = "What people shall call it" };
        var answer = new Argument<string>("YES|NO") { Description = "yes or no" };
        answer.AcceptOnlyFromAmong("yes", "no");
        Argument<string> export = Id();
        var file = new Argument<string>("FILE") { Description = "Where to, such as copy-team.zip" };
        var exports = new Command("export",
            "Write what everybody in a workspace has there into a zip.\nExample: ./flywheel workspaces export copy-team copy-team.zip")
            { export, file };
        exports.SetAction(async (parse, cancellation) =>
        {
            await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
            string id = (await FindAsync(new Workspaces(store, TimeProvider.System), parse.GetValue(export)!, cancellation)).Id;
            ArchiveFiles.Export(store, parse.GetValue(file)!, "", $"everything of the workspace {id}", $"Everything of the workspace {id}",
                (archives, zip) => archives.ExportWorkspaceAsync(id, zip, cancellation));
        });

        var command = new Command("workspaces",
            "Workspaces of this home: list, create, rename, archive, open, share; members, add, remove; export, import (docs/accounts.md).\nExample: ./flywheel workspaces create \"Copy team\"")
        {
            list, create, members, add, remove,
            Change("rename", "Call a workspace otherwise; its id and addresses stay.", "\"Copy desk\"", newName,
                parse => (parse.GetValue(newName), null, null), row => $"'{row.Id}' is called {row.Name} now."),
            Change("archive", "Close a workspace: nobody opens it, nor do its keys; what is in it stays.", "", null,
                _ => (null, true, null), row => $"Nobody opens '{row.Id}' any more. ./flywheel workspaces open {row.Id} opens it again."),
            Change("open", "Open a workspace that was archived.", "", null, _ => (null, false, null), row => $"'{row.Id}' is open."),
            Change("share", "Say whether the model that all workspaces share learns from one.", "yes", answer,
                parse => (null, null, parse.GetValue(answer) == "yes"),
                row => $"The shared model {(row.TrainsShared ? "learns" : "does not learn")} from what is done in '{row.Id}' from now on."),
            exports, Import(),
        };
        command.SetAction((_, cancellation) => ListAsync(cancellation));
        return command;
    }

    private static Command Change(string verb, string what, string example, Argument<string>? more,
        Func<ParseResult, (string? Name, bool? Archived, bool? Shares)> change, Func<WorkspaceRow, string> says)
    {
        Argument<string> id = Id();
        var command = new Command(verb, $"{what}\nExample: ./flywheel workspaces {verb} copy-team {example}".TrimEnd()) { id };
        if (more is not null) command.Add(more);
        command.SetAction((parse, cancellation) => DoAsync(async (workspaces, _) =>
        {
            (string? name, bool? archived, bool? shares) = change(parse);
            return says(await workspaces.ChangeAsync(parse.GetValue(id)!, name, archived, shares, cancellation)
                ?? throw Missing(parse.GetValue(id)!));
        }, cancellation));
        return command;
    }

    private static Command Import()
    {
        var file = new Argument<string>("FILE") { Description = "A zip of workspaces export" };
        var to = new Option<string>("--to") { Description = "Id of the workspace into which it comes", Required = true };
        var user =
            new Option<string>("--user") { Description = "Whose everything in it becomes: a sign-in name, or a user as requests name them",
                Required = true };
        var person = new Option<string[]>("--person")
            { Description = "Somebody in it who is another person here, as THERE=HERE (sign-in names or users); several times for several",
                AllowMultipleArgumentsPerToken = true };
        Option<bool> teach = ArchiveFiles.Teach();
        var command = new Command("import",
            "Put a workspace's zip into a workspace of this home, all of it or nothing. What is here is never changed.\n"
            + "Example: ./flywheel workspaces import copy-team.zip --to copy-team --user ann --person ben=ben.ito") { file, to, user,
                person, teach };
        command.SetAction(async (parse, cancellation) =>
        {
            await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
            string path = parse.GetValue(file)!;
            IReadOnlyList<(string User, string? Name)>? named = null;
            var people = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (string pair in parse.GetValue(person) ?? [])
            {
                if (pair.Split('=') is not [{ Length: > 0 } there, { Length: > 0 } here])
                    throw new FlywheelException($"--person is '{pair}', expected THERE=HERE, such as ben=ben.ito");
                named ??= await ArchiveFiles.LookAsync(path, archive => archive.People, cancellation);
                people[There(path, named, there)] = await PersonName.ResolveAsync(store, here, "--person", cancellation);
            }
            string owner = await PersonName.ResolveAsync(store, parse.GetValue(user)!, "--user", cancellation);
            await ArchiveFiles.ImportAsync(store, path,
                new ArchiveTarget(owner, parse.GetValue(to)!) { MayTeach = parse.GetValue(teach), People = people }, cancellation);
        });
        return command;
    }

    /// <summary>The user whom an archive means by a name.</summary>
    private static string There(string path, IReadOnlyList<(string User, string? Name)> named, string name) =>
        named.Where(one => one.User == name || string.Equals(one.Name, name, StringComparison.OrdinalIgnoreCase))
            .Select(one => one.User).FirstOrDefault()
            ?? throw new FlywheelException(
                $"--person names '{name}', expected one of those in {Path.GetFileName(path)}: {NearestName.List([.. named.Select(one => one.Name ?? one.User)])}");

    private static Argument<string> Id() => new("ID") { Description = "Id of a workspace, as list shows it" };

    private static Argument<string> Who() => new("WHO") { Description = "Sign-in name or id" };

    private static FlywheelException Missing(string id) =>
        new($"there is no workspace with the id '{(id.Length <= 80 ? id : id[..77] + "...")}'; ./flywheel workspaces lists them");

    private static async Task<WorkspaceRow> FindAsync(Workspaces workspaces, string id, CancellationToken cancellation) =>
        await workspaces.FindAsync(id, cancellation) ?? throw Missing(id);

    private static async Task DoAsync(Func<Workspaces, Accounts, Task<string>> act, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        Console.WriteLine(await act(new Workspaces(store, TimeProvider.System), new Accounts(store, TimeProvider.System)));
    }

    private static async Task ListAsync(CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        var workspaces = new Workspaces(store, TimeProvider.System);
        Table table = new Table().AddColumns("id", "name", "people", "shared model", "made", "state");
        foreach (WorkspaceRow row in await workspaces.ListAsync(cancellation))
            table.AddRow(row.Id, Markup.Escape(row.Name),
                row.Id == WorkspaceRow.Default
                    ? "everybody but guests" : $"{(await workspaces.MembersAsync(row.Id, cancellation)).Count} and the owners",
                row.TrainsShared ? "learns" : "does not learn", row.Id == WorkspaceRow.Default ? "" : Time(row.Created),
                row.Archived is { } since ? $"[yellow]archived {Time(since)}[/]" : "[green]open[/]");
        AnsiConsole.Write(table);
        Console.WriteLine("Times are UTC.");
    }

    private static async Task MembersAsync(string id, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        var workspaces = new Workspaces(store, TimeProvider.System);
        WorkspaceRow row = await FindAsync(workspaces, id, cancellation);
        if (row.Id == WorkspaceRow.Default)
        {
            Console.WriteLine("In the workspace 'default' everybody has the role of their account, except guests: ./flywheel people");
            return;
        }
        Table table = new Table().AddColumns("sign-in name", "name", "role there");
        foreach ((AccountRow account, AccountRole role) in await workspaces.MembersAsync(row.Id,
            cancellation)) table.AddRow(Markup.Escape(account.Name), Markup.Escape(account.DisplayName), Roles.NameOf(role));
        foreach (AccountRow owner in (await new Accounts(store, TimeProvider.System).ListAsync(cancellation)).Where(account =>
            account is { Role: AccountRole.Owner, Disabled: null }))
            table.AddRow(Markup.Escape(owner.Name), Markup.Escape(owner.DisplayName), "owner of the home");
        AnsiConsole.Write(table);
    }

    private static string Time(DateTimeOffset time) => $"{time:yyyy-MM-dd HH:mm}";
}
