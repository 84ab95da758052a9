using System.Text.Json;
using Flywheel.Engine;
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

    /// <summary>The candidate passed what a machine can check; a person must look at the drafts and say yes or no.</summary>
    public bool Waits => Turn.State == TurnState.Waiting;

    /// <summary>What both models wrote to each held-out prompt.</summary>
    public IReadOnlyList<(Answer Champion, Answer Candidate)> SideBySide { get; init; } = [];
}

/// <summary>What a turn would learn from now.</summary>
/// <param name="Missing">Why a turn cannot begin, in words; null when it can.</param>
/// <param name="Needs">How much there must be, for the people that there are.</param>
/// <param name="Power">What such a turn could show.</param>
public sealed record TurnPreview(CuratedDataset Dataset, string? Missing, CurateRecipe Needs, PowerStatement Power);

/// <summary>
/// One revolution: curate, train, examine, gate, promote or reject, report. A turn that was killed is gone on with: finished
/// steps are in the record and in the turn's folder and are not done again, training goes on from its checkpoint.
/// </summary>
public sealed class TurnRunner(FlywheelStore store, TurnProgress? progress = null, TimeProvider? time = null)
{
    private readonly TurnProgress progress = progress ?? new();
    private readonly TurnLedger ledger = new(store, time ?? TimeProvider.System);
    private readonly TimeProvider time = time ?? TimeProvider.System;

    /// <summary>
    /// Rules by which drafts can be judged, beside the judges that every turn has; a recipe's <c>gate.judge</c> names one.
    /// </summary>
    public IReadOnlyList<IDraftJudge> StatedRules { get; init; } = [];

    /// <summary>
    /// Whose turn. One of a workspace besides the default one learns from what is done there, trains an adapter on the model that all
    /// share, and is decided by the same gate; what it promotes answers in that workspace alone.
    /// </summary>
    public string Workspace { get; init; } = WorkspaceRow.Default;

    private bool IsOwn => Workspace != WorkspaceRow.Default;

    /// <summary>Name of the recipe, in the folder recipes, by which a workspace's turns run where nothing else is said.</summary>
    public static string RecipeOf(string workspace) => workspace == WorkspaceRow.Default ? "turn.yaml" : "workspace.yaml";

