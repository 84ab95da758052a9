namespace Flywheel.Model;

/// <summary>
/// How a model learns a game from playing itself: what the first one is made of, how games are searched, what is learnt from them, and what
/// a
/// candidate must win to be the champion. Read from YAML by <see cref="Load"/>.
/// </summary>
public sealed record PlayRecipe
{
    public required string Name { get; init; }

    /// <summary>Name of a task with a game.</summary>
    public required string Task { get; init; }

    /// <summary>Of weights, games and matches.</summary>
    public int Seed { get; init; } = 1;

    public string? Licence { get; init; }

    public string? IntendedUse { get; init; }

    /// <summary>Of a first model from random weights, where the home has no champion.</summary>
    public required TokenizerRecipe Tokenizer { get; init; }

    public required ShapeRecipe Model { get; init; }

    public SelfPlayRecipe Play { get; init; } = new();

    public required TrainRecipe Train { get; init; }

    public MatchRecipe Gate { get; init; } = new();

    public MeasureRecipe Measure { get; init; } = new();

    /// <exception cref="FlywheelException">Missing, or not a valid recipe; the message names file, line and field.</exception>
    public static PlayRecipe Load(string path, params IReadOnlyList<string> overrides) =>
        Parse(File.Exists(path)
            ? Utf8File.ReadText(path) : throw new FlywheelException($"{path}: no such file; expected a recipe of play (YAML)"), path,
            overrides);

    /// <exception cref="FlywheelException">Not a valid recipe; the message names source, line and field.</exception>
    public static PlayRecipe Parse(string yaml, string source, params IReadOnlyList<string> overrides) =>
        RecipeFile.Parse<PlayRecipe>(yaml, source, overrides, (recipe, where) => recipe.Validate(where));

    /// <summary>Whether a turn's recipe is one of play.</summary>
    public static bool IsOne(string yaml) => yaml.Split('\n').Any(line => line.StartsWith("play:", StringComparison.Ordinal));

    /// <summary>YAML that parses to an equal recipe.</summary>
    public string ToYaml() => RecipeFile.Serialize(this);

    private void Validate(Func<string, string> where)
    {
        var check = new RecipeCheck(where);
        check.That(Name.Length is > 0 and <= 60 && Name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'), "name", Name,
            "letters, digits, '-' and '_'");
        Tokenizer.Validate(check);
        Model.Validate(check);
        Train.Validate(check);
        check.That(Train.Objective == SoftTargets.Id, "train.objective", Train.Objective,
            $"'{SoftTargets.Id}': searches give shares of moves");
        check.State(Train.Lora is null, "train.lora", "given", "none: the whole model learns");
        Play.Validate(check);
        Gate.Validate(check);
        Measure.Validate(check);
    }
}

/// <summary>Games of the champion against itself, and what of them is learnt.</summary>
public sealed record SelfPlayRecipe
{
    /// <summary>Of each turn.</summary>
    public int Games { get; init; } = 300;

    /// <summary>Who plays the games that are learnt from: the champion, against itself, or a teacher (<see cref="Teachers"/>), for a
    /// supervised start.</summary>
    public string Teacher { get; init; } = "";

    /// <summary>Players that can teach: Stockfish where it is installed, of chess; one who looks one ply ahead; and one who plays any legal
    /// move.</summary>
    public static IReadOnlyList<string> Teachers { get; } = ["stockfish", "one-ply", "random"];

    /// <summary>Evaluations of positions for each move; what the last search found of the position counts among them.</summary>
    public int Simulations { get; init; } = 64;

    /// <summary>Weight of the model's moves in the search (PUCT's constant).</summary>
    public double Exploration { get; init; } = 1.6;

    /// <summary>How much a move's value by the search, from -1 to 1, weighs in what is learnt: its share is multiplied by exp(scale *
    /// value).</summary>
    public double ValueScale { get; init; } = 8;

    /// <summary>Part of the root's moves that is noise, so that every move is looked at now and then.</summary>
    public double NoiseShare { get; init; } = 0.25;

    /// <summary>Of Dirichlet's distribution, from which the noise is drawn.</summary>
    public double NoiseAlpha { get; init; } = 1;

