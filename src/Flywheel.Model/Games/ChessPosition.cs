namespace Flywheel.Model;

/// <summary>
/// A position of chess by the Laws of FIDE. Threefold repetition and fifty moves without a capture or a pawn's move end the game as a draw
/// by themselves, as between programs, and so does material with which nobody can mate.
/// </summary>
public sealed class ChessPosition : GamePosition
{
    /// <summary>Rights to castle, and the squares of king and rook on which each depends.</summary>
    internal static readonly (int Right, int King, int Rook)[] Castles = [(1, 4, 7), (2, 4, 0), (4, 60, 63), (8, 60, 56)];

    private readonly byte[] _squares; // a piece's number; 8 more for black
    private readonly ChessPosition? _before; // null where the move before cannot be taken back by others: nothing earlier comes again
    private IReadOnlyList<int>? _legal;
    private int? _result;
    private ulong _key;
    private bool _isJudged;

    internal ChessPosition(byte[] squares, bool isWhite, int castling, int passing, int quiet, int number, ChessPosition? before = null)
    {
        (_squares, IsFirstToMove, Castling, Quiet, Number, _before) = (squares, isWhite, castling, quiet, number, before);
        // A square that no pawn can capture on, as where it is pinned, makes no difference: positions with and without it are one.
        Passing = passing;
        if (passing >= 0 && !Capturers(passing).Any(from => IsSafe(ChessMoves.Find(from, passing)))) Passing = -1;
    }

    public override Game Game => Game.All[ChessGame.Id];

    /// <summary>White is to move.</summary>
    public override bool IsFirstToMove { get; }

    /// <summary>Rights as bits: white's short, white's long, black's short, black's long castling.</summary>
    internal int Castling { get; }

    /// <summary>Where a pawn may be taken en passant; -1 nowhere.</summary>
    internal int Passing { get; }

    /// <summary>Plies since a capture or a pawn's move.</summary>
    public int Quiet { get; }

    /// <summary>Number of the move, from 1, which counts up after black's.</summary>
    public int Number { get; }

    public override int NumPlies => 2 * (Number - 1) + (IsFirstToMove ? 0 : 1);

    public bool IsCheck => IsAttacked(_squares, KingOf(_squares, IsFirstToMove), !IsFirstToMove);

    /// <summary>The piece on a square: its number in <see cref="ChessMoves.Letters"/>, 0 of none, and whether it is white.</summary>
    internal (int Kind, bool IsWhite) this[int square] => (_squares[square] & 7, _squares[square] < 8);

    public override int? Result
    {
        get
        {
            if (!_isJudged)
                (_result, _isJudged) = (Legal.Count == 0 ? IsCheck ? -1 : 0 : Quiet >= 100 || IsBare() || IsThird() ? 0 : null, true);
            return _result;
        }
    }

    public override ulong Key => _key != 0 ? _key : _key = FindKey();

    public override Board Board =>
        new(8, string.Concat(from rank in Enumerable.Range(0, 8).Reverse() from file in Enumerable.Range(0, 8)
            select ChessNotation.Letter(this[8 * rank + file])));

    public override IReadOnlyList<int> Tokens => ChessTokens.Of(this);

    public override string ToString() => ChessNotation.ToFen(this);

    public override string Spell(int move) => ChessNotation.San(this, move);

    protected override IReadOnlyList<int> FindMoves() => Legal;

    private IReadOnlyList<int> Legal => _legal ??= [.. Candidates().Where(IsSafe)];

    public override GamePosition Play(int move)
    {
        (int from, int to, int promotion) = ChessMoves.All[move];
        bool isPawn = (_squares[from] & 7) == ChessMoves.Pawn, captures = _squares[to] != 0 || isPawn && to == Passing;
        int castling = Castling;
        foreach ((int right, int king, int rook) in Castles)
            if (from == king || from == rook || to == rook) castling &= ~right;
        bool resets = isPawn || captures;
        return new ChessPosition(After(from, to, promotion), !IsFirstToMove, castling,
            isPawn && Math.Abs(to - from) == 16 ? (from + to) / 2 : -1, resets ? 0 : Quiet + 1, IsFirstToMove ? Number : Number + 1,
            resets ? null : this);
    }