    /// <param name="recipe">How; a turn that is gone on with keeps the recipe with which it began.</param>
    /// <param name="folder">Where the recipe's relative paths start.</param>
    /// <param name="force">Promote even what the gate rejects; the release says so.</param>
    /// <param name="cancellation">Stops after a checkpoint; the next turn goes on from there.</param>
    /// <exception cref="FlywheelException">There is no champion, too little feedback, or a step cannot be done.</exception>
    public async Task<TurnOutcome> RunAsync(TurnRecipe recipe, string folder, bool force = false, CancellationToken cancellation = default)
    {
        await using IAsyncDisposable _ = await store.LockTurnsAsync(cancellation);
        CuratedDataset dataset;
        TurnRow turn;
        if (await ledger.UnfinishedAsync(cancellation) is { } unfinished)
        {
            turn = unfinished;
            if (turn.Workspace != Workspace)
                throw new FlywheelException(
                    $"turn {turn.Number} of the workspace '{turn.Workspace}' is not ended; go on with it first: "
                    + $"./flywheel turn --workspace {turn.Workspace}");
            progress.Say($"Turn {turn.Number} was interrupted; it goes on with {turn.State.ToString().ToLowerInvariant()}.");
            if (PlayRecipe.IsOne(turn.Recipe))
                throw new FlywheelException(
                    $"turn {turn.Number} is one of games and is not ended; go on with it first: ./flywheel play --turns 1");
            recipe = RecipeFile.ParseTurn(turn.Recipe, $"recipe of turn {turn.Number}");
            dataset = await CuratedDataset.LoadAsync(store, turn, cancellation);
        }
        else
        {
            recipe = Rooted(recipe, folder);
            CheckRecipe(recipe);
            await CheckWorkspaceAsync(cancellation);
            if (!File.Exists(recipe.Gate.Regression))
                throw new FlywheelException(
                    $"{recipe.Gate.Regression}: no such file; field 'gate.regression' of the turn's recipe expects JSON lines of conversations");
            ModelRow champion = await store.ChampionOfAsync(Workspace, cancellation) ?? throw new FlywheelException(NoChampion);
            (dataset, FeedbackIntake intake) = await CurateAsync(recipe, champion, cancellation);
            TurnRow? last = await ledger.LastAsync(Workspace, cancellation);
            if (await MissingAsync(dataset, intake, recipe, last, cancellation) is { } missing) throw new FlywheelException(missing);
            string learner = await TurnLedger.LearnerOfAsync(store, Workspace, champion.Hash, cancellation);
            dataset = dataset.With(await Replay.DrawAsync(store, recipe, await OpenAsync(learner, cancellation),
                await ledger.NextNumberAsync(cancellation), dataset, progress.Say, cancellation));
            dataset.Write(store.Home.Datasets);
            turn = await ledger.BeginAsync(champion, RecipeFile.ToYaml(recipe), dataset, intake, cancellation, Workspace);
            progress.Say($"Turn {turn.Number}: {dataset.Summary}");
            if (dataset.Replayed.Count > 0) progress.Say($"Replay: {dataset.Replayed.Count} texts that {champion.Name} learnt before.");
            progress.Say($"Power: {(await PowerAsync(turn.Champion, dataset, recipe, turn.Number, cancellation)).Text}.");
            if (dataset.Retirement.Text is { Length: > 0 } retirement) progress.Say($"Held out: {retirement}.");
            foreach (string warning in dataset.Warnings) progress.Say($"Warning: {warning}.");
        }

        if (turn.State == TurnState.Training) await TrainAsync(turn, recipe, cancellation);
        (ExamResult before, ExamResult after, GateDecision decision) = await ExamineAsync(turn, dataset, recipe, cancellation);
        if (turn.State == TurnState.Evaluating) await DecideAsync(turn, decision, force, cancellation);
        if (turn.State == TurnState.Promoting) await PromoteAsync(turn, null, cancellation);
        string report = await TurnReport.WriteAsync(store, FolderOf(turn), turn, dataset, before, after, decision, time.GetUtcNow(),
            cancellation);
        return new(turn, dataset, decision, report) { SideBySide = [.. before.FirstAnswers.Zip(after.FirstAnswers)] };
    }

    /// <summary>
    /// A person has compared the drafts of a waiting turn. After a yes the candidate is promoted, after a no the turn has rejected it. A no
    /// also gives up a turn that cannot be gone on with.
    /// </summary>
    /// <param name="id">Number or id of the turn, or the beginning of its candidate's hash.</param>
    /// <param name="accept">Yes or no.</param>
    /// <param name="who">The person's name; empty when unknown.</param>
    /// <param name="swap">
    /// Makes the running server serve a model, by its hash and with a reason; null finds the server of the home and asks it.
    /// </param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">No such turn waits, or the server does not take the model; then it waits on.</exception>
    public async Task<TurnRow> AnswerAsync(string id, bool accept, string who = "", Func<string, string, Task>? swap = null,
        CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        await using IAsyncDisposable _ = await store.LockTurnsAsync(cancellation);
        TurnRow turn = await ledger.WaitingAsync(id, orUnfinished: !accept, cancellation);
        string by = who.Length > 0 ? $" by {who}" : "";
        if (turn.State is TurnState.Training or TurnState.Evaluating)
        {
            await ledger.RejectedAsync(turn, $"given up{by} before the gate had spoken", cancellation);
            return turn;
        }
        string? champion = (await store.ChampionOfAsync(turn.Workspace, cancellation))?.Hash;
        if (!accept) await ledger.RejectedAsync(turn, $"refused{by} after a comparison side by side; {turn.Reason}", cancellation);
        else if (champion != turn.Champion) await ledger.RejectedAsync(turn, ChampionChanged(turn, champion), cancellation);
        else
        {
            await ledger.AcceptedAsync(turn, $"accepted{by} after a comparison side by side; {turn.Reason}", cancellation);
            await PromoteAsync(turn, swap, cancellation);
        }
        await ReportAgainAsync(turn, cancellation);
        return turn;
    }

