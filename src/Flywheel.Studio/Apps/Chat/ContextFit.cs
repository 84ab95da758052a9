using Flywheel.Model;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.Apps.Chat;

/// <summary>How much of a conversation a model is shown: all of it, or what is left when the oldest messages make way for an
/// answer.</summary>
internal static class ContextFit
{
    /// <summary>Less room than that for an answer is none.</summary>
    private const int MinRoom = 64;

    /// <param name="said">The conversation; its system message stays.</param>
    /// <param name="models">All are shown the same, so that the smallest context decides.</param>
    /// <param name="now">For templates that say the time.</param>
    /// <returns>What is shown, as each model's prompt, and how many messages are left out.</returns>
    /// <exception cref="MessageTooLongException">The last message alone is more than one can read.</exception>
    public static (Conversation Shown, IReadOnlyList<int[]> Prompts, int Left) Of(Conversation said, IReadOnlyList<ServedModel> models,
        DateTimeOffset now)
    {
        List<Message> messages = [.. said.Messages];
        int first = messages[0].Role == Role.System ? 1 : 0, left = 0;
        while (true)
        {
            Conversation shown = said with { Messages = [.. messages] };
            int[][] prompts = [.. models.Select(model => model.Template.Prompt(shown, now))];
            int room = models.Select((model, index) => model.Folder.Config.MaxPositions - prompts[index].Length)
                .DefaultIfEmpty(int.MaxValue).Min();
            if (room >= MinRoom || messages.Count - first <= 1)
                return room < 1 ? throw new MessageTooLongException() : (shown, prompts, left);
            // A question goes with its answer, so that what remains begins with a question.
            do
            {
                messages.RemoveAt(first);
                left++;
            }
            while (messages.Count - first > 1 && messages[first].Role != Role.User);
        }
    }
}
