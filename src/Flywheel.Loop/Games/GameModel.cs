using Flywheel.Engine;
using Flywheel.Loop.Tasks;
using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>What a model says of a position.</summary>
/// <param name="LogProbs">Of each column among the model's whole vocabulary, [7]; negative infinity where it is not legal.</param>
/// <param name="Policy">The same among the legal columns alone, as probabilities, [7].</param>
/// <param name="Value">Expected result for the side to move after its likeliest move, from -1 (lost) to 1 (won).</param>
/// <param name="TakesLegalMove">The token that it would have written unasked, of its whole vocabulary, is a legal move.</param>
internal sealed record Evaluation(float[] LogProbs, float[] Policy, double Value, bool TakesLegalMove)
{
    /// <summary>The likeliest legal column; of equals the first.</summary>
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

    /// <summary>Levels of expected results that are told apart in training, of all value tokens: fewer are learnt from fewer games.</summary>
    private const int NumLevels = 9;

    private readonly InferenceEngine _engine;
    private readonly bool _ownsEngine;
    private readonly int[] _prefix, _suffix, _columns, _moves, _values;
    private readonly Dictionary<ConnectFour, Evaluation> _remembered = [];

    /// <param name="task">With a game.</param>
    /// <param name="model">Who plays.</param>
    /// <param name="threads">Of the engine; 0 takes all cores.</param>
    /// <exception cref="FlywheelException">The task has no game, or the model no tokens for it.</exception>
    public GameModel(TaskFolder task, ModelFolder model, int threads = 0)
        : this(task, model, () => InferenceEngine.Load(model, new EngineOptions { Threads = threads, MaxBatch = MaxBatch, MaxQueue = 1 << 14, Speculate = false }), owns: true)
    {
    }

    /// <summary>The same by an engine that serves others, too, and that is not ended with this.</summary>
    public GameModel(TaskFolder task, ModelFolder model, InferenceEngine engine) : this(task, model, () => engine, owns: false)
    {
    }

    private GameModel(TaskFolder task, ModelFolder model, Func<InferenceEngine> engine, bool owns)
    {
        if (task.Description.Game is null) throw new FlywheelException($"the task '{task.Name}' has no field 'game', expected a task of a game such as connect-four");
        Folder = model;
        int[] prompt = TaskAsk.For(task, FieldsOf(ConnectFour.Empty), model, new()).Prompt;
        _columns = [.. ReservedTokens.Groups[GameTask.ColumnTokens].Select(token => model.Tokenizer.SpecialTokens[token])];
        _moves = [.. ReservedTokens.Groups[GameTask.MoveTokens].Select(token => model.Tokenizer.SpecialTokens[token])];
        if (GameAdvice.Fault(task, model) is { } fault) throw new FlywheelException(fault);
        TokenRange range = ReservedTokens.Ranges(model.Tokenizer)[GameTask.ValueTokens];
        _values = [.. Enumerable.Range(range.First, range.Count)];
        int at = Array.IndexOf(prompt, _columns[0]);
        (_prefix, _suffix) = (prompt[..at], prompt[(at + ConnectFour.NumColumns)..]);
        End = model.Tokenizer.SpecialTokens[Tokenizer.MessageEnd];
        (_engine, _ownsEngine) = (engine(), owns);
    }

    public ModelFolder Folder { get; }

    /// <summary>The token that ends an answer.</summary>
    public int End { get; }

    /// <summary>Positions that the model was asked about, without those that it remembered.</summary>
    public long NumAsked { get; private set; }

    /// <summary>The fields of the task for a position.</summary>
    public static Dictionary<string, string> FieldsOf(ConnectFour position) => new()
    {
        [GameTask.History] = "", [GameTask.Position] = $"{position}", [GameTask.ToMove] = position.IsFirstToMove ? GameTask.First : GameTask.Second,
    };

    /// <summary>The task's prompt for a position, as the API and the page make it.</summary>
    public int[] Prompt(ConnectFour position)
    {
        int[] prompt = new int[_prefix.Length + ConnectFour.NumColumns + _suffix.Length];
        _prefix.CopyTo(prompt, 0);
        for (int column = 0; column < ConnectFour.NumColumns; column++) prompt[_prefix.Length + column] = _columns[position.StateOf(column)];
        _suffix.CopyTo(prompt, _prefix.Length + ConnectFour.NumColumns);
        return prompt;
    }

    public int MoveToken(int column) => _moves[column];

    /// <summary>The value token of the level next to an expected result from -1 to 1.</summary>
    public int ValueToken(double value)
    {
        double level = Math.Round((Math.Clamp(value, -1, 1) + 1) / 2 * (NumLevels - 1)) / (NumLevels - 1);
        return _values[(int)Math.Round(level * (_values.Length - 1))];
    }

    /// <summary>Evaluations of positions that are not over; each is the same whatever else is asked with it.</summary>
    public async Task<Evaluation[]> EvaluateAsync(IReadOnlyList<ConnectFour> positions, CancellationToken cancellation = default)
    {
        if (_remembered.Count > MaxRemembered) _remembered.Clear();
        var asked = new Dictionary<ConnectFour, (int[] Moves, Task<WeighedTokens> Task)>();
        foreach (ConnectFour position in positions)
        {
            if (_remembered.ContainsKey(position) || asked.ContainsKey(position)) continue;
            int[] legal = [.. position.Moves()];
            asked[position] = (legal, _engine.WeighAsync(Prompt(position), [.. legal.Select(MoveToken)], _values, cancellation));
        }
        foreach ((ConnectFour position, (int[] legal, Task<WeighedTokens> task)) in asked) _remembered[position] = Read(legal, await task);
        NumAsked += asked.Count;
        return [.. positions.Select(position => _remembered[position])];
    }

    private Evaluation Read(int[] legal, WeighedTokens weighed)
    {
        float[] logProbs = new float[ConnectFour.NumColumns], policy = new float[ConnectFour.NumColumns];
        Array.Fill(logProbs, float.NegativeInfinity);
        double sum = weighed.Choices.Sum(logProb => Math.Exp(logProb - weighed.Choices.Max()));
        for (int i = 0; i < legal.Length; i++)
        {
            logProbs[legal[i]] = weighed.Choices[i];
            policy[legal[i]] = (float)(Math.Exp(weighed.Choices[i] - weighed.Choices.Max()) / sum);
        }
        (double mass, double value) = (0, 0);
        float most = weighed.Then.Max();
        for (int i = 0; i < weighed.Then.Length; i++)
        {
            double weight = Math.Exp(weighed.Then[i] - most);
            mass += weight;
            value += weight * (2.0 * i / (_values.Length - 1) - 1);
        }
        return new Evaluation(logProbs, policy, value / mass, legal.Any(column => _moves[column] == weighed.Likeliest));
    }

    public ValueTask DisposeAsync() => _ownsEngine ? _engine.DisposeAsync() : ValueTask.CompletedTask;
}
