using System.Text.Json;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Training;

namespace Flywheel.Loop;

/// <summary>What a turn tells while it goes; every member may be left out.</summary>
public sealed record TurnProgress
{
    /// <summary>A step began, or something worth a line happened.</summary>
    public Action<string> Say { get; init; } = _ => { };

    /// <summary>A training step is done: the pass's name and where it stands.</summary>
    public Action<string, TrainingProgress> Trained { get; init; } = (_, _) => { };

    /// <summary>An examination goes on: whose, texts done, of how many.</summary>
    public Action<string, int, int> Examined { get; init; } = (_, _, _) => { };
}

/// <summary>How a turn ended.</summary>
/// <param name="Report">Path of turn.html.</param>
public sealed record TurnOutcome(TurnRow Turn, CuratedDataset Dataset, GateDecision Decision, string Report)
{
    public bool Promoted => Turn.State == TurnState.Promoted;
}

/// <summary>
/// One revolution: curate, train, examine, gate, promote or reject, report. A turn that was killed is gone on with: finished
/// steps are in the record and in the turn's folder and are not done again, training goes on from its checkpoint.
/// </summary>
public sealed class TurnRunner(FlywheelStore store, TurnProgress? progress = null, TimeProvider? time = null)
{
    private readonly TurnProgress progress = progress ?? new();
    private readonly TurnLedger ledger = new(store, time ?? TimeProvider.System);
    private readonly TimeProvider time = time ?? TimeProvider.System;

    /// <param name="recipe">How; a turn that is gone on with keeps the recipe with which it began.</param>
    /// <param name="folder">Where the recipe's relative paths start.</param>
    /// <param name="force">Promote even what the gate rejects; the release says so.</param>
    /// <param name="cancellation">Stops after a checkpoint; the next turn goes on from there.</param>
    /// <exception cref="FlywheelException">There is no champion, too little feedback, or a step cannot be done.</exception>
    public async Task<TurnOutcome> RunAsync(TurnRecipe recipe, string folder, bool force = false, CancellationToken cancellation = default)
    {
        using FileStream _ = Lock();
        CuratedDataset dataset;
        TurnRow turn;
        if (await ledger.UnfinishedAsync(cancellation) is { } unfinished)
        {
            turn = unfinished;
            progress.Say($"Turn {turn.Number} was interrupted; it goes on with {turn.State.ToString().ToLowerInvariant()}.");
            recipe = RecipeFile.ParseTurn(turn.Recipe, $"recipe of turn {turn.Number}");
            dataset = await CuratedDataset.LoadAsync(store, turn, cancellation);
        }
        else
        {
            recipe = Rooted(recipe, folder);
            if (!File.Exists(recipe.Gate.Regression)) throw new FlywheelException($"{recipe.Gate.Regression}: no such file; field 'gate.regression' of the turn's recipe expects JSON lines of conversations");
            (dataset, FeedbackIntake intake, ModelRow champion) = await CurateAsync(recipe, cancellation);
            RequireEnough(dataset, intake, recipe, await ledger.LastAsync(cancellation));
            dataset.Write(store.Home.Datasets);
            turn = await ledger.BeginAsync(champion, RecipeFile.ToYaml(recipe), dataset, intake, cancellation);
            progress.Say($"Turn {turn.Number}: {dataset.Summary}");
        }

        if (turn.State == TurnState.Training) await TrainAsync(turn, recipe, cancellation);
        ExamPaper paper = ExamPaper.Read(dataset.FolderIn(store.Home), recipe.Gate.Regression);
        ExamResult before = await ExamineAsync(turn, "champion", turn.Champion, paper, recipe, cancellation);
        ExamResult after = await ExamineAsync(turn, "candidate", turn.Candidate!, paper, recipe, cancellation);
        GateDecision decision = Gate.Decide(paper, before, after, recipe.Gate, recipe.Seed);
        if (turn.State == TurnState.Evaluating) await DecideAsync(turn, decision, force, cancellation);
        if (turn.State == TurnState.Promoting) await PromoteAsync(turn, cancellation);
        string report = await TurnReport.WriteAsync(store, FolderOf(turn), turn, dataset, before, after, decision, time.GetUtcNow(), cancellation);
        return new(turn, dataset, decision, report);
    }

    /// <summary>What a turn would learn from now; nothing is written.</summary>
    public async Task<CuratedDataset> PreviewAsync(TurnRecipe recipe, string folder, CancellationToken cancellation = default)
    {
        recipe = Rooted(recipe, folder);
        (CuratedDataset dataset, FeedbackIntake intake, ModelRow _) = await CurateAsync(recipe, cancellation);
        RequireEnough(dataset, intake, recipe, await ledger.LastAsync(cancellation));
        return dataset;
    }

