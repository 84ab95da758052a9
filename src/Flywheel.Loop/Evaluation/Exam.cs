using System.Collections.Concurrent;
using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>How one model did; the lists are in the order of the <see cref="ExamPaper"/>.</summary>
public sealed record ExamResult
{
    public required string ModelHash { get; init; }

    /// <summary>Nats a token on each text that a held-out person accepted; lower is better.</summary>
    public required IReadOnlyList<double> Texts { get; init; }

    /// <summary>Log-probability of the preferred minus that of the rejected text, of each held-out pair; above 0 tells them apart.</summary>
    public required IReadOnlyList<double> Margins { get; init; }

    /// <summary>Nats a token on each answer that a held-out person judged.</summary>
    public IReadOnlyList<double> Judged { get; init; } = [];

    /// <summary>Nats a token on each conversation of the frozen set.</summary>
    public required IReadOnlyList<double> Regression { get; init; }

    public required IReadOnlyList<Answer> Answers { get; init; }
}

/// <summary>What a model answered to a held-out prompt.</summary>
/// <param name="Fault">Why it is not sound; null when it is.</param>
public sealed record Answer(string Prompt, string Text, int NumTokens, string? Fault);

/// <summary>Examines a model with the engine in fp32: what it thinks of texts, and what it writes.</summary>
public static class Exam
{
    private const int AtOnce = 32;

    /// <param name="model">Champion or candidate.</param>
    /// <param name="paper">The same for both.</param>
    /// <param name="gate">How answers are sampled.</param>
    /// <param name="seed">The same for both, so that answers differ by the model alone.</param>
    /// <param name="progress">Told how many texts and answers of how many are done.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<ExamResult> TakeAsync(ModelFolder model, ExamPaper paper, GateRecipe gate, int seed, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        await using InferenceEngine engine = InferenceEngine.Load(model, new EngineOptions { Weights = WeightFormat.Fp32 });
        ChatTemplate template = model.ChatTemplate;
        List<Conversation> distinct = [.. paper.Texts.Select(item => item.Preferred).Concat(paper.Pairs.SelectMany(pair => new[] { pair.Preferred, pair.Rejected! })).Concat(paper.Judged.Select(item => item.Preferred)).Concat(paper.Regression).Distinct()];
        List<Conversation> prompts = [.. paper.Prompts.Take(gate.SanityPrompts)];
        int done = 0, all = distinct.Count + prompts.Count;
        void Step() => progress?.Invoke(Interlocked.Increment(ref done), all);

        var scores = new ConcurrentDictionary<Conversation, (double Sum, int Count)>();
        var options = new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation };
        await Parallel.ForEachAsync(distinct, options, async (conversation, stop) =>
        {
            (int[] tokens, byte[] targets) = template.Document(conversation);
            if (tokens.Length > model.Config.MaxPositions) throw new FlywheelException($"a text of {tokens.Length} tokens does not fit the model's {model.Config.MaxPositions}: \"{conversation.Messages[^1].Text[..Math.Min(60, conversation.Messages[^1].Text.Length)]}...\"");
            float[] logprobs = await engine.ScoreAsync(tokens, stop);
            double sum = 0;
            int count = 0;
            for (int i = 0; i < tokens.Length; i++)
            {
                if (targets[i] == 0) continue;
                sum += logprobs[i];
                count++;
            }
            scores[conversation] = (sum, count);
            Step();
        });

        var answers = new Answer[prompts.Count];
        await Parallel.ForEachAsync(Enumerable.Range(0, prompts.Count), options, async (i, stop) =>
        {
            answers[i] = await AnswerAsync(engine, template, prompts[i], gate, (ulong)(seed + i), stop);
            Step();
        });

        double Loss(Conversation conversation) => -scores[conversation].Sum / scores[conversation].Count;
        return new()
        {
            ModelHash = model.Hash,
            Texts = [.. paper.Texts.Select(item => Loss(item.Preferred))],
            Margins = [.. paper.Pairs.Select(pair => scores[pair.Preferred].Sum - scores[pair.Rejected!].Sum)],
            Judged = [.. paper.Judged.Select(item => Loss(item.Preferred))],
            Regression = [.. paper.Regression.Select(Loss)],
            Answers = answers,
        };
    }

    private static async Task<Answer> AnswerAsync(InferenceEngine engine, ChatTemplate template, Conversation prompt, GateRecipe gate, ulong seed, CancellationToken cancellation)
    {
        var sampler = new SamplerOptions { Temperature = (float)gate.Temperature, Seed = seed, Grammar = SymbolAnswer.GrammarOf(prompt) };
        GenerationStream stream = engine.Submit(new GenerationRequest { PromptTokens = template.Prompt(prompt), MaxTokens = gate.MaxTokens, Sampler = sampler }, cancellation);
        (string text, int count) = await SymbolAnswer.ReadAsync(stream, template.Tokenizer, prompt);
        return new Answer(prompt.Messages[^1].Text, text, count, FaultOf(text, stream.FinishReason));
    }

    /// <summary>Why an answer is not sound: it does not end, is empty, is not text, or goes in circles; else null.</summary>
    public static string? FaultOf(string text, FinishReason reason)
    {
        if (reason == FinishReason.Length) return "does not end";
        if (string.IsNullOrWhiteSpace(text)) return "is empty";
        if (text.Any(c => c == '\uFFFD' || (char.IsControl(c) && c is not ('\n' or '\r' or '\t')))) return "is not text";
        string[] words = text.ToLowerInvariant().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        int triples = words.Length - 2;
        if (triples < 10) return null;
        int distinct = Enumerable.Range(0, triples).Select(i => (words[i], words[i + 1], words[i + 2])).Distinct().Count();
        return distinct < 0.6 * triples ? "goes in circles" : null;
    }
}
