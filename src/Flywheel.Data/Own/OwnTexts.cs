using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>A text of a person's own, as a file gave it.</summary>
/// <param name="Source">The file, and the row where it has rows.</param>
/// <param name="Name">Of what it is about; empty when unknown.</param>
/// <param name="Text">Lines; those of a list begin with "- ".</param>
public sealed record OwnText(string Source, string Name, string Text);

/// <summary>A passage as it is learnt.</summary>
/// <param name="Group">Passages of one text are on one side.</param>
/// <param name="Conversation">A brief, answered by the passage.</param>
/// <param name="HeldOut">Not learnt: both models are tested on it.</param>
public sealed record OwnItem(string Id, string Group, Conversation Conversation, bool HeldOut);

/// <summary>
/// Makes texts of a person's own a data set: cut into passages, cleaned, each text once, each asked for by a brief whose facts are
/// phrases of it, a part held out.
/// </summary>
public static partial class OwnTexts
{
    /// <summary>Fewer teach next to nothing, more are better trained from by a recipe.</summary>
    public const int Min = 50, Max = 5000;

    /// <summary>Reasons for which a passage is left out.</summary>
    public const string Short = "short", Broken = "broken", FewWords = "few-words", TooLong = "too-long", Duplicate = "duplicate",
        Near = "near-duplicate";

    /// <summary>Characters; a longer text is cut between paragraphs, and within one between sentences.</summary>
    private const int PassageMaximum = 1000, Least = 12, MaxName = 80, MaxFacts = 6, MaxTagline = 110;

    /// <summary>One of so many groups is held out, at least <see cref="LeastHeldOut"/>.</summary>
    private const int HeldOutOf = 10, LeastHeldOut = 5;

    private const double NearShare = 0.8;

    /// <param name="texts">In the order of the files: of two that are alike the first stays.</param>
    /// <param name="fits">Whether the model can read a conversation whole.</param>
    /// <returns>What is left, and a report whose reasons are the constants of this class.</returns>
    public static (IReadOnlyList<OwnItem> Items, SourceReport Report) Clean(IEnumerable<OwnText> texts, Func<Conversation, bool> fits)
    {
        var report = new SourceReport("own", "files of a person");
        HashSet<ulong> seen = [];
        var near = new NearDuplicates(NearShare);
        List<OwnItem> items = [];
        foreach (OwnText text in texts)
        {
            foreach ((int number, string passage) in Passages(text.Text).Index())
            {
                report.Read++;
                Conversation conversation = Ask(text.Name, passage);
                if (Fault(passage) is { } fault) report.Dropped(fault, $"{text.Source}: {passage}");
                else if (!fits(conversation)) report.Dropped(TooLong, $"{text.Source}: {passage}");
                else if (!seen.Add(StableHash.Of(TextCleaner.Normalise(passage)))) report.Dropped(Duplicate, $"{text.Source}: {passage}");
                else if (!near.Add(passage)) report.Dropped(Near, $"{text.Source}: {passage}");
                else items.Add(new($"own:{text.Source}:{number}", text.Source, conversation, false));
            }
        }
        (report.Kept, report.Examples) = (items.Count, items.Count);
        string[] groups = [.. items.Select(item => item.Group).Distinct().OrderBy(group => StableHash.Of("held out\n" + group))];
        HashSet<string> heldOut = [.. groups.Take(Math.Max(Math.Min(LeastHeldOut, groups.Length / 2), groups.Length / HeldOutOf))];
        return ([.. items.Select(item => item with { HeldOut = heldOut.Contains(item.Group) })], report);
    }

    /// <summary>Writes train.jsonl, heldout.jsonl and report.json, whole or not at all.</summary>
    public static void Write(string folder, IReadOnlyList<OwnItem> items, SourceReport report) => AtomicFile.WriteFolder(folder, made =>
    {
        foreach (bool heldOut in new[] { false, true })
            AtomicFile.WriteText(Path.Combine(made, heldOut ? "heldout.jsonl" : "train.jsonl"),
                string.Concat(items.Where(item => item.HeldOut == heldOut).Select(item => Line(item) + "\n")));
        AtomicFile.WriteText(Path.Combine(made, "report.json"), System.Text.Json.JsonSerializer.Serialize(report, JsonText.Indented));
    });

