namespace Flywheel.Engine;

/// <summary>
/// Foretells how long a step takes: pace * (quiet step + tokens * (token + position * where they stand)), because attention
/// makes later tokens of a prompt dearer. The pace is the machine's at the moment (other programs, a virtual core that shares
/// its own with another) and changes within a few steps; the rest is the model's and hardly changes. A Kalman filter over the
/// logarithms of the three tells them apart: steps without prompts show the pace alone.
/// </summary>
internal sealed class StepCost(int maxRows)
{
    /// <summary>Position at which attention doubles a token's price, until it is known: a low guess, so that first steps are
    /// short.</summary>
    private const double FirstDoubling = 1024;

    /// <summary>Variance of a step's logarithm that means nothing, and what the unknowns gain from step to step.</summary>
    private const double Noise = 0.01, PaceDrift = 0.002, PriceDrift = 1e-5;

    /// <summary>A surprise beyond so much, as a logarithm, tells its direction only: the machine may have done something else.</summary>
    private const double MostSurprise = 0.7;

    /// <summary>Weight of the newest quiet step in what is known of its kind, at least.</summary>
    private const double QuietShare = 0.02;

    private const int Pace = 0, Token = 1, Position = 2, Unknowns = 3;

    /// <summary>Ticks of a step without prompts at pace 1, by its rows, and how many were seen.</summary>
    private readonly (double Ticks, int Seen)[] _quiet = new (double, int)[maxRows + 1];

    private readonly double[] _logs = new double[Unknowns], _effects = new double[Unknowns], _gains = new double[Unknowns];
    private readonly double[,] _variance = new double[Unknowns, Unknowns];

    /// <summary>Something is known of prompts.</summary>
    public bool KnowsPrice { get; private set; }

    /// <summary>Ticks at pace 1 of a step without prompts: known, or by the nearest number of rows below (or else above); 0 when nothing is
    /// known.</summary>
    public double Quiet(int rows)
    {
        int known = rows;
        while (known > 0 && _quiet[known].Seen == 0) known--;
        if (known == 0)
            for (known = rows; known < maxRows && _quiet[known].Seen == 0;) known++;
        return _quiet[known].Ticks * (1 + GuessPace.RowPrice * rows) / (1 + GuessPace.RowPrice * known);
    }

    /// <summary>Ticks at pace 1 of prompt tokens that stand after so many.</summary>
    public double Tokens(int count, double position) => count * (Math.Exp(_logs[Token]) + position * Math.Exp(_logs[Position]));

    /// <summary>A step without prompts took so long; returns how often longer than foretold.</summary>
    public double ObserveQuiet(int rows, double ticks)
    {
        double expected = Math.Exp(_logs[Pace]) * Quiet(rows);
        ref (double Ticks, int Seen) quiet = ref _quiet[rows];
        if (quiet.Seen++ == 0) quiet.Ticks = ticks / Math.Exp(_logs[Pace]);
        if (expected == 0) return 1;
        (_effects[Token], _effects[Position]) = (0, 0);
        double surprise = Correct(Math.Log(ticks / expected));
        quiet.Ticks *= Math.Exp(Math.Max(QuietShare, 1.0 / (quiet.Seen + 1)) * surprise);
        return ticks / expected;
    }

    /// <summary>A step with prompts took so long.</summary>
    /// <param name="rows">Rows of streams in it.</param>
    /// <param name="count">Prompt tokens.</param>
    /// <param name="position">Where they stand, on the average.</param>
    /// <param name="ticks">Its time.</param>
    public void Observe(int rows, int count, double position, double ticks)
    {
        double quiet = rows == 0 ? 0 : Quiet(rows);
        if (!KnowsPrice)
        {
            double normal = ticks / Math.Exp(_logs[Pace]);
            _logs[Token] = Math.Log(Math.Max(normal - quiet, 0.1 * normal) / (count * (1 + position / FirstDoubling)));
            _logs[Position] = _logs[Token] - Math.Log(FirstDoubling);
            (_variance[Token, Token], _variance[Position, Position]) = (1, 1);
            KnowsPrice = true;
            return;
        }
        double token = Tokens(count, 0), expected = quiet + Tokens(count, position);
        (_effects[Token], _effects[Position]) = (token / expected, (expected - quiet - token) / expected);
        Correct(Math.Log(ticks / expected) - _logs[Pace]);
    }

    /// <summary>Shares a surprise out among the unknowns, each by how uncertain it is and by its effect; returns what was shared
    /// out.</summary>
    private double Correct(double surprise)
    {
        _effects[Pace] = 1;
        for (int i = 0; i < Unknowns; i++) _variance[i, i] += i == Pace ? PaceDrift : PriceDrift;
        double total = Noise;
        for (int i = 0; i < Unknowns; i++)
        {
            _gains[i] = 0;
            for (int j = 0; j < Unknowns; j++) _gains[i] += _variance[i, j] * _effects[j];
            total += _gains[i] * _effects[i];
        }
        double bounded = Math.Clamp(surprise, -MostSurprise, MostSurprise);
        for (int i = 0; i < Unknowns; i++) _logs[i] += _gains[i] / total * bounded;
        if (bounded == surprise)
            for (int i = 0; i < Unknowns; i++)
                for (int j = 0; j < Unknowns; j++) _variance[i, j] -= _gains[i] * _gains[j] / total;
        return bounded;
    }
}
