using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Write;

/// <summary>What a brief's document says: its fields, and the drafts that were written for it, the latest first.</summary>
public sealed record BriefBody
{
    public BriefFields Fields { get; init; } = new();

    public List<DraftSet> Sets { get; init; } = [];

    public static BriefBody Parse(string json) => JsonSerializer.Deserialize<BriefBody>(json, CopyJson.Options)!;

    public string ToJson() => JsonSerializer.Serialize(this, CopyJson.Options);
}

/// <summary>The fields of a brief as they are typed.</summary>
public sealed partial record BriefFields
{
    internal const int MaxLine = 200, MaxFacts = 12;

    public string Name { get; init; } = "";

    public string Kind { get; init; } = Brief.Tagline;

    /// <summary>What it is, such as "Graphics, Photography"; with commas between.</summary>
    public string What { get; init; } = "";

    /// <summary>One a line.</summary>
    public string Facts { get; init; } = "";

    public string Audience { get; init; } = "";

    public string Tone { get; init; } = "";

    public string Length { get; init; } = "";

    /// <summary>What the model is told instead of the kind's own order, from a template; empty: that one. For models that follow any
    /// order.</summary>
    public string Order { get; init; } = "";

    /// <summary>How facts are said where that was chosen; see <see cref="FactChoices"/>.</summary>
    public string Forms { get; init; } = "";

    /// <summary>Names of the fields that hold a text.</summary>
    public static IReadOnlyList<string> Names { get; } = ["name", "kind", "what", "facts", "audience", "tone", "length"];

    public string this[string field] => field switch
    {
        "name" => Name,
        "kind" => Kind,
        "what" => What,
        "facts" => Facts,
        "audience" => Audience,
        "tone" => Tone,
        "length" => Length,
        "order" => Order,
        "forms" => Forms,
        _ => throw new ArgumentOutOfRangeException(nameof(field), field, "no field of a brief"),
    };

    public BriefFields With(string field, string text) => field switch
    {
        "name" => this with { Name = text },
        "kind" => this with { Kind = text },
        "what" => this with { What = text },
        "facts" => this with { Facts = text },
        "audience" => this with { Audience = text },
        "tone" => this with { Tone = text },
        "length" => this with { Length = text },
        "order" => this with { Order = text },
        "forms" => this with { Forms = text },
        _ => throw new ArgumentOutOfRangeException(nameof(field), field, "no field of a brief"),
    };

    public static BriefFields Example(string kind) => new()
    {
        Name = "Lanternfish",
        Kind = kind,
        What = "Photo editor",
        Facts = "sorts photos by place and date\nworks offline\nedits raw files from most cameras",
        Audience = "photographers",
    };

    [JsonIgnore]
    public IReadOnlyList<string> FactList => [.. Lines(Facts, '\n')];

    [JsonIgnore]
    public bool IsEmpty => Names.Where(name => name != "kind").All(name => this[name].Trim().Length == 0);

    /// <summary>What is wrong with a field: its name and the key of what to say, with the number or text that it is about.</summary>
    public (string Field, string Message, object? About)? Problem()
    {
        if (Name.Trim().Length == 0) return ("name", "write.name-missing", null);
        if (Name.Trim().Length > 80) return ("name", "write.name-long", null);
        if (FactList.Count > MaxFacts) return ("facts", "write.facts-many", FactList.Count);
        if (FactList.FirstOrDefault(fact => fact.Length > MaxLine) is { } wordy) return ("facts", "write.fact-long", wordy[..40]);
        return new[] { "what", "audience", "tone" }.FirstOrDefault(name => this[name].Trim().Length > MaxLine) is { } longest
            ? (longest, "write.field-long", null) : null;
    }

    /// <summary>
    /// As the model is asked: what it is without an article ("a tea house") and for whom without "for", which its sentences bring along,
    /// and facts with
    /// their forms; to an order of a template's they stand as they were typed.
    /// </summary>
    public Brief ToBrief()
    {
        Brief brief = AsTyped();
        return Order.Trim().Length == 0 ? FactForms.Mark(brief, Chosen()) : brief;
    }

    /// <summary>How each fact is said, as it was chosen here, else by what a person corrected; none of a brief whose facts are asked as
    /// they were typed.</summary>
    /// <param name="own">Of the person.</param>
    public IReadOnlyList<(string Fact, FactWay Way)> Said(FactCorrections own)
    {
        Brief brief = AsTyped();
        if (Order.Trim().Length > 0 || !FactForms.AreSaid(brief)) return [];
        string[] facts = [.. FactList.Distinct()];
        return [.. facts.Zip(FactForms.WaysOf(facts, [.. brief.Categories, brief.Name], own, Chosen()))];
    }

