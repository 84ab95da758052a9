using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>One thing in a walk through the record, and what it led to or came from.</summary>
/// <param name="Kind">feedback, generation, example, dataset, run, model, adapter, turn or release.</param>
/// <param name="Id">Its id; empty of a mere remark.</param>
/// <param name="Text">What there is to say about it.</param>
public sealed record LineageNode(string Kind, string Id, string Text, IReadOnlyList<LineageNode> Children);

/// <summary>
/// Walks the record: from feedback or a generation forward to the models that learnt from it, from a model, run, dataset or
/// example back to the feedback. Every step is an indexed look-up.
/// </summary>
public sealed class Lineage
{
    /// <summary>Rows listed one by one; the rest are counted.</summary>
    private const int Listed = 5;

    private const int MinPrefix = 6;

    private readonly FlywheelDb db;

    private Lineage(FlywheelDb db) => this.db = db;

    /// <param name="store">The record.</param>
    /// <param name="id">An id of anything, or at least its first six characters; a run's name.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">Nothing or several things have that id.</exception>
    public static async Task<LineageNode> TraceAsync(FlywheelStore store, string id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await new Lineage(db).TraceAsync(id.Trim(), cancellation);
    }

    private async Task<LineageNode> TraceAsync(string id, CancellationToken cancellation)
    {
        if (id.Length < MinPrefix) throw new FlywheelException($"'{id}' is too short for an id, expected at least {MinPrefix} characters");
        string low = id.ToLowerInvariant(), high = low + "~";
        // Ids are stored as texts, so the beginning of one is a range of the index.
        List<Feedback> feedback = await db.Feedback.FromSql($"SELECT * FROM feedback WHERE id >= {low} AND id < {high} LIMIT 3")
            .AsNoTracking().ToListAsync(cancellation);
        List<Generation> generations = await db.Generations.FromSql($"SELECT * FROM generation WHERE id >= {low} AND id < {high} LIMIT 3")
            .AsNoTracking().ToListAsync(cancellation);
        List<TurnRow> turns = await db.Turns.FromSql($"SELECT * FROM turn WHERE id >= {low} AND id < {high} LIMIT 3").AsNoTracking()
            .ToListAsync(cancellation);
        List<ModelRow> models = await db.Models.FromSql($"SELECT * FROM model WHERE hash >= {low} AND hash < {high} LIMIT 3")
            .AsNoTracking().ToListAsync(cancellation);
        List<DatasetRow> datasets = await db.Datasets.FromSql($"SELECT * FROM dataset WHERE hash >= {low} AND hash < {high} LIMIT 3")
            .AsNoTracking().ToListAsync(cancellation);
        List<ExampleRow> examples = await db.Examples.FromSql($"SELECT * FROM example WHERE hash >= {low} AND hash < {high} LIMIT 3")
            .AsNoTracking().ToListAsync(cancellation);
        List<RunRow> runs = await db.Runs.FromSql($"SELECT * FROM run WHERE name >= {low} AND name < {high} LIMIT 3").AsNoTracking()
            .ToListAsync(cancellation);

        List<(string Name, Func<Task<LineageNode>> Trace)> found =
        [
            .. feedback.Select(row => ($"feedback {row.Id}", (Func<Task<LineageNode>>)(() => OfFeedbackAsync(row, cancellation)))),
            .. generations.Select(row => ($"generation {row.Id}", (Func<Task<LineageNode>>)(() => OfGenerationAsync(row, cancellation)))),
            .. turns.Select(row => ($"turn {row.Id}", (Func<Task<LineageNode>>)(() => OfTurnAsync(row, cancellation)))),
            .. models.Select(row => ($"model {row.Hash}", (Func<Task<LineageNode>>)(() => BackFromModelAsync(row, cancellation)))),
            .. datasets.Select(row =>
                ($"dataset {row.Hash}", (Func<Task<LineageNode>>)(() => BackFromDatasetAsync(row.Hash, cancellation)))),
            .. examples.DistinctBy(row => row.Hash)
                .Select(row => ($"example {row.Hash}", (Func<Task<LineageNode>>)(() => BackFromExampleAsync(row, cancellation)))),
            .. runs.Select(row => ($"run {row.Name}", (Func<Task<LineageNode>>)(() => BackFromRunAsync(row, cancellation)))),
        ];
        return found.Count switch
        {
            1 => await found[0].Trace(),
            0 => throw new FlywheelException(
                $"nothing in the record has the id '{id}', expected the id of a feedback, generation, turn, model, dataset, example or run. {await LatestAsync(cancellation)}"),
            _ => throw new FlywheelException(
                $"'{id}' is the beginning of several ids: {string.Join(", ", found.Select(candidate => candidate.Name))}; give more of it"),
        };
    }

