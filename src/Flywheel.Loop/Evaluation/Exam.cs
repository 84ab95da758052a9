using System.Collections.Concurrent;
using System.Text.Json.Serialization;
using Flywheel.Engine;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>How one model did; the lists are in the order of the <see cref="ExamPaper"/>.</summary>
public sealed record ExamResult
{
    public required string ModelHash { get; init; }

    /// <summary>Nats a token on each text that a held-out person accepted; lower is better.</summary>
    public required IReadOnlyList<double> Texts { get; init; }

    /// <summary>
    /// Log-probability of the preferred minus that of the rejected text, of each held-out pair; above 0 tells them apart.
    /// </summary>
    public required IReadOnlyList<double> Margins { get; init; }

    /// <summary>Nats a token on each answer that a held-out person judged.</summary>
    public IReadOnlyList<double> Judged { get; init; } = [];

    /// <summary>Nats a token on each conversation of the frozen set.</summary>
    public required IReadOnlyList<double> Regression { get; init; }

    /// <summary>Drafts to held-out prompts: all of the first prompt, then all of the second, ...</summary>
    public required IReadOnlyList<Answer> Answers { get; init; }

    /// <summary>Of them, to each prompt; none was written to a prompt where an examination has no prompts.</summary>
    public int DraftsPerPrompt { get; init; } = 1;

    /// <summary>The first draft to each prompt.</summary>
    [JsonIgnore]
    public IEnumerable<Answer> FirstAnswers => Answers.Where((_, i) => i % DraftsPerPrompt == 0);
}

/// <summary>A draft that a model wrote to a held-out prompt.</summary>
/// <param name="Fault">Why it is not sound; null when it is.</param>
public sealed record Answer(string Prompt, string Text, int NumTokens, string? Fault);

/// <summary>
/// Examines a model with the engine: what it thinks of texts, in fp32; and what it writes, in the precision and with the sampler that
/// serve.
/// </summary>
public static class Exam
{
    private const int AtOnce = 32;

    /// <summary>Longest tagline in tokens, as the page Write asks for it.</summary>
    private const int TaglineTokens = 48;

    /// <param name="model">Champion or candidate.</param>
    /// <param name="paper">The same for both.</param>
    /// <param name="gate">How many drafts, how long.</param>
    /// <param name="sampler">How drafts are sampled; the same for both.</param>
    /// <param name="seed">The same for both, so that drafts differ by the model alone.</param>
    /// <param name="progress">Told how many texts and drafts of how many are done.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<ExamResult> TakeAsync(ModelFolder model, ExamPaper paper, GateRecipe gate, SamplerOptions sampler, int seed,
        Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        List<Conversation> distinct = [.. paper.Texts.Select(item => item.Preferred)
            .Concat(paper.Pairs.SelectMany(pair => new[] { pair.Preferred, pair.Rejected! }))
            .Concat(paper.Judged.Select(item => item.Preferred)).Concat(paper.Regression).Distinct()];
        Conversation[] prompts = [.. paper.Asked(gate.SanityPrompts).Select(asked => asked.Prompt)];
        int done = 0, drafts = gate.DraftsTo(prompts.Length), all = distinct.Count + prompts.Length * drafts;
        void Step() => progress?.Invoke(Interlocked.Increment(ref done), all);

        Dictionary<Conversation, (double Sum, int Count)> scores = await ScoreAsync(model, distinct, Step, cancellation);
        Answer[] answers = prompts.Length == 0 ? [] : await WriteAsync(model, prompts, drafts, gate.MaxTokens, sampler, seed, Step,
            cancellation);

