using Flywheel.Loop.Translation;
using Flywheel.Studio.Serving;
using Flywheel.Voice;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>A line of a project that is longer than its time.</summary>
/// <param name="Line">As it stands.</param>
/// <param name="Seconds">That it takes.</param>
/// <param name="Available">That it may take.</param>
/// <param name="Predict">Seconds that another text would take; null where nothing is known of the voice.</param>
internal sealed record OverlongLine(VoiceLine Line, double Seconds, double Available, Func<string, double?> Predict)
{
    /// <summary>As it is asked about. Of a voice of which nothing is known, letters are told by what the line itself takes.</summary>
    /// <param name="language">Of its text.</param>
    /// <param name="kept">Terms that must stay.</param>
    public LongLine Asked(string language, IReadOnlyList<string> kept)
    {
        string text = Line.Text.Trim();
        double scale = Seconds / (Predict(text) ?? text.Length); // what was heard counts for the line's own words
        return new LongLine(text, language, Math.Max(1, (int)(text.Length * Available / Seconds)))
        {
            Predict = other => scale * (Predict(other) ?? other.Length), Kept = kept,
        };
    }
}

/// <summary>
/// Shorter texts beside the lines that do not fit their times: those that the project has, what people made of the same line, shorter
/// translations of the memory, what rules know. One that is taken is recorded as kept.
/// </summary>
internal sealed class LineShortener(Shortener shortener, TranslationMemory memory, Glossary glossary, VoiceRecord record)
{
    private const int NumMatches = 5;

    /// <summary>Of each line the texts that are offered, those that fit first and the longest of them before the others.</summary>
    public async Task<IReadOnlyDictionary<string, IReadOnlyList<ShorterOffer>>> OfferAsync(VoiceProject project,
        IReadOnlyList<OverlongLine> lines, TranscriptCaller caller, CancellationToken cancellation = default)
    {
        var offers = new Dictionary<string, IReadOnlyList<ShorterOffer>>();
        if (lines.Count == 0) return offers;
        PeoplesTexts people = await shortener.PeoplesAsync(project.Language, caller, cancellation);
        LanguagePair? pair = PairOf(project, caller);
        IReadOnlyList<IReadOnlyList<MemoryMatch>>? matches = pair is null ? null : await memory.FindAsync(pair, caller.User,
            [.. lines.Select(each => new MemoryQuery(each.Line.Source ?? ""))], NumMatches, cancellation: cancellation);
        TermList? terms = pair is null ? null : await glossary.ListAsync(pair, cancellation);
        foreach ((int i, OverlongLine each) in lines.Index())
            offers[each.Line.Id] = Shortener.Offer(each.Asked(project.Language, Kept(terms, each.Line)), people,
                [.. each.Line.Alternates.Select(text => (text.Trim(), "project")),
                    .. matches?[i].Select(match => (match.Unit.Target.Trim(), "memory")) ?? []]);
        return offers;
    }

    /// <summary>A person put an offered text in the place of a line's.</summary>
    /// <returns>What it is in the record, by which it can be <see cref="VoiceRecord.TakenBackAsync">taken back</see>.</returns>
    public async Task<Guid> TakenAsync(Guid id, VoiceProject project, OverlongLine line, ShorterOffer offer, TranscriptCaller caller)
    {
        TermList? terms = PairOf(project, caller) is { } pair ? await glossary.ListAsync(pair) : null;
        Guid suggestion = await shortener.RecordAsync(line.Asked(project.Language, Kept(terms, line.Line)), offer, caller);
        await record.TakenAsync(caller.User, suggestion, id, line.Line.Id);
        return suggestion;
    }

    private static LanguagePair? PairOf(VoiceProject project, TranscriptCaller caller) => project.SourceLanguage is { } from
        ? new LanguagePair(caller.Workspace, DubTranslation.TagOf(from), DubTranslation.TagOf(project.Language)) : null;

    private static string[] Kept(TermList? terms, VoiceLine line) =>
        terms is null || line.Source is null ? [] : [.. terms.Find(line.Source).Select(found => found.Term.Target)];
}
