using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>
/// A turn's examples: split, without duplicates, and as a folder named by its content. In it lie <c>supervised/</c>,
/// <c>preference/</c> and, where there are such rows, <c>judged/</c> and <c>sampled/</c>, each with <c>train.jsonl</c> and
/// <c>heldout.jsonl</c> in the lines of OpenAI's fine-tuning, plus
/// where each came from; and <c>report.md</c>.
/// </summary>
public sealed class CuratedDataset
{
    private CuratedDataset(IReadOnlyList<CuratedExample> rows) => Rows = rows;

    /// <summary>Examples and drops.</summary>
    public IReadOnlyList<CuratedExample> Rows { get; }

    public IEnumerable<CuratedExample> Of(ExampleKind kind, Split split) =>
        Rows.Where(row => row.Drop is null && row.Kind == kind && row.Split == split);

    /// <summary>Reasons and how many rows each cost, most first.</summary>
    public IReadOnlyList<(string Reason, int Count)> Drops =>
        [.. Rows.Where(row => row.Drop is not null).GroupBy(row => row.Drop!).Select(group => (group.Key, group.Count()))
            .OrderByDescending(drop => drop.Item2).ThenBy(drop => drop.Key, StringComparer.Ordinal)];

    /// <summary>SHA-256 of what would be trained on and tested on; the dataset's name.</summary>
    public string Hash { get; private init; } = "";

    /// <summary>Who was held out and is learnt from now on.</summary>
    public Retirement Retirement { get; private init; } = Retirement.None;

    /// <summary>What is learnt again beside the rows (<see cref="ReplayRecipe"/>); empty of a dataset that was read from the
    /// record.</summary>
    public IReadOnlyList<ReplayedText> Replayed { get; private init; } = [];

    /// <summary>The same with texts to learn again, which are part of what it is.</summary>
    public CuratedDataset With(IReadOnlyList<ReplayedText> replayed) => replayed.Count == 0 ? this
        : new(Rows) { Retirement = Retirement, Replayed = replayed,
            Hash = Hex(string.Join('\n', replayed.Select(text => text.Hash).Prepend(Hash))) };

    /// <param name="curated">From <see cref="Curator"/>.</param>
    /// <param name="rules">How they are split and capped.</param>
    public static CuratedDataset Create(IReadOnlyList<CuratedExample> curated, SplitRules rules)
    {
        List<CuratedExample> fresh = [.. curated.Select(row => row.Drop is null && rules.UsedBefore.Contains(HashOf(row))
            ? row with { Drop = DropReasons.UsedBefore } : row)];
        if (fresh.Any(row => row.Drop is null && row.Source == FeedbackSource.Person))
            fresh = [.. fresh.Select(row => row.Drop is null && FeedbackSourceRules.Of(row.Source).YieldsToPeople
                ? row with { Drop = DropReasons.Simulated } : row)];
        RowSides sides = rules.Sides([.. fresh.Where(row => row.Drop is null)]);

        // Held-out rows come first: what is tested on must not be trained on, even when two people wrote the same.
        HashSet<string> heldOut = [], train = [];
        CuratedExample Place(CuratedExample row, Split split, HashSet<string> mine)
        {
            if (row.Drop is not null || sides.Of(row) != split) return row;
            string hash = HashOf(row);
            string? drop = sides.IsOfAnother(row) ? DropReasons.ReviewersSide : split == Split.Train && heldOut.Contains(hash)
                ? DropReasons.HeldOut : mine.Add(hash) ? null
                : DropReasons.Duplicate;
            return row with { Split = split, Drop = drop };
        }
        List<CuratedExample> placed = [.. fresh.Select(row => Place(row, Split.HeldOut, heldOut))];
        placed = [.. placed.Select(row => row.Split is null ? Place(row, Split.Train, train) : row)];
        placed = Capped(Capped(placed, Split.Train, rules.Recipe.TrainSharePerPerson, rules.Recipe.MinTrain),
            Split.HeldOut, rules.Recipe.HeldOutSharePerPerson, rules.Recipe.MinHeldOut);
        IEnumerable<string> content = placed.Where(row => row.Drop is null).Select(row => $"{row.Split} {HashOf(row)}")
            .Order(StringComparer.Ordinal);
        return new(placed) { Hash = Hex(string.Join('\n', content)), Retirement = sides.Retirement };
    }

