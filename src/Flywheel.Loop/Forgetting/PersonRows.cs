using Flywheel.Loop.Jobs;
using Flywheel.Loop.Reviews;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>
/// Every row of the record that is a person's: what was written for them, what they said about it, what they keep, their keys. A row is
/// theirs when it names them as user or as the owner of the key.
/// </summary>
internal sealed class PersonRows(FlywheelDb db, string person)
{
    private const string Somebody = "somebody who was forgotten";

    /// <summary>What reviewers said of what they did with answers to others; a correction holds their words.</summary>
    private Guid[] reviews = [];

    private IQueryable<Generation> Generations => db.Generations.Where(row => row.User == person || row.Owner == person);

    /// <summary>What they said, and what anybody said about answers to them.</summary>
    private IQueryable<Feedback> Feedback => db.Feedback.Where(row => row.User == person || row.Owner == person || reviews.Contains(row.Id)
        || db.Generations.Any(generation => generation.Id == row.GenerationId
            && (generation.User == person || generation.Owner == person)));

    /// <summary>What curation made of it, in any turn.</summary>
    public IQueryable<ExampleRow> Examples => db.Examples.Where(row => row.User == person || row.Owner == person
        || db.Generations.Any(generation => (generation.Id == row.GenerationId || generation.Id == row.RejectedId)
            && (generation.User == person || generation.Owner == person)));

    /// <summary>What curation made of acts that they reviewed, in any turn: without them it would have been made of others' words
    /// alone.</summary>
    public IQueryable<ExampleRow> Reviewed => db.Examples.Where(row => db.ExampleFeedback.Any(source => source.ExampleId == row.Id
        && db.Feedback.Any(review => review.Id == source.FeedbackId && review.Metric == Metrics.Review
            && (review.User == person || review.Owner == person))));

    private async Task FindReviewsAsync(CancellationToken cancellation)
    {
        List<Feedback> about = await db.Feedback.AsNoTracking().Where(review => review.Metric == Metrics.Review && db.Feedback.Any(act =>
            act.GenerationId == review.GenerationId && act.Metric != Metrics.Review && (act.User == person || act.Owner == person)))
            .ToListAsync(cancellation);
        Guid[] acts = [.. about.Select(row => Review.Read(row).Of).Distinct()];
        HashSet<Guid> theirs =
            [.. await db.Feedback.Where(row => acts.Contains(row.Id) && (row.User == person || row.Owner == person)).Select(row => row.Id)
            .ToListAsync(cancellation)];
        reviews = [.. about.Where(row => theirs.Contains(Review.Read(row).Of)).Select(row => row.Id)];
    }

    /// <summary>Answers to others whose prompts showed a text of theirs.</summary>
    private IQueryable<PromptExample> Shown =>
        db.Set<PromptExample>().Where(row => Feedback.Any(feedback => feedback.Id == row.FeedbackId));

    /// <summary>What curation made of those, in any turn: it holds the text.</summary>
    public IQueryable<ExampleRow> MadeOfShown =>
        db.Examples.Where(row => Shown.Any(shown => shown.GenerationId == row.GenerationId || shown.GenerationId == row.RejectedId));

    private IQueryable<StoredAnswer> Answers =>
        db.Answers.Where(row => row.User == person || Generations.Any(generation => generation.Group == row.Id));

    private IQueryable<DocumentRow> Documents => db.Documents.Where(row => row.User == person);

    private IQueryable<ConversationRow> Conversations => db.Conversations.Where(row => row.User == person);

    private IQueryable<TranslationUnit> Translations => db.TranslationUnits.Where(row => row.User == person
        || Documents.Any(document => document.Id == row.DocumentId));

    private IQueryable<TermRow> Terms => db.Terms.Where(row => row.User == person);

    public IQueryable<KeyRow> Keys => db.Keys.Where(row => row.User == person);

    public IQueryable<PasskeyRow> Passkeys => db.Passkeys.Where(row => Accounts.Any(account => account.Id == row.AccountId));