    /// <summary>What both models wrote to each held-out prompt of a turn that was examined, from its folder.</summary>
    /// <exception cref="FlywheelException">There is no such turn, or it was not examined yet.</exception>
    public async Task<(TurnRow Turn, IReadOnlyList<(Answer Champion, Answer Candidate)> Drafts)> SideBySideAsync(int number,
        CancellationToken cancellation = default)
    {
        TurnRow turn = await ledger.NumberAsync(number, cancellation);
        string[] files = [.. new[] { "champion", "candidate" }.Select(who =>
            Path.Combine(store.Home.Runs, $"turn-{number:0000}", $"{who}.json"))];
        if (!files.All(File.Exists))
            throw new FlywheelException($"turn {number} has no drafts to compare: it is {turn.State.ToString().ToLowerInvariant()}");
        Answer[][] answers = [.. files.Select(file =>
            JsonSerializer.Deserialize<ExamResult>(File.ReadAllText(file), JsonText.Compact)!.FirstAnswers.ToArray())];
        return (turn, [.. answers[0].Zip(answers[1])]);
    }

    /// <summary>
    /// What the gate said in a turn, from its folder; null of a turn that it has not examined, or before it wrote its verdicts down.
    /// </summary>
    public async Task<GateDecision?> DecisionAsync(int number, CancellationToken cancellation = default)
    {
        string file = Path.Combine(store.Home.Runs, $"turn-{number:0000}", DecisionFile);
        return File.Exists(file) ? JsonSerializer.Deserialize<GateDecision>(await File.ReadAllTextAsync(file, cancellation),
            JsonText.Compact) : null;
    }

    private async Task ReportAgainAsync(TurnRow turn, CancellationToken cancellation)
    {
        TurnRecipe recipe = RecipeFile.ParseTurn(turn.Recipe, $"recipe of turn {turn.Number}");
        CuratedDataset dataset = await CuratedDataset.LoadAsync(store, turn, cancellation);
        (ExamResult before, ExamResult after, GateDecision decision) = await ExamineAsync(turn, dataset, recipe, cancellation);
        await TurnReport.WriteAsync(store, FolderOf(turn), turn, dataset, before, after, decision, time.GetUtcNow(), cancellation);
    }

    /// <summary>
    /// What a turn would learn from now; nothing is begun. In a home without a champion, too, which is then what is missing.
    /// </summary>
    public async Task<TurnPreview> PreviewAsync(TurnRecipe recipe, string folder, CancellationToken cancellation = default)
    {
        recipe = Rooted(recipe, folder);
        CheckRecipe(recipe);
        await CheckWorkspaceAsync(cancellation);
        ModelRow? champion = await store.ChampionOfAsync(Workspace, cancellation);
        (CuratedDataset dataset, FeedbackIntake intake) = await CurateAsync(recipe, champion, cancellation);
        string? missing = champion is null ? NoChampion
            : await MissingAsync(dataset, intake, recipe, await ledger.LastAsync(Workspace, cancellation), cancellation);
        return new(dataset, missing, NeedsOf(dataset, recipe), await PowerAsync(champion?.Hash ?? "", dataset, recipe, int.MaxValue,
            cancellation));
    }

    private string NoChampion =>
        $"{store.Home.Path} has no champion yet: start the Studio once (./flywheel up), it makes the starter model the champion";

    /// <summary>There is the workspace whose turn it is.</summary>
    private async Task CheckWorkspaceAsync(CancellationToken cancellation)
    {
        if (!IsOwn) return;
        var workspaces = new Workspaces(store, time);
        if (await workspaces.FindAsync(Workspace, cancellation) is not { Archived: null })
        {
            IReadOnlyList<WorkspaceRow> all = await workspaces.ListAsync(cancellation);
            string open = NearestName.List([.. all.Where(row => row.Archived is null).Select(row => row.Id)]);
            throw new FlywheelException($"the workspace is '{Workspace}', expected {open}");
        }
    }