    /// <summary>Cuts each person's answers on one side to their part; the newest stay.</summary>
    private static List<CuratedExample> Capped(List<CuratedExample> rows, Split split, double share, int atLeast)
    {
        Dictionary<string, List<Guid>> answers = rows.Where(row => row.Drop is null && row.Split == split
            && FeedbackSourceRules.Of(row.Source).IsTaste)
            .GroupBy(row => row.Person)
                .ToDictionary(person => person.Key, person => person.Select(row => row.GenerationId).Distinct().OrderDescending().ToList());
        int cap = HoldOut.Cap([.. answers.Values.Select(mine => mine.Count)], share, atLeast);
        Dictionary<string, HashSet<Guid>> kept = answers.ToDictionary(person => person.Key, person => person.Value.Take(cap).ToHashSet());
        return [.. rows.Select(row => row.Drop is null && row.Split == split && kept.TryGetValue(row.Person, out HashSet<Guid>? mine)
            && FeedbackSourceRules.Of(row.Source).IsTaste && !mine.Contains(row.GenerationId) ? row with { Drop = DropReasons.Capped }
                : row)];
    }

    /// <summary>
    /// The turn's people are too few to hold some of them out: some of their prompts are, and a person must say yes to the candidate.
    /// </summary>
    public bool IsOfFewPeople => SplitRules.IsOfFewPeople(Rows.Where(row => row.Split is not null));

    /// <summary>Sentences about people who fill more than half of a side, or who would have without the cap.</summary>
    public IReadOnlyList<string> Warnings => [.. Dominant(Split.Train, "to learn from"), .. Dominant(Split.HeldOut, "to test on")];

    private IEnumerable<string> Dominant(Split split, string purpose)
    {
        var people = Rows.Where(row => row.Split == split && row.Drop is null or DropReasons.Capped
            && FeedbackSourceRules.Of(row.Source).IsTaste)
            .GroupBy(row => row.Person)
            .Select(person => (Name: person.Key, All: Answers(person), Kept: Answers(person.Where(row => row.Drop is null)))).ToList();
        int all = people.Sum(person => person.All), kept = people.Sum(person => person.Kept);
        foreach ((string name, int given, int used) in people.Where(person => people.Count > 1
            && (2 * person.All > all || 2 * person.Kept > kept)))
        {
            string who = name.Length == 0 ? "somebody without a name" : name, cut = given > used ? $", cut to {used}" : "";
            yield return $"{who} gave {given} of {all} answers {purpose}{cut}: {(double)used / kept:0%} of what is used";
        }

        static int Answers(IEnumerable<CuratedExample> rows) => rows.Select(row => row.GenerationId).Distinct().Count();
    }

    /// <summary>SHA-256 of a conversation before its answer.</summary>
    internal static string HashOf(Conversation prompt) => Hex(prompt.ToString());

    /// <summary>
    /// SHA-256 of an example's content: kind, prompt, texts and reward, not its lineage; of a sampled answer, its log-probabilities
    /// too.
    /// </summary>
    public static string HashOf(CuratedExample row)
    {
        var content = new JsonArray(row.Kind.ToString(), row.Prompt!.ToJson(), row.Preferred, row.Rejected);
        if (row.Reward is { } reward) content.Add(reward);
        if (row.Served is { } served) content.Add(Convert.ToHexString(SHA256.HashData([.. MemoryMarshal.AsBytes<int>(served.Tokens),
            .. MemoryMarshal.AsBytes<float>(served.LogProbs)])));
        return Hex(content.ToJsonString(JsonText.Compact));
    }

    /// <summary>Kinds that the folder has a place for.</summary>
    private IEnumerable<ExampleKind> Kinds =>
        Enum.GetValues<ExampleKind>()
        .Where(kind => kind is ExampleKind.Supervised or ExampleKind.Preference
        || Rows.Any(row => row.Drop is null && row.Kind == kind));

