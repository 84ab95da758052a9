namespace Flywheel.Model;

/// <summary>
/// Renders conversations to token ids in ChatML: <c>&lt;|im_start|&gt;role\ncontent&lt;|im_end|&gt;\n</c>. Content can never
/// spell a special token.
/// </summary>
public sealed class ChatTemplate(Tokenizer tokenizer)
{
    /// <summary>The prompt of a generation: all messages, then the opening of the assistant's answer.</summary>
    public int[] Prompt(Conversation conversation) => throw new NotImplementedException(tokenizer.ToString());

    /// <summary>A training document: ids, and 1 for each token that the assistant wrote (its <c>&lt;|im_end|&gt;</c> included).</summary>
    public (int[] Tokens, byte[] Targets) Document(Conversation conversation) => throw new NotImplementedException(tokenizer.ToString());
}
