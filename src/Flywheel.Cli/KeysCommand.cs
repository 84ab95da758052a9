using System.CommandLine;
using System.Globalization;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Spectre.Console;

namespace Flywheel.Cli;

/// <summary><c>flywheel keys</c>: who may use the server of this home, from where people cannot be trusted by that alone.</summary>
internal static class KeysCommand
{
    private static readonly string[] s_usual = [Scopes.Inference, Scopes.Feedback];

    public static Command Create()
    {
        var list = new Command("list",
            "List keys: whose they are, what they open, when they were used last. The keys themselves are kept nowhere.");
        list.SetAction((_, cancellation) => ListAsync(cancellation));

        var name = new Argument<string>("NAME") { Description = "What the key is for, such as laptop" };
        var scopes = new Option<string[]>("--scope")
            { Description = $"What it opens: {string.Join(", ", Scopes.All)}; without it {string.Join(" and ", s_usual)}",
                DefaultValueFactory = _ => s_usual, AllowMultipleArgumentsPerToken = true };
        var user =
            new Option<string>("--user") { Description =
                "Whose it is: all that is done with it counts as theirs. Without it the application names its users itself",
                DefaultValueFactory = _ => "" };
        var expires = new Option<string?>("--expires")
            { Description = "When it ends: in so many days or hours (30d, 12h), or a date (2027-01-31, its first moment, UTC)" };
        var requests = new Option<int?>("--requests")
            { Description = "Calls that it may make in a day (UTC); without it as many as it likes" };
        var tokens = new Option<long?>("--tokens")
            { Description = "Tokens, of prompts and answers, that it may use in a day (UTC); without it as many as it likes" };
        var create = new Command("create",
            "Make a key and print it, once.\nExample: ./flywheel keys create laptop --user ann --expires 90d --tokens 200000") { name,
                scopes, user, expires, requests, tokens };
        create.SetAction((parse, cancellation) => CreateAsync(new NewKey(parse.GetValue(name)!, Split(parse.GetValue(scopes)!))
        {
            User = parse.GetValue(user)!, Expires = ReadExpiry(parse.GetValue(expires), TimeProvider.System.GetUtcNow()),
            MaxRequests = parse.GetValue(requests), MaxTokens = parse.GetValue(tokens),
        }, cancellation));

        var which = new Argument<string>("NAME") { Description = "Name or id of the key" };
        var revoke = new Command("revoke",
            "Make a key open nothing from now on, also for pages that are open.\nExample: ./flywheel keys revoke laptop") { which };
        revoke.SetAction((parse, cancellation) => RevokeAsync(parse.GetValue(which)!, cancellation));

        var command = new Command("keys",
            "Keys to this home's server: create, list, revoke. They are needed once it listens beyond this machine (docs/deploy.md).\nExample: ./flywheel keys create laptop --user ann") { create, list, revoke };
        command.SetAction((_, cancellation) => ListAsync(cancellation));
        return command;
    }

    /// <summary>When a key ends, from what was typed.</summary>
    /// <exception cref="FlywheelException">It is neither a number of days or hours nor a date.</exception>
    internal static DateTimeOffset? ReadExpiry(string? text, DateTimeOffset now)
    {
        if (text is null) return null;
        if (text.Length > 1 && text[^1] is 'd' or 'h'
            && int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && number is > 0 and <= 100_000)
            return text[^1] == 'd' ? now.AddDays(number) : now.AddHours(number);
        return DateTimeOffset.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal,
            out DateTimeOffset date) ? date
            : throw new FlywheelException(
                $"--expires is '{text}', expected days or hours, such as 30d or 12h, or a date, such as 2027-01-31");
    }

    private static string[] Split(string[] scopes) =>
        [.. scopes.SelectMany(scope => scope.Split([',', ' '], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            .Distinct()];

    private static async Task CreateAsync(NewKey made, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        // The sign-in name of an account stands for its user.
        AccountRow? account =
            (await new Accounts(store, TimeProvider.System).ListAsync(cancellation)).FirstOrDefault(known =>
                string.Equals(known.Name, made.User, StringComparison.OrdinalIgnoreCase));
        (KeyRow row, string key) = await new ApiKeys(store,
            TimeProvider.System).CreateAsync(made with { User = account?.User ?? made.User }, cancellation);
        Console.WriteLine($"""
            {key}
            This is the key '{row.Name}'{(made.User.Length > 0 ? $" of {made.User}" : "")}. It opens: {row.Scopes.Replace(" ", ", ")}{Limits(row)}{(row.Expires is { } end ? $", until {end:yyyy-MM-dd HH:mm} UTC" : "")}.
            It is shown this once. Programs send it as their API key (Authorization: Bearer KEY); people enter it on the page.
            """);
    }

    private static async Task ListAsync(CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        var keys = new ApiKeys(store, TimeProvider.System);
        IReadOnlyList<KeyRow> rows = await keys.ListAsync(cancellation);
        if (rows.Count == 0)
        {
            Console.WriteLine("There is no key yet. Make one: ./flywheel keys create NAME");
            return;
        }
        Table table = new Table().AddColumns("name", "user", "opens", "a day", "made", "expires", "last used", "state", "id");
        foreach (KeyRow row in rows)
        {
            string state = row.Revoked is { } revoked ? $"[red]revoked {Time(revoked)}[/]" : keys.WhyDead(row) is not null
                ? "[red]expired[/]" : "[green]valid[/]";
            table.AddRow(Markup.Escape(row.Name), Markup.Escape(row.User), row.Scopes.Replace(' ', '\n'),
                Limits(row).Replace(" a day", "").Replace(", ", "\n").Trim(), Time(row.Created), Time(row.Expires),
                row.LastUsed is null ? "never" : Time(row.LastUsed), state, $"{row.Id}");
        }
        AnsiConsole.Write(table);
        Console.WriteLine("Times are UTC.");
    }

    private static async Task RevokeAsync(string which, CancellationToken cancellation)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        KeyRow row = await new ApiKeys(store, TimeProvider.System).RevokeAsync(which, cancellation);
        Console.WriteLine($"The key '{row.Name}' opens nothing any more. What runs on it now is not cut off.");
    }

    private static string Limits(KeyRow row) =>
        (row.MaxRequests is { } calls ? FormattableString.Invariant($", {calls:N0} calls a day") : "")
            + (row.MaxTokens is { } tokens ? FormattableString.Invariant($", {tokens:N0} tokens a day") : "");

    private static string Time(DateTimeOffset? time) => time is { } known ? $"{known:yyyy-MM-dd HH:mm}" : "";
}
