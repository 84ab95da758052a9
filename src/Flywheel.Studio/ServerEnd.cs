namespace Flywheel.Studio;

/// <summary>How a server ended.</summary>
/// <param name="NumEnded">Answers that ran when it was told to stop and were finished.</param>
/// <param name="NumCut">Answers that were cut when the time was over; they are recorded as cancelled, with the tokens that they
/// had.</param>
/// <param name="DrainTime">That time.</param>
public sealed record ServerEnd(int NumEnded, int NumCut, TimeSpan DrainTime)
{
    public override string ToString() => (NumEnded, NumCut) switch
    {
        (0, 0) => "No answer was running; everything is recorded.",
        (_, 0) => $"{Answers(NumEnded)} still ran and {(NumEnded == 1 ? "was" : "were")} finished; everything is recorded.",
        (0, _) =>
            $"{Answers(NumCut)} did not end within {DrainTime.TotalSeconds:0} seconds and {(NumCut == 1 ? "was" : "were")} cut; what there was of {(NumCut == 1 ? "it" : "them")} is recorded as cancelled.",
        _ => $"{Answers(NumEnded)} still ran and {(NumEnded == 1 ? "was" : "were")} finished; {NumCut} did not end within {DrainTime.TotalSeconds:0} seconds and {(NumCut == 1 ? "was" : "were")} cut. Everything is recorded, what was cut as cancelled.",
    };

    private static string Answers(int count) => count == 1 ? "1 answer" : $"{count} answers";
}
