using System.Security.Cryptography;
using Flywheel.Voice;

namespace Flywheel.Cli.Bench;

/// <summary>What became of a dub.</summary>
/// <param name="Lines">Spoken.</param>
/// <param name="Minutes">Of English time.</param>
/// <param name="Overlaps">Lines that begin before the one before has ended.</param>
/// <param name="DriftMs">By which the last line ends after its time.</param>
/// <param name="ShareAbove">Of lines that would need more than 1.2.</param>
/// <param name="Shortened">Lines of which a shorter text is spoken.</param>
/// <param name="Faster">Lines that are spoken faster than naturally.</param>
/// <param name="WorstOver">Seconds.</param>
/// <param name="IsSame">Rendered again from nothing, the file has the same bytes.</param>
internal sealed record DubFigures(int Lines, double Minutes, int Overlaps, double DriftMs, double ShareAbove, int Shortened, int Faster,
    double WorstOver, bool IsSame);

/// <summary>Prompts of four languages at the times at which the English ones are said, one after another.</summary>
internal static class DubBenchmark
{
    private static readonly TimeSpan s_gap = TimeSpan.FromMilliseconds(350);

    public static IReadOnlyList<(string Language, string Voice)> Voices { get; } =
        [("es", "espeak:es-419"), ("fr", "espeak:fr-fr"), ("it", "espeak:it"), ("it", "festival:lp_diphone"), ("ru", "espeak:ru"),
            ("ru", "festival:msu_ru_nsh_clunits")];

    public static async Task<DubFigures> RunAsync(Prompts prompts, SpeechEngines engines, string language, string voice, bool withShorter,
        double minutes, CancellationToken cancellation)
    {
        VoiceProject project = Project(prompts, language, voice, withShorter, minutes);
        string folder = Directory.CreateTempSubdirectory("flywheel-dub-").FullName;
        try
        {
            RenderReport? report = null;
            var hashes = new HashSet<string>();
            foreach (string name in new[] { "a", "b" })
            {
                string wav = Path.Combine(folder, $"{name}.wav");
                report = await new Renderer(engines, new SegmentCache(Path.Combine(folder, name))).RenderAsync(project, wav,
                    cancellation: cancellation);
                await using FileStream sound = File.OpenRead(wav);
                hashes.Add(Convert.ToHexString(await SHA256.HashDataAsync(sound, cancellation)));
            }
            FitSummary fit = report!.Fit!;
            return new DubFigures(report.NumLines, project.Lines[^1].End!.Value.TotalMinutes,
                Enumerable.Range(1, report.Lines.Count - 1).Count(i => report.Lines[i].Start < report.Lines[i - 1].End),
                1000 * fit.EndDrift, fit.ShareAbove, fit.NumShortened, fit.NumFaster, fit.LargestOverrun, hashes.Count == 1);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Those of two words or more that all five languages have, in the order of their ids, again from the first until the time is
    /// full.</summary>
    private static VoiceProject Project(Prompts prompts, string language, string voice, bool withShorter, double minutes)
    {
        Dictionary<string, IReadOnlyDictionary<string, string>> texts = Prompts.Languages.ToDictionary(each => each, prompts.Texts);
        string[] ids =
            [.. texts["en"].Keys
                .Where(id =>
                    Prompts.Languages.All(each => texts[each].TryGetValue(id, out string? text)
                        && text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length >= 2) && prompts.Sound("en", id) is not null)
                        .Order(StringComparer.Ordinal)];
        TimeSpan[] lengths = [.. ids.Select(id => prompts.Sound("en", id)!.Trim().Duration)];
        var lines = new List<VoiceLine>();
        TimeSpan at = TimeSpan.Zero;
        for (int i = 0; at.TotalMinutes < minutes; i++)
        {
            string text = texts[language][ids[i % ids.Length]];
            TimeSpan end = TimeSpan.FromMilliseconds(Math.Round((at + lengths[i % ids.Length]).TotalMilliseconds));
            lines.Add(new VoiceLine { Id = $"{i + 1}", Start = at, End = end, Text = text,
                Alternates = withShorter && ShorterText.ByRule(text, language) is { } shorter ? [shorter] : [] });
            at = end + s_gap;
        }
        return new VoiceProject { Language = language, Voice = new() { Voice = voice }, Lines = lines };
    }
}