    /// <summary>Moves of the first so many plies are drawn by their share of the search; later ones are the most visited.</summary>
    public int DrawnPlies { get; init; } = 16;

    /// <summary>Two games in three begin with up to so many moves at random, so that positions differ.</summary>
    public int OpeningPlies { get; init; } = 14;

    /// <summary>Games that go on side by side, so that the engine has batches.</summary>
    public int AtOnce { get; init; } = 96;

    /// <summary>Learn from the games of so many turns, the newest among them.</summary>
    public int WindowTurns { get; init; } = 5;

    /// <summary>Of the value that is learnt for a played move: how much is the game's result; the rest is what the search
    /// thought.</summary>
    public double OutcomeShare { get; init; } = 0.5;

    internal void Validate(RecipeCheck check)
    {
        check.AtLeast(1, "play.games", Games);
        if (Teacher.Length > 0) check.OneOf("play.teacher", Teacher, [.. Teachers]);
        check.AtLeast(2, "play.simulations", Simulations);
        check.Positive("play.exploration", Exploration);
        check.Positive("play.value_scale", ValueScale);
        check.Share("play.noise_share", NoiseShare);
        check.Positive("play.noise_alpha", NoiseAlpha);
        check.AtLeast(0, "play.drawn_plies", DrawnPlies);
        check.That(OpeningPlies is >= 0 and <= 30, "play.opening_plies", OpeningPlies, "a number from 0 to 30");
        check.That(AtOnce is >= 1 and <= 1024, "play.at_once", AtOnce, "a number from 1 to 1024");
        check.AtLeast(1, "play.window_turns", WindowTurns);
        check.Share("play.outcome_share", OutcomeShare);
    }
}

/// <summary>The match of candidate against champion: pairs of games from one opening with the sides exchanged, until the likelihood ratio
/// decides.</summary>
public sealed record MatchRecipe
{
    public int Simulations { get; init; } = 32;

    /// <summary>Each opening is so many moves at random.</summary>
    public int OpeningPlies { get; init; } = 6;

    /// <summary>At most so many pairs; a candidate that has not shown enough by then is rejected.</summary>
    public int MaxPairs { get; init; } = 100;

    /// <summary>Elo that the candidate has where it is no better.</summary>
    public double Elo0 { get; init; }

    /// <summary>Elo that it has where it is better.</summary>
    public double Elo1 { get; init; } = 40;

    /// <summary>Chance to promote one of <see cref="Elo0"/>.</summary>
    public double Alpha { get; init; } = 0.05;

    /// <summary>Chance to reject one of <see cref="Elo1"/>.</summary>
    public double Beta { get; init; } = 0.05;

    internal void Validate(RecipeCheck check)
    {
        check.AtLeast(2, "gate.simulations", Simulations);
        check.That(OpeningPlies is >= 1 and <= 20, "gate.opening_plies", OpeningPlies, "a number from 1 to 20");
        check.AtLeast(2, "gate.max_pairs", MaxPairs);
        check.That(Elo1 > Elo0, "gate.elo1", Elo1, $"more than elo0 {Elo0}");
        check.That(Alpha is > 0 and < 0.5, "gate.alpha", Alpha, "a number between 0 and 0.5");
        check.That(Beta is > 0 and < 0.5, "gate.beta", Beta, "a number between 0 and 0.5");
    }
}

/// <summary>What a champion is measured by after its turn; nothing is decided by it.</summary>
public sealed record MeasureRecipe
{
    /// <summary>Pairs of games against each fixed opponent.</summary>
    public int Pairs { get; init; } = 20;

    /// <summary>Of the held-out positions, the first so many are asked.</summary>
    public int Positions { get; init; } = 600;

    /// <summary>Of a search of one.</summary>
    public int Simulations { get; init; } = 64;

    internal void Validate(RecipeCheck check)
    {
        check.AtLeast(1, "measure.pairs", Pairs);
        check.AtLeast(2, "measure.positions", Positions);
        check.AtLeast(2, "measure.simulations", Simulations);
    }
}
