using System.Text;

namespace Flywheel.Model;

/// <summary>
/// What a copywriting request says: the page's form, the training data's prompt and the demo's requests are all this
/// one record, so that the model is asked exactly as it was taught.
/// </summary>
/// <param name="Name">Of the program, product, place or service.</param>
/// <param name="Kind">Kind of text; one of <see cref="Kinds"/>.</param>
/// <param name="Facts">Short statements that the text may use.</param>
/// <param name="Categories">What it is, such as Graphics, Hotel or Coffee.</param>
/// <param name="Audience">For whom, such as "musicians"; empty when open.</param>
/// <param name="Tone">Such as "playful"; empty when open.</param>
/// <param name="Length">Such as "two sentences" or "short"; empty when open.</param>
/// <param name="Language">Such as "English"; empty when open.</param>
public sealed record Brief(
    string Name, string Kind, IReadOnlyList<string> Facts, IReadOnlyList<string> Categories, string Audience = "", string Tone = "",
    string Length = "", string Language = "")
{
    /// <summary>One line under the name.</summary>
    public const string Tagline = "tagline";

    /// <summary>A paragraph or two that say what it is and does.</summary>
    public const string Description = "description";

    /// <summary>A bulleted list of what it offers.</summary>
    public const string Features = "features";

    /// <summary>A headline, a sentence or two and a call to act.</summary>
    public const string Ad = "ad";

    /// <summary>A short text for a social network.</summary>
    public const string Post = "post";

    /// <summary>Subject, greeting, body and name.</summary>
    public const string Email = "email";

    public static IReadOnlyList<string> Kinds { get; } = [Tagline, Description, Features, Ad, Post, Email];

    /// <summary>The first line of the request.</summary>
    public string Order => Kind switch
    {
        Features => "Write a feature list.",
        Ad => "Write an ad.",
        Email => "Write an e-mail.",
        _ => $"Write a {Kind}.",
    };

    /// <summary>The request as the model sees it. Empty fields leave no line.</summary>
    public Conversation ToConversation()
    {
        var text = new StringBuilder(Order);
        foreach (string field in Fields()) text.Append('\n').Append(field);
        return new Conversation([Message.User(text.ToString())]);
    }

    /// <summary>The brief that a conversation's last request states, in the form that <see cref="ToConversation"/> writes, its fields in
    /// any order; null when it states none.</summary>
    public static Brief? Find(Conversation conversation)
    {
        string? request =
            conversation.Messages.LastOrDefault(message =>
                message.Role == Role.User && message.Text.StartsWith("Write a", StringComparison.Ordinal))?.Text;
        if (request is null) return null;
        string[] lines = request.Split('\n');
        string? kind = Kinds.FirstOrDefault(kind => new Brief("", kind, [], []).Order == lines[0]);
        string[] facts =
            [.. lines.SkipWhile(line => line != "Facts:").Skip(1).TakeWhile(line => line.StartsWith("- ", StringComparison.Ordinal))
                .Select(line => line[2..])];
        string Field(string label) =>
            lines.FirstOrDefault(line => line.StartsWith(label + ": ", StringComparison.Ordinal))?[(label.Length + 2)..] ?? "";
        if (kind is null || Field("Name").Length == 0) return null;
        return new Brief(Field("Name"), kind, facts, Field("Categories") is { Length: > 0 } categories ? categories.Split(", ") : [],
            Field("Audience"), Field("Tone"), Field("Length"), Field("Language"));
    }

    /// <summary>The lines under the order, a field each; that of the facts has several lines.</summary>
    public IEnumerable<string> Fields()
    {
        if (Name.Length > 0) yield return "Name: " + Name;
        if (Categories.Count > 0) yield return "Categories: " + string.Join(", ", Categories);
        if (Audience.Length > 0) yield return "Audience: " + Audience;
        if (Tone.Length > 0) yield return "Tone: " + Tone;
        if (Length.Length > 0) yield return "Length: " + Length;
        if (Language.Length > 0) yield return "Language: " + Language;
        if (Facts.Count > 0) yield return "Facts:" + string.Concat(Facts.Select(fact => "\n- " + fact));
    }
}
