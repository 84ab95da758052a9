using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop.Jobs;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Flywheel.Loop;

/// <summary>
/// The record's tables, as SQLite holds them; <see cref="PostgresDb"/> says what is otherwise in PostgreSQL. Change them by a migration
/// for each: <c>dotnet ef migrations add NAME --context FlywheelDb --project src/Flywheel.Loop -o Store/Sqlite/Migrations
/// --startup-project HOST</c>, and the same with PostgresDb and Store/Postgres/Migrations, where HOST is a scratch project that references
/// this one and Microsoft.EntityFrameworkCore.Design (the product does not carry it) and holds an <c>IDesignTimeDbContextFactory</c> of
/// each. They are applied when a store is opened; a test fails while one is missing.
/// </summary>
public class FlywheelDb : DbContext
{
    public FlywheelDb(DbContextOptions<FlywheelDb> options) : base(options)
    {
    }

    protected FlywheelDb(DbContextOptions options) : base(options)
    {
    }

    /// <summary>
    /// Whose rows are seen; null: everybody's. Every query but those that say <c>IgnoreQueryFilters</c> is held to it, and nothing is saved
    /// for another
    /// workspace. What lies in a table without a workspace of its own (payloads, versions, messages) is reached by a row that has one.
    /// </summary>
    public string? Workspace { get; internal set; }

    public DbSet<Generation> Generations => Set<Generation>();

    /// <summary>Answers that were given here: what figures count.</summary>
    public IQueryable<Generation> Served => Generations.Where(row => row.Origin == null);

    public DbSet<Feedback> Feedback => Set<Feedback>();

    public DbSet<ExampleRow> Examples => Set<ExampleRow>();

    public DbSet<ExampleFeedback> ExampleFeedback => Set<ExampleFeedback>();

    public DbSet<DatasetRow> Datasets => Set<DatasetRow>();

    public DbSet<RunRow> Runs => Set<RunRow>();

    public DbSet<ModelRow> Models => Set<ModelRow>();

    public DbSet<EvaluationRow> Evaluations => Set<EvaluationRow>();

    public DbSet<ReleaseRow> Releases => Set<ReleaseRow>();

    public DbSet<WorkspaceReleaseRow> WorkspaceReleases => Set<WorkspaceReleaseRow>();

    public DbSet<RolloutRow> Rollouts => Set<RolloutRow>();

    public DbSet<TurnRow> Turns => Set<TurnRow>();

    public DbSet<StoredAnswer> Answers => Set<StoredAnswer>();

    public DbSet<JobRow> Jobs => Set<JobRow>();

    public DbSet<WorkspaceRow> Workspaces => Set<WorkspaceRow>();

    public DbSet<KeyRow> Keys => Set<KeyRow>();

    public DbSet<KeyUseRow> KeyUses => Set<KeyUseRow>();

    public DbSet<MemberRow> Members => Set<MemberRow>();

    public DbSet<PasskeyRow> Passkeys => Set<PasskeyRow>();

    public DbSet<AccountRow> Accounts => Set<AccountRow>();

    public DbSet<InvitationRow> Invitations => Set<InvitationRow>();

    public DbSet<AuditRow> Audit => Set<AuditRow>();

    public DbSet<SecretRow> Secrets => Set<SecretRow>();

    public DbSet<DocumentRow> Documents => Set<DocumentRow>();

    public DbSet<DocumentVersion> DocumentVersions => Set<DocumentVersion>();

    public DbSet<ConversationRow> Conversations => Set<ConversationRow>();

    public DbSet<ConversationMessage> ConversationMessages => Set<ConversationMessage>();

    public DbSet<TranslationUnit> TranslationUnits => Set<TranslationUnit>();

    public DbSet<TermRow> Terms => Set<TermRow>();

