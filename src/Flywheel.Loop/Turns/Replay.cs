using System.Text.Json.Nodes;
using Flywheel.Data;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>A text that a turn learns again.</summary>
/// <param name="Hash">SHA-256 of its conversation.</param>
/// <param name="Person">Whose it is, where an earlier turn taught it; else empty.</param>
/// <param name="Json">Its line in the dataset.</param>
public sealed record ReplayedText(string Hash, string Person, string Json);

/// <summary>
/// What a turn learns again beside people's texts: what earlier turns of its champion taught, and data like that from which the champion
/// was made. A model that sees a few hundred texts and nothing else loses what it had learnt from many, such as to copy and to spell;
/// a small part of the old data keeps it (rehearsal; Scialom 2022, arXiv 2205.12393).
/// </summary>
internal static class Replay
{
    /// <summary>In the folder of a curated dataset.</summary>
    public const string FolderName = "replay";

    /// <param name="store">The record: earlier turns and their datasets.</param>
    /// <param name="recipe">Share and sources.</param>
    /// <param name="champion">From which the turn starts.</param>
    /// <param name="number">Of the turn: each draws other texts.</param>
    /// <param name="dataset">What the turn learns and tests on, of which nothing is replayed.</param>
    /// <param name="say">Told what is left out.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>As many as the share asks for, or fewer where the sources have no more.</returns>
    public static async Task<IReadOnlyList<ReplayedText>> DrawAsync(FlywheelStore store, TurnRecipe recipe, ModelFolder champion,
        int number,
        CuratedDataset dataset, Action<string> say, CancellationToken cancellation)
    {
        if (recipe.Stages.All(stage => TurnTraining.KindOf(stage) != ExampleKind.Supervised)) return [];
        int wanted =
            (int)Math.Round(dataset.Of(ExampleKind.Supervised, Split.Train).Count() * recipe.Replay.Share / (1 - recipe.Replay.Share));
        if (wanted == 0) return [];
        HashSet<string> known = [.. dataset.Rows.Select(row => row.PromptHash).OfType<string>()];
        if (File.Exists(recipe.Gate.Regression)) known.UnionWith(JsonlSource.Read(recipe.Gate.Regression).Select(item => PromptOf(item)!));
        List<ReplayedText> taught = [.. (await TaughtAsync(store, champion.Hash, number, cancellation)).Where(Fresh)
            .OrderBy(text => CuratedDataset.Hex($"{recipe.Seed + number}\n{text.Hash}"), StringComparer.Ordinal)];
        List<ReplayedText> made = FromSources(store.Home, recipe, champion, number, wanted, say).Where(Fresh).ToList();
        // Half of each where there is enough of both, else what there is.
        int old = Math.Min(taught.Count, Math.Max(wanted / 2, wanted - made.Count));
        ReplayedText[] drawn = [.. taught.Take(old), .. made.Take(wanted - old)];
        if (drawn.Length < wanted)
            say($"Replay: {drawn.Length} texts instead of {wanted}, there are no more that {champion.Manifest.Name} was made from.");
        return drawn;

        bool Fresh(ReplayedText text) =>
            !known.Contains(CuratedDataset.HashOf(PromptOf(Conversation.Parse(text.Json)))) && known.Add(text.Hash);
    }

    private static Conversation PromptOf(Conversation conversation) =>
        conversation with { Messages = [.. conversation.Messages.SkipLast(1)] };

    private static string? PromptOf(SourceItem item) => item.Examples[0] is ConversationExample example
        ? CuratedDataset.HashOf(PromptOf(example.Conversation)) : null;

    /// <summary>Texts that promoted turns before this one taught the champion.</summary>
    private static async Task<List<ReplayedText>> TaughtAsync(FlywheelStore store, string champion, int number,
        CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        Dictionary<string, string?> parents = await db.Models.ToDictionaryAsync(row => row.Hash, row => row.Parent, cancellation);
        HashSet<string> ancestors = [];
        for (string? hash = champion; hash is not null && ancestors.Add(hash); hash = parents.GetValueOrDefault(hash)) { }
        var turns = await db.Turns.Where(row => row.State == TurnState.Promoted && row.Number < number && row.Dataset != null)
            .OrderBy(row => row.Number).Select(row => new { row.Candidate, row.Dataset }).ToListAsync(cancellation);
        return [.. turns.Where(turn => ancestors.Contains(turn.Candidate!)).SelectMany(turn =>
            Lines(Path.Combine(store.Home.Datasets, CuratedDataset.FolderName(turn.Dataset!), "supervised", "train.jsonl")))];
    }

    /// <summary>Texts in the lines of a file; none where it is not there.</summary>
    public static IEnumerable<ReplayedText> Lines(string file) => !File.Exists(file) ? [] : Utf8File.ReadLines(file)
        .Where(line => line.Length > 0)
        .Select(line => new ReplayedText(CuratedDataset.HashOf(Conversation.Parse(line)),
            JsonNode.Parse(line)!["user"]?.GetValue<string>() ?? "", line));

    private static IEnumerable<ReplayedText> FromSources(FlywheelHome home, TurnRecipe recipe, ModelFolder champion, int number, int wanted,
        Action<string> say)
    {
        List<SourceRecipe> sources = [];
        foreach (SourceRecipe source in recipe.Replay.Data)
        {
            Recipe of = Of([source]);
            string[] foreign = [.. TaskCatalog.Of(of, "").Except(champion.Manifest.Tasks ?? [])];
            // Some items are for validation or known already; a grammar would compose for ever.
            if (foreign.Length == 0)
                sources.Add(source with { Limit = source.Limit == 0 ? 2 * wanted + 50 : Math.Min(source.Limit, 2 * wanted + 50) });
            else say($"Replay: {champion.Manifest.Name} was not trained for {string.Join(", ", foreign)}: {source.Path} is left out.");
        }
        if (sources.Count == 0) return [];
        return DataCollection.Collect(Of(sources), "", home).Items(Data.Split.Train)
            .SelectMany(item => item.Examples.OfType<ConversationExample>().Take(1).Select(example => Text(item, example.Conversation)));

        Recipe Of(IReadOnlyList<SourceRecipe> data) => new()
        {
            Name = "replay", Base = champion.Path, Seed = recipe.Seed + number, Data = data, Train = recipe.Stages[0].Train,
        };
    }

    private static ReplayedText Text(SourceItem item, Conversation conversation)
    {
        JsonObject line = conversation.ToJson();
        line["id"] = item.Id;
        if (item.Licence.Length > 0) line["licence"] = item.Licence;
        return new(CuratedDataset.HashOf(conversation), "", line.ToJsonString(JsonText.Compact));
    }
}
