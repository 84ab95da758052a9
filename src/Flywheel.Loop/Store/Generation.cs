using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>
/// One served response: who asked, which model answered, how it ended. What it was made of, down to each token's
/// log-probability, is its <see cref="Payload"/>, kept in a table of its own so that queries stay small.
/// </summary>
public sealed class Generation
{
    /// <summary>UUID v7; made before the first token, so that a stream can carry it.</summary>
    public required Guid Id { get; init; }

    /// <summary>The request: all choices of one request share it.</summary>
    public required Guid Group { get; init; }

    /// <summary>Place among the choices of the request, from 0.</summary>
    public int Choice { get; init; }

    /// <summary>When the request arrived.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>What <see cref="App"/> begins with where a task was asked; its name follows.</summary>
    public const string TaskApp = "tasks/";

    /// <summary>Where a recording was written down: its answer was heard by a model of somebody else's, and ours reads no sound.</summary>
    public const string TranscriptionApp = "transcription";

    /// <summary>The application that asked, such as <c>write</c>, <c>api</c> or <c>tasks/translation</c>.</summary>
    public string App { get; init; } = "";

    /// <summary>The request's <c>user</c>; empty when it named none. Whoever sends the request may write here what they like.</summary>
    public string User { get; init; } = "";

    /// <summary>The user to whom the request's key belongs; empty without a key, or with one that belongs to an application.</summary>
    public string Owner { get; init; } = "";

    public string Workspace { get; init; } = Actor.Here;

    /// <summary>Whether the person agreed that a model may learn from it.</summary>
    public Consent Consent { get; init; }

    public StoreLevel Store { get; init; }

    /// <summary>Hash of the weights that answered; empty where none of ours did: an <see cref="Upstream"/> answered, or a person's own text
    /// is
    /// to be learnt from.</summary>
    public required string ModelHash { get; init; }

    /// <summary>Somebody else's model that answered, by its name here; null when one of ours did. Then there are no token ids and no
    /// log-probabilities, and counts are those that it stated.</summary>
    public string? Upstream { get; init; }

    /// <summary>
    /// Of an answer that was given elsewhere and came here in an archive: hash of the weights that gave it, empty where that is not known.
    /// Null: it
    /// was served here. Figures of what was served count the latter alone (<see cref="FlywheelDb.Served"/>).
    /// </summary>
    public string? Origin { get; init; }

    /// <summary>What the answer cost by the price list, where it has a price.</summary>
    public double? Cost { get; init; }

    /// <summary>Content hash of the adapter that answered with it; null when none did.</summary>
    public string? AdapterHash { get; init; }

    /// <summary>The rollout that it was part of; null when none was under way, or the request named its model.</summary>
    public long? Rollout { get; init; }

    /// <summary>Arm of a rollout that the request fell to; null when there was no choice.</summary>
    public string? Variant { get; init; }

    /// <summary>Probability with which it fell there, from 0 to 1.</summary>
    public double? Propensity { get; init; }

    /// <summary>Of an answer that was ranked among several drafts: what the ranker gave it; higher is better.</summary>
    public double? CandidateScore { get; init; }

    /// <summary>Its place in that ranking, from 0 (the best).</summary>
    public int? CandidateRank { get; init; }

    /// <summary>How many drafts were ranked.</summary>
    public int? NumCandidates { get; init; }

    public required FinishReason FinishReason { get; init; }

    public int NumPromptTokens { get; init; }

    public int NumTokens { get; init; }

    /// <summary>From arrival to the first token, milliseconds.</summary>
    public double FirstTokenMs { get; init; }

    /// <summary>From arrival to the last token, milliseconds.</summary>
    public double LatencyMs { get; init; }

    /// <summary>Of a generation that failed: the fault of the server that ended it.</summary>
    public string? Fault { get; init; }

    /// <summary>Null when a query left it out, and of a generation of which only counts are kept.</summary>
    public GenerationPayload? Payload { get; init; }

    /// <summary>Texts of people that its prompt showed as examples, in their order; empty when a query left them out.</summary>
    public IList<PromptExample> PromptExamples { get; init; } = [];
}

/// <summary>Whether a person agreed that a model may learn from what they did.</summary>
public enum Consent { NotAsked, Given, Refused }

/// <summary>What is kept of a generation: all of it, or (the request said <c>store: false</c>) numbers without any text or token.</summary>
public enum StoreLevel { Full, Counts }

/// <summary>A text of somebody's that a prompt showed as an example.</summary>
public sealed class PromptExample
{
    public Guid GenerationId { get; init; }

    /// <summary>From 0.</summary>
    public required int Place { get; init; }

    /// <summary>The feedback that kept or wrote the text.</summary>
    public required Guid FeedbackId { get; init; }
}

/// <summary>Exactly what went into the model and what came out of it.</summary>
public sealed class GenerationPayload
{
    public Guid GenerationId { get; init; }

    /// <summary>The request's messages; null for a plain completion, whose prompt is its tokens.</summary>
    public Conversation? Conversation { get; init; }

    /// <summary>The text that the person saw.</summary>
    public required string Text { get; init; }

    /// <summary>Ids that went into the model.</summary>
    public required int[] PromptTokens { get; init; }

    /// <summary>Ids that were sampled, the end token included.</summary>
    public required int[] Tokens { get; init; }

    /// <summary>The model's log-probability of each sampled token (temperature 1, nothing cut).</summary>
    public required float[] Logprobs { get; init; }

    /// <summary>Log-probability of each sampled token in the distribution that it was drawn from.</summary>
    public required float[] SamplerLogprobs { get; init; }

    /// <summary>How tokens were drawn, seed included.</summary>
    public required SamplerOptions Sampler { get; init; }

    public int MaxTokens { get; init; }

    /// <summary>Texts that would have ended the answer.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];
}
