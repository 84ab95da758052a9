using System.Globalization;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>An answer as the person saw it.</summary>
/// <param name="Prompt">Null for a plain completion.</param>
/// <param name="Whole">False when the person stopped it half-way.</param>
public sealed record Shown(Guid Id, Guid Group, int Choice, string User, Conversation? Prompt, string Text, bool Whole)
{
    /// <summary>What went in and came out, token by token; null where nobody asked for it.</summary>
    public ServedTokens? Served { get; init; }
}

/// <param name="Prompt">Ids that went into the model.</param>
/// <param name="Tokens">Ids that were sampled.</param>
/// <param name="LogProbs">Of each in the distribution that it was drawn from.</param>
public sealed record ServedTokens(int[] Prompt, int[] Tokens, float[] LogProbs);

/// <summary>What curation makes of feedback, beside texts and preferences.</summary>
/// <param name="MinCharacters">Shorter texts are dropped.</param>
/// <param name="Fits">Whether a conversation fits the model's context.</param>
public sealed record CurationRules(int MinCharacters, Func<Conversation, bool> Fits)
{
    /// <summary>Make rows of answers that were liked or not.</summary>
    public bool Judged { get; init; }

    /// <summary>Make rows of answers as they were served; says what a prompt is for the model that learns. Null makes none.</summary>
    public Func<Conversation, int[]>? Sampled { get; init; }
}

/// <summary>A training row with its lineage, or (with <see cref="Drop"/>) the reason why feedback made none.</summary>
public sealed record CuratedExample
{
    public required ExampleKind Kind { get; init; }

    public required string User { get; init; }

    /// <summary>Null only where feedback made no example at all.</summary>
    public Conversation? Prompt { get; init; }

    /// <summary>The text that the person kept, or made of it.</summary>
    public string Preferred { get; init; } = "";

    /// <summary>Of a pair: the text that lost.</summary>
    public string? Rejected { get; init; }

    public required Guid GenerationId { get; init; }

    /// <summary>Of a pair: whose text lost; the same generation when an edit is preferred to its original.</summary>
    public Guid? RejectedId { get; init; }

    /// <summary>Of a judged or sampled answer: from -1 (thrown away) to 1 (kept).</summary>
    public double? Reward { get; init; }

    /// <summary>Of a sampled answer.</summary>
    public ServedTokens? Served { get; init; }

    /// <summary>Where it comes from; never empty.</summary>
    public required IReadOnlyList<Guid> FeedbackIds { get; init; }

    public Split? Split { get; init; }

    /// <summary>Why it is not in the dataset; null when it is.</summary>
    public string? Drop { get; init; }

    /// <summary>The preferred conversation.</summary>
    public Conversation Answered => Prompt! with { Messages = [.. Prompt.Messages, Message.Assistant(Preferred)] };

    /// <summary>The conversation that lost.</summary>
    public Conversation Lost => Prompt! with { Messages = [.. Prompt.Messages, Message.Assistant(Rejected!)] };
}

/// <summary>Why feedback did not become an example.</summary>
public static class DropReasons
{
    public const string Retracted = "taken back",
        Overridden = "replaced by later feedback",
        NoSignal = "rating or comment: kept, not trained on",
        NoConversation = "plain completion: no conversation",
        NothingKept = "discarded, but nothing was kept beside it",
        TooShort = "too short",
        TooLong = "longer than the model's context",
        SameAsOriginal = "edit equals the original: counts as kept",
        SameText = "both texts are the same",
        NotWhole = "the other answer was stopped half-way",
        Unfinished = "stopped half-way: neither liked nor not",
        OtherPrompt = "the model would read the prompt otherwise than the one that answered",
        Duplicate = "duplicate",
        HeldOut = "also held out",
        UsedBefore = "trained on in an earlier turn";
}

/// <summary>
/// The rules from feedback to examples, without a database: kept and edited texts become supervised examples; in one
/// request, what was kept or edited is preferred to what was not, and an edit to its original. Where a recipe learns from them,
/// an answer that was kept as it is was liked and one that was thrown away was not, each by itself; a rating speaks where
/// neither was done. An edited answer was neither.
/// </summary>
public sealed class Curator
{
    private readonly List<CuratedExample> rows = [];
    private readonly CurationRules rules;

    private Curator(CurationRules rules) => this.rules = rules;

