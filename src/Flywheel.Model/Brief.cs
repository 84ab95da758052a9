using System.Text;

namespace Flywheel.Model;

/// <summary>
/// What a copywriting request says: the page's form, the training data's prompt and the demo's requests are all this
/// one record, so that the model is asked exactly as it was taught.
/// </summary>
/// <param name="Name">Of the program or product.</param>
/// <param name="Kind">Kind of text; one of <see cref="Kinds"/>.</param>
/// <param name="Facts">Short statements that the text may use.</param>
/// <param name="Categories">Such as Graphics or Education.</param>
/// <param name="Audience">For whom, such as "musicians"; empty when open.</param>
public sealed record Brief(string Name, string Kind, IReadOnlyList<string> Facts, IReadOnlyList<string> Categories, string Audience = "")
{
    /// <summary>One line under the name.</summary>
    public const string Tagline = "tagline";

    /// <summary>A paragraph or two that say what it is and does.</summary>
    public const string Description = "description";

    /// <summary>A bulleted list of what it offers.</summary>
    public const string Features = "features";

    public static IReadOnlyList<string> Kinds { get; } = [Tagline, Description, Features];

    /// <summary>The request as the model sees it. Empty fields leave no line.</summary>
    public Conversation ToConversation()
    {
        var text = new StringBuilder();
        text.Append("Write a ").Append(Kind == Features ? "feature list" : Kind).Append(".\nName: ").Append(Name);
        if (Categories.Count > 0) text.Append("\nCategories: ").AppendJoin(", ", Categories);
        if (Audience.Length > 0) text.Append("\nAudience: ").Append(Audience);
        if (Facts.Count > 0) text.Append("\nFacts:");
        foreach (string fact in Facts) text.Append("\n- ").Append(fact);
        return new Conversation([Message.User(text.ToString())]);
    }
}