    private static string Line(OwnItem item)
    {
        JsonObject row = JsonNode.Parse(item.Conversation.ToString())!.AsObject();
        (row["id"], row["group"]) = (item.Id, item.Group);
        return row.ToJsonString(JsonText.Compact);
    }

    /// <summary>
    /// A brief and its answer. The kind follows from the form (a list, a line, prose); the facts are cut from the sentences, so that the
    /// model learns to write this way from facts and not to invent them.
    /// </summary>
    internal static Conversation Ask(string name, string passage)
    {
        name = TextCleaner.Line(name);
        if (name.Length > MaxName) name = name[..MaxName].Trim();
        string[] lines = passage.Split('\n');
        string[] listed = [.. lines.Where(line => line.StartsWith("- ", StringComparison.Ordinal)).Select(line => line[2..])];
        string kind = listed.Length >= 2 && listed.Length >= lines.Length - 1
            ? Brief.Features : lines.Length == 1 && passage.Length <= MaxTagline && TextCleaner.Sentences(passage).Count == 1
                && passage.Count(c => c is '。' or '！' or '？') < 2 ? Brief.Tagline : Brief.Description;
        IEnumerable<string?> facts = kind == Brief.Features ? listed.Select(Facts.FromItem)
            : lines.SelectMany(TextCleaner.Sentences)
                .Select(sentence => Facts.FromSentence(sentence, name.Length > 0 ? name : "\n")
                    ?? (kind == Brief.Tagline ? Facts.FromItem(sentence) : null));
        var brief = new Brief(name, kind,
            [.. facts.OfType<string>().Distinct().Where(fact => !passage.Equals(fact, StringComparison.OrdinalIgnoreCase)).Take(MaxFacts)],
            []);
        return brief.ToConversation().WithAnswer(passage);
    }

    private static string? Fault(string passage)
    {
        if (passage.Contains('\uFFFD') || passage.Any(c => char.IsControl(c) && c != '\n')) return Broken;
        if (passage.Length < Least) return Short;
        int visible = passage.Count(c => !char.IsWhiteSpace(c));
        return passage.Count(char.IsLetter) * 2 < visible ? FewWords : null;
    }

    /// <summary>A text in parts that one answer can be, each whole paragraphs where that can be.</summary>
    private static IEnumerable<string> Passages(string text)
    {
        string passage = "";
        foreach (string paragraph in Blank().Split(text.ReplaceLineEndings("\n")).Select(Tidy).Where(paragraph => paragraph.Length > 0))
        {
            foreach (string part in paragraph.Length <= PassageMaximum ? [paragraph] : Parts(paragraph))
            {
                if (passage.Length > 0 && passage.Length + part.Length > PassageMaximum)
                {
                    yield return passage;
                    passage = "";
                }
                passage += passage.Length == 0 ? part : "\n\n" + part;
            }
        }
        if (passage.Length > 0) yield return passage;
    }

    private static IEnumerable<string> Parts(string paragraph)
    {
        string part = "";
        foreach (string sentence in TextCleaner.Sentences(paragraph))
        {
            if (part.Length > 0 && part.Length + sentence.Length > PassageMaximum)
            {
                yield return part;
                part = "";
            }
            part += part.Length == 0 ? sentence : " " + sentence;
        }
        if (part.Length > 0) yield return part;
    }

    private static string Tidy(string paragraph) =>
        string.Join('\n',
            paragraph.Split('\n').Select(line => Spaces().Replace(Bullet().Replace(line, "- "), " ").Trim())
                .Where(line => line.Length > 0));

    [GeneratedRegex(@"\n[ \t]*\n")]
    private static partial Regex Blank();

    [GeneratedRegex(@"[ \t\u00A0\u3000]+")]
    private static partial Regex Spaces();

    [GeneratedRegex(@"^\s*[-*•·–]\s+")]
    private static partial Regex Bullet();
}