    private byte[] After(int from, int to, int promotion)
    {
        byte[] squares = [.. _squares];
        byte piece = squares[from];
        (squares[from], squares[to]) = (0, promotion == 0 ? piece : (byte)(promotion | piece & 8));
        if ((piece & 7) == ChessMoves.Pawn && to == Passing) squares[to + (IsFirstToMove ? -8 : 8)] = 0;
        if ((piece & 7) == ChessMoves.King && Math.Abs(to - from) == 2)
        {
            (int rookFrom, int rookTo) = to > from ? (to + 1, to - 1) : (to - 2, to + 1);
            (squares[rookTo], squares[rookFrom]) = (squares[rookFrom], 0);
        }
        return squares;
    }

    /// <summary>The own king is not attacked after a move.</summary>
    private bool IsSafe(int move)
    {
        (int from, int to, int promotion) = ChessMoves.All[move];
        byte[] squares = After(from, to, promotion);
        return !IsAttacked(squares, KingOf(squares, IsFirstToMove), !IsFirstToMove);
    }

    /// <summary>Moves as pieces move, whatever becomes of the king.</summary>
    private IEnumerable<int> Candidates()
    {
        for (int from = 0; from < 64; from++)
        {
            if (_squares[from] == 0 || !IsOwn(_squares[from])) continue;
            int kind = _squares[from] & 7;
            if (kind == ChessMoves.Pawn)
                foreach (int move in PawnMoves(from)) yield return move;
            else if (kind is ChessMoves.Knight or ChessMoves.King)
                foreach (int to in (kind == ChessMoves.Knight ? ChessMoves.KnightSteps : ChessMoves.KingSteps)[from])
                {
                    if (_squares[to] == 0 || !IsOwn(_squares[to])) yield return ChessMoves.Find(from, to);
                }
            else
                for (int direction = kind == ChessMoves.Bishop ? 4 : 0; direction < (kind == ChessMoves.Rook ? 4 : 8); direction++)
                    foreach (int to in ChessMoves.Rays[direction][from])
                    {
                        if (_squares[to] == 0 || !IsOwn(_squares[to])) yield return ChessMoves.Find(from, to);
                        if (_squares[to] != 0) break;
                    }
        }
        foreach ((int right, int king, int rook) in Castles)
        {
            if ((Castling & right) == 0 || right < 4 != IsFirstToMove) continue;
            int step = Math.Sign(rook - king);
            bool isFree = true;
            for (int square = king + step; square != rook; square += step) isFree &= _squares[square] == 0;
            if (isFree && !IsAttacked(_squares, king, !IsFirstToMove) && !IsAttacked(_squares, king + step, !IsFirstToMove))
                yield return ChessMoves.Find(king, king + 2 * step);
        }
    }

    private IEnumerable<int> PawnMoves(int from)
    {
        int forward = IsFirstToMove ? 8 : -8, start = IsFirstToMove ? 1 : 6, to = from + forward;
        if (_squares[to] == 0)
        {
            foreach (int move in Step(to)) yield return move;
            if (from / 8 == start && _squares[to + forward] == 0) yield return ChessMoves.Find(from, to + forward);
        }
        foreach (int side in (int[])[-1, 1])
        {
            if (from % 8 + side is < 0 or > 7) continue;
            if (to + side == Passing || _squares[to + side] != 0 && !IsOwn(_squares[to + side]))
                foreach (int move in Step(to + side)) yield return move;
        }

        IEnumerable<int> Step(int target) => target / 8 is 0 or 7
            ? new[] { ChessMoves.Queen, ChessMoves.Rook, ChessMoves.Bishop,
                ChessMoves.Knight }.Select(piece => ChessMoves.Find(from, target, piece)) : [ChessMoves.Find(from, target)];
    }

    private bool IsOwn(byte piece) => piece < 8 == IsFirstToMove;

