using System.Text.Json.Nodes;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>What lies beside the record: weights, datasets, runs and reports that hold a person's texts, or were made from them.</summary>
internal static class ForgottenFiles
{
    /// <summary>Deletes what has been replaced or retired. What is gone already is passed over.</summary>
    public static async Task DeleteAsync(FlywheelStore store, ForgetPlan plan, IReadOnlyDictionary<string, ForgottenModel> done,
        CancellationToken cancellation)
    {
        FlywheelHome home = store.Home;
        await using FlywheelDb db = store.AllTables();
        foreach (PlannedModel model in plan.Models.Where(model =>
            done.TryGetValue(model.Hash, out ForgottenModel? became) && became.After != model.Hash))
        {
            string folder = Path.GetFullPath(model.Path, home.Path);
            if (IsWithin(home.Models, folder)) Delete(folder);
            await db.Models.Where(row => row.Hash == model.Hash).ExecuteDeleteAsync(cancellation);
            foreach (string panels in FilesOf(Path.Combine(home.Cache, "panels"), model.Hash[..12])) File.Delete(panels);
        }
        HashSet<string> runs = [.. await db.Runs.Select(run => run.Name).ToListAsync(cancellation)];
        string[] old =
            [.. plan.Turns.SelectMany(turn => turn.Runs).Where(run => !runs.Contains(run)).Select(run => Path.Combine(home.Runs, run))];
        HashSet<string> theirs = [.. old.SelectMany(DataOf)];
        foreach (string folder in old) Delete(folder);
        theirs.ExceptWith(Directory.EnumerateDirectories(home.Runs).SelectMany(DataOf));
        foreach (string data in theirs) Delete(Path.Combine(home.Datasets, data));

        HashSet<string> curated =
            [.. await db.Turns.Where(turn => turn.Dataset != null).Select(turn => turn.Dataset!).ToListAsync(cancellation)];
        foreach (PlannedTurn turn in plan.Turns)
        {
            Delete(Path.Combine(home.Runs, $"turn-{turn.Number:0000}")); // drafts to people's prompts, and the report that shows them
            if (turn.Dataset is not { } dataset) continue;
            bool named = curated.Contains(dataset);
            if (!named || turn.IsIncomplete) Delete(Path.Combine(home.Datasets, CuratedDataset.FolderName(dataset)));
            if (!named) await db.Datasets.Where(row => row.Hash == dataset).ExecuteDeleteAsync(cancellation);
        }
        // Takes are named by what they say; all can be rendered again.
        Delete(Path.Combine(home.Cache, "voice"));
    }

    /// <summary>Files that the person uploaded or recorded, and what was dubbed for them: each has a folder that says whose it
    /// is.</summary>
    public static void DeleteUploads(FlywheelHome home, string person)
    {
        foreach (string folder in new[] { "files", "dubs", "recordings" }.Select(name => Path.Combine(home.Path, name))
            .Where(Directory.Exists).SelectMany(Directory.EnumerateDirectories)
            .Where(folder => UserOf(Path.Combine(folder, "file.json")) == person)) Delete(folder);

        static string? UserOf(string file) => File.Exists(file) ? (string?)JsonNode.Parse(File.ReadAllText(file))?["user"] : null;
    }

    /// <summary>Folders of a run's tokenised data.</summary>
    internal static IEnumerable<string> DataOf(string run) =>
        Experiment.Read(run) is { } experiment ? new[] { experiment.Dataset, experiment.ValidationDataset }.OfType<string>() : [];

    private static IEnumerable<string> FilesOf(string folder, string hash) =>
        Directory.Exists(folder) ? Directory.EnumerateFiles(folder, $"*{hash}*") : [];

    private static bool IsWithin(string parent, string folder) =>
        Path.GetFullPath(folder).StartsWith(Path.GetFullPath(parent) + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    internal static void Delete(string folder)
    {
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
    }
}