    private void CheckRecipe(TurnRecipe recipe)
    {
        // Adapters of two passes would have to be served as one.
        if (IsOwn && recipe.Stages is not [{ Train.Lora: not null }])
        {
            string has = recipe.Stages.Count == 1 ? "one stage, which trains all weights" : $"{recipe.Stages.Count} stages";
            throw new FlywheelException($"the recipe '{recipe.Name}' has {has}, expected one with train.lora, as in recipes/workspace.yaml: "
                + "what a workspace learns for itself is one adapter on the model that all share");
        }
        string[] known = [GateRecipe.AutoJudge, GateRecipe.FidelityJudge, GateRecipe.PersonJudge, .. StatedRules.Select(rule => rule.Name)];
        if (!known.Contains(recipe.Gate.Judge))
            throw new FlywheelException($"gate.judge is '{recipe.Gate.Judge}', expected {NearestName.List(known)}");
    }

    /// <summary>Who compares the drafts; or nobody, and why.</summary>
    private (IDraftJudge? Judge, string Why) JudgeOf(TurnRecipe recipe, ExamPaper paper) => recipe.Gate.Judge switch
    {
        GateRecipe.PersonJudge => (null, "a person, as the recipe says"),
        GateRecipe.FidelityJudge => (new FidelityJudge(), ""),
        GateRecipe.AutoJudge => PreferenceJudge.Fit(paper, recipe.Gate.JudgeAgreement, recipe.Seed + 7),
        var name => (StatedRules.FirstOrDefault(rule => rule.Name == name)
            ?? throw new FlywheelException(
                $"gate.judge of this turn is '{name}', a rule that is not known here; go on with the command that began it"), ""),
    };

    /// <summary>What a turn with this dataset can show.</summary>
    private async Task<PowerStatement> PowerAsync(string champion, CuratedDataset dataset, TurnRecipe recipe, int number,
        CancellationToken cancellation)
    {
        HashSet<string> people = HeldOutPeople(dataset);
        int briefs = Math.Min(recipe.Gate.SanityPrompts, dataset.NumPrompts(Split.HeldOut));
        return PowerStatement.Of(dataset.IsOfFewPeople ? 0 : Math.Min(people.Count, briefs), briefs,
            await ledger.LookAsync(champion, people, number, cancellation));
    }

    private static HashSet<string> HeldOutPeople(CuratedDataset dataset) =>
        [.. dataset.Rows.Where(row => row.Drop is null && row.Split == Split.HeldOut).Select(row => row.Person)];

    private async Task<(CuratedDataset, FeedbackIntake)> CurateAsync(TurnRecipe recipe, ModelRow? champion, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        FeedbackIntake intake = await FeedbackReader.ReadAsync(db, Upstreams.Read(store.Home), TurnCuration.NeedsTokens(recipe),
            cancellation, Workspace);
        return (await TurnCuration.CurateAsync(store, recipe, champion is null ? null : ModelFolder.Open(store.FolderOf(champion)), intake,
            cancellation), intake);
    }

    /// <summary>Where a person decides, a few texts are enough to have something to decide about.</summary>
    private static CurateRecipe NeedsOf(CuratedDataset dataset, TurnRecipe recipe)
    {
        int part = dataset.IsOfFewPeople ? 2 : 1;
        return recipe.Curate with { MinTrain = (recipe.Curate.MinTrain + part - 1) / part, MinHeldOut = (recipe.Curate.MinHeldOut
            + part - 1) / part };
    }

