using System.Diagnostics;
using System.Globalization;
using Flywheel.Model;
using Flywheel.Training;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Games;

/// <summary>How a turn of play ended.</summary>
/// <param name="Turn">As recorded.</param>
/// <param name="Gate">The candidate's match against the champion.</param>
/// <param name="LogRatio">Of the sequential test.</param>
/// <param name="Measure">The champion after the turn.</param>
public sealed record GameTurnOutcome(TurnRow Turn, MatchResult Gate, double LogRatio, GameMeasure Measure)
{
    public bool Promoted => Turn.State == TurnState.Promoted;
}

/// <summary>
/// The wheel without people: the champion plays itself, a candidate learns from the searches and results, plays the champion, and takes its
/// place when the likelihood ratio says that it is better. Games, runs, models, releases and turns are recorded like any other. What was
/// killed is gone on with: finished games are in the record, training goes on from its checkpoint, and matches are played again to the
/// same results.
/// </summary>
public sealed class GameLoop
{
    private readonly FlywheelStore _store;
    private readonly TaskFolder _task;
    private readonly TurnLedger _ledger;
    private readonly TimeProvider _time;
    private readonly Game _game;
    private PlayRecipe _recipe;

    /// <param name="store">The home's record.</param>
    /// <param name="recipe">How; a turn that is gone on with keeps the recipe with which it began.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="FlywheelException">There is no such task, or it has no game.</exception>
    public GameLoop(FlywheelStore store, PlayRecipe recipe, TimeProvider? time = null)
    {
        (_store, _recipe, _time) = (store, recipe, time ?? TimeProvider.System);
        _ledger = new TurnLedger(store, _time);
        _task = new TaskCatalog(store.Home).Find(recipe.Task);
        _game = GameTasks.GameOf(_task);
    }

    /// <summary>Told what is being done, in a sentence.</summary>
    public Action<string> Say { get; init; } = _ => { };

    /// <summary>Of engine and training; 0 takes all cores.</summary>
    public int Threads { get; init; }

    private string? Teacher => _recipe.Play.Teacher is { Length: > 0 } teacher ? teacher : null;

    private int NumThreads => Threads > 0 ? Threads : Environment.ProcessorCount;

    /// <summary>Has the champion play games against itself, from which the next turn learns.</summary>
    /// <param name="games">How many there shall be, those of an interrupted call among them.</param>
    /// <param name="cancellation">Stops; finished games are recorded.</param>
    /// <returns>How many were played now.</returns>
    public async Task<int> PlayAsync(int games, CancellationToken cancellation = default)
    {
        await using IAsyncDisposable _ = await _store.LockTurnsAsync(cancellation);
        if (await _ledger.UnfinishedAsync(cancellation) is { } unfinished)
            throw new FlywheelException(
                $"turn {unfinished.Number} is not ended yet; go on with it first: ./flywheel {(PlayRecipe.IsOne(unfinished.Recipe) ? "play --turns 1" : "turn")}");
        ModelFolder champion = await ChampionAsync(cancellation);
        return await PlayAsync(champion, await NextNumberAsync(cancellation), games, cancellation);
    }