    public DbSet<DeletionRow> Deletions => Set<DeletionRow>();

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        // Ids and states read in the database's shell as they read in the API; times sort as numbers.
        configurationBuilder.Properties<Guid>().HaveConversion<GuidToStringConverter>();
        configurationBuilder.Properties<Enum>().HaveConversion<string>();
        configurationBuilder.Properties<DateTimeOffset>().HaveConversion<UnixMilliseconds>();
    }

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<Generation>(generation =>
        {
            generation.ToTable("generation").HasKey(row => row.Id);
            generation.Property(row => row.Group).HasColumnName("group_id"); // GROUP is a word of SQL
            generation.HasIndex(row => row.Group);
            generation.HasIndex(row => row.Time);
            generation.HasIndex(row => row.ModelHash);
            generation.HasIndex(row => row.User);
            generation.HasIndex(row => row.Owner).HasFilter("owner <> ''"); // costs nothing where there are no keys
            generation.HasIndex(row => row.Rollout).HasFilter("rollout IS NOT NULL");
            generation.HasOne(row => row.Payload).WithOne().HasForeignKey<GenerationPayload>(row => row.GenerationId);
            generation.HasMany(row => row.PromptExamples).WithOne().HasForeignKey(row => row.GenerationId);
        });
        modelBuilder.Entity<PromptExample>(example =>
        {
            example.ToTable("prompt_example").HasKey(row => new { row.GenerationId, row.Place });
            example.HasIndex(row => row.FeedbackId);
        });
        modelBuilder.Entity<GenerationPayload>(payload =>
        {
            payload.ToTable("generation_payload").HasKey(row => row.GenerationId);
            payload.Property(row => row.Conversation)
                .HasConversion(new ValueConverter<Conversation?, string>(value => value!.ToString(), text => Conversation.Parse(text)));
            payload.Property(row => row.PromptTokens).HasConversion(TokenBlob.OfIds, TokenBlob.SameIds);
            payload.Property(row => row.Tokens).HasConversion(TokenBlob.OfIds, TokenBlob.SameIds);
            payload.Property(row => row.Logprobs).HasConversion(TokenBlob.OfFloats, TokenBlob.SameFloats);
            payload.Property(row => row.SamplerLogprobs).HasConversion(TokenBlob.OfFloats, TokenBlob.SameFloats);
            payload.Property(row => row.Sampler).HasConversion(Json<SamplerOptions>());
            payload.Property(row => row.Stop).HasConversion(Json<IReadOnlyList<string>>(), new ValueComparer<IReadOnlyList<string>>(
                (a, b) => ReferenceEquals(a, b), value => value.Count));
        });
        modelBuilder.Entity<StoredAnswer>(answer =>
        {
            answer.ToTable("stored_answer").HasKey(row => row.Sequence);
            answer.HasIndex(row => row.Id).IsUnique();
            answer.HasIndex(row => row.User);
        });
        modelBuilder.Entity<Feedback>(feedback =>
        {
            feedback.ToTable("feedback").HasKey(row => row.Sequence);
            feedback.HasIndex(row => row.Id).IsUnique();
            feedback.HasIndex(row => row.GenerationId); // no foreign key: feedback may come first
            // A key is its user's own: two people may use the same.
            feedback.HasIndex(row => new { row.IdempotencyKey, row.User, row.Owner, row.Workspace }).IsUnique()
                .HasFilter("idempotency_key IS NOT NULL");
            feedback.HasIndex(row => row.User);
            feedback.HasIndex(row => row.Owner).HasFilter("owner <> ''");
            feedback.Ignore(row => row.Text);
        });
        modelBuilder.Entity<ExampleRow>(example =>
        {
            example.ToTable("example").HasKey(row => row.Id);
            example.HasIndex(row => row.TurnId);
            example.HasIndex(row => row.Hash);
            example.HasIndex(row => row.GenerationId);
            example.HasIndex(row => row.RejectedId);
            example.HasIndex(row => row.User);
            example.HasIndex(row => row.Owner).HasFilter("owner <> ''");
            example.HasIndex(row => row.PromptHash);
            example.HasMany(row => row.Sources).WithOne().HasForeignKey(row => row.ExampleId);
        });
        modelBuilder.Entity<ExampleFeedback>(source =>
        {
            source.ToTable("example_feedback").HasKey(row => new { row.ExampleId, row.FeedbackId });
            source.HasIndex(row => row.FeedbackId);
        });
        modelBuilder.Entity<DatasetRow>().ToTable("dataset").HasKey(row => row.Hash);
        modelBuilder.Entity<RunRow>(run =>
        {
            run.ToTable("run").HasKey(row => row.Name);
            run.HasIndex(row => row.Dataset);
            run.HasIndex(row => row.TurnId);
        });
        modelBuilder.Entity<ModelRow>(model =>
        {
            model.ToTable("model").HasKey(row => row.Hash);
            model.HasIndex(row => row.Run);
            model.HasIndex(row => row.Dataset);
            model.HasIndex(row => row.Parent);
        });
        modelBuilder.Entity<EvaluationRow>(evaluation =>
        {
            evaluation.ToTable("evaluation").HasKey(row => row.Id);
            evaluation.HasIndex(row => row.TurnId);
        });
        modelBuilder.Entity<ReleaseRow>().ToTable("release").HasKey(row => row.Id);
        modelBuilder.Entity<WorkspaceReleaseRow>(release =>
        {
            release.ToTable("workspace_release").HasKey(row => row.Id);
            release.HasIndex(row => row.Workspace);
        });
        modelBuilder.Entity<RolloutRow>(rollout =>
        {
            rollout.ToTable("rollout").HasKey(row => row.Id);
            rollout.HasIndex(row => row.State).IsUnique().HasFilter("state = 'Running'"); // one at a time, whoever starts it
            rollout.Ignore(row => row.NextShare).Ignore(row => row.Winner);
        });
        modelBuilder.Entity<TurnRow>(turn =>
        {
            turn.ToTable("turn").HasKey(row => row.Id);
            turn.HasIndex(row => row.Number).IsUnique();
            turn.HasIndex(row => row.Dataset);
        });
        modelBuilder.Entity<JobRow>(job =>
        {
            job.ToTable("job").HasKey(row => row.Id);
            job.HasIndex(row => new { row.State, row.NotBefore });
            job.HasIndex(row => new { row.Workspace, row.Created });
            job.Ignore(row => row.IsOfTheHome);
            job.HasOne(row => row.Payload).WithOne().HasForeignKey<JobPayload>(row => row.JobId);
        });
        modelBuilder.Entity<JobPayload>().ToTable("job_payload").HasKey(row => row.JobId);
        modelBuilder.Entity<WorkspaceRow>(workspace =>
        {
            workspace.ToTable("workspace").HasKey(row => row.Id);
            workspace.HasData(new WorkspaceRow { Id = WorkspaceRow.Default, Name = "Default", Created = DateTimeOffset.UnixEpoch,
                TrainsShared = true });
        });
        modelBuilder.Entity<KeyRow>(key =>
        {
            key.ToTable("key").HasKey(row => row.Id);
            key.HasIndex(row => row.Hash).IsUnique();
            key.HasIndex(row => row.User);
            key.Ignore(row => row.IsLimited);
        });
        modelBuilder.Entity<KeyUseRow>().ToTable("key_use").HasKey(row => new { row.KeyId, row.Day });
        modelBuilder.Entity<MemberRow>(member =>
        {
            member.ToTable("member").HasKey(row => new { row.AccountId, row.Workspace });
            member.HasIndex(row => row.Workspace);
        });
        modelBuilder.Entity<PasskeyRow>(passkey =>
        {
            passkey.ToTable("passkey").HasKey(row => row.Id);
            passkey.HasIndex(row => row.AccountId);
        });
        modelBuilder.Entity<AccountRow>(account =>
        {
            account.ToTable("account").HasKey(row => row.Id);
            account.HasIndex(row => row.NormalizedName).IsUnique();
            account.HasIndex(row => row.User).IsUnique();
        });
        modelBuilder.Entity<InvitationRow>(invitation =>
        {
            invitation.ToTable("invitation").HasKey(row => row.Id);
            invitation.HasIndex(row => row.Hash).IsUnique();
        });
        modelBuilder.Entity<AuditRow>(audit =>
        {
            audit.ToTable("audit").HasKey(row => row.Id);
            audit.HasIndex(row => row.Who);
            audit.HasIndex(row => row.Whom);
        });
        modelBuilder.Entity<DeletionRow>(deletion =>
        {
            deletion.ToTable("deletion").HasKey(row => row.Id);
            deletion.HasIndex(row => row.Person);
        });
        modelBuilder.Entity<SecretRow>().ToTable("secret").HasKey(row => row.Name);
        modelBuilder.Entity<DocumentRow>(document =>
        {
            document.ToTable("document").HasKey(row => row.Id);
            document.HasIndex(row => new { row.Workspace, row.User, row.App, row.Updated });
            document.HasMany(row => row.Versions).WithOne().HasForeignKey(row => row.DocumentId);
        });
        modelBuilder.Entity<DocumentVersion>().ToTable("document_version").HasKey(row => new { row.DocumentId, row.Number });
        modelBuilder.Entity<ConversationRow>(conversation =>
        {
            conversation.ToTable("conversation").HasKey(row => row.Id);
            conversation.HasIndex(row => new { row.Workspace, row.User, row.App, row.Updated });
            conversation.HasMany(row => row.Messages).WithOne().HasForeignKey(row => row.ConversationId);
        });
        modelBuilder.Entity<ConversationMessage>(message =>
        {
            message.ToTable("conversation_message").HasKey(row => row.Id);
            message.HasIndex(row => row.GenerationId);
        });
        modelBuilder.Entity<TranslationUnit>(unit =>
        {
            unit.ToTable("translation_unit").HasKey(row => row.Id);
            unit.HasIndex(row => new { row.Workspace, row.SourceLanguage, row.TargetLanguage, row.Updated });
            unit.HasIndex(row => new { row.DocumentId, row.Segment });
            unit.HasIndex(row => row.User);
        });
        modelBuilder.Entity<TermRow>(term =>
        {
            term.ToTable("term").HasKey(row => row.Id);
            term.HasIndex(row => new { row.Workspace, row.SourceLanguage, row.TargetLanguage, row.Source }).IsUnique();
        });

        modelBuilder.Entity<Generation>().HasQueryFilter(row => Workspace == null || row.Workspace == Workspace);
        modelBuilder.Entity<StoredAnswer>().HasQueryFilter(row => Workspace == null || row.Workspace == Workspace);
        modelBuilder.Entity<Feedback>().HasQueryFilter(row => Workspace == null || row.Workspace == Workspace);
        modelBuilder.Entity<ExampleRow>().HasQueryFilter(row => Workspace == null || row.Workspace == Workspace);
        modelBuilder.Entity<DocumentRow>().HasQueryFilter(row => Workspace == null || row.Workspace == Workspace);
        modelBuilder.Entity<ConversationRow>().HasQueryFilter(row => Workspace == null || row.Workspace == Workspace);
        modelBuilder.Entity<TranslationUnit>().HasQueryFilter(row => Workspace == null || row.Workspace == Workspace);
        modelBuilder.Entity<WorkspaceReleaseRow>().HasQueryFilter(row => Workspace == null || row.Workspace == Workspace);
        modelBuilder.Entity<TermRow>().HasQueryFilter(row => Workspace == null || row.Workspace == Workspace);
        // What concerns the model that all share is seen from everywhere.
        modelBuilder.Entity<JobRow>()
            .HasQueryFilter(row => Workspace == null || row.Workspace == Workspace || JobRow.OfTheHome.Contains(row.Kind));

        foreach (IMutableProperty property in modelBuilder.Model.GetEntityTypes().SelectMany(entity => entity.GetProperties()))
            if (property.GetColumnName() == property.Name)
                property.SetColumnName(JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name));
    }

    public override int SaveChanges(bool acceptAllChangesOnSuccess)
    {
        CheckWorkspace();
        return base.SaveChanges(acceptAllChangesOnSuccess);
    }

    public override Task<int> SaveChangesAsync(bool acceptAllChangesOnSuccess, CancellationToken cancellationToken = default)
    {
        CheckWorkspace();
        return base.SaveChangesAsync(acceptAllChangesOnSuccess, cancellationToken);
    }

    private void CheckWorkspace()
    {
        if (Workspace is null) return;
        foreach (EntityEntry entry in ChangeTracker.Entries()
            .Where(entry => entry.State != EntityState.Unchanged && entry.Metadata.GetDeclaredQueryFilters().Count > 0))
            if (entry.Property(nameof(DocumentRow.Workspace)).CurrentValue is string where && where != Workspace
                && entry.Entity is not JobRow { IsOfTheHome: true })
                throw new InvalidOperationException(
                    $"a {entry.Metadata.ShortName()} of the workspace '{where}' would be saved by somebody in '{Workspace}'");
    }

    private static ValueConverter<T, string> Json<T>() => new(
        value => JsonSerializer.Serialize(value, JsonText.Compact), text => JsonSerializer.Deserialize<T>(text, JsonText.Compact)!);

    private sealed class UnixMilliseconds() : ValueConverter<DateTimeOffset, long>(
        time => time.ToUnixTimeMilliseconds(), value => DateTimeOffset.FromUnixTimeMilliseconds(value));
}
