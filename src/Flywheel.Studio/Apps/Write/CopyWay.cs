using Flywheel.Model;

namespace Flywheel.Studio.Apps.Write;

/// <summary>A way of asking for another text after one that is there.</summary>
/// <param name="Name">In the page's words as <c>write.way.NAME</c>.</param>
/// <param name="Key">Presses its button.</param>
/// <param name="Order">What the model is told after the text; empty: the text is shown as an example of what is wanted.</param>
public sealed record CopyWay(string Name, string Key, string Order)
{
    /// <summary>For models that know no orders.</summary>
    public static CopyWay MoreLikeThis { get; } = new("more", "m", "");

    /// <summary>Rewrites, in the words of the training data (Data/Copywriting/GrammarSource.cs).</summary>
    public static IReadOnlyList<CopyWay> Orders { get; } =
    [
        new("more", "m", "Write another version."),
        new("shorter", "s", "Make it shorter."),
        new("longer", "l", "Make it longer."),
        new("simpler", "i", "Make it simpler."),
        new("friendlier", "w", "Make it more friendly."),
        new("formal", "o", "Make it more formal."),
    ];

    /// <summary>It stands beside copy, not among the rewrites.</summary>
    public bool IsMore => Name == "more";

    /// <summary>A text of that kind can be asked for in this way: there is nothing to shorten in a line.</summary>
    public bool Suits(string kind) => Name is not ("shorter" or "longer" or "simpler") || kind == Brief.Description;

    /// <summary>The conversation that asks for it.</summary>
    public Conversation Ask(Conversation brief, string text) =>
        brief with { Messages = [.. brief.Messages, Message.Assistant(text),
            Order.Length == 0 ? brief.Messages[^1] : Message.User(Order)] };
}