    private async Task<string> LatestAsync(CancellationToken cancellation)
    {
        List<string> latest = [];
        if (await db.Feedback.OrderByDescending(row => row.Sequence)
            .FirstOrDefaultAsync(cancellation) is { } feedback) latest.Add($"feedback {feedback.Id}");
        if (await db.Generations.OrderByDescending(row => row.Time)
            .FirstOrDefaultAsync(cancellation) is { } generation) latest.Add($"generation {generation.Id}");
        if (await db.Models.OrderByDescending(row => row.Created)
            .FirstOrDefaultAsync(cancellation) is { } model) latest.Add($"model {model.ShortHash}");
        return latest.Count == 0 ? "The record is empty." : $"The latest are: {string.Join(", ", latest)}.";
    }

    // Forward: what became of it.

    private async Task<LineageNode> OfFeedbackAsync(Feedback row, CancellationToken cancellation)
    {
        Generation? generation = await db.Generations.AsNoTracking()
            .SingleOrDefaultAsync(found => found.Id == row.GenerationId, cancellation);
        List<ExampleRow> examples = await db.Examples.AsNoTracking()
            // In this form SQLite begins at the feedback, by its index, instead of at every example.
            .Where(example =>
                db.ExampleFeedback.Where(source => source.FeedbackId == row.Id).Select(source => source.ExampleId).Contains(example.Id))
            .OrderBy(example => example.Id)
            .ToListAsync(cancellation);
        LineageNode about = generation is null
            ? new("generation", row.GenerationId.ToString(), "not recorded (yet)", [])
            : new("generation", generation.Id.ToString(), Describe(generation), [.. Answered(generation)]);
        return new("feedback", row.Id.ToString(), Describe(row), [about, .. await BecameAsync(examples, cancellation)]);
    }

    private async Task<LineageNode> OfGenerationAsync(Generation row, CancellationToken cancellation)
    {
        List<Feedback> feedback = await db.Feedback.AsNoTracking().Where(found => found.GenerationId == row.Id)
            .OrderBy(found => found.Sequence).ToListAsync(cancellation);
        List<ExampleRow> examples = await db.Examples.AsNoTracking()
            .Where(example => example.GenerationId == row.Id || example.RejectedId == row.Id).OrderBy(example => example.Id)
            .ToListAsync(cancellation);
        return new("generation", row.Id.ToString(), Describe(row),
            [.. Answered(row), .. feedback.Select(found => new LineageNode("feedback", found.Id.ToString(), Describe(found), [])),
                .. await BecameAsync(examples, cancellation)]);
    }

    private static IEnumerable<LineageNode> Answered(Generation row) => row.AdapterHash is { } adapter
        ? [new("model", row.ModelHash, "answered", []), new("adapter", adapter, "answered with it", [])]
        : row.ModelHash.Length == 0 ? [] // a person's text without a model's behind it
        : [new("model", row.ModelHash, "answered", [])];

