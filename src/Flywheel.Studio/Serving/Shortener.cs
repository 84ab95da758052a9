using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Voice;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Serving;

/// <summary>A line that takes too long to say.</summary>
/// <param name="Text">As it stands.</param>
/// <param name="Language">Of the text.</param>
/// <param name="MaxLetters">Of a text that would fit.</param>
internal sealed record LongLine(string Text, string Language, int MaxLetters)
{
    /// <summary>How long a text takes to say, in seconds; null: it is told by its letters.</summary>
    public Func<string, double>? Predict { get; init; }

    /// <summary>Terms of the glossary that must stay.</summary>
    public IReadOnlyList<string> Kept { get; init; } = [];
}

/// <param name="Id">In the record: what becomes of it is feedback about this.</param>
/// <param name="Text">Shorter than the line, with its numbers, names and terms.</param>
/// <param name="Origin"><c>people</c>, <c>model</c> or <c>rule</c>.</param>
/// <param name="Seconds">Predicted; null where nothing is known of the voice.</param>
/// <param name="Fits">It is short enough.</param>
internal sealed record ShorterSuggestion(Guid Id, string Text, string Origin, double? Seconds, bool Fits);

/// <summary>A shorter text that is not in the record yet, or a model's, which is.</summary>
/// <param name="Text">Shorter than the line, with its numbers, names and terms.</param>
/// <param name="Origin"><c>project</c>, <c>people</c>, <c>memory</c>, <c>model</c> or <c>rule</c>.</param>
/// <param name="Seconds">Predicted; null where nothing is known of the voice.</param>
/// <param name="Fits">It is short enough.</param>
/// <param name="Id">Of a model's, in the record.</param>
/// <param name="Wrote">The feedback by which somebody wrote it, so that it goes when they are forgotten.</param>
public sealed record ShorterOffer(string Text, string Origin, double? Seconds, bool Fits, Guid? Id, Guid? Wrote);

/// <summary>What people made of lines of a language, as it stood when it was read.</summary>
internal sealed class PeoplesTexts
{
    private readonly ILookup<string, Demonstrated> _byLine;

    /// <param name="texts">Each with the line that it shortens, the latest first.</param>
    public PeoplesTexts(IEnumerable<(string Line, Demonstrated Text)> texts) =>
        _byLine = texts.ToLookup(one => one.Line, one => one.Text, StringComparer.Ordinal);

    /// <summary>Of a line, each text once, the latest first, with the feedback that wrote it.</summary>
    public IReadOnlyList<(string Text, Guid Feedback)> Of(string line, int count) =>
        [.. _byLine[line.Trim()].Select(one => (Text: one.Text.Trim(), one.Id)).DistinctBy(one => one.Text).Take(count)];
}

/// <param name="Suggestions">Those that fit first, the longest of them before the others: it says the most.</param>
/// <param name="Note">Why no model was asked; null where one was.</param>
/// <param name="Refused">What was offered and is not shown, and why.</param>
internal sealed record ShorterAnswer(IReadOnlyList<ShorterSuggestion> Suggestions, string? Note, IReadOnlyList<string> Refused);

/// <summary>
/// Shorter texts for lines that do not fit their times: what people made of the same line, what a model writes that can be asked, what
/// rules know. Each is a suggestion in the
/// record, to be taken, edited or refused; none changes a line by itself.
/// </summary>
internal sealed class Shortener(FlywheelStore store, Generator generator, TimeProvider time)
{
    /// <summary>The served model, and rules alone, as requests name them; else an upstream's name.</summary>
    public const string Model = "model", Rules = "rules";

    private const int NumCandidates = 4, MaxPeople = 5, MaxRead = 2000;

