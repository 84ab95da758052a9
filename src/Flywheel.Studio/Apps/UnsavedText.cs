namespace Flywheel.Studio.Apps;

/// <summary>What a browser holds of a field and the server has not confirmed.</summary>
/// <param name="Field">Of the document that was asked for.</param>
/// <param name="Base">The text over which it was typed.</param>
internal sealed record UnsavedText(string Field, string Value, string Base);
