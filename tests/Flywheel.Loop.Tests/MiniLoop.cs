using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Loop.Tests;

/// <summary>
/// A whole loop small enough for seconds: a one-layer model of random weights as champion, and people with a taste. Everything,
/// ids included, follows from numbers, so that two homes made by it are the same.
/// </summary>
internal static class MiniLoop
{
    private static readonly string[] Things = ["editor", "player", "viewer", "reader", "painter", "clock", "mixer", "browser"];

    /// <param name="path">Its home.</param>
    /// <param name="people">Who ask.</param>
    /// <param name="requests">Of each.</param>
    /// <param name="without">This person never acts.</param>
    /// <param name="acts">What each says of a request's answers; null keeps or edits the first and discards the second.</param>
    public static async Task<FlywheelStore> CreateAsync(string path, int people = 24, int requests = 3,
        IReadOnlyList<(int Choice, string Metric, JsonNode Value)>? acts = null, int without = -1)
    {
        var home = new FlywheelHome(path);
        FlywheelStore store = await FlywheelStore.OpenAsync(home, new Given.Clock(Given.Monday));
        await using (FlywheelDb db = store.Tables())
        {
            db.Secrets.Add(new SecretRow { Name = "split", Value = Given.Salt, Created = Given.Monday });
            await db.SaveChangesAsync();
        }
        ModelFolder champion = Champion(home.Models);
        await store.RegisterModelAsync(champion);
        await store.ReleaseAsync(champion.Hash, "first");
        foreach (int person in Enumerable.Range(0, people).Where(person => person != without))
            for (int request = 0; request < requests; request++) await AskAsync(store, champion.Hash, person, request, acts);
        File.WriteAllLines(Path.Combine(home.Path, "regression.jsonl"),
            Things.Select(thing =>
                new Conversation([Message.User($"Say what a {thing} is."), Message.Assistant($"A {thing} is a program.")]).ToString()));
        return store;
    }

    /// <summary>The same people ask for three more texts each.</summary>
    public static async Task AskMoreAsync(FlywheelStore store, int people, int without, int from = 0)
    {
        string champion = new('c', 64); // ids of models are not learnt from
        foreach (int person in Enumerable.Range(from, people - from).Where(person => person != without))
            for (int request = 10; request < 13; request++) await AskAsync(store, champion, person, request, null);
    }

    /// <summary>Everyone likes texts that begin with a verb; the model knows nothing of it.</summary>
    private static async Task AskAsync(FlywheelStore store, string model, int person, int request,
        IReadOnlyList<(int Choice, string Metric, JsonNode Value)>? acts)
    {
        int n = person * 100 + request;
        string thing = Things[(person + request) % Things.Length];
        string[] texts = [$"Write better with {thing} {n}.", $"The {thing} {n} is a thing that is very very good.",
            $"{thing} {n}, simply the best of all."];
        for (int choice = 0; choice < texts.Length; choice++)
            await store.RecordAsync(Given.Generation(Id(n, choice), Id(n, 9), $"person {person}", texts[choice],
                $"Write a tagline.\nName: {thing} {n}", choice, n, model));
        foreach ((int choice, string metric, JsonNode value) in acts ?? []) await store.AddFeedbackAsync(new(Id(n, choice), metric, value));
        if (acts is not null) return;
        FeedbackInput act = request % 3 == 0 ? new(Id(n, 0), Metrics.Demonstration, $"Write with {thing} {n}.") : new(Id(n, 0),
            Metrics.Keep, true);
        await store.AddFeedbackAsync(act);
        await store.AddFeedbackAsync(new(Id(n, 1), Metrics.Discard, true));
    }

    public static TurnRecipe Recipe(string home, double learningRate = 3e-3, int supervisedSteps = 60, double fidelityMargin = 1) =>
        RecipeFile.ParseTurn($"""
        name: mini
        seed: 3
        curate: {"{"} min_train: 8, min_held_out: 4 {"}"}
        stages:
          - train: {"{"} objective: supervised, steps: {supervisedSteps}, batch_tokens: 512, micro_tokens: 512, learning_rate: {learningRate}, checkpoint_seconds: 0.2 {"}"}
          - train: {"{"} objective: preference, steps: 10, batch_tokens: 1024, micro_tokens: 512, learning_rate: {learningRate / 10}, dpo_supervised: 0.2, checkpoint_seconds: 0.2 {"}"}
        gate: {"{"} regression: "{home}/regression.jsonl", regression_margin: 1, sanity_prompts: 32, drafts: 2, max_tokens: 40, temperature: 0.1, fidelity_margin: {fidelityMargin} {"}"}
        """, "mini");

    private static Guid Id(int n, int last) => new($"00000000-0000-7000-8000-{n:d10}{last:d2}");

    public static ModelFolder Champion(string models)
    {
        Tokenizer tokenizer =
            Tokenizer.Train(
                Things.SelectMany(thing => new[] { $"Write a tagline. Name: {thing}", $"The {thing} is a program that is very good.",
                    "Write better with it, simply the best of all." }), 320);
        var config = new ModelConfig { HiddenSize = 32, IntermediateSize = 64, NumLayers = 1, NumHeads = 2, NumKvHeads = 1, HeadDim = 16,
            VocabSize = tokenizer.VocabSize, MaxPositions = 128,
            EosTokenIds = [tokenizer.SpecialTokens[Tokenizer.MessageEnd], tokenizer.SpecialTokens[Tokenizer.EndOfText]] };
        Dictionary<string, long[]> shapes = config.Tensors().ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        var random = new Random(5);
        float[] Values(string name)
        {
            long length = shapes[name].Aggregate(1L, (product, size) => product * size);
            return [.. Enumerable.Range(0, (int)length)
                .Select(_ => name.EndsWith("norm.weight", StringComparison.Ordinal) ? 1f : 0.1f * (float)(random.NextDouble() - 0.5))];
        }
        return ModelFolder.Create(models, config, tokenizer, TensorType.F32, Values,
            new ModelManifest { Name = "mini", Created = Given.Monday });
    }
}
