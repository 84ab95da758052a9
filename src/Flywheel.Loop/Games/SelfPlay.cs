using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>A move as it was searched and played.</summary>
/// <param name="Position">Before it.</param>
/// <param name="History">Moves played before it.</param>
/// <param name="Moves">That could be played.</param>
/// <param name="Visits">Of the search, of each of these.</param>
/// <param name="Shares">What the search says should be played.</param>
/// <param name="Targets">What of it is to be learnt.</param>
/// <param name="Values">Of each move by the search.</param>
/// <param name="Value">Of the position by the search.</param>
/// <param name="Move">Played.</param>
/// <param name="LogProb">The model's, of the move among its whole vocabulary.</param>
/// <param name="DrawnLogProb">Of the move in the distribution that it was drawn from.</param>
internal sealed record SearchedMove(GamePosition Position, IReadOnlyList<int> History, IReadOnlyList<int> Moves, int[] Visits,
    double[] Shares, double[] Targets, double[] Values, double Value, int Move, float LogProb, float DrawnLogProb);

/// <summary>A finished game.</summary>
/// <param name="Turn">Number of the turn that learns from it first.</param>
/// <param name="Index">Which of that turn's games.</param>
/// <param name="Moves">Those that were searched: the first may come after random ones.</param>
/// <param name="Result">1 when the side that began has won, -1 when the other, 0 of a draw.</param>
internal sealed record PlayedGame(int Turn, int Index, IReadOnlyList<SearchedMove> Moves, int Result)
{
    /// <summary>Every move of it.</summary>
    public IReadOnlyList<int> Plies => [.. Moves[^1].History, Moves[^1].Move];

    /// <summary>The result for the side that made a move.</summary>
    public int ResultFor(SearchedMove move) => move.Position.IsFirstToMove ? Result : -Result;
}

/// <summary>
/// A model plays against itself. Each game follows from recipe, model, turn and index alone, whatever is played beside it: one that was
/// interrupted is played again to the same end.
/// </summary>
internal sealed class SelfPlay(GameModel model, PlayRecipe recipe)
{
    private readonly SearchSettings _settings = new(recipe.Play.Simulations, recipe.Play.Exploration);

    /// <param name="turn">Number of the turn.</param>
    /// <param name="indices">Which games.</param>
    /// <param name="done">Told of each finished game, one at a time.</param>
    /// <param name="cancellation">Stops; finished games have been told.</param>
    public async Task PlayAsync(int turn, IEnumerable<int> indices, Func<PlayedGame, Task> done, CancellationToken cancellation = default)
    {
        var waiting = new Queue<int>(indices);
        var games = new List<OneGame>();
        while (true)
        {
            while (games.Count < recipe.Play.AtOnce && waiting.TryDequeue(out int index)) games.Add(new OneGame(this, turn, index));
            var leaves = new List<(OneGame Game, GamePosition Position)>();
            foreach (OneGame game in games.ToList())
                if (game.Next() is { } leaf) leaves.Add((game, leaf));
                else
                {
                    games.Remove(game);
                    await done(game.Finished);
                }
            if (leaves.Count == 0 && waiting.Count == 0) return;
            Evaluation[] evaluations = await model.EvaluateAsync([.. leaves.Select(leaf => leaf.Position)], cancellation);
            for (int i = 0; i < leaves.Count; i++) leaves[i].Game.Tree.Evaluated(evaluations[i]);
        }
    }

    /// <summary>A seed for each of several things that are numbered: the same numbers, the same seed.</summary>
    internal static int SeedOf(int seed, int kind, int turn, int index)
    {
        unchecked
        {
            ulong mixed = (ulong)seed;
            foreach (int next in (ReadOnlySpan<int>)[kind, turn, index])
            {
                mixed = (mixed ^ (uint)next) * 0x9E3779B97F4A7C15;
                mixed ^= mixed >> 29;
            }
            return (int)(mixed & int.MaxValue);
        }
    }

    private sealed class OneGame
    {
        private readonly SelfPlay _play;
        private readonly int _turn, _index;
        private readonly Random _random;
        private readonly List<int> _history = [];
        private readonly List<SearchedMove> _moves = [];

        public OneGame(SelfPlay play, int turn, int index)
        {
            (_play, _turn, _index, _random) = (play, turn, index, new Random(SeedOf(play.Recipe.Seed, 1, turn, index)));
            GamePosition position = play.Model.Game.Start;
            int opening = _random.Next(3) == 0 ? 0 : _random.Next(play.Recipe.Play.OpeningPlies + 1);
            while (_history.Count < opening)
            {
                IReadOnlyList<int> moves = [.. position.Moves.Where(move => !position.Play(move).IsOver)];
                if (moves.Count == 0) break;
                _history.Add(moves[_random.Next(moves.Count)]);
                position = position.Play(_history[^1]);
            }
            Tree = new GameTree(position, play._settings);
        }

        public GameTree Tree { get; }

        public PlayedGame Finished => new(_turn, _index, _moves, Tree.Position.Result!.Value * (Tree.Position.IsFirstToMove ? 1 : -1));

        /// <summary>A position to be evaluated before it goes on; null when the game is over.</summary>
        public GamePosition? Next()
        {
            while (!Tree.Position.IsOver)
            {
                if (Tree.Evaluation is not null && !Tree.HasNoise)
                    Tree.AddNoise(_random, _play.Recipe.Play.NoiseShare, _play.Recipe.Play.NoiseAlpha);
                if (Tree.IsDone) Move();
                else if (Tree.Descend() is { } leaf) return leaf;
            }
            return null;
        }

        private void Move()
        {
            double[] shares = Tree.Shares();
            int place = Array.IndexOf(shares, shares.Max());
            if (_history.Count < _play.Recipe.Play.DrawnPlies)
            {
                double left = _random.NextDouble();
                for (place = 0; place < shares.Length - 1 && left >= shares[place]; place++) left -= shares[place];
                while (shares[place] == 0) place--; // rounding went beyond the last that may be played
            }
            int move = Tree.Position.Moves[place];
            _moves.Add(new SearchedMove(Tree.Position, [.. _history], Tree.Position.Moves, Tree.Visits, shares,
                Tree.Targets(_play.Recipe.Play.ValueScale), Tree.MoveValues, Tree.Value, move, Tree.Evaluation!.LogProbs[place],
                _history.Count < _play.Recipe.Play.DrawnPlies ? (float)Math.Log(shares[place]) : 0));
            _history.Add(move);
            Tree.Advance(place);
        }
    }

    private PlayRecipe Recipe => recipe;

    private GameModel Model => model;
}
