using Flywheel.Model;

namespace Flywheel.Loop.Translation;

/// <summary>How a model is asked to translate: in a draft, in an example of a correction, and in whatever it is taught from.</summary>
public static class TranslationPrompt
{
    /// <param name="text">A segment.</param>
    /// <param name="from">BCP 47 tag.</param>
    /// <param name="to">BCP 47 tag.</param>
    public static Conversation Ask(string text, string from, string to) =>
        new([Message.User($"Translate from {NameOf(from)} into {NameOf(to)}.\n{text}")]);

    private static string NameOf(string tag) => Language.Find(tag)?.English ?? tag;
}
