using Flywheel.Loop;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Cli;

/// <summary>The lines of a voice project in another language, by the home's translation memory and glossary, and Apertium for the rest.</summary>
internal static class VoiceTranslation
{
    /// <param name="project">Its texts are translated; markup is refused, since it would be translated too.</param>
    /// <param name="pair">Such as <c>en-es</c>.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">Not a pair of languages, or a line that nobody could translate.</exception>
    public static async Task<VoiceProject> TranslateAsync(VoiceProject project, string pair, CancellationToken cancellation)
    {
        string[] tags = [.. pair.Split('-', 2).Select(tag => Language.Find(tag)?.Tag ?? throw new FlywheelException($"--translate is '{pair}', expected two languages such as en-es; known are {string.Join(", ", Language.All.Select(one => one.Tag))}"))];
        if (tags.Length != 2 || tags[0] == tags[1]) throw new FlywheelException($"--translate is '{pair}', expected two languages such as en-es");
        if (project.Lines.FirstOrDefault(line => line.IsMarkup) is { } markup) throw new FlywheelException($"line '{markup.Id}' is markup, which is not translated; expected text");
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        using var memory = new TranslationMemory(store, TimeProvider.System);
        using var apertium = new Apertium(TimeProvider.System);
        var translator = new Translator(memory, new Glossary(store, TimeProvider.System), [apertium]);
        var order = new TranslationOrder
        {
            Segments = [.. project.Lines.Select(line => line.Text)],
            Pair = new LanguagePair(WorkspaceRow.Default, tags[0], tags[1]),
            Engine = apertium.Name,
            Caller = new DraftCaller(Environment.UserName, "", "cli"),
        };
        IReadOnlyList<TranslatedSegment> translated = await translator.TranslateAsync(order, cancellation);
        for (int i = 0; i < translated.Count; i++)
        {
            if (translated[i].Target.Length == 0 && project.Lines[i].Text.Any(char.IsLetter)) throw new FlywheelException($"line '{project.Lines[i].Id}': nobody translated '{project.Lines[i].Text}'");
            foreach (QualityIssue issue in translated[i].Issues) Console.Error.WriteLine($"note: line '{project.Lines[i].Id}': {issue.Kind}: {translated[i].Target}");
        }
        return project with { Language = tags[1], Lines = [.. project.Lines.Select((line, i) => line with { Text = translated[i].Target, Alternates = [] })] };
    }
}