    /// <summary>Why a turn cannot begin; null when it can.</summary>
    private async Task<string?> MissingAsync(CuratedDataset dataset, FeedbackIntake intake, TurnRecipe recipe, TurnRow? last,
        CancellationToken cancellation)
    {
        if (!IsOwn) return Missing(dataset, intake, recipe, last);
        // What was tried on another model than the one that all share by now is tried again.
        string? shared = (await store.ChampionAsync(cancellation))?.Hash;
        bool same = last?.Candidate is { } made && (await store.FindModelAsync(made, cancellation))?.Parent == shared;
        return same && last!.State == TurnState.Promoted && intake is { NumNew: 0, NumOpen: > 0 }
            && last.Recipe == RecipeFile.ToYaml(recipe)
            ? $"nothing has come in this workspace since turn {last.Number}, of which its model was made"
            : Missing(dataset, intake, recipe, same ? last : null);
    }

    private static string? Missing(CuratedDataset dataset, FeedbackIntake intake, TurnRecipe recipe, TurnRow? last)
    {
        CurateRecipe needs = NeedsOf(dataset, recipe);
        ExampleKind[] kinds = [.. recipe.Stages.Select(TurnTraining.KindOf)],
            alone = [.. kinds.Intersect([ExampleKind.Judged, ExampleKind.Sampled])];
        int train = Answers(kinds, Split.Train).Count(), texts = Answers([ExampleKind.Supervised], Split.HeldOut).Count();
        int heldOut = Answers([ExampleKind.Supervised, .. alone], Split.HeldOut).Count();
        int liked = Judged(reward => reward > 0), disliked = Judged(reward => reward < 0);
        int people = dataset.Rows.Where(row => row.Split is not null).Select(row => row.Person).Distinct().Count();
        int prompts = dataset.NumPrompts(Split.HeldOut);
        string waiting = intake.NumOrphans > 0 ? $" ({intake.NumOrphans} more wait for their generation)" : "";
        if (intake.NumOpen == 0)
            return $"there is no feedback to learn from{waiting}: keep, edit and discard texts in the Studio, or send POST /feedback, then run the turn again";
        if (last is { State: TurnState.Rejected, Candidate: not null } && intake.NumNew == 0 && last.Recipe == RecipeFile.ToYaml(recipe))
            return $"no feedback has come since turn {last.Number}, which was rejected ({last.Reason}); the same feedback and recipe would give the same candidate";
        bool enough = train >= needs.MinTrain && heldOut >= needs.MinHeldOut && prompts >= PairedBootstrap.MinClusters;
        bool canTest = texts >= needs.MinHeldOut || (liked >= ExamPaper.MinOfEachKind && disliked >= ExamPaper.MinOfEachKind);
        if (enough && canTest) return null;
        string dropped = dataset.Drops.Count == 0 ? ""
            : $"; dropped: {string.Join(", ", dataset.Drops.Select(drop => $"{drop.Count} {drop.Reason}"))}";
        string tested = dataset.IsOfFewPeople ? "to prompts held out" : "of people held out";
        if (enough)
        {
            string also = texts > 0 ? $" and {texts} kept or edited texts (needed: {needs.MinHeldOut})" : "";
            return $"the answers {tested} are {liked} liked and {disliked} disliked ones{also}: "
                + $"a test by judged answers needs {ExamPaper.MinOfEachKind} of each kind{waiting}{dropped}";
        }
        int thumbs = intake.Feedback.Count(row => TeachesAlone(FeedbackKind.Named(row.Metric).Effect(row)));
        string hint = alone.Length == 0 && thumbs > 0
            ? $"; {thumbs} {(thumbs == 1 ? "rating or discarded text teaches" : "ratings and discarded texts teach")} by themselves in a stage with objective kto, as in recipes/thumbs.yaml"
            : "";
        return $"too little feedback for a turn: {train + heldOut} {(alone.Length == 0 ? "kept or edited texts" : "kept, edited or judged answers")} of {people} {(people == 1 ? "person" : "people")}: "
            + $"{train} to learn from (needed: {needs.MinTrain}), {heldOut} {tested} to test on (needed: {needs.MinHeldOut}, "
            + $"to {PairedBootstrap.MinClusters} prompts at least){waiting}{dropped}{hint}";

        static bool TeachesAlone(FeedbackEffect effect) => effect is FeedbackEffect.Judgement or FeedbackEffect.Act { Kept: false };

        // A kept answer may be a text, the better one of pairs, and liked: it is one answer.
        IEnumerable<(string, Guid)> Answers(IEnumerable<ExampleKind> of, Split split) =>
            of.Distinct().SelectMany(kind => dataset.Of(kind, split)).Select(row => (row.Person, row.GenerationId)).Distinct();
        int Judged(Func<double, bool> which) =>
            alone.SelectMany(kind => dataset.Of(kind, Split.HeldOut)).Where(row => which(row.Reward!.Value))
            .Select(row => row.GenerationId).Distinct().Count();
    }