    private async Task<(CuratedDataset, FeedbackIntake, ModelRow)> CurateAsync(TurnRecipe recipe, CancellationToken cancellation)
    {
        ModelRow champion = await store.ChampionAsync(cancellation)
            ?? throw new FlywheelException($"{store.Home.Path} has no champion yet: start the Studio once (./flywheel up), it makes the starter model the champion");
        ModelFolder model = ModelFolder.Open(store.FolderOf(champion));
        ChatTemplate template = model.ChatTemplate;
        await using FlywheelDb db = store.Tables();
        HashSet<ExampleKind> kinds = [.. recipe.Stages.Select(KindOf)];
        bool sampled = kinds.Contains(ExampleKind.Sampled);
        FeedbackIntake intake = await FeedbackReader.ReadAsync(db, sampled, cancellation);
        IReadOnlyList<CuratedExample> rows = Curator.Curate(intake.Shown, intake.Feedback, new CurationRules(recipe.Curate.MinCharacters, conversation => template.Document(conversation).Tokens.Length <= model.Config.MaxPositions)
        {
            Judged = kinds.Contains(ExampleKind.Judged),
            Sampled = sampled ? conversation => template.Prompt(conversation) : null,
        });
        return (CuratedDataset.Create(rows, intake.Sides, recipe.Curate.HeldOutShare, intake.UsedBefore), intake, champion);
    }

    private static void RequireEnough(CuratedDataset dataset, FeedbackIntake intake, TurnRecipe recipe, TurnRow? last)
    {
        CurateRecipe needs = recipe.Curate;
        ExampleKind[] kinds = [.. recipe.Stages.Select(KindOf)], alone = [.. kinds.Intersect([ExampleKind.Judged, ExampleKind.Sampled])];
        int train = Answers(kinds, Split.Train).Count(), texts = Answers([ExampleKind.Supervised], Split.HeldOut).Count(), heldOut = Answers([ExampleKind.Supervised, .. alone], Split.HeldOut).Count();
        int liked = Judged(reward => reward > 0), disliked = Judged(reward => reward < 0);
        int people = dataset.Rows.Where(row => row.Drop is null).Select(row => row.User).Distinct().Count();
        string waiting = intake.NumOrphans > 0 ? $" ({intake.NumOrphans} more wait for their generation)" : "";
        if (intake.NumOpen == 0)
            throw new FlywheelException($"there is no feedback to learn from{waiting}: keep, edit and discard texts in the Studio, or send POST /feedback, then run the turn again");
        if (last?.State == TurnState.Rejected && intake.NumNew == 0 && last.Recipe == RecipeFile.ToYaml(recipe))
            throw new FlywheelException($"no feedback has come since turn {last.Number}, which was rejected ({last.Reason}); the same feedback and recipe would give the same candidate");
        bool enough = train >= needs.MinTrain && heldOut >= needs.MinHeldOut && people >= 2, canTest = texts >= needs.MinHeldOut || (liked >= ExamPaper.MinOfEachKind && disliked >= ExamPaper.MinOfEachKind);
        if (enough && canTest) return;
        string dropped = dataset.Drops.Count == 0 ? "" : $"; dropped: {string.Join(", ", dataset.Drops.Select(drop => $"{drop.Count} {drop.Reason}"))}";
        if (enough) throw new FlywheelException($"the people held out liked {liked} and disliked {disliked} answers{(texts > 0 ? $" and kept or edited {texts} texts (needed: {needs.MinHeldOut})" : "")}: a test by judged answers needs {ExamPaper.MinOfEachKind} of each kind{waiting}{dropped}");
        int thumbs = intake.Feedback.Count(row => row.Metric is Metrics.Rating or Metrics.Discard);
        string hint = alone.Length == 0 && thumbs > 0 ? $"; {thumbs} {(thumbs == 1 ? "rating or discarded text teaches" : "ratings and discarded texts teach")} by themselves in a stage with objective kto, as in recipes/thumbs.yaml" : "";
        throw new FlywheelException($"too little feedback for a turn: {train + heldOut} {(alone.Length == 0 ? "kept or edited texts" : "kept, edited or judged answers")} of {people} {(people == 1 ? "person" : "people")}: "
            + $"{train} to learn from (needed: {needs.MinTrain}), {heldOut} of people held out to test on (needed: {needs.MinHeldOut}), people: {people} (needed: 2){waiting}{dropped}{hint}");

        // A kept answer may be a text, the better one of pairs, and liked: it is one answer.
        IEnumerable<(string, Guid)> Answers(IEnumerable<ExampleKind> of, Split split) => of.Distinct().SelectMany(kind => dataset.Of(kind, split)).Select(row => (row.User, row.GenerationId)).Distinct();
        int Judged(Func<double, bool> which) => alone.SelectMany(kind => dataset.Of(kind, Split.HeldOut)).Where(row => which(row.Reward!.Value)).Select(row => row.GenerationId).Distinct().Count();
    }

