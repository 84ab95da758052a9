using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>
/// Stockfish as a process that is spoken to by UCI. It searches a fixed number of nodes with one thread and nothing remembered from the
/// position before, so that its move depends on the position alone.
/// </summary>
internal sealed class Stockfish : IGameOracle
{
    private static readonly ConcurrentDictionary<int, Stockfish> s_started = new();

    private readonly Lock _one = new();
    private readonly Process _process;
    private readonly int _nodes;

    private Stockfish(string path, int nodes)
    {
        _nodes = nodes;
        _process = Process.Start(new ProcessStartInfo(path) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        Say("uci");
        ReadUntil("uciok");
        Say("setoption name Threads value 1\nsetoption name Hash value 1");
    }

    /// <summary>What to do where there is none.</summary>
    public const string Missing = "no program 'stockfish' was found; install it (Debian: apt-get install stockfish) or put it on the PATH";

    /// <summary>Where it is; null where it is not installed. Debian keeps games apart from the PATH of services.</summary>
    public static string? Path =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator).Append("/usr/games")
        .Select(folder => System.IO.Path.Combine(folder, OperatingSystem.IsWindows() ? "stockfish.exe" : "stockfish"))
        .FirstOrDefault(File.Exists);

    public string Name => string.Create(CultureInfo.InvariantCulture, $"stockfish-{_nodes}-nodes");

    public (int Fewest, int Most) Plies => (12, 80);

    /// <summary>One process for each number of nodes, as long as the program runs.</summary>
    /// <exception cref="FlywheelException">It is not installed.</exception>
    public static Stockfish Of(int nodes) => s_started.GetOrAdd(nodes, _ => new(Path ?? throw new FlywheelException(Missing), nodes));

    /// <summary>The one move that it plays.</summary>
    public IReadOnlyList<int> BestMoves(GamePosition position)
    {
        using Lock.Scope _ = _one.EnterScope();
        Say(string.Create(CultureInfo.InvariantCulture, $"ucinewgame\nposition fen {position}\ngo nodes {_nodes}"));
        string said = ReadUntil("bestmove")[^1].Split(' ')[1];
        return [position.Game.FindMove(said) is { } move && position.Moves.Contains(move)
            ? move : throw new FlywheelException($"stockfish answered '{said}' in {position}, expected a legal move")];
    }

    /// <summary>Games of so many plies from a position by the first move, as its command <c>go perft</c> counts them.</summary>
    public IReadOnlyDictionary<string, long> Perft(string fen, int depth)
    {
        using Lock.Scope _ = _one.EnterScope();
        Say(string.Create(CultureInfo.InvariantCulture, $"position fen {fen}\ngo perft {depth}"));
        return ReadUntil("Nodes searched").Select(line => line.Split(": ")).Where(parts => parts.Length == 2 && parts[0].Length is 4 or 5)
            .ToDictionary(parts => parts[0], parts => long.Parse(parts[1], CultureInfo.InvariantCulture));
    }

    private void Say(string lines)
    {
        _process.StandardInput.Write(lines + "\n");
        _process.StandardInput.Flush();
    }

    private List<string> ReadUntil(string start)
    {
        var lines = new List<string>();
        do lines.Add(_process.StandardOutput.ReadLine()
            ?? throw new FlywheelException($"stockfish ended; expected it to answer with '{start}'"));
        while (!lines[^1].StartsWith(start, StringComparison.Ordinal));
        return lines;
    }
}