    private async Task TrainAsync(TurnRow turn, TurnRecipe recipe, CancellationToken cancellation)
    {
        ModelFolder model = await new TurnTraining(store.Home, progress, time).RunAsync(turn.Number, turn.Dataset!,
            await OpenAsync(await TurnLedger.LearnerOfAsync(store, turn.Workspace, turn.Champion, cancellation), cancellation), recipe,
            (run, from, made) => ledger.TrainedAsync(turn, run, from, made, cancellation), cancellation);
        if (model.Hash == turn.Champion) throw new FlywheelException($"turn {turn.Number}: no pass of the recipe had anything to learn");
        await ledger.HasCandidateAsync(turn, model.Hash, cancellation);
    }

    /// <summary>Champion and candidate on everything, the first release on the frozen set, and what the gate says.</summary>
    private async Task<(ExamResult Champion, ExamResult Candidate, GateDecision Decision)> ExamineAsync(
        TurnRow turn, CuratedDataset dataset, TurnRecipe recipe, CancellationToken cancellation)
    {
        (string release, IReadOnlySet<string> taught) = await ledger.FirstReleaseAsync(turn.Champion, cancellation);
        ExamPaper paper = ExamPaper.Read(dataset.FolderIn(store.Home), recipe.Gate.Regression) with { TaughtBefore = taught };
        SamplerOptions sampler = Exam.SamplerOf(await OpenAsync(turn.Champion, cancellation), recipe.Gate);
        ExamResult before = await ExamineAsync(turn, "champion", turn.Champion, paper, sampler, recipe, cancellation);
        ExamResult after = await ExamineAsync(turn, "candidate", turn.Candidate!, paper, sampler, recipe, cancellation);
        if (turn.State != TurnState.Evaluating && await DecisionAsync(turn.Number, cancellation) is { } decided) return (before, after,
            decided);
        ExamResult? first = null;
        if (release != turn.Champion)
        {
            ModelRow? row = await store.FindModelAsync(release, cancellation);
            if (row is not null && Directory.Exists(store.FolderOf(row)))
                first = await ExamineAsync(turn, "first release", release, paper.OfFrozenSet, sampler, recipe, cancellation);
            else progress.Say(
                $"The first release, {release[..12]}, is not there any more: the candidate is compared with the champion only.");
        }
        (IDraftJudge? judge, string why) = JudgeOf(recipe, paper);
        int look = await ledger.LookAsync(turn.Champion, HeldOutPeople(dataset), turn.Number, cancellation);
        GateDecision decision = Gate.Decide(paper, before, after, recipe.Gate, recipe.Seed, judge, why, dataset.IsOfFewPeople, look, first);
        AtomicFile.WriteText(Path.Combine(FolderOf(turn), DecisionFile), JsonSerializer.Serialize(decision, JsonText.Indented));
        return (before, after, decision);
    }

    private const string DecisionFile = "decision.json";