    private async Task TrainAsync(TurnRow turn, TurnRecipe recipe, CancellationToken cancellation)
    {
        string dataset = Path.Combine(store.Home.Datasets, CuratedDataset.FolderName(turn.Dataset!));
        ModelFolder model = await OpenAsync(turn.Champion, cancellation);
        foreach (StageRecipe stage in recipe.Stages)
        {
            ExampleKind kind = KindOf(stage);
            string examples = Path.Combine(dataset, kind.ToString().ToLowerInvariant());
            if (new FileInfo(Path.Combine(examples, "train.jsonl")) is not { Exists: true, Length: > 0 })
            {
                progress.Say($"No {kind.ToString().ToLowerInvariant()} examples: that pass is left out.");
                continue;
            }
            var pass = new Recipe
            {
                Name = $"turn-{turn.Number:0000}-{stage.Train.Objective}",
                Base = model.Path,
                Seed = recipe.Seed,
                Data = [new SourceRecipe { Source = "dataset", Path = examples }, .. stage.Data],
                Train = stage.Train,
            };
            progress.Say($"Training: {stage.Train.Objective}.");
            var runner = new RecipeRunner(store.Home) { Progress = progress.Trained, Time = time };
            string from = model.Hash;
            FinishedRun run = await Task.Run(() => runner.Run(pass, dataset, cancellation), cancellation);
            model = run.Whole(store.Home.Models);
            await ledger.TrainedAsync(turn, Path.GetFileName(run.RunFolder), from, model, cancellation);
        }
        if (model.Hash == turn.Champion) throw new FlywheelException($"turn {turn.Number}: no pass of the recipe had anything to learn");
        await ledger.HasCandidateAsync(turn, model.Hash, cancellation);
    }

    /// <summary>Which examples an objective learns from.</summary>
    private static ExampleKind KindOf(StageRecipe stage) => stage.Train.Objective switch
    {
        TrainRecipe.Preference => ExampleKind.Preference,
        TrainRecipe.Kto => ExampleKind.Judged,
        TrainRecipe.Policy => ExampleKind.Sampled,
        _ => ExampleKind.Supervised,
    };

    /// <summary>The result of an examination, from the turn's folder when it was taken before.</summary>
    private async Task<ExamResult> ExamineAsync(TurnRow turn, string who, string hash, ExamPaper paper, TurnRecipe recipe, CancellationToken cancellation)
    {
        string file = Path.Combine(FolderOf(turn), $"{who}.json");
        if (File.Exists(file) && JsonSerializer.Deserialize<ExamResult>(await File.ReadAllTextAsync(file, cancellation), JsonText.Compact) is { } taken && taken.ModelHash == hash && taken.Judged.Count == paper.Judged.Count) return taken;
        progress.Say($"Examining the {who}.");
        ExamResult result = await Exam.TakeAsync(await OpenAsync(hash, cancellation), paper, recipe.Gate, recipe.Seed, (done, of) => progress.Examined(who, done, of), cancellation);
        AtomicFile.WriteText(file, JsonSerializer.Serialize(result, JsonText.Indented));
        return result;
    }

    private async Task DecideAsync(TurnRow turn, GateDecision decision, bool force, CancellationToken cancellation)
    {
        string? champion = (await store.ChampionAsync(cancellation))?.Hash;
        bool promote = decision.Passed || force;
        string reason = decision.Passed ? decision.Reason : force ? $"FORCED past the gate, which rejected it: {decision.Reason}" : decision.Reason;
        if (promote && champion != turn.Champion)
            (promote, reason) = (false, $"the champion was changed to {champion?[..12]} while the turn ran; the candidate was compared with {turn.Champion[..12]}");
        await ledger.DecidedAsync(turn, decision, promote, reason, cancellation);
    }

    private async Task PromoteAsync(TurnRow turn, CancellationToken cancellation)
    {
        if (RunningServer.Find(store.Home) is { } server)
        {
            progress.Say($"Swapping the model of the server at {server.Url}.");
            await server.PromoteAsync(turn.Candidate!, $"turn {turn.Number}: {turn.Reason}", cancellation);
        }
        await ledger.PromotedAsync(turn, cancellation);
    }

    private async Task<ModelFolder> OpenAsync(string hash, CancellationToken cancellation)
    {
        ModelRow row = await store.FindModelAsync(hash, cancellation) ?? throw new FlywheelException($"model {hash} is not known in {store.Home.Path}");
        return ModelFolder.Open(store.FolderOf(row));
    }

    private string FolderOf(TurnRow turn) => Directory.CreateDirectory(Path.Combine(store.Home.Runs, $"turn-{turn.Number:0000}")).FullName;

    /// <summary>The recipe with full paths, so that it can be kept with the turn.</summary>
    private static TurnRecipe Rooted(TurnRecipe recipe, string folder) => recipe with
    {
        Gate = recipe.Gate with { Regression = Path.GetFullPath(recipe.Gate.Regression, folder) },
        Stages = [.. recipe.Stages.Select(stage => stage with { Data = [.. stage.Data.Select(source => source.Path is { } path ? source with { Path = Path.GetFullPath(path, folder) } : source)] })],
    };

    /// <summary>One turn at a time on a home; the operating system drops the lock of a killed one.</summary>
    private FileStream Lock()
    {
        try
        {
            return new FileStream(Path.Combine(store.Home.Path, "turn.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new FlywheelException($"a turn already runs on {store.Home.Path}; wait for it to end", e);
        }
    }
}
