namespace Flywheel.Model.Tests.Games;

/// <summary>What tests of any game do with its rules.</summary>
internal static class GameRules
{
    /// <summary>Lines of so many plies from a position.</summary>
    public static long Perft(GamePosition position, int depth) =>
        depth == 0 ? 1 : depth == 1 ? position.Moves.Count : position.Moves.Sum(move => Perft(position.Play(move), depth - 1));

    /// <summary>Random games: each position of each, the last one over unless the game was too long.</summary>
    public static IEnumerable<List<GamePosition>> Games(Game game, int count, int seed, int longest = 500)
    {
        var random = new Random(seed);
        for (int i = 0; i < count; i++)
        {
            List<GamePosition> positions = [game.Start];
            while (!positions[^1].IsOver && positions.Count < longest)
                positions.Add(positions[^1].Play(positions[^1].Moves[random.Next(positions[^1].Moves.Count)]));
            yield return positions;
        }
    }
}