    private async Task<IReadOnlyList<LineageNode>> BecameAsync(IReadOnlyList<ExampleRow> examples, CancellationToken cancellation)
    {
        if (examples.Count == 0) return [new("example", "", "none yet: no turn has looked at it", [])];
        List<LineageNode> nodes = [];
        foreach (IGrouping<Guid, ExampleRow> turnExamples in examples.GroupBy(example => example.TurnId))
        {
            TurnRow turn = await db.Turns.AsNoTracking().SingleAsync(row => row.Id == turnExamples.Key, cancellation);
            List<LineageNode> children = [.. turnExamples.Select(example =>
                new LineageNode("example", example.Hash ?? "", Describe(example), []))];
            if (turnExamples.Any(example =>
                example.DropReason is null)) children.Add(await ForwardFromDatasetAsync(turn,
                turnExamples.Any(example => example.DropReason is null && example.Split == Split.Train), cancellation));
            nodes.Add(new("turn", turn.Id.ToString(), Describe(turn), children));
        }
        return nodes;
    }

    private async Task<LineageNode> ForwardFromDatasetAsync(TurnRow turn, bool trainedOn, CancellationToken cancellation)
    {
        List<RunRow> runs = await db.Runs.AsNoTracking().Where(run => run.TurnId == turn.Id).OrderBy(run => run.Created)
            .ToListAsync(cancellation);
        List<LineageNode> children = [];
        foreach (RunRow run in runs) children.Add(new("run", run.Name, trainedOn ? "learnt from it"
            : "tested on it, not learnt from it", run.Model is null ? [] : [await ModelAsync(run.Model, cancellation)]));
        return new("dataset", turn.Dataset ?? "", "", children);
    }

    private async Task<LineageNode> ModelAsync(string hash, CancellationToken cancellation)
    {
        List<ReleaseRow> releases = await db.Releases.AsNoTracking().Where(release => release.ModelHash == hash)
            .OrderBy(release => release.Id).ToListAsync(cancellation);
        ModelRow? model = await db.Models.AsNoTracking().SingleOrDefaultAsync(row => row.Hash == hash, cancellation);
        return new("model", hash, model?.Name
            ?? "", [.. releases.Select(release =>
            new LineageNode("release", "", $"{release.Time:yyyy-MM-dd HH:mm}, {Cut(release.Reason)}", []))]);
    }

    // Backward: where it came from.

    private async Task<LineageNode> BackFromModelAsync(ModelRow model, CancellationToken cancellation)
    {
        LineageNode known = await ModelAsync(model.Hash, cancellation);
        List<LineageNode> children = [.. known.Children];
        if (await db.Runs.AsNoTracking()
            .FirstOrDefaultAsync(run =>
            run.Model == model.Hash, cancellation) is { } made) children.Add(await BackFromRunAsync(made, cancellation));
        else if (model.Run is not null) children.Add(new("run", model.Run, "not of a turn", []));
        if (model.Parent is { } parent)
        {
            LineageNode above = await db.Models.AsNoTracking().SingleOrDefaultAsync(row => row.Hash == parent, cancellation) is { } row
                ? await ParentAsync(row, cancellation)
                : new("model", parent, "its parent, not in this home", []);
            children.Add(above);
        }
        return known with { Children = children };
    }

    /// <summary>Ancestors as a chain, without their data: each can be asked for by its own id.</summary>
    private async Task<LineageNode> ParentAsync(ModelRow model, CancellationToken cancellation)
    {
        ModelRow? above = model.Parent is null ? null
            : await db.Models.AsNoTracking().SingleOrDefaultAsync(row => row.Hash == model.Parent, cancellation);
        return new("model", model.Hash, $"its parent {model.Name}", above is null ? [] : [await ParentAsync(above, cancellation)]);
    }

    private async Task<LineageNode> BackFromRunAsync(RunRow run, CancellationToken cancellation)
    {
        string told = $"{run.Created:yyyy-MM-dd HH:mm}, from {(run.Base is { } from ? $"model {Short(from)}" : "random weights")}, "
            + $"made {(run.Model is { } made ? Short(made) : "nothing yet")}";
        if (run.TurnId is not { } id) return new("run", run.Name, $"{told}, by itself on data {Short(run.Dataset)}", []);
        TurnRow turn = await db.Turns.AsNoTracking().SingleAsync(row => row.Id == id, cancellation);
        return new("run", run.Name, told,
            [new("turn", turn.Id.ToString(), Describe(turn), []), await BackFromDatasetAsync(run.Dataset, cancellation)]);
    }