    /// <summary>One revolution, or the rest of the one that was interrupted.</summary>
    /// <exception cref="FlywheelException">The home's champion cannot play, or a turn of another kind is not ended.</exception>
    public async Task<GameTurnOutcome> TurnAsync(CancellationToken cancellation = default)
    {
        await using IAsyncDisposable _ = await _store.LockTurnsAsync(cancellation);
        TurnRow? turn = await _ledger.UnfinishedAsync(cancellation);
        if (turn is not null)
        {
            if (!PlayRecipe.IsOne(turn.Recipe))
                throw new FlywheelException(
                    $"turn {turn.Number} is one of people's feedback and is not ended; go on with it first: ./flywheel turn");
            Say($"Turn {turn.Number} was interrupted; it goes on with {turn.State.ToString().ToLowerInvariant()}.");
            _recipe = PlayRecipe.Parse(turn.Recipe, $"recipe of turn {turn.Number}");
        }
        else
        {
            // Who is missing is said before a model is made and measured, which takes minutes.
            if (Teacher is not null) GameLessons.TeacherOf(_game, _recipe);
            ModelFolder champion = await ChampionAsync(cancellation);
            if (!GameCurve.Has(_store.Home, _task.Name, 0)) await MeasureAsync(0, champion, promoted: false, gate: null, cancellation);
            int number = await NextNumberAsync(cancellation);
            if (Teacher is null) await PlayAsync(champion, number, _recipe.Play.Games, cancellation);
            turn = await BeginAsync(champion, number, cancellation);
        }
        if (turn.State == TurnState.Training) await TrainAsync(turn, cancellation);
        ModelFolder before = await OpenAsync(turn.Champion, cancellation), candidate = await OpenAsync(turn.Candidate!, cancellation);
        (MatchResult gate, double logRatio) = await MatchAsync(turn, before, candidate, cancellation);
        if (turn.State == TurnState.Evaluating) await DecideAsync(turn, gate, logRatio, cancellation);
        if (turn.State == TurnState.Promoting)
            await ServerPromotion.ReleaseAsync(_store.Home, turn.Candidate!, $"turn {turn.Number}: {turn.Reason}",
                () => _ledger.PromotedAsync(turn, cancellation),
                server => Say($"Swapping the model of the server at {server.Url}."), cancellation);
        bool promoted = turn.State == TurnState.Promoted;
        GameMeasure measure = await MeasureAsync(turn.Number, promoted ? candidate : before, promoted, gate, cancellation);
        return new GameTurnOutcome(turn, gate, logRatio, measure);
    }

    /// <summary>The home's champion; in a home without one, a model from random weights becomes it.</summary>
    private async Task<ModelFolder> ChampionAsync(CancellationToken cancellation)
    {
        if (await _store.ChampionAsync(cancellation) is { } row) return ModelFolder.Open(_store.FolderOf(row));
        // The names of roles are single tokens; there is no other text to learn a vocabulary from.
        string[] texts = [.. Enumerable.Repeat("user assistant system\nuser\nassistant\nsystem\n", 4)];
        Tokenizer tokenizer = Tokenizer.Train(texts, _recipe.Tokenizer.Vocab,
            [.. _recipe.Tokenizer.Reserve.SelectMany(name => ReservedTokens.Groups[name])]);
        ModelConfig config = _recipe.Model.ToConfig(tokenizer.VocabSize)
            with { EosTokenIds = [tokenizer.SpecialTokens[Tokenizer.MessageEnd], tokenizer.SpecialTokens[Tokenizer.EndOfText]] };
        ModelFolder made = RandomModel.Create(_store.Home.Models, config, tokenizer, _recipe.Seed, new ModelManifest
        {
            Name = _recipe.Name, Licence = _recipe.Licence, IntendedUse = _recipe.IntendedUse, Created = _time.GetUtcNow(),
        });
        await _store.RegisterModelAsync(made, cancellation: cancellation);
        await _store.ReleaseAsync(made.Hash, $"random weights of {_recipe.Name}: it has seen no game yet", cancellation: cancellation);
        Say($"The home had no champion: {made.ShortHash} has {config.NumParameters:N0} random weights.");
        return made;
    }

    private Task<int> NextNumberAsync(CancellationToken cancellation) => _ledger.NextNumberAsync(cancellation);

