using Flywheel.Loop.Reviews;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>An answer as the person saw it.</summary>
/// <param name="Prompt">Null for a plain completion.</param>
/// <param name="Whole">False when the person stopped it half-way.</param>
public sealed record Shown(Guid Id, Guid Group, int Choice, string User, Conversation? Prompt, string Text, bool Whole)
{
    /// <summary>What went in and came out, token by token; null where nobody asked for it.</summary>
    public ServedTokens? Served { get; init; }

    /// <summary>The user to whom the request's key belonged.</summary>
    public string Owner { get; init; } = "";

    /// <summary>Whether the person agreed that a model may learn from it.</summary>
    public Consent Consent { get; init; }

    /// <summary>Whose answer it is; null of a model of this home.</summary>
    public string? Upstream { get; init; }

    /// <summary>False of an upstream's answer whose licence does not allow to train on it.</summary>
    public bool MayTeach { get; init; } = true;

    public string Workspace { get; init; } = WorkspaceRow.Default;

    /// <summary>False where its workspace keeps to itself what is done there.</summary>
    public bool IsShared { get; init; } = true;

    /// <summary>Why nobody may learn from it, whatever was done with it; null: somebody may.</summary>
    internal string? Barred =>
        !MayTeach ? App == Generation.TranscriptionApp ? DropReasons.NoSound : DropReasons.NoLicence : !IsShared
            ? DropReasons.NotShared : null;

    /// <summary>The application that asked: a task's answer may be one word, or one symbol.</summary>
    public string App { get; init; } = "";
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
    /// <summary>Whether the model has tokens for an answer's symbols.</summary>
    public Func<Conversation, bool> Speaks { get; init; } = _ => true;

    /// <summary>Make rows of answers that were liked or not.</summary>
    public bool Judged { get; init; }

    /// <summary>What people did waits until a reviewer has let it in.</summary>
    public bool RequireReview { get; init; }

    /// <summary>Make rows of answers as they were served; says what a prompt is for the model that learns. Null makes none.</summary>
    public Func<Conversation, int[]>? Sampled { get; init; }
}

/// <summary>A training row with its lineage, or (with <see cref="Drop"/>) the reason why feedback made none.</summary>
public sealed record CuratedExample
{
    public required ExampleKind Kind { get; init; }

    /// <summary>The name that the request stated.</summary>
    public required string User { get; init; }

    /// <summary>The user to whom the request's key belonged; empty without a key, or with one of an application.</summary>
    public string Owner { get; init; } = "";

    /// <summary>Where the answer was given.</summary>
    public string Workspace { get; init; } = WorkspaceRow.Default;

    public FeedbackSource Source { get; init; }

    /// <summary>Who counts as one person: whom a key names, because a stated name can be chosen.</summary>
    public string Person => PersonOf(User, Owner);

    internal static string PersonOf(string user, string owner) => owner.Length > 0 ? owner : user;

    /// <summary>Null only where feedback made no example at all.</summary>
    public Conversation? Prompt { get; init; }

    /// <summary>SHA-256 of the prompt; null where there is none.</summary>
    public string? PromptHash => Prompt is null ? KnownPromptHash : CuratedDataset.HashOf(Prompt);

    /// <summary>Of a row that was read from the record, which has the prompts' hashes only.</summary>
    internal string? KnownPromptHash { get; init; }

    /// <summary>The text that the person kept, or made of it.</summary>
    public string Preferred { get; init; } = "";

    /// <summary>Of a pair: the text that lost.</summary>
    public string? Rejected { get; init; }

    public required Guid GenerationId { get; init; }

    /// <summary>Of a pair: whose text lost; the same generation when an edit is preferred to its original.</summary>
    public Guid? RejectedId { get; init; }

    /// <summary>The reviewer who wrote the preferred text in place of the person's; null where no other person did.</summary>
    public string? Author { get; init; }

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
    public Conversation Answered => Prompt!.WithAnswer(Preferred);

    /// <summary>The conversation that lost.</summary>
    public Conversation Lost => Prompt!.WithAnswer(Rejected!);
}

