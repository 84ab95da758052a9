using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>What a simulated user thinks of a text: nothing to complain of, or the complaints.</summary>
internal sealed record Verdict(IReadOnlyList<string> Reasons)
{
    public bool Accepted => Reasons.Count == 0;
}

/// <summary>
/// A stated rule of taste and the hand that edits to it. The model knows neither; it meets both only through what users
/// keep, edit and discard. Pure functions of the brief and the text.
/// </summary>
internal abstract class Taste
{
    public static IReadOnlyList<Taste> All { get; } = [new ShortVerbTaste(), new PlainTaste(), new TwoThingsTaste(), new ConcreteTaste(),
        new CoinTaste()];

    /// <exception cref="FlywheelException">No taste has this name.</exception>
    public static Taste Named(string name) => All.FirstOrDefault(taste => taste.Name == name)
        ?? throw new FlywheelException($"taste '{name}' is unknown, expected one of {string.Join(", ", All.Select(taste => taste.Name))}");

    public abstract string Name { get; }

    /// <summary>The whole rule in one sentence, as it is printed.</summary>
    public abstract string Rule { get; }

    public Verdict Judge(Brief brief, string text)
    {
        text = text.Trim();
        if (text.Contains('\n')) return new(["is more than one line"]);
        string[] words = Wording.Words(text);
        if (words.Length < 2) return new(["says next to nothing"]);
        return new([.. Complaints(brief, text, words)]);
    }

    /// <summary>
    /// The text as this user would have it: mended where it speaks of the product, else written from the brief's
    /// facts; null when neither gives an acceptable text. An acceptable text stays as it is.
    /// </summary>
    public string? Edit(Brief brief, string text)
    {
        if (Judge(brief, text).Accepted) return text;
        string start = IsAbout(brief, text) ? Wording.Clean(text) : "";
        return Candidates(brief, start).FirstOrDefault(candidate => Judge(brief, candidate).Accepted);
    }

    /// <summary>Whether a text has a word of content in common with the brief's facts, categories or audience.</summary>
    public static bool IsAbout(Brief brief, string text) =>
        Wording.Shared(Wording.Words(text), [.. brief.Facts, .. brief.Categories, brief.Audience]) > 0;

    protected abstract IEnumerable<string> Complaints(Brief brief, string text, string[] words);

    /// <summary>Rewritten texts, the one nearest to <paramref name="text"/> (clean, or empty to start afresh) first. Bad ones are harmless:
    /// they are judged.</summary>
    protected abstract IEnumerable<string> Candidates(Brief brief, string text);
}