    /// <summary>Name of the folder of a dataset.</summary>
    public static string FolderName(string hash) => "curated-" + hash[..16];

    public string FolderIn(FlywheelHome home) => Path.Combine(home.Datasets, FolderName(Hash));

    /// <summary>People on one side.</summary>
    public int NumPeople(Split split) =>
        Rows.Where(row => row.Drop is null && row.Split == split).Select(row => row.Person).Distinct().Count();

    /// <summary>Prompts on one side.</summary>
    public int NumPrompts(Split split) =>
        Rows.Where(row => row.Drop is null && row.Split == split).Select(row => row.PromptHash).Distinct().Count();

    /// <summary>One sentence for the person who waits.</summary>
    public string Summary => IsOfFewPeople
        ? $"learning from {Counts(Split.Train)} to {NumPrompts(Split.Train)} prompts, testing on {Counts(Split.HeldOut)} to {NumPrompts(Split.HeldOut)} others."
        : $"learning from {Counts(Split.Train)} of {NumPeople(Split.Train)} people, testing on {Counts(Split.HeldOut)} of {NumPeople(Split.HeldOut)} others.";

    private string Counts(Split split)
    {
        string[] counts = [.. Kinds.Select(kind => (Kind: kind, Count: Of(kind, split).Count())).Where(each => each.Count > 0)
            .Select(each => $"{each.Count} {Noun(each.Kind, each.Count)}")];
        return counts.Length == 0 ? "nothing" : counts.Length == 1 ? counts[0] : $"{string.Join(", ", counts[..^1])} and {counts[^1]}";
    }

    private static string Noun(ExampleKind kind, int count) => (kind switch
    {
        ExampleKind.Supervised => "text",
        ExampleKind.Preference => "preference",
        ExampleKind.Judged => "judged answer",
        _ => "sampled answer",
    }) + (count == 1 ? "" : "s");

    /// <summary>What a turn curated, from the record: rows, sides and reasons; prompts and texts stay in the folder.</summary>
    internal static async Task<CuratedDataset> LoadAsync(FlywheelStore store, TurnRow turn, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        List<ExampleRow> rows = await db.Examples.AsNoTracking().Include(row => row.Sources).Where(row => row.TurnId == turn.Id)
            .OrderBy(row => row.Id).ToListAsync(cancellation);
        var earlier =
            (await db.Examples.Where(row => row.Split != null && db.Turns.Any(one => one.Id == row.TurnId && one.Number < turn.Number))
            .Select(row => new { row.User, row.Owner, row.Split }).Distinct().ToListAsync(cancellation)).ToLookup(row =>
                CuratedExample.PersonOf(row.User, row.Owner), row => row.Split);
        string[] On(Split split) =>
            [.. rows.Where(row => row.Split == split && FeedbackSourceRules.Of(row.Source).IsTaste)
                .Select(row => CuratedExample.PersonOf(row.User, row.Owner)).Distinct()];
        string[] retired = SplitRules.IsOfFewPeople(rows.Where(row => row.Split is not null).Select(row => new CuratedExample
            { Kind = row.Kind, User = row.User, Owner = row.Owner, Source = row.Source, GenerationId = row.GenerationId,
                FeedbackIds = [] }))
                ? [] : [.. On(Split.Train).Where(person => earlier.Contains(person) && earlier[person].All(side => side == Split.HeldOut))];
        return new([.. rows.Select(row => new CuratedExample
        {
            Kind = row.Kind,
            User = row.User,
            Owner = row.Owner,
            Source = row.Source,
            KnownPromptHash = row.PromptHash,
            GenerationId = row.GenerationId,
            RejectedId = row.RejectedId,
            FeedbackIds = [.. row.Sources.Select(source => source.FeedbackId)],
            Split = row.Split,
            Drop = row.DropReason,
        })])
        {
            Hash = turn.Dataset!,
            Retirement = retired.Length == 0 ? Retirement.None : new(retired, 0,
                On(Split.HeldOut).Count(person => !earlier.Contains(person))),
        };
    }

