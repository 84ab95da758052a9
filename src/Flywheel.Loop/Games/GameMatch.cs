using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>Games of two players from the same openings with the sides exchanged, as the first of them sees their results.</summary>
/// <param name="First">Name of the one.</param>
/// <param name="Second">Name of the other.</param>
/// <param name="Pairs">Points of the first in each pair of games, from 0 to 2; a draw is half a point.</param>
public sealed record MatchResult(string First, string Second, IReadOnlyList<double> Pairs)
{
    public int NumGames => 2 * Pairs.Count;

    /// <summary>Share of all points.</summary>
    public double Score => Pairs.Count == 0 ? 0.5 : Pairs.Average() / 2;
}

/// <summary>Plays such matches, many games side by side. Every game follows from seed and number alone.</summary>
internal static class GameMatch
{
    private const int PairsAtOnce = 16;

    /// <param name="game">What they play.</param>
    /// <param name="first">The one.</param>
    /// <param name="second">The other.</param>
    /// <param name="maxPairs">At most so many pairs.</param>
    /// <param name="openingPlies">Random moves before the players begin.</param>
    /// <param name="seed">Of openings and of players that draw.</param>
    /// <param name="isDecided">Looks at the pairs so far, after every few; true ends the match.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<MatchResult> PlayAsync(Game game, IGamePlayer first, IGamePlayer second, int maxPairs, int openingPlies,
        int seed, Func<MatchResult, bool>? isDecided = null, CancellationToken cancellation = default)
    {
        var result = new MatchResult(first.Name, second.Name, []);
        while (result.Pairs.Count < maxPairs && isDecided?.Invoke(result) != true)
        {
            int from = result.Pairs.Count, count = Math.Min(PairsAtOnce, maxPairs - from);
            result = result
                with { Pairs = [.. result.Pairs,
                    .. await PlayPairsAsync(game, first, second, from, count, openingPlies, seed, cancellation)] };
        }
        return result;
    }

    private static async Task<double[]> PlayPairsAsync(Game rules, IGamePlayer first, IGamePlayer second, int from, int count,
        int openingPlies, int seed, CancellationToken cancellation)
    {
        // Games 2i and 2i + 1 are a pair: the first player begins the one and not the other.
        GamePosition[] games =
            [.. Enumerable.Range(0, 2 * count).Select(game => Opening(rules, openingPlies, SelfPlay.SeedOf(seed, 2, from + game / 2, 0)))];
        bool[] begun = [.. games.Select(game => game.IsFirstToMove)];
        while (true)
        {
            bool moved = false;
            foreach (IGamePlayer player in new[] { first, second })
            {
                int[] open =
                    [.. Enumerable.Range(0, games.Length).Where(game => !games[game].IsOver && IsFirst(game) == (player == first))];
                if (open.Length == 0) continue;
                int[] moves = await player.ChooseAsync([.. open.Select(game => games[game])],
                    [.. open.Select(game => SelfPlay.SeedOf(seed, 3, from * 2 + game, games[game].NumPlies))], cancellation);
                for (int i = 0; i < open.Length; i++) games[open[i]] = games[open[i]].Play(moves[i]);
                moved = true;
            }
            if (!moved) break;
        }
        double[] pairs = new double[count];
        for (int game = 0; game < games.Length; game++) pairs[game / 2] += (1 + (IsFirst(game) ? 1 : -1) * games[game].Result!.Value) / 2.0;
        return pairs;

        bool IsFirst(int game) => games[game].IsFirstToMove == begun[game] == (game % 2 == 0); // the first player is to move
    }

    /// <summary>So many random moves, after which nobody can win at once.</summary>
    internal static GamePosition Opening(Game game, int plies, int seed)
    {
        var random = new Random(seed);
        while (true)
        {
            GamePosition position = game.Start;
            for (int ply = 0; ply < plies && !position.IsOver; ply++)
                position = position.Play(position.Moves[random.Next(position.Moves.Count)]);
            if (!position.IsOver && !position.Moves.Any(move => position.Play(move).Result == -1)) return position;
        }
    }
}
