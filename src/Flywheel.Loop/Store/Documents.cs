namespace Flywheel.Loop;

/// <summary>Something that a person keeps: a text, a brief, a dictionary. What it says lies in its versions.</summary>
public sealed class DocumentRow
{
    public required Guid Id { get; init; }

    public string Workspace { get; init; } = Actor.Here;

    public required string User { get; init; }

    /// <summary>The application whose it is, such as <c>write</c>.</summary>
    public required string App { get; init; }

    /// <summary>What it is to that application, such as <c>draft</c> or <c>brief</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>Path with slashes; empty at the top.</summary>
    public string Folder { get; set; } = "";

    public string Title { get; set; } = "";

    /// <summary>Words with a line break between them.</summary>
    public string Tags { get; set; } = "";

    /// <summary>Number of the version that is shown.</summary>
    public int Version { get; set; }

    public required DateTimeOffset Created { get; init; }

    public required DateTimeOffset Updated { get; set; }

    /// <summary>In the bin since; null when it is not.</summary>
    public DateTimeOffset? Deleted { get; set; }

    /// <summary>Empty when a query left them out.</summary>
    public IList<DocumentVersion> Versions { get; init; } = [];
}

/// <summary>What a document said at a time.</summary>
public sealed class DocumentVersion
{
    public Guid DocumentId { get; init; }

    /// <summary>1, 2, 3, ...</summary>
    public required int Number { get; init; }

    public required DateTimeOffset Time { get; init; }

    /// <summary>Who wrote it.</summary>
    public string User { get; init; } = "";

    public required string Body { get; set; }
}

/// <summary>A chat that a person keeps. Its messages are a tree: an edited question begins a branch beside the old one.</summary>
public sealed class ConversationRow
{
    public required Guid Id { get; init; }

    public string Workspace { get; init; } = Actor.Here;

    public required string User { get; init; }

    /// <summary>The application whose it is, such as <c>chat</c>.</summary>
    public required string App { get; init; }

    public string Folder { get; set; } = "";

    public string Title { get; set; } = "";

    /// <summary>Words with a line break between them.</summary>
    public string Tags { get; set; } = "";

    /// <summary>The last message of the branch that is shown; null of an empty one.</summary>
    public Guid? Leaf { get; set; }

    public required DateTimeOffset Created { get; init; }

    public required DateTimeOffset Updated { get; set; }

    /// <summary>In the bin since; null when it is not.</summary>
    public DateTimeOffset? Deleted { get; set; }

    /// <summary>Empty when a query left them out.</summary>
    public IList<ConversationMessage> Messages { get; init; } = [];
}

/// <summary>One message of a kept chat.</summary>
public sealed class ConversationMessage
{
    public required Guid Id { get; init; }

    public Guid ConversationId { get; init; }

    /// <summary>The message before it; null of a first one.</summary>
    public Guid? ParentId { get; init; }

    /// <summary>The answer that it shows; null of what a person wrote.</summary>
    public Guid? GenerationId { get; init; }

    public required DateTimeOffset Time { get; init; }

    /// <summary>JSON of the message, as in a request: role, content and what else it has.</summary>
    public required string Body { get; set; }
}