    /// <summary>Writes the folder under <paramref name="parent"/>, whole or not at all. Equal content gives the same folder.</summary>
    /// <returns>Its path.</returns>
    public string Write(string parent)
    {
        string path = Path.Combine(parent, FolderName(Hash));
        AtomicFile.WriteFolder(path, folder =>
        {
            foreach (ExampleKind kind in Kinds)
            {
                string inner = Directory.CreateDirectory(Path.Combine(folder, kind.ToString().ToLowerInvariant())).FullName;
                foreach (Split split in Enum.GetValues<Split>())
                    File.WriteAllLines(Path.Combine(inner, $"{split.ToString().ToLowerInvariant()}.jsonl"), Of(kind, split)
                        .OrderBy(HashOf, StringComparer.Ordinal).Select(Line));
            }
            if (Replayed.Count > 0)
                File.WriteAllLines(Path.Combine(Directory.CreateDirectory(Path.Combine(folder, Replay.FolderName)).FullName, "train.jsonl"),
                    Replayed.Select(text => text.Json));
            File.WriteAllText(Path.Combine(folder, "report.md"), Report());
        });
        return path;
    }

    private static string Line(CuratedExample row)
    {
        JsonObject line = row.Kind switch
        {
            ExampleKind.Preference =>
                new() { ["input"] = row.Prompt!.ToJson(), ["preferred_output"] = Answer(row.Answered),
                ["non_preferred_output"] = Answer(row.Lost) },
            ExampleKind.Sampled => row.Prompt!.ToJson(),
            _ => row.Answered.ToJson(),
        };
        if (row.Kind == ExampleKind.Judged) line["label"] = row.Reward > 0;
        if (row.Served is { } served)
        {
            line["tokens"] = new JsonArray([.. served.Tokens.Select(id => JsonValue.Create(id))]);
            line["logprobs"] = new JsonArray([.. served.LogProbs.Select(value =>
                JsonValue.Create(Math.Min(0, value)))]); // a rounding above 0
            line["reward"] = row.Reward;
            line["text"] = row.Preferred;
        }
        line["id"] = HashOf(row);
        line["user"] = row.Person;
        if (row.Source != FeedbackSource.Person) line["source"] = FeedbackSourceRules.Of(row.Source).Name;
        line["generation_id"] = row.GenerationId.ToString();
        if (row.RejectedId is { } rejected) line["rejected_generation_id"] = rejected.ToString();
        line["feedback_ids"] = new JsonArray([.. row.FeedbackIds.Select(id => JsonValue.Create(id.ToString()))]);
        return line.ToJsonString(JsonText.Compact);
    }

    private static JsonArray Answer(Conversation answered) => [answered.ToJson()["messages"]!.AsArray()[^1]!.DeepClone()];

    private string Report()
    {
        var text = new StringBuilder($"# Curated dataset {Hash[..16]}\n\n| | train | held out |\n|---|---:|---:|\n");
        text.Append($"| prompts | {NumPrompts(Split.Train)} | {NumPrompts(Split.HeldOut)} |\n");
        text.Append($"| people | {NumPeople(Split.Train)} | {NumPeople(Split.HeldOut)} |\n");
        foreach (ExampleKind kind in Kinds)
            text.Append(
                $"| {kind.ToString().ToLowerInvariant()} | {Of(kind, Split.Train).Count()} | {Of(kind, Split.HeldOut).Count()} |\n");
        if (Replayed.Count > 0) text.Append($"| replay | {Replayed.Count} | 0 |\n");
        text.Append("\n| dropped because | rows |\n|---|---:|\n");
        foreach ((string reason, int count) in Drops) text.Append($"| {reason} | {count} |\n");
        if (Retirement.Text.Length > 0) text.Append($"\nHeld out: {Retirement.Text}.\n");
        foreach (string warning in Warnings) text.Append($"\nWarning: {warning}.\n");
        return text.ToString();
    }

    internal static string Hex(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
