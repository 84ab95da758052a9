using System.Globalization;
using System.Text;
using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>How good the champion was after a turn; turn 0 is the model from random weights.</summary>
/// <param name="Turn">Number.</param>
/// <param name="Champion">Hash of the champion after it.</param>
/// <param name="Promoted">The turn's candidate became it.</param>
/// <param name="Positions">On held-out positions.</param>
/// <param name="Matches">Against fixed opponents.</param>
/// <param name="Gate">The candidate's match against the champion before; null of turn 0.</param>
/// <param name="EmptyBoard">The move that it begins a game with, with a search.</param>
/// <param name="EmptyBoardPolicy">The same without.</param>
/// <param name="Time">When it was measured.</param>
public sealed record GameMeasure(int Turn, string Champion, bool Promoted, PositionScore Positions, IReadOnlyList<MatchResult> Matches,
    MatchResult? Gate, int EmptyBoard, int EmptyBoardPolicy, DateTimeOffset Time)
{
    public const string FileName = "measure.json";
}

/// <summary>The curve over turns, with strengths from all matches together.</summary>
/// <param name="Task">Name.</param>
/// <param name="Measures">By turn.</param>
/// <param name="Ratings">Of champions, candidates and fixed opponents; one-ply is 0.</param>
public sealed record GameCurve(string Task, IReadOnlyList<GameMeasure> Measures, IReadOnlyList<EloRating> Ratings)
{
    private const string Zero = "one-ply";

    /// <summary>Words of the picture, so that it can be drawn in another language.</summary>
    public sealed record Words(string Title, string Elo, string Turn, string Optimal, string Policy, string Search, string Legal);

    public static Words English { get; } = new("Elo (one-ply = 0) and optimal moves over turns", "Elo, with 95% intervals", "turn",
        "optimal moves on held-out positions", "the model alone", "with search", "legal unasked");

    /// <summary>Something was measured.</summary>
    public bool IsThere => Ratings.Count > 0;

    /// <summary>Folder of what was measured of a task.</summary>
    public static string FolderOf(FlywheelHome home, string task) => Path.Combine(home.Path, "evaluations", task);

