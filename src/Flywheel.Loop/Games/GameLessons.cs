using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>
/// Games that a teacher plays against itself, to begin with: its move is what is learnt of each position, and the result is the value. They
/// are a source like a data set, not answers of a model, and so they are not in the record; they follow from recipe and turn alone.
/// </summary>
internal static class GameLessons
{
    /// <param name="game">The game.</param>
    /// <param name="teacher">Who plays.</param>
    /// <param name="recipe">How many games, and how often a move is a random one, so that positions differ.</param>
    /// <param name="turn">Number of the turn.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<IReadOnlyList<PlayedGame>> PlayAsync(Game game, IGamePlayer teacher, PlayRecipe recipe, int turn,
        CancellationToken cancellation)
    {
        var games = new List<PlayedGame>();
        for (int index = 0; index < recipe.Play.Games; index++)
            games.Add(await PlayAsync(game, teacher, recipe, turn, index, cancellation));
        return games;
    }

    /// <exception cref="FlywheelException">The teacher is not installed, or does not know the game.</exception>
    public static IGamePlayer TeacherOf(Game game, PlayRecipe recipe) => recipe.Play.Teacher switch
    {
        "random" => RulePlayer.Random,
        "one-ply" => RulePlayer.OnePly,
        _ => game is ChessGame
            ? RulePlayer.Of(Stockfish.Of(GameOracles.OpponentNodes)) : throw new FlywheelException(
                $"field 'play.teacher' is '{recipe.Play.Teacher}', expected one-ply or random: it does not play {game.Name}"),
    };

    private static async Task<PlayedGame> PlayAsync(Game game, IGamePlayer teacher, PlayRecipe recipe, int turn, int index,
        CancellationToken cancellation)
    {
        var random = new Random(SelfPlay.SeedOf(recipe.Seed, 7, turn, index));
        var history = new List<int>();
        var moves = new List<SearchedMove>();
        GamePosition position = game.Start;
        for (int opening = random.Next(recipe.Play.OpeningPlies + 1); !position.IsOver; position = position.Play(history[^1]))
        {
            int chosen = position.Moves[random.Next(position.Moves.Count)];
            if (history.Count >= opening)
            {
                int best = (await teacher.ChooseAsync([position], [random.Next()], cancellation))[0];
                double[] shares = [.. position.Moves.Select(move => move == best ? 1.0 : 0)];
                moves.Add(new SearchedMove(position, [.. history], position.Moves, [.. shares.Select(share => (int)share)], shares, shares,
                    new double[shares.Length], 0, best, 0, 0));
                if (random.NextDouble() >= recipe.Play.NoiseShare) chosen = best;
            }
            history.Add(chosen);
        }
        int result = position.Result!.Value * (position.IsFirstToMove ? 1 : -1);
        return new PlayedGame(turn, index,
            [.. moves.Select(move =>
                move with { Values = [.. move.Values.Select(_ => (double)(move.Position.IsFirstToMove ? result : -result))] })], result);
    }
}
