using System.Text.Json;
using System.Text.Json.Serialization;
using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Loop.Keeping;

/// <summary>What an archive is: <c>manifest.json</c> of its zip.</summary>
internal sealed record ArchiveManifest
{
    /// <summary>What is written. What is not read here is refused.</summary>
    public const int Version = 2;

    /// <summary>The one before, which lists no files.</summary>
    public const int Unlisted = 1;

    public const string Person = "person", Workspace = "workspace", Entry = "manifest.json";

    public required int FlywheelArchive { get; init; }

    /// <summary><see cref="Person"/>: what one person has in all workspaces; <see cref="Workspace"/>: what everybody has in one.</summary>
    public required string Scope { get; init; }

    public required DateTimeOffset Created { get; init; }

    /// <summary>Users whose rows are in it; of a workspace with the names by which they sign in.</summary>
    public required IReadOnlyList<ArchivePerson> People { get; init; }

    /// <summary>Every other file of the zip with its SHA-256, in hexadecimal; null in the version before.</summary>
    public IReadOnlyDictionary<string, string>? Files { get; init; }
}

/// <param name="User">As its rows name them.</param>
/// <param name="Name">Their sign-in name; null where they have no account.</param>
internal sealed record ArchivePerson(string User, string? Name = null);

/// <summary>A line of one of an archive's files. <c>user</c> stands there in a workspace's archive alone.</summary>
internal interface IArchiveLine
{
    string? User { get; }
}

internal sealed record GenerationLine(Guid Id, Guid Group, int Choice, DateTimeOffset Time, string App, FinishReason Finish, string Text,
    int PromptTokens, int AnswerTokens, string? Model = null,
    string? Upstream = null, bool? MayTeach = null, string? Conversation = null, string? User = null) : IArchiveLine;

internal sealed record FeedbackLine(Guid Id, DateTimeOffset Time, Guid About, string Metric, string Value, string Tags,
    FeedbackSource Source, string? User = null) : IArchiveLine;

internal sealed record DocumentLine(Guid Id, string App, string Kind, string Title, string Folder, string Tags, int Version,
    DateTimeOffset Created, DateTimeOffset Updated,
    DateTimeOffset? Deleted = null, string? User = null) : IArchiveLine;

internal sealed record VersionLine(Guid Document, int Number, DateTimeOffset Time, string Body, string? User = null) : IArchiveLine;

internal sealed record ChatLine(Guid Id, string App, string Title, string Folder, string Tags, DateTimeOffset Created,
    DateTimeOffset Updated, Guid? Leaf = null, DateTimeOffset? Deleted = null, string? User = null)
    : IArchiveLine;

internal sealed record MessageLine(Guid Id, Guid Chat, DateTimeOffset Time, string Body, Guid? Parent = null, Guid? Generation = null,
    string? User = null) : IArchiveLine;

internal sealed record TranslationLine(Guid Id, string From, string To, string Source, string Target, string Context,
    DateTimeOffset Created, DateTimeOffset Updated, Guid? Document = null,
    int? Segment = null, string? User = null) : IArchiveLine;

internal sealed record TermLine(Guid Id, string From, string To, string Source, string Target, string Forbidden, string Note,
    DateTimeOffset Created, DateTimeOffset Updated, string? User = null) : IArchiveLine;

/// <summary>How lines are written and read.</summary>
internal static class ArchiveJson
{
    /// <summary>Nothing is passed over in silence, and no field may be missing.</summary>
    public static JsonSerializerOptions Options { get; } = Strict();

    private static JsonSerializerOptions Strict()
    {
        var options = new JsonSerializerOptions(JsonText.Compact)
        {
            UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
            AllowDuplicateProperties = false,
            RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true,
        };
        // else a number is any value, also none
        options.Converters.Insert(0, new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false));
        return options;
    }

    public static GenerationLine Line(Generation row, string? user) =>
        new(row.Id, row.Group, row.Choice, row.Time, row.App, row.FinishReason, row.Payload!.Text, row.NumPromptTokens, row.NumTokens,
        row.Origin ?? row.ModelHash, row.Upstream, row.Consent == Consent.Refused ? false : null, row.Payload.Conversation?.ToString(),
        user);

    public static FeedbackLine Line(Feedback row, string? user) =>
        new(row.Id, row.Time, row.GenerationId, row.Metric, row.Value, row.Tags, row.Source, user);

    public static DocumentLine Line(DocumentRow row, string? user) =>
        new(row.Id, row.App, row.Kind, row.Title, row.Folder, row.Tags, row.Version, row.Created, row.Updated, row.Deleted, user);

    public static VersionLine Line(DocumentVersion row) => new(row.DocumentId, row.Number, row.Time, row.Body);

    public static ChatLine Line(ConversationRow row, string? user) =>
        new(row.Id, row.App, row.Title, row.Folder, row.Tags, row.Created, row.Updated, row.Leaf, row.Deleted, user);

    public static MessageLine Line(ConversationMessage row) =>
        new(row.Id, row.ConversationId, row.Time, row.Body, row.ParentId, row.GenerationId);

    public static TranslationLine Line(TranslationUnit row, string? user) =>
        new(row.Id, row.SourceLanguage, row.TargetLanguage, row.Source, row.Target, row.Context, row.Created, row.Updated, row.DocumentId,
            row.Segment, user);

    public static TermLine Line(TermRow row, string? user) =>
        new(row.Id, row.SourceLanguage, row.TargetLanguage, row.Source, row.Target, row.Forbidden, row.Note, row.Created, row.Updated,
            user);
}
