namespace Flywheel.Voice;

/// <summary>
/// How long a voice takes for a text, before it is rendered: a line through what it took for others (least squares with a little ridge)
/// over letters, groups of
/// vowels, words, digits, and signs at which it pauses.
/// </summary>
public sealed class DurationModel
{
    /// <summary>Fewer lines say too little.</summary>
    public const int MinLines = 12;

    private const int NumFeatures = 7, NumFolds = 5;

    private readonly double[] _weights;

    private DurationModel(double[] weights, double error) => (_weights, HeldOutError) = (weights, error);

    /// <summary>On lines that were left out while it learnt: mean error by mean length.</summary>
    public double HeldOutError { get; }

    /// <param name="lines">Texts of one voice and seconds at speed 1.</param>
    /// <returns>Null of fewer than <see cref="MinLines"/>.</returns>
    public static DurationModel? Learn(IReadOnlyList<(string Text, double Seconds)> lines)
    {
        if (lines.Count < MinLines) return null;
        double missed = 0;
        for (int fold = 0; fold < NumFolds; fold++)
        {
            double[] weights = Solve([.. lines.Where((_, i) => i % NumFolds != fold)]);
            missed += lines.Where((_, i) => i % NumFolds == fold).Sum(line => Math.Abs(Apply(weights, line.Text) - line.Seconds));
        }
        return new DurationModel(Solve(lines), missed / lines.Sum(line => line.Seconds));
    }

    /// <summary>Of the takes of a project's lines, by the id of the voice; empty: the voice by language.</summary>
    public static IReadOnlyDictionary<string, DurationModel> OfProject(VoiceProject project) => project.Lines.Where(line => !line.IsMarkup)
        .SelectMany(line =>
            line.Takes.Where(take => !take.IsRecorded && take.Marks.Count == 0)
                .Select(take => (Settings: project.SettingsOf(line with { Settings = take.Settings }), take.Text, take.Seconds)))
        .GroupBy(take => take.Settings.Voice ?? "")
        .Select(voice =>
            (voice.Key, Model: Learn([.. voice.Select(take => (take.Text, take.Seconds * (take.Settings.Speed ?? 1))).Distinct()])))
        .Where(voice => voice.Model is not null).ToDictionary(voice => voice.Key, voice => voice.Model!);

    /// <summary>In seconds, at speed 1.</summary>
    public double Predict(string text) => Math.Max(.05, Apply(_weights, text));

    private static double Apply(double[] weights, string text) => Features(text).Zip(weights, (value, weight) => value * weight).Sum();

    private static double[] Features(string text)
    {
        string plain = text.Trim().TrimEnd('.', '!', '?', '…', '。');
        int groups = 0;
        bool wasVowel = false;
        foreach (char letter in UnicodeFold(plain))
        {
            bool isVowel = "aeiouyаеёиоуыэюя".Contains(letter, StringComparison.Ordinal) || letter is >= '\u3040' and <= '\u9FFF';
            if (isVowel && (!wasVowel || letter >= '\u3040')) groups++;
            wasVowel = isVowel;
        }
        return [1, plain.Count(char.IsLetter), groups, plain.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Length,
            plain.Count(char.IsDigit), plain.Count(sign => sign is ',' or ';' or ':' or '–' or '—' or '、' or '，'),
            plain.Count(sign => sign is '.' or '!' or '?' or '。')];
    }

    private static IEnumerable<char> UnicodeFold(string text) =>
        Model.UnicodeNormalizer.Normalize(text, compatible: false, compose: false).ToLowerInvariant()
        .Where(letter => char.GetUnicodeCategory(letter) != System.Globalization.UnicodeCategory.NonSpacingMark);

    /// <summary>The normal equations, by elimination with pivots.</summary>
    private static double[] Solve(IReadOnlyList<(string Text, double Seconds)> lines)
    {
        const double ridge = .05;
        double[,] a = new double[NumFeatures, NumFeatures + 1];
        foreach ((string text, double seconds) in lines)
        {
            double[] x = Features(text);
            for (int i = 0; i < NumFeatures; i++)
            {
                for (int j = 0; j < NumFeatures; j++) a[i, j] += x[i] * x[j];
                a[i, NumFeatures] += x[i] * seconds;
            }
        }
        for (int i = 0; i < NumFeatures; i++) a[i, i] += ridge;
        for (int column = 0; column < NumFeatures; column++)
        {
            int pivot = column;
            for (int row = column + 1; row < NumFeatures; row++) if (Math.Abs(a[row, column]) > Math.Abs(a[pivot, column])) pivot = row;
            for (int j = 0; j <= NumFeatures; j++) (a[column, j], a[pivot, j]) = (a[pivot, j], a[column, j]);
            for (int row = 0; row < NumFeatures; row++)
            {
                if (row == column) continue;
                double factor = a[row, column] / a[column, column];
                for (int j = column; j <= NumFeatures; j++) a[row, j] -= factor * a[column, j];
            }
        }
        return [.. Enumerable.Range(0, NumFeatures).Select(i => a[i, NumFeatures] / a[i, i])];
    }
}