    /// <param name="shown">Every choice of each request that feedback is about.</param>
    /// <param name="feedback">All feedback about them, in the order in which it came; of other generations it is left alone.</param>
    /// <param name="rules">What is made of it.</param>
    /// <returns>Examples and drops, not yet split; each feedback is in at least one of them.</returns>
    public static IReadOnlyList<CuratedExample> Curate(IEnumerable<Shown> shown, IEnumerable<Feedback> feedback, CurationRules rules)
    {
        var curator = new Curator(rules);
        ILookup<Guid, Feedback> of = feedback.ToLookup(row => row.GenerationId);
        foreach (IGrouping<Guid, Shown> request in shown.GroupBy(answer => answer.Group))
        {
            List<Shown> choices = [.. request.OrderBy(answer => answer.Choice).ThenBy(answer => answer.Id)];
            // Colleagues may judge the same answers: each one's verdicts are compared with his own only.
            var byUser = choices
                .SelectMany(answer => of[answer.Id].Select(row => (Answer: answer, Row: row, User: row.User.Length > 0 ? row.User : answer.User)))
                .GroupBy(entry => entry.User);
            foreach (var person in byUser)
            {
                ILookup<Guid, Feedback> said = person.ToLookup(entry => entry.Answer.Id, entry => entry.Row);
                curator.Request(person.Key, [.. choices.Select(answer => curator.Judge(person.Key, answer, [.. said[answer.Id]]))]);
            }
        }
        return curator.rows;
    }

    /// <summary>What one person in the end thought of one answer.</summary>
    /// <param name="Kept">True, false, or null when the person said nothing about it.</param>
    /// <param name="Rating">The last one, where nothing was done.</param>
    private sealed record Verdict(Shown Answer, bool? Kept, string Text, bool Edited, IReadOnlyList<Guid> Sources, Feedback? Rating);

    private Verdict Judge(string user, Shown answer, IReadOnlyList<Feedback> said)
    {
        HashSet<Guid> retracted = [];
        List<Feedback> valid = [];
        foreach (Feedback row in said)
        {
            if (row.Metric != Metrics.Retract)
            {
                valid.Add(row);
                continue;
            }
            string value = row.Value.Trim('"');
            retracted.Add(row.Id);
            retracted.UnionWith(valid.Where(earlier => value == "true" || earlier.Id.ToString() == value).Select(earlier => earlier.Id));
        }
        foreach (Feedback row in said.Where(row => retracted.Contains(row.Id))) Drop(user, answer, DropReasons.Retracted, [row.Id]);
        Feedback? rating = JudgesAlone && !valid.Any(row => row.Metric is Metrics.Keep or Metrics.Discard or Metrics.Demonstration && !retracted.Contains(row.Id))
            ? valid.LastOrDefault(row => row.Metric == Metrics.Rating && !retracted.Contains(row.Id))
            : null;
        foreach (Feedback row in valid.Where(row => row.Metric is Metrics.Rating or Metrics.Comment && !retracted.Contains(row.Id) && row != rating))
            Drop(user, answer, rating is not null && row.Metric == Metrics.Rating ? DropReasons.Overridden : DropReasons.NoSignal, [row.Id]);

        // The last act decides; an edit that is then kept stays the text.
        bool? kept = null;
        Feedback? edit = null;
        List<Guid> sources = [];
        foreach (Feedback row in valid.Where(row => row.Metric is Metrics.Keep or Metrics.Discard or Metrics.Demonstration && !retracted.Contains(row.Id)))
        {
            bool replaces = row.Metric == Metrics.Demonstration || (row.Metric == Metrics.Keep ? kept == false : kept is not null);
            if (replaces)
            {
                foreach (Guid earlier in sources) Drop(user, answer, DropReasons.Overridden, [earlier]);
                sources.Clear();
                edit = null;
            }
            kept = row.Metric != Metrics.Discard;
            if (row.Metric == Metrics.Demonstration) edit = row;
            sources.Add(row.Id);
        }
        string original = answer.Text.Trim(), text = edit?.Text.Trim() ?? original;
        if (edit is not null && text == original) Drop(user, answer, DropReasons.SameAsOriginal, [edit.Id]);
        return new(answer, kept, text, Edited: text != original, sources, rating);
    }