/// <summary>Why feedback did not become an example.</summary>
public static class DropReasons
{
    public const string Retracted = "taken back",
        Overridden = "replaced by later feedback",
        NoSignal = "rating or comment: kept, not trained on",
        NoConsent = "the person did not agree to it",
        NoLicence = "an upstream's answer: its licence is not known to permit training",
        NotShared = "its workspace does not train the model that all share",
        OtherWorkspace = "said from another workspace than the answer's",
        Simulated = "simulated, and people have spoken",
        Capped = "more than one person's part",
        NoConversation = "plain completion: no conversation",
        NothingKept = "discarded, but nothing was kept beside it",
        TooShort = "too short",
        TooLong = "longer than the model's context",
        NoSymbols = "the model has no tokens for such an answer",
        NoSound = "about a recording: the model reads no sound",
        SameAsOriginal = "edit equals the original: counts as kept",
        SameText = "both texts are the same",
        NotWhole = "the other answer was stopped half-way",
        Unfinished = "stopped half-way: neither liked nor not",
        OtherPrompt = "the model would read the prompt otherwise than the one that answered",
        Duplicate = "duplicate",
        HeldOut = "also held out",
        UsedBefore = "trained on in an earlier turn",
        RejectedByReviewer = "rejected_by_reviewer",
        ReviewersSide = "reviewer_on_the_other_side",
        NotBlind = "not_blind",
        AwaitsReview = "awaits_review",
        ReviewersDisagree = "reviewers_disagree";

    private static readonly Dictionary<string, string> s_codes = new(StringComparer.Ordinal)
    {
        [Retracted] = "retracted", [Overridden] = "replaced", [NoSignal] = "no_signal", [NoConsent] = "no_consent",
        [NoLicence] = "no_licence",
        [NotShared] = "workspace_not_shared", [OtherWorkspace] = "other_workspace",
        [Simulated] = "simulated", [Capped] = "persons_share", [NoConversation] = "no_conversation", [NothingKept] = "nothing_kept",
        [TooShort] = "too_short", [TooLong] = "too_long", [NoSymbols] = "no_symbols", [NoSound] = "no_sound",
        [SameAsOriginal] = "same_as_original", [SameText] = "same_text",
        [NotWhole] = "not_whole", [Unfinished] = "unfinished", [OtherPrompt] = "other_prompt", [Duplicate] = "duplicate",
        [HeldOut] = "held_out",
        [UsedBefore] = "used_before",
    };

    /// <summary>A reason in one word, for programs.</summary>
    public static string CodeOf(string reason) => s_codes.GetValueOrDefault(reason, reason);

    /// <summary>What it is about stays open: a later turn may learn from it, so this one does not note it as seen.</summary>
    public static bool Waits(string? reason) => reason is AwaitsReview or ReviewersDisagree;

    /// <summary>A reviewer, or that there was none, is the reason.</summary>
    public static bool OfReview(string reason) => reason == RejectedByReviewer || Waits(reason);
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
    private readonly ILookup<Guid, Review> reviews;

    /// <summary>Reviews that have had their effect.</summary>
    private readonly HashSet<Guid> heard = [];

    private readonly List<Finding> findings = [];

    private Curator(CurationRules rules, ILookup<Guid, Review> reviews) => (this.rules, this.reviews) = (rules, reviews);

    /// <param name="shown">Every choice of each request that feedback is about.</param>
    /// <param name="feedback">All feedback about them, in the order in which it came; of other generations it is left alone.</param>
    /// <param name="rules">What is made of it.</param>
    /// <returns>Examples and drops, not yet split; each feedback is in at least one of them.</returns>
    public static IReadOnlyList<CuratedExample> Curate(IEnumerable<Shown> shown, IEnumerable<Feedback> feedback, CurationRules rules) =>
        Run(shown, feedback, rules).rows;

    /// <summary>What a reviewer can judge, and what would become of it without one.</summary>
    internal static (IReadOnlyList<Finding> Findings, IReadOnlyList<CuratedExample> Rows) Find(IEnumerable<Shown> shown,
        IEnumerable<Feedback> feedback,
        CurationRules rules)
    {
        Curator curator = Run(shown, feedback, rules);
        return (curator.findings, curator.rows);
    }

