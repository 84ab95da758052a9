using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>A voice project in another language: memory and glossary first, then an engine.</summary>
public static class DubTranslation
{
    /// <summary>The translator's name of a language: <c>en</c> of <c>en-us</c>.</summary>
    public static string TagOf(string language) => Language.Find(language)?.Tag ?? language.Split('-')[0];

    /// <param name="project">Its texts are translated; they stay beside the translations as sources.</param>
    /// <param name="to">BCP 47 tag.</param>
    /// <param name="translator">Who translates.</param>
    /// <param name="pair">The languages and whose memory.</param>
    /// <param name="engine">Drafts what the memory does not have; null: memory alone.</param>
    /// <param name="caller">For whom.</param>
    /// <param name="note">Told what the check of a line finds.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">A line that nobody could translate, or is markup.</exception>
    public static async Task<VoiceProject> TranslateAsync(VoiceProject project, string to, Translator translator, LanguagePair pair,
        string? engine, DraftCaller caller, Action<string> note, CancellationToken cancellation)
    {
        if (project.Lines.FirstOrDefault(line => line.IsMarkup) is { } markup)
            throw new FlywheelException($"line '{markup.Id}' is markup, which is not translated; expected text");
        IReadOnlyList<TranslatedSegment> translated =
            await translator.TranslateAsync(new TranslationOrder { Segments = [.. project.Lines.Select(line => line.Text)], Pair = pair,
                Engine = engine, Caller = caller }, cancellation);
        for (int i = 0; i < translated.Count; i++)
        {
            if (translated[i].Target.Length == 0 && project.Lines[i].Text.Any(char.IsLetter))
                throw new FlywheelException(
                    $"line '{project.Lines[i].Id}': nobody translated '{project.Lines[i].Text}' from {pair.From} to {pair.To}{(engine is null ? $"; no engine does (apt-get install apertium and its pair), and the memory has nothing like it" : "")}");
            foreach (QualityIssue issue in translated[i].Issues)
                note($"line '{project.Lines[i].Id}': {issue.Kind}: {translated[i].Target}");
        }
        return project with
        {
            Language = to,
            SourceLanguage = pair.From,
            // a word for all languages was one of the original's
            Dictionary = [.. project.Dictionary.Where(entry => entry.Language.Length > 0)],
            Lines = [
                .. project.Lines.Select((line, i) =>
                    line with { Text = translated[i].Target, Source = line.Text, Draft = translated[i].Target, Marks = [], Alternates = [],
                        Takes = [], Take = null, RenderedHash = null })],
        };
    }

    /// <summary>The project spoken by another voice: roles keep their pitch and speed, and where the engine has variants, a man stays a man
    /// and a woman a woman.</summary>
    public static async Task<VoiceProject> RecastAsync(VoiceProject project, string voice, SpeechEngines engines,
        CancellationToken cancellation)
    {
        string prefix = $"{new EspeakEngine().Name}:";
        bool hasVariants = voice.StartsWith(prefix, StringComparison.Ordinal) && !voice.Contains('+', StringComparison.Ordinal);
        var cast = new Dictionary<string, VoiceSettings>();
        foreach (string role in project.Lines.Select(line => line.Role).OfType<string>().Concat(project.Cast.Keys).Distinct())
        {
            VoiceSettings before = project.Cast.GetValueOrDefault(role) ?? new();
            string? gender = null;
            if (hasVariants && before.Voice is { } was)
                try
                {
                    gender = (await engines.FindAsync(was, cancellation)).Gender;
                }
                catch (FlywheelException)
                {
                    // A voice that is not here: nothing is known of it.
                }
            cast[role] = before with { Voice = gender switch { "female" => $"{voice}+f3", "male" => $"{voice}+m3", _ => null } };
        }
        return project with
        {
            Voice = project.Voice with { Voice = voice }, Cast = cast,
            Lines = [
                .. project.Lines.Select(line => line.Settings.Voice is null
                    ? line : line with { Settings = line.Settings with { Voice = null } })],
        };
    }
}