    private void Request(string user, IReadOnlyList<Verdict> verdicts)
    {
        List<Verdict> accepted = [];
        foreach (Verdict verdict in verdicts.Where(verdict => verdict.Kept == true))
        {
            if (verdict.Answer.Prompt is null) Drop(user, verdict.Answer, DropReasons.NoConversation, verdict.Sources);
            else if (verdict.Text.Length < rules.MinCharacters) Drop(user, verdict.Answer, DropReasons.TooShort, verdict.Sources);
            else accepted.Add(verdict);
        }
        foreach (Verdict winner in accepted)
        {
            var example = new CuratedExample { Kind = ExampleKind.Supervised, User = user, Prompt = winner.Answer.Prompt, Preferred = winner.Text, GenerationId = winner.Answer.Id, FeedbackIds = winner.Sources };
            rows.Add(rules.Fits(example.Answered) ? example : example with { Drop = DropReasons.TooLong });
            if (winner.Edited) Pair(user, winner, winner with { Text = winner.Answer.Text.Trim(), Sources = [] });
            foreach (Verdict loser in verdicts.Where(verdict => verdict.Kept != true)) Pair(user, winner, loser);
        }
        foreach (Verdict verdict in verdicts) Alone(user, verdict);
        if (accepted.Count > 0 || JudgesAlone) return;
        foreach (Verdict lost in verdicts.Where(verdict => verdict.Kept == false)) Drop(user, lost.Answer, DropReasons.NothingKept, lost.Sources);
    }

    /// <summary>Whether an answer is a row by itself.</summary>
    private bool JudgesAlone => rules.Judged || rules.Sampled is not null;

    /// <summary>What one answer teaches without any other.</summary>
    private void Alone(string user, Verdict verdict)
    {
        double? reward = verdict.Rating is { } rating ? 2 * double.Parse(rating.Value, CultureInfo.InvariantCulture) - 1 : verdict.Kept switch { true when !verdict.Edited => 1, false => -1, _ => null };
        if (!JudgesAlone || reward is null) return;
        var row = new CuratedExample
        {
            Kind = ExampleKind.Judged, User = user, Prompt = verdict.Answer.Prompt, Preferred = verdict.Answer.Text.Trim(), Reward = reward,
            GenerationId = verdict.Answer.Id, FeedbackIds = verdict.Rating is { } rated ? [rated.Id] : verdict.Sources,
        };
        if (row.Prompt is null)
        {
            if (verdict.Kept != true) Drop(user, verdict.Answer, DropReasons.NoConversation, row.FeedbackIds);
            return;
        }
        string? drop = reward == 0 ? DropReasons.NoSignal : !verdict.Answer.Whole ? DropReasons.Unfinished : row.Preferred.Length < rules.MinCharacters ? DropReasons.TooShort : rules.Fits(row.Answered) ? null : DropReasons.TooLong;
        if (rules.Judged) rows.Add(row with { Drop = drop });
        if (rules.Sampled is null) return;
        ServedTokens served = verdict.Answer.Served!;
        rows.Add(row with { Kind = ExampleKind.Sampled, Served = served, Drop = drop ?? (rules.Sampled(row.Prompt).AsSpan().SequenceEqual(served.Prompt) ? null : DropReasons.OtherPrompt) });
    }

    private void Pair(string user, Verdict winner, Verdict loser)
    {
        var pair = new CuratedExample
        {
            Kind = ExampleKind.Preference,
            User = user,
            Prompt = winner.Answer.Prompt,
            Preferred = winner.Text,
            Rejected = loser.Text,
            GenerationId = winner.Answer.Id,
            RejectedId = loser.Answer.Id,
            FeedbackIds = [.. winner.Sources, .. loser.Sources],
        };
        string? drop = loser.Text == winner.Text ? DropReasons.SameText
            : !loser.Answer.Whole ? DropReasons.NotWhole
            : loser.Text.Length < rules.MinCharacters ? DropReasons.TooShort
            : !rules.Fits(pair.Answered) || !rules.Fits(pair.Lost) ? DropReasons.TooLong
            : null;
        rows.Add(pair with { Drop = drop });
    }

    private void Drop(string user, Shown answer, string reason, IReadOnlyList<Guid> sources) =>
        rows.Add(new() { Kind = ExampleKind.Supervised, User = user, GenerationId = answer.Id, FeedbackIds = sources, Drop = reason });
}
