using System.Collections.Concurrent;
using Flywheel.Data;

namespace Flywheel.Loop.Ranking;

/// <summary>How somebody wants a fact said.</summary>
/// <param name="Fact">As it was typed.</param>
/// <param name="Way">How it is said.</param>
public sealed record FactCorrection(string Fact, FactWay Way);

/// <summary>
/// What somebody corrected in the forms of facts. The same fact is said so from then on, and facts that begin as it does are guessed by it:
/// what the learner of
/// <see cref="FactForms"/> made of the facts that came with it is learnt on from the corrections alone, which therefore count for more.
/// </summary>
public sealed class FactCorrections
{
    /// <summary>Passes over the corrections, and how far each leads; read off facts of six writers (docs/first-model.md).</summary>
    private const int Rounds = 4;

    private const float Rate = 0.05f;

    private readonly OrderedDictionary<string, FactCorrection> _known = [];
    private readonly Lazy<Own?> _own;
    private readonly ConcurrentDictionary<string, ((FactForm Form, bool Left) Class, double Odds)> _asked = [];

    /// <param name="corrections">In the order in which they were made: of one fact the last counts.</param>
    /// <param name="learns">Facts that are like them are guessed by them.</param>
    public FactCorrections(IEnumerable<FactCorrection> corrections, bool learns = true)
        : this(corrections, learns ? FactForms.Shipped : null) { }

    internal FactCorrections(IEnumerable<FactCorrection> corrections, Lazy<float[][]>? from, int rounds = Rounds, float rate = Rate)
    {
        foreach (FactCorrection correction in corrections) _known[KeyOf(correction.Fact)] = correction;
        _own = new(() => from is null ? null : Own.Learn(_known.Values, from.Value, rounds, rate));
    }

    /// <summary>Of somebody who corrected nothing.</summary>
    public static FactCorrections None { get; } = new([], learns: false);

    /// <summary>How somebody wants this fact said; null where they did not say.</summary>
    /// <param name="fact">As it was typed.</param>
    public FactWay? Of(string fact) => _known.GetValueOrDefault(KeyOf(fact))?.Way;

    /// <summary>The likeliest form by what was learnt from the corrections; null where nothing was.</summary>
    internal ((FactForm Form, bool Left) Class, double Odds)? Guess(string fact)
    {
        if (_own.Value is not { } own || !own.IsLike(fact)) return null;
        if (_asked.Count > 4096) _asked.Clear();
        return _asked.GetOrAdd(fact, one => FactForms.Guess(one, own.Shipped, own));
    }

    /// <summary>Capitals and blanks tell no facts apart.</summary>
    private static string KeyOf(string fact) =>
        string.Join(' ', fact.TrimEnd('.', ' ').ToLowerInvariant().Split(' ', StringSplitOptions.RemoveEmptyEntries));

    /// <summary>Weights of the features that the corrections have, to be added to the shipped ones.</summary>
    internal sealed class Own(float[][] shipped, HashSet<string> beginnings, Dictionary<int, int> index, float[][] weights)
    {
        public float[][] Shipped => shipped;

        /// <summary>Whether a fact begins as one that was corrected: of others the corrections say nothing, and guesses of them would only
        /// get worse.</summary>
        public bool IsLike(string fact) => beginnings.Contains(BeginningOf(fact));

        /// <summary>The first word, and the second behind a number or an article.</summary>
        private static string BeginningOf(string fact)
        {
            string[] words = FactFrames.Bare(fact).ToLowerInvariant().Split(' ', 3);
            return words.Length > 1 && EnglishNouns.IsDetermined(words[0]) ? $"{words[0]} {words[1]}" : words[0];
        }

        /// <summary>Adds to each class's score.</summary>
        /// <param name="features">Of a fact, as the shipped weights count them.</param>
        /// <param name="scores">By class.</param>
        public void Add(IEnumerable<int> features, double[] scores)
        {
            foreach (int feature in features)
                if (index.TryGetValue(feature, out int at))
                    for (int c = 0; c < scores.Length; c++) scores[c] += weights[c][at];
        }

        public static Own? Learn(IReadOnlyList<FactCorrection> corrections, float[][] shipped, int rounds, float rate)
        {
            Dictionary<int, int> index = [];
            HashSet<string> beginnings = [];
            List<FactForms.Example> examples = [];
            foreach (FactCorrection correction in corrections)
            {
                if (FactWays.ClassOf(correction.Fact, correction.Way) is not { } form) continue;
                int[] features = [.. FactForms.Hashes(FactForms.Inner(FactFrames.Bare(correction.Fact)))];
                beginnings.Add(BeginningOf(correction.Fact));
                examples.Add(new(FactForms.IndexOf(form),
                    [.. features.Select(feature => index.TryGetValue(feature, out int at) ? at : index[feature] = index.Count)],
                    FactForms.Scores(shipped, features)));
            }
            if (examples.Count == 0) return null;
            float[][] weights = [.. shipped.Select(_ => new float[index.Count])];
            FactForms.Fit([.. examples], weights, rounds, rate);
            return new Own(shipped, beginnings, index, weights);
        }
    }
}
