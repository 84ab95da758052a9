using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Voice;
using Microsoft.AspNetCore.Components;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>Shorter texts beside the lines of the page that are too long at the greatest speed.</summary>
public sealed partial class VoiceProjectPage
{
    /// <summary>By the line's id: what was asked, and what is offered.</summary>
    private readonly Dictionary<string, (OverlongLine Asked, IReadOnlyList<ShorterOffer> Offers)> _offers = [];

    [Inject] private LineShortener Shortener { get; set; } = null!;

    private TranscriptCaller Caller => new(Visit.Person, "", Visit.Workspace);

    private IReadOnlyList<ShorterOffer> OffersOf(int number) =>
        OverlongAt(number) is { } line && _offers.TryGetValue(line.Line.Id, out var known) && IsSame(known.Asked, line) ? known.Offers : [];

    /// <summary>Null where the line fits at the greatest speed, or is not spoken from its text.</summary>
    private OverlongLine? OverlongAt(int number)
    {
        VoiceLine line = _project!.Lines[number];
        if (line.IsMarkup || line.Take is not null || OverOf(number) is not (> 0 and var over)) return null;
        double seconds = SecondsOf(line)!.Value, available = Math.Max(.05, seconds - over);
        return seconds > Renderer.MaxSpeed * available ? new OverlongLine(line, seconds, available, text => Predicted(line, text)) : null;
    }

    /// <summary>Finds what is offered for the lines of the page for which that is not known yet.</summary>
    /// <param name="asked">Of the look that it belongs to.</param>
    private async Task OfferAsync(int asked)
    {
        OverlongLine[] lines = [.. Enumerable.Range(_first, Math.Min(PageSize, _project!.Lines.Count - _first)).Select(OverlongAt)
            .OfType<OverlongLine>().Where(line => !_offers.TryGetValue(line.Line.Id, out var known) || !IsSame(known.Asked, line))];
        var offers = await Shortener.OfferAsync(_project, lines, Caller, _gone.Token);
        if (asked != _asked) return; // it was changed meanwhile
        foreach (OverlongLine line in lines) _offers[line.Line.Id] = (line, offers[line.Line.Id]);
    }

    /// <summary>What is offered follows from the same.</summary>
    private static bool IsSame(OverlongLine one, OverlongLine other) => one.Line.Text == other.Line.Text
        && one.Line.Source == other.Line.Source && one.Line.Alternates.SequenceEqual(other.Line.Alternates)
        && (one.Seconds, one.Available) == (other.Seconds, other.Available);

    /// <summary>An offered text stands for the line from now on; undo takes that back from the record, too.</summary>
    private async Task ShortenAsync(Guid id, int number, ShorterOffer offer)
    {
        if (OverlongAt(number) is not { } line) return;
        VoiceProject before = _project!;
        await ChangeAsync(project => project.Line(line.Line.Id) is var now && now.Text == line.Line.Text
            ? project.With(now.WithText(offer.Text)) : throw new FlywheelException(Words["voice.text-changed"]), of: id);
        if (_problem is not null) return;
        Guid suggestion = await Shortener.TakenAsync(id, before, line, offer, Caller);
        if (id == _shown && _undo.TryPop(out UndoStep? step)) _undo.Push(step with { Suggestion = suggestion });
    }
}
