using System.Text.RegularExpressions;

namespace Flywheel.Model;

/// <summary>A model on a hub: <c>hf:owner/name</c>, with <c>@revision</c> a branch, tag or commit, with <c>:file.gguf</c> one file of
/// several.</summary>
public sealed partial record HubReference(string Owner, string Name, string Revision, string? File)
{
    public const string Scheme = "hf:";

    public string Id => $"{Owner}/{Name}";

    public static bool IsOne(string text) => text.StartsWith(Scheme, StringComparison.Ordinal);

    /// <exception cref="FlywheelException">Not of that form.</exception>
    public static HubReference Parse(string text)
    {
        Match match = Form().Match(text);
        if (!match.Success)
            throw new FlywheelException(
                $"'{text}' names no model on a hub, expected hf:owner/name, hf:owner/name@revision or hf:owner/name:file.gguf");
        string Group(string name) => match.Groups[name].Value;
        return new(Group("owner"), Group("name"), Group("revision") is { Length: > 0 } revision ? revision : "main",
            Group("file") is { Length: > 0 } file ? file : null);
    }

    [GeneratedRegex(@"\Ahf:(?<owner>[A-Za-z0-9][A-Za-z0-9._-]*)/(?<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:@(?<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?(?::(?<file>[A-Za-z0-9][A-Za-z0-9._-]*\.gguf))?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
