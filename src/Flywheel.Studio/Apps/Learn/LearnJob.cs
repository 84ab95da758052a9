using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Data;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Loop.Runs;
using Flywheel.Loop.Ranking;
using Flywheel.Model;
using Flywheel.Studio.Apps.Write;
using Flywheel.Training;

namespace Flywheel.Studio.Apps.Learn;

/// <summary>
/// Trains an adapter on a person's own texts, makes a model of it and its base, and has both write to the person's briefs. Ended by a
/// crash, training goes on from its checkpoint. The model lies in the catalogue then; nothing serves it by itself.
/// </summary>
internal sealed class LearnJob(OwnLearning learning, Briefs briefs, FlywheelStore store, TimeProvider time)
{
    /// <summary>Share of the work that is training.</summary>
    private const double TrainingShare = 0.8;

    private const int NumBriefs = 6, MaxTokens = 256, Seed = 1;

    public async Task<string?> RunAsync(JobContext job, CancellationToken cancellation)
    {
        Guid id = Guid.Parse((string)JsonNode.Parse(job.Input)!["learn"]!);
        if (await learning.FindAsync(id, job.User) is not var (document, body)) throw new LearnException("learn.gone");
        ModelRow row = await store.FindModelAsync(body.Base!, cancellation)
            ?? throw new FlywheelException($"model {body.Base} is not known in {store.Home.Path}");
        ModelFolder learner = ModelFolder.Open(store.FolderOf(row));
        string dataset = Path.Combine(store.Home.Datasets, body.Dataset!);

        FinishedRun run = await TrainAsync(job, RecipeFor(document.Title, learner, dataset), dataset, cancellation);
        ModelFolder model = await Task.Run(() => run.Whole(store.Home.Models), cancellation);
        await store.RegisterModelAsync(model, cancellation: cancellation);
        await job.ReportAsync(TrainingShare, "examining");

        HeldOutItem[] heldOut =
            [.. JsonlSource.Read(Path.Combine(dataset, "heldout.jsonl"))
                .Select(item => new HeldOutItem(job.User, ((ConversationExample)item.Examples[0]).Conversation, null))];
        (IReadOnlyList<Conversation> asked, bool own) = await AskedAsync(job.User, learner, heldOut);
        var gate = new GateRecipe { Regression = "", RegressionMargin = 0, SanityPrompts = 0, Drafts = 1 };
        SamplerOptions sampler = Exam.SamplerOf(learner, gate);
        var losses = new IReadOnlyList<double>[2];
        var drafts = new Answer[2][];
        foreach ((int i, ModelFolder examined) in new[] { learner, model }.Index())
        {
            losses[i] =
                (await Exam.TakeAsync(examined, new ExamPaper(heldOut, [], []), gate, sampler, Seed, cancellation: cancellation)).Texts;
            drafts[i] = await Exam.WriteAsync(examined, asked, 1, MaxTokens, sampler, Seed, cancellation: cancellation);
            await job.ReportAsync(TrainingShare + (i + 1) * (1 - TrainingShare) / 2, "examining");
        }
        var result = new LearnResult
        {
            Model = model.Hash,
            Adapter = run.Result.Hash,
            Name = model.Manifest.Name,
            Steps = TrainingResult.Read(run.RunFolder)!.Steps,
            LossBefore = losses[0].Average(),
            LossAfter = losses[1].Average(),
            NumLikelier = losses[0].Zip(losses[1]).Count(pair => pair.Second < pair.First),
            NumHeldOut = heldOut.Length,
            Drafts = [
                .. drafts[0].Zip(drafts[1], (before, after) => new BeforeAfter(before.Prompt, before.Text.Trim(), after.Text.Trim()))],
            OwnBriefs = own,
        };
        await learning.ChangeAsync(id, job.User, now => now with { Result = result });
        return JsonSerializer.Serialize(new { model = model.Hash, adapter = run.Result.Hash }, JsonText.Compact);
    }

    /// <summary>
    /// Low-rank, so that little is changed beside what the texts ask for: four passes, about forty steps each, at most one in a thousand
    /// of the learning rate that whole training takes.
    /// </summary>
    internal static Recipe RecipeFor(string title, ModelFolder learner, string dataset)
    {
        const int epochs = 4, stepsPerEpoch = 40, charactersPerToken = 4;
        long tokens = new FileInfo(Path.Combine(dataset, "train.jsonl")).Length / charactersPerToken;
        int micro = Math.Min(2048, learner.Config.MaxPositions), batch = (int)Math.Clamp(tokens / stepsPerEpoch, 512, 8192);
        return new Recipe
        {
            Name = NameOf(title),
            Base = learner.Path,
            IntendedUse = "Texts in the manner of a person's own files.",
            Seed = Seed,
            Data = [new SourceRecipe { Source = "dataset", Path = dataset }],
            Train = new TrainRecipe
            {
                Objective = Supervised.Id, Epochs = epochs, BatchTokens = Math.Max(batch, micro), MicroTokens = micro, LearningRate = 1e-3,
                Warmup = 0.1, WeightDecay = 0.01,
                Lora = new LoraRecipe(), CheckpointSeconds = 15, EvaluateEvery = 50,
            },
        };
    }

    /// <summary>What a model can be called on a command line.</summary>
    private static string NameOf(string title)
    {
        string name =
            string.Join('-',
                new string([.. title.ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) ? c : ' ')]).Split(' ',
                    StringSplitOptions.RemoveEmptyEntries));
        return name.Length == 0 ? "own-texts" : name[..Math.Min(name.Length, 40)];
    }

    private async Task<FinishedRun> TrainAsync(JobContext job, Recipe recipe, string folder, CancellationToken cancellation)
    {
        TrainingProgress? latest = null;
        var runner = new RecipeRunner(store.Home)
        {
            Time = time,
            Progress = (_, progress) =>
            {
                if (progress.Line is not null) Volatile.Write(ref latest, progress);
            },
        };
        return await job.ReportWhileAsync(Task.Run(() => runner.Run(recipe, folder, cancellation), CancellationToken.None),
            () => Volatile.Read(ref latest) is not { } now ? null
            : (TrainingShare * now.Line!.Step / Math.Max(1, now.NumSteps),
                string.Create(CultureInfo.InvariantCulture, $"step {now.Line.Step:N0} of {now.NumSteps:N0}"), null), time);
    }

    /// <summary>The person's latest briefs; where there are none, those of texts held out.</summary>
    private async Task<(IReadOnlyList<Conversation> Asked, bool Own)> AskedAsync(string person, ModelFolder learner,
        IReadOnlyList<HeldOutItem> heldOut)
    {
        ChatTemplate template = learner.ChatTemplate;
        FactCorrections forms = await briefs.FormsAsync(person);
        Conversation[] own =
            [.. (await briefs.ListAsync(person)).Select(brief => brief.Body.Fields).Where(fields => fields.Problem() is null)
                .Select(fields => fields.SaidBy(forms).ToBrief().ToConversation())
            .Where(asked => template.Prompt(asked).Length + MaxTokens <= learner.Config.MaxPositions).Distinct().Take(NumBriefs)];
        return own.Length > 0 ? (own, true)
            : ([.. heldOut.Select(item => item.Prompt)
                .Where(asked => template.Prompt(asked).Length + MaxTokens <= learner.Config.MaxPositions).Distinct().Take(NumBriefs)],
                false);
    }
}
