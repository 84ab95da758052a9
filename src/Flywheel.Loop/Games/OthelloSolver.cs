using System.Numerics;
using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>Plays the end of Othello out: whether the side to move wins, draws or loses when both play best. For a dozen empty
/// squares.</summary>
internal sealed class OthelloSolver : IGameOracle
{
    public string Name => "solver";

    public (int Fewest, int Most) Plies => (48, 54);

    public IReadOnlyList<int> BestMoves(GamePosition position) => position.Best(move =>
    {
        var after = (OthelloPosition)position.Play(move);
        return -Search(after.Own, after.Other, -1, 1, hasPassed: false);
    });

    /// <summary>Alpha-beta on the sign of the result; moves that leave the other side the fewest are tried first.</summary>
    private static int Search(ulong own, ulong other, int alpha, int beta, bool hasPassed)
    {
        ulong moves = OthelloPosition.Placements(own, other);
        if (moves == 0)
            return hasPassed
                ? Math.Sign(BitOperations.PopCount(own) - BitOperations.PopCount(other)) : -Search(other, own, -beta, -alpha,
                    hasPassed: true);
        Span<(int Replies, int Square)> order = stackalloc (int, int)[BitOperations.PopCount(moves)];
        for (int i = 0; i < order.Length; i++, moves &= moves - 1)
        {
            int square = BitOperations.TrailingZeroCount(moves);
            ulong turned = OthelloPosition.Turned(own, other, square);
            order[i] = (BitOperations.PopCount(OthelloPosition.Placements(other & ~turned, own | turned | 1UL << square)), square);
        }
        order.Sort();
        foreach ((int _, int square) in order)
        {
            ulong turned = OthelloPosition.Turned(own, other, square);
            alpha = Math.Max(alpha, -Search(other & ~turned, own | turned | 1UL << square, -beta, -alpha, hasPassed: false));
            if (alpha >= beta) break;
        }
        return alpha;
    }
}
