using System.Text.RegularExpressions;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>What the preference model sees of a text: its length and shape, how it keeps to its brief, and what its words say.</summary>
/// <remarks>
/// No likelihood is among them, of neither model: a model finds its own samples likelier than another model does, so a margin of
/// likelihoods prefers the candidate's drafts whatever they are worth, and the champion's likelihood the champion's.
/// </remarks>
internal sealed partial class TextFeatures
{
    public static IReadOnlyList<string> Names { get; } =
    [
        "words", "unlike kept in length", "ends with a full stop", "exclaims", "has a comma", "lines", "name exact", "best fact restated",
        "facts restated", "foreign names", "unsupported words", "words that were kept",
    ];

    private readonly Dictionary<string, (int Chosen, int Not)> _seen = new(StringComparer.Ordinal);
    private readonly double _keptWords;

    /// <param name="choices">Of people who are learnt from.</param>
    public TextFeatures(IReadOnlyList<Choice> choices)
    {
        foreach (Choice choice in choices) Count(choice, 1);
        _keptWords = choices.Average(choice => LogWords(choice.Chosen));
    }

    /// <param name="prompt">What was asked.</param>
    /// <param name="text">What was written.</param>
    public double[] Of(Conversation prompt, string text)
    {
        CopyMetrics? metrics = Brief.Find(prompt) is { } brief ? CopyMetrics.Of(brief, text) : null;
        string trimmed = text.Trim();
        bool hasFacts = metrics is { FactsRestated.Count: > 0 };
        return
        [
            LogWords(text),
            Math.Abs(LogWords(text) - _keptWords),
            trimmed.Length > 0 && trimmed[^1] == '.' ? 1 : 0,
            text.Contains('!', StringComparison.Ordinal) ? 1 : 0,
            text.Contains(',', StringComparison.Ordinal) ? 1 : 0,
            Math.Log(1 + trimmed.Count(c => c == '\n')),
            metrics is { NameExact: true } ? 1 : 0,
            hasFacts ? metrics!.FactsRestated.Max() : 0,
            hasFacts ? metrics!.FactsRestated.Average() : 0,
            metrics is null ? 0 : Math.Min(3, metrics.Foreign.Count),
            metrics?.Unsupported ?? 0,
            WordScore(text),
        ];
    }

    /// <summary>Both sides of all choices of one person, as if these had not been counted: no text vouches for itself.</summary>
    public IEnumerable<(double[] Chosen, double[] Not)> Without(IReadOnlyList<Choice> mine)
    {
        foreach (Choice choice in mine) Count(choice, -1);
        List<(double[], double[])> features = [.. mine.Select(choice => (Of(choice.Prompt, choice.Chosen), Of(choice.OtherPrompt,
            choice.Not)))];
        foreach (Choice choice in mine) Count(choice, 1);
        return features;
    }

    private void Count(Choice choice, int by)
    {
        foreach (string token in Tokens(choice.Chosen)) Add(token, by, 0);
        foreach (string token in Tokens(choice.Not)) Add(token, 0, by);

        void Add(string token, int chosen, int not)
        {
            (int Chosen, int Not) seen = _seen.GetValueOrDefault(token);
            _seen[token] = (seen.Chosen + chosen, seen.Not + not);
        }
    }

    /// <summary>Mean over the text's words of how much more often they were chosen than not, in nats; 0 of words never met.</summary>
    private double WordScore(string text)
    {
        HashSet<string> tokens = Tokens(text);
        if (tokens.Count == 0) return 0;
        return tokens.Average(token =>
        {
            (int chosen, int not) = _seen.GetValueOrDefault(token);
            return Math.Log((chosen + 1.0) / (not + 1.0));
        });
    }

    /// <summary>Words, and with which a text begins and ends.</summary>
    private static HashSet<string> Tokens(string text)
    {
        string[] words = [.. Word().Matches(text.ToLowerInvariant()).Select(match => match.Value)];
        HashSet<string> tokens = new(words, StringComparer.Ordinal);
        if (words.Length > 0) tokens.UnionWith([$"^{words[0]}", $"{words[^1]}$"]);
        return tokens;
    }

    private static double LogWords(string text) => Math.Log(1 + Word().Count(text));

    [GeneratedRegex(@"[\p{L}\p{N}]+")]
    private static partial Regex Word();
}

/// <summary>Somebody chose a text and not another.</summary>
/// <param name="User">Who.</param>
/// <param name="Prompt">To which the chosen text was written.</param>
/// <param name="Chosen">What was kept, or made of it.</param>
/// <param name="OtherPrompt">To which the other was written; the same, but for people who judged single answers.</param>
/// <param name="Not">What was not chosen.</param>
internal sealed record Choice(string User, Conversation Prompt, string Chosen, Conversation OtherPrompt, string Not);