    private IQueryable<MemberRow> Memberships => db.Members.Where(row => Accounts.Any(account => account.Id == row.AccountId));

    private IQueryable<JobRow> Jobs => db.Jobs.Where(row => row.User == person && row.Kind != ForgetJob.Kind);

    public IQueryable<AccountRow> Accounts => db.Accounts.Where(row => row.User == person);

    /// <summary>Without an owner nobody could invite, enable or forget the others any more.</summary>
    /// <exception cref="FlywheelException">They are the only owner, and others have an account.</exception>
    public async Task CheckOwnerStaysAsync(CancellationToken cancellation)
    {
        IQueryable<AccountRow> owners = db.Accounts.Where(row => row.Role == AccountRole.Owner && row.Disabled == null);
        if (await owners.AnyAsync(row => row.User == person, cancellation)
            && !await owners.AnyAsync(row => row.User != person, cancellation)
            && await db.Accounts.AnyAsync(row => row.User != person, cancellation))
            throw new FlywheelException(
                $"'{person}' is the only owner and others have an account, expected another owner who stays; make somebody else one first");
    }

    /// <summary>How many rows of each kind there are.</summary>
    public async Task<SortedDictionary<string, int>> CountAsync(CancellationToken cancellation)
    {
        await FindReviewsAsync(cancellation);
        return new(StringComparer.Ordinal)
        {
            ["generations"] = await Generations.CountAsync(cancellation),
            ["feedback"] = await Feedback.CountAsync(cancellation),
            ["examples"] = await Examples.CountAsync(cancellation),
            ["prompts that showed their texts"] = await Shown.Select(row => row.GenerationId).Distinct().CountAsync(cancellation),
            ["stored answers"] = await Answers.CountAsync(cancellation),
            ["documents"] = await Documents.CountAsync(cancellation),
            ["conversations"] = await Conversations.CountAsync(cancellation),
            ["translations"] = await Translations.CountAsync(cancellation),
            ["terms"] = await Terms.CountAsync(cancellation),
            ["accounts"] = await Accounts.CountAsync(cancellation),
            ["keys"] = await Keys.CountAsync(cancellation),
            ["passkeys"] = await Passkeys.CountAsync(cancellation),
            ["jobs"] = await Jobs.CountAsync(cancellation),
        };
    }

    /// <summary>Removes them all; call it in a transaction.</summary>
    public async Task DeleteAsync(CancellationToken cancellation)
    {
        await FindReviewsAsync(cancellation);
        // Each before the rows by which it is found.
        List<Guid> shown = await Shown.Select(row => row.GenerationId).Distinct().ToListAsync(cancellation);
        foreach (Guid[] ids in shown.Chunk(500))
        {
            await db.Set<GenerationPayload>().Where(row => ids.Contains(row.GenerationId)).ExecuteDeleteAsync(cancellation);
            await db.Generations.Where(row => ids.Contains(row.Id))
                .ExecuteUpdateAsync(row => row.SetProperty(generation => generation.Store, StoreLevel.Counts), cancellation);
        }
        await Shown.ExecuteDeleteAsync(cancellation);
        await db.ExampleFeedback.Where(row => Feedback.Any(feedback => feedback.Id == row.FeedbackId)
            || Examples.Any(example => example.Id == row.ExampleId)).ExecuteDeleteAsync(cancellation);
        await Examples.ExecuteDeleteAsync(cancellation);
        await Answers.ExecuteDeleteAsync(cancellation);
        await Feedback.ExecuteDeleteAsync(cancellation);
        await db.Set<GenerationPayload>().Where(row => Generations.Any(generation => generation.Id == row.GenerationId))
            .ExecuteDeleteAsync(cancellation);
        await db.Set<PromptExample>().Where(row => Generations.Any(generation => generation.Id == row.GenerationId))
            .ExecuteDeleteAsync(cancellation);
        await Generations.ExecuteDeleteAsync(cancellation);
        await Translations.ExecuteDeleteAsync(cancellation);
        await Terms.ExecuteDeleteAsync(cancellation);
        await db.DocumentVersions.Where(row => row.User == person || Documents.Any(document => document.Id == row.DocumentId))
            .ExecuteDeleteAsync(cancellation);
        await Documents.ExecuteDeleteAsync(cancellation);
        await db.ConversationMessages.Where(row => Conversations.Any(conversation => conversation.Id == row.ConversationId))
            .ExecuteDeleteAsync(cancellation);
        await Conversations.ExecuteDeleteAsync(cancellation);
        await db.KeyUses.Where(row => Keys.Any(key => key.Id == row.KeyId)).ExecuteDeleteAsync(cancellation);
        await Keys.ExecuteDeleteAsync(cancellation);
        await db.Keys.Where(row => row.By == person).ExecuteUpdateAsync(row => row.SetProperty(key => key.By, Somebody), cancellation);
        await Passkeys.ExecuteDeleteAsync(cancellation);
        await Memberships.ExecuteDeleteAsync(cancellation);
        await db.Invitations.Where(row => Accounts.Any(account => account.Id == row.AccountId)
            // who is gone invites nobody
            || (row.By == person && row.Used == null && row.Revoked == null)).ExecuteDeleteAsync(cancellation);
        await Accounts.ExecuteDeleteAsync(cancellation);
        await db.Set<JobPayload>().Where(row => Jobs.Any(job => job.Id == row.JobId)).ExecuteDeleteAsync(cancellation);
        await Jobs.ExecuteDeleteAsync(cancellation);
        await UnnameAsync(cancellation);
    }

