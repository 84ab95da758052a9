namespace Flywheel.Loop;

/// <summary>A pair of texts that a person approved, or that was imported: the translation memory.</summary>
public sealed class TranslationUnit
{
    /// <summary>UUID v7.</summary>
    public required Guid Id { get; init; }

    public string Workspace { get; init; } = Actor.Here;

    /// <summary>Who approved or imported it.</summary>
    public required string User { get; init; }

    /// <summary>BCP 47 tag.</summary>
    public required string SourceLanguage { get; init; }

    /// <summary>BCP 47 tag.</summary>
    public required string TargetLanguage { get; init; }

    public required string Source { get; init; }

    public required string Target { get; set; }

    /// <summary>The source before it in its document; empty at a beginning, or where it is not known.</summary>
    public string Context { get; init; } = "";

    /// <summary>The document in which it was approved; null of an imported one.</summary>
    public Guid? DocumentId { get; init; }

    /// <summary>Number of its segment there.</summary>
    public int? Segment { get; init; }

    public required DateTimeOffset Created { get; init; }

    public required DateTimeOffset Updated { get; set; }
}

/// <summary>An entry of the glossary: how a term is translated, and how not.</summary>
public sealed class TermRow
{
    public required Guid Id { get; init; }

    public string Workspace { get; init; } = Actor.Here;

    /// <summary>Who wrote it last.</summary>
    public required string User { get; set; }

    /// <summary>BCP 47 tag.</summary>
    public required string SourceLanguage { get; init; }

    /// <summary>BCP 47 tag.</summary>
    public required string TargetLanguage { get; init; }

    public required string Source { get; init; }

    /// <summary>What must stand for it; empty where only something is forbidden.</summary>
    public required string Target { get; set; }

    /// <summary>What must not stand for it, with semicolons between.</summary>
    public string Forbidden { get; set; } = "";

    public string Note { get; set; } = "";

    public required DateTimeOffset Created { get; init; }

    public required DateTimeOffset Updated { get; set; }
}
