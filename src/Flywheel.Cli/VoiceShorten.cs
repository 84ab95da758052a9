using System.CommandLine;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Cli;

/// <summary><c>flywheel voice shorten</c>: shorter texts for a line that takes too long to say.</summary>
internal static class VoiceShorten
{
    private const string Rules = "rules";

    public static Command Create()
    {
        var text = new Argument<string>("text") { Description = "The line; - reads standard input" };
        var language = new Option<string>("--language") { Description = "Of the line, such as es", Required = true };
        var most = new Option<int>("--max") { Description = "How many characters would fit", Required = true };
        var source = new Option<string?>("--source")
            { Description = "The original of which the line is a translation: its terms of the glossary must stay" };
        var from = new Option<string?>("--from") { Description = "The original's language, such as en" };
        var by = new Option<string>("--by") { Description =
            "Who is asked beside people and rules: model (the one that serves), an upstream's name, or rules for those alone",
            DefaultValueFactory = _ => "model" };
        var command = new Command("shorten",
            "Offer shorter texts for a line: what people made of it, what the running server's model writes, what rules know.\n"
            + "Example: ./flywheel voice shorten \"Por favor espere en la línea\" --language es --max 20") { text, language, most, source,
                from, by };
        command.SetAction((parse, cancellation) =>
        {
            string line = parse.GetValue(text)! is "-" ? Console.In.ReadToEnd() : parse.GetValue(text)!;
            return RunAsync(line.Trim(), parse.GetValue(language)!.ToLowerInvariant(), parse.GetValue(most), parse.GetValue(source),
                parse.GetValue(from), parse.GetValue(by)!, cancellation);
        });
        return command;
    }

    private static async Task RunAsync(string line, string language, int most, string? source, string? from, string by,
        CancellationToken cancellation)
    {
        if (line.Length == 0) throw new FlywheelException("the line is empty, expected a text");
        if (most < 1) throw new FlywheelException($"--max is {most}, expected 1 or more characters");
        if (source is null != (from is null))
            throw new FlywheelException("--source and --from go together: the original, and its language");
        var home = new FlywheelHome();
        if (RunningServer.Find(home) is not { } server)
        {
            if (by is not ("model" or Rules))
                throw new FlywheelException($"no server runs on {home.Path}, and --by {by} is asked by one; start one with ./flywheel up");
            if (source is not null) Console.Error.WriteLine("note: no server runs, so the glossary is not looked at");
            string? made = ShorterText.ByRule(line, language);
            if (made is not null && ShorterText.Fault(line, made) is null) Show(made, "rule", made.Length <= most);
            else Console.WriteLine(ShorterText.Languages.Contains(language.Split('-')[0])
                ? "No rule shortens this line." : $"There are no rules for '{language}', only for {NearestName.List([.. ShorterText.Languages])}.");
            if (by != Rules)
                Console.Error.WriteLine(
                    "note: no server runs, so neither people's texts nor a model were asked; start one with ./flywheel up");
            return;
        }
        var body = new JsonObject { ["text"] = line, ["language"] = language, ["max_characters"] = most, ["shorten"] = by };
        if (source is not null) (body["source"], body["source_language"]) = (source, from);
        JsonNode answer = await server.PostAsync("/v1/audio/shorten", body, cancellation);
        JsonArray offered = answer["data"]!.AsArray();
        foreach (JsonNode? one in offered) Show((string)one!["text"]!, (string)one["origin"]!, (bool)one["fits"]!);
        if (offered.Count == 0) Console.WriteLine("Nothing shorter was found.");
        foreach (JsonNode? refused in answer["refused"]!.AsArray()) Console.Error.WriteLine($"not offered: {refused}");
        if (answer["note"] is { } note) Console.Error.WriteLine($"note: {note}");
    }

    private static void Show(string text, string origin, bool fits) =>
        Console.WriteLine($"{text.Length,4}  {(fits ? "fits    " : "too long")}  {origin,-6}  {text}");
}
