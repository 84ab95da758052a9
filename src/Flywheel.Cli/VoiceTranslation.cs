using Flywheel.Loop;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Voice;

namespace Flywheel.Cli;

/// <summary>The lines of a voice project in another language, by the home's translation memory and glossary, and Apertium for the
/// rest.</summary>
internal static class VoiceTranslation
{
    /// <param name="project">Its texts are translated; markup is refused, since it would be translated too.</param>
    /// <param name="pair">Such as <c>en-es</c>.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">Not a pair of languages, or a line that nobody could translate.</exception>
    public static async Task<VoiceProject> TranslateAsync(VoiceProject project, string pair, CancellationToken cancellation)
    {
        string[] tags =
            [.. pair.Split('-', 2)
                .Select(tag =>
                    Language.Find(tag)?.Tag
                        ?? throw new FlywheelException(
                            $"--translate is '{pair}', expected two languages such as en-es; known are {string.Join(", ", Language.All.Select(one => one.Tag))}"))];
        if (tags.Length != 2 || tags[0] == tags[1])
            throw new FlywheelException($"--translate is '{pair}', expected two languages such as en-es");
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        using var memory = new TranslationMemory(store, TimeProvider.System);
        using var apertium = new Apertium(TimeProvider.System);
        var translator = new Translator(memory, new Glossary(store, TimeProvider.System), [apertium]);
        return await DubTranslation.TranslateAsync(project, tags[1], translator, new LanguagePair(WorkspaceRow.Default, tags[0], tags[1]),
            apertium.Name, new DraftCaller(Environment.UserName, "", "cli"),
            note => Console.Error.WriteLine($"note: {note}"), cancellation);
    }
}
