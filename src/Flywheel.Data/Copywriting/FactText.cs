namespace Flywheel.Data;

/// <summary>A text and the facts that it states, as a source gives them: nothing in the text that its facts do not say.</summary>
/// <param name="Id">Source and number.</param>
/// <param name="Group">Items of one group land in the same split.</param>
/// <param name="Kind">One of <see cref="Flywheel.Model.Brief.Kinds"/>, or "reply": what an assistant says of it.</param>
/// <param name="Name">Empty where the text names nothing.</param>
/// <param name="Category">What it is, such as "Restaurant".</param>
/// <param name="Facts">Phrases of the text, or "slot: value".</param>
/// <param name="Text">What a person would write from them.</param>
public sealed record FactText(string Id, string Group, string Kind, string Name, string Category, IReadOnlyList<string> Facts, string Text);
