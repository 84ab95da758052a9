using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Studio.Serving;

/// <summary>What is to be generated for one request, checked and complete: nothing is left to defaults.</summary>
internal sealed record GenerationOrder
{
    /// <summary>Null for a plain completion.</summary>
    public Conversation? Conversation { get; init; }

    /// <summary>One prompt of a chat; a completion may have several.</summary>
    public required IReadOnlyList<int[]> Prompts { get; init; }

    /// <summary>Answers a prompt.</summary>
    public int NumChoices { get; init; } = 1;

    /// <summary>Drafts that are sampled and ranked, of which the best are the answers; 0 answers with what is sampled. Only for one
    /// prompt.</summary>
    public int Candidates { get; init; }

    /// <summary>Candidates are sampled ever more freely (<see cref="Flywheel.Loop.Ranking.DraftSampling"/>), for nobody asked for a
    /// temperature.</summary>
    public bool Varied { get; init; }

    /// <summary>The seed is that of the first choice; the others' follow from it.</summary>
    public required SamplerOptions Sampler { get; init; }

    /// <summary>Null: as much as the context holds.</summary>
    public int? MaxTokens { get; init; }

    public IReadOnlyList<string> Stop { get; init; } = [];

    public int TopLogprobs { get; init; }

    public string User { get; init; } = "";

    /// <summary>The user to whom the request's key belongs; empty without one.</summary>
    public string Owner { get; init; } = "";

    /// <summary>A loaded adapter; null answers with the model as it is.</summary>
    public string? Adapter { get; init; }

    public Priority Priority { get; init; } = Priority.Normal;

    /// <summary>The answer may hold tool calls, which are told apart from its text.</summary>
    public bool ReadsToolCalls { get; init; }

    /// <summary>False records counts only: no text, no token, no log-probability.</summary>
    public bool Store { get; init; } = true;

    /// <summary>Feedback whose texts the prompt shows as examples, in their order.</summary>
    public IReadOnlyList<Guid> PromptExamples { get; init; } = [];

    /// <summary>The rollout that the request is part of, its arm there, and the probability of that arm; null where none is.</summary>
    public long? Rollout { get; init; }

    public string? Variant { get; init; }

    public double? Propensity { get; init; }

    /// <summary>What an hour of this machine costs; null: nobody said, or nobody compares.</summary>
    public double? MachinePerHour { get; init; }

    /// <summary>The request's id where several groups answer it together; null makes one.</summary>
    public Guid? Group { get; init; }

    /// <summary>Where each answer is shown among all that are for the request, those of other groups included; empty: one after
    /// another.</summary>
    public IReadOnlyList<int> Places { get; init; } = [];

    /// <summary>Place of the answer with this number of its group. What is not shown comes after everything that is.</summary>
    public int PlaceOf(int index) => Places.Count == 0 ? index : index < Places.Count ? Places[index] : Places.Count + index;

    /// <summary>The application that asks: <c>api</c>, <c>write</c>, <c>chat</c> or <c>tasks/NAME</c>.</summary>
    public required string App { get; init; }
}
