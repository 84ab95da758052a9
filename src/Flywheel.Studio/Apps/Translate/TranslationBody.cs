using System.Text.Json;
using System.Text.Json.Serialization;
using Flywheel.Loop.Translation;

namespace Flywheel.Studio.Apps.Translate;

/// <summary>What a translation's document says; the file that it was made of lies in a document of its own, which never changes.</summary>
public sealed record TranslationBody
{
    /// <summary>BCP 47 tag.</summary>
    public required string From { get; init; }

    /// <summary>BCP 47 tag.</summary>
    public required string To { get; init; }

    /// <summary>Name of the file's format.</summary>
    public required string Format { get; init; }

    /// <summary>Id of the document that holds the file.</summary>
    public required Guid File { get; init; }

    /// <summary>Name of the engine that drafts; empty: none.</summary>
    public string Engine { get; init; } = "";

    public List<SegmentBody> Segments { get; init; } = [];

    public static TranslationBody Parse(string json) => JsonSerializer.Deserialize<TranslationBody>(json, Json)!;

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    [JsonIgnore]
    public int NumApproved => Segments.Count(segment => segment.State == SegmentState.Approved);

    internal static JsonSerializerOptions Json { get; } = WholeLists.Of(new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
        // stays readable in the record; it is never put into a page as it is
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}

/// <summary>A segment of a document, as it stands.</summary>
public sealed record SegmentBody
{
    /// <summary>Number of the file's text that it is part of.</summary>
    public int Block { get; init; }

    public required string Source { get; init; }

    /// <summary>Blanks between it and the next of the same text.</summary>
    public string After { get; init; } = "";

    public string Target { get; init; } = "";

    public SegmentState State { get; init; }

    /// <summary>Who drafted: an engine's name, <c>memory</c>, <c>repeat</c> (a segment of the same source was approved), or empty: a
    /// person.</summary>
    public string Origin { get; init; } = "";

    /// <summary>Of a draft from the memory: how like its source was, up to 1.</summary>
    public double? Score { get; init; }

    /// <summary>The draft as it came.</summary>
    public string Draft { get; init; } = "";

    /// <summary>The model's generation behind the draft.</summary>
    public Guid? Generation { get; init; }

    /// <summary>Where no model drafted: the row of the record that the person's translation is about.</summary>
    public Guid? Request { get; init; }

    [JsonIgnore]
    public FileSegment InFile => new(Block, Source, After);
}

public enum SegmentState
{
    Empty,

    /// <summary>Drafted, and looked at by nobody.</summary>
    Machine,

    /// <summary>A person has written in it.</summary>
    Edited,

    Approved,
}

/// <summary>What is typed where a translation begins.</summary>
public sealed record StartBody
{
    public string From { get; init; } = "en";

    public string To { get; init; } = "es";

    /// <summary>Null: whatever is made for the languages.</summary>
    public string? Engine { get; init; }

    public string Text { get; init; } = "";

    public static StartBody Parse(string json) => JsonSerializer.Deserialize<StartBody>(json, TranslationBody.Json)!;

    public string ToJson() => JsonSerializer.Serialize(this, TranslationBody.Json);
}