    private static Curator Run(IEnumerable<Shown> shown, IEnumerable<Feedback> feedback, CurationRules rules)
    {
        List<Feedback> all = [.. feedback];
        var curator = new Curator(rules, all.Where(row => row.Metric == Metrics.Review).Select(Review.Read).ToLookup(review => review.Of));
        ILookup<Guid, Feedback> of = all.Where(row => row.Metric != Metrics.Review).ToLookup(row => row.GenerationId);
        foreach (IGrouping<Guid, Shown> request in shown.GroupBy(answer => answer.Group))
        {
            List<Shown> choices = [.. request.OrderBy(answer => answer.Choice).ThenBy(answer => answer.Id)];
            // Colleagues may judge the same answers: each one's verdicts are compared with his own only.
            foreach (Shown answer in choices)
                foreach (Feedback row in of[answer.Id].Where(row => row.Workspace != answer.Workspace))
                    curator.Drop(SpeakerOf(answer, row), answer, DropReasons.OtherWorkspace, [row.Id]);
            var bySpeaker = choices
                .SelectMany(answer =>
                    of[answer.Id].Where(row => row.Workspace == answer.Workspace)
                        .Select(row => (Answer: answer, Row: row, Speaker: SpeakerOf(answer, row))))
                .GroupBy(entry => entry.Speaker);
            foreach (var speaker in bySpeaker)
            {
                ILookup<Guid, Feedback> said = speaker.ToLookup(entry => entry.Answer.Id, entry => entry.Row);
                // What must not teach is no example of the worse either.
                foreach (Shown barred in choices.Where(answer => answer.Barred is not null))
                    foreach (Feedback row in said[barred.Id]) curator.Drop(speaker.Key, barred, barred.Barred!, [row.Id]);
                curator.Request(speaker.Key, curator.Reviewed(speaker.Key,
                    [.. choices.Where(answer => answer.Barred is null)
                        .Select(answer => curator.Judge(speaker.Key, answer, [.. said[answer.Id]]))]));
            }
            // Of what was done and is done otherwise by now.
            foreach (Shown answer in choices)
                foreach (Feedback act in of[answer.Id])
                    foreach (Review late in curator.reviews[act.Id].Where(review => !curator.heard.Contains(review.Id)))
                        curator.Drop(SpeakerOf(answer, act), answer, DropReasons.Overridden, [late.Id]);
        }
        return curator;
    }

    /// <summary>Who gave a feedback. Of an unnamed one, the person who had asked.</summary>
    internal sealed record Speaker(string User, string Owner, FeedbackSource Source);

    private static Speaker SpeakerOf(Shown answer, Feedback row) => new(
        row.User.Length > 0 || row.Owner.Length > 0 ? row.User : answer.User, row.Owner.Length > 0 || row.User.Length > 0 ? row.Owner
            : answer.Owner, row.Source);

    /// <summary>What one person in the end thought of one answer.</summary>
    /// <param name="Kept">True, false, or null when the person said nothing about it.</param>
    /// <param name="Opinion">The last one, where nothing was done.</param>
    internal sealed record Verdict(Shown Answer, bool? Kept, string Text, bool Edited, IReadOnlyList<Guid> Sources,
        (Guid Id, double Reward)? Opinion)
    {
        /// <summary>An edit that changed nothing; the answer counts as kept.</summary>
        public Guid? Unchanged { get; init; }

        /// <summary>The reviewer who wrote the text; null where none did.</summary>
        public string? Author { get; init; }
    }

    /// <summary>Whether two texts are the same but for blanks around them and the kind of line break, which a form or a file
    /// changes.</summary>
    internal static bool IsSameText(string one, string other) => Plain(one) == Plain(other);

    private static string Plain(string text) => text.Trim().ReplaceLineEndings("\n");

    /// <summary>What one person in the end did with an answer, among those to the same request.</summary>
    /// <param name="Item">The feedback that decided; null where it is judged together with an answer that was taken.</param>
    internal sealed record Finding(Speaker Speaker, Verdict Verdict, Guid? Item, IReadOnlyList<Verdict> Request, ReviewState State);

