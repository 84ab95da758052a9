using System.CommandLine;
using System.Globalization;
using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Model;

namespace Flywheel.Cli;

/// <summary><c>flywheel retention</c>: texts that are older than they are kept leave the record.</summary>
internal static class RetentionCommand
{
    public static Command Create()
    {
        var keep = new Option<string?>("--keep")
            { Description = "How long texts stay, in days or weeks: 90d, 12w. Without it, as settings.yaml of the home says" };
        var app =
            new Option<string[]>("--app") { Description =
                "Only of these applications or tasks, such as chat; without it of all that have no rule of their own",
                DefaultValueFactory = _ => [], AllowMultipleArgumentsPerToken = true };
        var yes = new Option<bool>("--yes") { Description = "Do it; without it, only what would be done is said" };
        var taught = new Option<bool>("--also-taught")
            { Description =
                "Also what released models have learnt, with the datasets made of it: those models serve on, and can no longer be rebuilt" };
        var save = new Option<bool>("--save") { Description = "Note the rule in settings.yaml: the server applies it every hour" };
        var command = new Command("retention",
            "Take texts out of the record that are older than they are kept; counts stay. Says what it would do unless --yes is given (docs/review.md).\n"
            + "Example: ./flywheel retention --keep 90d --app chat") { keep, app, yes, taught, save };
        command.SetAction((parse, cancellation) =>
            RunAsync(parse.GetValue(keep), parse.GetValue(app)!, parse.GetValue(yes), parse.GetValue(taught), parse.GetValue(save),
                cancellation));
        return command;
    }

    private static async Task RunAsync(string? keep, string[] apps, bool yes, bool taught, bool save, CancellationToken cancellation)
    {
        var home = new FlywheelHome();
        HomeSettings settings = HomeSettings.Read(home);
        if (keep is null && (apps.Length > 0 || save))
            throw new FlywheelException("--keep is missing, expected how long texts stay, such as 90d");
        int days = keep is null ? 0 : Days(keep);
        IReadOnlyList<RetentionRule> rules = keep is null
            ? settings.Retention : [
                .. (apps.Length == 0 ? [""] : apps.Distinct()).Select(app => new RetentionRule { App = app, Days = days })];
        if (rules.Count == 0)
            throw new FlywheelException(
                $"{Path.Combine(home.Path, HomeSettings.FileName)} has no rule, so everything is kept: say --keep, such as --keep 90d --app chat");
        // A rule for all others leaves alone what has one of its own.
        IReadOnlyList<RetentionRule> all = [.. rules, .. settings.Retention.Where(rule => rules.All(given => given.App != rule.App))];
        if (save)
        {
            Directory.CreateDirectory(home.Path);
            (settings with { Retention = all }).Write(home);
            Console.WriteLine($"Noted in {Path.Combine(home.Path, HomeSettings.FileName)}; a running server applies it within the hour.");
        }
        await using FlywheelStore store = await FlywheelStore.OpenAsync(home, cancellation: cancellation);
        var retention = new Retention(store) { Say = Console.WriteLine };
        IReadOnlyList<RetentionRule> used = rules.Any(rule => rule.App.Length == 0) ? all : rules;
        Write(yes ? await retention.RunAsync(used, taught, cancellation) : await retention.PreviewAsync(used, taught, cancellation), used,
            yes, taught);
    }

    private static void Write(RetentionResult result, IReadOnlyList<RetentionRule> rules, bool done, bool taught)
    {
        foreach (RetentionRule rule in rules)
            Console.WriteLine($"{(rule.App.Length == 0 ? "all applications without a rule of their own" : rule.App)}: {rule.Days} days");
        string open = result.Open > 0 ? $" ({result.Open} of them {(done ? "had" : "have")} taught nothing yet)" : "";
        Console.WriteLine(
            $"{(done ? "Removed" : "Would remove")} the texts of {result.Answers} answers, {result.Feedback} feedback{open} and {result.StoredAnswers} stored answers; counts stay.");
        foreach (HeldTurn turn in result.Held)
            Console.WriteLine(taught && turn.Model.Length > 0
                ? $"Turn {turn.Turn}: {turn.Answers} answers that model {turn.Model[..12]} {(done ? "had learnt from are gone" : "has learnt from would go")}, too."
                : $"Turn {turn.Turn}: {turn.Answers} answers are kept, because {(turn.Model.Length > 0 ? $"model {turn.Model[..12]} was released, and without them it could not be rebuilt without a person" : "the turn is not ended")} (--also-taught).");
        foreach (string model in result.NotRebuilt)
            Console.WriteLine(
                $"Model {model[..12]} serves on as it is. It {(done ? "can" : "could")} no longer be rebuilt, nor trained again without a person who is forgotten later: then it is retired.");
        if (!done) Console.WriteLine("Nothing was done. Say --yes to do it.");
    }

    private static int Days(string text) =>
        text.Length > 1 && text[^1] is 'd' or 'w'
            && int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && number > 0 && number <= RetentionRule.MaxDays / (text[^1] == 'w' ? 7 : 1) ? number * (text[^1] == 'w' ? 7 : 1)
            : throw new FlywheelException(
                $"--keep is '{text}', expected days or weeks up to {RetentionRule.MaxDays} days, such as 90d or 12w");
}