    private static string Short(string hash) => hash[..Math.Min(12, hash.Length)];

    private async Task<LineageNode> BackFromDatasetAsync(string hash, CancellationToken cancellation)
    {
        DatasetRow dataset = await db.Datasets.AsNoTracking().SingleAsync(row => row.Hash == hash, cancellation);
        IQueryable<ExampleRow> kept = db.Examples.AsNoTracking()
            .Where(example => example.TurnId == dataset.TurnId && example.DropReason == null);
        List<ExampleRow> first = await kept.Include(example => example.Sources).OrderBy(example => example.Id).Take(Listed)
            .ToListAsync(cancellation);
        List<LineageNode> children = [.. first.Select(example =>
            new LineageNode("example", example.Hash!, Describe(example),
            [.. example.Sources.Select(source => new LineageNode("feedback", source.FeedbackId.ToString(), "", []))]))];
        int rest = dataset.NumTrain + dataset.NumHeldOut - children.Count;
        if (rest > 0) children.Add(new("example", "", $"and {rest} more, in datasets/{CuratedDataset.FolderName(hash)}", []));
        return new("dataset", hash, $"{dataset.NumTrain} examples to learn from, {dataset.NumHeldOut} held out", children);
    }

    private async Task<LineageNode> BackFromExampleAsync(ExampleRow example, CancellationToken cancellation)
    {
        List<Feedback> sources = await db.Feedback.AsNoTracking()
            .Where(row =>
                db.ExampleFeedback.Where(source => source.ExampleId == example.Id).Select(source => source.FeedbackId).Contains(row.Id))
            .OrderBy(row => row.Sequence).ToListAsync(cancellation);
        return new("example", example.Hash!, Describe(example),
            [.. sources.Select(row =>
            new LineageNode("feedback", row.Id.ToString(), Describe(row), [new("generation", row.GenerationId.ToString(), "", [])])),
            .. await BecameAsync([example], cancellation)]);
    }

    private async Task<LineageNode> OfTurnAsync(TurnRow turn, CancellationToken cancellation)
    {
        List<EvaluationRow> rules = await db.Evaluations.AsNoTracking().Where(row => row.TurnId == turn.Id).OrderBy(row => row.Id)
            .ToListAsync(cancellation);
        return new("turn", turn.Id.ToString(), Describe(turn),
        [
            .. rules.Select(rule =>
                new LineageNode("rule", "",
                $"{rule.Rule}: {rule.ChampionValue:0.000} → {rule.CandidateValue:0.000}, {rule.Passed switch { true => "pass", false => "fail", null => "told only" }}", [])),
            await ForwardFromDatasetAsync(turn, true, cancellation),
        ]);
    }

    private static string Describe(Feedback row) => $"{row.Metric} {Cut(row.Value)}{By(row.User)}, {row.Time:yyyy-MM-dd HH:mm}";

    private static string Describe(Generation row) =>
        $"choice {row.Choice} of request {row.Group}{By(row.User)}, {row.NumTokens} tokens, {row.Time:yyyy-MM-dd HH:mm}";

    private static string Describe(ExampleRow row) => row.DropReason is { } reason ? $"dropped: {reason}"
        : $"{row.Kind.ToString().ToLowerInvariant()}, {(row.Split == Split.Train ? "to learn" : "held out")},{By(row.User)}";

    private static string Describe(TurnRow row) =>
        $"number {row.Number}, {row.State.ToString().ToLowerInvariant()}{(row.Reason is null ? "" : $": {Cut(row.Reason)}")}";

    private static string By(string user) => user.Length == 0 ? "" : $" by {user}";

    private static string Cut(string text) => text.Length <= 100 ? text : text[..100] + "…";
}
