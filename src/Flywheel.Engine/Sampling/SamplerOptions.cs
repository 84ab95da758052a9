using Flywheel.Engine.Sampling;
using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>How the next token is chosen. Applied in order: penalties and bias, grammar, temperature, top-k, top-p, min-p, draw.</summary>
public sealed record SamplerOptions
{
    /// <summary>0 is greedy, and so is what cannot be told from it: a number without a finite reciprocal.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>Keep the k most likely; 0 keeps all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep the smallest set with this probability mass; 1 keeps all, 0 the best alone.</summary>
    public float TopP { get; init; } = 1;

    /// <summary>Keep tokens at least this fraction as likely as the best; 0 keeps all.</summary>
    public float MinP { get; init; }

    /// <summary>Divides positive and multiplies negative logits of tokens seen in prompt or answer; 1 does nothing.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Subtracted once from logits of tokens of the answer.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Subtracted from logits of tokens of the answer, times their count.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Added to logits.</summary>
    public IReadOnlyDictionary<int, float>? LogitBias { get; init; }

    /// <summary>
    /// What the answer must look like, in GBNF (<see cref="Grammars.Grammar"/> makes it from a JSON schema); null allows
    /// everything. As text, so that a record of these options is complete.
    /// </summary>
    public string? Grammar { get; init; }

    /// <summary>The same seed, prompt and model give the same answer, whatever else is in the batch.</summary>
    public ulong Seed { get; init; }

    /// <exception cref="FlywheelException">A value is out of its range; it is named.</exception>
    internal void Validate(TokenIds ids)
    {
        Require(float.IsFinite(Temperature) && Temperature >= 0, "temperature", Temperature, "a number of at least 0");
        Require(TopK >= 0, "top_k", TopK, "a number of at least 0");
        Require(TopP is >= 0 and <= 1, "top_p", TopP, "a number from 0 to 1");
        Require(MinP is >= 0 and <= 1, "min_p", MinP, "a number from 0 to 1");
        Require(float.IsFinite(RepetitionPenalty) && RepetitionPenalty > 0, "repetition_penalty", RepetitionPenalty, "a number above 0");
        Require(float.IsFinite(PresencePenalty), "presence_penalty", PresencePenalty, "a finite number");
        Require(float.IsFinite(FrequencyPenalty), "frequency_penalty", FrequencyPenalty, "a finite number");
        foreach ((int id, float bias) in LogitBias ?? new Dictionary<int, float>())
        {
            Require(ids.Contains(id), "logit_bias", id, $"ids of tokens, from 0 to {ids.End - 1}");
            Require(!float.IsNaN(bias) && bias < float.PositiveInfinity, "logit_bias", bias, "numbers below infinity");
        }

        static void Require<T>(bool holds, string name, T value, string expected)
        {
            if (!holds) throw new FlywheelException($"{name} is {value}, expected {expected}");
        }
    }
}