    /// <summary>
    /// What reviewers made of it: approved goes on as it is, corrected with the text of the correction, rejected is dropped. What was
    /// thrown
    /// away beside an answer that was taken is judged with that one, unless a reviewer had decided on it before.
    /// </summary>
    private List<Verdict> Reviewed(Speaker speaker, IReadOnlyList<Verdict> verdicts)
    {
        bool waits = rules.RequireReview && FeedbackSourceRules.Of(speaker.Source).IsTaste;
        bool taken = verdicts.Any(verdict => verdict.Kept == true), letIn = false;
        string? why = null;
        List<Verdict> left = [], beside = [];
        foreach (Verdict verdict in verdicts)
        {
            Guid[] acts = [.. verdict.Sources, .. verdict.Opinion is { } opinion ? [opinion.Id] : Array.Empty<Guid>()];
            ReviewState state = ReviewState.Of(acts.SelectMany(id => reviews[id]).OrderBy(review => review.Sequence));
            heard.UnionWith(state.Ids);
            bool isItem = acts.Length > 0 && (!(taken && verdict.Kept == false) || state.Outcome != ReviewOutcome.Open);
            if (acts.Length > 0) findings.Add(new(speaker, verdict, isItem ? acts[^1] : null, verdicts, state));
            if (!isItem)
            {
                (verdict.Kept == false ? beside : left).Add(verdict with { Sources = [.. verdict.Sources, .. state.Ids] });
                continue;
            }
            string? drop = state.Outcome switch
            {
                ReviewOutcome.Rejected => DropReasons.RejectedByReviewer,
                ReviewOutcome.Disputed => DropReasons.ReviewersDisagree,
                ReviewOutcome.Open when waits => DropReasons.AwaitsReview,
                _ => null,
            };
            if (drop is not null)
            {
                Drop(speaker, verdict.Answer, drop, [.. acts, .. state.Ids]);
                if (verdict.Kept == true) why ??= drop;
                continue;
            }
            letIn |= verdict.Kept == true;
            left.Add(state.Outcome == ReviewOutcome.Corrected && !IsSameText(state.Text!, verdict.Text)
                ? Corrected(speaker, verdict, state, acts)
                : verdict with { Sources = [.. verdict.Sources, .. state.Ids] });
        }
        if (!waits || !taken || letIn) left.AddRange(beside);
        else foreach (Verdict verdict in beside) Drop(speaker, verdict.Answer, why!, verdict.Sources);
        return [.. left.OrderBy(verdict => verdict.Answer.Choice).ThenBy(verdict => verdict.Answer.Id)];
    }

    private static Verdict Corrected(Speaker speaker, Verdict verdict, ReviewState state, Guid[] acts)
    {
        string original = verdict.Answer.Text.Trim(), text = IsSameText(state.Text!, original) ? original : state.Text!.Trim();
        string author = state.Standing.Last(review => review.Act == ReviewAct.Correct).Reviewer;
        return new(verdict.Answer, true, text, text != original, [.. acts, .. state.Ids], null)
        {
            Author = author.Length > 0 && text != original && author != CuratedExample.PersonOf(speaker.User, speaker.Owner)
                ? author : null,
        };
    }