        double Loss(Conversation conversation) => -scores[conversation].Sum / scores[conversation].Count;
        return new()
        {
            ModelHash = model.Hash,
            Texts = [.. paper.Texts.Select(item => Loss(item.Preferred))],
            Margins = [.. paper.Pairs.Select(pair => scores[pair.Preferred].Sum - scores[pair.Rejected!].Sum)],
            Judged = [.. paper.Judged.Select(item => Loss(item.Preferred))],
            Regression = [.. paper.Regression.Select(Loss)],
            Answers = answers,
            DraftsPerPrompt = drafts,
        };
    }

    /// <summary>Sum of log-probabilities and number of the tokens that the model would have had to write, of each conversation.</summary>
    private static async Task<Dictionary<Conversation, (double Sum, int Count)>> ScoreAsync(ModelFolder model,
        IReadOnlyList<Conversation> conversations,
        Action step, CancellationToken cancellation)
    {
        await using InferenceEngine engine = InferenceEngine.Load(model, new EngineOptions { Weights = WeightFormat.Fp32 });
        ChatTemplate template = model.ChatTemplate;
        var scores = new ConcurrentDictionary<Conversation, (double Sum, int Count)>();
        await Parallel.ForEachAsync(conversations, Options(cancellation), async (conversation, stop) =>
        {
            (int[] tokens, byte[] targets) = template.Document(conversation);
            if (tokens.Length > model.Config.MaxPositions)
                throw new FlywheelException(
                    $"a text of {tokens.Length} tokens does not fit the model's {model.Config.MaxPositions}: \"{conversation.Messages[^1].Text[..Math.Min(60, conversation.Messages[^1].Text.Length)]}...\"");
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
            step();
        });
        return new(scores);
    }

    /// <summary>Drafts as the server would write them, in its precision.</summary>
    /// <param name="model">Any.</param>
    /// <param name="prompts">Each as often as there are drafts of it.</param>
    /// <param name="drafts">To each prompt.</param>
    /// <param name="maxTokens">Longest draft; a tagline is cut before.</param>
    /// <param name="sampler">How.</param>
    /// <param name="seed">Counts up from here, a draft each.</param>
    /// <param name="step">Told of each draft.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<Answer[]> WriteAsync(ModelFolder model, IReadOnlyList<Conversation> prompts, int drafts, int maxTokens,
        SamplerOptions sampler, int seed, Action? step = null, CancellationToken cancellation = default)
    {
        await using InferenceEngine engine = InferenceEngine.Load(model, new EngineOptions());
        ChatTemplate template = model.ChatTemplate;
        int[][] tokens = [.. prompts.Select(prompt => template.Prompt(prompt))];
        var answers = new Answer[prompts.Count * drafts];
        await Parallel.ForEachAsync(Enumerable.Range(0, answers.Length), Options(cancellation), async (i, stop) =>
        {
            Conversation prompt = prompts[i / drafts];
            var request = new GenerationRequest
            {
                PromptTokens = tokens[i / drafts],
                MaxTokens = Brief.Find(prompt)?.Kind == Brief.Tagline ? Math.Min(TaglineTokens, maxTokens) : maxTokens,
                Sampler = sampler with { Seed = (ulong)(seed + i),
                    Grammar = SymbolAnswer.GrammarOf(prompt) ?? DraftWords.GrammarOf(prompt, model) },
            };
            GenerationStream stream = engine.Submit(request, stop);
            (string text, int count) = await SymbolAnswer.ReadAsync(stream, template.Tokenizer, prompt);
            answers[i] = new Answer(prompt.Messages[^1].Text, text, count, FaultOf(text, stream.FinishReason));
            step?.Invoke();
        });
        return answers;
    }

    private static ParallelOptions Options(CancellationToken cancellation) =>
        new() { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation };

    /// <summary>As the server samples a model where a request does not say.</summary>
    /// <param name="champion">Both models are sampled as it says.</param>
    /// <param name="gate">Its temperature, if it has one, goes before.</param>
    public static SamplerOptions SamplerOf(ModelFolder champion, GateRecipe gate)
    {
        SamplerOptions serving = SamplingDefaults.Read(champion);
        return gate.Temperature is { } temperature ? serving with { Temperature = (float)temperature } : serving;
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
