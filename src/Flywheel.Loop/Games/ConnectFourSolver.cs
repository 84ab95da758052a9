using System.Numerics;
using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>
/// Solves Connect Four exactly: alpha-beta on bitboards with null windows, moves that let the other side win left out, the others tried by
/// how many threats they make, and a table of bounds (the techniques of Tromp's and Pons' published solvers). Positions of the middle
/// game take milliseconds, those of the first few moves minutes. Not for several threads at once.
/// </summary>
public sealed class ConnectFourSolver : IGameOracle
{
    private const int Bits = ConnectFour.NumRows + 1, Places = ConnectFour.NumPlaces, MinScore = -Places / 2 + 3,
        MaxScore = (Places + 1) / 2 - 3;

    private const ulong Bottom = 0x40810204081, Board = Bottom * ((1UL << ConnectFour.NumRows) - 1);

    private static readonly int[] s_fromMiddle = [3, 2, 4, 1, 5, 0, 6];

    private readonly ulong[] _keys;
    private readonly byte[] _bounds;

    /// <param name="tableBits">Logarithm of the table's entries, of 9 bytes each.</param>
    public ConnectFourSolver(int tableBits = 22) => (_keys, _bounds) = (new ulong[1 << tableBits], new byte[1 << tableBits]);

    string IGameOracle.Name => "solver";

    (int Fewest, int Most) IGameOracle.Plies => (12, 32);

    IReadOnlyList<int> IGameOracle.BestMoves(GamePosition position) => BestMoves(((ConnectFourPosition)position).Stones);

    /// <summary>
    /// What the game is worth to the side to move when both play best: 0 a draw; n > 0 when it wins with its n-th stone from the last (1:
    /// its
    /// last one, 18: as soon as is possible at all), -n when the other side does so.
    /// </summary>
    /// <param name="position">Not over.</param>
    public int Solve(ConnectFour position) => Solve(position, -Places / 2, Places / 2);

    /// <summary>Whether the side to move wins (1), loses (-1) or draws (0) when both play best; quicker than
    /// <see cref="Solve(ConnectFour)"/>.</summary>
    public int Outcome(ConnectFour position) => position.IsLost ? -1 : position.IsFull ? 0 : Math.Sign(Solve(position, -1, 1));

    /// <summary>Outcome for the side to move of each column; null where there is no room.</summary>
    public int?[] Outcomes(ConnectFour position) =>
        [.. Enumerable.Range(0, ConnectFour.NumColumns)
            .Select(column => position.HasRoom(column) ? (int?)-Outcome(position.Play(column)) : null)];

    /// <summary>Columns that keep what the position is worth as win, draw or loss.</summary>
    public IReadOnlyList<int> BestMoves(ConnectFour position)
    {
        int?[] outcomes = Outcomes(position);
        int most = outcomes.Max()!.Value;
        return [.. Enumerable.Range(0, outcomes.Length).Where(column => outcomes[column] == most)];
    }

    private int Solve(ConnectFour position, int low, int high)
    {
        if (position.IsOver) throw new ArgumentException("the game is over", nameof(position));
        int plies = position.NumPlies;
        if ((Threats(position.Own, position.Stones) & Playable(position.Stones)) != 0) return (Places + 1 - plies) / 2;
        (int min, int max) = (Math.Max(low, -(Places - plies) / 2), Math.Min(high, (Places + 1 - plies) / 2));
        while (min < max)
        {
            int middle = min + (max - min) / 2;
            if (middle <= 0 && min / 2 < middle) middle = min / 2; // proofs near nothing are the cheap ones
            else if (middle >= 0 && max / 2 > middle) middle = max / 2;
            int score = Search(position.Own, position.Stones, plies, middle, middle + 1);
            if (score <= middle) max = score;
            else min = score;
        }
        return min;
    }

    /// <summary>The score where it lies between alpha and beta, else a bound beyond them. The side to move cannot win at once.</summary>
    private int Search(ulong own, ulong stones, int plies, int alpha, int beta)
    {
        ulong moves = Playable(stones), theirs = Threats(own ^ stones, stones), forced = moves & theirs;
        if (forced != 0)
        {
            if ((forced & forced - 1) != 0) return -(Places - plies) / 2;
            moves = forced;
        }
        moves &= ~(theirs >> 1); // not below a place where they win
        if (moves == 0) return -(Places - plies) / 2;
        if (plies >= Places - 2) return 0;
        int min = -(Places - 2 - plies) / 2, max = (Places - 1 - plies) / 2;
        if (alpha < min && (alpha = min) >= beta) return alpha;
        if (beta > max && alpha >= (beta = max)) return beta;

        ulong key = own + stones + Bottom;
        int slot = (int)(key * 0x9E3779B97F4A7C15 >> 64 - BitOperations.Log2((uint)_keys.Length));
        if (_keys[slot] == key)
        {
            int bound = _bounds[slot];
            if (bound > MaxScore - MinScore + 1)
            {
                min = bound + 2 * MinScore - MaxScore - 2;
                if (alpha < min && (alpha = min) >= beta) return alpha;
            }
            else
            {
                max = bound + MinScore - 1;
                if (beta > max && alpha >= (beta = max)) return beta;
            }
        }

        Span<ulong> ordered = stackalloc ulong[ConnectFour.NumColumns];
        Span<int> worth = stackalloc int[ConnectFour.NumColumns];
        int count = 0;
        foreach (int column in s_fromMiddle)
        {
            ulong move = moves & Column(column);
            if (move == 0) continue;
            int threats = BitOperations.PopCount(Threats(own | move, stones | move)), place = count++;
            for (; place > 0 && worth[place - 1] < threats; place--)
                (ordered[place], worth[place]) = (ordered[place - 1], worth[place - 1]);
            (ordered[place], worth[place]) = (move, threats);
        }
        foreach (ulong move in ordered[..count])
        {
            int score = -Search(own ^ stones, stones | move, plies + 1, -beta, -alpha);
            if (score >= beta)
            {
                (_keys[slot], _bounds[slot]) = (key, (byte)(score + MaxScore - 2 * MinScore + 2));
                return score;
            }
            alpha = Math.Max(alpha, score);
        }
        (_keys[slot], _bounds[slot]) = (key, (byte)(alpha - MinScore + 1));
        return alpha;
    }

    private static ulong Playable(ulong stones) => stones + Bottom & Board;

    private static ulong Column(int column) => (1UL << ConnectFour.NumRows) - 1 << column * Bits;

    /// <summary>Free places where a stone makes four.</summary>
    private static ulong Threats(ulong own, ulong stones)
    {
        ulong found = own << 1 & own << 2 & own << 3; // upwards
        foreach (int step in (ReadOnlySpan<int>)[Bits, Bits - 1, Bits + 1])
        {
            ulong pair = own << step & own << 2 * step;
            found |= pair & own << 3 * step | pair & own >> step;
            pair = own >> step & own >> 2 * step;
            found |= pair & own >> 3 * step | pair & own << step;
        }
        return found & (Board ^ stones);
    }
}