    /// <summary>The brief with a person's corrections written into it: what it is asked with stays, whatever is corrected later.</summary>
    /// <param name="own">Of the person.</param>
    public BriefFields SaidBy(FactCorrections own) =>
        this with {
            Forms = FactChoices.Write(Said(own).Zip(FactForms.WaysOf([.. FactList.Distinct()], [.. AsTyped().Categories, AsTyped().Name]))
                .Where(said => said.First.Way != said.Second)
                .Select(said => new FactCorrection(said.First.Fact, said.First.Way))) };

    private FactCorrections Chosen() => Forms.Length == 0 ? FactCorrections.None : new(FactChoices.Parse(Forms), learns: false);

    private Brief AsTyped() =>
        new(Name.Trim(), Kind, FactList, [.. Lines(What, ',').Select(what => Article().Replace(what, ""))],
            For().Replace(Audience.Trim(), ""), Tone.Trim(), Length.Trim());

    [GeneratedRegex("^(an?|the) (?=.)", RegexOptions.IgnoreCase)]
    private static partial Regex Article();

    [GeneratedRegex("^for (?=.)", RegexOptions.IgnoreCase)]
    private static partial Regex For();

    /// <summary>The request as the model sees it.</summary>
    public Conversation ToConversation()
    {
        Brief brief = ToBrief();
        Conversation asked = brief.ToConversation();
        return Order.Trim().Length == 0 ? asked : new([Message.User(Order.Trim() + asked.Messages[^1].Text[brief.Order.Length..])]);
    }

    // A person may type the dash that the model would see twice.
    private static IEnumerable<string> Lines(string text, char separator) =>
        text.Split(separator).Select(line => line.Trim().TrimStart('-', '•', '*').Trim()).Where(line => line.Length > 0);
}

/// <summary>What was asked for once, and the answers.</summary>
public sealed record DraftSet
{
    public required Guid Id { get; init; }

    public required DateTimeOffset Time { get; init; }

    public required string Kind { get; init; }

    /// <summary>Hash of the model that wrote; empty where two did.</summary>
    public required string Model { get; init; }

    /// <summary>Two models of a rollout wrote it, in an order drawn by lot: what the person does with a draft is a choice between
    /// them.</summary>
    public bool Paired { get; init; }

    /// <summary>The brief when it was asked: facts and names are checked against it.</summary>
    public required BriefFields Fields { get; init; }

    /// <summary>How it was asked for; empty for the brief alone.</summary>
    public string Way { get; init; } = "";

    /// <summary>Kept texts that the prompt showed.</summary>
    public List<Guid> Examples { get; init; } = [];

    public required List<Draft> Drafts { get; init; }
}

/// <summary>One draft, and what the person has done with it.</summary>
public sealed record Draft
{
    public required Guid Generation { get; init; }

    /// <summary>What the model wrote.</summary>
    public string Written { get; init; } = "";

    /// <summary>What is shown: the model's text, or after an edit the person's.</summary>
    public string Text { get; init; } = "";

    public DraftState State { get; init; }

    /// <summary>An edit that was begun and not finished; null when there is none.</summary>
    public string? Edit { get; init; }

    [JsonIgnore]
    public bool IsChosen => State is DraftState.Kept or DraftState.Edited;
}

public enum DraftState
{
    /// <summary>Tokens still arrive.</summary>
    Writing,

    /// <summary>Waits for the person's choice.</summary>
    Ready,

    Kept,

    Edited,

    Discarded,

    /// <summary>The server ended before the text did.</summary>
    Lost,
}

/// <summary>What a kept text's document says.</summary>
public sealed record KeptText
{
    public string Text { get; init; } = "";

    public required string Kind { get; init; }

    /// <summary>Of what it is about.</summary>
    public required string Name { get; init; }

    public required Guid Brief { get; init; }

    public required Guid Generation { get; init; }

    /// <summary>The feedback that kept or wrote it.</summary>
    public required Guid Feedback { get; init; }

    /// <summary>The request that it answers, as the model saw it: with the text, an example for the next.</summary>
    public required string Asked { get; init; }

    public static KeptText Parse(string json) => JsonSerializer.Deserialize<KeptText>(json, CopyJson.Options)!;

    public string ToJson() => JsonSerializer.Serialize(this, CopyJson.Options);
}

internal static class CopyJson
{
    public static JsonSerializerOptions Options { get; } = WholeLists.Of(new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        // Chinese stays readable in the record; it is never put into a page as it is
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