    private async Task<int> PlayAsync(ModelFolder champion, int turn, int games, CancellationToken cancellation)
    {
        Guid[] ids = [.. Enumerable.Range(0, games).Select(index => GameRecord.IdOf(_task.Name, champion.Hash, _recipe.Seed, turn, index))];
        HashSet<Guid> recorded = await GameRecord.RecordedAsync(_store, ids, cancellation);
        int[] missing = [.. Enumerable.Range(0, games).Where(index => !recorded.Contains(ids[index]))];
        if (missing.Length < games) Say($"{games - missing.Length} games of turn {turn} are recorded already.");
        if (missing.Length == 0) return 0;
        long started = Stopwatch.GetTimestamp(), told = started;
        (int done, int plies) = (0, 0);
        using var one = new SemaphoreSlim(1);
        // A small model keeps one thread busy and two waiting for each other: each thread has an engine and games of its own.
        GameModel[] models = [.. Enumerable.Range(0, Math.Min(NumThreads, missing.Length)).Select(_ => new GameModel(_task, champion, 1))];
        try
        {
            await Task.WhenAll(
                models.Select((model, place) =>
                    Task.Run(() =>
                        new SelfPlay(model, _recipe).PlayAsync(turn, missing.Where((_, i) => i % models.Length == place), async game =>
            {
                await one.WaitAsync(cancellation);
                try
                {
                    await GameRecord.SaveAsync(_store, _task, model, _recipe, game, _time, cancellation);
                    (done, plies) = (done + 1, plies + game.Moves.Count);
                    if (Stopwatch.GetElapsedTime(told).TotalSeconds < 10 && done < missing.Length) return;
                    told = Stopwatch.GetTimestamp();
                    double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
                    Say(string.Create(CultureInfo.InvariantCulture,
                        $"Turn {turn}: {done} of {missing.Length} games, {plies} searched moves, {models.Sum(each => each.NumAsked) / seconds:N0} positions a second."));
                }
                finally
                {
                    one.Release();
                }
            }, cancellation), cancellation)));
        }
        finally
        {
            foreach (GameModel model in models) await model.DisposeAsync();
        }
        return missing.Length;
    }

    private async Task<TurnRow> BeginAsync(ModelFolder champion, int number, CancellationToken cancellation)
    {
        HashSet<int> window = [.. Enumerable.Range(0, _recipe.Play.WindowTurns).Select(back => number - back)];
        IReadOnlyList<RecordedGame> games = Teacher is null ? await GameRecord.ReadAsync(_store, _task, window, cancellation) : [];
        IReadOnlyList<PlayedGame> lessons = [];
        if (Teacher is not null)
        {
            IGamePlayer teacher = GameLessons.TeacherOf(_game, _recipe);
            Say($"Turn {number}: {teacher.Name} plays {_recipe.Play.Games:N0} games.");
            lessons = await GameLessons.PlayAsync(_game, teacher, _recipe, number, cancellation);
        }
        string path;
        IReadOnlyList<(RecordedGame Game, RecordedMove Move)> learnt;
        await using (var model = new GameModel(_task, champion,
            1)) (path, learnt) = GameDataset.Write(games, lessons, model, number, _recipe,
                PositionExam.HeldOut(_task, _store.Home, _recipe.Measure), _store.Home.Datasets);
        using TokenDataset dataset = TokenDataset.Open(path);
        DateTimeOffset now = _time.GetUtcNow();
        await using FlywheelDb db = _store.AllTables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        var turn = new TurnRow
        {
            Id = Guid.CreateVersion7(now), Number = number, Started = now, State = TurnState.Training, Champion = champion.Hash,
            Recipe = _recipe.ToYaml(), Dataset = dataset.Manifest.Hash,
            FeedbackThrough = await db.Feedback.MaxAsync(row => (long?)row.Sequence, cancellation) ?? 0,
        };
        db.Turns.Add(turn);
        if (!await db.Datasets.AnyAsync(row => row.Hash == turn.Dataset, cancellation))
            db.Datasets.Add(new DatasetRow { Hash = turn.Dataset, TurnId = turn.Id, NumTrain = learnt.Count, NumHeldOut = 0,
                Created = now });
        db.Examples.AddRange(learnt.Select(one => new ExampleRow
        {
            TurnId = turn.Id, Kind = ExampleKind.Sampled, Split = Split.Train, User = GameRecord.SelfPlayUser,
            Source = FeedbackSource.Referee, GenerationId = one.Move.Generation,
            Sources = [new ExampleFeedback { FeedbackId = one.Move.Feedback }],
        }));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        Say($"Turn {number} learns from {learnt.Count + lessons.Sum(game => game.Moves.Count):N0} searched moves of {games.Count + lessons.Count:N0} games: {dataset.NumDocuments:N0} documents, {dataset.Manifest.NumTokens:N0} tokens.");
        return turn;
    }

