using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>
/// A turn's examples: split, without duplicates, and as a folder named by its content. In it lie <c>supervised/</c>,
/// <c>preference/</c> and, where there are such rows, <c>judged/</c> and <c>sampled/</c>, each with <c>train.jsonl</c> and <c>heldout.jsonl</c> in the lines of OpenAI's fine-tuning, plus
/// where each came from; and <c>report.md</c>.
/// </summary>
public sealed class CuratedDataset
{
    private CuratedDataset(IReadOnlyList<CuratedExample> rows) => Rows = rows;

    /// <summary>Examples and drops.</summary>
    public IReadOnlyList<CuratedExample> Rows { get; }

    public IEnumerable<CuratedExample> Of(ExampleKind kind, Split split) => Rows.Where(row => row.Drop is null && row.Kind == kind && row.Split == split);

    /// <summary>Reasons and how many rows each cost, most first.</summary>
    public IReadOnlyList<(string Reason, int Count)> Drops =>
        [.. Rows.Where(row => row.Drop is not null).GroupBy(row => row.Drop!).Select(group => (group.Key, group.Count())).OrderByDescending(drop => drop.Item2).ThenBy(drop => drop.Key, StringComparer.Ordinal)];

    /// <summary>SHA-256 of what would be trained on and tested on; the dataset's name.</summary>
    public string Hash { get; private init; } = "";

    /// <param name="curated">From <see cref="Curator"/>.</param>
    /// <param name="knownSides">Sides of people from earlier turns.</param>
    /// <param name="heldOutShare">Share of people to hold out.</param>
    /// <param name="usedBefore">Hashes of examples that a promoted model was trained on.</param>
    public static CuratedDataset Create(IReadOnlyList<CuratedExample> curated, IReadOnlyDictionary<string, Split> knownSides, double heldOutShare, IReadOnlySet<string> usedBefore)
    {
        List<CuratedExample> fresh = [.. curated.Select(row => row.Drop is null && usedBefore.Contains(HashOf(row)) ? row with { Drop = DropReasons.UsedBefore } : row)];
        IReadOnlyDictionary<string, Split> sides = UserSplit.Assign(fresh.Where(row => row.Drop is null).Select(row => row.User), knownSides, heldOutShare);

        // Held-out rows come first: what is tested on must not be trained on, even when two people wrote the same.
        HashSet<string> heldOut = [], train = [];
        CuratedExample Place(CuratedExample row, Split split, HashSet<string> mine)
        {
            if (row.Drop is not null || sides[row.User] != split) return row;
            string hash = HashOf(row);
            string? drop = split == Split.Train && heldOut.Contains(hash) ? DropReasons.HeldOut : mine.Add(hash) ? null : DropReasons.Duplicate;
            return row with { Split = split, Drop = drop };
        }
        List<CuratedExample> placed = [.. fresh.Select(row => Place(row, Split.HeldOut, heldOut))];
        placed = [.. placed.Select(row => row.Split is null ? Place(row, Split.Train, train) : row)];
        IEnumerable<string> content = placed.Where(row => row.Drop is null).Select(row => $"{row.Split} {HashOf(row)}").Order(StringComparer.Ordinal);
        return new(placed) { Hash = Hex(string.Join('\n', content)) };
    }

    /// <summary>SHA-256 of an example's content: kind, prompt, texts and reward, not its lineage; of a sampled answer, its log-probabilities too.</summary>
    public static string HashOf(CuratedExample row)
    {
        var content = new JsonArray(row.Kind.ToString(), row.Prompt!.ToJson(), row.Preferred, row.Rejected);
        if (row.Reward is { } reward) content.Add(reward);
        if (row.Served is { } served) content.Add(Convert.ToHexString(SHA256.HashData([.. MemoryMarshal.AsBytes<int>(served.Tokens), .. MemoryMarshal.AsBytes<float>(served.LogProbs)])));
        return Hex(content.ToJsonString(JsonText.Compact));
    }

    /// <summary>Kinds that the folder has a place for.</summary>
    private IEnumerable<ExampleKind> Kinds => Enum.GetValues<ExampleKind>().Where(kind => kind is ExampleKind.Supervised or ExampleKind.Preference || Rows.Any(row => row.Drop is null && row.Kind == kind));

