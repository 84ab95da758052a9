namespace Flywheel.Model;

/// <summary>What the documents of a tokenised dataset are. Objectives that learn from the same kind of data share a form.</summary>
public sealed record DocumentForm
{
    /// <summary>Text or conversations, every token of which is learnt; longer ones than the context are split.</summary>
    public static DocumentForm Text { get; } = new()
    {
        Holds = "plain documents", Expects = "text or conversations", EveryToken = true,
    };

    /// <summary>Conversations, of which the assistant's tokens are learnt.</summary>
    public static DocumentForm Answers { get; } = new()
    {
        Holds = "plain documents", Expects = "conversations (a jsonl source, or 'as: copy')",
    };

    /// <summary>Two documents each: the answer that was preferred, and the other one.</summary>
    public static DocumentForm Pairs { get; } = new()
    {
        Holds = "preference pairs", InPairs = true,
        Expects = "preference pairs (a jsonl source with preferred_output and non_preferred_output)",
    };

    /// <summary>Single answers that were judged, each followed by another prompt's answer to the same prompt.</summary>
    public static DocumentForm Judged { get; } = new()
    {
        Holds = "single answers that were judged", InPairs = true, Labels = true, WithOthers = true,
        Expects = "judged answers (a jsonl source with messages and label)",
    };

    /// <summary>Answers as they were sampled, with their log-probabilities then and a reward.</summary>
    public static DocumentForm Sampled { get; } = new()
    {
        Holds = "sampled answers with rewards", Labels = true, LogProbs = true,
        Expects = "sampled answers (a jsonl source with messages, tokens, logprobs and reward)",
    };

    public static IReadOnlyList<DocumentForm> All { get; } = [Text, Answers, Pairs, Judged, Sampled];

    /// <summary>In words, of a dataset.</summary>
    public required string Holds { get; init; }

    /// <summary>In words, of what a source must give.</summary>
    public required string Expects { get; init; }

    /// <summary>Every token is learnt, whatever the dataset marks.</summary>
    public bool EveryToken { get; init; }

    /// <summary>Documents 2i and 2i + 1 belong together.</summary>
    public bool InPairs { get; init; }

    /// <summary>Every document has a label.</summary>
    public bool Labels { get; init; }

    /// <summary>Every token has the log-probability that it was sampled with.</summary>
    public bool LogProbs { get; init; }

    /// <summary>The second document of a pair is not learnt: how far the model has moved is measured on it.</summary>
    public bool WithOthers { get; init; }
}