    private Verdict Judge(Speaker speaker, Shown answer, IReadOnlyList<Feedback> said)
    {
        if (answer.Consent == Consent.Refused)
        {
            foreach (Feedback row in said) Drop(speaker, answer, DropReasons.NoConsent, [row.Id]);
            return new(answer, null, answer.Text.Trim(), Edited: false, [], null);
        }
        List<(Guid Id, FeedbackEffect Effect)> valid = [];
        HashSet<Guid> retracted = [];
        foreach (Feedback row in said)
        {
            FeedbackEffect effect = FeedbackKind.Named(row.Metric).Effect(row);
            if (effect is FeedbackEffect.Act or FeedbackEffect.Judgement && answer.App == ArenaResults.App && !ArenaResults.IsChoice(row))
            {
                // Only the round's own choice was made before it was said who wrote what.
                Drop(speaker, answer, DropReasons.NotBlind, [row.Id]);
                continue;
            }
            if (effect is not FeedbackEffect.TakeBack back)
            {
                valid.Add((row.Id, effect));
                continue;
            }
            retracted.Add(row.Id);
            retracted.UnionWith(valid.Select(earlier => earlier.Id).Where(id => back.Only is null || id == back.Only));
        }
        foreach (Feedback row in said.Where(row => retracted.Contains(row.Id))) Drop(speaker, answer, DropReasons.Retracted, [row.Id]);
        valid.RemoveAll(row => retracted.Contains(row.Id));

        List<(Guid Id, FeedbackEffect.Act Act)> acts = [.. valid.Where(row => row.Effect is FeedbackEffect.Act)
            .Select(row => (row.Id, (FeedbackEffect.Act)row.Effect))];
        (Guid Id, double Reward)? opinion = null;
        if (JudgesAlone && acts.Count == 0)
            opinion = valid.Where(row => row.Effect is FeedbackEffect.Judgement)
                .Select(row => ((Guid, double)?)(row.Id, ((FeedbackEffect.Judgement)row.Effect).Reward)).LastOrDefault();
        foreach ((Guid id, FeedbackEffect effect) in valid.Where(row => row.Effect is not FeedbackEffect.Act && row.Id != opinion?.Id))
            Drop(speaker, answer, opinion is not null && effect is FeedbackEffect.Judgement ? DropReasons.Overridden
                : DropReasons.NoSignal, [id]);
        return Done(speaker, answer, acts, opinion);
    }

    /// <summary>The last act decides; an edit that is then kept stays the text.</summary>
    private Verdict Done(Speaker speaker, Shown answer, List<(Guid Id, FeedbackEffect.Act Act)> acts, (Guid Id, double Reward)? opinion)
    {
        bool? kept = null;
        (Guid Id, string Text)? edit = null;
        List<Guid> sources = [];
        foreach ((Guid id, FeedbackEffect.Act act) in acts)
        {
            if (act.Text is not null || (act.Kept ? kept == false : kept is not null))
            {
                foreach (Guid earlier in sources) Drop(speaker, answer, DropReasons.Overridden, [earlier]);
                sources.Clear();
                edit = null;
            }
            kept = act.Kept;
            if (act.Text is { } written) edit = (id, written);
            sources.Add(id);
        }
        string original = answer.Text.Trim(), text = edit is null || IsSameText(edit.Value.Text, original)
            ? original : edit.Value.Text.Trim();
        return new(answer, kept, text, Edited: text != original, sources, opinion) { Unchanged = text == original ? edit?.Id : null };
    }

    private void Request(Speaker speaker, IReadOnlyList<Verdict> verdicts)
    {
        List<Verdict> accepted = [];
        // Said here and not where it is found: what waits for a reviewer is not noted as looked at.
        foreach (Verdict verdict in verdicts)
            if (verdict.Unchanged is { } same) Drop(speaker, verdict.Answer, DropReasons.SameAsOriginal, [same]);
        foreach (Verdict verdict in verdicts.Where(verdict => verdict.Kept == true))
        {
            if (verdict.Answer.Prompt is null) Drop(speaker, verdict.Answer, DropReasons.NoConversation, verdict.Sources);
            else if (verdict.Text.Length < MinCharacters(verdict.Answer))
                Drop(speaker, verdict.Answer, DropReasons.TooShort, verdict.Sources);
            else accepted.Add(verdict);
        }
        foreach (Verdict winner in accepted)
        {
            var example = new CuratedExample
            {
                Kind = ExampleKind.Supervised, User = speaker.User, Owner = speaker.Owner, Source = speaker.Source,
                    Prompt = winner.Answer.Prompt,
                Preferred = winner.Text, GenerationId = winner.Answer.Id, Workspace = winner.Answer.Workspace, FeedbackIds = winner.Sources,
                Author = winner.Author,
            };
            rows.Add(!rules.Speaks(example.Answered) ? example with { Drop = DropReasons.NoSymbols }
                : rules.Fits(example.Answered) ? example : example with { Drop = DropReasons.TooLong });
            // A text without a draft before it is preferred to nothing.
            if (winner.Edited && winner.Answer.Text.Trim().Length > 0)
                Pair(speaker, winner, winner with { Text = winner.Answer.Text.Trim(), Sources = [] });
            foreach (Verdict loser in verdicts.Where(verdict => verdict.Kept != true)) Pair(speaker, winner, loser);
        }
        foreach (Verdict verdict in verdicts) Alone(speaker, verdict);
        if (accepted.Count > 0 || JudgesAlone) return;
        foreach (Verdict lost in verdicts.Where(verdict => verdict.Kept == false)) Drop(speaker, lost.Answer, DropReasons.NothingKept,
            lost.Sources);
    }

