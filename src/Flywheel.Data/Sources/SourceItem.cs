using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>One thing that a source gave, as training examples.</summary>
/// <param name="Id">Unique and stable, such as <c>packages:gimp</c> or <c>jsonl:notes.jsonl:12</c>.</param>
/// <param name="Group">Items of one group land in the same split.</param>
/// <param name="Examples">One or several renderings of the item.</param>
/// <param name="Licence">Empty when the source does not say.</param>
/// <param name="Split">Set where the source has split already; null leaves it to the group's hash.</param>
public sealed record SourceItem(string Id, string Group, IReadOnlyList<Example> Examples, string Licence = "", Split? Split = null);

/// <summary>What one document of a dataset is made from.</summary>
public abstract record Example
{
    /// <summary>All its text, for learning a tokenizer and for counting characters.</summary>
    public abstract IEnumerable<string> Texts { get; }

    /// <summary>Equal for what is to be kept once.</summary>
    public virtual IEnumerable<string> Identity => Texts;
}

/// <summary>Plain text to continue.</summary>
public sealed record TextExample(string Text) : Example
{
    public override IEnumerable<string> Texts => [Text];
}

/// <summary>A conversation whose assistant messages are learnt.</summary>
public sealed record ConversationExample(Conversation Conversation) : Example
{
    /// <summary>Symbols are no text: a vocabulary has them already.</summary>
    public override IEnumerable<string> Texts =>
        Conversation.Messages.Select(message => string.Join('\n', message.Parts.OfType<TextPart>().Select(part => part.Text)));

    public override IEnumerable<string> Identity => Conversation.Messages.Select(message => message.Text);
}

/// <summary>Two answers to one prompt, the better one first.</summary>
public sealed record PairExample(Conversation Preferred, Conversation Rejected) : Example
{
    public override IEnumerable<string> Texts => Preferred.Messages.Concat(Rejected.Messages.TakeLast(1)).Select(message => message.Text);
}

/// <summary>An answer that a person liked or did not.</summary>
public sealed record JudgedExample(Conversation Conversation, bool Liked) : Example
{
    public override IEnumerable<string> Texts => Conversation.Messages.Select(message => message.Text);
}

/// <summary>An answer as it was sampled by a model, and what it was worth.</summary>
/// <param name="Prompt">All that came before.</param>
/// <param name="Tokens">The sampled ids.</param>
/// <param name="LogProbs">Of each, under the distribution that it was drawn from.</param>
/// <param name="Reward">1 for good, -1 for bad, or anything between and beyond.</param>
public sealed record SampledExample(Conversation Prompt, IReadOnlyList<int> Tokens, IReadOnlyList<float> LogProbs, float Reward) : Example
{
    public override IEnumerable<string> Texts => Prompt.Messages.Select(message => message.Text);

    public override IEnumerable<string> Identity => [.. Texts, string.Join(' ', Tokens)];
}

/// <summary>Which side of the data an item is on.</summary>
public enum Split { Train, Validation }
