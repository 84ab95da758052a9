using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>Brings turns of two people into the form of a chat: user first, assistant last, never twice the same in a row.</summary>
internal static class Alternates
{
    /// <returns>The longest beginning that has the form; empty when there is none.</returns>
    public static IReadOnlyList<Message> Cut(IReadOnlyList<Message> messages)
    {
        List<Message> kept = [];
        foreach (Message message in messages)
        {
            if (message.Text.Length == 0 || message.Role != (kept.Count % 2 == 0 ? Role.User : Role.Assistant)) break;
            kept.Add(message);
        }
        if (kept.Count % 2 == 1) kept.RemoveAt(kept.Count - 1);
        return kept;
    }
}