    /// <summary>Whether an answer is a row by itself.</summary>
    private bool JudgesAlone => rules.Judged || rules.Sampled is not null;

    /// <summary>What one answer teaches without any other.</summary>
    private void Alone(Speaker speaker, Verdict verdict)
    {
        double? reward = verdict.Opinion?.Reward ?? verdict.Kept switch { true when !verdict.Edited => 1, false => -1, _ => null };
        if (!JudgesAlone || reward is null) return;
        var row = new CuratedExample
        {
            Kind = ExampleKind.Judged, User = speaker.User, Owner = speaker.Owner, Source = speaker.Source, Prompt = verdict.Answer.Prompt,
            Preferred = verdict.Answer.Text.Trim(), Reward = reward,
            GenerationId = verdict.Answer.Id, Workspace = verdict.Answer.Workspace,
            FeedbackIds = verdict.Opinion is { } opinion ? [opinion.Id, .. verdict.Sources] : verdict.Sources,
        };
        if (row.Prompt is null)
        {
            if (verdict.Kept != true) Drop(speaker, verdict.Answer, DropReasons.NoConversation, row.FeedbackIds);
            return;
        }
        string? drop = reward == 0 ? DropReasons.NoSignal : !verdict.Answer.Whole ? DropReasons.Unfinished
            : row.Preferred.Length < MinCharacters(verdict.Answer) ? DropReasons.TooShort : rules.Fits(row.Answered)
            ? null : DropReasons.TooLong;
        if (rules.Judged) rows.Add(row with { Drop = drop });
        if (rules.Sampled is null) return;
        ServedTokens served = verdict.Answer.Served!;
        rows.Add(row with { Kind = ExampleKind.Sampled, Served = served, Drop = drop
            ?? (rules.Sampled(row.Prompt).AsSpan().SequenceEqual(served.Prompt) ? null : DropReasons.OtherPrompt) });
    }

    private void Pair(Speaker speaker, Verdict winner, Verdict loser)
    {
        var pair = new CuratedExample
        {
            Kind = ExampleKind.Preference,
            User = speaker.User,
            Owner = speaker.Owner,
            Source = speaker.Source,
            Prompt = winner.Answer.Prompt,
            Preferred = winner.Text,
            Rejected = loser.Text,
            GenerationId = winner.Answer.Id, Workspace = winner.Answer.Workspace,
            RejectedId = loser.Answer.Id,
            FeedbackIds = [.. winner.Sources, .. loser.Sources],
            Author = winner.Author,
        };
        string? drop = IsSameText(loser.Text, winner.Text) ? DropReasons.SameText
            : !loser.Answer.Whole ? DropReasons.NotWhole
            : loser.Text.Length < MinCharacters(loser.Answer) ? DropReasons.TooShort
            : !rules.Fits(pair.Answered) || !rules.Fits(pair.Lost) ? DropReasons.TooLong
            : null;
        rows.Add(pair with { Drop = drop });
    }

    private int MinCharacters(Shown answer) =>
        answer.App.StartsWith(Generation.TaskApp, StringComparison.Ordinal) ? 1 : rules.MinCharacters;

    private void Drop(Speaker speaker, Shown answer, string reason, IReadOnlyList<Guid> sources) =>
        rows.Add(new()
        {
            Kind = ExampleKind.Supervised, User = speaker.User, Owner = speaker.Owner, Source = speaker.Source,
            GenerationId = answer.Id, Workspace = answer.Workspace, FeedbackIds = sources, Drop = reason,
        });
}
