using Flywheel.Engine;
using Flywheel.Loop.Tasks;
using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>What a model says of a position.</summary>
/// <param name="LogProbs">Of each legal move among the model's whole vocabulary, [<see cref="GamePosition.Moves"/>].</param>
/// <param name="Policy">The same among the legal moves alone, as probabilities.</param>
/// <param name="Value">Expected result for the side to move after its likeliest move, from -1 (lost) to 1 (won).</param>
/// <param name="TakesLegalMove">The token that it would have written unasked, of its whole vocabulary, is a legal move.</param>
internal sealed record Evaluation(float[] LogProbs, float[] Policy, double Value, bool TakesLegalMove)
{
    /// <summary>The place of the likeliest legal move; of equals the first.</summary>
    public int Best => Array.IndexOf(Policy, Policy.Max());
}

/// <summary>
/// A model as a player reads it: positions as prompts of the task, through the batched engine. A move is the first token of the answer, and
/// the value token that follows it says how the game is expected to end for the side that moves.
/// </summary>
internal sealed class GameModel : IAsyncDisposable
{
    /// <summary>Positions that are remembered: games of one champion share their first moves.</summary>
    private const int MaxRemembered = 1 << 18;

    private const int MaxBatch = 64;

    /// <summary>Levels of expected results that are told apart in training, of all value tokens: fewer are learnt from fewer
    /// games.</summary>
    private const int NumLevels = 9;

    private readonly InferenceEngine _engine;
    private readonly bool _ownsEngine;
    private readonly int[] _prefix, _suffix, _pieces, _moves, _values;
    private readonly Dictionary<ulong, Evaluation> _remembered = [];

    /// <param name="task">With a game.</param>
    /// <param name="model">Who plays.</param>
    /// <param name="threads">Of the engine; 0 takes all cores.</param>
    /// <exception cref="FlywheelException">The task has no game, or the model no tokens for it.</exception>
    public GameModel(TaskFolder task, ModelFolder model, int threads = 0)
        : this(task, model,
            () => InferenceEngine.Load(model, new EngineOptions { Threads = threads, MaxBatch = MaxBatch, MaxQueue = 1 << 14,
                Speculate = false }), owns: true)
    {
    }

    /// <summary>The same by an engine that serves others, too, and that is not ended with this.</summary>
    public GameModel(TaskFolder task, ModelFolder model, InferenceEngine engine) : this(task, model, () => engine, owns: false)
    {
    }

    private GameModel(TaskFolder task, ModelFolder model, Func<InferenceEngine> engine, bool owns)
    {
        Game = GameTasks.GameOf(task);
        Folder = model;
        int[] prompt = TaskAsk.For(task, GameTask.FieldsOf(Game.Start), model, new()).Prompt;
        _pieces = [.. ReservedTokens.Groups[Game.PositionTokens].Select(token => model.Tokenizer.SpecialTokens[token])];
        _moves = [.. ReservedTokens.Groups[Game.MoveTokens].Select(token => model.Tokenizer.SpecialTokens[token])];
        if (GameAdvice.Fault(task, model) is { } fault) throw new FlywheelException(fault);
        TokenRange range = ReservedTokens.Ranges(model.Tokenizer)[GameTask.ValueTokens];
        _values = [.. Enumerable.Range(range.First, range.Count)];
        int at = Array.IndexOf(prompt, _pieces[Game.Start.Tokens[0]]);
        (_prefix, _suffix) = (prompt[..at], prompt[(at + Game.Start.Tokens.Count)..]);
        End = model.Tokenizer.SpecialTokens[Tokenizer.MessageEnd];
        (_engine, _ownsEngine) = (engine(), owns);
    }

    public ModelFolder Folder { get; }

    public Game Game { get; }

    /// <summary>The token that ends an answer.</summary>
    public int End { get; }

    /// <summary>Positions that the model was asked about, without those that it remembered.</summary>
    public long NumAsked { get; private set; }

    /// <summary>The task's prompt for a position, as the API and the page make it.</summary>
    public int[] Prompt(GamePosition position) => [.. _prefix, .. position.Tokens.Select(place => _pieces[place]), .. _suffix];

    public int MoveToken(int move) => _moves[move];

    /// <summary>The value token of the level next to an expected result from -1 to 1.</summary>
    public int ValueToken(double value)
    {
        double level = Math.Round((Math.Clamp(value, -1, 1) + 1) / 2 * (NumLevels - 1)) / (NumLevels - 1);
        return _values[(int)Math.Round(level * (_values.Length - 1))];
    }

    /// <summary>Evaluations of positions that are not over; each is the same whatever else is asked with it.</summary>
    public async Task<Evaluation[]> EvaluateAsync(IReadOnlyList<GamePosition> positions, CancellationToken cancellation = default)
    {
        if (_remembered.Count > MaxRemembered) _remembered.Clear();
        var asked = new Dictionary<ulong, (IReadOnlyList<int> Moves, Task<WeighedTokens> Task)>();
        foreach (GamePosition position in positions)
            if (!_remembered.ContainsKey(position.Key) && !asked.ContainsKey(position.Key))
                asked[position.Key] = (position.Moves,
                    _engine.WeighAsync(Prompt(position), [.. position.Moves.Select(MoveToken)], _values, cancellation));
        foreach ((ulong key, (IReadOnlyList<int> legal, Task<WeighedTokens> task)) in asked) _remembered[key] = Read(legal, await task);
        NumAsked += asked.Count;
        return [.. positions.Select(position => _remembered[position.Key])];
    }

    private Evaluation Read(IReadOnlyList<int> legal, WeighedTokens weighed)
    {
        float best = weighed.Choices.Max();
        double sum = weighed.Choices.Sum(logProb => Math.Exp(logProb - best));
        float[] policy = [.. weighed.Choices.Select(logProb => (float)(Math.Exp(logProb - best) / sum))];
        (double mass, double value) = (0, 0);
        float most = weighed.Then.Max();
        for (int i = 0; i < weighed.Then.Length; i++)
        {
            double weight = Math.Exp(weighed.Then[i] - most);
            mass += weight;
            value += weight * (2.0 * i / (_values.Length - 1) - 1);
        }
        return new Evaluation([.. weighed.Choices], policy, value / mass, legal.Any(move => _moves[move] == weighed.Likeliest));
    }

    public ValueTask DisposeAsync() => _ownsEngine ? _engine.DisposeAsync() : ValueTask.CompletedTask;
}