    /// <summary>Own pawns beside a pawn that has just gone over a square.</summary>
    private IEnumerable<int> Capturers(int passing)
    {
        int rank = passing + (IsFirstToMove ? -8 : 8);
        foreach (int side in (int[])[-1, 1])
            if (rank % 8 + side is >= 0 and < 8 && _squares[rank + side] == (IsFirstToMove ? ChessMoves.Pawn : ChessMoves.Pawn | 8))
                yield return rank + side;
    }

    /// <summary>Neither side could mate however both play: kings alone, with one knight or bishop, or with bishops that all stand on
    /// squares of one colour.</summary>
    private bool IsBare()
    {
        int minors = 0, knights = 0, light = 0, dark = 0;
        for (int square = 0; square < 64; square++)
            switch (_squares[square] & 7)
            {
                case 0 or ChessMoves.King: break;
                case ChessMoves.Knight: (minors, knights) = (minors + 1, knights + 1); break;
                case ChessMoves.Bishop:
                    minors++;
                    if ((square / 8 + square % 8) % 2 == 0) dark++;
                    else light++;
                    break;
                default: return false;
            }
        return minors <= 1 || knights == 0 && (light == 0 || dark == 0);
    }

    private bool IsThird()
    {
        int times = 1;
        for (ChessPosition? earlier = _before; earlier is not null; earlier = earlier._before)
            if (earlier.Key == Key && ++times == 3) return true;
        return false;
    }

    private ulong FindKey()
    {
        ulong key = Mix((ulong)(1 + Castling + 16 * (Passing + 1) + (IsFirstToMove ? 2048 : 0)));
        for (int square = 0; square < 64; square++)
            if (_squares[square] != 0) key += Mix((ulong)(4096 + 16 * square + _squares[square]));
        return key == 0 ? 1 : key;
    }

    /// <summary>How many pieces give check.</summary>
    internal int NumCheckers()
    {
        int king = KingOf(_squares, IsFirstToMove), count = 0;
        for (int square = 0; square < 64; square++)
        {
            if (_squares[square] == 0 || IsOwn(_squares[square])) continue;
            byte[] alone = [.. _squares];
            for (int other = 0; other < 64; other++)
                // blocks, and attacks nobody here
                if (other != square && alone[other] != 0 && !IsOwn(alone[other]))
                    alone[other] = (byte)(ChessMoves.Pawn | (IsFirstToMove ? 0 : 8));
            if (IsAttacked(alone, king, !IsFirstToMove)) count++;
        }
        return count;
    }

    /// <summary>The king of the side that is not to move could be taken.</summary>
    internal bool IsImpossibleCheck => IsAttacked(_squares, KingOf(_squares, !IsFirstToMove), IsFirstToMove);

    private static int KingOf(byte[] squares, bool isWhite) =>
        Array.IndexOf(squares, (byte)(isWhite ? ChessMoves.King : ChessMoves.King | 8));

    private static bool IsAttacked(byte[] squares, int square, bool byWhite)
    {
        int side = byWhite ? 0 : 8, rank = square / 8 + (byWhite ? -1 : 1);
        if (rank is >= 0 and < 8)
            foreach (int file in (ReadOnlySpan<int>)[square % 8 - 1, square % 8 + 1])
                if (file is >= 0 and < 8 && squares[8 * rank + file] == (ChessMoves.Pawn | side)) return true;
        foreach (int from in ChessMoves.KnightSteps[square])
            if (squares[from] == (ChessMoves.Knight | side)) return true;
        foreach (int from in ChessMoves.KingSteps[square])
            if (squares[from] == (ChessMoves.King | side)) return true;
        for (int direction = 0; direction < 8; direction++)
            foreach (int from in ChessMoves.Rays[direction][square])
            {
                if (squares[from] == 0) continue;
                if (squares[from] == (ChessMoves.Queen | side)
                    || squares[from] == ((direction < 4 ? ChessMoves.Rook : ChessMoves.Bishop) | side)) return true;
                break;
            }
        return false;
    }
}
