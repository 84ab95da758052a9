using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>Answers that teach by themselves: liked or not (KTO), and token by token as they were served (policy).</summary>
public sealed class AloneRowsTests : IDisposable
{
    private static readonly ServedTokens s_served = new([1, 2], [7, 8, 9], [-0.5f, -1.25f, -0.125f]);

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>One answer of one person; an act is a metric and, of a rating, its value.</summary>
    [Theory]
    [InlineData("keep", 1.0)]
    [InlineData("discard", -1.0)]
    [InlineData("rating 1", 1.0)]
    [InlineData("rating 0.25", -0.5)]
    [InlineData("rating 0; rating 1", 1.0)]
    [InlineData("rating 0; keep", 1.0)]
    [InlineData("keep; discard", -1.0)]
    [InlineData("rating 0.5", null)]
    [InlineData("demonstration", null)]
    [InlineData("demonstration; keep", null)]
    [InlineData("keep; retract", null)]
    [InlineData("comment", null)]
    public void Curate_ActsOnOneAnswer_GiveItsReward(string acts, double? reward)
    {
        Guid id = Guid.NewGuid();
        Shown shown = new(id, Guid.NewGuid(), 0, "ann", new([Message.User("Write.")]), "An answer.", Whole: true) { Served = s_served };
        Feedback[] feedback = [.. acts.Split("; ").Select((act, i) => Act(id, i, act))];

        IReadOnlyList<CuratedExample> rows = Curator.Curate([shown], feedback,
            new CurationRules(3, _ => true) { Judged = true, Sampled = _ => [1, 2] });

        CuratedExample[] alone = [.. rows.Where(row => row.Kind is ExampleKind.Judged or ExampleKind.Sampled)];
        Assert.Equal(reward is null ? [] : new double?[] { reward, reward },
            alone.Where(row => row.Drop is null).Select(row => row.Reward));
        // nothing is unaccounted for
        Assert.Equal(feedback.Select(row => row.Id).Order(), rows.SelectMany(row => row.FeedbackIds).Distinct().Order());
        Assert.DoesNotContain(rows, row => row.Drop == DropReasons.NothingKept);
    }

    [Theory]
    [InlineData(false, true, 1, DropReasons.Unfinished)]
    [InlineData(true, false, 1, DropReasons.TooLong)]
    [InlineData(true, true, 3, DropReasons.OtherPrompt)]
    public void Curate_AnswerThatCannotTeach_IsDroppedWithItsReason(bool whole, bool fits, int firstPromptToken, string reason)
    {
        Guid id = Guid.NewGuid();
        Shown shown = new(id, Guid.NewGuid(), 0, "ann", new([Message.User("Write.")]), "An answer.", whole) { Served = s_served };

        IReadOnlyList<CuratedExample> rows = Curator.Curate([shown], [Act(id, 0, "discard")],
            new CurationRules(3, _ => fits) { Judged = true, Sampled = _ => [firstPromptToken, 2] });

        Assert.Equal(reason, rows.Single(row => row.Kind == ExampleKind.Sampled).Drop);
        // its text is read anew
        Assert.Equal(reason == DropReasons.OtherPrompt ? null : reason, rows.Single(row => row.Kind == ExampleKind.Judged).Drop);
    }

