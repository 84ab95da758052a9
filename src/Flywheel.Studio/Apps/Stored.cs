using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Studio.Apps;

/// <summary>A document as it lies in the record, with what it holds.</summary>
/// <param name="Document">Its title, times and text.</param>
/// <param name="Body">Null when it is damaged.</param>
/// <param name="Fault">Why it cannot be read; null when it can.</param>
internal sealed record Stored<T>(Document Document, T? Body, string? Fault) where T : class
{
    /// <param name="document">From the record, which may have been damaged on disk or written by another program.</param>
    /// <param name="parse">Reads its text.</param>
    public static Stored<T> Read(Document document, Func<string, T> parse)
    {
        T? body = Stored.Read(document.Body, parse, out string? fault);
        return new(document, body, fault);
    }
}

/// <summary>A document that cannot be read: a page lists it by its name, and it can be deleted. All others work.</summary>
/// <param name="Id">The document.</param>
/// <param name="Title">May be empty.</param>
/// <param name="Updated">When it was changed last.</param>
/// <param name="IsDeleted">In the bin.</param>
/// <param name="Fault">Why it cannot be read.</param>
public sealed record Damaged(Guid Id, string Title, DateTimeOffset Updated, bool IsDeleted, string Fault)
{
    /// <summary>As a list of the API has it, among those that can be read.</summary>
    /// <param name="kind">What it would be.</param>
    internal JsonObject ToJson(string kind) => new()
    {
        ["id"] = Id.ToString(), ["object"] = kind, ["name"] = Title, ["updated"] = Updated.ToUnixTimeSeconds(), ["state"] = "damaged",
        ["message"] = Fault,
    };
}

internal static class Stored
{
    /// <summary>What a text holds; null, with the reason, when it cannot be read.</summary>
    public static T? Read<T>(string text, Func<string, T> parse, out string? fault) where T : class
    {
        fault = null;
        try
        {
            if (parse(text) is { } body) return body;
            fault = "it says null";
        }
        catch (Exception e) when (e is JsonException or FlywheelException or FormatException or ArgumentException
            or InvalidOperationException or NotSupportedException)
        {
            fault = e.Message;
        }
        return null;
    }

    /// <summary>The same where nobody asks why.</summary>
    public static T? Read<T>(string text, Func<string, T> parse) where T : class => Read(text, parse, out _);

    /// <summary>The document with what it holds; null when there is none, or it is damaged.</summary>
    public static (Document Document, T Body)? Readable<T>(this Document? document, Func<string, T> parse) where T : class =>
        document is not null && Read(document.Body, parse) is { } body ? (document, body) : null;

    /// <summary>Those that can be read, in their order.</summary>
    public static IEnumerable<(Document Document, T Body)> Readable<T>(this IEnumerable<Document> documents, Func<string, T> parse)
        where T : class =>
        documents.Select(document => document.Readable(parse)).OfType<(Document, T)>();

    /// <summary>Those that can be read and those that cannot, each in their order.</summary>
    public static (IReadOnlyList<(Document Document, T Body)> Whole, IReadOnlyList<Damaged> Damaged) Sorted<T>(
        this IEnumerable<Document> documents, Func<string, T> parse) where T : class
    {
        List<(Document, T)> whole = [];
        List<Damaged> damaged = [];
        foreach (Stored<T> stored in documents.Select(document => Stored<T>.Read(document, parse)))
            if (stored.Body is { } body) whole.Add((stored.Document, body));
            else damaged.Add(new(stored.Document.Id, stored.Document.Title, stored.Document.Updated, stored.Document.Deleted is not null,
                stored.Fault!));
        return (whole, damaged);
    }
}