    /// <param name="line">The line.</param>
    /// <param name="people">What people made of lines of its language.</param>
    /// <param name="who">Who is asked beside people and rules.</param>
    /// <param name="caller">Who asks.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">There is no such upstream.</exception>
    public async Task<ShorterAnswer> SuggestAsync(LongLine line, PeoplesTexts people, string who, TranscriptCaller caller,
        CancellationToken cancellation)
    {
        List<(string Text, string Origin, Guid? Id, Guid? Wrote)> offered = [.. OfPeople(line, people)];
        string? note = null;
        if (who != Rules)
        {
            Upstream? upstream = who == Model
                ? null : generator.Rollouts.Upstreams.Find(who)
                    ?? throw new FlywheelException($"field 'shorten' is '{who}', expected {Rules}, {Model} or the name of an upstream");
            note = upstream is null ? CannotAsk(generator.Host.Current) : null;
            if (note is null)
                offered.AddRange((await AskAsync(line, upstream, caller, cancellation)).Select(choice =>
                    (choice.Text, "model", (Guid?)choice.Id, (Guid?)null)));
        }
        (IReadOnlyList<ShorterOffer> good, IReadOnlyList<string> refused) = Ranked(line, [.. offered, .. ByRule(line)]);
        var suggestions = new List<ShorterSuggestion>();
        foreach (ShorterOffer one in good)
            suggestions.Add(new ShorterSuggestion(await RecordAsync(line, one, caller), one.Text, one.Origin, one.Seconds, one.Fits));
        return new ShorterAnswer(suggestions, note, refused);
    }

    /// <summary>What is there without asking a model, in the same order: nothing of it is recorded before it is taken.</summary>
    /// <param name="line">The line.</param>
    /// <param name="people">What people made of lines of its language.</param>
    /// <param name="others">Further texts, each with where it is from.</param>
    public static IReadOnlyList<ShorterOffer> Offer(LongLine line, PeoplesTexts people, IEnumerable<(string Text, string Origin)> others) =>
        Ranked(line, [.. others.Select(one => (one.Text, one.Origin, (Guid?)null, (Guid?)null)), .. OfPeople(line, people),
            .. ByRule(line)]).Offers;

    private static IEnumerable<(string, string, Guid?, Guid?)> OfPeople(LongLine line, PeoplesTexts people) =>
        people.Of(line.Text, MaxPeople).Select(one => (one.Text, "people", (Guid?)null, (Guid?)one.Feedback));

    private static IEnumerable<(string, string, Guid?, Guid?)> ByRule(LongLine line)
    {
        if (ShorterText.ByRule(line.Text, line.Language) is { } text) yield return (text, "rule", null, null);
    }

    private static (IReadOnlyList<ShorterOffer> Offers, IReadOnlyList<string> Refused) Ranked(LongLine line,
        IReadOnlyList<(string Text, string Origin, Guid? Id, Guid? Wrote)> offered)
    {
        var good = new List<ShorterOffer>();
        var refused = new List<string>();
        foreach ((string text, string origin, Guid? id, Guid? wrote) in offered.DistinctBy(each => each.Text))
        {
            if (ShorterText.Fault(line.Text, text, line.Kept) is { } fault)
            {
                refused.Add($"{origin}: {Shown(text)}: {fault}");
                continue;
            }
            double? seconds = line.Predict?.Invoke(text);
            bool fits = seconds is { } predicted && line.Predict is not null
                ? predicted <= line.Predict(line.Text) * line.MaxLetters / line.Text.Length : text.Length <= line.MaxLetters;
            good.Add(new ShorterOffer(text, origin, seconds, fits, id, wrote));
        }
        double Length(ShorterOffer one) => one.Seconds ?? one.Text.Length;
        return ([.. good.Where(one => one.Fits).OrderByDescending(Length), .. good.Where(one => !one.Fits).OrderBy(Length)], refused);
    }

    /// <summary>Models from elsewhere follow orders; what was trained here does what it was taught, and only what a turn taught of this
    /// kind would be known to it.</summary>
    private static string? CannotAsk(ServedModel model) => !model.HasTemplate ? $"the model {model.Name} cannot be talked to"
        : model.Folder.Manifest.Run is not null
        ? $"the model {model.Name} was trained here and was not taught to shorten lines; an imported model or an upstream can be asked" : null;