    /// <summary>
    /// Answers that the engine really gave, recorded as it gave them, kept or thrown away; a turn learns from them by KTO and then by
    /// policy, and what it learnt from is what was recorded, to the bit.
    /// </summary>
    [Fact]
    public async Task Turn_WithKtoAndPolicyStages_LearnsFromWhatWasServed()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]), new Given.Clock(Given.Monday));
        ModelFolder champion = MiniLoop.Champion(store.Home.Models);
        await store.RegisterModelAsync(champion);
        await store.ReleaseAsync(champion.Hash, "first");
        Dictionary<string, (int[] Tokens, float[] LogProbs)> recorded = [];
        await using (InferenceEngine engine = InferenceEngine.Load(champion, new EngineOptions { Weights = WeightFormat.Fp32 }))
            for (int person = 0; person < 8; person++)
                for (int request = 0; request < 4; request++) await ServeAsync(store, engine, champion, person, request, recorded);
        File.WriteAllLines(_folder["regression.jsonl"],
            Enumerable.Range(0, 8).Select(i => new Conversation([Message.User($"Say {i}."), Message.Assistant($"A {i}.")]).ToString()));
        TurnRecipe recipe = RecipeFile.ParseTurn($"""
            name: alone
            seed: 3
            curate: {"{"} min_train: 4, min_held_out: 2, min_characters: 1 {"}"}
            stages:
              - train: {"{"} objective: kto, steps: 6, batch_tokens: 512, micro_tokens: 256, learning_rate: 1e-3 {"}"}
              - train: {"{"} objective: policy, steps: 6, batch_tokens: 512, micro_tokens: 256, learning_rate: 1e-3 {"}"}
            gate: {"{"} regression: "{_folder["regression.jsonl"]}", regression_margin: 5, sanity_prompts: 4, max_tokens: 12 {"}"}
            """, "alone");

        TurnOutcome outcome = await new TurnRunner(store).RunAsync(recipe, store.Home.Path, force: true,
            TestContext.Current.CancellationToken);

        await using FlywheelDb db = store.Tables();
        Assert.Equal(["turn-0001-kto", "turn-0001-policy"],
            (await db.Runs.Select(run => run.Name).ToListAsync(TestContext.Current.CancellationToken))
                .Select(name => name[..name.LastIndexOf('-')]).Order());
        Assert.NotEqual(champion.Hash, outcome.Turn.Candidate);
        string dataset = outcome.Dataset.FolderIn(store.Home);
        JsonObject[] sampled =
            [.. File.ReadLines(Path.Combine(dataset, "sampled", "train.jsonl"))
                .Concat(File.ReadLines(Path.Combine(dataset, "sampled", "heldout.jsonl")))
                .Select(line => JsonNode.Parse(line)!.AsObject())];
        Assert.NotEmpty(sampled);
        foreach (JsonObject row in sampled)
        {
            (int[] tokens, float[] logProbs) = recorded[row["generation_id"]!.GetValue<string>()];
            Assert.Equal(tokens, row["tokens"]!.AsArray().Select(id => id!.GetValue<int>()));
            Assert.Equal(logProbs, row["logprobs"]!.AsArray().Select(value => value!.GetValue<float>()));
        }
        Assert.Equal([-1.0, 1.0], sampled.Select(row => row["reward"]!.GetValue<double>()).Distinct().Order());
        bool[] labels =
            [.. File.ReadLines(Path.Combine(dataset, "judged", "train.jsonl"))
                .Select(line => JsonNode.Parse(line)!["label"]!.GetValue<bool>())];
        Assert.Equal([false, true], labels.Distinct().Order());
        LineageNode back = await Lineage.TraceAsync(store, outcome.Turn.Candidate![..12]);
        Assert.Contains("feedback", Walk(back).Select(node => node.Kind));
        static IEnumerable<LineageNode> Walk(LineageNode node) => node.Children.SelectMany(Walk).Prepend(node);
    }

    /// <summary>Two answers to one prompt: the first is kept, the other thrown away.</summary>
    private static async Task ServeAsync(FlywheelStore store, InferenceEngine engine, ModelFolder model, int person, int request,
        Dictionary<string, (int[], float[])> recorded)
    {
        var prompt = new Conversation([Message.User($"Write {person} {request}")]);
        int[] promptTokens = model.ChatTemplate.Prompt(prompt);
        Guid group = Guid.CreateVersion7(Given.Monday);
        for (int choice = 0; choice < 2; choice++)
        {
            var sampler = new SamplerOptions { Temperature = 0.9f, TopP = 0.95f, Seed = (ulong)(100 * person + 10 * request + choice) };
            GenerationStream stream =
                engine.Submit(new GenerationRequest { PromptTokens = promptTokens, MaxTokens = 12, Sampler = sampler },
                    TestContext.Current.CancellationToken);
            List<SampledToken> tokens = [];
            await foreach (SampledToken token in stream.Tokens) tokens.Add(token);
            Guid id = Guid.CreateVersion7(Given.Monday);
            int[] ids = [.. tokens.Select(token => token.Id)];
            float[] logProbs = [.. tokens.Select(token => token.SamplerLogprob)];
            await store.RecordAsync(new Generation
            {
                Id = id, Group = group, Choice = choice, Time = Given.Monday, App = "test", User = $"person {person}",
                ModelHash = model.Hash, FinishReason = stream.FinishReason,
                NumPromptTokens = promptTokens.Length, NumTokens = ids.Length,
                Payload = new()
                {
                    Conversation = prompt, Text = string.Concat(tokens.Select(token => token.Text)), PromptTokens = promptTokens,
                    Tokens = ids,
                    Logprobs = [.. tokens.Select(token => token.Logprob)], SamplerLogprobs = logProbs, Sampler = sampler, MaxTokens = 12,
                },
            });
            recorded[id.ToString()] = (ids, logProbs);
            await store.AddFeedbackAsync(new FeedbackInput(id, choice == 0 ? Metrics.Keep : Metrics.Discard, true));
        }
    }

    private static Feedback Act(Guid generation, int sequence, string act)
    {
        string[] words = act.Split(' ');
        JsonNode value = words[0] switch
        {
            Metrics.Rating => JsonNode.Parse(words[1])!,
            Metrics.Demonstration => "A better answer.",
            Metrics.Comment => "nice",
            _ => true,
        };
        return new() { Sequence = sequence + 1, Id = Guid.NewGuid(), Time = Given.Monday.AddSeconds(sequence), GenerationId = generation,
            Metric = words[0], Value = new FeedbackInput(generation, words[0], value).Value };
    }
}
