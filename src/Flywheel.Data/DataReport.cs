using System.Text;
using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>What became of the data: what was kept, what was dropped and why, with an example of each.</summary>
public sealed class DataReport
{
    public List<SourceReport> Sources { get; } = [];

    /// <summary>Items kept, by split.</summary>
    public SortedDictionary<string, int> Items { get; } = [];

    /// <summary>By split; filled when the data is tokenised.</summary>
    public SortedDictionary<string, SplitReport> Splits { get; } = [];

    public string ToJson() => JsonSerializer.Serialize(this, JsonText.Indented);

    public string ToMarkdown()
    {
        var text = new StringBuilder("# Data report\n");
        foreach (SourceReport source in Sources)
        {
            text.Append(
                $"\n## {source.Name}\n\n{source.Origin}\n\nRead {source.Read:N0} items, kept {source.Kept:N0} as {source.Examples:N0} examples.\n");
            if (source.Drops.Count == 0) continue;
            text.Append("\n| dropped | count | example |\n|---|---:|---|\n");
            foreach ((string reason, Drop drop) in source.Drops.OrderByDescending(drop => drop.Value.Count))
                text.Append($"| {reason} | {drop.Count:N0} | {drop.Example.Replace("|", "\\|", StringComparison.Ordinal)} |\n");
        }
        if (Splits.Count == 0)
            text.Append($"\n## Splits\n\n{string.Join(", ", Items.Select(split => $"{split.Key}: {split.Value:N0} items"))}\n");
        else text.Append(
            "\n## Splits\n\n| split | documents | tokens | learnt | characters a token | tokens a document: 5 % | 50 % | 95 % | most |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
        foreach ((string name, SplitReport split) in Splits)
            text.Append(
                $"| {name} | {split.Documents:N0} | {split.Tokens:N0} | {split.Targets:N0} | {split.CharsPerToken:F2} | {split.Length05} | {split.Length50} | {split.Length95} | {split.LengthMax} |\n");
        return text.ToString();
    }
}

/// <summary>One source's counts.</summary>
/// <param name="Name">As in the recipe.</param>
/// <param name="Origin">Which file, or which release of the archive, with hashes.</param>
public sealed record SourceReport(string Name, string Origin)
{
    public int Read { get; set; }

    public int Kept { get; set; }

    public int Examples { get; set; }

    /// <summary>
    /// By reason. Items, paragraphs and sentences are counted apart: the reason names which. Items read are those
    /// kept and those dropped.
    /// </summary>
    public SortedDictionary<string, Drop> Drops { get; } = new(StringComparer.Ordinal);

    public void Dropped(string reason, string example)
    {
        if (!Drops.TryGetValue(reason, out Drop? drop))
            Drops[reason] = drop = new Drop(example.Length > 100 ? example[..100] + "..." : example);
        drop.Count++;
    }

    /// <summary>Takes back of an item counted as kept what turned out to be too long for the model.</summary>
    internal void DroppedTooLong(SourceItem item, int numExamples, int context)
    {
        Examples -= numExamples;
        if (numExamples < item.Examples.Count)
        {
            for (int i = 0; i < numExamples; i++) Dropped($"example: over {context} tokens", item.Id);
            return;
        }
        Kept--;
        Dropped($"item: over {context} tokens", item.Id);
    }
}

/// <summary>How often something was dropped for one reason.</summary>
/// <param name="Example">The first one.</param>
public sealed record Drop(string Example)
{
    public int Count { get; set; }
}

/// <summary>Counts of a tokenised split; lengths are in tokens.</summary>
public sealed record SplitReport(long Documents, long Tokens, long Targets, double CharsPerToken, int Length05, int Length50, int Length95,
    int LengthMax);