    /// <summary>The result of an examination, from the turn's folder when it was taken before.</summary>
    private async Task<ExamResult> ExamineAsync(TurnRow turn, string who, string hash, ExamPaper paper,
        SamplerOptions sampler, TurnRecipe recipe, CancellationToken cancellation)
    {
        string file = Path.Combine(FolderOf(turn), $"{who.Replace(' ', '-')}.json");
        if (File.Exists(file)
            && JsonSerializer.Deserialize<ExamResult>(await File.ReadAllTextAsync(file, cancellation), JsonText.Compact) is { } taken
            && taken.ModelHash == hash && taken.Judged.Count == paper.Judged.Count
            && (turn.State != TurnState.Evaluating
            || (paper.Asked(recipe.Gate.SanityPrompts).Count is var asked && taken.Answers.Count == asked * recipe.Gate.DraftsTo(asked))))
            return taken;
        progress.Say($"Examining the {who}.");
        ExamResult result = await Exam.TakeAsync(await OpenAsync(hash, cancellation), paper, recipe.Gate, sampler, recipe.Seed, (done,
            of) =>
            progress.Examined(who, done, of), cancellation);
        AtomicFile.WriteText(file, JsonSerializer.Serialize(result, JsonText.Indented));
        return result;
    }

    private async Task DecideAsync(TurnRow turn, GateDecision decision, bool force, CancellationToken cancellation)
    {
        string? champion = (await store.ChampionOfAsync(turn.Workspace, cancellation))?.Hash;
        bool promote = decision.Passed || force, ask = decision.Asks != AskWhy.Nobody;
        string reason = decision.Passed ? force && ask ? $"FORCED without a person's yes: {decision.Reason}" : decision.Reason : force
            ? $"FORCED past the gate, which rejected it: {decision.Reason}"
            : decision.Reason;
        TurnState next = !promote ? TurnState.Rejected : ask && !force ? TurnState.Waiting : TurnState.Promoting;
        if (promote && champion != turn.Champion) (next, reason) = (TurnState.Rejected, ChampionChanged(turn, champion));
        await ledger.DecidedAsync(turn, decision, next, reason, cancellation);
    }

    private static string ChampionChanged(TurnRow turn, string? champion) =>
        $"the champion was changed to {champion?[..12]} while the turn ran; the candidate was compared with {turn.Champion[..12]}";

    private async Task PromoteAsync(TurnRow turn, Func<string, string, Task>? swap, CancellationToken cancellation)
    {
        string reason = $"turn {turn.Number}: {turn.Reason}";
        Func<Task> record = () => ledger.PromotedAsync(turn, cancellation);
        if (turn.Workspace != WorkspaceRow.Default)
        {
            await record(); // the server that runs looks at the record, and keeps the model that all share
            return;
        }
        if (swap is null)
        {
            await ServerPromotion.ReleaseAsync(store.Home, turn.Candidate!, reason, record,
                server => progress.Say($"Swapping the model of the server at {server.Url}."), cancellation);
            return;
        }
        await swap(turn.Candidate!, reason);
        await record();
    }

    private async Task<ModelFolder> OpenAsync(string hash, CancellationToken cancellation)
    {
        ModelRow row = await store.FindModelAsync(hash, cancellation)
            ?? throw new FlywheelException($"model {hash} is not known in {store.Home.Path}");
        return ModelFolder.Open(store.FolderOf(row));
    }

    private string FolderOf(TurnRow turn) => Directory.CreateDirectory(Path.Combine(store.Home.Runs, $"turn-{turn.Number:0000}")).FullName;

    /// <summary>The recipe as it is for this home: with full paths, and with what its owner has switched on.</summary>
    private TurnRecipe Rooted(TurnRecipe recipe, string folder) => recipe with
    {
        Curate = recipe.Curate with { RequireReview = recipe.Curate.RequireReview || HomeSettings.Read(store.Home).RequireReview },
        Gate = recipe.Gate with { Regression = Path.GetFullPath(recipe.Gate.Regression, folder) },
        Replay = recipe.Replay with { Data = Rooted(recipe.Replay.Data, folder) },
        Stages = [.. recipe.Stages.Select(stage => stage with { Data = Rooted(stage.Data, folder) })],
    };

    private static IReadOnlyList<SourceRecipe> Rooted(IReadOnlyList<SourceRecipe> sources, string folder) =>
        [.. sources.Select(source => source.Path is { } path ? source with { Path = Path.GetFullPath(path, folder) } : source)];
}