    /// <summary>All that was measured of a task in a home.</summary>
    public static GameCurve Read(FlywheelHome home, string task)
    {
        string folder = Path.Combine(FolderOf(home, task), "turns");
        GameMeasure[] measures = !Directory.Exists(folder)
            ? [] : [.. Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal)
            .Select(file => JsonSerializer.Deserialize<GameMeasure>(File.ReadAllText(file), JsonText.Compact)!)
            .OrderBy(measure => measure.Turn)];
        MatchResult[] matches = [.. measures.SelectMany(measure => measure.Matches),
            .. measures.Select(measure => measure.Gate).OfType<MatchResult>()];
        return new GameCurve(task, measures, matches.Length == 0 ? [] : EloRatings.Fit(matches, Zero));
    }

    public static void Add(FlywheelHome home, string task, GameMeasure measure) =>
        AtomicFile.WriteText(PathOf(home, task, measure.Turn), JsonSerializer.Serialize(measure, JsonText.Indented));

    public static bool Has(FlywheelHome home, string task, int turn) => File.Exists(PathOf(home, task, turn));

    private static string PathOf(FlywheelHome home, string task, int turn) =>
        Path.Combine(Directory.CreateDirectory(Path.Combine(FolderOf(home, task), "turns")).FullName, $"{turn:0000}.json");

    /// <summary>The rating of the champion after a turn.</summary>
    public EloRating? RatingOf(GameMeasure measure) => Ratings.FirstOrDefault(rating => rating.Player == measure.Champion[..12]);

    /// <summary>Writes curve.svg and curve.json beside the measures.</summary>
    /// <returns>Path of the picture.</returns>
    public string Write(FlywheelHome home)
    {
        string folder = Directory.CreateDirectory(FolderOf(home, Task)).FullName, svg = Path.Combine(folder, "curve.svg");
        AtomicFile.WriteText(Path.Combine(folder, "curve.json"), JsonSerializer.Serialize(this, JsonText.Indented));
        AtomicFile.WriteText(svg, ToSvg(English));
        return svg;
    }

    /// <summary>Two panels side by side: Elo with intervals, and shares of optimal moves. Colours follow the reader's light or
    /// dark.</summary>
    /// <param name="words">Of the picture.</param>
    /// <param name="styled">With colours of its own; without, those of the page that it stands in.</param>
    public string ToSvg(Words words, bool styled = true)
    {
        const double width = 860, height = 300;
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture,
            $"<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"game-curve\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{words.Title}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n");
        if (styled) svg.Append("""
            <style>
              .game-curve { --ink: #22302f; --faint: #c9d2d0; --one: #0b7a75; --two: #b4571e; --three: #7a7f87; }
              @media (prefers-color-scheme: dark) { .game-curve { --ink: #dfe7e5; --faint: #45514f; --one: #4fc3bb; --two: #f0975c; --three: #9aa1aa; } }
              .game-curve text { fill: var(--ink); } .game-curve .grid { stroke: var(--faint); } .game-curve polyline { fill: none; stroke-width: 2; }
            </style>

            """);
        GameMeasure[] rated = [.. Measures.Where(measure => RatingOf(measure) is not null)];
        if (rated.Length > 0)
        {
            double low = Math.Floor(rated.Min(measure => RatingOf(measure)!.Low) / 200) * 200,
                high = Math.Ceiling(rated.Max(measure => RatingOf(measure)!.High) / 200) * 200;
            Panel(svg, 0, words.Elo, words.Turn, low, high, Math.Max(200, Math.Round((high - low) / 5 / 200) * 200), value => $"{value:0}",
                [(words.Elo, "one",
                    [.. rated.Select(measure => (measure.Turn, RatingOf(measure)!.Elo, RatingOf(measure)!.Low, RatingOf(measure)!.High))])],
                    legend: false);
            Panel(svg, width / 2, words.Optimal, words.Turn, 0, 1, 0.2, value => $"{100 * value:0}%",
            [
                (words.Search, "one", [.. rated.Select(measure => Point(measure.Turn, measure.Positions.Search))]),
                (words.Policy, "two", [.. rated.Select(measure => Point(measure.Turn, measure.Positions.Policy))]),
                (words.Legal, "three", [.. rated.Select(measure => Point(measure.Turn, measure.Positions.Legal))]),
            ], legend: true);
        }
        return svg.Append("</svg>\n").ToString();

        static (int, double, double, double) Point(int turn, Interval share) => (turn, share.Estimate, share.Low, share.High);
    }

    private static void Panel(StringBuilder svg, double from, string title, string axis, double low, double high, double step,
        Func<double, string> label,
        IReadOnlyList<(string Name, string Colour, IReadOnlyList<(int Turn, double Value, double Low, double High)> Points)> series,
        bool legend)
    {
        const double width = 430, left = 52, right = 14, top = 34, bottom = 264;
        int last = Math.Max(1, series.Max(one => one.Points.Max(point => point.Turn)));
        string X(double turn) => Number(from + left + (width - left - right) * turn / last);
        string Y(double value) => Number(bottom - (bottom - top) * (value - low) / (high - low));
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Number(from + left)}\" y=\"18\" font-weight=\"600\">{title}</text>\n");
        for (double tick = low; tick <= high + 1e-9; tick += step)
            svg.Append(CultureInfo.InvariantCulture,
                $"<line class=\"grid\" x1=\"{X(0)}\" x2=\"{X(last)}\" y1=\"{Y(tick)}\" y2=\"{Y(tick)}\"/><text x=\"{Number(from + left - 6)}\" y=\"{Y(tick)}\" dy=\"4\" text-anchor=\"end\">{label(tick)}</text>\n");
        int every = Math.Max(1, last / 8);
        for (int turn = 0; turn <= last; turn += every)
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{X(turn)}\" y=\"282\" text-anchor=\"middle\">{turn}</text>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{X(last / 2.0)}\" y=\"297\" text-anchor=\"middle\">{axis}</text>\n");
        foreach ((int index, (string name, string colour, var points)) in series.Index())
        {
            svg.Append(CultureInfo.InvariantCulture,
                $"<polyline stroke=\"var(--{colour})\" points=\"{string.Join(' ', points.Select(point => $"{X(point.Turn)},{Y(point.Value)}"))}\"/>\n");
            foreach ((int turn, double value, double least, double most) in points)
                svg.Append(CultureInfo.InvariantCulture,
                    $"<line stroke=\"var(--{colour})\" x1=\"{X(turn)}\" x2=\"{X(turn)}\" y1=\"{Y(least)}\" y2=\"{Y(most)}\"/><circle fill=\"var(--{colour})\" r=\"3\" cx=\"{X(turn)}\" cy=\"{Y(value)}\"/>\n");
            if (legend)
                svg.Append(CultureInfo.InvariantCulture,
                    $"<rect fill=\"var(--{colour})\" x=\"{Number(from + width - 130)}\" y=\"{206 + 18 * index}\" width=\"10\" height=\"10\"/><text x=\"{Number(from + width - 114)}\" y=\"{215 + 18 * index}\">{name}</text>\n");
        }
    }

    private static string Number(double value) => value.ToString("0.#", CultureInfo.InvariantCulture);
}
