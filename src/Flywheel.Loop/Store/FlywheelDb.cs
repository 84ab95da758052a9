using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Flywheel.Loop;

/// <summary>
/// The record's tables. Change them by a migration: <c>dotnet ef migrations add NAME --project src/Flywheel.Loop -o Store/Migrations
/// --startup-project HOST</c>, where HOST is a scratch project that references this one and Microsoft.EntityFrameworkCore.Design
/// (the product does not carry it) and holds an <c>IDesignTimeDbContextFactory</c>. <see cref="Schema"/> applies them when a store
/// is opened; a test fails while one is missing.
/// </summary>
public sealed class FlywheelDb(DbContextOptions<FlywheelDb> options) : DbContext(options)
{
    public DbSet<Generation> Generations => Set<Generation>();

    public DbSet<Feedback> Feedback => Set<Feedback>();

    public DbSet<ExampleRow> Examples => Set<ExampleRow>();

    public DbSet<ExampleFeedback> ExampleFeedback => Set<ExampleFeedback>();

    public DbSet<DatasetRow> Datasets => Set<DatasetRow>();

    public DbSet<RunRow> Runs => Set<RunRow>();

    public DbSet<ModelRow> Models => Set<ModelRow>();

    public DbSet<EvaluationRow> Evaluations => Set<EvaluationRow>();

    public DbSet<ReleaseRow> Releases => Set<ReleaseRow>();

    public DbSet<TurnRow> Turns => Set<TurnRow>();

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        // Ids and states read in the sqlite3 shell as they read in the API; times sort as numbers.
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
            generation.HasOne(row => row.Payload).WithOne().HasForeignKey<GenerationPayload>(row => row.GenerationId);
        });
        modelBuilder.Entity<GenerationPayload>(payload =>
        {
            payload.ToTable("generation_payload").HasKey(row => row.GenerationId);
            payload.Property(row => row.Conversation).HasConversion(new ValueConverter<Conversation?, string>(value => value!.ToString(), text => Conversation.Parse(text)));
            payload.Property(row => row.PromptTokens).HasConversion(TokenBlob.OfIds, TokenBlob.SameIds);
            payload.Property(row => row.Tokens).HasConversion(TokenBlob.OfIds, TokenBlob.SameIds);
            payload.Property(row => row.Logprobs).HasConversion(TokenBlob.OfFloats, TokenBlob.SameFloats);
            payload.Property(row => row.SamplerLogprobs).HasConversion(TokenBlob.OfFloats, TokenBlob.SameFloats);
            payload.Property(row => row.Sampler).HasConversion(Json<SamplerOptions>());
            payload.Property(row => row.Stop).HasConversion(Json<IReadOnlyList<string>>(), new ValueComparer<IReadOnlyList<string>>(
                (a, b) => ReferenceEquals(a, b), value => value.Count));
        });
        modelBuilder.Entity<Feedback>(feedback =>
        {
            feedback.ToTable("feedback").HasKey(row => row.Sequence);
            feedback.HasIndex(row => row.Id).IsUnique();
            feedback.HasIndex(row => row.GenerationId); // no foreign key: feedback may come first
            feedback.HasIndex(row => row.IdempotencyKey).IsUnique();
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
        modelBuilder.Entity<TurnRow>(turn =>
        {
            turn.ToTable("turn").HasKey(row => row.Id);
            turn.HasIndex(row => row.Number).IsUnique();
            turn.HasIndex(row => row.Dataset);
        });

        foreach (IMutableProperty property in modelBuilder.Model.GetEntityTypes().SelectMany(entity => entity.GetProperties()))
            if (property.GetColumnName() == property.Name) property.SetColumnName(JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name));
    }

    private static ValueConverter<T, string> Json<T>() => new(
        value => JsonSerializer.Serialize(value, JsonText.Compact), text => JsonSerializer.Deserialize<T>(text, JsonText.Compact)!);

    private sealed class UnixMilliseconds() : ValueConverter<DateTimeOffset, long>(
        time => time.ToUnixTimeMilliseconds(), value => DateTimeOffset.FromUnixTimeMilliseconds(value));
}