    /// <summary>Who had a model made or promoted is no act that anything was learnt from; the name goes, the row stays.</summary>
    private async Task UnnameAsync(CancellationToken cancellation)
    {
        await db.Models.Where(row => row.Owner == person)
            .ExecuteUpdateAsync(row => row.SetProperty(model => model.Owner, ""), cancellation);
        await db.Runs.Where(row => row.Owner == person).ExecuteUpdateAsync(row => row.SetProperty(run => run.Owner, ""), cancellation);
        await db.Datasets.Where(row => row.Owner == person)
            .ExecuteUpdateAsync(row => row.SetProperty(dataset => dataset.Owner, ""), cancellation);
        // What was done stays in the audit, without who it was; a key may be called after its owner, a link after whom it is for.
        await db.Audit.Where(row => row.Who == person)
            .ExecuteUpdateAsync(row => row.SetProperty(audit => audit.Who, Somebody), cancellation);
        await db.Audit.Where(row => row.Whom == person)
            .ExecuteUpdateAsync(row => row.SetProperty(audit => audit.Whom, Somebody).SetProperty(audit => audit.About, ""), cancellation);
        await db.Invitations.Where(row => row.By == person)
            .ExecuteUpdateAsync(row =>
                row.SetProperty(invitation => invitation.By, Somebody).SetProperty(invitation => invitation.Label, ""), cancellation);
        string by = $" by {person}", now = $" by {Somebody}";
        foreach (TurnRow turn in await db.Turns.Where(row => row.Reason != null && row.Reason.Contains(by)).ToListAsync(cancellation))
            turn.Reason = Unnamed(turn.Reason!);
        foreach (ReleaseRow release in await db.Releases.Where(row => row.Reason.Contains(by)).ToListAsync(cancellation))
            release.Reason = Unnamed(release.Reason);
        foreach (WorkspaceReleaseRow release in await db.WorkspaceReleases.Where(row => row.Reason.Contains(by)).ToListAsync(cancellation))
            release.Reason = Unnamed(release.Reason);
        foreach (RolloutRow rollout in await db.Rollouts.Where(row => row.Reason.Contains(by)).ToListAsync(cancellation))
            rollout.Reason = Unnamed(rollout.Reason);
        await db.SaveChangesAsync(cancellation);

        // The whole name: 'ann' is not the beginning of 'anna'.
        string Unnamed(string reason) => (reason + " ").Replace(by + " ", now + " ", StringComparison.Ordinal)[..^1];
    }
}
