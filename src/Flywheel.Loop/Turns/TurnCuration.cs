using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>From the feedback that a turn found to what it learns and tests on.</summary>
internal static class TurnCuration
{
    /// <summary>Whether a pass of the recipe learns from answers token by token.</summary>
    public static bool NeedsTokens(TurnRecipe recipe) => KindsOf(recipe).Contains(ExampleKind.Sampled);

    /// <param name="store">Has the secret of the split.</param>
    /// <param name="recipe">Of the turn.</param>
    /// <param name="champion">What learns; null where nothing can be said of lengths yet.</param>
    /// <param name="intake">What there is.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task<CuratedDataset> CurateAsync(FlywheelStore store, TurnRecipe recipe, ModelFolder? champion,
        FeedbackIntake intake,
        CancellationToken cancellation)
    {
        ChatTemplate? template = champion?.ChatTemplate;
        HashSet<ExampleKind> kinds = KindsOf(recipe);
        IReadOnlyDictionary<string, TokenRange>? ranges = champion is null ? null : ReservedTokens.Ranges(champion.Tokenizer);
        IReadOnlyList<CuratedExample> rows = Curator.Curate(intake.Shown, intake.Feedback,
            new CurationRules(recipe.Curate.MinCharacters, conversation =>
            template is null || template.Document(conversation).Tokens.Length <= champion!.Config.MaxPositions)
        {
            Speaks = conversation => ranges is null || conversation.AnswerModality is not { } modality || ranges.ContainsKey(modality),
            Judged = kinds.Contains(ExampleKind.Judged),
            RequireReview = recipe.Curate.RequireReview,
            Sampled = NeedsTokens(recipe) && template is not null ? conversation => template.Prompt(conversation) : null,
        });
        byte[] salt = await store.SecretAsync("split", cancellation);
        return CuratedDataset.Create(rows, new SplitRules(recipe.Curate, salt, intake.People, intake.Prompts,
            intake.UsedBefore) { Looks = intake.Looks });
    }

    private static HashSet<ExampleKind> KindsOf(TurnRecipe recipe) => [.. recipe.Stages.Select(TurnTraining.KindOf)];
}
