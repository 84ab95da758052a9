using System.Globalization;
using System.Text;
using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Loop.Ranking;

/// <summary>What a model wrote to one brief.</summary>
/// <param name="Id">Of the brief.</param>
/// <param name="Brief">With the kind that was asked for.</param>
/// <param name="Drafts">In the order in which they were sampled.</param>
/// <param name="Ranked">The same, the best first.</param>
public sealed record DraftedBrief(string Id, Brief Brief, IReadOnlyList<Draft> Drafts, IReadOnlyList<RankedDraft> Ranked)
{
    /// <summary>Of the first draft that was sampled: what the model does without ranking.</summary>
    public CopyMetrics First => CopyMetrics.Of(Brief, Drafts[0].Text);

    /// <summary>Of the draft that ranking puts first.</summary>
    public CopyMetrics Best => CopyMetrics.Of(Brief, Drafts[Ranked[0].Index].Text);
}

/// <summary>Has a model write to briefs, several drafts each, and counts what they copied.</summary>
public static class DraftExam
{
    private const int AtOnce = 24;

    /// <param name="model">The model.</param>
    /// <param name="briefs">With their ids, as they are typed; the model is asked with the facts' forms, as by the page.</param>
    /// <param name="candidates">Drafts of each.</param>
    /// <param name="sampler">How they are sampled; the seed counts up from its own.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<IReadOnlyList<DraftedBrief>> TakeAsync(ModelFolder model, IReadOnlyList<(string Id, Brief Brief)> briefs,
        int candidates, SamplerOptions sampler, CancellationToken cancellation = default)
    {
        await using InferenceEngine engine = InferenceEngine.Load(model, new EngineOptions());
        ChatTemplate template = model.ChatTemplate;
        Brief[] asked = [.. briefs.Select(entry => FactForms.Mark(entry.Brief))];
        var drafts = new Draft[briefs.Count * candidates];
        await Parallel.ForEachAsync(Enumerable.Range(0, drafts.Length),
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation }, async (i, stop) =>
        {
            Brief brief = asked[i / candidates];
            Conversation prompt = brief.ToConversation();
            var request = new GenerationRequest
            {
                PromptTokens = template.Prompt(prompt),
                MaxTokens = DraftSampling.MaxTokens(brief.Kind),
                Sampler = DraftSampling.Of(sampler, i % candidates, candidates) with { Seed = sampler.Seed + (ulong)i,
                    Grammar = DraftWords.GrammarOf(prompt, model) },
            };
            GenerationStream stream = engine.Submit(request, stop);
            List<SampledToken> tokens = [];
            await foreach (SampledToken token in stream.Tokens) tokens.Add(token);
            drafts[i] = Draft.Of(tokens, stream.FinishReason == FinishReason.Stop);
        });
        return [.. briefs.Select((entry, i) =>
        {
            Draft[] own = drafts[(i * candidates)..((i + 1) * candidates)];
            return new DraftedBrief(entry.Id, entry.Brief, own, DraftRanker.Rank(asked[i], own, model.Manifest.Words));
        })];
    }

    /// <summary>Shares over briefs, for the first draft and for the best ranked: name exact, a fact restated, all facts, something
    /// foreign.</summary>
    public static string Table(IReadOnlyList<DraftedBrief> drafted)
    {
        string Row(string name, Func<DraftedBrief, CopyMetrics> of) => string.Create(CultureInfo.InvariantCulture,
            $"| {name} | {drafted.Average(brief => of(brief).NameExact ? 1 : 0):P0} | {drafted.Average(brief => of(brief).FactRestated ? 1 : 0):P0} | {drafted.Average(brief => of(brief).FactRecall):P0} | {drafted.Average(brief => of(brief).Foreign.Count > 0 ? 1 : 0):P0} | {drafted.Average(brief => of(brief).Unsupported):P0} |\n");
        return "| draft | name exact | a fact restated | facts restated | foreign name or number | unsupported words |\n|---|---:|---:|---:|---:|---:|\n" + Row("the first, without ranking", brief => brief.First) + Row("the best of all, by rank", brief => brief.Best);
    }

    /// <summary>The drafts that would be shown, brief by brief.</summary>
    /// <param name="drafted">By <see cref="TakeAsync"/>.</param>
    /// <param name="show">Of each.</param>
    public static string Markdown(IReadOnlyList<DraftedBrief> drafted, int show)
    {
        var text = new StringBuilder();
        foreach (DraftedBrief entry in drafted)
        {
            Brief brief = entry.Brief;
            text.Append(
                $"**{brief.Name}** ({string.Join(", ", brief.Categories)}{(brief.Audience.Length > 0 ? $"; for {brief.Audience}" : "")}{(brief.Tone.Length > 0 ? $"; {brief.Tone}" : "")}): {string.Join("; ", brief.Facts)}\n\n");
            foreach ((int place, RankedDraft ranked) in entry.Ranked.Take(show)
                .Index()) text.Append($"{place + 1}. {entry.Drafts[ranked.Index].Text.ReplaceLineEndings("<br>")}\n");
            text.Append('\n');
        }
        return text.ToString();
    }
}