    private async Task<IReadOnlyList<Choice>> AskAsync(LongLine line, Upstream? upstream, TranscriptCaller caller,
        CancellationToken cancellation)
    {
        Conversation ask = Asked(line);
        int most = 24 + line.Text.Length; // tokens: no text is longer than one for each letter
        await using GenerationGroup group = generator.StartChat(model =>
        {
            int[] prompt = model.Template.Prompt(ask, time.GetLocalNow());
            return Order([prompt], model.Defaults with { Temperature = .7f, Seed = generator.DrawSeed() },
                Math.Min(most, model.Folder.Config.MaxPositions - prompt.Length));
        }, () =>
        {
            JsonObject body = ask.ToJson();
            (body["temperature"], body["max_tokens"]) = (.7, most);
            return (body, Order([[]], new SamplerOptions { Temperature = .7f }, most));
        }, fitsUpstream: true, upstream, caller.User, cancellation);
        await foreach (ChoiceEvent _ in group.Events) { } // ends recorded
        cancellation.ThrowIfCancellationRequested();
        return [.. group.Choices];

        GenerationOrder Order(IReadOnlyList<int[]> prompts, SamplerOptions sampler, int tokens) => new()
        {
            Conversation = ask, Prompts = prompts, NumChoices = NumCandidates, Sampler = sampler, MaxTokens = tokens, User = caller.User,
            Owner = caller.Owner, App = VoiceRecord.App,
        };
    }

    /// <summary>What people made of lines of a language. Read once for many lines: each has its whole question.</summary>
    public async Task<PeoplesTexts> PeoplesAsync(string language, TranscriptCaller caller, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.Tables();
        IReadOnlyList<Demonstrated> texts = await Demonstrations.StandingAsync(db,
            db.Generations.Where(row => row.App == VoiceRecord.App && row.Payload != null), caller.Workspace, user: null, MaxRead,
            cancellation);
        var asked = new Dictionary<Guid, string>();
        foreach (Guid[] ids in texts.Select(text => text.GenerationId).Distinct().Chunk(500))
            foreach (var row in await db.Generations.AsNoTracking().Where(row => ids.Contains(row.Id))
                .Select(row => new { row.Id, row.Payload!.Conversation }).ToListAsync(cancellation))
                if (row.Conversation?.Messages[^1].Text is { } said) asked[row.Id] = said;
        // The line ends the question, behind the number of letters.
        string begins = VoiceRecord.AskShorter(language, 0, "").Messages[^1].Text.Split(" 0 ")[0];
        return new(
            texts.Where(text => asked.TryGetValue(text.GenerationId, out string? said) && said.StartsWith(begins, StringComparison.Ordinal)
                && said.Contains('\n', StringComparison.Ordinal))
            .Select(text => (asked[text.GenerationId].Split('\n', 2)[1].Trim(), text)));
    }

    private static Conversation Asked(LongLine line) => VoiceRecord.AskShorter(line.Language, line.MaxLetters, line.Text);

    /// <summary>Puts an offer into the record; what becomes of it is feedback about the id. A model's is there already.</summary>
    /// <param name="line">What was asked.</param>
    /// <param name="offer">What is offered.</param>
    /// <param name="caller">To whom.</param>
    public async Task<Guid> RecordAsync(LongLine line, ShorterOffer offer, TranscriptCaller caller)
    {
        if (offer.Id is { } known) return known;
        DateTimeOffset now = time.GetUtcNow();
        var id = Guid.CreateVersion7(now);
        await store.RecordAsync(new Generation
        {
            Id = id, Group = id, Time = now, App = VoiceRecord.App, User = caller.User, Owner = caller.Owner, Workspace = caller.Workspace,
            ModelHash = "", FinishReason = FinishReason.Stop,
            PromptExamples = offer.Wrote is { } by ? [new PromptExample { GenerationId = id, Place = 0, FeedbackId = by }] : [],
            Payload = new GenerationPayload { GenerationId = id, Conversation = Asked(line), Text = offer.Text, PromptTokens = [],
                Tokens = [], Logprobs = [], SamplerLogprobs = [], Sampler = new SamplerOptions() },
        });
        return id;
    }

    private static string Shown(string text) => text.Length <= 60 ? text : text[..60] + "…";
}