    private async Task TrainAsync(TurnRow turn, CancellationToken cancellation)
    {
        ModelFolder start = await StartAsync(turn, cancellation);
        string run = $"turn-{turn.Number:0000}-play";
        long told = Stopwatch.GetTimestamp();
        var job = new TrainingJob
        {
            Recipe = new Recipe { Name = run, Base = start.Path, Seed = _recipe.Seed + turn.Number, Data = [], Train = _recipe.Train,
                Licence = _recipe.Licence, IntendedUse = _recipe.IntendedUse },
            RunFolder = Path.Combine(_store.Home.Runs, run),
            Base = start,
            TrainData = Path.Combine(_store.Home.Datasets, turn.Dataset![..16]),
            ModelsFolder = _store.Home.Models,
            Tasks = [_task.Name],
            NumThreads = NumThreads,
            Time = _time,
        };
        TrainedModel made = await Task.Run(() => TrainingRun.Run(job, progress =>
        {
            if (progress.Line?.Loss is not { } loss
                || (Stopwatch.GetElapsedTime(told).TotalSeconds < 10 && progress.Line.Step < progress.NumSteps)) return;
            told = Stopwatch.GetTimestamp();
            Say(string.Create(CultureInfo.InvariantCulture,
                $"Turn {turn.Number}: step {progress.Line.Step} of {progress.NumSteps}, loss {loss:0.0000}, {progress.Line.TokensPerSecond:N0} tokens a second."));
        }, cancellation), cancellation);
        await _ledger.TrainedAsync(turn, run, start.Hash, made.Model!, cancellation);
        await _ledger.HasCandidateAsync(turn, made.Hash, cancellation);
    }

    /// <summary>
    /// What training goes on from: the candidate of the turn before, even where that was rejected. The match decides who plays, not what is
    /// learnt (Silver 2017): else all that a candidate had learnt would be lost whenever it was not much better yet.
    /// </summary>
    private async Task<ModelFolder> StartAsync(TurnRow turn, CancellationToken cancellation)
    {
        await using FlywheelDb db = _store.AllTables();
        TurnRow? last = await db.Turns.AsNoTracking().Where(row => row.Number < turn.Number && row.Candidate != null)
            .OrderByDescending(row => row.Number).FirstOrDefaultAsync(cancellation);
        return await OpenAsync(last is not null && PlayRecipe.IsOne(last.Recipe) ? last.Candidate! : turn.Champion, cancellation);
    }

    private async Task<(MatchResult, double)> MatchAsync(TurnRow turn, ModelFolder champion, ModelFolder candidate,
        CancellationToken cancellation)
    {
        var test = new SequentialTest(_recipe.Gate);
        var settings = new SearchSettings(_recipe.Gate.Simulations, _recipe.Play.Exploration);
        await using var old = new GameModel(_task, champion, 1);
        await using var young = new GameModel(_task, candidate, 1);
        MatchResult result = await GameMatch.PlayAsync(_game, new SearchPlayer(young, settings), new SearchPlayer(old, settings),
            _recipe.Gate.MaxPairs, _recipe.Gate.OpeningPlies,
            SelfPlay.SeedOf(_recipe.Seed, 5, turn.Number, 0), match => test.Judge(match.Pairs) != MatchVerdict.Open, cancellation);
        return (result, test.LogRatio(result.Pairs));
    }

