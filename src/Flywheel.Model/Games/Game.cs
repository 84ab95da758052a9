namespace Flywheel.Model;

/// <summary>
/// A game of two players who see everything: its rules, and how moves and positions are written. A move is a number, its place among the
/// game's move tokens; what plays, searches and learns knows no more of a game than this.
/// </summary>
public abstract class Game
{
    private readonly Lazy<(string[] Symbols, Dictionary<string, int> Places)> _symbols;

    protected Game() => _symbols = new(() =>
    {
        string[] symbols = [.. ReservedTokens.Symbols(MoveTokens).Keys];
        return (symbols, symbols.Index().ToDictionary(symbol => symbol.Item, symbol => symbol.Index, StringComparer.Ordinal));
    });

    /// <summary>Every game, by the name that a task's file gives it.</summary>
    public static IReadOnlyDictionary<string, Game> All { get; } =
        new Game[] { new ConnectFourGame(), new OthelloGame(), new ChessGame() }.ToDictionary(game => game.Name, StringComparer.Ordinal);

    public abstract string Name { get; }

    /// <summary>Where every game begins.</summary>
    public abstract GamePosition Start { get; }

    /// <summary>Groups of <see cref="ReservedTokens"/>: what the model answers with, and what it reads.</summary>
    public abstract string MoveTokens { get; }

    public abstract string PositionTokens { get; }

    /// <summary>What the side that begins is called, and the other.</summary>
    public abstract (string First, string Second) Sides { get; }

    /// <summary>How the fields of a task hold moves and positions: the modality of <c>history</c> and that of <c>position</c>.</summary>
    public virtual (string History, string Position) Modalities => (TaskField.Text, TaskField.Text);

    /// <summary>About as many plies as a game has, from which positions to measure on are drawn.</summary>
    public abstract int NumTypicalPlies { get; }

    /// <summary>In how many ways the board can be turned and mirrored so that the rules stay what they are; 1 is as it stands
    /// alone.</summary>
    public virtual int NumSymmetries => 1;

    /// <summary>A move on the board that <see cref="GamePosition.Transformed"/> gives.</summary>
    public virtual int Transform(int move, int symmetry) => move;

    /// <summary>Whether a move is to make none.</summary>
    public virtual bool IsPass(int move) => false;

    /// <summary>Reads a position.</summary>
    /// <param name="text">As <see cref="GamePosition"/> writes it.</param>
    /// <param name="what">Begins the message about a wrong one, such as <c>field 'position'</c>.</param>
    /// <exception cref="FlywheelException">No position that a game can come to, or the game is over in it.</exception>
    public abstract GamePosition Read(string text, string what);

    /// <summary>The moves of a game so far.</summary>
    /// <param name="text">Moves from the start with white space between.</param>
    /// <param name="what">Begins the message about a wrong one, such as <c>field 'history'</c>.</param>
    /// <exception cref="FlywheelException">A move that the rules do not allow, or the game is over after them.</exception>
    public abstract IReadOnlyList<int> ReadMoves(string text, string what);

    /// <summary>The move of a text as people write one in a position, legal there or not; null of what is none.</summary>
    public virtual int? FindMove(GamePosition position, string text) => FindMove(text.Trim().ToLowerInvariant());

    /// <summary>Whether a position is the one that a text says; what a text may leave out is not compared.</summary>
    /// <param name="text">Which was read as <paramref name="read"/>.</param>
    /// <param name="read">What it was read as.</param>
    /// <param name="position">Another, or the same.</param>
    public virtual bool Says(string text, GamePosition read, GamePosition position) => $"{read}" == $"{position}";

    /// <summary>Moves that a player takes who looks at nothing but what a move does at once.</summary>
    /// <param name="position">Not over.</param>
    public abstract IReadOnlyList<int> OnePly(GamePosition position);

    public GamePosition After(IEnumerable<int> moves) => moves.Aggregate(Start, (position, move) => position.Play(move));

    /// <summary>A move as the model's answer says it: a symbol of <see cref="MoveTokens"/>.</summary>
    public string Symbol(int move) => _symbols.Value.Symbols[move];

    /// <summary>The move of a symbol; null of none.</summary>
    public int? FindMove(string symbol) => _symbols.Value.Places.TryGetValue(symbol, out int move) ? move : null;

    /// <summary>Moves as symbols in a row.</summary>
    public string Spell(IEnumerable<int> moves) => string.Join(' ', moves.Select(Symbol));
}

/// <summary>A position of a game, which never changes. Results are seen by the side to move.</summary>
public abstract class GamePosition
{
    private IReadOnlyList<int>? _moves;

    public abstract Game Game { get; }

    /// <summary>The side that began the game is to move.</summary>
    public abstract bool IsFirstToMove { get; }

    /// <summary>What the side to move is called.</summary>
    public string Side => IsFirstToMove ? Game.Sides.First : Game.Sides.Second;

    /// <summary>Moves that were played, as far as the position shows it.</summary>
    public abstract int NumPlies { get; }

    /// <summary>How the game has ended for the side to move: 1, 0 (a draw) or -1; null while it goes on.</summary>
    public abstract int? Result { get; }

    public bool IsOver => Result is not null;

    /// <summary>Legal moves in a fixed order; none when the game is over.</summary>
    public IReadOnlyList<int> Moves => _moves ??= IsOver ? [] : FindMoves();

    /// <summary>Legal moves that are worth the most, in their order; the game is not over.</summary>
    public IReadOnlyList<int> Best(Func<int, int> worth)
    {
        int[] all = [.. Moves.Select(worth)];
        int most = all.Max();
        return [.. Moves.Where((_, i) => all[i] == most)];
    }

    /// <summary>After a legal move, seen by the other side.</summary>
    public abstract GamePosition Play(int move);

    /// <summary>What the model reads of it: places in the group <see cref="Game.PositionTokens"/>.</summary>
    public abstract IReadOnlyList<int> Tokens { get; }

    /// <summary>A number that is the same where the model reads the same; different ones have different numbers but for chance.</summary>
    public abstract ulong Key { get; }

    /// <summary>The same for a position however it is turned and mirrored.</summary>
    public ulong SymmetricKey => Enumerable.Range(0, Game.NumSymmetries).Min(symmetry => Transformed(symmetry).Key);

    /// <summary>The board turned or mirrored.</summary>
    /// <param name="symmetry">From 0, as it stands, to <see cref="Game.NumSymmetries"/> - 1.</param>
    public virtual GamePosition Transformed(int symmetry) => this;

    /// <summary>What stands where, for a picture of the board.</summary>
    public abstract Board Board { get; }

    /// <summary>A move as people write it.</summary>
    public virtual string Spell(int move) => Game.Symbol(move);

    protected abstract IReadOnlyList<int> FindMoves();

    /// <summary>Mixes numbers to one of 64 bits that look random (the finaliser of MurmurHash3).</summary>
    protected static ulong Mix(ulong number)
    {
        number = (number ^ number >> 33) * 0xFF51AFD7ED558CCD;
        number = (number ^ number >> 33) * 0xC4CEB9FE1A85EC53;
        return number ^ number >> 33;
    }
}

/// <summary>A board as it is seen: squares from the top left, row by row.</summary>
/// <param name="Width">Of a row.</param>
/// <param name="Pieces">A letter each: a capital of the side that began, a small one of the other, a space where there is nothing.</param>
public sealed record Board(int Width, string Pieces)
{
    public int Height => Pieces.Length / Width;
}
