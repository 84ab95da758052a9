namespace Flywheel.Loop.Tasks;

/// <summary>
/// A letter for each symbol of a sequence from the symbols around it, taken as independent (naive Bayes): the classical way to predict
/// secondary
/// structure from a window of residues (Stolorz, Lapedes and Xia 1992, J. Mol. Biol. 225, 363). Counts are smoothed by one.
/// </summary>
internal sealed class WindowBayes
{
    private const string Outside = "";

    private readonly int _reach, _width;
    private readonly char[] _states;
    private readonly Dictionary<char, double> _prior = [];
    private readonly Dictionary<(char State, int Offset, string Symbol), double> _given = [];
    private readonly Dictionary<(char State, int Offset), double> _unseen = [];

    /// <param name="width">Symbols that are looked at, an odd number; 0 looks at none, which leaves the commonest state.</param>
    /// <param name="items">Symbols, a letter for each, and marks of those that count (1) and do not (0); null counts all.</param>
    public WindowBayes(int width, IEnumerable<(string[] Symbols, string Answer, string? Scored)> items)
    {
        (_width, _reach) = (width, width / 2);
        var states = new Dictionary<char, long>();
        var counts = new Dictionary<(char, int, string), long>();
        var symbols = new HashSet<string>(StringComparer.Ordinal) { Outside };
        foreach ((string[] sequence, string answer, string? scored) in items)
            for (int i = 0; i < sequence.Length; i++)
            {
                if (scored is not null && scored[i] == '0') continue;
                states[answer[i]] = states.GetValueOrDefault(answer[i]) + 1;
                for (int at = 0; at < width; at++)
                {
                    string symbol = At(sequence, i + at - _reach);
                    symbols.Add(symbol);
                    counts[(answer[i], at, symbol)] = counts.GetValueOrDefault((answer[i], at, symbol)) + 1;
                }
            }
        _states = [.. states.Keys.Order()];
        double total = states.Values.Sum();
        foreach (char state in _states)
        {
            _prior[state] = Math.Log(states[state] / total);
            for (int at = 0; at < width; at++)
            {
                double all = states[state] + symbols.Count;
                _unseen[(state, at)] = -Math.Log(all);
                foreach (string symbol in symbols)
                    _given[(state, at, symbol)] = Math.Log((counts.GetValueOrDefault((state, at, symbol)) + 1) / all);
            }
        }
    }

    /// <returns>A letter for each symbol.</returns>
    public string Predict(string[] sequence) =>
        new([.. Enumerable.Range(0, sequence.Length).Select(i => _states.MaxBy(state => Score(sequence, i, state)))]);

    private double Score(string[] sequence, int place, char state)
    {
        double score = _prior[state];
        for (int at = 0; at < _width; at++)
            score += _given.TryGetValue((state, at, At(sequence, place + at - _reach)), out double given) ? given : _unseen[(state, at)];
        return score;
    }

    private static string At(string[] sequence, int place) => place >= 0 && place < sequence.Length ? sequence[place] : Outside;
}