    /// <summary>Name of the folder of a dataset.</summary>
    public static string FolderName(string hash) => "curated-" + hash[..16];

    public string FolderIn(FlywheelHome home) => Path.Combine(home.Datasets, FolderName(Hash));

    /// <summary>People on one side.</summary>
    public int NumPeople(Split split) => Rows.Where(row => row.Drop is null && row.Split == split).Select(row => row.User).Distinct().Count();

    /// <summary>One sentence for the person who waits.</summary>
    public string Summary => $"learning from {Counts(Split.Train)} of {NumPeople(Split.Train)} people, testing on {Counts(Split.HeldOut)} of {NumPeople(Split.HeldOut)} others.";

    private string Counts(Split split)
    {
        string[] counts = [.. Kinds.Select(kind => (Kind: kind, Count: Of(kind, split).Count())).Where(each => each.Count > 0).Select(each => $"{each.Count} {Noun(each.Kind, each.Count)}")];
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
        await using FlywheelDb db = store.Tables();
        List<ExampleRow> rows = await db.Examples.AsNoTracking().Include(row => row.Sources).Where(row => row.TurnId == turn.Id).OrderBy(row => row.Id).ToListAsync(cancellation);
        return new([.. rows.Select(row => new CuratedExample
        {
            Kind = row.Kind,
            User = row.User,
            GenerationId = row.GenerationId,
            RejectedId = row.RejectedId,
            FeedbackIds = [.. row.Sources.Select(source => source.FeedbackId)],
            Split = row.Split,
            Drop = row.DropReason,
        })]) { Hash = turn.Dataset! };
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
                    File.WriteAllLines(Path.Combine(inner, $"{split.ToString().ToLowerInvariant()}.jsonl"), Of(kind, split).OrderBy(HashOf, StringComparer.Ordinal).Select(Line));
            }
            File.WriteAllText(Path.Combine(folder, "report.md"), Report());
        });
        return path;
    }

    private static string Line(CuratedExample row)
    {
        JsonObject line = row.Kind switch
        {
            ExampleKind.Preference => new() { ["input"] = row.Prompt!.ToJson(), ["preferred_output"] = Answer(row.Preferred), ["non_preferred_output"] = Answer(row.Rejected!) },
            ExampleKind.Sampled => row.Prompt!.ToJson(),
            _ => row.Answered.ToJson(),
        };
        if (row.Kind == ExampleKind.Judged) line["label"] = row.Reward > 0;
        if (row.Served is { } served)
        {
            line["tokens"] = new JsonArray([.. served.Tokens.Select(id => JsonValue.Create(id))]);
            line["logprobs"] = new JsonArray([.. served.LogProbs.Select(value => JsonValue.Create(Math.Min(0, value)))]); // a rounding above 0
            line["reward"] = row.Reward;
            line["text"] = row.Preferred;
        }
        line["id"] = HashOf(row);
        line["user"] = row.User;
        line["generation_id"] = row.GenerationId.ToString();
        if (row.RejectedId is { } rejected) line["rejected_generation_id"] = rejected.ToString();
        line["feedback_ids"] = new JsonArray([.. row.FeedbackIds.Select(id => JsonValue.Create(id.ToString()))]);
        return line.ToJsonString(JsonText.Compact);
    }

    private static JsonArray Answer(string text) => [new JsonObject { ["role"] = "assistant", ["content"] = text }];

    private string Report()
    {
        var text = new StringBuilder($"# Curated dataset {Hash[..16]}\n\n| | train | held out |\n|---|---:|---:|\n");
        text.Append($"| people | {NumPeople(Split.Train)} | {NumPeople(Split.HeldOut)} |\n");
        foreach (ExampleKind kind in Kinds)
            text.Append($"| {kind.ToString().ToLowerInvariant()} | {Of(kind, Split.Train).Count()} | {Of(kind, Split.HeldOut).Count()} |\n");
        text.Append("\n| dropped because | rows |\n|---|---:|\n");
        foreach ((string reason, int count) in Drops) text.Append($"| {reason} | {count} |\n");
        return text.ToString();
    }

    private static string Hex(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