    private async Task DecideAsync(TurnRow turn, MatchResult gate, double logRatio, CancellationToken cancellation)
    {
        var test = new SequentialTest(_recipe.Gate);
        MatchVerdict verdict = test.Judge(gate.Pairs);
        Interval elo = EloOf(gate);
        string because =
            string.Create(CultureInfo.InvariantCulture,
                $"{100 * gate.Score:0.0}% of the points in {gate.NumGames} games against the champion ({elo.Estimate:+0;-0} Elo, {elo.Low:+0;-0} to {elo.High:+0;-0}): log-likelihood ratio {logRatio:0.00}, ")
            + verdict switch
            {
                MatchVerdict.Better => string.Create(CultureInfo.InvariantCulture, $"at or above {test.Upper:0.00}"),
                MatchVerdict.NotBetter => string.Create(CultureInfo.InvariantCulture, $"at or below {test.Lower:0.00}"),
                _ => string.Create(CultureInfo.InvariantCulture,
                    $"between {test.Lower:0.00} and {test.Upper:0.00} when the games were used up"),
            };
        var rule = new RuleResult("games against the champion", "points a game", 1 - gate.Score, gate.Score, elo, _recipe.Gate.Elo0,
            verdict == MatchVerdict.Better, $"{gate.NumGames} games from {gate.Pairs.Count} openings") { Because = because };
        string? champion = (await _store.ChampionAsync(cancellation))?.Hash;
        bool promote = verdict == MatchVerdict.Better && champion == turn.Champion;
        string reason = verdict == MatchVerdict.Better && !promote
            ? $"the champion was changed to {champion?[..12]} while the turn ran; the candidate was compared with {turn.Champion[..12]}" : because;
        await _ledger.DecidedAsync(turn, new GateDecision([rule]), promote ? TurnState.Promoting : TurnState.Rejected, reason,
            cancellation);
    }

    /// <summary>The difference in strength that a match shows, with the 95% interval of its pairs' mean.</summary>
    internal static Interval EloOf(MatchResult match)
    {
        double[] scores = [.. match.Pairs.Select(points => points / 2)];
        double mean = match.Score, reach = scores.Length < 2
            ? 1 : 1.959964 * Math.Sqrt(scores.Sum(score => (score - mean) * (score - mean)) / (scores.Length - 1) / scores.Length);
        return new Interval(Elo(mean), Elo(mean - reach), Elo(mean + reach));

        static double Elo(double score) => 400 * Math.Log10(Math.Clamp(score, 0.001, 0.999) / (1 - Math.Clamp(score, 0.001, 0.999)));
    }

    private async Task<GameMeasure> MeasureAsync(int turn, ModelFolder champion, bool promoted, MatchResult? gate,
        CancellationToken cancellation)
    {
        MeasureRecipe measure = _recipe.Measure;
        GameMeasure? known = GameCurve.Read(_store.Home, _task.Name).Measures.LastOrDefault(one => one.Champion == champion.Hash);
        GameMeasure taken;
        // its matches are there already
        if (known is not null) taken = known with { Turn = turn, Promoted = promoted, Gate = gate, Matches = [], Time = _time.GetUtcNow() };
        else
        {
            await using var model = new GameModel(_task, champion, 1);
            var settings = new SearchSettings(measure.Simulations, _recipe.Play.Exploration);
            PositionScore positions = await PositionExam.TakeAsync(model, _task, _store.Home, measure, _recipe.Play.Exploration,
                cancellation);
            var matches = new List<MatchResult>();
            foreach ((IGamePlayer opponent, int opening) in GameOracles.OpponentsOf(_game, Say))
                matches.Add(await GameMatch.PlayAsync(_game, new SearchPlayer(model, settings), opponent, measure.Pairs, opening,
                    SelfPlay.SeedOf(_recipe.Seed, 6, 0, 0), cancellation: cancellation));
            Evaluation start = (await model.EvaluateAsync([_game.Start], cancellation))[0];
            GameTree search = (await SearchPlayer.SearchAsync(model, settings, [_game.Start], cancellation))[0];
            taken = new GameMeasure(turn, champion.Hash, promoted, positions, matches, gate, SearchPlayer.BestOf(search),
                _game.Start.Moves[start.Best], _time.GetUtcNow());
        }
        GameCurve.Add(_store.Home, _task.Name, taken);
        GameCurve.Read(_store.Home, _task.Name).Write(_store.Home);
        return taken;
    }

    private async Task<ModelFolder> OpenAsync(string hash, CancellationToken cancellation)
    {
        ModelRow row = await _store.FindModelAsync(hash, cancellation)
            ?? throw new FlywheelException($"model {hash} is not known in {_store.Home.Path}");
        return ModelFolder.Open(_store.FolderOf(row));
    }
}
