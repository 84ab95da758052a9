using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Flywheel.Model;

/// <summary>
/// How a model writes tool calls: the literal text around names and arguments. It is found by rendering calls with the model's own
/// chat template (the idea of llama.cpp's chat parsers), so a new family needs no code. An answer with calls is
/// <c>Start (Before NAME Between ARGUMENTS After) Separator (...) End</c>.
/// </summary>
public sealed partial record ToolCallForm
{
    /// <summary>Stands in a literal where a template writes the call's id, which a model makes up.</summary>
    public const char Id = '\uE000';

    /// <summary>Stands in a literal for the number of the call, from 0, where its id holds the name (<see cref="IsNamedById"/>).</summary>
    public const char Index = '\uE002';

    /// <summary>How an id holds the name, before it; the number follows behind a colon (Moonshot AI, tool call guidance of Kimi K2,
    /// 2025).</summary>
    private const string NamePrefix = "functions.";

    private const string Name = "probe_name", OtherName = "probe_other", Key = "probe_key", Value = "probe_value", FirstId = "probeid01",
        SecondId = "probeid02";

    /// <summary>The tags of the Hermes and Qwen models, which templates without tools of their own get: see
    /// <see cref="ToolText"/>.</summary>
    public static ToolCallForm Hermes { get; } = new()
    {
        Before = ToolText.CallStart + "\n{\"name\": ", Between = ", \"arguments\": ", After = "}\n" + ToolText.CallEnd, Separator = "\n",
        IsJson = true, IsParallel = true, Tag = ToolText.CallStart,
    };

    /// <summary>Once, before the first call.</summary>
    public string Start { get; init; } = "";

    /// <summary>Before a name.</summary>
    public required string Before { get; init; }

    /// <summary>From the name to the arguments.</summary>
    public required string Between { get; init; }

    /// <summary>After the arguments.</summary>
    public required string After { get; init; }

    public string Separator { get; init; } = "";

    /// <summary>Once, after the last call.</summary>
    public string End { get; init; } = "";

    /// <summary>A call is a JSON object: its name stands in quotes, and white space may stand anywhere in it.</summary>
    public bool IsJson { get; init; }

    /// <summary>Several calls may stand in one answer.</summary>
    public bool IsParallel { get; init; }

    /// <summary>
    /// What opens calls and nothing else, the first part of what stands before the first name. Empty where calls are bare
    /// JSON: then they are the whole answer.
    /// </summary>
    public string Tag { get; init; } = "";

    /// <summary>What stands between the tag and the first name.</summary>
    public string AfterTag => (Start + Before)[Tag.Length..];

    /// <summary>A call, with words in capitals for what it is of.</summary>
    public string Example => $"{Start}{Before}NAME{Between}{{...}}{After}{End}".Replace($"{Id}", "ID", StringComparison.Ordinal)
        .Replace(Index, '0');

    /// <summary>Each call opens with the tag.</summary>
    public bool IsTagged => Tag.Length > 0 && Start.Length == 0;

    /// <summary>The template writes a call's id and never its name: ids are <see cref="NamedId"/>.</summary>
    public bool IsNamedById => Between.Contains(Index, StringComparison.Ordinal);

    /// <summary>Special tokens that the form is spelt with: in an answer they are text.</summary>
    public IReadOnlyList<string> Specials { get; init; } = [];

    /// <summary>Whether a template makes something of declared tools, and whether it shows calls: found by what it writes, not by its
    /// words.</summary>
    /// <param name="render">Renders a conversation; throws when the template refuses it.</param>
    /// <returns>Null when it refuses already a question with tools.</returns>
    internal static (bool Tools, bool Calls)? Shows(Func<Conversation, string> render)
    {
        bool tools;
        try
        {
            tools = render(Probe()) != render(Probe() with { Tools = [] });
        }
        catch (FlywheelException)
        {
            return null;
        }
        try
        {
            return (tools, render(Probe(Calls(new ToolCall(FirstId, Name, Arguments)))).Contains(Key, StringComparison.Ordinal));
        }
        catch (FlywheelException)
        {
            return (tools, tools); // who knows tools reads calls, and wants something else of them
        }
    }

    /// <summary>Finds the form of a template.</summary>
    /// <param name="render">Renders a conversation without the opening of an answer; throws when the template refuses it.</param>
    /// <param name="specials">Spellings of the special tokens.</param>
    /// <param name="endOfTurn">What closes an answer and is no part of it.</param>
    /// <returns>Null when the template shows no calls, or none with a name before arguments in JSON.</returns>
    internal static ToolCallForm? Detect(Func<Conversation, string> render, IReadOnlyCollection<string> specials, string endOfTurn = "") =>
        Detect(render, specials, endOfTurn, FirstId, SecondId)
        ?? Detect(render, specials, endOfTurn, NamedId(Name, 0), NamedId(OtherName, 1)); // a template that shows ids and no names

    /// <summary>The id of a call that holds its name, which is all that some templates write of it.</summary>
    /// <param name="name">Of the function.</param>
    /// <param name="index">Of the call in the conversation, from 0.</param>
    internal static string NamedId(string name, int index) => $"{NamePrefix}{name}:{index}";

    private static ToolCallForm? Detect(Func<Conversation, string> render, IReadOnlyCollection<string> specials, string endOfTurn,
        string firstId, string secondId)
    {
        const char Mark = '\uE001'; // opens and closes a text, so that it shares nothing with a call
        string plain, one;
        string? two = null;
        try
        {
            plain = render(Probe(Message.Assistant($"{Mark}")));
            one = render(Probe(Calls(new ToolCall(firstId, Name, Arguments))));
        }
        catch (FlywheelException)
        {
            return null;
        }
        try
        {
            two = render(Probe(Calls(new ToolCall(firstId, Name, Arguments), new ToolCall(secondId, OtherName, Arguments))));
        }
        catch (FlywheelException)
        {
            // one call an answer
        }

        int at = plain.IndexOf(Mark, StringComparison.Ordinal);
        if (at < 0 || Cut(one) is not { } single || Parts(single) is not [var (head, between, rest)]) return null;
        var form = new ToolCallForm { Before = head, Between = between, After = rest };
        if (two is not null && Cut(two) is { } pair && Parts(pair) is [var (first, firstBetween, middle), var (_, secondBetween, last)]
            && first == head && firstBetween == between && secondBetween == between && last == rest)
        {
            int after = OutsideTag(middle + between, middle.AsSpan().CommonPrefixLength(rest)), before = 0;
            while (before < Math.Min(head.Length, middle.Length - after) && middle[^(before + 1)] == head[^(before + 1)]) before++;
            form = form with { Start = head[..^before], Before = head[^before..], After = middle[..after],
                Separator = middle[after..^before], End = rest[after..], IsParallel = true };
            if (form.Separator.Any(char.IsAsciiLetterOrDigit)) return null; // calls are numbered
        }
        if (form.Before.EndsWith('"') && between.StartsWith('"'))
            form = form with { Before = form.Before[..^1], Between = between[1..], IsJson = true };
        string opening = form.Start + form.Before,
            all = string.Concat(form.Start, form.Before, form.Between, form.After) + form.Separator + form.End;
        string? special = specials.Where(token => opening.StartsWith(token, StringComparison.Ordinal)).MaxBy(token => token.Length);
        string tag = special ?? TagText().Match(opening).Value;
        // nothing tells a call from a text
        if (tag.Length < 2 && (!form.IsJson || opening.TrimStart() is not ['{' or '[', ..])) return null;
        return form with { Tag = tag.Length > 1 ? tag : "",
            Specials = [.. specials.Where(token => all.Contains(token, StringComparison.Ordinal))] };

        // What an assistant writes is where the renderings differ from the one with a text.
        string? Cut(string rendered)
        {
            int end = plain.Length - at - 1, start = Math.Min(at, plain.AsSpan().CommonPrefixLength(rendered));
            while (end > 0 && !rendered.EndsWith(plain[^end..], StringComparison.Ordinal)) end--;
            if (start + end > rendered.Length) return null;
            start = OutsideTag(rendered, start);
            int close = rendered.Length - end;
            if (OutsideTag(rendered, close) < close && rendered.IndexOf('>', close) is var closed and >= 0) close = closed + 1;
            string answer = rendered[start..close].Trim();
            return endOfTurn.Length > 0 && answer.EndsWith(endOfTurn, StringComparison.Ordinal)
                ? answer[..^endOfTurn.Length].TrimEnd() : answer;
        }

        // Two different tags may begin or end alike; a tag is not cut.
        static int OutsideTag(string text, int at) =>
            at > 0 && text.LastIndexOf('<', at - 1) is var open and >= 0 && text.IndexOf('>', open, at - open) < 0 ? open : at;
    }

    private static string Arguments => new JsonObject { [Key] = Value }.ToJsonString(JsonText.Compact);

    private static Message Calls(params ToolCall[] calls) => Message.Assistant("") with { ToolCalls = calls };

    private static Conversation Probe(params Message[] answer)
    {
        var parameters = new JsonObject { ["type"] = "object",
            ["properties"] = new JsonObject { [Key] = new JsonObject { ["type"] = "string", ["description"] = "x" } },
            ["required"] = new JsonArray(Key) };
        ToolDefinition Tool(string name) => new(name, "x", parameters.ToJsonString(JsonText.Compact));
        return new Conversation([Message.User("x"), .. answer]) { Tools = [Tool(Name), Tool(OtherName)] };
    }

    /// <summary>For each call the text from the one before to its name, from there to its arguments, and what follows; null when a call is
    /// not of that kind.</summary>
    private static List<(string Before, string Between, string Tail)>? Parts(string answer)
    {
        var parts = new List<(string, string, string)>();
        answer = answer.Replace(FirstId, $"{Id}", StringComparison.Ordinal).Replace(SecondId, $"{Id}", StringComparison.Ordinal)
            .Replace(NamedId(Name, 0), $"{NamePrefix}{Name}:{Index}", StringComparison.Ordinal)
            .Replace(NamedId(OtherName, 1), $"{NamePrefix}{OtherName}:{Index}", StringComparison.Ordinal);
        MatchCollection calls = Call().Matches(answer);
        for (int i = 0; i < calls.Count; i++)
        {
            Match call = calls[i];
            parts.Add((call.Groups["before"].Value, call.Groups["between"].Value, calls[^1] == call ? call.Result("$'") : ""));
        }
        // The text after one call is the text before the next.
        for (int i = 0; i + 1 < parts.Count; i++) parts[i] = parts[i] with { Item3 = parts[i + 1].Item1 };
        return parts.TrueForAll(part => !$"{part.Item1}{part.Item2}{part.Item3}".Contains("probe_", StringComparison.Ordinal))
            ? parts : null;
    }

    [GeneratedRegex("(?<before>(?:(?!probe_).)*)(?:probe_name|probe_other)(?<between>(?:(?!probe_).)*)\\{\\s*\"probe_key\"\\s*:\\s*\"probe_value\"\\s*\\}", RegexOptions.Singleline | RegexOptions.CultureInvariant)]
    private static partial Regex Call();

    /// <summary>Up to white space or the beginning of JSON.</summary>
    [GeneratedRegex(@"\A(?:[^\s{\[""]|\[[A-Za-z_]+\])*", RegexOptions.CultureInvariant)]
    private static partial Regex TagText();
}
